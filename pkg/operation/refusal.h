/*
 * refusal: why a request is not carried out, as its caller will read it. There is one form for what
 * a check finds and for what a keystore answers, for calls and for entries of a batch.
 *
 * Threads: a value; belongs to its request.
 */
#pragma once

#include <stddef.h>

#include "pkg/base/bytes.h"
#include "pkg/base/result.h"

#define KS_REFUSAL_TEXT_MAX       768U /* bytes; a longer text is cut between characters */
#define KS_REFUSAL_NAME_MAX       32U
#define KS_REFUSAL_VALUE_MAX      128U
#define KS_REFUSAL_DETAILS_MAX    4U
#define KS_REFUSAL_VIOLATIONS_MAX 5U /* told; all are counted */
#define KS_REFUSAL_OF_MEMBER_MAX                                                                   \
    2U /* of those told, of one member: a list leaves room for others */

struct ks_refusal_detail {
    char name[KS_REFUSAL_NAME_MAX + 1];
    char value[KS_REFUSAL_VALUE_MAX + 1];
};

/* A member that is to blame, and the part of the text that says why. */
struct ks_refusal_violation {
    const char *field; /* static */
    size_t at;         /* index of the sentence's first byte in the text */
    size_t len;
};

struct ks_refusal {
    ks_code code;                       /* KS_OK: none */
    char text[KS_REFUSAL_TEXT_MAX + 1]; /* "": the row's text */
    struct ks_refusal_violation violations[KS_REFUSAL_VIOLATIONS_MAX];
    size_t violation_count;
    size_t untold_count; /* violations besides */
    struct ks_refusal_detail details[KS_REFUSAL_DETAILS_MAX];
    size_t detail_count;
};

/*
 * Sets code and text, drops violations that were there, and returns the code as a result. A text
 * that is too long is cut between characters.
 */
__attribute__((format(printf, 3, 4))) ks_result
ks_refusal_set(struct ks_refusal *refusal, ks_code code, const char *format, ...);

/* Does the same, and blames a member for it; field is static. */
__attribute__((format(printf, 4, 5))) ks_result ks_refusal_blame(struct ks_refusal *refusal,
                                                                 ks_code code, const char *field,
                                                                 const char *format, ...);

/* Sets the code with the row's text, and returns it as a result. */
ks_result ks_refusal_set_code(struct ks_refusal *refusal, ks_code code);

/* Sets the text to what another process sent; it is cut between characters where it is too long. */
void ks_refusal_set_text(struct ks_refusal *refusal, ks_bytes text);

/*
 * Adds an entry of ErrorInfo.metadata. An entry that does not fit, or is one too many, is left out.
 */
void ks_refusal_add(struct ks_refusal *refusal, ks_bytes name, ks_bytes value);

/*
 * Adds the sentence of one violated constraint behind those that are there: "Value null at 'keyId'
 * failed to satisfy constraint: Member must not be null". Until ks_refusal_conclude the text is the
 * bare sentences. One that is beyond the two limits above, or does not fit as a whole, is counted
 * and not told. field is static.
 */
__attribute__((format(printf, 3, 4))) void
ks_refusal_violate(struct ks_refusal *refusal, const char *field, const char *format, ...);

/*
 * Makes AWS's text of the sentences, "2 validation errors detected: …; …", with VALIDATION. If not
 * all are told, "and 3 more" stands at the end.
 * Fails: VALIDATION if there is a violation; otherwise it returns OK and changes nothing.
 */
KS_MUST_USE ks_result ks_refusal_conclude(struct ks_refusal *refusal);
