#include "services/control/expiry.h"

#include <semaphore.h>

#include "pkg/base/arena.h"
#include "pkg/base/clock.h"
#include "pkg/base/log.h"
#include "pkg/base/mem.h"
#include "pkg/codec/codec.h"
#include "pkg/rpc/loop.h"
#include "pkg/store/store.h"
#include "services/control/records.h"

#define ROUND_MS        (10LL * 60 * 1000)
#define KEEP_MS         (24LL * 60 * 60 * 1000)
#define REMOVALS_MAX    256U /* a round */
#define RECORD_LEN_MAX  (1024U * 1024U)

struct ks_expiry {
    struct ks_store *store;
    struct ks_rpc_loop *loop;
    const struct ks_clock *clock;
    struct ks_rpc_timer *timer;
    sem_t ended;
};

/* What one round finds: keys of records that have outlived their use. */
struct found {
    int64_t before_ms;
    size_t count;
    struct expired {
        struct ks_record_key key;
        int64_t revision;
    } records[REMOVALS_MAX];
};

static bool add(struct found *found, const struct ks_store_record *record, int64_t ended_ms)
{
    if (ended_ms < found->before_ms && record->key.len <= KS_STORE_KEY_LEN_MAX) {
        struct expired *expired = &found->records[found->count++];
        expired->key.len = record->key.len;
        for (size_t i = 0; i < record->key.len; i++) {
            expired->key.text[i] = (char)record->key.ptr[i];
        }
        expired->revision = record->revision;
    }
    return found->count < REMOVALS_MAX;
}

static bool visit_certificate(void *user, const struct ks_store_record *record)
{
    KS_ARENA_AUTO arena = {.len_max = RECORD_LEN_MAX};
    Keystead__Storage__V1__CertificateRecord *certificate;
    if (ks_failed(ks_certificate_read(record->value, &arena, &certificate))) {
        return true; /* what can't be read is not removed */
    }
    return add(user, record, certificate->not_after_ms);
}

static bool visit_request(void *user, const struct ks_store_record *record)
{
    KS_ARENA_AUTO arena = {.len_max = RECORD_LEN_MAX};
    ProtobufCMessage *message;
    if (ks_failed(ks_codec_unpack(&keystead__storage__v1__request_record__descriptor,
                                  record->value, NULL, &arena, &message))) {
        return true;
    }
    return add(user, record, ((Keystead__Storage__V1__RequestRecord *)message)->created_at_ms);
}

static void on_removed(void *user, const struct ks_store_outcome *outcome)
{
    (void)user;
    (void)outcome; /* what was not removed is found again in the next round */
}

static void remove_all(struct ks_expiry *expiry, const struct found *found)
{
    for (size_t i = 0; i < found->count; i++) {
        ks_bytes key = ks_record_key_bytes(&found->records[i].key);
        struct ks_store_mutation mutation = {
            .compares = {{key, found->records[i].revision}}, .compare_count = 1,
            .ops = {{key, {0}}}, .op_count = 1};
        ks_store_commit(expiry->store, &mutation, 0, on_removed, NULL);
    }
    if (found->count > 0) {
        ks_log(INFO, "expired records removed", KS_NUMBER("count", found->count));
    }
}

static void run_round(void *arg)
{
    struct ks_expiry *expiry = arg;
    expiry->timer = ks_rpc_loop_after(expiry->loop, ROUND_MS, run_round, expiry);
    KS_STORE_VIEW_AUTO view = {0};
    if (!ks_store_on_duty(expiry->store) || ks_failed(ks_store_peek(expiry->store, &view))) {
        return;
    }
    struct found *found = ks_alloc(1, sizeof(*found));
    found->before_ms = ks_clock_wall_ms(expiry->clock) - KEEP_MS;
    ks_result r = ks_store_scan(&view, KS_LITERAL("certificate/"), (ks_bytes){0},
                                visit_certificate, found);
    if (!ks_failed(r) && found->count < REMOVALS_MAX) {
        r = ks_store_scan(&view, KS_LITERAL("request/"), (ks_bytes){0}, visit_request, found);
    }
    ks_store_view_close(&view);
    if (!ks_failed(r)) {
        remove_all(expiry, found);
    }
    ks_free(found);
}

struct ks_expiry *ks_expiry_new(struct ks_store *store, struct ks_rpc_loop *loop,
                                const struct ks_clock *clock)
{
    struct ks_expiry *expiry = ks_alloc(1, sizeof(*expiry));
    *expiry = (struct ks_expiry){.store = store, .loop = loop, .clock = clock};
    sem_init(&expiry->ended, 0, 0);
    ks_rpc_loop_post(loop, run_round, expiry);
    return expiry;
}

/* On the loop: no round is under way, and none will come. */
static void end(void *arg)
{
    struct ks_expiry *expiry = arg;
    ks_rpc_timer_cancel(expiry->timer);
    sem_post(&expiry->ended);
}

void ks_expiry_free(struct ks_expiry *expiry)
{
    if (!expiry) {
        return;
    }
    ks_rpc_loop_post(expiry->loop, end, expiry);
    while (sem_wait(&expiry->ended) != 0) {
        /* interrupted by a signal handler; waits on */
    }
    sem_destroy(&expiry->ended);
    ks_free(expiry);
}
