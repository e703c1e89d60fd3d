#include "services/keystore/mirror/mirror.h"

#include <stdatomic.h>
#include <string.h>

#include "pkg/arn/spiffe.h"
#include "pkg/base/arena.h"
#include "pkg/base/clock.h"
#include "pkg/base/log.h"
#include "pkg/base/mem.h"
#include "pkg/follow/feed.h"
#include "pkg/follow/follower.h"
#include "pkg/mirror/mirror.h"
#include "pkg/process/file.h"
#include "pkg/rpc/loop.h"
#include "services/keystore/serve/peer.h"

#define METHOD         "/keystead.internal.v1.ControlMirrorService/WatchIdentities"
#define CAPACITY_FIRST 64U

/* Changes while they come in. */
struct batch {
    struct ks_arena arena;
    struct ks_mirror_record *records;
    size_t count;
    size_t capacity;
};

struct ks_identities {
    struct ks_identities_options options;
    struct ks_rpc_loop *loop;
    struct ks_mirror_db *db;
    struct ks_head_verifier *verifier;
    struct ks_crypto *crypto;
    struct ks_feed *feed;
    struct ks_follower *follower;
    /* The loop's. */
    struct ks_head head; /* that the mirror has; number 0: none */
    struct batch changes;
    bool starts_over; /* the next stream asks for a snapshot */
    /* For the status. */
    atomic_int_fast64_t revision;
    atomic_int_fast64_t heard_at_ns;
    atomic_bool heard;
    atomic_bool refuses; /* control has gone back */
};

/* ---- What comes from control ---- */

static void batch_done(struct batch *batch)
{
    ks_arena_done(&batch->arena);
    ks_free(batch->records);
    *batch = (struct batch){.count = 0};
}

/* In the arena. Returns NULL bytes for NULL bytes, and when the arena is full. */
static ks_bytes keep(struct batch *batch, ks_bytes bytes)
{
    char *kept = bytes.ptr ? ks_arena_dup(&batch->arena, bytes) : NULL;
    return kept ? (ks_bytes){(const uint8_t *)kept, bytes.len} : (ks_bytes){0};
}

/* Fails: LIMIT_EXCEEDED (more bytes than are kept). */
static ks_result batch_add(struct batch *batch, const struct ks_follow_record *from)
{
    batch->arena.len_max = KS_IDENTITIES_CHANGES_BYTES_MAX;
    if (batch->count == batch->capacity) {
        batch->capacity = batch->capacity > 0 ? 2 * batch->capacity : CAPACITY_FIRST;
        batch->records = ks_realloc(batch->records, batch->capacity, sizeof(*batch->records));
    }
    const struct ks_mirror_record record = {.key = keep(batch, from->key),
                                            .value = keep(batch, from->value),
                                            .revision = from->revision};
    if (!record.key.ptr || (from->value.ptr && !record.value.ptr)) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    batch->records[batch->count++] = record;
    return KS_RES(OK);
}

static ks_result stage(struct ks_identities *mirror, const struct ks_follow_part *part)
{
    struct batch records = {.count = 0};
    ks_result result = KS_RES(OK);
    for (size_t i = 0; i < part->record_count && !ks_failed(result); i++) {
        result = batch_add(&records, &part->records[i]);
    }
    if (!ks_failed(result)) {
        result = ks_mirror_db_stage_add(mirror->db, records.records, records.count);
    }
    batch_done(&records);
    return result;
}

static ks_result begin(struct ks_identities *mirror, const struct ks_follow_part *part)
{
    batch_done(&mirror->changes);
    return part->snapshot ? ks_mirror_db_stage_begin(mirror->db) : KS_RES(OK);
}

static ks_result receive(struct ks_identities *mirror, const struct ks_follow_part *part)
{
    if (part->begin) {
        KS_TRY(begin(mirror, part));
    }
    if (part->snapshot) {
        return stage(mirror, part);
    }
    for (size_t i = 0; i < part->record_count; i++) {
        KS_TRY(batch_add(&mirror->changes, &part->records[i]));
    }
    return KS_RES(OK);
}

/* The head that has come, for the state that it must speak of. */
struct sealing {
    struct ks_identities *mirror;
    struct ks_head head;
    ks_bytes bytes;
};

static ks_result seal(void *user, const struct ks_set_sum *sum, struct ks_head *ret_head,
                      struct ks_buffer *ret_bytes)
{
    const struct sealing *sealing = user;
    if (!ks_head_is_of(sealing->mirror->crypto, &sealing->head, sum)) {
        return KS_RES(UNAUTHENTICATED);
    }
    *ret_head = sealing->head;
    return ks_buffer_append(ret_bytes, sealing->bytes);
}

static void note_head(struct ks_identities *mirror, const struct ks_head *head)
{
    mirror->head = *head;
    atomic_store(&mirror->revision, head->revision);
    atomic_store(&mirror->refuses, false);
}

/* Until somebody gives control's store a new epoch. The head on disk outlasts restarts. */
static void note_went_back(struct ks_identities *mirror, const struct ks_head *head)
{
    if (!atomic_exchange(&mirror->refuses, true)) {
        ks_log(ERROR, "control has gone back, and what it says is refused",
               KS_NUMBER("revision", head->revision));
    }
}

static ks_result finish(struct ks_identities *mirror, const struct ks_follow_part *part)
{
    struct sealing sealing = {.mirror = mirror, .bytes = part->head};
    KS_TRY(ks_head_open(mirror->verifier, part->head, &sealing.head));
    if (sealing.head.number <= mirror->head.number) {
        return KS_RES(OK); /* it was said before */
    }
    if (!ks_head_follows(&mirror->head, &sealing.head)) {
        note_went_back(mirror, &sealing.head);
        return KS_RES(CONFLICT);
    }
    if (part->snapshot) {
        KS_TRY(ks_mirror_db_stage_finish(mirror->db, seal, &sealing));
        ks_log(INFO, "identities mirrored", KS_NUMBER("count", sealing.head.count),
               KS_NUMBER("revision", sealing.head.revision));
    } else {
        KS_TRY(ks_mirror_db_change(mirror->db, mirror->changes.records, mirror->changes.count, seal,
                                   &sealing));
    }
    note_head(mirror, &sealing.head);
    atomic_store(&mirror->heard_at_ns, ks_clock_boot_ns(&ks_clock_system));
    atomic_store(&mirror->heard, true);
    ks_feed_changed(mirror->feed);
    return KS_RES(OK);
}

/* Whatever went wrong with changes, a snapshot does not rest on what is here. */
static ks_result on_part(void *user, const struct ks_follow_part *part)
{
    struct ks_identities *mirror = user;
    ks_result result = receive(mirror, part);
    if (!ks_failed(result) && part->whole) {
        result = finish(mirror, part);
        batch_done(&mirror->changes);
    }
    if (ks_failed(result)) {
        mirror->starts_over = !part->snapshot;
    } else if (part->whole) {
        mirror->starts_over = false;
    }
    return result;
}

static void on_end(void *user)
{
    struct ks_identities *mirror = user;
    batch_done(&mirror->changes);
}

static bool on_open(void *user, struct ks_follow_position *position)
{
    const struct ks_identities *mirror = user;
    position->number = mirror->head.number;
    if (!mirror->starts_over) {
        memcpy(position->epoch, mirror->head.epoch, sizeof(mirror->head.epoch));
        memcpy(position->history, mirror->head.history, sizeof(mirror->head.history));
        position->revision = mirror->head.revision;
    }
    return true;
}

/* ---- What goes to frontends ---- */

static ks_result admit(void *user, struct ks_rpc_stream *stream)
{
    (void)user;
    bool frontend = ks_peer_is(ks_rpc_stream_peer(stream), KS_SPIFFE_FRONTEND);
    return frontend ? KS_RES(OK) : KS_RES(ACCESS_DENIED);
}

/* ---- Life ---- */

/* The first thing on the loop: what another hand has written is not served, and comes anew. */
static void check(void *argument)
{
    struct ks_identities *mirror = argument;
    ks_result checked = ks_mirror_db_check(mirror->db);
    if (ks_failed(checked)) {
        ks_log(ERROR, "the mirror of identities is damaged, and is thrown away",
               KS_TEXT("code", ks_code_name(checked.code)));
        checked = ks_mirror_db_empty(mirror->db);
    }
    KS_MIRROR_VIEW_AUTO *view = NULL;
    if (ks_failed(checked) || ks_failed(ks_mirror_view_open(mirror->db, &view)) ||
        !ks_mirror_view_head(view)) {
        return;
    }
    /* A head under another root says nothing any more: control's next snapshot takes its place. */
    struct ks_head head;
    if (!ks_failed(ks_head_open(mirror->verifier, ks_mirror_view_head_bytes(view), &head))) {
        note_head(mirror, &head);
    }
}

static ks_result read_root(struct ks_identities *mirror)
{
    KS_BUFFER_AUTO root = {.len_max = KS_RPC_PEM_MAX};
    KS_TRY(ks_file_read(mirror->options.head_ca_file, &root));
    return ks_head_verifier_new(ks_buffer_bytes(&root), &mirror->verifier);
}

static ks_result follow(struct ks_identities *mirror)
{
    const struct ks_follower_options options = {
        .loop = mirror->loop,
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

static ks_result open_parts(struct ks_identities *mirror)
{
    const struct ks_mirror_options files = {.folder = mirror->options.folder};
    KS_TRY(read_root(mirror));
    KS_TRY(ks_mirror_db_open(&files, &mirror->db));
    const struct ks_feed_options feed = {
        .loop = mirror->loop, .mirror = mirror->db, .on_open = admit, .user = mirror};
    mirror->feed = ks_feed_new(&feed);
    ks_rpc_loop_post(mirror->loop, check, mirror);
    return mirror->options.address[0] == '\0' ? KS_RES(OK) : follow(mirror);
}

ks_result ks_identities_new(const struct ks_identities_options *options,
                            struct ks_identities **ret_mirror)
{
    struct ks_identities *mirror = ks_alloc(1, sizeof(*mirror));
    mirror->options = *options;
    mirror->loop = ks_rpc_loop_new("identities");
    mirror->crypto = ks_crypto_new();
    atomic_store(&mirror->heard_at_ns, ks_clock_boot_ns(&ks_clock_system));
    ks_result result = open_parts(mirror);
    if (ks_failed(result)) {
        ks_identities_free(mirror);
        return result;
    }
    *ret_mirror = mirror;
    return KS_RES(OK);
}

void ks_identities_close(struct ks_identities *mirror)
{
    if (mirror) {
        ks_follower_free(mirror->follower);
        mirror->follower = NULL;
    }
}

void ks_identities_free(struct ks_identities *mirror)
{
    if (mirror) {
        ks_identities_close(mirror);
        ks_rpc_loop_free(mirror->loop);
        ks_feed_free(mirror->feed);
        ks_mirror_db_close(mirror->db);
        ks_head_verifier_free(mirror->verifier);
        ks_crypto_free(mirror->crypto);
        batch_done(&mirror->changes);
        ks_free(mirror);
    }
}

struct ks_feed *ks_identities_feed(struct ks_identities *mirror)
{
    return mirror->feed;
}

void ks_identities_get_status(struct ks_identities *mirror, struct ks_identities_status *ret_status)
{
    int64_t since_ns = ks_clock_boot_ns(&ks_clock_system) - atomic_load(&mirror->heard_at_ns);
    *ret_status = (struct ks_identities_status){.revision = atomic_load(&mirror->revision),
                                                .silence_ms = since_ns / KS_NS_PER_MS,
                                                .heard = atomic_load(&mirror->heard),
                                                .refuses = atomic_load(&mirror->refuses)};
}
