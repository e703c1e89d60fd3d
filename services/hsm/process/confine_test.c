/* Each claim in a child of its own: there is no way back from the filter. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "pkg/base/mem.h"
#include "services/hsm/process/confine.h"
#include "tests/harness/skip.h"

#define PAGE_LEN      4096
#define NOBODY        65534
#define LOCKED        50
#define NO_SUCH_LIMIT 99

typedef void (*act_fn)(void);

/* How the child ended: its exit code, or minus the signal that killed it. */
static int confined(act_fn act)
{
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (ks_failed(ks_confine_calls())) {
            _exit(99);
        }
        act();
        _exit(errno == EPERM ? 1 : 0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void open_a_file(void)
{
    errno = 0;
    (void)!open("/etc/passwd", O_RDONLY);
}

static void write_a_file(void)
{
    errno = 0;
    (void)!open("/tmp/hsm_confine_test", O_WRONLY | O_CREAT, 0600);
}

static void make_a_socket(void)
{
    errno = 0;
    (void)!socket(AF_INET, SOCK_STREAM, 0);
}

static void map_code(void)
{
    errno = 0;
    (void)!mmap(NULL, PAGE_LEN, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                0);
}

static void make_a_process(void)
{
    errno = 0;
    (void)!fork();
}

static void send_a_signal(void)
{
    errno = 0;
    (void)!kill(getppid(), 0);
}

static void run_a_program(void)
{
    char *const arguments[] = {NULL};
    (void)!execve("/bin/true", arguments, arguments);
}

static void trace(void)
{
    (void)!ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static void read_another_process(void)
{
    char byte;
    struct iovec here = {&byte, 1};
    struct iovec there = {&byte, 1};
    (void)!process_vm_readv(getppid(), &here, 1, &there, 1, 0);
}

/*
 * What serving needs must go on: memory small and large, a line to stderr, the time, and the seed
 * that OpenSSL's generator asks the kernel for once an hour.
 */
static void work(void)
{
    uint8_t seed[48];
    struct timespec now;
    if (syscall(SYS_getrandom, seed, sizeof(seed), 0) != sizeof(seed) ||
        syscall(SYS_clock_gettime, CLOCK_BOOTTIME, &now) != 0) {
        _exit(2);
    }
    errno = 0;
    for (size_t len = 16; len < (64U << 20); len *= 4) {
        uint8_t *block = ks_alloc(1, len);
        block[len - 1] = 1;
        ks_free(block);
    }
    (void)!write(STDERR_FILENO, "", 0);
    (void)getpid();
}

static void refuses_files_sockets_processes_and_code(void **state)
{
    (void)state;
    static const act_fn refused[] = {open_a_file, write_a_file,   make_a_socket,
                                     map_code,    make_a_process, send_a_signal};
    if (!ks_confine_is_built_in()) {
        skip_because("a sanitizer's build has no filter");
    }
    for (size_t i = 0; i < KS_COUNT(refused); i++) {
        assert_int_equal(confined(refused[i]), 1);
    }
}

static void is_killed_for_running_tracing_or_reading(void **state)
{
    (void)state;
    static const act_fn deadly[] = {run_a_program, trace, read_another_process};
    if (!ks_confine_is_built_in()) {
        skip_because("a sanitizer's build has no filter");
    }
    for (size_t i = 0; i < KS_COUNT(deadly); i++) {
        assert_int_equal(confined(deadly[i]), -SIGSYS);
    }
}

static void fail_an_assertion(void)
{
    abort();
}

static void works_on(void **state)
{
    (void)state;

    assert_int_equal(confined(work), 0);
    assert_int_equal(confined(fail_an_assertion), -SIGABRT);
}

/* In a child, as limits and locks stay. Exit code: the result's number, LOCKED more if it is. */
static int lock(rlim_t limit_bytes, size_t wanted, bool allow_unlocked)
{
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit limit = {limit_bytes, limit_bytes};
        bool locked = false;
        if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0 || (geteuid() == 0 && setuid(NOBODY) != 0)) {
            _exit(NO_SUCH_LIMIT);
        }
        ks_result r = ks_confine_memory(wanted, allow_unlocked, &locked);
        struct rlimit core = {1, 1};
        getrlimit(RLIMIT_CORE, &core);
        _exit(core.rlim_max != 0 ? 98 : (int)r.code + (locked ? LOCKED : 0));
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void refuses_to_start_where_memory_cannot_be_locked(void **state)
{
    (void)state;
    if (!ks_confine_is_built_in()) {
        skip_because("a sanitizer's build locks nothing");
    }
    assert_int_equal(lock(PAGE_LEN, 64U << 20, false), KS_LIMIT_EXCEEDED);
    assert_int_equal(lock(PAGE_LEN, 64U << 20, true), KS_OK);
}

/* What is mapped now would fit; what may be needed later would not. */
static void looks_at_what_may_be_needed_later(void **state)
{
    (void)state;
    if (!ks_confine_is_built_in() || lock(256U << 20, 128U << 20, false) == NO_SUCH_LIMIT) {
        skip_because("a sanitizer's build locks nothing, or nobody may raise the limit here");
    }
    assert_int_equal(lock(256U << 20, 128U << 20, false), KS_OK + LOCKED);
    assert_int_equal(lock(256U << 20, 512U << 20, false), KS_LIMIT_EXCEEDED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_files_sockets_processes_and_code),
        cmocka_unit_test(is_killed_for_running_tracing_or_reading),
        cmocka_unit_test(works_on),
        cmocka_unit_test(refuses_to_start_where_memory_cannot_be_locked),
        cmocka_unit_test(looks_at_what_may_be_needed_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
