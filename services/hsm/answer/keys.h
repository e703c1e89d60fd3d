/*
 * keys: from what a keystore sends (binding and EKT) to an HBK that can be used.
 *
 * Threads: one.
 */
#pragma once

#include "pkg/ekt/binding.h"
#include "services/hsm/request/messages.h"

struct ks_hsm;
struct ks_mac;

/* A binding that was checked, and its encoding. name borrows from the message it was read from. */
struct ks_hsm_binding {
    struct ks_key_name name;
    uint8_t material_id[KS_MATERIAL_ID_LEN];
    uint8_t encoded[KS_BINDING_LEN_MAX];
    size_t encoded_len;
};

/*
 * Reads a binding, and compares its region with the hsm's own.
 * Fails: VALIDATION (absent, malformed, no material id), ACCESS_DENIED (another region),
 * UNSUPPORTED (a spec, usage or origin that this hsm does not do).
 */
KS_MUST_USE ks_result ks_hsm_read_binding(const struct ks_hsm *hsm, const KeyBinding *message,
                                          struct ks_hsm_binding *ret_binding);

/*
 * The HBK behind an EKT, from the cache if it is there.
 *
 * ret_mac  keyed with it; borrowed until the next key is used.
 *
 * Fails: UNAVAILABLE (its generation is not held), CORRUPT (the EKT does not open for this
 * binding), INTERNAL.
 */
KS_MUST_USE ks_result ks_hsm_use_key(struct ks_hsm *hsm, const struct ks_hsm_binding *binding,
                                     ks_bytes ekt, struct ks_mac **ret_mac);
