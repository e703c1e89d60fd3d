/*
 * clock: time as an argument. Code whose behaviour depends on time takes a struct ks_clock. Programs
 * pass ks_clock_system, and tests pass a clock that they step by hand.
 *
 * Threads: any thread may read the system clock.
 */
#pragma once

#include <stdint.h>

#define KS_NS_PER_MS 1000000LL
#define KS_NS_PER_S  1000000000LL

struct ks_clock {
    /* Nanoseconds since the machine started. Runs on during a suspend; never steps back. */
    int64_t (*boot_ns)(void *user);
    /* Milliseconds since 1970-01-01 UTC. May step: for records that people read, never for waits. */
    int64_t (*wall_ms)(void *user);
    void *user;
};

/* CLOCK_BOOTTIME and CLOCK_REALTIME. */
extern const struct ks_clock ks_clock_system;

/* Each returns what the clock says now; reading a clock cannot fail. */
int64_t ks_clock_boot_ns(const struct ks_clock *clock);
int64_t ks_clock_wall_ms(const struct ks_clock *clock);
