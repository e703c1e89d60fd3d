#include "services/keystore/serve/identities.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>

#include "keystead/internal/v1/internal.pb-c.h"
#include "pkg/base/arena.h"
#include "pkg/base/log.h"
#include "pkg/base/mem.h"
#include "pkg/codec/codec.h"
#include "pkg/rpc/server.h"
#include "services/keystore/records/message.h"
#include "services/keystore/serve/session.h"

#define RECORDS_NUMBER  5U /* WatchIdentitiesResponse.records */
#define MESSAGE_LEN_MAX (2U * 1024U * 1024U)
#define CHUNK_LEN       (256U * 1024U) /* a message goes out when it is past this */
#define ARENA_LEN_MAX   4096U
#define EPOCH_LEN       40U

struct follower {
    struct ks_rpc_stream *stream; /* NULL: free. Until on_close */
    bool told;                    /* has said what it has, and got a snapshot if it needed one */
};

struct ks_identities {
    struct ks_store *store;
    pthread_mutex_t lock; /* guards the mirror's changes and the followers */
    struct follower followers[KS_IDENTITIES_FOLLOWERS_MAX];
};

/* A run of messages to one follower. */
struct outgoing {
    struct ks_rpc_stream *stream;
    INTERNAL(WatchIdentitiesResponse) head; /* what all messages have */
    struct ks_buffer message;
    ks_result result;
};

/* The fields of a message may come in any order: records first, then the rest. */
static ks_result send_message(struct outgoing *outgoing)
{
    KS_TRY(ks_codec_pack(&outgoing->head.base, &outgoing->message));
    KS_TRY(ks_rpc_stream_send_buffer(outgoing->stream, &outgoing->message));
    outgoing->message = (struct ks_buffer){.len_max = MESSAGE_LEN_MAX};
    return KS_RES(OK);
}

static ks_result add_record(struct outgoing *outgoing, ks_bytes key, ks_bytes value)
{
    KS_AUTO_FREE char *name = ks_bytes_dup(key);
    INTERNAL(IdentityRecord) record = INTERNAL_NEW(IDENTITY_RECORD);
    record.key = name;
    record.value = ks_lend_bytes(value);
    record.deleted = !value.ptr;
    return ks_codec_pack_field(RECORDS_NUMBER, &record.base, &outgoing->message);
}

static bool add_to_snapshot(void *user, const struct ks_store_record *record)
{
    struct outgoing *outgoing = user;
    outgoing->result = add_record(outgoing, record->key, record->value);
    if (!ks_failed(outgoing->result) && outgoing->message.len >= CHUNK_LEN) {
        outgoing->result = send_message(outgoing);
    }
    return !ks_failed(outgoing->result);
}

static ks_result send_snapshot(struct ks_rpc_stream *stream, const struct ks_store_view *view,
                               char *epoch, int64_t revision)
{
    struct outgoing outgoing = {.stream = stream,
                                .head = INTERNAL_NEW(WATCH_IDENTITIES_RESPONSE),
                                .message = {.len_max = MESSAGE_LEN_MAX}};
    outgoing.head.epoch = epoch;
    outgoing.head.revision = revision;
    outgoing.head.snapshot = true;
    ks_result result = ks_store_mirror_scan(view, (ks_bytes){0}, add_to_snapshot, &outgoing);
    result = ks_failed(result) ? result : outgoing.result;
    if (!ks_failed(result)) {
        outgoing.head.snapshot_end = true;
        result = send_message(&outgoing);
    }
    ks_buffer_done(&outgoing.message);
    return result;
}

static ks_result send_change(struct ks_rpc_stream *stream,
                             const struct ks_identities_change *change)
{
    struct outgoing outgoing = {.stream = stream,
                                .head = INTERNAL_NEW(WATCH_IDENTITIES_RESPONSE),
                                .message = {.len_max = MESSAGE_LEN_MAX}};
    outgoing.head.epoch = ks_lend_text(change->epoch);
    outgoing.head.revision = change->revision;
    ks_result result = KS_RES(OK);
    for (size_t i = 0; i < change->op_count && !ks_failed(result); i++) {
        result = add_record(&outgoing, change->ops[i].key, change->ops[i].value);
    }
    if (!ks_failed(result)) {
        result = send_message(&outgoing);
    }
    ks_buffer_done(&outgoing.message);
    return result;
}

/* A follower that can't be told something must not go on without it: it comes back and starts over. */
static void cut_off(struct follower *follower)
{
    ks_log(WARN, "frontend must start over with the identities",
           KS_TEXT("peer", ks_rpc_stream_peer(follower->stream)->spiffe));
    ks_rpc_stream_cancel(follower->stream);
    follower->told = false;
}

/* With the lock. */
static ks_result tell_everything(struct ks_identities *identities, struct follower *follower,
                                 const char *epoch_had, int64_t revision_had)
{
    KS_STORE_VIEW_AUTO view = {0};
    char epoch[EPOCH_LEN];
    int64_t revision = 0;
    KS_TRY(ks_store_peek(identities->store, &view));
    ks_store_mirror_position(&view, epoch, &revision);
    if (epoch[0] == '\0' || (strcmp(epoch, epoch_had) == 0 && revision == revision_had)) {
        return KS_RES(OK);
    }
    return send_snapshot(follower->stream, &view, epoch, revision);
}

/* With the lock. After a snapshot of the mirror, frontends get one, too. */
static ks_result tell_change(struct ks_identities *identities, struct follower *follower,
                             const struct ks_identities_change *change)
{
    return change->snapshot ? tell_everything(identities, follower, "", 0)
                            : send_change(follower->stream, change);
}

ks_result ks_identities_apply(struct ks_identities *identities,
                              const struct ks_identities_change *change)
{
    pthread_mutex_lock(&identities->lock);
    ks_result result = ks_store_mirror_apply(identities->store, change->snapshot, change->epoch,
                                             change->revision, change->ops, change->op_count);
    for (size_t i = 0; i < KS_IDENTITIES_FOLLOWERS_MAX && !ks_failed(result); i++) {
        struct follower *follower = &identities->followers[i];
        if (follower->told && ks_failed(tell_change(identities, follower, change))) {
            cut_off(follower);
        }
    }
    pthread_mutex_unlock(&identities->lock);
    return result;
}

struct ks_identities *ks_identities_new(struct ks_store *store)
{
    struct ks_identities *identities = ks_alloc(1, sizeof(*identities));
    identities->store = store;
    pthread_mutex_init(&identities->lock, NULL);
    return identities;
}

void ks_identities_free(struct ks_identities *identities)
{
    if (identities) {
        pthread_mutex_destroy(&identities->lock);
        ks_free(identities);
    }
}

/* Streams */

/* With the lock; NULL as stream finds a free place. */
static struct follower *find(struct ks_identities *identities, const struct ks_rpc_stream *stream)
{
    for (size_t i = 0; i < KS_IDENTITIES_FOLLOWERS_MAX; i++) {
        if (identities->followers[i].stream == stream) {
            return &identities->followers[i];
        }
    }
    return NULL;
}

static ks_result on_open(void *user, struct ks_rpc_stream *stream)
{
    struct ks_identities *identities = user;
    if (!ks_session_is(ks_rpc_stream_peer(stream), KS_SPIFFE_FRONTEND)) {
        return KS_RES(ACCESS_DENIED);
    }
    /* At a first start, until the copy is loaded, there is nothing to read the mirror from. */
    KS_STORE_VIEW_AUTO view = {0};
    KS_TRY(ks_store_peek(identities->store, &view));
    pthread_mutex_lock(&identities->lock);
    struct follower *place = find(identities, NULL);
    if (place) {
        *place = (struct follower){.stream = stream};
    }
    pthread_mutex_unlock(&identities->lock);
    return place ? KS_RES(OK) : KS_RES(THROTTLED);
}

/* The frontend says what it has: the first message of the stream, and the only one. */
static void on_message(void *user, struct ks_rpc_stream *stream, ks_bytes message)
{
    struct ks_identities *identities = user;
    KS_ARENA_AUTO arena = {.len_max = ARENA_LEN_MAX};
    ProtobufCMessage *unpacked = NULL;
    bool good = !ks_failed(
        ks_codec_unpack(INTERNAL_TYPE(watch_identities_request), message, NULL, &arena, &unpacked));
    const INTERNAL(WatchIdentitiesRequest) *request =
        (const INTERNAL(WatchIdentitiesRequest) *)unpacked;
    pthread_mutex_lock(&identities->lock);
    struct follower *follower = find(identities, stream);
    assert(follower);
    if (!good || follower->told ||
        ks_failed(tell_everything(identities, follower, request->epoch, request->revision))) {
        cut_off(follower);
    } else {
        follower->told = true;
    }
    pthread_mutex_unlock(&identities->lock);
}

/* A half-close is no end: the frontend has said all it has to say. */
static void on_half_close(void *user, struct ks_rpc_stream *stream)
{
    (void)user;
    (void)stream;
}

static void on_close(void *user, struct ks_rpc_stream *stream, const struct ks_rpc_error *error)
{
    (void)error;
    struct ks_identities *identities = user;
    pthread_mutex_lock(&identities->lock);
    struct follower *follower = find(identities, stream);
    assert(follower);
    *follower = (struct follower){.stream = NULL};
    pthread_mutex_unlock(&identities->lock);
}

const struct ks_rpc_stream_callbacks ks_identities_stream_callbacks = {
    .on_open = on_open,
    .on_message = on_message,
    .on_half_close = on_half_close,
    .on_close = on_close,
};
