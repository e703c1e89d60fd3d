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

#define MESSAGE_LEN_MAX  (1024U * 1024U)
#define CHUNK_LEN        (256U * 1024U) /* of a snapshot: a message is sent when it is past this */
#define RECORDS_FIELD    5U             /* of WatchIdentitiesResponse */
#define REQUEST_LEN_MAX  1024U

typedef Keystead__Internal__V1__WatchIdentitiesResponse watch_response;

struct ks_mirror {
    struct ks_rpc_loop *loop;
    struct ks_store *store;

    /* The store's thread: the records of the revision that is coming in. */
    struct ks_buffer incoming;
    int64_t incoming_revision;

    /* The loop: who follows, and up to where each has been told. */
    struct follower {
        struct ks_rpc_stream *stream; /* NULL: free */
        int64_t revision;             /* 0: has not said yet what it has */
    } followers[KS_MIRROR_STREAMS_MAX];
};

/* A revision on its way from the store's thread to the loop. records is empty: start over. */
struct change {
    struct ks_mirror *mirror;
    int64_t revision;
    struct ks_buffer records;
};

struct ks_mirror *ks_mirror_new(struct ks_rpc_loop *loop)
{
    struct ks_mirror *mirror = ks_alloc(1, sizeof(*mirror));
    mirror->loop = loop;
    mirror->incoming.len_max = MESSAGE_LEN_MAX;
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

/* Appends the fields around the records, and sends. The fields of a message may come in any order. */
static ks_result send_message(struct follower *follower, watch_response *head,
                              struct ks_buffer *records)
{
    KS_TRY(ks_codec_pack(&head->base, records));
    return ks_rpc_stream_send_buffer(follower->stream, records);
}

/* A follower that can't be told something must not go on without it: it starts over. */
static void cut_off(struct follower *follower, const char *cause)
{
    ks_log(WARN, "keystore must start over with the mirror", KS_TEXT("cause", cause),
           KS_TEXT("peer", ks_rpc_stream_peer(follower->stream)->spiffe));
    ks_rpc_stream_cancel(follower->stream);
}

/* ---- The snapshot ---- */

struct snapshot {
    struct follower *follower;
    watch_response head;
    struct ks_buffer message;
    ks_result result;
};

static bool add_to_snapshot(void *user, const struct ks_store_record *record)
{
    struct snapshot *snapshot = user;
    snapshot->result = add_record(&snapshot->message, record->key, record->value, record->revision);
    if (!ks_failed(snapshot->result) && snapshot->message.len >= CHUNK_LEN) {
        snapshot->result = send_message(snapshot->follower, &snapshot->head, &snapshot->message);
        snapshot->message = (struct ks_buffer){.len_max = MESSAGE_LEN_MAX};
    }
    return !ks_failed(snapshot->result);
}

static ks_result send_snapshot(struct follower *follower, const struct ks_store_view *view,
                               char *epoch)
{
    static const char *const prefixes[] = {"account/", "user/", "certificate/"};
    struct snapshot snapshot = {.follower = follower,
                                .head = KEYSTEAD__INTERNAL__V1__WATCH_IDENTITIES_RESPONSE__INIT,
                                .message = {.len_max = MESSAGE_LEN_MAX}};
    snapshot.head.epoch = epoch;
    snapshot.head.revision = view->revision;
    snapshot.head.snapshot = true;
    ks_result r = KS_RES(OK);
    for (size_t i = 0; i < KS_COUNT(prefixes) && !ks_failed(r); i++) {
        r = ks_store_scan(view, ks_bytes_of(prefixes[i]), (ks_bytes){0}, add_to_snapshot,
                          &snapshot);
        r = ks_failed(r) ? r : snapshot.result;
    }
    if (!ks_failed(r)) {
        snapshot.head.snapshot_end = true;
        r = send_message(follower, &snapshot.head, &snapshot.message);
    }
    ks_buffer_done(&snapshot.message);
    return r;
}

/* The keystore says what it has: the first message of the stream, and the only one. */
static void on_message(void *user, struct ks_rpc_stream *stream, ks_bytes message)
{
    struct ks_mirror *mirror = user;
    struct follower *follower = find(mirror, stream);
    KS_ARENA_AUTO arena = {.len_max = 8 * REQUEST_LEN_MAX};
    ProtobufCMessage *unpacked;
    if (follower->revision != 0 || message.len > REQUEST_LEN_MAX ||
        ks_failed(ks_codec_unpack(
            &keystead__internal__v1__watch_identities_request__descriptor, message, NULL, &arena,
            &unpacked))) {
        cut_off(follower, "its request is malformed");
        return;
    }
    const Keystead__Internal__V1__WatchIdentitiesRequest *request =
        (const Keystead__Internal__V1__WatchIdentitiesRequest *)unpacked;
    struct ks_store_status status;
    ks_store_get_status(mirror->store, &status);
    KS_STORE_VIEW_AUTO view = {0};
    if (ks_failed(ks_store_peek(mirror->store, &view))) {
        cut_off(follower, "the store is not loaded yet");
        return;
    }
    follower->revision = view.revision;
    bool has_all = strcmp(request->epoch, status.epoch) == 0 &&
                   request->revision >= view.data_revision && request->revision <= view.revision;
    if (!has_all && ks_failed(send_snapshot(follower, &view, status.epoch))) {
        cut_off(follower, "the snapshot could not be sent");
    }
}

/* ---- Changes ---- */

void ks_mirror_changed(struct ks_mirror *mirror, ks_bytes key, ks_bytes value, int64_t revision)
{
    if (!ks_record_is_mirrored(key)) {
        return;
    }
    mirror->incoming_revision = revision;
    if (ks_failed(add_record(&mirror->incoming, key, value, revision))) {
        ks_mirror_reloaded(mirror); /* more than a message holds: a snapshot says it, too */
    }
}

static void tell_followers(void *arg)
{
    struct change *change = arg;
    struct ks_store_status status;
    ks_store_get_status(change->mirror->store, &status);
    for (size_t i = 0; i < KS_MIRROR_STREAMS_MAX; i++) {
        struct follower *follower = &change->mirror->followers[i];
        if (!follower->stream || follower->revision == 0 ||
            (change->records.len > 0 && follower->revision >= change->revision)) {
            continue;
        }
        watch_response head = KEYSTEAD__INTERNAL__V1__WATCH_IDENTITIES_RESPONSE__INIT;
        head.epoch = status.epoch;
        head.revision = change->revision;
        KS_BUFFER_AUTO message = {.len_max = 2 * MESSAGE_LEN_MAX};
        if (change->records.len == 0 ||
            ks_failed(ks_buffer_append(&message, ks_buffer_bytes(&change->records))) ||
            ks_failed(send_message(follower, &head, &message))) {
            cut_off(follower, "a change could not be sent");
        }
        follower->revision = change->revision;
    }
    ks_buffer_done(&change->records);
    ks_free(change);
}

static void post_change(struct ks_mirror *mirror, int64_t revision)
{
    struct change *change = ks_alloc(1, sizeof(*change));
    *change = (struct change){mirror, revision, mirror->incoming};
    mirror->incoming = (struct ks_buffer){.len_max = MESSAGE_LEN_MAX};
    mirror->incoming_revision = 0;
    ks_rpc_loop_post(mirror->loop, tell_followers, change);
}

void ks_mirror_applied(struct ks_mirror *mirror, int64_t revision)
{
    if (mirror->incoming_revision != 0) {
        post_change(mirror, revision);
    }
}

void ks_mirror_reloaded(struct ks_mirror *mirror)
{
    ks_buffer_done(&mirror->incoming);
    post_change(mirror, INT64_MAX);
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
