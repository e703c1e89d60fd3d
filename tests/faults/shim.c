/*
 * A library that is preloaded into a process, so that a test can turn its clock and break its disk
 * while it runs. It reads what it is to do from a page of a file, which KEYSTEAD_SHIM names and the
 * test writes:
 *
 *   int64  wall_offset_ns   is added to CLOCK_REALTIME
 *   int64  frozen_ns        not 0: CLOCK_BOOTTIME stands still at this time
 *   int64  sync_fails       not 0: fsync, fdatasync and msync fail with EIO
 *
 * Nothing else changes. Without the file the process runs as if there were no shim.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000LL

struct page {
    _Atomic int64_t wall_offset_ns;
    _Atomic int64_t frozen_ns;
    _Atomic int64_t sync_fails;
};

static struct page none;
static struct page *page = &none;

__attribute__((constructor)) static void open_page(void)
{
    const char *path = getenv("KEYSTEAD_SHIM");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) {
        return;
    }
    void *mapped = mmap(NULL, sizeof(struct page), PROT_READ, MAP_SHARED, fd, 0);
    if (mapped != MAP_FAILED) {
        page = mapped;
    }
    close(fd);
}

int clock_gettime(clockid_t clock, struct timespec *ret_time)
{
    int result = (int)syscall(SYS_clock_gettime, clock, ret_time);
    int64_t frozen = page->frozen_ns;
    int64_t ns = (int64_t)ret_time->tv_sec * NS_PER_S + ret_time->tv_nsec;
    if (result != 0) {
        return result;
    }
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) {
        ns += page->wall_offset_ns;
    } else if (clock == CLOCK_BOOTTIME && frozen != 0) {
        ns = frozen;
    }
    ret_time->tv_sec = ns / NS_PER_S;
    ret_time->tv_nsec = ns % NS_PER_S;
    return 0;
}

int gettimeofday(struct timeval *restrict ret_time, void *restrict zone)
{
    (void)zone;
    struct timespec now;
    int result = clock_gettime(CLOCK_REALTIME, &now);
    ret_time->tv_sec = now.tv_sec;
    ret_time->tv_usec = now.tv_nsec / 1000;
    return result;
}

time_t time(time_t *ret_time)
{
    struct timespec now;
    time_t seconds = clock_gettime(CLOCK_REALTIME, &now) == 0 ? now.tv_sec : (time_t)-1;
    if (ret_time) {
        *ret_time = seconds;
    }
    return seconds;
}

static int fail_or(long number, long a, long b, long c)
{
    if (page->sync_fails != 0) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(number, a, b, c);
}

int fsync(int fd)
{
    return fail_or(SYS_fsync, fd, 0, 0);
}

int fdatasync(int fd)
{
    return fail_or(SYS_fdatasync, fd, 0, 0);
}

int msync(void *from, size_t size, int flags)
{
    return fail_or(SYS_msync, (long)from, (long)size, flags);
}
