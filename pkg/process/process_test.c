#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cmocka.h>

#include "pkg/process/process.h"

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
        cmocka_unit_test(a_signal_to_stop_waits_until_it_is_asked_for),
        cmocka_unit_test(the_librarys_threads_leave_the_signal_to_main),
    };
    return cmocka_run_group_tests(tests, begin, NULL);
}
