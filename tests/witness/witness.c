#include "tests/witness/witness.h"

#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static const uint8_t *watched;
static size_t watched_len;
static bool saw_freed;
static bool saw_zero;

/* The linker puts __wrap_free in place of free, see BUILD.bazel. */
void __real_free(void *ptr);
void __wrap_free(void *ptr);

static bool holds_watched(const void *block)
{
    uintptr_t start = (uintptr_t)block;
    uintptr_t at = (uintptr_t)watched;
    return at >= start && at < start + malloc_usable_size((void *)start);
}

void __wrap_free(void *ptr)
{
    if (ptr && watched && holds_watched(ptr)) {
        saw_freed = true;
        saw_zero = true;
        for (size_t i = 0; i < watched_len; i++) {
            saw_zero = saw_zero && watched[i] == 0;
        }
        watched = NULL;
    }
    __real_free(ptr);
}

void ks_witness_watch(const void *ptr, size_t len)
{
    watched = ptr;
    watched_len = len;
    saw_freed = false;
    saw_zero = false;
}

bool ks_witness_saw_wiped(void)
{
    return saw_freed && saw_zero;
}

static void run_in_child(void (*fn)(void))
{
    const struct rlimit no_core = {0, 0};
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    (void)setrlimit(RLIMIT_CORE, &no_core);
    (void)dup2(nowhere, STDERR_FILENO);
    (void)signal(SIGABRT, SIG_DFL);
    fn();
    _exit(0);
}

bool ks_witness_aborts(void (*fn)(void))
{
    pid_t child = fork();
    if (child == 0) {
        run_in_child(fn);
    }
    int status = 0;
    return child > 0 && waitpid(child, &status, 0) == child && WIFSIGNALED(status) &&
           WTERMSIG(status) == SIGABRT;
}
