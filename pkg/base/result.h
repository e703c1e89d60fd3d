/*
 * result: the only error type. docs/errors.md says what each row means to a client; a test compares
 * it with this table.
 *
 * Threads: values; any thread.
 */
#pragma once

#include <stdbool.h>

/*
 * There is one row for each failure to which a caller can react in a way of its own:
 *   C name, gRPC status, name on the wire, HTTP status, whether a retry can help, client text.
 * The wire names and HTTP statuses are those of the AWS KMS API. The text names no key, tenant
 * or host. New rows go last: the numbers are stored in audit records and sent between processes.
 */
#define KS_RESULTS(ROW)                                                                            \
    ROW(OK, 0, "", 200, false, "success")                                                          \
    ROW(VALIDATION, 3, "ValidationException", 400, false, "a field is missing or malformed")       \
    ROW(NOT_FOUND, 5, "NotFoundException", 400, false, "no such key or alias")                     \
    ROW(ALREADY_EXISTS, 6, "AlreadyExistsException", 400, false, "it exists already")              \
    ROW(ACCESS_DENIED, 7, "AccessDeniedException", 400, false,                                     \
        "the caller may not do this, or the resource does not exist")                              \
    ROW(DISABLED, 9, "DisabledException", 400, false, "the key is disabled")                       \
    ROW(INVALID_STATE, 9, "KMSInvalidStateException", 400, false, "the key's state forbids this")  \
    ROW(INVALID_CIPHERTEXT, 3, "InvalidCiphertextException", 400, false,                           \
        "the ciphertext is not valid")                                                             \
    ROW(INCORRECT_KEY, 3, "IncorrectKeyException", 400, false,                                     \
        "the key in the request does not identify the key that can perform this operation")        \
    ROW(INVALID_ARN, 3, "InvalidArnException", 400, false, "the ARN is not valid")                 \
    ROW(INVALID_ALIAS_NAME, 3, "InvalidAliasNameException", 400, false,                            \
        "the alias name is not valid")                                                             \
    ROW(INVALID_MARKER, 3, "InvalidMarkerException", 400, false, "the marker is not valid")        \
    ROW(INVALID_KEY_USAGE, 3, "InvalidKeyUsageException", 400, false,                              \
        "the key's usage does not allow this operation")                                           \
    ROW(TAG, 3, "TagException", 400, false, "a tag is not valid")                                  \
    ROW(LIMIT_EXCEEDED, 8, "LimitExceededException", 400, false, "a quota is exhausted")           \
    ROW(THROTTLED, 8, "ThrottlingException", 400, true, "too many requests")                       \
    ROW(CONFLICT, 10, "ConflictException", 400, false,                                             \
        "the request contradicts another one; read the state and decide anew")                     \
    ROW(UNSUPPORTED, 12, "UnsupportedOperationException", 400, false,                              \
        "this is not supported, or not for this key")                                              \
    ROW(UNAUTHENTICATED, 16, "UnrecognizedClientException", 401, false,                            \
        "the client certificate is not valid here, or was revoked")                                \
    ROW(UNAVAILABLE, 14, "DependencyTimeoutException", 503, true,                                  \
        "the service cannot answer for certain just now; retry with the same request_id")          \
    ROW(DEADLINE, 4, "DeadlineExceededException", 504, true, "the deadline has passed")            \
    ROW(CANCELLED, 1, "CancelledException", 499, true, "the caller gave up")                       \
    ROW(INTERNAL, 13, "KMSInternalException", 500, true, "the request failed inside the service")  \
    /* These two pass between our own processes only; a client is told INTERNAL. */                \
    ROW(STALE_VIEW, 10, "StaleViewException", 500, true, "the decision rests on an old view")      \
    ROW(CORRUPT, 15, "CorruptException", 500, false, "stored data is damaged")                     \
    /* More rows follow here. */

#define KS_RESULT_ENUM(name, grpc, wire, http, retry, text) KS_##name,

typedef enum ks_code { KS_RESULTS(KS_RESULT_ENUM) KS_CODE_COUNT } ks_code;

#undef KS_RESULT_ENUM

/* A struct, so that an int or a bool returned by mistake does not compile. */
typedef struct ks_result {
    ks_code code;
} ks_result;

#define KS_MUST_USE  __attribute__((warn_unused_result))
#define KS_RES(name) ((ks_result){KS_##name})

static inline bool ks_failed(ks_result r)
{
    return r.code != KS_OK;
}

/* Returns the failure of expr, if it fails, from the function. No other macro returns. */
#define KS_TRY(expr)                                                                               \
    do {                                                                                           \
        ks_result ks_try_ = (expr);                                                                \
        if (ks_failed(ks_try_)) {                                                                  \
            return ks_try_;                                                                        \
        }                                                                                          \
    } while (0)

/*
 * Each returns a member of the code's row; strings are static. A number that is no code counts as
 * INTERNAL. ks_retryable returns whether a client may try the same request again.
 */
int ks_grpc_status(ks_code code);
int ks_http_status(ks_code code);
const char *ks_wire_name(ks_code code);
const char *ks_text(ks_code code);
bool ks_retryable(ks_code code);

/* Returns the row's C name without its prefix ("INVALID_ARN"), for logs. */
const char *ks_code_name(ks_code code);

/* Returns the code of a number that another process sent; INTERNAL when no row has the number. */
ks_code ks_code_from_number(unsigned number);
