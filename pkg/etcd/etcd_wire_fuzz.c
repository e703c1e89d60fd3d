/*
 * etcd_wire_fuzz: any bytes as an answer of etcd of each kind, as its error, and as a stream of a
 * watch, cut in two at a place that the first byte chooses.
 */
#include <stddef.h>
#include <stdint.h>

#include "pkg/etcd/lines.h"
#include "pkg/etcd/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool on_line(void *user, ks_bytes text)
{
    (void)user;
    KS_ARENA_AUTO arena = {.len_max = ks_etcd_wire_arena_max(text.len)};
    struct ks_etcd_wire_line line;
    return !ks_failed(ks_etcd_wire_watch_line(text, &arena, &line));
}

static void read_stream(ks_bytes stream, size_t cut)
{
    struct ks_etcd_lines lines = {.rest.len_max = 4096};
    if (ks_etcd_lines_feed(&lines, (ks_bytes){stream.ptr, cut}, on_line, NULL)) {
        ks_bytes rest = {stream.ptr + cut, stream.len - cut};
        (void)ks_etcd_lines_feed(&lines, rest, on_line, NULL);
    }
    ks_etcd_lines_done(&lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    ks_bytes body = {data + 1, size - 1};
    for (int kind = 0; kind < KS_ETCD_WIRE_KIND_COUNT; kind++) {
        KS_ETCD_ANSWER_AUTO *answer = NULL;
        (void)ks_failed(ks_etcd_wire_answer((enum ks_etcd_wire_kind)kind, body, &answer));
    }
    KS_ARENA_AUTO arena = {.len_max = ks_etcd_wire_arena_max(body.len)};
    ks_bytes words;
    (void)ks_etcd_wire_error(500, body, &arena, &words);
    read_stream(body, body.len > 0 ? data[0] % body.len : 0);
    return 0;
}
