/*
 * score: what a load generator keeps of its calls: how many, how long each took, what failed, and
 * the longest time without a success.
 *
 * Latencies fall into buckets, 64 to each power of two, so that a percentile is right within 1.6 %
 * and memory does not grow with the run.
 *
 * Threads: one at a time; scores of several threads are added up when these have ended.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SCORE_OCTAVE_BUCKETS 64U
#define SCORE_OCTAVES        36U /* up to 2^41 ns, about half an hour */
#define SCORE_BUCKETS        (SCORE_OCTAVES * SCORE_OCTAVE_BUCKETS)
#define SCORE_CODES          32U /* gRPC has 17 status codes, pkg/etcd 15 causes */

struct score {
    int64_t begin_ns; /* what ended before counts for nothing */
    int64_t end_ns;   /* nor does what ended later */
    int64_t gap_ns;   /* longest time without a success; begin and end count as one */
    int64_t last_ns;  /* the last success */
    uint64_t success_count;
    uint64_t failure_count[SCORE_CODES]; /* by status */
    uint64_t bucket[SCORE_BUCKETS];
};

/* A score of the time from begin to end. */
void score_init(struct score *score, int64_t begin_ns, int64_t end_ns);

/* A call that ended now. code 0 is success; a code out of range counts as the last one. */
void score_add(struct score *score, unsigned code, int64_t start_ns, int64_t now_ns);

/* Ends the measured time, at now_ns if that is before end_ns. Before it is read or merged. */
void score_close(struct score *score, int64_t now_ns);

/*
 * Adds another score of the same time. The longest gap becomes the greatest of both: exact for one
 * thread, an upper bound for several.
 */
void score_merge(struct score *into, const struct score *from);

/* The latency that a share of the successes (0 to 1) did not exceed, in ns; 0 without any. */
int64_t score_percentile(const struct score *score, double share);

/*
 * One line of JSON on stdout: calls, seconds, rps, p50_us, p99_us, max_gap_ms, failures (an object:
 * status -> count) and answer_bytes, the length of an answer.
 */
void score_print(const struct score *score, size_t answer_len);
