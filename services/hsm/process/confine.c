#include "services/hsm/process/confine.h"

#include <assert.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pkg/base/mem.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(undefined_behavior_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* What the serve loop, OpenSSL's generator, malloc, the log and abort() need. */
static const int allowed[] = {
    SCMP_SYS(read),           SCMP_SYS(write),        SCMP_SYS(recvfrom),
    SCMP_SYS(sendto),         SCMP_SYS(accept4),      SCMP_SYS(close),
    SCMP_SYS(epoll_wait),     SCMP_SYS(epoll_pwait),  SCMP_SYS(epoll_ctl),
    SCMP_SYS(getsockopt),     SCMP_SYS(getrandom),    SCMP_SYS(clock_gettime),
    SCMP_SYS(gettimeofday),   SCMP_SYS(brk),          SCMP_SYS(munmap),
    SCMP_SYS(mremap),         SCMP_SYS(madvise),      SCMP_SYS(futex),
    SCMP_SYS(getpid),         SCMP_SYS(gettid),       SCMP_SYS(getuid),
    SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(restart_syscall),
    SCMP_SYS(tgkill),         SCMP_SYS(exit),         SCMP_SYS(exit_group),
};

/* Memory, but none that can be run. */
static const int allowed_not_executable[] = {SCMP_SYS(mmap), SCMP_SYS(mprotect)};

/* Nobody asks for these by mistake. */
static const int killing[] = {
    SCMP_SYS(execve),           SCMP_SYS(execveat),          SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev),
};

#define PROTECTION_ARGUMENT 2U /* of mmap and mprotect */

bool ks_confine_is_built_in(void)
{
    return !SANITIZED;
}

/* CAP_IPC_LOCK: the limit does not count. */
static bool may_lock_anything(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{0}};
    if (syscall(SYS_capget, &header, data) != 0) {
        return false;
    }
    return data[CAP_TO_INDEX(CAP_IPC_LOCK)].effective & CAP_TO_MASK(CAP_IPC_LOCK);
}

static bool is_limit_enough(size_t locked_bytes)
{
    struct rlimit limit = {0};
    if (may_lock_anything()) {
        return true;
    }
    return getrlimit(RLIMIT_MEMLOCK, &limit) == 0 &&
           (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= locked_bytes);
}

ks_result ks_confine_memory(size_t locked_bytes, bool allow_unlocked, bool *ret_locked)
{
    assert(ret_locked);

    const struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_CORE, &none) != 0 || prctl(PR_SET_DUMPABLE, 0) != 0) {
        return KS_RES(INTERNAL);
    }
    if (SANITIZED) {
        *ret_locked = false;
        return KS_RES(OK);
    }
    bool locked = is_limit_enough(locked_bytes) && mlockall(MCL_CURRENT | MCL_FUTURE) == 0;
    if (!locked && !allow_unlocked) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    *ret_locked = locked;
    return KS_RES(OK);
}

static void release(scmp_filter_ctx *filter)
{
    if (*filter) {
        seccomp_release(*filter);
    }
}

static bool add_all(scmp_filter_ctx filter, uint32_t action, const int *calls, size_t count)
{
    bool good = true;
    for (size_t i = 0; i < count; i++) {
        good = seccomp_rule_add(filter, action, calls[i], 0) == 0 && good;
    }
    return good;
}

ks_result ks_confine_calls(void)
{
    if (SANITIZED) {
        return KS_RES(OK);
    }
    KS_CLEANUP(release) scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(1 /* EPERM */));
    if (!filter || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return KS_RES(INTERNAL);
    }
    const struct scmp_arg_cmp not_executable =
        SCMP_CMP(PROTECTION_ARGUMENT, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
    bool good = add_all(filter, SCMP_ACT_ALLOW, allowed, KS_COUNT(allowed)) &&
                add_all(filter, SCMP_ACT_KILL_PROCESS, killing, KS_COUNT(killing));
    for (size_t i = 0; i < KS_COUNT(allowed_not_executable); i++) {
        good = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed_not_executable[i], 1,
                                not_executable) == 0 &&
               good;
    }
    return good && seccomp_load(filter) == 0 ? KS_RES(OK) : KS_RES(INTERNAL);
}
