#include "pkg/crypto/mac.h"

#include <assert.h>
#include <openssl/core_names.h>
#include <openssl/params.h>

#include "pkg/crypto/openssl.h"

struct ks_mac {
    EVP_MAC_CTX *context;
    bool keyed;
};

ks_result ks_mac_new(const ks_secret *key, struct ks_mac **ret_mac)
{
    assert(ret_mac);
    assert(ks_fetched.hmac);

    KS_MAC_AUTO *mac = ks_alloc(1, sizeof(*mac));
    mac->context = EVP_MAC_CTX_new(ks_fetched.hmac);
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    if (!mac->context || EVP_MAC_CTX_set_params(mac->context, params) != 1) {
        return ks_openssl_fail(KS_INTERNAL);
    }
    KS_TRY(ks_mac_set_key(mac, key));

    *ret_mac = mac;
    mac = NULL;
    return KS_RES(OK);
}

ks_result ks_mac_set_key(struct ks_mac *mac, const ks_secret *key)
{
    assert(mac && key);
    assert(key->len <= KS_SECRET_MAX);

    mac->keyed = false;
    if (key->len == 0) {
        return KS_RES(VALIDATION);
    }
    KS_TRY(ks_openssl_check(EVP_MAC_init(mac->context, key->bytes, key->len, NULL)));
    mac->keyed = true;
    return KS_RES(OK);
}

ks_result ks_mac_sign(struct ks_mac *mac, const ks_bytes *parts, size_t part_count,
                      uint8_t ret_code[static KS_MAC_LEN])
{
    assert(mac);
    assert(parts || part_count == 0);

    if (!mac->keyed) {
        return KS_RES(INVALID_STATE);
    }
    /* Without a key, OpenSSL starts again under the key that the context has. */
    KS_TRY(ks_openssl_check(EVP_MAC_init(mac->context, NULL, 0, NULL)));
    for (size_t i = 0; i < part_count; i++) {
        KS_TRY(ks_openssl_check(EVP_MAC_update(mac->context, parts[i].ptr, parts[i].len)));
    }
    size_t len = 0;
    KS_TRY(ks_openssl_check(EVP_MAC_final(mac->context, ret_code, &len, KS_MAC_LEN)));
    assert(len == KS_MAC_LEN);
    return KS_RES(OK);
}

void ks_mac_free(struct ks_mac *mac)
{
    if (mac) {
        EVP_MAC_CTX_free(mac->context);
        ks_free(mac);
    }
}

void ks_mac_free_at(struct ks_mac **mac)
{
    ks_mac_free(*mac);
}
