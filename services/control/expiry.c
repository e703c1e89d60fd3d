#include "services/control/expiry.h"

#include "pkg/attempt/attempt.h"
#include "pkg/base/arena.h"
#include "pkg/base/log.h"
#include "pkg/base/mem.h"
#include "pkg/record/expired.h"
#include "pkg/rpc/loop.h"
#include "pkg/store/store.h"
#include "services/control/records.h"

#define ROUND_MS       (10LL * 60 * 1000)
#define SOON_MS        1000 /* until the next round when one did not get through */
#define KEEP_MS        (24LL * 60 * 60 * 1000)
#define STEPS_MAX      4U /* of a kind, a round: 256 removals, far below what the store takes */
#define RECORD_LEN_MAX (1024U * 1024U)

enum { KIND_COUNT = 2 };

struct ks_expiry {
    struct ks_store *store;
    struct ks_rpc_loop *loop;
    struct ks_rpc_timer *timer;
    struct ks_expired_pass passes[KIND_COUNT];
};

/* ---- When a record's use has ended; what can't be read is not removed ---- */

static bool certificate_is_due(ks_bytes value, int64_t now_ms)
{
    KS_ARENA_AUTO arena = {.len_max = RECORD_LEN_MAX};
    STORED(CertificateRecord) * record;
    return !ks_failed(ks_certificate_read(value, &arena, &record)) &&
           record->not_after_ms < now_ms - KEEP_MS; /* it may say any date */
}

static const struct ks_expired_kind kinds[KIND_COUNT] = {
    {{(const uint8_t *)"certificate/", 12}, certificate_is_due},
    {{(const uint8_t *)"request/", 8}, ks_attempt_record_is_due},
};

/* ---- A round ---- */

static void on_removed(void *user, const struct ks_store_outcome *outcome)
{
    (void)user;
    (void)outcome; /* what was not removed is found again in a later round */
}

static void remove_all(struct ks_expiry *expiry, const struct ks_expired_kind *kind,
                       const struct ks_expired *expired)
{
    size_t next = 0;
    while (next < expired->count) {
        KS_CHANGE_AUTO change = {.result = KS_RES(OK)};
        next = ks_expired_remove(expired, next, &change);
        if (!ks_failed(change.result)) {
            ks_store_commit(expiry->store, &change.mutation, 0, on_removed, NULL);
        }
    }
    if (expired->count > 0) {
        ks_log(INFO, "expired records removed", KS_TEXT("name", (const char *)kind->prefix.ptr),
               KS_NUMBER("count", expired->count));
    }
}

/* Takes some steps of a kind's pass. Returns whether the pass is not at its end. */
static bool remove_kind(struct ks_expiry *expiry, const struct ks_store_view *view, size_t kind,
                        int64_t now_ms)
{
    KS_AUTO_FREE struct ks_expired *expired = ks_alloc(1, sizeof(*expired));
    for (size_t i = 0; i < STEPS_MAX; i++) {
        if (ks_failed(
                ks_expired_find(view, &kinds[kind], now_ms, &expiry->passes[kind], expired))) {
            ks_log(WARN, "expired records can't be looked for",
                   KS_TEXT("name", (const char *)kinds[kind].prefix.ptr));
            return false;
        }
        remove_all(expiry, &kinds[kind], expired);
        if (!expired->more) {
            return false;
        }
    }
    return true;
}

static void run_round(void *arg)
{
    struct ks_expiry *expiry = arg;
    bool more = false;
    int64_t now_ms;
    KS_STORE_VIEW_AUTO view = {0};
    if (ks_store_on_duty(expiry->store) &&
        !ks_failed(ks_store_destruction_time(expiry->store, &now_ms)) &&
        !ks_failed(ks_store_peek(expiry->store, &view))) {
        for (size_t i = 0; i < KS_COUNT(kinds); i++) {
            more |= remove_kind(expiry, &view, i, now_ms);
        }
    }
    expiry->timer = ks_rpc_loop_after(expiry->loop, more ? SOON_MS : ROUND_MS, run_round, expiry);
}

struct ks_expiry *ks_expiry_new(struct ks_store *store, struct ks_rpc_loop *loop)
{
    struct ks_expiry *expiry = ks_alloc(1, sizeof(*expiry));
    *expiry = (struct ks_expiry){.store = store, .loop = loop};
    ks_rpc_loop_post(loop, run_round, expiry);
    return expiry;
}

/* On the loop: no round is under way, and none will come. */
static void end(void *arg)
{
    struct ks_expiry *expiry = arg;
    ks_rpc_timer_cancel(expiry->timer);
}

void ks_expiry_free(struct ks_expiry *expiry)
{
    if (!expiry) {
        return;
    }
    ks_rpc_loop_post(expiry->loop, end, expiry);
    ks_rpc_loop_await_turn(expiry->loop);
    ks_free(expiry);
}
