#include "pkg/ekt/ekt.h"

#include <assert.h>

#include "pkg/crypto/hash.h"
#include "pkg/ekt/generation.h"
#include "pkg/ekt/sealing.h"

static_assert(KS_EKT_SALT_LEN == KS_SEALING_SALT_LEN, "the salt is the sealing's");
static_assert(KS_EKT_EXTRA_LEN == KS_SEALING_HEAD_LEN + KS_SEALING_TAG_LEN, "head and tag");
static_assert(KS_SEALING_HEAD_LEN + KS_BINDING_LEN_MAX <= KS_SEALING_AAD_MAX, "a binding fits");

static ks_result prepare(struct ks_crypto *crypto, struct ks_mac *domain, ks_bytes binding,
                         uint8_t ret_hash[static KS_SHA256_LEN], struct ks_sealing *ret_sealing)
{
    assert(binding.ptr && binding.len <= KS_BINDING_LEN_MAX);

    KS_TRY(ks_hash_sha256(crypto, &binding, 1, ret_hash));
    *ret_sealing = (struct ks_sealing){
        .crypto = crypto,
        .key = domain,
        .label = KS_LITERAL("keystead/ekt/v1"),
        .derivation = {ret_hash, KS_SHA256_LEN},
        .aad = binding,
    };
    return KS_RES(OK);
}

ks_result ks_ekt_seal(struct ks_crypto *crypto, struct ks_mac *domain,
                      const struct ks_ekt_seal *how, const ks_secret *hbk, uint8_t *ret_ekt,
                      size_t *ret_len)
{
    assert(crypto && domain && how);
    assert(ret_ekt && ret_len);

    if (hbk->len == 0 || !ks_is_generation(how->generation)) {
        return KS_RES(VALIDATION);
    }
    uint8_t hash[KS_SHA256_LEN];
    struct ks_sealing sealing;
    KS_TRY(prepare(crypto, domain, how->binding, hash, &sealing));
    KS_TRY(ks_sealing_seal(&sealing, how->generation, how->salt, hbk, ret_ekt));
    *ret_len = KS_EKT_EXTRA_LEN + hbk->len;
    return KS_RES(OK);
}

ks_result ks_ekt_generation(ks_bytes ekt, uint32_t *ret_generation)
{
    assert(ret_generation);

    struct ks_sealed sealed;
    KS_TRY(ks_sealed_parse(ekt, &sealed));
    *ret_generation = sealed.generation;
    return KS_RES(OK);
}

ks_result ks_ekt_open(struct ks_crypto *crypto, struct ks_mac *domain, ks_bytes binding,
                      ks_bytes ekt, ks_secret *ret_hbk)
{
    assert(crypto && domain);
    assert(ret_hbk);

    struct ks_sealed sealed;
    KS_TRY(ks_sealed_parse(ekt, &sealed));
    uint8_t hash[KS_SHA256_LEN];
    struct ks_sealing sealing;
    KS_TRY(prepare(crypto, domain, binding, hash, &sealing));
    return ks_sealing_open(&sealing, &sealed, ret_hbk);
}
