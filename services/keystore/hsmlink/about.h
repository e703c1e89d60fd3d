/*
 * about: a stored record that requests to the hsm rest on. It is made once, and may be named by many
 * requests; a frame carries it once, however many of its requests name it.
 *
 * Threads: made by one; afterwards the link alone writes to it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "pkg/base/arena.h"
#include "pkg/base/bytes.h"
#include "pkg/base/result.h"

struct ks_about {
    ks_bytes packed; /* an element of HsmBatch.records, with its tag and length */
    ks_bytes name;   /* parts of it */
    ks_bytes record;

    /* The link's own: the frame that carries it, and its place there. */
    uint64_t frame;
    uint32_t place;
    bool is_written;
};

/*
 * Makes one. It and a copy of name and record are in arena.
 * ret_about  untouched after a failure.
 * Fails: LIMIT_EXCEEDED (the arena is full).
 */
KS_MUST_USE ks_result ks_about_new(ks_bytes name, ks_bytes record, struct ks_arena *arena,
                                   struct ks_about **ret_about);
