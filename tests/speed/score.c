#include "tests/speed/score.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#define NS_PER_US 1e3
#define NS_PER_MS 1e6
#define NS_PER_S  1e9

/* Below 2 x 64 ns each bucket is 1 ns wide; then each octave has 64 of twice the width. */
static size_t bucket_of(int64_t latency_ns)
{
    uint64_t value = latency_ns < 0 ? 0 : (uint64_t)latency_ns;
    size_t octave = 0;
    while (value >= 2 * SCORE_OCTAVE_BUCKETS && octave < SCORE_OCTAVES - 2) {
        value >>= 1;
        octave++;
    }
    size_t bucket = octave * SCORE_OCTAVE_BUCKETS + (size_t)value;
    return bucket < SCORE_BUCKETS ? bucket : SCORE_BUCKETS - 1;
}

/* The upper end of a bucket. */
static int64_t bucket_ns(size_t bucket)
{
    if (bucket < 2 * SCORE_OCTAVE_BUCKETS) {
        return (int64_t)bucket;
    }
    size_t octave = bucket / SCORE_OCTAVE_BUCKETS - 1;
    size_t value = bucket - octave * SCORE_OCTAVE_BUCKETS;
    return (int64_t)(((value + 1) << octave) - 1);
}

void score_init(struct score *score, int64_t begin_ns, int64_t end_ns)
{
    assert(begin_ns <= end_ns);
    *score = (struct score){.begin_ns = begin_ns, .end_ns = end_ns, .last_ns = begin_ns};
}

static void note_gap(struct score *score, int64_t now_ns)
{
    if (now_ns - score->last_ns > score->gap_ns) {
        score->gap_ns = now_ns - score->last_ns;
    }
    score->last_ns = now_ns;
}

void score_add(struct score *score, unsigned code, int64_t start_ns, int64_t now_ns)
{
    if (now_ns < score->begin_ns || now_ns > score->end_ns) {
        return;
    }
    if (code != 0) {
        score->failure_count[code < SCORE_CODES ? code : SCORE_CODES - 1]++;
        return;
    }
    score->success_count++;
    score->bucket[bucket_of(now_ns - start_ns)]++;
    note_gap(score, now_ns);
}

void score_close(struct score *score, int64_t now_ns)
{
    if (now_ns < score->end_ns) {
        score->end_ns = now_ns > score->begin_ns ? now_ns : score->begin_ns;
    }
    note_gap(score, score->end_ns);
}

void score_merge(struct score *into, const struct score *from)
{
    into->success_count += from->success_count;
    for (size_t i = 0; i < SCORE_CODES; i++) {
        into->failure_count[i] += from->failure_count[i];
    }
    for (size_t i = 0; i < SCORE_BUCKETS; i++) {
        into->bucket[i] += from->bucket[i];
    }
    into->gap_ns = from->gap_ns > into->gap_ns ? from->gap_ns : into->gap_ns;
    into->end_ns = from->end_ns > into->end_ns ? from->end_ns : into->end_ns;
}

int64_t score_percentile(const struct score *score, double share)
{
    assert(share >= 0 && share <= 1);
    double wanted = share * (double)score->success_count;
    uint64_t seen = 0;
    for (size_t i = 0; i < SCORE_BUCKETS; i++) {
        seen += score->bucket[i];
        if (seen > 0 && (double)seen >= wanted) {
            return bucket_ns(i);
        }
    }
    return 0;
}

static void print_failures(const struct score *score)
{
    const char *comma = "";
    for (size_t i = 0; i < SCORE_CODES; i++) {
        if (score->failure_count[i] > 0) {
            printf("%s\"%zu\":%" PRIu64, comma, i, score->failure_count[i]);
            comma = ",";
        }
    }
}

void score_print(const struct score *score, size_t answer_len)
{
    double seconds = (double)(score->end_ns - score->begin_ns) / NS_PER_S;
    double calls = (double)score->success_count;
    printf("{\"calls\":%" PRIu64 ",\"seconds\":%.3f,\"rps\":%.1f", score->success_count, seconds,
           seconds > 0 ? calls / seconds : 0);
    printf(",\"p50_us\":%.1f,\"p99_us\":%.1f,\"max_gap_ms\":%.1f",
           (double)score_percentile(score, 0.5) / NS_PER_US,
           (double)score_percentile(score, 0.99) / NS_PER_US, (double)score->gap_ns / NS_PER_MS);
    printf(",\"answer_bytes\":%zu,\"failures\":{", answer_len);
    print_failures(score);
    printf("}}\n");
    fflush(stdout);
}
