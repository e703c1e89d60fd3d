#include "pkg/crypto/kdf.h"

#include <assert.h>
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <string.h>

#include "pkg/crypto/openssl.h"

static void put_u32(uint8_t place[static 4], uint32_t value)
{
    for (unsigned i = 0; i < 4; i++) {
        place[i] = (uint8_t)(value >> (24 - 8 * i));
    }
}

ks_result ks_kdf_counter(struct ks_mac *mac, ks_bytes label, ks_bytes context, size_t len,
                         ks_secret *ret_derived)
{
    assert(ret_derived && len > 0 && len <= KS_SECRET_MAX);
    assert(label.len > 0 && !memchr(label.ptr, 0, label.len));

    uint8_t counter[4];
    uint8_t bits[4];
    put_u32(bits, (uint32_t)(8 * len));
    const ks_bytes parts[] = {
        {counter, sizeof(counter)}, label, KS_LITERAL("\0"), context, {bits, sizeof(bits)},
    };

    static_assert(KS_SECRET_MAX % KS_MAC_LEN == 0, "the last block fits, cut or not");
    KS_SECRET_AUTO derived = {.len = len};
    for (uint32_t i = 0; i * KS_MAC_LEN < len; i++) {
        put_u32(counter, i + 1);
        KS_TRY(ks_mac_sign(mac, parts, KS_COUNT(parts), derived.bytes + i * KS_MAC_LEN));
    }
    ks_wipe(derived.bytes + len, KS_SECRET_MAX - len);
    ks_secret_move(ret_derived, &derived);
    return KS_RES(OK);
}

static OSSL_PARAM octets(const char *name, ks_bytes bytes)
{
    /* OpenSSL only reads it. An empty string must not be NULL. */
    static uint8_t none;
    void *ptr = bytes.len > 0 ? (void *)(uintptr_t)bytes.ptr : &none;
    return OSSL_PARAM_construct_octet_string(name, ptr, bytes.len);
}

ks_result ks_kdf_hkdf(const ks_secret *secret, ks_bytes salt, ks_bytes info, size_t len,
                      ks_secret *ret_derived)
{
    assert(secret && ret_derived);
    assert(len > 0 && len <= KS_SECRET_MAX);

    if (secret->len == 0) {
        return KS_RES(VALIDATION);
    }
    char digest[] = "SHA384";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        octets(OSSL_KDF_PARAM_KEY, ks_secret_bytes(secret)),
        octets(OSSL_KDF_PARAM_SALT, salt),
        octets(OSSL_KDF_PARAM_INFO, info),
        OSSL_PARAM_construct_end(),
    };
    KS_OPENSSL_AUTO(EVP_KDF_CTX) *context = EVP_KDF_CTX_new(ks_fetched.hkdf);
    KS_SECRET_AUTO derived = {.len = len};
    if (!context || EVP_KDF_derive(context, derived.bytes, len, params) != 1) {
        return ks_openssl_fail(KS_INTERNAL);
    }
    ks_secret_move(ret_derived, &derived);
    return KS_RES(OK);
}
