/*
 * refusal: why a request is not carried out, as its caller will read it. One form for what the
 * frontend finds and for what a keystore answers, for calls and for entries of a batch.
 *
 * Threads: a value; belongs to its request.
 */
#pragma once

#include <stddef.h>

#include "pkg/base/bytes.h"
#include "pkg/base/result.h"
#include "pkg/rpc/status.h"

#define KS_REFUSAL_NAME_MAX    32U
#define KS_REFUSAL_VALUE_MAX   128U
#define KS_REFUSAL_DETAILS_MAX 4U

struct ks_refusal_detail {
    char name[KS_REFUSAL_NAME_MAX + 1];
    char value[KS_REFUSAL_VALUE_MAX + 1];
};

struct ks_refusal {
    ks_code code;                   /* KS_OK: none */
    char text[KS_RPC_TEXT_MAX + 1]; /* "": the row's text */
    const char *field;              /* member of the request that is to blame; static or NULL */
    struct ks_refusal_detail details[KS_REFUSAL_DETAILS_MAX];
    size_t detail_count;
};

/* Sets code and text and gives the code as a result. A longer text is cut between characters. */
__attribute__((format(printf, 3, 4))) ks_result ks_refuse(struct ks_refusal *refusal, ks_code code,
                                                          const char *format, ...);

/* Sets the code with the row's text. */
ks_result ks_refuse_plainly(struct ks_refusal *refusal, ks_code code);

/* Sets the text to what another process sent; cut between characters. */
void ks_refusal_set_text(struct ks_refusal *refusal, ks_bytes text);

/* Adds an entry of ErrorInfo.metadata. What does not fit, or is one too many, is left out. */
void ks_refusal_add(struct ks_refusal *refusal, ks_bytes name, ks_bytes value);

/* The same as a status for pkg/rpc; borrows from refusal. */
struct ks_rpc_status ks_refusal_status(const struct ks_refusal *refusal);
