#include "pkg/crypto/hash.h"

#include <assert.h>

#include "pkg/crypto/context.h"
#include "pkg/crypto/openssl.h"

static ks_result digest(EVP_MD_CTX *context, const EVP_MD *algorithm, const ks_bytes *parts,
                        size_t part_count, uint8_t *ret_digest)
{
    assert(parts || part_count == 0);

    KS_TRY(ks_openssl_check(EVP_DigestInit_ex2(context, algorithm, NULL)));
    for (size_t i = 0; i < part_count; i++) {
        KS_TRY(ks_openssl_check(EVP_DigestUpdate(context, parts[i].ptr, parts[i].len)));
    }
    return ks_openssl_check(EVP_DigestFinal_ex(context, ret_digest, NULL));
}

ks_result ks_hash_sha256(struct ks_crypto *crypto, const ks_bytes *parts, size_t part_count,
                         uint8_t ret_digest[static KS_SHA256_LEN])
{
    assert(crypto);

    return digest(crypto->sha256, ks_fetched.sha256, parts, part_count, ret_digest);
}

ks_result ks_hash_sha384(struct ks_crypto *crypto, const ks_bytes *parts, size_t part_count,
                         uint8_t ret_digest[static KS_SHA384_LEN])
{
    assert(crypto);

    return digest(crypto->sha384, ks_fetched.sha384, parts, part_count, ret_digest);
}

ks_result ks_hash_sha256_once(ks_bytes bytes, uint8_t ret_digest[static KS_SHA256_LEN])
{
    assert(ks_fetched.sha256);

    return ks_openssl_check(
        EVP_Digest(bytes.ptr, bytes.len, ret_digest, NULL, ks_fetched.sha256, NULL));
}

ks_result ks_hash_shake128(struct ks_crypto *crypto, ks_bytes bytes, uint8_t *ret_bytes, size_t len)
{
    assert(crypto);

    EVP_MD_CTX *context = crypto->shake128;
    KS_TRY(ks_openssl_check(EVP_DigestInit_ex2(context, ks_fetched.shake128, NULL)));
    KS_TRY(ks_openssl_check(EVP_DigestUpdate(context, bytes.ptr, bytes.len)));
    return ks_openssl_check(EVP_DigestFinalXOF(context, ret_bytes, len));
}
