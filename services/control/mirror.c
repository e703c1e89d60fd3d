#include "services/control/mirror.h"

#include <assert.h>
#include <string.h>

#include "keystead/internal/v1/internal.pb-c.h"
#include "pkg/base/log.h"
#include "pkg/base/mem.h"
#include "pkg/codec/codec.h"
#include "pkg/rpc/loop.h"
#include "pkg/rpc/server.h"
#include "services/control/records.h"

#define RECORDS_LEN_MAX (1024U * 1024U) /* of one message */
#define CHUNK_LEN       (256U * 1024U)  /* of a snapshot: a message is sent when it is past this */
#define RECORDS_FIELD   5U              /* of WatchIdentitiesResponse */
#define REQUEST_LEN_MAX 1024U
#define EPOCH_SIZE      sizeof(((struct ks_store_status *)0)->epoch)

typedef Keystead__Internal__V1__WatchIdentitiesRequest watch_request;
typedef Keystead__Internal__V1__WatchIdentitiesResponse watch_response;

struct ks_mirror {
    struct ks_rpc_loop *loop;
    struct ks_store *store; /* NULL until it is set; there is no follower before that */

    /* The store's thread: what changed and was not posted yet. */
    struct ks_buffer incoming;
    int64_t incoming_revision; /* the newest one; 0: nothing changed */
    bool incoming_lost;        /* more than a message holds: followers start over */

    /* The loop: who follows, and up to where each has been told. */
    struct follower {
        struct ks_rpc_stream *stream; /* NULL: free */
        int64_t revision;             /* 0: has not said yet what it has */
        char epoch[EPOCH_SIZE];       /* that the revision is of */
    } followers[KS_MIRROR_STREAMS_MAX];
};

/* What is on its way from the store's thread to the loop. */
struct change {
    struct ks_mirror *mirror;
    int64_t revision; /* who has been told this one needs nothing of it */
    bool start_over;
    struct ks_buffer records; /* none if only records changed that are not mirrored */
};

struct ks_mirror *ks_mirror_new(struct ks_rpc_loop *loop)
{
    struct ks_mirror *mirror = ks_alloc(1, sizeof(*mirror));
    mirror->loop = loop;
    mirror->incoming.len_max = RECORDS_LEN_MAX;
    return mirror;
}

void ks_mirror_free(struct ks_mirror *mirror)
{
    if (!mirror) {
        return;
    }
    ks_buffer_done(&mirror->incoming);
    ks_free(mirror);
}

void ks_mirror_set_store(struct ks_mirror *mirror, struct ks_store *store)
{
    mirror->store = store;
}

static struct follower *find(struct ks_mirror *mirror, const struct ks_rpc_stream *stream)
{
    for (size_t i = 0; i < KS_MIRROR_STREAMS_MAX; i++) {
        if (mirror->followers[i].stream == stream) {
            return &mirror->followers[i];
        }
    }
    return NULL;
}

/* An embedded store has no epoch of etcd's: its folder is as old as its revisions. */
static void get_epoch(struct ks_store *store, char ret_epoch[EPOCH_SIZE])
{
    struct ks_store_status status;
    static_assert(sizeof(status.keystore_id) == EPOCH_SIZE, "either stands in an epoch's place");
    ks_store_get_status(store, &status);
    memcpy(ret_epoch, status.epoch[0] ? status.epoch : status.keystore_id, EPOCH_SIZE);
}

/* ---- Messages ---- */

static ks_result add_record(struct ks_buffer *message, ks_bytes key, ks_bytes value,
                            int64_t revision)
{
    KS_AUTO_FREE char *name = ks_bytes_dup(key);
    Keystead__Internal__V1__IdentityRecord record = KEYSTEAD__INTERNAL__V1__IDENTITY_RECORD__INIT;
    record.key = name;
    record.deleted = !value.ptr;
    record.mod_revision = revision;
    if (value.ptr) {
        record.value.len = value.len;
        record.value.data = (uint8_t *)(uintptr_t)value.ptr;
    }
    return ks_codec_pack_field(RECORDS_FIELD, &record.base, message);
}

/* Sends records, with head's fields behind them: those of a message may come in any order. */
static ks_result send_message(struct follower *follower, watch_response *head, ks_bytes records)
{
    KS_BUFFER_AUTO message = {.len_max = KS_MIRROR_MESSAGE_MAX};
    head->epoch = follower->epoch;
    KS_TRY(ks_buffer_append(&message, records));
    KS_TRY(ks_codec_pack(&head->base, &message));
    return ks_rpc_stream_send_buffer(follower->stream, &message);
}

/* A follower that can't be told something must not go on without it: it starts over. */
static void cut_off(struct follower *follower, const char *cause)
{
    ks_log(WARN, "keystore must start over with the mirror", KS_TEXT("cause", cause),
           KS_TEXT("peer", ks_rpc_stream_peer(follower->stream)->spiffe));
    ks_rpc_stream_cancel(follower->stream);
    follower->revision = INT64_MAX;
}

/* ---- The snapshot ---- */

struct snapshot {
    struct follower *follower;
    watch_response head;
    struct ks_buffer records;
    ks_result result;
};

static void send_chunk(struct snapshot *snapshot)
{
    snapshot->result =
        send_message(snapshot->follower, &snapshot->head, ks_buffer_bytes(&snapshot->records));
    snapshot->records.len = 0;
}

static bool add_to_snapshot(void *user, const struct ks_store_record *record)
{
    struct snapshot *snapshot = user;
    snapshot->result = add_record(&snapshot->records, record->key, record->value, record->revision);
    if (!ks_failed(snapshot->result) && snapshot->records.len >= CHUNK_LEN) {
        send_chunk(snapshot);
    }
    return !ks_failed(snapshot->result);
}

static ks_result send_snapshot(struct follower *follower, const struct ks_store_view *view)
{
    struct snapshot snapshot = {.follower = follower,
                                .head = KEYSTEAD__INTERNAL__V1__WATCH_IDENTITIES_RESPONSE__INIT,
                                .records = {.len_max = RECORDS_LEN_MAX}};
    snapshot.head.revision = view->revision;
    snapshot.head.snapshot = true;
    ks_result r = KS_RES(OK);
    for (size_t i = 0; i < KS_RECORD_MIRRORED_COUNT && !ks_failed(r); i++) {
        r = ks_store_scan(view, ks_bytes_of(ks_record_mirrored[i]), (ks_bytes){0}, add_to_snapshot,
                          &snapshot);
        r = ks_failed(r) ? r : snapshot.result;
    }
    if (!ks_failed(r)) {
        snapshot.head.snapshot_end = true;
        send_chunk(&snapshot);
        r = snapshot.result;
    }
    ks_buffer_done(&snapshot.records);
    return r;
}

/* The view that it starts from is taken after the epoch: a reload in between cuts it off. */
static void start_follower(struct ks_mirror *mirror, struct follower *follower,
                           const watch_request *request)
{
    get_epoch(mirror->store, follower->epoch);
    KS_STORE_VIEW_AUTO view = {0};
    if (ks_failed(ks_store_peek(mirror->store, &view))) {
        cut_off(follower, "the store is not loaded yet");
        return;
    }
    follower->revision = view.revision;
    bool has_all = strcmp(request->epoch, follower->epoch) == 0 &&
                   request->revision >= view.data_revision && request->revision <= view.revision;
    if (!has_all && ks_failed(send_snapshot(follower, &view))) {
        cut_off(follower, "the snapshot could not be sent");
    }
}

/* The keystore says what it has: the first message of the stream, and the only one. */
static void on_message(void *user, struct ks_rpc_stream *stream, ks_bytes message)
{
    struct ks_mirror *mirror = user;
    struct follower *follower = find(mirror, stream);
    assert(follower);
    KS_ARENA_AUTO arena = {.len_max = 8 * REQUEST_LEN_MAX};
    ProtobufCMessage *request;
    if (follower->revision != 0 || message.len > REQUEST_LEN_MAX ||
        ks_failed(ks_codec_unpack(&keystead__internal__v1__watch_identities_request__descriptor,
                                  message, NULL, &arena, &request))) {
        cut_off(follower, "its request is malformed");
        return;
    }
    start_follower(mirror, follower, (const watch_request *)request);
}

/* ---- Changes ---- */

void ks_mirror_changed(struct ks_mirror *mirror, ks_bytes key, ks_bytes value, int64_t revision)
{
    mirror->incoming_revision = revision;
    if (ks_record_is_mirrored(key) &&
        ks_failed(add_record(&mirror->incoming, key, value, revision))) {
        mirror->incoming_lost = true;
    }
}

static void tell(struct follower *follower, const struct change *change, const char *epoch)
{
    watch_response head = KEYSTEAD__INTERNAL__V1__WATCH_IDENTITIES_RESPONSE__INIT;
    head.revision = change->revision;
    if (change->start_over || strcmp(follower->epoch, epoch) != 0) {
        cut_off(follower, "the store was loaded anew, or too much changed at once");
    } else if (ks_failed(send_message(follower, &head, ks_buffer_bytes(&change->records)))) {
        cut_off(follower, "it reads too slowly");
    } else {
        follower->revision = change->revision;
    }
}

/* Asks the store nothing unless somebody follows: it may not be set yet, or gone. */
static void tell_followers(void *arg)
{
    struct change *change = arg;
    struct ks_mirror *mirror = change->mirror;
    char epoch[EPOCH_SIZE] = "";
    for (size_t i = 0; i < KS_MIRROR_STREAMS_MAX; i++) {
        struct follower *follower = &mirror->followers[i];
        if (!follower->stream || follower->revision == 0 ||
            follower->revision >= change->revision) {
            continue;
        }
        if (epoch[0] == '\0') {
            get_epoch(mirror->store, epoch);
        }
        tell(follower, change, epoch);
    }
    ks_buffer_done(&change->records);
    ks_free(change);
}

/* Hands over what changed, and begins anew. */
static void post_change(struct ks_mirror *mirror, int64_t revision, bool start_over)
{
    struct change *change = ks_alloc(1, sizeof(*change));
    *change = (struct change){mirror, revision, start_over, mirror->incoming};
    mirror->incoming = (struct ks_buffer){.len_max = RECORDS_LEN_MAX};
    mirror->incoming_revision = 0;
    mirror->incoming_lost = false;
    ks_rpc_loop_post(mirror->loop, tell_followers, change);
}

void ks_mirror_told(struct ks_mirror *mirror)
{
    if (mirror->incoming_revision != 0) {
        post_change(mirror, mirror->incoming_revision, mirror->incoming_lost);
    }
}

void ks_mirror_reloaded(struct ks_mirror *mirror)
{
    post_change(mirror, INT64_MAX, true);
}

/* ---- Streams ---- */

static ks_result on_open(void *user, struct ks_rpc_stream *stream)
{
    struct ks_mirror *mirror = user;
    struct follower *free_place = find(mirror, NULL);
    if (!mirror->store || !free_place) {
        return KS_RES(UNAVAILABLE);
    }
    *free_place = (struct follower){.stream = stream};
    return KS_RES(OK);
}

static void on_close(void *user, struct ks_rpc_stream *stream, const struct ks_rpc_error *error)
{
    (void)error; /* it comes back by itself */
    struct follower *follower = find(user, stream);
    assert(follower);
    *follower = (struct follower){0};
}

/* A half-close is no end: the keystore has said all it has to say. */
static void on_half_close(void *user, struct ks_rpc_stream *stream)
{
    (void)user;
    (void)stream;
}

const struct ks_rpc_stream_callbacks ks_mirror_callbacks = {.on_open = on_open,
                                                            .on_message = on_message,
                                                            .on_half_close = on_half_close,
                                                            .on_close = on_close};
