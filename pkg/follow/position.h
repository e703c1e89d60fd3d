/*
 * position: says how far a copy of the control plane's records goes: the epoch of the history that
 * it follows, and the newest revision of that history that it has.
 *
 * Threads: values; any.
 */
#pragma once

#include <stdint.h>
#include <string.h>

#define KS_FOLLOW_EPOCH_MAX 64U /* bytes */

struct ks_follow_position {
    char epoch[KS_FOLLOW_EPOCH_MAX + 1]; /* "": there is no copy yet */
    int64_t revision;
};

/* Returns whether both are of one epoch. */
static inline _Bool ks_follow_same_epoch(const struct ks_follow_position *one,
                                         const struct ks_follow_position *other)
{
    return strcmp(one->epoch, other->epoch) == 0;
}
