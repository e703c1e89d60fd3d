#include "services/keystore/mirror/mirror.h"

#include <string.h>

#include "pkg/arn/spiffe.h"
#include "pkg/base/arena.h"
#include "pkg/base/log.h"
#include "pkg/base/mem.h"
#include "pkg/follow/feed.h"
#include "pkg/follow/follower.h"
#include "services/keystore/serve/peer.h"

#define METHOD         "/keystead.internal.v1.ControlMirrorService/WatchIdentities"
#define EPOCH_LEN      40U /* of the store's, with its NUL */
#define CAPACITY_FIRST 64U

/* Records while they come in: all of a snapshot, or those of one change. */
struct batch {
    struct ks_arena arena;
    struct ks_store_op *ops;
    size_t count;
    size_t capacity;
};

struct ks_mirror {
    struct ks_mirror_options options;
    struct ks_feed *feed;
    struct ks_follower *follower;
    struct batch snapshot; /* the loop's */
};

/* What comes from control */

static void batch_done(struct batch *batch)
{
    ks_arena_done(&batch->arena);
    ks_free(batch->ops);
    *batch = (struct batch){.count = 0};
}

/* In the arena. Returns NULL bytes for NULL bytes, and when the arena is full. */
static ks_bytes keep(struct batch *batch, ks_bytes bytes)
{
    char *kept = bytes.ptr ? ks_arena_dup(&batch->arena, bytes) : NULL;
    return kept ? (ks_bytes){(const uint8_t *)kept, bytes.len} : (ks_bytes){0};
}

/* Fails: LIMIT_EXCEEDED (more records or bytes than are taken). */
static ks_result batch_add(struct batch *batch, const struct ks_follow_record *record)
{
    batch->arena.len_max = KS_MIRROR_BYTES_MAX;
    if (batch->count == KS_MIRROR_RECORDS_MAX) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    if (batch->count == batch->capacity) {
        batch->capacity = batch->capacity > 0 ? 2 * batch->capacity : CAPACITY_FIRST;
        batch->ops = ks_realloc(batch->ops, batch->capacity, sizeof(*batch->ops));
    }
    struct ks_store_op op = {.key = keep(batch, record->key), .value = keep(batch, record->value)};
    if (!op.key.ptr || (record->value.ptr && !op.value.ptr)) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    batch->ops[batch->count++] = op;
    return KS_RES(OK);
}

static ks_result apply(struct ks_mirror *mirror, const struct ks_follow_part *part,
                       const struct batch *batch)
{
    return ks_store_mirror_apply(mirror->options.store, part->snapshot, part->position.epoch,
                                 part->position.revision, batch->ops, batch->count);
}

/* Sends a change on, as it came. Frontends that it does not fit get everything. */
static void publish(struct ks_mirror *mirror, const struct ks_follow_part *part)
{
    KS_BUFFER_AUTO records = {.len_max = KS_FEED_RECORDS_MAX};
    ks_result packed = KS_RES(OK);
    for (size_t i = 0; i < part->record_count && !ks_failed(packed); i++) {
        packed = ks_feed_pack(&records, part->records[i].key, part->records[i].value, 0);
    }
    if (ks_failed(packed)) {
        ks_feed_renew(mirror->feed);
    } else {
        ks_feed_publish(mirror->feed, &part->position, ks_buffer_bytes(&records));
    }
}

static ks_result apply_snapshot(struct ks_mirror *mirror, const struct ks_follow_part *part)
{
    ks_result result = apply(mirror, part, &mirror->snapshot);
    if (!ks_failed(result)) {
        ks_log(INFO, "identities mirrored", KS_NUMBER("count", mirror->snapshot.count),
               KS_NUMBER("revision", part->position.revision));
        ks_feed_renew(mirror->feed);
    }
    batch_done(&mirror->snapshot);
    return result;
}

static ks_result apply_change(struct ks_mirror *mirror, const struct ks_follow_part *part,
                              const struct batch *change)
{
    KS_TRY(apply(mirror, part, change));
    publish(mirror, part);
    return KS_RES(OK);
}

static ks_result on_part(void *user, const struct ks_follow_part *part)
{
    struct ks_mirror *mirror = user;
    struct batch change = {.count = 0};
    struct batch *batch = part->snapshot ? &mirror->snapshot : &change;
    ks_result result = strlen(part->position.epoch) < EPOCH_LEN ? KS_RES(OK) : KS_RES(VALIDATION);
    for (size_t i = 0; i < part->record_count && !ks_failed(result); i++) {
        result = batch_add(batch, &part->records[i]);
    }
    if (!ks_failed(result) && part->whole) {
        result =
            part->snapshot ? apply_snapshot(mirror, part) : apply_change(mirror, part, &change);
    }
    batch_done(&change);
    return result;
}

static void on_end(void *user)
{
    struct ks_mirror *mirror = user;
    batch_done(&mirror->snapshot);
}

/* What this disk has; nothing if the copy can't be read yet. */
static void on_open(void *user, struct ks_follow_position *position)
{
    const struct ks_mirror *mirror = user;
    KS_STORE_VIEW_AUTO view = {0};
    if (!ks_failed(ks_store_peek(mirror->options.store, &view))) {
        ks_store_mirror_position(&view, position->epoch, &position->revision);
    }
}

/* What goes to frontends */

/* At a first start, until the copy is loaded, there is nothing to read the mirror from. */
static ks_result admit(void *user, struct ks_rpc_stream *stream)
{
    const struct ks_mirror *mirror = user;
    if (!ks_peer_is(ks_rpc_stream_peer(stream), KS_SPIFFE_FRONTEND)) {
        return KS_RES(ACCESS_DENIED);
    }
    KS_STORE_VIEW_AUTO view = {0};
    return ks_store_peek(mirror->options.store, &view);
}

struct snapshot {
    struct ks_feed_writer *writer;
    ks_result result;
};

static bool add_to_snapshot(void *user, const struct ks_store_record *record)
{
    struct snapshot *snapshot = user;
    snapshot->result = ks_feed_add(snapshot->writer, record->key, record->value, 0);
    return !ks_failed(snapshot->result);
}

/* An empty copy is sent nothing of: the frontend gets a snapshot once there is one. */
static ks_result serve(void *user, const struct ks_follow_position *had,
                       struct ks_feed_writer *writer, struct ks_follow_position *now)
{
    const struct ks_mirror *mirror = user;
    struct snapshot snapshot = {.writer = writer, .result = KS_RES(OK)};
    KS_STORE_VIEW_AUTO view = {0};
    KS_TRY(ks_store_peek(mirror->options.store, &view));
    ks_store_mirror_position(&view, now->epoch, &now->revision);
    bool has_all = ks_follow_same_epoch(had, now) && had->revision == now->revision;
    if (now->epoch[0] == '\0' || has_all) {
        return KS_RES(OK);
    }
    ks_feed_begin(writer, now);
    KS_TRY(ks_store_mirror_scan(&view, (ks_bytes){0}, add_to_snapshot, &snapshot));
    return snapshot.result;
}

/* Life */

static ks_result follow(struct ks_mirror *mirror)
{
    const struct ks_follower_options options = {
        .loop = mirror->options.loop,
        .method = METHOD,
        .address = mirror->options.address,
        .server_spiffe = "spiffe://" KS_TRUST_DOMAIN "/control",
        .tls = mirror->options.tls,
        .on_open = on_open,
        .on_part = on_part,
        .on_end = on_end,
        .user = mirror,
    };
    return ks_follower_new(&options, &mirror->follower);
}

ks_result ks_mirror_new(const struct ks_mirror_options *options, struct ks_mirror **ret_mirror)
{
    struct ks_mirror *mirror = ks_alloc(1, sizeof(*mirror));
    const struct ks_feed_options feed = {.on_open = admit, .serve = serve, .user = mirror};
    mirror->options = *options;
    mirror->feed = ks_feed_new(&feed);
    ks_result result = options->address[0] == '\0' ? KS_RES(OK) : follow(mirror);
    if (ks_failed(result)) {
        ks_mirror_free(mirror);
        return result;
    }
    *ret_mirror = mirror;
    return KS_RES(OK);
}

void ks_mirror_close(struct ks_mirror *mirror)
{
    if (mirror) {
        ks_follower_free(mirror->follower);
        mirror->follower = NULL;
    }
}

void ks_mirror_free(struct ks_mirror *mirror)
{
    if (mirror) {
        ks_mirror_close(mirror);
        ks_feed_free(mirror->feed);
        ks_free(mirror);
    }
}

struct ks_feed *ks_mirror_feed(struct ks_mirror *mirror)
{
    return mirror->feed;
}
