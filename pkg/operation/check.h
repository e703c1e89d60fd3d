/*
 * check: checks that a request keeps the form and the limits of its operation, before anything else
 * is done about it, and tells what it says. Frontends run it for their callers, and keystores again
 * for what frontends send. Texts are those of AWS KMS.
 *
 * First comes the wire (pkg/codec), then each member's constraints: all that are violated are told
 * together, as AWS does. Then comes what a member means (identifiers, tags, contexts); there the
 * first that is wrong is told.
 *
 * Threads: pure over the arguments; any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/operation/home.h"
#include "pkg/operation/operation.h"
#include "pkg/operation/refusal.h"

/*
 * Bytes of a request, alone or in a batch, unknown fields included. The largest that keeps all its
 * limits is KS_OPERATION_LEN_MAX.
 */
#define KS_REQUEST_LEN_MAX (512U * 1024U)

/* A key or alias that a request names. Borrowed from the request, or from the caller's account. */
struct ks_key_naming {
    const struct ks_resource *resource; /* NULL: no key is named */
    ks_bytes account;                   /* that the key or alias would be of: 12 digits */
    ks_bytes name;                      /* key id, or alias with "alias/" */
    ks_bytes material_id;               /* raw, of a ciphertext; else empty */
    /* The member that must name the same key; empty if there is none or it is absent. */
    ks_bytes confirmed_account;
    ks_bytes confirmed_name;
};

/* What a request says. Borrowed from its bytes and from the caller's account. */
struct ks_checked {
    uint64_t present; /* a bit for each member by its index */
    /* Of texts and bytes the value; of a list or map the run of fields that holds its elements. */
    ks_bytes values[KS_OPERATION_MEMBERS_MAX];
    /* Of flags, numbers and enums the value that the unpacked request has; of a flag 0 or 1. */
    int32_t numbers[KS_OPERATION_MEMBERS_MAX];
    struct ks_key_naming keys[KS_OPERATION_KEYS_MAX]; /* in the order of the resources */
    size_t key_count;
    ks_bytes request_id; /* empty: none was given */
};

/*
 * Checks one request.
 *
 * operation    no batch.
 * account      the caller's: of what is named without one, and for the caller's own texts. Borrowed
 *              as long as ret_checked.
 * ret_checked  unspecified on failure.
 *
 * Fails, and refusal says why: VALIDATION; NOT_FOUND and INVALID_ARN (an identifier that can name
 * no key here); INVALID_ALIAS_NAME; TAG; INVALID_CIPHERTEXT (no ciphertext); ACCESS_DENIED (a
 * ciphertext of another region, which refusal names if the installation knows it).
 */
KS_MUST_USE ks_result ks_operation_check(const struct ks_operation *operation,
                                         const struct ks_home *home, const char *account,
                                         ks_bytes message, struct ks_checked *ret_checked,
                                         struct ks_refusal *refusal);

/*
 * Takes a batch apart, without looking into its entries: each is checked for itself, so that one
 * that is wrong is one failed entry.
 *
 * ret_entries  room for KS_BATCH_ITEMS_MAX; borrowed from message. Unspecified on failure.
 * ret_count    1 to KS_BATCH_ITEMS_MAX. Unchanged on failure.
 *
 * Fails: VALIDATION (not a batch; none or too many entries); refusal says why.
 */
KS_MUST_USE ks_result ks_operation_entries(const struct ks_operation *operation, ks_bytes message,
                                           ks_bytes *ret_entries, size_t *ret_count,
                                           struct ks_refusal *refusal);

/* Returns whether the member of that index is present. */
bool ks_checked_has(const struct ks_checked *checked, uint8_t index);
