#include "pkg/follow/feed.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "keystead/internal/v1/internal.pb-c.h"
#include "pkg/base/arena.h"
#include "pkg/base/log.h"
#include "pkg/base/mem.h"
#include "pkg/codec/codec.h"
#include "pkg/follow/position.h"
#include "pkg/mirror/mirror.h"
#include "pkg/rpc/loop.h"
#include "pkg/rpc/server.h"

#define RECORDS_MAX     (1536U * 1024U) /* bytes: a chunk, and one record past it */
#define HEAD_LEN_MAX    4096U           /* of the fields around the records */
#define RECORDS_FIELD   3U              /* of WatchIdentitiesResponse */
#define REQUEST_LEN_MAX 1024U

typedef Keystead__Internal__V1__WatchIdentitiesRequest watch_request;
typedef Keystead__Internal__V1__WatchIdentitiesResponse watch_response;
typedef Keystead__Internal__V1__IdentityRecord identity_record;

struct follower {
    struct ks_feed *feed;
    struct ks_rpc_stream *stream; /* a ref */
    struct follower *next;
    atomic_bool poked; /* a look at it is posted */
    bool spoke;        /* the stream's loop: has said what it has */
    /* The feed's loop. */
    bool asked;
    bool closed;
    struct ks_follow_position had; /* when the transfer under way, or the next one, began */
    /* The transfer under way. */
    bool sending;
    bool snapshot;
    bool begun; /* its first message was sent */
    char epoch[KS_HEAD_EPOCH_MAX + 1];
    char history[KS_HEAD_EPOCH_MAX + 1];
    int64_t base; /* deletions up to it are not sent */
    struct ks_mirror_place place;
};

struct ks_feed {
    struct ks_feed_options options;
    atomic_size_t count;        /* streams that are open */
    struct follower *followers; /* the loop's */
};

struct ks_feed *ks_feed_new(const struct ks_feed_options *options)
{
    assert(options->loop && options->mirror);

    struct ks_feed *feed = ks_alloc(1, sizeof(*feed));
    feed->options = *options;
    if (feed->options.chunk_len == 0) {
        feed->options.chunk_len = KS_FEED_CHUNK_LEN;
    }
    return feed;
}

void ks_feed_free(struct ks_feed *feed)
{
    if (feed) {
        assert(!feed->followers);
        ks_free(feed);
    }
}

/* ---- What a follower lacks ---- */

/* A chunk that is being read. */
struct chunk {
    const struct follower *follower;
    struct ks_buffer records;
};

static ks_result pack(struct chunk *chunk, const struct ks_mirror_record *record)
{
    KS_AUTO_FREE char *name = ks_bytes_dup(record->key);
    identity_record packed = KEYSTEAD__INTERNAL__V1__IDENTITY_RECORD__INIT;
    packed.key = name;
    packed.deleted = !record->value.ptr;
    packed.mod_revision = record->revision;
    if (record->value.ptr) {
        packed.value.len = record->value.len;
        packed.value.data = (uint8_t *)(uintptr_t)record->value.ptr;
    }
    return ks_codec_pack_field(RECORDS_FIELD, &packed.base, &chunk->records);
}

/* A snapshot says nothing of what was gone before it began. */
static bool add_to_chunk(void *user, const struct ks_mirror_record *record)
{
    struct chunk *chunk = user;
    const struct follower *follower = chunk->follower;
    if (chunk->records.len >= follower->feed->options.chunk_len) {
        return false;
    }
    if (follower->snapshot && !record->value.ptr && record->revision <= follower->base) {
        return true;
    }
    return !ks_failed(pack(chunk, record));
}

/* Begins a transfer of what a follower lacks that has what `had` says. */
static void begin_transfer(struct follower *follower, const struct ks_head *head, int64_t floor)
{
    const struct ks_follow_position *had = &follower->had;
    bool same = strcmp(had->epoch, head->epoch) == 0 && strcmp(had->history, head->history) == 0;
    bool reaches_back = same && had->revision >= floor && had->revision <= head->revision;
    follower->sending = true;
    follower->begun = false;
    follower->snapshot = !reaches_back;
    follower->base = reaches_back ? had->revision : head->revision;
    follower->place =
        reaches_back ? ks_mirror_after(had->revision) : (struct ks_mirror_place){.len = 0};
    memcpy(follower->epoch, head->epoch, sizeof(follower->epoch));
    memcpy(follower->history, head->history, sizeof(follower->history));
}

/*
 * Whether the transfer under way still leads to a state of the mirror. It does not once tombstones
 * went that it would have to bring, or another history is in the mirror's place.
 */
static bool is_overtaken(const struct follower *follower, const struct ks_head *head, int64_t floor)
{
    return strcmp(follower->epoch, head->epoch) != 0 ||
           strcmp(follower->history, head->history) != 0 || floor > follower->base;
}

static ks_result send_chunk(struct follower *follower, const struct chunk *chunk, ks_bytes head)
{
    KS_BUFFER_AUTO message = {.len_max = RECORDS_MAX + HEAD_LEN_MAX};
    watch_response fields = KEYSTEAD__INTERNAL__V1__WATCH_IDENTITIES_RESPONSE__INIT;
    fields.begin = !follower->begun;
    fields.snapshot = follower->snapshot;
    fields.head = (ProtobufCBinaryData){head.len, (uint8_t *)(uintptr_t)head.ptr};
    KS_TRY(ks_buffer_append(&message, ks_buffer_bytes(&chunk->records)));
    KS_TRY(ks_codec_pack(&fields.base, &message));
    KS_TRY(ks_rpc_stream_send_buffer(follower->stream, &message));
    follower->begun = true;
    return KS_RES(OK);
}

static ks_result send_from(struct follower *follower, const struct ks_mirror_view *view,
                           const struct ks_head *head)
{
    struct chunk chunk = {.follower = follower, .records = {.len_max = RECORDS_MAX}};
    bool end = false;
    ks_result result = ks_mirror_view_changes(view, &follower->place, add_to_chunk, &chunk, &end);
    if (!ks_failed(result)) {
        ks_bytes last = end ? ks_mirror_view_head_bytes(view) : (ks_bytes){0};
        result = send_chunk(follower, &chunk, last);
    }
    ks_buffer_done(&chunk.records);
    if (!ks_failed(result) && end) {
        follower->sending = false;
        memcpy(follower->had.epoch, head->epoch, sizeof(head->epoch));
        memcpy(follower->had.history, head->history, sizeof(head->history));
        follower->had.revision = head->revision;
        follower->had.number = head->number;
    }
    return result;
}

/* Sends the next chunk, if the follower lacks something. ret_sent: whether there was one. */
static ks_result send_next(struct follower *follower, bool *ret_sent)
{
    KS_MIRROR_VIEW_AUTO *view = NULL;
    *ret_sent = false;
    KS_TRY(ks_mirror_view_open(follower->feed->options.mirror, &view));
    const struct ks_head *head = ks_mirror_view_head(view);
    if (!head) {
        return KS_RES(OK);
    }
    int64_t floor = ks_mirror_view_floor(view);
    if (!follower->sending && head->number <= follower->had.number) {
        return KS_RES(OK);
    }
    if (!follower->sending || is_overtaken(follower, head, floor)) {
        begin_transfer(follower, head, floor);
    }
    KS_TRY(send_from(follower, view, head));
    *ret_sent = true;
    return KS_RES(OK);
}

static void poke(struct follower *follower);

/* One chunk at a time, so that followers take turns. */
static void look_at(void *argument)
{
    struct follower *follower = argument;
    atomic_store(&follower->poked, false);
    if (follower->closed || !follower->asked || !ks_rpc_stream_ready(follower->stream)) {
        return; /* a stream that is not ready says so when it is */
    }
    bool sent = false;
    ks_result result = send_next(follower, &sent);
    if (ks_failed(result)) {
        ks_log(WARN, "a follower of the identities is cut off",
               KS_TEXT("code", ks_code_name(result.code)));
        ks_rpc_stream_cancel(follower->stream);
    } else if (sent && ks_rpc_stream_ready(follower->stream)) {
        poke(follower);
    }
}

static void poke(struct follower *follower)
{
    if (!atomic_exchange(&follower->poked, true)) {
        ks_rpc_loop_post(follower->feed->options.loop, look_at, follower);
    }
}

void ks_feed_changed(struct ks_feed *feed)
{
    for (struct follower *follower = feed->followers; follower; follower = follower->next) {
        if (!follower->closed) { /* else it is about to be freed */
            poke(follower);
        }
    }
}

/* ---- Streams ---- */

static void enlist(void *argument)
{
    struct follower *follower = argument;
    follower->next = follower->feed->followers;
    follower->feed->followers = follower;
}

static ks_result on_open(void *user, struct ks_rpc_stream *stream)
{
    struct ks_feed *feed = user;
    if (feed->options.on_open) {
        KS_TRY(feed->options.on_open(feed->options.user, stream));
    }
    if (atomic_fetch_add(&feed->count, 1) >= KS_FEED_FOLLOWERS_MAX) {
        atomic_fetch_sub(&feed->count, 1);
        return KS_RES(THROTTLED);
    }
    struct follower *follower = ks_alloc(1, sizeof(*follower));
    follower->feed = feed;
    follower->stream = ks_rpc_stream_ref(stream);
    ks_rpc_stream_set_user(stream, follower);
    ks_rpc_loop_post(feed->options.loop, enlist, follower);
    return KS_RES(OK);
}

/* Fails: VALIDATION (malformed, or an epoch that no feed has). */
static ks_result read_request(ks_bytes message, struct ks_follow_position *ret_had)
{
    KS_ARENA_AUTO arena = {.len_max = 8 * REQUEST_LEN_MAX};
    ProtobufCMessage *unpacked = NULL;
    if (message.len > REQUEST_LEN_MAX) {
        return KS_RES(VALIDATION);
    }
    KS_TRY(ks_codec_unpack(&keystead__internal__v1__watch_identities_request__descriptor, message,
                           NULL, &arena, &unpacked));
    const watch_request *request = (const watch_request *)unpacked;
    size_t epoch_len = strlen(request->epoch);
    size_t history_len = strlen(request->history);
    if (epoch_len > KS_FOLLOW_EPOCH_MAX || history_len > KS_FOLLOW_EPOCH_MAX ||
        request->revision < 0) {
        return KS_RES(VALIDATION);
    }
    memcpy(ret_had->epoch, request->epoch, epoch_len + 1);
    memcpy(ret_had->history, request->history, history_len + 1);
    ret_had->revision = request->revision;
    ret_had->number = request->number;
    return KS_RES(OK);
}

struct asking {
    struct follower *follower;
    struct ks_follow_position had;
};

static void take_question(void *argument)
{
    struct asking *asking = argument;
    struct follower *follower = asking->follower;
    follower->had = asking->had;
    follower->asked = true;
    ks_free(asking);
    poke(follower);
}

/* The follower says what it has: the first message of the stream, and the only one. */
static void on_message(void *user, struct ks_rpc_stream *stream, ks_bytes message)
{
    struct follower *follower = user;
    struct ks_follow_position had = {.revision = 0};
    if (follower->spoke || ks_failed(read_request(message, &had))) {
        ks_log(WARN, "a follower of the identities asks for nothing that makes sense",
               KS_TEXT("peer", ks_rpc_stream_peer(stream)->spiffe));
        ks_rpc_stream_cancel(stream);
        return;
    }
    follower->spoke = true;
    struct asking *asking = ks_alloc(1, sizeof(*asking));
    *asking = (struct asking){follower, had};
    ks_rpc_loop_post(follower->feed->options.loop, take_question, asking);
}

static void on_writable(void *user, struct ks_rpc_stream *stream)
{
    (void)stream;
    poke(user);
}

/* A half-close is no end: the follower has said all it has to say. */
static void on_half_close(void *user, struct ks_rpc_stream *stream)
{
    (void)user;
    (void)stream;
}

/* A look that was posted comes before this: nothing pokes a follower that is off the list. */
static void dismiss(void *argument)
{
    struct follower *follower = argument;
    struct follower **place = &follower->feed->followers;
    while (*place && *place != follower) {
        place = &(*place)->next;
    }
    assert(*place);
    *place = follower->next;
    atomic_fetch_sub(&follower->feed->count, 1);
    ks_rpc_stream_unref(follower->stream);
    ks_free(follower);
}

/* What the feed's loop has posted to itself is run first: that is twice around. */
static void strike_off(void *argument)
{
    struct follower *follower = argument;
    follower->closed = true;
    ks_rpc_loop_post(follower->feed->options.loop, dismiss, follower);
}

static void on_close(void *user, struct ks_rpc_stream *stream, const struct ks_rpc_error *error)
{
    (void)stream;
    (void)error; /* the follower comes back by itself */
    struct follower *follower = user;
    ks_rpc_loop_post(follower->feed->options.loop, strike_off, follower);
}

const struct ks_rpc_stream_callbacks ks_feed_stream_callbacks = {
    .on_open = on_open,
    .on_message = on_message,
    .on_writable = on_writable,
    .on_half_close = on_half_close,
    .on_close = on_close,
};
