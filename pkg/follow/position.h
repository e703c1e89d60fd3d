/*
 * position: says how far a copy of the control plane's records goes, as the newest head that it has
 * says (pkg/signedset/head.h).
 *
 * Threads: values; any.
 */
#pragma once

#include <stdint.h>

#define KS_FOLLOW_EPOCH_MAX 64U /* bytes */

struct ks_follow_position {
    char epoch[KS_FOLLOW_EPOCH_MAX + 1];   /* "": there is no copy yet */
    char history[KS_FOLLOW_EPOCH_MAX + 1]; /* as the head names it: revisions compare within it */
    int64_t revision;
    uint64_t number; /* of two heads the one with the higher number is later */
};
