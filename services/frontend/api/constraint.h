/*
 * constraint: the sentences in which AWS says that a member breaks a constraint.
 *
 *   1 validation error detected: Value 'x' at 'keyId' failed to satisfy constraint: Member must …
 *
 * Threads: pure; any.
 */
#pragma once

#include <stdint.h>

#include "services/frontend/api/refusal.h"

#define KS_SHOWN_LEN_MAX 300U /* bytes of a value that are repeated: the sentence must fit, too */

/* What a sentence is about. */
struct ks_member {
    const char *path; /* "tags.1.member.tagKey"; static or as long as the refusal is being made */
    ks_bytes value;   /* as sent; cut to KS_SHOWN_LEN_MAX. ptr NULL: not shown */
};

/* Bytes of a value that are shown: whole characters, at most KS_SHOWN_LEN_MAX bytes. */
int ks_shown_len(ks_bytes value);

/* Each gives VALIDATION. */
ks_result ks_refuse_length(struct ks_refusal *refusal, const struct ks_member *member,
                           const char *comparison, int32_t bound);
ks_result ks_refuse_number(struct ks_refusal *refusal, const char *path, int32_t value,
                           const char *comparison, int32_t bound);
ks_result ks_refuse_enum(struct ks_refusal *refusal, const char *path, int32_t value,
                         const char *set);
ks_result ks_refuse_null(struct ks_refusal *refusal, const char *path);

#define KS_AT_LEAST "greater"
#define KS_AT_MOST  "less"
