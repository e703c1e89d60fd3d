/* Watches: one request that is never fully answered. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "pkg/base/mem.h"
#include "pkg/etcd/client.h"
#include "pkg/etcd/frames.h"
#include "pkg/etcd/wire.h"

#define WATCH_PATH "/etcdserverpb.Watch/Watch"

/* A member that has not confirmed a watch after this long is not well. */
#define OPEN_MS 3000

/* However short idle_ms is: a connection and a handshake take so long on a busy machine. */
#define OPEN_MS_MIN 1000

struct ks_etcd_watch {
    struct ks_etcd *client;
    struct ks_etcd_watch_options options; /* from and to are not used after the start */
    size_t index;                         /* its place in the client's list */
    size_t endpoint;
    struct ks_buffer request;
    struct ks_etcd_frames frames;
    struct ks_buffer held; /* events of a revision whose end has not come */
    struct ks_etcd_transfer *transfer;
    int64_t silent_at_ns;  /* when the last bytes had been dealt with, or the start */
    int64_t last_revision; /* of the newest event delivered; 0: none */
    bool is_created;
    bool is_behind;  /* there are events that have not come yet */
    bool is_stopped; /* by its owner, perhaps within a callback: freed at the end of the turn */

    /* Why the stream was broken off by us; DONE: it was not. */
    enum ks_etcd_cause cause;
    int64_t compact_revision;
    char detail[128];
};

static void set_detail(struct ks_etcd_watch *watch, const char *words, ks_bytes more)
{
    int len = more.len < sizeof(watch->detail) ? (int)more.len : (int)sizeof(watch->detail);
    snprintf(watch->detail, sizeof(watch->detail), "%s%.*s", words, len, (const char *)more.ptr);
}

static bool fail(struct ks_etcd_watch *watch, enum ks_etcd_cause cause, const char *words)
{
    watch->cause = cause;
    set_detail(watch, words, (ks_bytes){(const uint8_t *)"", 0});
    return false;
}

/* Revisions are whole and in order: none is met twice, and none below the one asked for. */
static bool revisions_rise(struct ks_etcd_watch *watch, const struct ks_etcd_watch_message *message)
{
    if (message->event_count == 0) {
        return true;
    }
    int64_t first = message->events[0].kv.mod_revision;
    if (first <= watch->last_revision || first < watch->options.start_revision) {
        return false;
    }
    watch->last_revision = message->events[message->event_count - 1].kv.mod_revision;
    return true;
}

static void note_created(struct ks_etcd_watch *watch, const struct ks_etcd_watch_message *message)
{
    int64_t start_revision = watch->options.start_revision;
    watch->is_created = true;
    watch->is_behind = start_revision > 0 && start_revision <= message->header.revision;
}

static bool deliver(struct ks_etcd_watch *watch, const struct ks_etcd_watch_message *message)
{
    if (!revisions_rise(watch, message)) {
        return fail(watch, KS_ETCD_BAD_ANSWER, "watch revisions do not rise");
    }
    if (!watch->is_created) {
        note_created(watch, message);
    }
    if (message->event_count > 0) {
        watch->is_behind = message->header.revision > watch->last_revision;
    }
    watch->options.on_message(watch->options.user, message);
    return !watch->is_stopped;
}

/* Holds back the events of the part's last revision; those of the others are delivered. */
static bool deliver_part(struct ks_etcd_watch *watch, ks_bytes joined,
                         struct ks_etcd_watch_message *message)
{
    size_t whole = message->event_count;
    int64_t last = message->events[whole - 1].kv.mod_revision;
    while (whole > 0 && message->events[whole - 1].kv.mod_revision == last) {
        whole--;
    }
    message->event_count = whole;
    if (whole > 0 && !deliver(watch, message)) {
        return false;
    }
    struct ks_buffer rest = {.len_max = watch->held.len_max};
    ks_result held = ks_etcd_wire_watch_rest(joined, last, &rest);
    ks_buffer_done(&watch->held);
    watch->held = rest;
    return !ks_failed(held) || fail(watch, KS_ETCD_BAD_ANSWER, "watch revision too long");
}

/* With what was held back of the parts before it: lists of two messages in a row join (protobuf). */
static bool join(struct ks_etcd_watch *watch, ks_bytes message, ks_bytes *ret_joined)
{
    *ret_joined = message;
    if (watch->held.len == 0) {
        return true;
    }
    if (ks_failed(ks_buffer_append(&watch->held, message))) {
        return fail(watch, KS_ETCD_BAD_ANSWER, "watch revision too long");
    }
    *ret_joined = ks_buffer_bytes(&watch->held);
    return true;
}

static bool on_message(void *user, ks_bytes message)
{
    struct ks_etcd_watch *watch = user;
    ks_bytes joined;
    struct ks_etcd_wire_watched watched;
    if (!join(watch, message, &joined)) {
        return false;
    }
    KS_ARENA_AUTO arena = {.len_max = ks_etcd_wire_arena_max(joined.len)};
    if (ks_failed(ks_etcd_wire_watch_message(joined, &arena, &watched))) {
        return fail(watch, KS_ETCD_BAD_ANSWER, "malformed watch message");
    }
    if (watched.is_end) {
        watch->cause = watched.cause;
        watch->compact_revision = watched.compact_revision;
        set_detail(watch, "", watched.detail);
        return false;
    }
    if (watched.is_part) {
        return deliver_part(watch, joined, &watched.message);
    }
    bool goes_on = deliver(watch, &watched.message);
    ks_buffer_consume(&watch->held, watch->held.len);
    return goes_on;
}

/* What its owner does with a message takes time, too, in which more may have come. */
static void note_sign_of_life(struct ks_etcd_watch *watch)
{
    if (watch->is_created) {
        watch->silent_at_ns = ks_etcd_now_ns(watch->client);
    }
}

static bool on_bytes(void *user, ks_bytes bytes)
{
    struct ks_etcd_watch *watch = user;
    if (ks_etcd_frames_feed(&watch->frames, bytes, on_message, watch)) {
        note_sign_of_life(watch);
        return true;
    }
    bool is_unexplained = watch->cause == KS_ETCD_DONE && !watch->is_stopped;
    return is_unexplained ? fail(watch, KS_ETCD_BAD_ANSWER, "watch message too long") : false;
}

static void free_watch(struct ks_etcd_watch *watch)
{
    struct ks_etcd *client = watch->client;
    struct ks_etcd_watch *last = client->watches[--client->watch_count];
    client->watches[watch->index] = last;
    last->index = watch->index;
    ks_buffer_done(&watch->request);
    ks_etcd_frames_done(&watch->frames);
    ks_buffer_done(&watch->held);
    ks_free(watch);
}

/* The transfer is gone already. */
static void end_watch(struct ks_etcd_watch *watch)
{
    struct ks_etcd_watch_end end = {
        .cause = watch->cause,
        .compact_revision = watch->compact_revision,
        .detail = watch->detail,
    };
    bool is_member_fine = watch->cause == KS_ETCD_COMPACTED || watch->cause == KS_ETCD_CLOSED;
    if (!is_member_fine && watch->options.pin == 0) {
        ks_etcd_endpoints_failed(&watch->client->endpoints, watch->endpoint);
    }
    watch->transfer = NULL;
    watch->is_stopped = true; /* a stop by its own last callback does nothing */
    watch->options.on_end(watch->options.user, &end);
    free_watch(watch);
}

/* An end that etcd made: with its words if it was an error, otherwise without a reason. */
static void explain(struct ks_etcd_watch *watch, const struct ks_etcd_transfer_end *end)
{
    enum ks_etcd_cause cause = ks_etcd_trailer_cause(end->trailer, end->http_status);
    bool is_error = cause != KS_ETCD_DONE && (end->trailer->has_status || end->http_status != 200);
    watch->cause = is_error ? cause : KS_ETCD_ENDED;
    set_detail(watch, "", ks_etcd_trailer_words(end->trailer));
}

static void on_end(void *user, const struct ks_etcd_transfer_end *end)
{
    static const enum ks_etcd_cause causes[] = {
        [KS_ETCD_FATE_ANSWERED] = KS_ETCD_ENDED,
        [KS_ETCD_FATE_UNSENT] = KS_ETCD_UNSENT,
        [KS_ETCD_FATE_BROKEN] = KS_ETCD_ENDED,
        [KS_ETCD_FATE_REFUSED] = KS_ETCD_REFUSED,
    };
    struct ks_etcd_watch *watch = user;
    if (watch->cause == KS_ETCD_DONE) {
        fail(watch, causes[end->fate], end->detail);
        if (end->fate == KS_ETCD_FATE_ANSWERED) {
            explain(watch, end);
        }
    }
    end_watch(watch);
}

static struct ks_etcd_watch *new_watch(struct ks_etcd *client,
                                       const struct ks_etcd_watch_options *options)
{
    struct ks_etcd_watch *watch = ks_alloc(1, sizeof(*watch));
    watch->client = client;
    watch->options = *options;
    watch->request.len_max = KS_ETCD_REQUEST_MAX;
    watch->held.len_max = client->answer_len_max;
    watch->frames.rest.len_max = client->answer_len_max + KS_ETCD_FRAME_HEAD_LEN;
    ks_result opened = ks_etcd_frame_open(&watch->request);
    assert(!ks_failed(opened)); /* the bound is larger */
    watch->index = client->watch_count;
    watch->silent_at_ns = ks_etcd_now_ns(client);
    watch->endpoint = ks_etcd_endpoints_choose(&client->endpoints, options->pin);
    client->watches[client->watch_count++] = watch;
    return watch;
}

static void post(struct ks_etcd_watch *watch)
{
    char url[KS_ETCD_URL_MAX];
    ks_etcd_url(watch->client, watch->endpoint, WATCH_PATH, url);
    struct ks_etcd_post request = {
        .url = url,
        .body = ks_buffer_bytes(&watch->request),
        .connect_ms = OPEN_MS,
        .is_repeatable = true,
        .on_bytes = on_bytes,
        .on_end = on_end,
        .user = watch,
    };
    watch->transfer = ks_etcd_transport_post(watch->client->transport, &request);
    assert(watch->transfer); /* watches and calls together are as many as transfers may be */
}

ks_result ks_etcd_watch_start(struct ks_etcd *client, const struct ks_etcd_watch_options *options,
                              struct ks_etcd_watch **ret_watch)
{
    assert(options->on_message && options->on_end);
    assert(options->from.len > 0 && options->idle_ms >= 0 && options->start_revision >= 0);
    assert(options->pin <= client->endpoints.count);

    if (client->watch_count == KS_ETCD_WATCHES_MAX || client->is_closing) {
        return KS_RES(THROTTLED);
    }
    struct ks_etcd_watch *watch = new_watch(client, options);
    ks_result written =
        ks_etcd_wire_watch(&watch->request, options->from, options->to, options->start_revision);
    if (ks_failed(written)) {
        free_watch(watch);
        return written;
    }
    ks_etcd_frame_close(&watch->request);
    post(watch);
    *ret_watch = watch;
    return KS_RES(OK);
}

void ks_etcd_watch_stop(struct ks_etcd_watch *watch)
{
    if (watch->is_stopped) {
        return;
    }
    watch->is_stopped = true;
    ks_etcd_transfer_stop(watch->transfer);
}

static void free_stopped(struct ks_etcd *client)
{
    for (size_t i = client->watch_count; i > 0; i--) {
        if (client->watches[i - 1]->is_stopped) {
            free_watch(client->watches[i - 1]);
        }
    }
}

/* Milliseconds of silence that end it; 0: any time is fine. */
static int64_t silence_max_ms(const struct ks_etcd_watch *watch)
{
    int64_t idle_ms = watch->options.idle_ms;
    if (watch->is_created && watch->is_behind && watch->options.behind_ms > idle_ms) {
        return watch->options.behind_ms;
    }
    if (watch->is_created) {
        return idle_ms;
    }
    int64_t open_ms = idle_ms > 0 && idle_ms < OPEN_MS ? idle_ms : OPEN_MS;
    return open_ms > OPEN_MS_MIN ? open_ms : OPEN_MS_MIN;
}

int64_t ks_etcd_watches_wait_ms(const struct ks_etcd *client, int64_t max_ms)
{
    int64_t wait_ms = max_ms;
    for (size_t i = 0; i < client->watch_count; i++) {
        const struct ks_etcd_watch *watch = client->watches[i];
        int64_t max = silence_max_ms(watch);
        int64_t left_ms = ks_etcd_ms_until(client, watch->silent_at_ns + max * KS_NS_PER_MS);
        wait_ms = max > 0 && left_ms < wait_ms ? left_ms : wait_ms;
    }
    return wait_ms;
}

static bool is_silent(const struct ks_etcd_watch *watch)
{
    int64_t max_ns = silence_max_ms(watch) * KS_NS_PER_MS;
    return max_ns > 0 && ks_etcd_now_ns(watch->client) - watch->silent_at_ns >= max_ns;
}

void ks_etcd_check_watches(struct ks_etcd *client)
{
    free_stopped(client);
    for (size_t i = client->watch_count; i > 0; i--) {
        struct ks_etcd_watch *watch = client->watches[i - 1];
        if (!watch->is_stopped && is_silent(watch)) {
            ks_etcd_transfer_stop(watch->transfer);
            fail(watch, KS_ETCD_ENDED, "silent for too long");
            end_watch(watch);
        }
    }
}

void ks_etcd_close_watches(struct ks_etcd *client)
{
    free_stopped(client);
    while (client->watch_count > 0) {
        struct ks_etcd_watch *watch = client->watches[client->watch_count - 1];
        ks_etcd_transfer_stop(watch->transfer);
        fail(watch, KS_ETCD_CLOSED, "the client was freed");
        end_watch(watch);
    }
}
