#include "pkg/ekt/wrap.h"

#include <assert.h>

#include "pkg/ekt/generation.h"
#include "pkg/ekt/sealing.h"
#include "pkg/form/form.h"
#include "pkg/form/names.h"

#define PLACE_LEN_MAX (2U + KS_REGION_LEN_MAX + KS_ZONE_LEN_MAX)

static_assert(KS_WRAP_LEN == KS_SEALING_HEAD_LEN + KS_DOMAIN_KEY_LEN + KS_SEALING_TAG_LEN,
              "head, key and tag");
static_assert(KS_SEALING_HEAD_LEN + PLACE_LEN_MAX <= KS_SEALING_AAD_MAX, "a place fits");

static ks_result prepare(struct ks_crypto *crypto, struct ks_mac *node,
                         const struct ks_wrap_place *place, uint8_t *ret_aad,
                         struct ks_sealing *ret_sealing)
{
    if (!ks_is_zone_of(place->zone, place->region) || !ks_is_generation(place->generation)) {
        return KS_RES(VALIDATION);
    }
    struct ks_writer out = {.ptr = ret_aad, .capacity = PLACE_LEN_MAX};
    ks_write_short(&out, place->region);
    ks_write_short(&out, place->zone);
    assert(!out.full);
    *ret_sealing = (struct ks_sealing){
        .crypto = crypto,
        .key = node,
        .label = KS_LITERAL("keystead/domain-key-wrap/v1"),
        .aad = ks_written(&out),
    };
    return KS_RES(OK);
}

ks_result ks_domain_key_wrap(struct ks_crypto *crypto, struct ks_mac *node,
                             const struct ks_wrap_place *place, const uint8_t *salt,
                             const ks_secret *domain_key, uint8_t ret_wrapped[static KS_WRAP_LEN])
{
    assert(crypto && node && place);
    assert(salt && domain_key);

    if (domain_key->len != KS_DOMAIN_KEY_LEN) {
        return KS_RES(VALIDATION);
    }
    uint8_t aad[PLACE_LEN_MAX];
    struct ks_sealing sealing;
    KS_TRY(prepare(crypto, node, place, aad, &sealing));
    return ks_sealing_seal(&sealing, place->generation, salt, domain_key, ret_wrapped);
}

ks_result ks_domain_key_unwrap(struct ks_crypto *crypto, struct ks_mac *node,
                               const struct ks_wrap_place *place, ks_bytes wrapped,
                               ks_secret *ret_domain_key)
{
    assert(crypto && node && place);
    assert(ret_domain_key);

    uint8_t aad[PLACE_LEN_MAX];
    struct ks_sealing sealing;
    KS_TRY(prepare(crypto, node, place, aad, &sealing));
    struct ks_sealed sealed;
    KS_TRY(ks_sealed_parse(wrapped, &sealed));
    if (wrapped.len != KS_WRAP_LEN || sealed.generation != place->generation) {
        return KS_RES(INVALID_CIPHERTEXT);
    }
    return ks_sealing_open(&sealing, &sealed, ret_domain_key);
}
