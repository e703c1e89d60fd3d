#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "pkg/base/mem.h"
#include "pkg/process/process.h"

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) ||                               \
    __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED true
#else
#define SANITIZED false
#endif

#define MEMORY_LEN (8U << 20) /* above what glibc would map for itself or trim at once */

static int begin(void **state)
{
    (void)state;
    ks_process_begin();
    return 0;
}

static void its_memory_is_not_dumped(void **state)
{
    (void)state;

    assert_int_equal(prctl(PR_GET_DUMPABLE), 0);
}

/* etcd's client and the hsm link write to connections that may be gone. */
static void a_broken_pipe_is_an_error_and_not_the_end(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);

    assert_int_equal(write(ends[1], "x", 1), -1);

    close(ends[1]);
}

static long page_faults(void)
{
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
    return usage.ru_minflt;
}

static void use_and_free(void)
{
    uint8_t *memory = ks_realloc(NULL, MEMORY_LEN, 1);
    memset(memory, 1, MEMORY_LEN);
    ks_free(memory);
}

/* Sanitizers have an allocator of their own, which decides otherwise. */
static void freed_memory_is_used_again_without_asking_the_kernel(void **state)
{
    (void)state;
    if (SANITIZED) {
        skip();
    }
    use_and_free();
    long before = page_faults();

    use_and_free();

    assert_true(page_faults() - before < (long)(MEMORY_LEN / 4096 / 10));
}

static void a_signal_to_stop_waits_until_it_is_asked_for(void **state)
{
    (void)state;
    const int numbers[] = {SIGTERM, SIGINT};

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        assert_int_equal(kill(getpid(), numbers[i]), 0);
        assert_int_equal(ks_process_await_stop(), numbers[i]);
    }
}

/* A thread that did not block it would take the signal, and the process would end. */
static void the_librarys_threads_leave_the_signal_to_main(void **state)
{
    (void)state;

    assert_int_equal(ks_process_open("process_test", KS_LOG_ERROR).code, KS_OK);
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    assert_int_equal(ks_process_await_stop(), SIGTERM);
    ks_process_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_memory_is_not_dumped),
        cmocka_unit_test(a_broken_pipe_is_an_error_and_not_the_end),
        cmocka_unit_test(freed_memory_is_used_again_without_asking_the_kernel),
        cmocka_unit_test(a_signal_to_stop_waits_until_it_is_asked_for),
        cmocka_unit_test(the_librarys_threads_leave_the_signal_to_main),
    };
    return cmocka_run_group_tests(tests, begin, NULL);
}
