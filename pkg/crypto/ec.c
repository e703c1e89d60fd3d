#include "pkg/crypto/ec.h"

#include <assert.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <string.h>

#include "pkg/crypto/keys.h"
#include "pkg/crypto/pem.h"

#define GROUP_NAME_MAX 32U

struct ks_ec_key {
    EVP_PKEY *pkey;
    enum ks_ec_curve curve;
    bool has_private;
};

/* All of a SubjectPublicKeyInfo (RFC 5480) that comes before x ‖ y: 04 marks an uncompressed point. */
static const uint8_t p256_head[] = {
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
    0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
};
static const uint8_t p384_head[] = {
    0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02,
    0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00, 0x04,
};

static const struct curve {
    const char *name;  /* as ks_ec_generate asks for it */
    const char *group; /* as OpenSSL calls it */
    const char *digest;
    ks_bytes spki_head;
    size_t coordinate_len;
} curves[] = {
    [KS_EC_P256] = {"P-256", SN_X9_62_prime256v1, "SHA256", {p256_head, sizeof(p256_head)}, 32},
    [KS_EC_P384] = {"P-384", SN_secp384r1, "SHA384", {p384_head, sizeof(p384_head)}, 48},
};

static const struct curve *curve_row(const struct ks_ec_key *key)
{
    assert(key);

    return &curves[key->curve];
}

/* Returns the curve of pkey; 0 for any other key. */
static enum ks_ec_curve curve_of(EVP_PKEY *pkey)
{
    char group[GROUP_NAME_MAX] = "";
    int from_explicit = 0;
    if (!EVP_PKEY_is_a(pkey, "EC") ||
        EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL) != 1 ||
        EVP_PKEY_get_int_param(pkey, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS,
                               &from_explicit) != 1 ||
        from_explicit != 0) {
        return 0;
    }
    for (enum ks_ec_curve curve = KS_EC_P256; curve <= KS_EC_P384; curve++) {
        if (strcmp(group, curves[curve].group) == 0) {
            return curve;
        }
    }
    return 0;
}

/* Checks the point, and the private part if there is one. Takes ownership of pkey. */
static ks_result adopt(EVP_PKEY *pkey, bool has_private, struct ks_ec_key **ret_key)
{
    KS_EC_AUTO *key = ks_alloc(1, sizeof(*key));
    key->pkey = pkey;
    key->has_private = has_private;
    key->curve = pkey ? curve_of(pkey) : 0;
    if (key->curve == 0) {
        return ks_openssl_fail(KS_VALIDATION);
    }
    KS_OPENSSL_AUTO(EVP_PKEY_CTX) *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    if (!ctx) {
        return ks_openssl_fail(KS_INTERNAL);
    }
    /*
     * The quick check does not test that the order times the point is 0: that holds for each point
     * of these curves.
     */
    int sound = has_private ? EVP_PKEY_check(ctx) : EVP_PKEY_public_check_quick(ctx);
    /*
     * OpenSSL keeps the form in which a key was read, and PKCS#8 may hold the public part in
     * another form.
     */
    if (sound != 1 ||
        EVP_PKEY_set_utf8_string_param(pkey, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
                                       OSSL_PKEY_EC_POINT_CONVERSION_FORMAT_UNCOMPRESSED) != 1) {
        return ks_openssl_fail(KS_VALIDATION);
    }
    *ret_key = key;
    key = NULL;
    return KS_RES(OK);
}

ks_result ks_ec_generate(enum ks_ec_curve curve, struct ks_ec_key **ret_key)
{
    assert(curve == KS_EC_P256 || curve == KS_EC_P384);
    assert(ret_key);

    EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC", curves[curve].name);
    if (!pkey) {
        return ks_openssl_fail(KS_INTERNAL);
    }
    struct ks_ec_key *key = ks_alloc(1, sizeof(*key));
    *key = (struct ks_ec_key){.pkey = pkey, .curve = curve, .has_private = true};
    *ret_key = key;
    return KS_RES(OK);
}

void ks_ec_free(struct ks_ec_key *key)
{
    if (key) {
        EVP_PKEY_free(key->pkey);
        ks_free(key);
    }
}

void ks_ec_free_at(struct ks_ec_key **key)
{
    ks_ec_free(*key);
}

enum ks_ec_curve ks_ec_curve_of(const struct ks_ec_key *key)
{
    assert(key);

    return key->curve;
}

bool ks_ec_has_private(const struct ks_ec_key *key)
{
    assert(key);

    return key->has_private;
}

EVP_PKEY *ks_ec_pkey(const struct ks_ec_key *key)
{
    assert(key);

    return key->pkey;
}

const EVP_MD *ks_ec_digest(const struct ks_ec_key *key)
{
    assert(key);

    return key->curve == KS_EC_P384 ? ks_fetched.sha384 : ks_fetched.sha256;
}

static ks_result read_pkcs8(ks_bytes der, struct ks_ec_key **ret_key)
{
    if (der.len == 0 || der.len > KS_EC_PRIVATE_DER_MAX) {
        return KS_RES(VALIDATION);
    }
    const unsigned char *at = der.ptr;
    KS_OPENSSL_AUTO(PKCS8_PRIV_KEY_INFO) *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, (long)der.len);
    if (!info || at != der.ptr + der.len) {
        return ks_openssl_fail(KS_VALIDATION);
    }
    return adopt(EVP_PKCS82PKEY_ex(info, NULL, NULL), true, ret_key);
}

ks_result ks_ec_read_private(ks_bytes der_or_pem, struct ks_ec_key **ret_key)
{
    assert(ret_key);

    if (ks_openssl_is_der(der_or_pem)) {
        return read_pkcs8(der_or_pem, ret_key);
    }
    KS_BUFFER_AUTO der = {.len_max = KS_PEM_LEN_MAX};
    KS_TRY(ks_pem_decode(KS_PEM_PRIVATE_KEY, der_or_pem, &der));
    return read_pkcs8(ks_buffer_bytes(&der), ret_key);
}

ks_result ks_ec_write_private_der(const struct ks_ec_key *key, struct ks_buffer *out)
{
    assert(key && out);
    assert(key->has_private);

    KS_OPENSSL_AUTO(PKCS8_PRIV_KEY_INFO) *info = EVP_PKEY2PKCS8(key->pkey);
    if (!info) {
        return ks_openssl_fail(KS_INTERNAL);
    }
    unsigned char *der = NULL;
    int len = i2d_PKCS8_PRIV_KEY_INFO(info, &der);
    return ks_openssl_take(der, len, out);
}

ks_result ks_ec_write_private_pem(const struct ks_ec_key *key, struct ks_buffer *out)
{
    assert(out);

    KS_BUFFER_AUTO der = {.len_max = KS_EC_PRIVATE_DER_MAX};
    KS_TRY(ks_ec_write_private_der(key, &der));
    return ks_pem_encode(KS_PEM_PRIVATE_KEY, ks_buffer_bytes(&der), out);
}

/*
 * OpenSSL also takes compressed and hybrid points, long lengths and unused bits: then one key would
 * have many encodings, and what is bound to the hash of one could be evaded by another.
 */
static bool is_canonical(const struct curve *curve, ks_bytes spki)
{
    return spki.len == curve->spki_head.len + 2 * curve->coordinate_len &&
           ks_bytes_starts_with(spki, curve->spki_head);
}

bool ks_ec_is_canonical(ks_bytes spki)
{
    return is_canonical(&curves[KS_EC_P256], spki) || is_canonical(&curves[KS_EC_P384], spki);
}

ks_result ks_ec_read_public(ks_bytes spki, struct ks_ec_key **ret_key)
{
    assert(ret_key);

    if (spki.len == 0 || spki.len > KS_EC_PUBLIC_DER_MAX) {
        return KS_RES(VALIDATION);
    }
    const unsigned char *at = spki.ptr;
    EVP_PKEY *pkey = d2i_PUBKEY_ex(NULL, &at, (long)spki.len, NULL, NULL);
    bool whole = pkey && at == spki.ptr + spki.len;
    KS_EC_AUTO *key = NULL;
    KS_TRY(adopt(pkey, false, &key));
    if (!whole || !is_canonical(curve_row(key), spki)) {
        return KS_RES(VALIDATION);
    }
    *ret_key = key;
    key = NULL;
    return KS_RES(OK);
}

ks_result ks_ec_write_public_der(const struct ks_ec_key *key, struct ks_buffer *out)
{
    assert(key && out);

    unsigned char *der = NULL;
    int len = i2d_PUBKEY(key->pkey, &der);
    return ks_openssl_take(der, len, out);
}

ks_result ks_ec_sign(const struct ks_ec_key *key, ks_bytes message, uint8_t *ret_signature,
                     size_t *ret_len)
{
    assert(key && ret_signature && ret_len);
    assert(key->has_private);

    const char *digest = curve_row(key)->digest;
    KS_OPENSSL_AUTO(EVP_MD_CTX) *ctx = EVP_MD_CTX_new();
    size_t len = KS_EC_SIGNATURE_MAX;
    bool signed_it = ctx &&
                     EVP_DigestSignInit_ex(ctx, NULL, digest, NULL, NULL, key->pkey, NULL) == 1 &&
                     EVP_DigestSign(ctx, ret_signature, &len, message.ptr, message.len) == 1;
    if (!signed_it) {
        return ks_openssl_fail(KS_INTERNAL);
    }
    *ret_len = len;
    return KS_RES(OK);
}

ks_result ks_ec_verify(const struct ks_ec_key *key, ks_bytes message, ks_bytes signature)
{
    assert(key);

    const char *digest = curve_row(key)->digest;
    KS_OPENSSL_AUTO(EVP_MD_CTX) *ctx = EVP_MD_CTX_new();
    if (!ctx || EVP_DigestVerifyInit_ex(ctx, NULL, digest, NULL, NULL, key->pkey, NULL) != 1) {
        return ks_openssl_fail(KS_INTERNAL);
    }
    if (signature.len == 0 || signature.len > KS_EC_SIGNATURE_MAX ||
        EVP_DigestVerify(ctx, signature.ptr, signature.len, message.ptr, message.len) != 1) {
        return ks_openssl_fail(KS_UNAUTHENTICATED);
    }
    return KS_RES(OK);
}

ks_result ks_ec_agree(const struct ks_ec_key *key, const struct ks_ec_key *peer,
                      ks_secret *ret_shared)
{
    assert(key && peer && ret_shared);
    assert(key->has_private);

    if (key->curve != peer->curve) {
        return KS_RES(VALIDATION);
    }
    KS_SECRET_AUTO shared = {0};
    size_t len = KS_SECRET_MAX;
    KS_OPENSSL_AUTO(EVP_PKEY_CTX) *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key->pkey, NULL);
    /* peer was validated when it was read. */
    bool agreed = ctx && EVP_PKEY_derive_init(ctx) == 1 &&
                  EVP_PKEY_derive_set_peer_ex(ctx, peer->pkey, 0) == 1 &&
                  EVP_PKEY_derive(ctx, shared.bytes, &len) == 1;
    if (!agreed || len != curve_row(key)->coordinate_len) {
        return ks_openssl_fail(KS_INTERNAL);
    }
    shared.len = len;
    ks_secret_move(ret_shared, &shared);
    return KS_RES(OK);
}
