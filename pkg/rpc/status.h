/*
 * status: how a call ended. On the wire it is a gRPC status and a google.rpc.Status whose
 * ErrorInfo has the reason ks_wire_name(code), so that a client switches on a name and not on a
 * sentence.
 *
 * Threads: values.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/base/result.h"

#define KS_RPC_DOMAIN         "kms.keystead" /* ErrorInfo.domain */
#define KS_RPC_METADATA_MAX   6U             /* entries of ErrorInfo.metadata */
#define KS_RPC_TEXT_MAX       768U           /* bytes of the text; this and what follows is cut */
#define KS_RPC_NAME_MAX       63U            /* of an entry's name, and of a reason */
#define KS_RPC_VALUE_MAX      255U           /* of an entry's value, and of a violation */
#define KS_RPC_FIELD_MAX      127U           /* of a violated field's path */
#define KS_RPC_VIOLATIONS_MAX 5U             /* fields of a BadRequest */
#define KS_RPC_VIOLATION_MAX  160U /* of what is wrong with one, where there are several */
#define KS_RPC_RETRY_MS       100  /* RetryInfo of a retryable code that names no delay */

/* An entry of ErrorInfo.metadata. Borrowed, NUL-terminated. */
struct ks_rpc_entry {
    const char *name;
    const char *value;
};

/* {.code = KS_NOT_FOUND} is complete. All strings are borrowed. */
struct ks_rpc_status {
    ks_code code;
    const char *text; /* NULL: ks_text(code) */
    struct ks_rpc_entry metadata[KS_RPC_METADATA_MAX];
    size_t metadata_count;
    int64_t retry_delay_ms; /* RetryInfo; 0: KS_RPC_RETRY_MS if the code is retryable, else none */
    struct ks_rpc_entry violations[KS_RPC_VIOLATIONS_MAX]; /* BadRequest: field, what is wrong */
    size_t violation_count;
};

/*
 * Why a call failed, as its caller sees it; a value that owns its texts.
 * If the server sent an ErrorInfo, code is the row with its reason; otherwise (a server that is
 * not ours, or the library itself) the row nearest to the gRPC status.
 */
struct ks_rpc_error {
    ks_code code;
    char text[KS_RPC_TEXT_MAX + 1];   /* for people */
    char reason[KS_RPC_NAME_MAX + 1]; /* ErrorInfo.reason as sent; "" if none came */
    struct ks_rpc_error_entry {
        char name[KS_RPC_NAME_MAX + 1];
        char value[KS_RPC_VALUE_MAX + 1];
    } metadata[KS_RPC_METADATA_MAX];
    size_t metadata_count;
    int64_t retry_delay_ms; /* 0: none was sent */
    char violated_field[KS_RPC_FIELD_MAX + 1];
    char violation[KS_RPC_VALUE_MAX + 1];
};

/* Returns the value of error->metadata under name, borrowed from error; NULL if there is none. */
const char *ks_rpc_error_entry(const struct ks_rpc_error *error, const char *name);
