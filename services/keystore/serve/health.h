/*
 * health: whether this keystore can answer: it has a serving window, and its hsm is there. The hsm is
 * asked several times a second, because one that hangs keeps its connection.
 *
 * Threads: ks_health_run on a worker's thread, every KS_HEALTH_PERIOD_MS.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "pkg/base/clock.h"

#define KS_HEALTH_PERIOD_MS  100
#define KS_HEALTH_SILENCE_MS 400 /* without an answer the hsm does not count as there after this */

struct ks_health;
struct ks_hsm_link;
struct ks_store;
struct ks_worker;

/* All borrowed. */
struct ks_health_options {
    struct ks_store *store;
    struct ks_hsm_link *link;
    const struct ks_clock *clock; /* NULL: ks_clock_system */
    /* Whether it can answer has changed; before the first call it can't. On the worker's thread. */
    void (*on_change)(void *user, bool serving);
    void *user;
};

/* Makes it; never NULL. Free with ks_health_free, after the worker was stopped and the link freed. */
struct ks_health *ks_health_new(const struct ks_health_options *options);

/* NULL is fine. */
void ks_health_free(struct ks_health *health);

/* The worker's function: looks once. user is the struct ks_health. */
void ks_health_run(void *user, struct ks_worker *worker);
