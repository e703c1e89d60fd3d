/*
 * etcd_wire_fuzz: any bytes as an answer of etcd of each kind, as header lines, and as the stream
 * of a watch, cut in two at a place that the first byte chooses.
 */
#include <stddef.h>
#include <stdint.h>

#include "pkg/etcd/frames.h"
#include "pkg/etcd/trailer.h"
#include "pkg/etcd/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool on_message(void *user, ks_bytes message)
{
    (void)user;
    KS_ARENA_AUTO arena = {.len_max = ks_etcd_wire_arena_max(message.len)};
    struct ks_etcd_wire_watched watched;
    return !ks_failed(ks_etcd_wire_watch_message(message, &arena, &watched));
}

static void read_stream(ks_bytes stream, size_t cut)
{
    struct ks_etcd_frames frames = {.rest.len_max = 4096};
    if (ks_etcd_frames_feed(&frames, (ks_bytes){stream.ptr, cut}, on_message, NULL)) {
        ks_bytes rest = {stream.ptr + cut, stream.len - cut};
        (void)ks_etcd_frames_feed(&frames, rest, on_message, NULL);
    }
    ks_etcd_frames_done(&frames);
}

static void read_lines(ks_bytes lines, size_t cut)
{
    struct ks_etcd_trailer trailer = {0};
    ks_etcd_trailer_line(&trailer, (ks_bytes){lines.ptr, cut});
    ks_etcd_trailer_line(&trailer, (ks_bytes){lines.ptr + cut, lines.len - cut});
    (void)ks_etcd_trailer_cause(&trailer, 200);
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
    size_t cut = body.len > 0 ? data[0] % body.len : 0;
    read_stream(body, cut);
    read_lines(body, cut);
    return 0;
}
