#include "pkg/base/clock.h"

#include <assert.h>
#include <stddef.h>
#include <time.h>

static int64_t read_ns(clockid_t id)
{
    struct timespec now;
    int rc = clock_gettime(id, &now);
    assert(rc == 0);
    return (int64_t)now.tv_sec * KS_NS_PER_S + now.tv_nsec;
}

static int64_t system_boot_ns(void *user)
{
    (void)user;
    return read_ns(CLOCK_BOOTTIME);
}

static int64_t system_wall_ms(void *user)
{
    (void)user;
    return read_ns(CLOCK_REALTIME) / KS_NS_PER_MS;
}

const struct ks_clock ks_clock_system = {system_boot_ns, system_wall_ms, NULL};

int64_t ks_clock_boot_ns(const struct ks_clock *clock)
{
    return clock->boot_ns(clock->user);
}

int64_t ks_clock_wall_ms(const struct ks_clock *clock)
{
    return clock->wall_ms(clock->user);
}
