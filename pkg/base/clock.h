/*
 * clock: time as an argument. Code that rests on time takes a struct ks_clock; the real one is
 * ks_clock_system, tests step their own.
 *
 * Threads: the system clock from any thread.
 */
#pragma once

#include <stdint.h>

#define KS_NS_PER_MS 1000000LL
#define KS_NS_PER_S  1000000000LL

struct ks_clock {
    /* CLOCK_BOOTTIME: goes on while the machine is suspended, never steps back. Nanoseconds. */
    int64_t (*boot_ns)(void *user);
    /* Wall time in milliseconds since 1970-01-01 UTC: for records that people read, never for waits. */
    int64_t (*wall_ms)(void *user);
    void *user;
};

extern const struct ks_clock ks_clock_system;

int64_t ks_clock_boot_ns(const struct ks_clock *clock);
int64_t ks_clock_wall_ms(const struct ks_clock *clock);
