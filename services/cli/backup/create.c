/* backup create: a stream from a keystore into a new file. */

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "keystead/internal/v1/internal.pb-c.h"
#include "pkg/base/arena.h"
#include "pkg/base/clock.h"
#include "pkg/base/mem.h"
#include "pkg/codec/codec.h"
#include "pkg/json/json.h"
#include "pkg/rpc/client.h"
#include "services/cli/backup/backup.h"
#include "services/cli/backup/check.h"
#include "services/cli/backup/new_file.h"
#include "services/cli/backup/show.h"
#include "services/cli/cluster/cluster.h"
#include "services/cli/crypt/stream.h"
#include "services/cli/output/emit.h"
#include "services/cli/service/connections.h"

#define METHOD         "/keystead.internal.v1.KeystoreService/TakeBackup"
#define PART_LEN_MAX   (4U * 1024U * 1024U) /* of a message that a channel takes */
#define STALL_S        60                   /* without a part: the keystore is given up */
#define OUTPUT_LEN_MAX 8192U
#define INDENT         2

/* A backup on its way. The loop's thread has it until it is closed. */
struct arrival {
    struct ks_new_file *file;
    struct ks_backup_check *check;
    struct ks_progress progress;
    struct ks_failure failure;
    ks_result result; /* of what was done with the parts */
    uint64_t len;

    pthread_mutex_t lock;   /* guards what follows */
    pthread_cond_t changed; /* a part has come, or the end */
    uint64_t part_count;
    bool closed;
    struct ks_rpc_error error;
};

/* How much is to come is a guess: what came is to its keys as the whole is to all keys. */
static void show(struct arrival *arrival, size_t len, uint64_t keys_so_far)
{
    const struct ks_backup_header *header = ks_backup_check_header(arrival->check);
    if (header && keys_so_far > 0) {
        double whole = (double)(arrival->progress.done + len) * (double)header->key_count /
                       (double)keys_so_far;
        arrival->progress.total = (uint64_t)whole;
    }
    ks_progress_add(&arrival->progress, len);
}

static ks_result keep_part(struct arrival *arrival, ks_bytes message)
{
    KS_ARENA_AUTO arena = {.len_max = 2 * PART_LEN_MAX};
    ProtobufCMessage *unpacked = NULL;
    KS_TRY(ks_codec_unpack(&keystead__internal__v1__take_backup_response__descriptor, message, NULL,
                           &arena, &unpacked));
    const Keystead__Internal__V1__TakeBackupResponse *response =
        (const Keystead__Internal__V1__TakeBackupResponse *)unpacked;
    const ks_bytes part = {response->part.data, response->part.len};
    arrival->len += part.len;
    if (ks_failed(ks_backup_check_push(arrival->check, part))) {
        return ks_fail(&arrival->failure, KS_INTERNAL, "what the keystore has sent is no backup");
    }
    KS_TRY(ks_new_file_write(arrival->file, part, &arrival->failure));
    show(arrival, part.len, response->key_count);
    return KS_RES(OK);
}

static void on_message(void *user, struct ks_rpc_stream *stream, ks_bytes message)
{
    struct arrival *arrival = user;
    if (!ks_failed(arrival->result)) {
        arrival->result = keep_part(arrival, message);
    }
    if (ks_failed(arrival->result)) {
        ks_rpc_stream_cancel(stream);
    }
    pthread_mutex_lock(&arrival->lock);
    arrival->part_count++;
    pthread_cond_signal(&arrival->changed);
    pthread_mutex_unlock(&arrival->lock);
}

static void on_close(void *user, struct ks_rpc_stream *stream, const struct ks_rpc_error *error)
{
    (void)stream;
    struct arrival *arrival = user;
    pthread_mutex_lock(&arrival->lock);
    arrival->error = *error;
    arrival->closed = true;
    pthread_cond_signal(&arrival->changed);
    pthread_mutex_unlock(&arrival->lock);
}

static const struct ks_rpc_stream_callbacks callbacks = {.on_message = on_message,
                                                         .on_close = on_close};

/* Waits for the end. A stream on which nothing comes for STALL_S is cancelled, which ends it. */
static void await_end(struct arrival *arrival, struct ks_rpc_stream *stream)
{
    pthread_mutex_lock(&arrival->lock);
    while (!arrival->closed) {
        uint64_t before = arrival->part_count;
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += STALL_S;
        int waited = pthread_cond_timedwait(&arrival->changed, &arrival->lock, &until);
        if (waited == ETIMEDOUT && arrival->part_count == before && !arrival->closed) {
            pthread_mutex_unlock(&arrival->lock);
            ks_rpc_stream_cancel(stream);
            pthread_mutex_lock(&arrival->lock);
        }
    }
    pthread_mutex_unlock(&arrival->lock);
}

/* Asks one keystore. Fails: as it answers, and as keep_part. */
static ks_result ask(struct ks_cli *cli, const struct ks_cluster *cluster,
                     const struct ks_place *place, struct arrival *arrival)
{
    const struct ks_door door = {
        .addresses = place->address, .spiffe = place->spiffe, .tls = ks_cluster_tls(cluster)};
    struct ks_rpc_channel *channel = NULL;
    struct ks_rpc_stream *stream = NULL;
    struct ks_rpc_error error;
    if (ks_failed(
            ks_connections_channel(cli->connections, &door, place->address, &channel, &error))) {
        return ks_fail_call(&cli->failure, &error);
    }
    arrival->closed = false;
    const struct ks_rpc_stream_options options = {
        .method = METHOD, .callbacks = &callbacks, .user = arrival, .ret_ref = &stream};
    ks_rpc_stream_open(channel, &options);
    /* The request has no fields. If the stream is over already, its end says why. */
    if (!ks_failed(ks_rpc_stream_send(stream, (ks_bytes){0}))) {
        ks_rpc_stream_finish(stream, NULL);
    }
    await_end(arrival, stream);
    ks_rpc_stream_unref(stream);
    if (ks_failed(arrival->result)) {
        cli->failure = arrival->failure;
        return arrival->result;
    }
    return arrival->error.code == KS_OK ? KS_RES(OK) : ks_fail_call(&cli->failure, &arrival->error);
}

static bool may_ask_another(ks_result result, const struct arrival *arrival)
{
    bool transient =
        result.code == KS_UNAVAILABLE || result.code == KS_THROTTLED || result.code == KS_DEADLINE;
    return transient && arrival->len == 0;
}

/* The keystores of the region in turn, until one of them has begun to send. */
static ks_result ask_region(struct ks_cli *cli, const struct ks_cluster *cluster,
                            const char *region, struct arrival *arrival)
{
    ks_result r =
        ks_fail(&cli->failure, KS_NOT_FOUND, "the cluster's file has no keystore of %.40s", region);
    for (size_t i = 0; i < cluster->keystore_count; i++) {
        if (strcmp(cluster->keystores[i].region, region) != 0) {
            continue;
        }
        r = ask(cli, cluster, &cluster->keystores[i], arrival);
        if (!may_ask_another(r, arrival)) {
            return r;
        }
    }
    return r;
}

static ks_result print(struct ks_cli *cli, const struct ks_backup_facts *facts, const char *path)
{
    const struct ks_backup_header *header = &facts->header;
    KS_BUFFER_AUTO out = {.len_max = OUTPUT_LEN_MAX};
    if (cli->output == KS_OUTPUT_JSON) {
        struct ks_json_writer json = {.buffer = &out, .indent = INDENT};
        ks_json_object(&json, NULL);
        ks_backup_members(&json, header, facts->len, path);
        ks_json_close(&json);
        KS_TRY(ks_json_end(&json));
        KS_TRY(ks_buffer_append(&out, KS_LITERAL("\n")));
        return ks_emit(STDOUT_FILENO, ks_buffer_bytes(&out), &cli->failure);
    }
    char id[KS_BACKUP_ID_TEXT_LEN + 1];
    char text[512];
    ks_backup_id_text(header->id, id);
    snprintf(text, sizeof(text),
             "backup %s of %s at revision %lld: %llu keys, %llu bytes\n"
             "%u of the %u custodians of period %u can open it\n",
             id, header->region, (long long)header->revision, (unsigned long long)header->key_count,
             (unsigned long long)facts->len, header->threshold, header->custodians, header->period);
    return ks_emit(STDOUT_FILENO, ks_bytes_of(text), &cli->failure);
}

ks_result ks_run_backup_create(struct ks_cli *cli)
{
    const char *path = ks_argument(&cli->arguments, "out");
    const char *region = NULL;
    KS_CLUSTER_AUTO cluster = {.keystore_count = 0};
    KS_NEW_FILE_AUTO file = {.file = -1};
    KS_BACKUP_CHECK_AUTO *check = ks_backup_check_new();
    struct ks_backup_facts facts;
    struct arrival arrival = {.file = &file,
                              .check = check,
                              .result = KS_RES(OK),
                              .lock = PTHREAD_MUTEX_INITIALIZER,
                              .changed = PTHREAD_COND_INITIALIZER};
    KS_TRY(ks_settings_need(&cli->settings, KS_SETTING_REGION, &region, &cli->failure));
    KS_TRY(ks_cluster_load(cli, &cluster));
    KS_TRY(ks_new_file_begin(path, &file, &cli->failure));
    ks_progress_begin(&arrival.progress, "received", 0);
    ks_result r = ask_region(cli, &cluster, region, &arrival);
    ks_progress_end(&arrival.progress);
    KS_TRY(r);
    if (ks_failed(ks_backup_check_end(check, &facts)) || strcmp(facts.header.region, region) != 0) {
        return ks_fail(&cli->failure, KS_INTERNAL,
                       "what the keystore has sent is no backup of %.40s", region);
    }
    KS_TRY(ks_new_file_keep(&file, &cli->failure));
    return print(cli, &facts, path);
}
