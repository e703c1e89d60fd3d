/*
 * safe: reads and writes what the hsm keeps in its token (proto/formats/token-objects.md), at start
 * and at enrolment only.
 *
 * Threads: one.
 */
#pragma once

#include "pkg/base/bytes.h"
#include "pkg/base/secret.h"
#include "services/hsm/settings/settings.h"

struct ks_ec_key;

/* What the hsm needs from the token to serve. */
struct ks_safe_content {
    ks_secret node_key;
    struct ks_ec_key *identity;
    struct ks_buffer certificate; /* DER */
    struct ks_buffer root;        /* the pinned hsm root, DER */
    uint64_t roster_floor;        /* as the last renewal noted it; 0: none has */
};

/* Wipes and frees what content holds. The zero value is fine. */
void ks_safe_content_done(struct ks_safe_content *content);
#define KS_SAFE_CONTENT_AUTO KS_CLEANUP(ks_safe_content_done) struct ks_safe_content

/*
 * Initialises a token with the label and the PIN that the settings name, in a free slot.
 * reterr_hint  what to do about a failure, a static string; unspecified after success.
 * Fails: ALREADY_EXISTS (it is there already), and as ks_token_create; INTERNAL.
 */
KS_MUST_USE ks_result ks_safe_make_token(const struct ks_hsm_settings *settings,
                                         const char **reterr_hint);

/*
 * Makes each of root key, node key and identity key that is not in the token yet. Keys that were
 * made before a failure stay there, and the next call goes on from them.
 *
 * ret_identity  the caller's (ks_ec_free). Untouched after a failure.
 * reterr_hint   what to do about a failure, a static string; unspecified after success.
 *
 * Fails: NOT_FOUND, ACCESS_DENIED (token or PIN), INVALID_CIPHERTEXT (made under another region,
 * zone or root key), INTERNAL.
 */
KS_MUST_USE ks_result ks_safe_init(const struct ks_hsm_settings *settings,
                                   struct ks_ec_key **ret_identity, const char **reterr_hint);

/*
 * Stores the certificate that the hsm root gave, and pins the root. Both are PEM or DER. Nothing is
 * stored unless both are right.
 * reterr_hint  what to do about a failure, a static string; unspecified after success.
 * Fails: ACCESS_DENIED (token or PIN; or the certificate is not this hsm's, of this region and
 * zone, and signed by that root), NOT_FOUND (token; or not initialised), INVALID_CIPHERTEXT (as
 * above), INTERNAL.
 */
KS_MUST_USE ks_result ks_safe_enrol(const struct ks_hsm_settings *settings, ks_bytes certificate,
                                    ks_bytes root, int64_t now_s, const char **reterr_hint);

/* Where the hsm moves. All borrowed for the call. */
struct ks_safe_renewal {
    const char *token_label; /* of another token, which is there already */
    const char *pin_file;    /* with another PIN */
    ks_bytes roster;         /* the region's newest, signed */
};

/*
 * Moves the hsm into another token with a new root key and a new node key, and then destroys what the
 * old token holds. Identity and certificate stay. What is wrapped by the old node key, which is every
 * copy of a domain key, can't be opened any more: so the roster must name an hsm of another zone, from
 * which this one gets the domain keys anew. An interrupted renewal is ended by the same call.
 *
 * reterr_hint  what to do about a failure, a static string; unspecified after success.
 *
 * Fails: VALIDATION (the token or the PIN is the same one), ACCESS_DENIED (token or PIN; the roster is
 * not of the pinned root, the region and at least the floor, or names no other zone), NOT_FOUND
 * (either token; not enrolled), INVALID_CIPHERTEXT (as above), CONFLICT (the other token belongs to
 * another hsm), INTERNAL. If the old token is destroyed, the new one is complete.
 */
KS_MUST_USE ks_result ks_safe_renew(const struct ks_hsm_settings *settings,
                                    const struct ks_safe_renewal *to, const char **reterr_hint);

/*
 * Reads everything, and closes the token.
 *
 * ret_content  zeroed by the caller; holds a part of it after a failure: ks_safe_content_done in
 *              any case.
 * reterr_hint  what to do about a failure, a static string; unspecified after success.
 *
 * Fails: NOT_FOUND (token; not initialised or not enrolled), ACCESS_DENIED (token or PIN),
 * INVALID_CIPHERTEXT (as above), INTERNAL.
 */
KS_MUST_USE ks_result ks_safe_load(const struct ks_hsm_settings *settings,
                                   struct ks_safe_content *ret_content, const char **reterr_hint);
