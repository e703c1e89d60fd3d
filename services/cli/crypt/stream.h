/*
 * stream: reads an input with a look ahead, writes an output that may be a terminal, and shows how
 * far a command has come. What a terminal cannot show is not written to it.
 *
 * Threads: one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "services/cli/output/failure.h"

#define KS_SOURCE_LEN_MAX (65536U + 16U + 1U) /* a sealed segment, and one byte to see its end */

/* {.file = 0}: stdin, nothing read yet. The bytes are wiped as they are used up. */
struct ks_source {
    int file;
    bool ended;
    size_t begin; /* of what was read and not used */
    size_t end;
    uint8_t bytes[KS_SOURCE_LEN_MAX];
};

/*
 * Reads the next len bytes without using them up; fewer only at the end of the input.
 *
 * ret_bytes  borrowed until the next call. Written on success only.
 *
 * Fails: INTERNAL (reading failed).
 */
KS_MUST_USE ks_result ks_source_peek(struct ks_source *source, size_t len, ks_bytes *ret_bytes,
                                     struct ks_failure *failure);

/*
 * Uses up the next len_max bytes, or what is left of the input.
 *
 * len_max      below KS_SOURCE_LEN_MAX.
 * ret_bytes    borrowed until the next call. Written on success only.
 * ret_is_last  whether the input ends there. Written on success only.
 *
 * Fails: as above.
 */
KS_MUST_USE ks_result ks_source_take(struct ks_source *source, size_t len_max, ks_bytes *ret_bytes,
                                     bool *ret_is_last, struct ks_failure *failure);

/* Wipes the bytes; the file stays open. */
void ks_source_done(struct ks_source *source);
#define KS_SOURCE_AUTO KS_CLEANUP(ks_source_done) struct ks_source

/* Returns how long the input is, when it is a file; else 0. */
uint64_t ks_source_size(const struct ks_source *source);

/* An output. */
struct ks_sink {
    int file;
    bool guarded; /* it is a terminal, and --force was not given: text only */
};

struct ks_sink ks_sink_of(int file, bool force);

/*
 * Refuses to write binary output to a terminal, before the command does anything.
 * Fails: VALIDATION (the sink is guarded).
 */
KS_MUST_USE ks_result ks_sink_check_binary(const struct ks_sink *sink, struct ks_failure *failure);

/*
 * Writes all of it.
 * Fails: VALIDATION (no text, and the sink is a terminal), INTERNAL (writing failed).
 */
KS_MUST_USE ks_result ks_sink_write(const struct ks_sink *sink, ks_bytes bytes,
                                    struct ks_failure *failure);

/*
 * Returns whether a terminal shows bytes as they are: UTF-8 without control characters but for tab
 * and line ends. A character that is cut at either end counts as whole: a segment may end anywhere.
 */
bool ks_is_printable(ks_bytes bytes);

/* A line on stderr that is written over, if that is a terminal and it takes long enough. */
struct ks_progress {
    const char *what; /* "encrypted"; NULL: off */
    uint64_t total;   /* bytes; 0: not known */
    uint64_t done;
    int64_t begun_ns;
    int64_t shown_ns; /* 0: never */
};

void ks_progress_begin(struct ks_progress *progress, const char *what, uint64_t total);
void ks_progress_add(struct ks_progress *progress, size_t len);

/* Takes the line away. */
void ks_progress_end(struct ks_progress *progress);
