#include "services/control/expiry.h"

#include <assert.h>
#include <string.h>

#include "pkg/attempt/attempt.h"
#include "pkg/base/arena.h"
#include "pkg/base/clock.h"
#include "pkg/base/log.h"
#include "pkg/base/mem.h"
#include "pkg/rpc/loop.h"
#include "pkg/store/store.h"
#include "services/control/records.h"

#define ROUND_MS       (10LL * 60 * 1000)
#define SOON_MS        1000 /* until the next round when one did not get through */
#define KEEP_MS        (24LL * 60 * 60 * 1000)
#define REMOVALS_MAX   256U /* of a kind, a round: far below what the store takes at a time */
#define RECORD_LEN_MAX (1024U * 1024U)

struct ks_expiry {
    struct ks_store *store;
    struct ks_rpc_loop *loop;
    const struct ks_clock *clock;
    struct ks_rpc_timer *timer;
};

/* ---- When a record's use has ended; what can't be read is not removed ---- */

static bool certificate_is_due(ks_bytes value, int64_t now_ms)
{
    KS_ARENA_AUTO arena = {.len_max = RECORD_LEN_MAX};
    STORED(CertificateRecord) * record;
    return !ks_failed(ks_certificate_read(value, &arena, &record)) &&
           now_ms - record->not_after_ms > KEEP_MS;
}

static const struct kind {
    const char *prefix;
    bool (*is_due)(ks_bytes value, int64_t now_ms);
} kinds[] = {
    {"certificate/", certificate_is_due},
    {"request/", ks_attempt_record_is_due},
};

/* ---- A round ---- */

/* Of one kind: keys of records that have outlived their use. */
struct found {
    const struct kind *kind;
    int64_t now_ms;
    size_t count;
    struct expired {
        struct ks_record_key key;
        int64_t revision;
    } records[REMOVALS_MAX];
};

static bool visit(void *user, const struct ks_store_record *record)
{
    struct found *found = user;
    if (!found->kind->is_due(record->value, found->now_ms)) {
        return true;
    }
    assert(record->key.len <= KS_STORE_KEY_LEN_MAX);
    struct expired *expired = &found->records[found->count++];
    memcpy(expired->key.text, record->key.ptr, record->key.len);
    expired->key.len = record->key.len;
    expired->revision = record->revision;
    return found->count < REMOVALS_MAX;
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
            .compares = {{key, found->records[i].revision}},
            .compare_count = 1,
            .ops = {{key, {0}}},
            .op_count = 1,
        };
        ks_store_commit(expiry->store, &mutation, 0, on_removed, NULL);
    }
    if (found->count > 0) {
        ks_log(INFO, "expired records removed", KS_TEXT("name", found->kind->prefix),
               KS_NUMBER("count", found->count));
    }
}

/* Gives whether there may be more. */
static bool remove_kind(struct ks_expiry *expiry, const struct ks_store_view *view,
                        const struct kind *kind)
{
    KS_AUTO_FREE struct found *found = ks_alloc(1, sizeof(*found));
    found->kind = kind;
    found->now_ms = ks_clock_wall_ms(expiry->clock);
    if (ks_failed(ks_store_scan(view, ks_bytes_of(kind->prefix), (ks_bytes){0}, visit, found))) {
        ks_log(WARN, "expired records can't be looked for", KS_TEXT("name", kind->prefix));
        return false;
    }
    remove_all(expiry, found);
    return found->count == REMOVALS_MAX;
}

static void run_round(void *arg)
{
    struct ks_expiry *expiry = arg;
    bool more = false;
    KS_STORE_VIEW_AUTO view = {0};
    if (ks_store_on_duty(expiry->store) && !ks_failed(ks_store_peek(expiry->store, &view))) {
        for (size_t i = 0; i < KS_COUNT(kinds); i++) {
            more |= remove_kind(expiry, &view, &kinds[i]);
        }
    }
    expiry->timer = ks_rpc_loop_after(expiry->loop, more ? SOON_MS : ROUND_MS, run_round, expiry);
}

struct ks_expiry *ks_expiry_new(struct ks_store *store, struct ks_rpc_loop *loop,
                                const struct ks_clock *clock)
{
    struct ks_expiry *expiry = ks_alloc(1, sizeof(*expiry));
    *expiry = (struct ks_expiry){.store = store, .loop = loop, .clock = clock};
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
