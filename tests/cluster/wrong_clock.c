/*
 * wrong_clock: a library to be preloaded into one process of a test, whose wall clock is then wrong
 * by what stands in a file: the seconds as an int64, in the machine's order, named by the
 * environment variable WRONG_CLOCK. The file is mapped, so that a test steps the clock of a running
 * process by writing it. Every other clock is left as it is.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *ahead_s;

__attribute__((constructor)) static void map_file(void)
{
    const char *path = getenv("WRONG_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *mapped = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED) {
        abort(); /* a test that steps nothing would prove nothing */
    }
    close(fd);
    ahead_s = mapped;
}

int clock_gettime(clockid_t id, struct timespec *now)
{
    int rc = (int)syscall(SYS_clock_gettime, id, now);
    if (rc == 0 && id == CLOCK_REALTIME && ahead_s) {
        now->tv_sec += *ahead_s;
    }
    return rc;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    (void)zone;
    struct timespec exact;
    int rc = clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return rc;
}

time_t time(time_t *ret_now)
{
    struct timespec exact;
    (void)clock_gettime(CLOCK_REALTIME, &exact);
    if (ret_now) {
        *ret_now = exact.tv_sec;
    }
    return exact.tv_sec;
}
