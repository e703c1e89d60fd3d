#include "services/keystore/worker/sync.h"

#include <pthread.h>
#include <stdbool.h>

#include "pkg/codec/codec.h"

#define COMMIT_DEADLINE_NS (5 * KS_NS_PER_S)
#define REPLY_LEN_MAX      (512U * 1024U) /* a record */

/* One answer that is waited for. */
struct waiting {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool done;
    ks_result result;
    int64_t revision;
    struct ks_buffer reply;
};

static void begin(struct waiting *waiting)
{
    *waiting = (struct waiting){.reply = {.len_max = REPLY_LEN_MAX}};
    pthread_mutex_init(&waiting->lock, NULL);
    pthread_cond_init(&waiting->changed, NULL);
}

static void finish(struct waiting *waiting, ks_result result)
{
    pthread_mutex_lock(&waiting->lock);
    waiting->result = result;
    waiting->done = true;
    pthread_cond_signal(&waiting->changed);
    pthread_mutex_unlock(&waiting->lock);
}

static ks_result await(struct waiting *waiting)
{
    pthread_mutex_lock(&waiting->lock);
    while (!waiting->done) {
        pthread_cond_wait(&waiting->changed, &waiting->lock);
    }
    pthread_mutex_unlock(&waiting->lock);
    pthread_cond_destroy(&waiting->changed);
    pthread_mutex_destroy(&waiting->lock);
    return waiting->result;
}

static void committed(void *user, const struct ks_store_outcome *outcome)
{
    struct waiting *waiting = user;
    waiting->revision = outcome->revision;
    finish(waiting, outcome->result);
}

ks_result ks_sync_commit(struct ks_store *store, const struct ks_change *change,
                         int64_t *ret_revision)
{
    KS_TRY(change->result);
    struct waiting waiting;
    begin(&waiting);
    int64_t deadline_ns = ks_clock_boot_ns(&ks_clock_system) + COMMIT_DEADLINE_NS;
    ks_store_commit(store, &change->mutation, deadline_ns, committed, &waiting);
    KS_TRY(await(&waiting));
    if (ret_revision) {
        *ret_revision = waiting.revision;
    }
    return KS_RES(OK);
}

static void answered(void *user, ks_result result, const INTERNAL(HsmReply) * reply)
{
    struct waiting *waiting = user;
    if (!ks_failed(result)) {
        result = ks_codec_pack(&reply->base, &waiting->reply);
    }
    finish(waiting, result);
}

static ks_result ask_and_wait(struct ks_hsm_link *link, const struct ks_hsm_ask *ask,
                              struct ks_arena *arena, const INTERNAL(HsmReply) * *ret_reply)
{
    struct waiting waiting;
    begin(&waiting);
    ks_hsm_link_prepare(link, ask, answered, &waiting);
    ks_result result = await(&waiting);
    ProtobufCMessage *message = NULL;
    if (!ks_failed(result)) {
        result = ks_codec_unpack(INTERNAL_TYPE(hsm_reply), ks_buffer_bytes(&waiting.reply), NULL,
                                 arena, &message);
    }
    ks_buffer_done(&waiting.reply);
    KS_TRY(result);
    *ret_reply = (const INTERNAL(HsmReply) *)message;
    return KS_RES(OK);
}

ks_result ks_sync_hsm(struct ks_hsm_link *link, const INTERNAL(HsmRequest) * request,
                      struct ks_arena *arena, const INTERNAL(HsmReply) * *ret_reply)
{
    const struct ks_hsm_ask ask = {.message = request};
    return ask_and_wait(link, &ask, arena, ret_reply);
}

ks_result ks_sync_hsm_about(struct ks_hsm_link *link, const INTERNAL(HsmRequest) * request,
                            struct ks_about *about, struct ks_arena *arena,
                            const INTERNAL(HsmReply) * *ret_reply)
{
    const struct ks_hsm_ask ask = {.message = request, .about = &about, .about_count = 1};
    return ask_and_wait(link, &ask, arena, ret_reply);
}
