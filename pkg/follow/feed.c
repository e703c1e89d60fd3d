#include "pkg/follow/feed.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "keystead/internal/v1/internal.pb-c.h"
#include "pkg/base/arena.h"
#include "pkg/base/log.h"
#include "pkg/base/mem.h"
#include "pkg/codec/codec.h"
#include "pkg/rpc/server.h"

#define CHUNK_LEN       (256U * 1024U) /* of a snapshot: a message is sent when it is past this */
#define HEAD_LEN_MAX    1024U          /* of the fields around the records */
#define RECORDS_FIELD   5U             /* of WatchIdentitiesResponse */
#define REQUEST_LEN_MAX 1024U

typedef Keystead__Internal__V1__WatchIdentitiesRequest watch_request;
typedef Keystead__Internal__V1__WatchIdentitiesResponse watch_response;

struct follower {
    struct ks_rpc_stream *stream; /* NULL: the place is free. Until on_close */
    bool asked;                   /* has said what it has */
    bool cut;                     /* was cut off, and is told nothing more */
    struct ks_follow_position told;
};

struct ks_feed {
    struct ks_feed_options options;
    pthread_mutex_t lock; /* guards the followers, and serve */
    struct follower followers[KS_FEED_FOLLOWERS_MAX];
};

/* A snapshot on its way to one follower. */
struct ks_feed_writer {
    struct ks_rpc_stream *stream;
    struct ks_follow_position now;
    bool begun;
    struct ks_buffer records;
};

struct ks_feed *ks_feed_new(const struct ks_feed_options *options)
{
    assert(options->serve);

    struct ks_feed *feed = ks_alloc(1, sizeof(*feed));
    feed->options = *options;
    pthread_mutex_init(&feed->lock, NULL);
    return feed;
}

void ks_feed_free(struct ks_feed *feed)
{
    if (feed) {
        pthread_mutex_destroy(&feed->lock);
        ks_free(feed);
    }
}

/* Messages */

ks_result ks_feed_pack(struct ks_buffer *records, ks_bytes key, ks_bytes value, int64_t revision)
{
    assert(records->len_max <= KS_FEED_RECORDS_MAX);

    KS_AUTO_FREE char *name = ks_bytes_dup(key);
    Keystead__Internal__V1__IdentityRecord record = KEYSTEAD__INTERNAL__V1__IDENTITY_RECORD__INIT;
    record.key = name;
    record.deleted = !value.ptr;
    record.mod_revision = revision;
    if (value.ptr) {
        record.value.len = value.len;
        record.value.data = (uint8_t *)(uintptr_t)value.ptr;
    }
    return ks_codec_pack_field(RECORDS_FIELD, &record.base, records);
}

/* Sends records, with head's fields behind them: those of a message may come in any order. */
static ks_result send_message(struct ks_rpc_stream *stream, watch_response *head,
                              const struct ks_follow_position *now, ks_bytes records)
{
    KS_BUFFER_AUTO message = {.len_max = KS_FEED_RECORDS_MAX + HEAD_LEN_MAX};
    head->epoch = (char *)(uintptr_t)now->epoch;
    head->revision = now->revision;
    KS_TRY(ks_buffer_append(&message, records));
    KS_TRY(ks_codec_pack(&head->base, &message));
    return ks_rpc_stream_send_buffer(stream, &message);
}

static ks_result send_chunk(struct ks_feed_writer *writer, bool last)
{
    watch_response head = KEYSTEAD__INTERNAL__V1__WATCH_IDENTITIES_RESPONSE__INIT;
    head.snapshot = true;
    head.snapshot_end = last;
    KS_TRY(send_message(writer->stream, &head, &writer->now, ks_buffer_bytes(&writer->records)));
    writer->records.len = 0;
    return KS_RES(OK);
}

void ks_feed_begin(struct ks_feed_writer *writer, const struct ks_follow_position *now)
{
    assert(!writer->begun);
    assert(now->epoch[0] != '\0');

    writer->now = *now;
    writer->begun = true;
}

ks_result ks_feed_add(struct ks_feed_writer *writer, ks_bytes key, ks_bytes value, int64_t revision)
{
    assert(writer->begun);

    KS_TRY(ks_feed_pack(&writer->records, key, value, revision));
    return writer->records.len < CHUNK_LEN ? KS_RES(OK) : send_chunk(writer, false);
}

/* Followers; all with the lock */

static void cut_off(struct follower *follower, const char *cause)
{
    ks_log(WARN, "a follower must start over with the identities", KS_TEXT("cause", cause),
           KS_TEXT("peer", ks_rpc_stream_peer(follower->stream)->spiffe));
    ks_rpc_stream_cancel(follower->stream);
    follower->cut = true;
}

/* Whether the follower is to be told of changes. */
static bool follows(const struct follower *follower)
{
    return follower->stream && follower->asked && !follower->cut;
}

/* The follower's place; NULL as stream finds a free one. NULL: there is none. */
static struct follower *find(struct ks_feed *feed, const struct ks_rpc_stream *stream)
{
    for (size_t i = 0; i < KS_FEED_FOLLOWERS_MAX; i++) {
        if (feed->followers[i].stream == stream) {
            return &feed->followers[i];
        }
    }
    return NULL;
}

/* Tells the follower what it lacks, given what it has. */
static void serve(struct ks_feed *feed, struct follower *follower,
                  const struct ks_follow_position *had)
{
    struct ks_feed_writer writer = {.stream = follower->stream,
                                    .records = {.len_max = KS_FEED_RECORDS_MAX}};
    struct ks_follow_position now = {.revision = 0};
    ks_result served = feed->options.serve(feed->options.user, had, &writer, &now);
    if (!ks_failed(served) && writer.begun) {
        served = send_chunk(&writer, true);
    }
    ks_buffer_done(&writer.records);
    follower->told = now;
    if (ks_failed(served)) {
        cut_off(follower, served.code == KS_UNAVAILABLE ? "there is nothing to send yet"
                                                        : "the snapshot could not be sent");
    }
}

static void tell(struct follower *follower, const struct ks_follow_position *now, ks_bytes records)
{
    watch_response head = KEYSTEAD__INTERNAL__V1__WATCH_IDENTITIES_RESPONSE__INIT;
    if (!ks_follow_same_epoch(&follower->told, now)) {
        cut_off(follower, "the records are of another epoch now");
    } else if (ks_failed(send_message(follower->stream, &head, now, records))) {
        cut_off(follower, "it reads too slowly");
    } else {
        follower->told = *now;
    }
}

/* What the owner calls */

void ks_feed_publish(struct ks_feed *feed, const struct ks_follow_position *now, ks_bytes records)
{
    pthread_mutex_lock(&feed->lock);
    for (size_t i = 0; i < KS_FEED_FOLLOWERS_MAX; i++) {
        struct follower *follower = &feed->followers[i];
        bool has_it =
            ks_follow_same_epoch(&follower->told, now) && follower->told.revision >= now->revision;
        if (follows(follower) && !has_it) {
            tell(follower, now, records);
        }
    }
    pthread_mutex_unlock(&feed->lock);
}

void ks_feed_renew(struct ks_feed *feed)
{
    pthread_mutex_lock(&feed->lock);
    for (size_t i = 0; i < KS_FEED_FOLLOWERS_MAX; i++) {
        struct follower *follower = &feed->followers[i];
        if (follows(follower)) {
            const struct ks_follow_position had = follower->told;
            serve(feed, follower, &had);
        }
    }
    pthread_mutex_unlock(&feed->lock);
}

bool ks_feed_has_followers(struct ks_feed *feed)
{
    bool found = false;
    pthread_mutex_lock(&feed->lock);
    for (size_t i = 0; i < KS_FEED_FOLLOWERS_MAX && !found; i++) {
        found = follows(&feed->followers[i]);
    }
    pthread_mutex_unlock(&feed->lock);
    return found;
}

void ks_feed_cut_off(struct ks_feed *feed, const char *cause)
{
    pthread_mutex_lock(&feed->lock);
    for (size_t i = 0; i < KS_FEED_FOLLOWERS_MAX; i++) {
        if (follows(&feed->followers[i])) {
            cut_off(&feed->followers[i], cause);
        }
    }
    pthread_mutex_unlock(&feed->lock);
}

/* Streams */

static ks_result on_open(void *user, struct ks_rpc_stream *stream)
{
    struct ks_feed *feed = user;
    if (feed->options.on_open) {
        KS_TRY(feed->options.on_open(feed->options.user, stream));
    }
    pthread_mutex_lock(&feed->lock);
    struct follower *place = find(feed, NULL);
    if (place) {
        *place = (struct follower){.stream = stream};
    }
    pthread_mutex_unlock(&feed->lock);
    return place ? KS_RES(OK) : KS_RES(THROTTLED);
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
    if (epoch_len > KS_FOLLOW_EPOCH_MAX) {
        return KS_RES(VALIDATION);
    }
    memcpy(ret_had->epoch, request->epoch, epoch_len + 1);
    ret_had->revision = request->revision;
    return KS_RES(OK);
}

/* The follower says what it has: the first message of the stream, and the only one. */
static void on_message(void *user, struct ks_rpc_stream *stream, ks_bytes message)
{
    struct ks_feed *feed = user;
    struct ks_follow_position had = {.revision = 0};
    ks_result read = read_request(message, &had);
    pthread_mutex_lock(&feed->lock);
    struct follower *follower = find(feed, stream);
    assert(follower);
    if (follower->cut) {
        /* It hears of that by on_close. */
    } else if (ks_failed(read) || follower->asked) {
        cut_off(follower, "its request is malformed");
    } else {
        follower->asked = true;
        serve(feed, follower, &had);
    }
    pthread_mutex_unlock(&feed->lock);
}

/* A half-close is no end: the follower has said all it has to say. */
static void on_half_close(void *user, struct ks_rpc_stream *stream)
{
    (void)user;
    (void)stream;
}

static void on_close(void *user, struct ks_rpc_stream *stream, const struct ks_rpc_error *error)
{
    (void)error; /* the follower comes back by itself */
    struct ks_feed *feed = user;
    pthread_mutex_lock(&feed->lock);
    struct follower *follower = find(feed, stream);
    assert(follower);
    *follower = (struct follower){.stream = NULL};
    pthread_mutex_unlock(&feed->lock);
}

const struct ks_rpc_stream_callbacks ks_feed_stream_callbacks = {
    .on_open = on_open,
    .on_message = on_message,
    .on_half_close = on_half_close,
    .on_close = on_close,
};
