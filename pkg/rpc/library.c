#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <grpc/grpc.h>
#include <grpc/status.h>
#include <grpc/support/log.h>

#include "pkg/base/log.h"
#include "pkg/base/result.h"
#include "pkg/rpc/abseil.h"
#include "pkg/rpc/loop.h"

/*
 * What the library may log in a minute. Whoever can open a connection can make it complain, and
 * must not be able to fill a disk.
 */
#define LOG_LINES_PER_MINUTE 60

/*
 * The library allows TLS 1.2 and its C interface has no way to say otherwise, but for the cipher
 * list, which concerns TLS 1.2 and older alone (TLS 1.3 has suites of its own). A suite that needs
 * a pre-shared key, which nobody here sets, leaves 1.2 without any it could use. rpc_test shows
 * that a TLS 1.2 handshake fails. Should a later OpenSSL not know the suite, no listener starts.
 */
#define CIPHERS_VARIABLE "GRPC_SSL_CIPHER_SUITES"
#define NO_TLS_1_2       "PSK-AES256-GCM-SHA384"

/* pkg/base/result.h writes gRPC's numbers without including gRPC. */
#define KS_RESULT_STATUS(name, grpc, wire, http, retry, text)                                      \
    static_assert((grpc) >= GRPC_STATUS_OK && (grpc) <= GRPC_STATUS_UNAUTHENTICATED, #name);
KS_RESULTS(KS_RESULT_STATUS)
#undef KS_RESULT_STATUS
static_assert(GRPC_STATUS_OK == 0, "OK");
static_assert(GRPC_STATUS_CANCELLED == 1, "CANCELLED");
static_assert(GRPC_STATUS_INVALID_ARGUMENT == 3, "VALIDATION");
static_assert(GRPC_STATUS_DEADLINE_EXCEEDED == 4, "DEADLINE");
static_assert(GRPC_STATUS_NOT_FOUND == 5, "NOT_FOUND");
static_assert(GRPC_STATUS_ALREADY_EXISTS == 6, "ALREADY_EXISTS");
static_assert(GRPC_STATUS_PERMISSION_DENIED == 7, "ACCESS_DENIED");
static_assert(GRPC_STATUS_RESOURCE_EXHAUSTED == 8, "THROTTLED");
static_assert(GRPC_STATUS_FAILED_PRECONDITION == 9, "INVALID_STATE");
static_assert(GRPC_STATUS_ABORTED == 10, "CONFLICT");
static_assert(GRPC_STATUS_UNIMPLEMENTED == 12, "UNSUPPORTED");
static_assert(GRPC_STATUS_INTERNAL == 13, "INTERNAL");
static_assert(GRPC_STATUS_UNAVAILABLE == 14, "UNAVAILABLE");
static_assert(GRPC_STATUS_DATA_LOSS == 15, "CORRUPT");
static_assert(GRPC_STATUS_UNAUTHENTICATED == 16, "UNAUTHENTICATED");

#ifndef __has_feature
#define __has_feature(x) 0
#endif

#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
/*
 * The library is not built with ThreadSanitizer, which would take all that it cannot see for a
 * race. Of our own code everything counts: tag.h tells what the library orders.
 */
const char *__tsan_default_options(void);
const char *__tsan_default_suppressions(void);

const char *__tsan_default_options(void)
{
    return "ignore_noninstrumented_modules=1";
}

const char *__tsan_default_suppressions(void)
{
    return "called_from_lib:libgrpc.so\ncalled_from_lib:libgpr.so\nrace:libgrpc.so\n";
}
#endif

static atomic_llong log_minute;
static atomic_int log_lines;

/* Counts a line against the current minute; false if it has had its share. */
static bool may_log(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    long long minute = now.tv_sec / 60;
    if (atomic_exchange(&log_minute, minute) != minute) {
        atomic_store(&log_lines, 0);
    }
    return atomic_fetch_add(&log_lines, 1) < LOG_LINES_PER_MINUTE;
}

/* At GPR_LOG_SEVERITY_ERROR the library writes what failed, never what a message holds. */
static void log_line(gpr_log_func_args *args)
{
    if (args->severity < GPR_LOG_SEVERITY_ERROR || !may_log()) {
        return;
    }
    const char *slash = strrchr(args->file, '/');
    ks_log(WARN, "rpc library", KS_TEXT("cause", args->message),
           KS_TEXT("file", slash ? slash + 1 : args->file), KS_NUMBER("line", args->line));
}

void ks_rpc_init(void)
{
    int failed = setenv(CIPHERS_VARIABLE, NO_TLS_1_2, 1);
    assert(!failed);
    ks_rpc_abseil_init();
    gpr_set_log_function(log_line);
    gpr_set_log_verbosity(GPR_LOG_SEVERITY_ERROR);
    grpc_init();
}

void ks_rpc_shutdown(void)
{
    grpc_shutdown_blocking();
}
