#include "services/keystore/backup/take.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "keystead/internal/v1/internal.pb-c.h"
#include "pkg/backup/writer.h"
#include "pkg/base/arena.h"
#include "pkg/base/clock.h"
#include "pkg/base/log.h"
#include "pkg/base/mem.h"
#include "pkg/codec/codec.h"
#include "pkg/crypto/crypto.h"
#include "pkg/crypto/random.h"
#include "pkg/record/change.h"
#include "pkg/record/record.h"
#include "pkg/rpc/server.h"
#include "services/keystore/backup/contents.h"
#include "services/keystore/records/message.h"
#include "services/keystore/records/name.h"
#include "services/keystore/serve/peer.h"
#include "services/keystore/worker/sync.h"
#include "services/keystore/worker/worker.h"

#define PART_LEN        (256U * 1024U) /* bytes that are gathered for one message */
#define PART_LEN_MAX    (PART_LEN + KS_BACKUP_FRONT_LEN_MAX + (128U * 1024U))
#define MESSAGE_LEN_MAX (PART_LEN_MAX + 64U)
#define REQUEST_LEN_MAX 4096U
#define WAIT_MS         100 /* for the caller to read; then it is seen whether to go on */

static_assert(KS_BACKUP_KEY_LEN_MAX >= KS_STORE_KEY_LEN_MAX, "every key has room in a backup");
static_assert(KS_BACKUP_VALUE_LEN_MAX >= KS_STORE_VALUE_LEN_MAX, "and every value");

struct ks_backups {
    struct ks_backups_options options;
    pthread_mutex_t lock;         /* guards the rest */
    pthread_cond_t changed;       /* the stream can be written, or is gone */
    struct ks_rpc_stream *stream; /* that a backup is sent on; a ref. NULL: there is none */
    bool taken;                   /* the worker has begun with it */
    bool gone;                    /* its caller has */
    bool closed;
};

/* A backup while it is being sent. The worker's. */
struct taking {
    struct ks_backups *backups;
    struct ks_worker *worker;
    struct ks_rpc_stream *stream; /* borrowed from backups, which keeps it meanwhile */
    struct ks_backup_writer *writer;
    struct ks_buffer part;
    uint64_t bytes_before; /* that the copy had when it began */
    int64_t end_ns;
    ks_result result; /* of the record that the scan has stopped at */
};

/* ---- What the caller is sent ---- */

static struct timespec in_a_moment(void)
{
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    at.tv_nsec += WAIT_MS * KS_NS_PER_MS;
    if (at.tv_nsec >= KS_NS_PER_S) {
        at.tv_sec++;
        at.tv_nsec -= KS_NS_PER_S;
    }
    return at;
}

/* Whether to go on. Fails: UNAVAILABLE, CANCELLED, DEADLINE, LIMIT_EXCEEDED. */
static ks_result look_around(const struct taking *taking)
{
    struct ks_backups *backups = taking->backups;
    struct ks_store_status status;
    pthread_mutex_lock(&backups->lock);
    bool gone = backups->gone;
    pthread_mutex_unlock(&backups->lock);
    if (gone) {
        return KS_RES(CANCELLED);
    }
    if (ks_worker_is_stopping(taking->worker)) {
        return KS_RES(UNAVAILABLE);
    }
    if (ks_clock_boot_ns(&ks_clock_system) >= taking->end_ns) {
        return KS_RES(DEADLINE);
    }
    ks_store_get_status(backups->options.store, &status);
    bool has_grown =
        status.database_bytes > taking->bytes_before + backups->options.growth_bytes_max;
    return has_grown ? KS_RES(LIMIT_EXCEEDED) : KS_RES(OK);
}

/* Waits until the caller has been sent what came before. Fails: as look_around. */
static ks_result await_room(const struct taking *taking)
{
    struct ks_backups *backups = taking->backups;
    for (;;) { /* it ends with taking->end_ns */
        KS_TRY(look_around(taking));
        struct timespec until = in_a_moment();
        pthread_mutex_lock(&backups->lock);
        int waited = 0;
        bool ready = ks_rpc_stream_ready(taking->stream);
        while (!ready && !backups->gone && waited != ETIMEDOUT) {
            waited = pthread_cond_timedwait(&backups->changed, &backups->lock, &until);
            ready = ks_rpc_stream_ready(taking->stream);
        }
        pthread_mutex_unlock(&backups->lock);
        if (ready) {
            return look_around(taking);
        }
    }
}

/* Sends what was gathered, if it is anything. */
static ks_result send_part(struct taking *taking)
{
    INTERNAL(TakeBackupResponse) response = INTERNAL_NEW(TAKE_BACKUP_RESPONSE);
    KS_BUFFER_AUTO message = {.len_max = MESSAGE_LEN_MAX};
    if (taking->part.len == 0) {
        return KS_RES(OK);
    }
    KS_TRY(await_room(taking));
    response.part = ks_lend_bytes(ks_buffer_bytes(&taking->part));
    if (taking->writer) {
        response.key_count =
            ks_backup_tally_of(ks_backup_writer_tally(taking->writer), KS_BACKUP_KEYS);
    }
    KS_TRY(ks_codec_pack(&response.base, &message));
    taking->part.len = 0;
    return ks_rpc_stream_send_buffer(taking->stream, &message);
}

/* The writer's `take`. */
static ks_result gather(void *user, ks_bytes bytes)
{
    struct taking *taking = user;
    KS_TRY(ks_buffer_append(&taking->part, bytes));
    return taking->part.len < PART_LEN ? KS_RES(OK) : send_part(taking);
}

/* ---- What is in it ---- */

/* The generation that is current. Fails: NOT_FOUND (none was made yet), CORRUPT, INTERNAL. */
static ks_result read_generation(const struct ks_store_view *view, uint32_t *ret_generation)
{
    KS_ARENA_AUTO arena = {.len_max = REQUEST_LEN_MAX};
    struct ks_store_record record;
    ProtobufCMessage *message = NULL;
    KS_TRY(ks_store_get(view, KS_NAME_DOMAIN_CURRENT, &record));
    KS_TRY(ks_record_read(STORED_TYPE(current_domain_key), record.value, &arena, &message));
    *ret_generation = ((const STORED(CurrentDomainKey) *)message)->generation;
    return KS_RES(OK);
}

static ks_result fill_header(struct ks_backups *backups, const struct ks_store_view *view,
                             struct ks_backup_header *header)
{
    const struct ks_backups_options *options = &backups->options;
    struct ks_store_status status;
    int64_t newest;
    ks_store_get_status(options->store, &status);
    snprintf(header->region, sizeof(header->region), "%s", options->region);
    snprintf(header->epoch, sizeof(header->epoch), "%s", status.epoch);
    header->revision = view->revision;
    header->time_ms = ks_clock_wall_ms(ks_store_clock(options->store));
    KS_TRY(ks_random_public(header->id, sizeof(header->id)));
    KS_TRY(read_generation(view, &header->generation));
    return ks_store_prefix(view, KS_NAME_KEYS, &newest, &header->key_count);
}

/* Puts the record that names the backup. */
static ks_result note(const struct ks_backups *backups, const struct ks_backup_header *header)
{
    char id[KS_BACKUP_ID_TEXT_LEN + 1];
    STORED(BackupRecord) record = STORED_NEW(BACKUP_RECORD);
    ks_backup_id_text(header->id, id);
    record.format = KS_RECORD_FORMAT;
    record.backup_id = id;
    record.revision = header->revision;
    record.taken_at_ms = header->time_ms;
    record.kit_period = header->period;
    record.keystore = ks_lend_text(backups->options.name);
    struct ks_name name = ks_name_backup(id);
    KS_CHANGE_AUTO change = {.result = KS_RES(OK)};
    ks_change_compare(&change, ks_name_bytes(&name), 0);
    ks_change_put(&change, ks_name_bytes(&name), &record.base);
    return ks_sync_commit(backups->options.store, &change, NULL);
}

static bool add(void *user, const struct ks_store_record *record)
{
    struct taking *taking = user;
    if (!ks_backup_keeps(record->key)) {
        return true;
    }
    const struct ks_backup_record kept = {record->key, record->value, record->revision};
    taking->result = ks_backup_writer_add(taking->writer, &kept);
    return !ks_failed(taking->result);
}

static ks_result write_all(struct taking *taking, const struct ks_store_view *view,
                           const struct ks_backup_header *header)
{
    const struct ks_backup_source *source = taking->backups->options.source;
    KS_BUFFER_AUTO header_bytes = {.len_max = KS_BACKUP_HEADER_LEN_MAX};
    KS_BUFFER_AUTO key_block = {.len_max = KS_BACKUP_KEY_BLOCK_MAX};
    KS_SECRET_AUTO stream_key = {.len = 0};
    KS_CRYPTO_AUTO *crypto = ks_crypto_new();
    KS_BACKUP_WRITER_AUTO *writer = NULL;
    KS_TRY(ks_backup_header_write(header, &header_bytes));
    KS_TRY(source->begin(source->user, header, ks_buffer_bytes(&header_bytes), &stream_key,
                         &key_block));
    KS_TRY(note(taking->backups, header));
    const struct ks_backup_writer_options options = {.crypto = crypto,
                                                     .header = header,
                                                     .key_block = ks_buffer_bytes(&key_block),
                                                     .stream_key = &stream_key,
                                                     .take = gather,
                                                     .user = taking};
    KS_TRY(ks_backup_writer_new(&options, &writer));
    taking->writer = writer;
    KS_TRY(ks_store_scan(view, (ks_bytes){0}, (ks_bytes){0}, add, taking));
    KS_TRY(taking->result);
    KS_TRY(ks_backup_writer_end(writer));
    return send_part(taking);
}

/*
 * The view is one that may answer a call which came in before: every create that was answered
 * before this one came is in it. It is not settled: a backup is not compared with what others
 * serve.
 */
static ks_result take(struct taking *taking, struct ks_backup_header *header)
{
    struct ks_backups *backups = taking->backups;
    const struct ks_backup_source *source = backups->options.source;
    struct ks_store_status status;
    KS_STORE_VIEW_AUTO view = {0};
    KS_TRY(source->describe(source->user, header));
    ks_store_get_status(backups->options.store, &status);
    taking->bytes_before = status.database_bytes;
    KS_TRY(ks_store_serve(backups->options.store, &view));
    KS_TRY(fill_header(backups, &view, header));
    ks_result r = write_all(taking, &view, header);
    taking->writer = NULL;
    return r;
}

/* ---- The call ---- */

/* What the caller is told: a failure that it can't act on is one to try again after. */
static ks_code told(ks_code code)
{
    return code == KS_CONFLICT || code == KS_CANCELLED || code == KS_NOT_FOUND ? KS_UNAVAILABLE
                                                                               : code;
}

/* What a row's own text does not say to the operator; NULL: the row's text will do. */
static const char *text_of(ks_code code)
{
    switch (code) {
    case KS_THROTTLED:
        return "a backup is being taken from this keystore already";
    case KS_INVALID_STATE:
        return "the zone's hsm has no custodian kit, to which a backup is sealed";
    case KS_DEADLINE:
        return "the backup took too long; take it where the way to the keystore is faster";
    case KS_LIMIT_EXCEEDED:
        return "too much was written during the backup; take it when the cell has less to do";
    default:
        return NULL;
    }
}

static void finish(struct ks_rpc_stream *stream, ks_code code)
{
    const struct ks_rpc_status status = {.code = told(code), .text = text_of(code)};
    ks_rpc_stream_finish(stream, code == KS_OK ? NULL : &status);
}

static ks_code carry_out(struct ks_backups *backups, struct ks_worker *worker,
                         struct ks_rpc_stream *stream)
{
    const int64_t begun_ns = ks_clock_boot_ns(&ks_clock_system);
    struct ks_backup_header header = {.revision = 0};
    struct taking taking = {.backups = backups,
                            .worker = worker,
                            .stream = stream,
                            .part = {.len_max = PART_LEN_MAX},
                            .end_ns = begun_ns + backups->options.time_max_ms * KS_NS_PER_MS,
                            .result = KS_RES(OK)};
    ks_result r = take(&taking, &header);
    ks_buffer_done(&taking.part);
    ks_log(
        INFO, "backup", KS_TEXT("code", ks_code_name(r.code)),
        KS_NUMBER("revision", header.revision), KS_NUMBER("count", header.key_count),
        KS_NUMBER("duration_ms", (ks_clock_boot_ns(&ks_clock_system) - begun_ns) / KS_NS_PER_MS));
    return r.code;
}

/* Frees the place for the next backup, and only then tells the caller of this one. */
static void end(struct ks_backups *backups, ks_code code)
{
    pthread_mutex_lock(&backups->lock);
    struct ks_rpc_stream *stream = backups->stream;
    backups->stream = NULL;
    backups->taken = backups->gone = false;
    pthread_mutex_unlock(&backups->lock);
    finish(stream, code);
    ks_rpc_stream_unref(stream);
}

void ks_backups_run(void *user, struct ks_worker *worker)
{
    struct ks_backups *backups = user;
    pthread_mutex_lock(&backups->lock);
    struct ks_rpc_stream *stream = backups->stream;
    backups->taken = stream != NULL;
    pthread_mutex_unlock(&backups->lock);
    if (stream) {
        end(backups, carry_out(backups, worker, stream));
    }
}

static bool is_request(ks_bytes message)
{
    KS_ARENA_AUTO arena = {.len_max = REQUEST_LEN_MAX};
    ProtobufCMessage *request = NULL;
    return !ks_failed(
        ks_codec_unpack(INTERNAL_TYPE(take_backup_request), message, NULL, &arena, &request));
}

static void on_message(void *user, struct ks_rpc_stream *stream, ks_bytes message)
{
    struct ks_backups *backups = user;
    if (!ks_peer_is(ks_rpc_stream_peer(stream), KS_SPIFFE_OPERATOR)) {
        finish(stream, KS_ACCESS_DENIED);
        return;
    }
    if (!is_request(message)) {
        finish(stream, KS_VALIDATION);
        return;
    }
    ks_code refused = KS_OK;
    pthread_mutex_lock(&backups->lock);
    if (backups->closed) {
        refused = KS_UNAVAILABLE;
    } else if (backups->stream) {
        refused = KS_THROTTLED;
    } else {
        backups->stream = ks_rpc_stream_ref(stream);
    }
    pthread_mutex_unlock(&backups->lock);
    if (refused != KS_OK) {
        finish(stream, refused);
        return;
    }
    ks_log(INFO, "backup asked for", KS_TEXT("peer", ks_rpc_stream_peer(stream)->spiffe));
    ks_worker_poke(backups->options.worker);
}

static void on_writable(void *user, struct ks_rpc_stream *stream)
{
    (void)stream;
    struct ks_backups *backups = user;
    pthread_mutex_lock(&backups->lock);
    pthread_cond_signal(&backups->changed);
    pthread_mutex_unlock(&backups->lock);
}

static void on_close(void *user, struct ks_rpc_stream *stream, const struct ks_rpc_error *error)
{
    (void)error;
    struct ks_backups *backups = user;
    pthread_mutex_lock(&backups->lock);
    if (backups->stream == stream) {
        backups->gone = true;
        pthread_cond_signal(&backups->changed);
    }
    pthread_mutex_unlock(&backups->lock);
}

const struct ks_rpc_stream_callbacks ks_backups_stream_callbacks = {
    .on_message = on_message,
    .on_writable = on_writable,
    .on_close = on_close,
};

void ks_backups_close(struct ks_backups *backups)
{
    pthread_mutex_lock(&backups->lock);
    backups->closed = true;
    bool waits = backups->stream && !backups->taken;
    pthread_mutex_unlock(&backups->lock);
    if (waits) {
        end(backups, KS_UNAVAILABLE);
    }
}

struct ks_backups *ks_backups_new(const struct ks_backups_options *options)
{
    struct ks_backups *backups = ks_alloc(1, sizeof(*backups));
    backups->options = *options;
    if (backups->options.time_max_ms == 0) {
        backups->options.time_max_ms = KS_BACKUP_TIME_MAX_MS;
    }
    if (backups->options.growth_bytes_max == 0) {
        backups->options.growth_bytes_max = KS_BACKUP_GROWTH_MAX;
    }
    pthread_mutex_init(&backups->lock, NULL);
    pthread_cond_init(&backups->changed, NULL);
    return backups;
}

void ks_backups_free(struct ks_backups *backups)
{
    if (backups) {
        assert(!backups->stream);
        pthread_cond_destroy(&backups->changed);
        pthread_mutex_destroy(&backups->lock);
        ks_free(backups);
    }
}
