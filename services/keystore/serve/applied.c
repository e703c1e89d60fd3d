#include "services/keystore/serve/applied.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "keystead/internal/v1/internal.pb-c.h"
#include "pkg/arn/spiffe.h"
#include "pkg/base/arena.h"
#include "pkg/base/log.h"
#include "pkg/base/mem.h"
#include "pkg/codec/codec.h"
#include "pkg/rpc/client.h"
#include "pkg/rpc/server.h"
#include "services/keystore/records/message.h"
#include "services/keystore/serve/peer.h"
#include "services/keystore/worker/worker.h"

#define METHOD        "/keystead.internal.v1.KeystoreService/Applied"
#define WORD_LEN_MAX  256U
#define ARENA_LEN_MAX 4096U

/* One keystore that is told. */
struct peer {
    struct ks_applied *applied;
    bool used;
    char keystore_id[40];
    char zone[64];
    char address[64];
    struct ks_rpc_channel *channel;
    struct ks_rpc_stream *stream; /* a ref; NULL: none is open */
    int64_t said;                 /* the revision that was sent last */
};

struct ks_applied {
    struct ks_applied_options options;
    _Atomic(struct ks_store *) store;
    pthread_mutex_t lock; /* guards the peers' streams and what is said */
    int64_t revision;
    char keystore_id[40];
    uint64_t life;
    struct peer peers[KS_STORE_KEYSTORES_MAX];
};

/* Saying */

/* With the lock. One word is on its way at a time: the next one says the newest. */
static void say(struct peer *peer)
{
    struct ks_applied *applied = peer->applied;
    if (!peer->stream || peer->said >= applied->revision || applied->keystore_id[0] == '\0' ||
        !ks_rpc_stream_ready(peer->stream)) {
        return;
    }
    INTERNAL(AppliedRequest) word = INTERNAL_NEW(APPLIED_REQUEST);
    word.keystore_id = applied->keystore_id;
    word.life = applied->life;
    word.applied_revision = applied->revision;
    KS_BUFFER_AUTO message = {.len_max = WORD_LEN_MAX};
    if (!ks_failed(ks_codec_pack(&word.base, &message)) &&
        !ks_failed(ks_rpc_stream_send_buffer(peer->stream, &message))) {
        peer->said = applied->revision;
    }
}

void ks_applied_say(struct ks_applied *applied, int64_t revision)
{
    pthread_mutex_lock(&applied->lock);
    applied->revision = revision;
    for (size_t i = 0; i < KS_STORE_KEYSTORES_MAX; i++) {
        say(&applied->peers[i]);
    }
    pthread_mutex_unlock(&applied->lock);
}

static void peer_writable(void *user, struct ks_rpc_stream *stream)
{
    (void)stream;
    struct peer *peer = user;
    pthread_mutex_lock(&peer->applied->lock);
    say(peer);
    pthread_mutex_unlock(&peer->applied->lock);
}

static void peer_closed(void *user, struct ks_rpc_stream *stream, const struct ks_rpc_error *error)
{
    (void)error; /* The worker opens it again. */
    struct peer *peer = user;
    pthread_mutex_lock(&peer->applied->lock);
    bool ours = peer->stream == stream;
    peer->stream = ours ? NULL : peer->stream;
    pthread_mutex_unlock(&peer->applied->lock);
    if (ours) {
        ks_rpc_stream_unref(stream);
    }
}

static void peer_message(void *user, struct ks_rpc_stream *stream, ks_bytes message)
{
    (void)user;
    (void)stream;
    (void)message;
}

static const struct ks_rpc_stream_callbacks peer_callbacks = {
    .on_message = peer_message,
    .on_writable = peer_writable,
    .on_close = peer_closed,
};

/* The list */

static bool is_same(const struct peer *peer, const struct ks_store_peer *listed)
{
    return peer->used && strcmp(peer->keystore_id, listed->keystore_id) == 0 &&
           strcmp(peer->address, listed->address) == 0 && strcmp(peer->zone, listed->zone) == 0;
}

static bool is_listed(const struct peer *peer, const struct ks_store_status *status)
{
    for (size_t i = 0; i < status->listed_count; i++) {
        if (is_same(peer, &status->listed[i])) {
            return true;
        }
    }
    return false;
}

static struct peer *find(struct ks_applied *applied, const struct ks_store_peer *listed)
{
    struct peer *place = NULL;
    for (size_t i = 0; i < KS_STORE_KEYSTORES_MAX; i++) {
        if (is_same(&applied->peers[i], listed)) {
            return &applied->peers[i];
        }
        place = applied->peers[i].used ? place : &applied->peers[i];
    }
    assert(place); /* peers that are not listed were dropped before */
    return place;
}

static void drop(struct peer *peer)
{
    ks_rpc_channel_free(peer->channel); /* its stream is closed by then, and peer->stream NULL */
    struct ks_applied *applied = peer->applied;
    pthread_mutex_lock(&applied->lock);
    *peer = (struct peer){.applied = applied};
    pthread_mutex_unlock(&applied->lock);
}

static void adopt(struct peer *peer, const struct ks_store_peer *listed)
{
    const struct ks_applied_options *options = &peer->applied->options;
    struct ks_spiffe spiffe = {.kind = KS_SPIFFE_KEYSTORE};
    char uri[KS_SPIFFE_LEN_MAX + 1];
    snprintf(spiffe.region, sizeof(spiffe.region), "%s", options->region);
    snprintf(spiffe.zone, sizeof(spiffe.zone), "%.*s", (int)KS_ZONE_LEN_MAX, listed->zone);
    if (ks_failed(ks_spiffe_format(&spiffe, uri))) {
        return;
    }
    const struct ks_rpc_channel_options channel = {
        .address = listed->address,
        .tls = options->tls,
        .server_spiffe = uri,
        .loop = options->loop,
    };
    if (ks_failed(ks_rpc_channel_new(&channel, &peer->channel))) {
        return;
    }
    memcpy(peer->keystore_id, listed->keystore_id, sizeof(peer->keystore_id));
    memcpy(peer->zone, listed->zone, sizeof(peer->zone));
    memcpy(peer->address, listed->address, sizeof(peer->address));
    peer->used = true;
}

/* The lock keeps the stream's callbacks out until peer->stream is set. */
static void open_stream(struct peer *peer)
{
    pthread_mutex_lock(&peer->applied->lock);
    if (!peer->stream) {
        const struct ks_rpc_stream_options options = {
            .method = METHOD, .callbacks = &peer_callbacks, .user = peer};
        peer->stream = ks_rpc_stream_ref(ks_rpc_stream_open(peer->channel, &options));
        peer->said = 0;
        say(peer);
    }
    pthread_mutex_unlock(&peer->applied->lock);
}

static void take_identity(struct ks_applied *applied, const struct ks_store_status *status)
{
    pthread_mutex_lock(&applied->lock);
    memcpy(applied->keystore_id, status->keystore_id, sizeof(applied->keystore_id));
    applied->life = status->life;
    pthread_mutex_unlock(&applied->lock);
}

void ks_applied_run(void *user, struct ks_worker *worker)
{
    (void)worker;
    struct ks_applied *applied = user;
    struct ks_store *store = atomic_load(&applied->store);
    if (!store) {
        return;
    }
    struct ks_store_status status;
    ks_store_get_status(store, &status);
    take_identity(applied, &status);
    for (size_t i = 0; i < KS_STORE_KEYSTORES_MAX; i++) {
        if (applied->peers[i].used && !is_listed(&applied->peers[i], &status)) {
            drop(&applied->peers[i]);
        }
    }
    for (size_t i = 0; i < status.listed_count; i++) {
        const struct ks_store_peer *listed = &status.listed[i];
        if (strcmp(listed->keystore_id, status.keystore_id) == 0) {
            continue;
        }
        struct peer *peer = find(applied, listed);
        if (!peer->used) {
            adopt(peer, listed);
        }
        if (peer->used) {
            open_stream(peer);
        }
    }
}

struct ks_applied *ks_applied_new(const struct ks_applied_options *options)
{
    struct ks_applied *applied = ks_alloc(1, sizeof(*applied));
    applied->options = *options;
    pthread_mutex_init(&applied->lock, NULL);
    for (size_t i = 0; i < KS_STORE_KEYSTORES_MAX; i++) {
        applied->peers[i].applied = applied;
    }
    return applied;
}

void ks_applied_set_store(struct ks_applied *applied, struct ks_store *store)
{
    atomic_store(&applied->store, store);
}

void ks_applied_close(struct ks_applied *applied)
{
    for (size_t i = 0; i < KS_STORE_KEYSTORES_MAX; i++) {
        drop(&applied->peers[i]);
    }
}

void ks_applied_free(struct ks_applied *applied)
{
    if (applied) {
        pthread_mutex_destroy(&applied->lock);
        ks_free(applied);
    }
}

/* Listening */

/* Which keystore speaks on a stream, once its record was seen to be of the certificate's zone. */
struct speaker {
    struct ks_applied *applied;
    char keystore_id[40]; /* empty: not known yet */
};

static ks_result on_open(void *user, struct ks_rpc_stream *stream)
{
    if (!ks_peer_is(ks_rpc_stream_peer(stream), KS_SPIFFE_KEYSTORE)) {
        return KS_RES(ACCESS_DENIED);
    }
    struct speaker *speaker = ks_alloc(1, sizeof(*speaker));
    speaker->applied = user;
    ks_rpc_stream_set_user(stream, speaker);
    return KS_RES(OK);
}

static bool is_of_zone(struct ks_store *store, const char *keystore_id, const char *zone)
{
    struct ks_store_status status;
    ks_store_get_status(store, &status);
    for (size_t i = 0; i < status.listed_count; i++) {
        if (strcmp(status.listed[i].keystore_id, keystore_id) == 0) {
            return strcmp(status.listed[i].zone, zone) == 0;
        }
    }
    return false;
}

static void on_message(void *user, struct ks_rpc_stream *stream, ks_bytes message)
{
    struct speaker *speaker = user;
    struct ks_store *store = atomic_load(&speaker->applied->store);
    KS_ARENA_AUTO arena = {.len_max = ARENA_LEN_MAX};
    ProtobufCMessage *unpacked = NULL;
    if (!store || ks_failed(ks_codec_unpack(INTERNAL_TYPE(applied_request), message, NULL, &arena,
                                            &unpacked))) {
        return;
    }
    const INTERNAL(AppliedRequest) *word = (const INTERNAL(AppliedRequest) *)unpacked;
    if (word->keystore_id[0] == '\0') {
        return; /* An empty message, too, unpacks to such a word. */
    }
    if (strcmp(speaker->keystore_id, word->keystore_id) != 0) {
        if (strlen(word->keystore_id) >= sizeof(speaker->keystore_id) ||
            !is_of_zone(store, word->keystore_id, ks_peer_zone(ks_rpc_stream_peer(stream)))) {
            return; /* It is not on the list (yet): what it says does not count. */
        }
        memcpy(speaker->keystore_id, word->keystore_id, strlen(word->keystore_id) + 1);
    }
    ks_store_peer_applied(store, word->keystore_id, word->applied_revision);
}

static void on_close(void *user, struct ks_rpc_stream *stream, const struct ks_rpc_error *error)
{
    (void)stream;
    (void)error;
    ks_free(user);
}

const struct ks_rpc_stream_callbacks ks_applied_stream_callbacks = {
    .on_open = on_open,
    .on_message = on_message,
    .on_close = on_close,
};
