/*
 * failure: the reason why a command failed, as one line and an exit code.
 *
 *     keystead: NotFoundException: Key 'arn:…' does not exist; "keystead key list" shows …
 *
 * A failure of the service is named as the service names it; one of this machine (a file, the
 * command line) has no name. One table gives exit code and hint of each row of KS_RESULTS; the
 * README and --help show it.
 *
 * Threads: values; any.
 */
#pragma once

#include <stdbool.h>

#include "pkg/base/bytes.h"
#include "pkg/base/result.h"

struct ks_rpc_error;

enum ks_exit {
    KS_EXIT_OK = 0,
    KS_EXIT_FAILURE = 1,     /* anything that has no number of its own */
    KS_EXIT_USAGE = 2,       /* the command line, or a value in it, is not valid */
    KS_EXIT_NOT_FOUND = 3,   /* no such key, alias, account or user */
    KS_EXIT_DENIED = 4,      /* not allowed, or not known */
    KS_EXIT_CIPHERTEXT = 5,  /* what should be opened is damaged, or belongs elsewhere */
    KS_EXIT_UNAVAILABLE = 6, /* no answer in time: try again */
    KS_EXIT_STATE = 7,       /* a conflict, a limit, or the key's state */
    KS_EXIT_COUNT
};

#define KS_FAILURE_TEXT_LEN 1152U /* bytes, NUL included */
#define KS_FAILURE_LINE_MAX 1024U

/* {0}: none. */
struct ks_failure {
    bool named;  /* the service said it: the line has the exception's name */
    bool hinted; /* the code's hint stands behind it */
    char text[KS_FAILURE_TEXT_LEN];
};

/*
 * Notes a failure that this machine has found, and returns code as the result, from which the exit
 * code follows. A text that was noted before is replaced.
 */
__attribute__((format(printf, 3, 4))) ks_result ks_fail(struct ks_failure *failure, ks_code code,
                                                        const char *format, ...);

/* Notes the failure of a call, and returns error->code as the result. */
ks_result ks_fail_call(struct ks_failure *failure, const struct ks_rpc_error *error);

/* Returns the exit code of a failure. */
enum ks_exit ks_exit_of(ks_code code);

/* Returns a hint on what may help; never NULL, and "" where nothing general can be said. */
const char *ks_hint_of(ks_code code);

/* Returns what an exit code means, for people. */
const char *ks_exit_text(enum ks_exit code);

/*
 * Appends the line with its newline; control characters become '?'.
 * Fails: LIMIT_EXCEEDED (the buffer's cap; out may hold a part of the line).
 */
KS_MUST_USE ks_result ks_failure_line(const struct ks_failure *failure, ks_code code,
                                      struct ks_buffer *out);
