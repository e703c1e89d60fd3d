#include "services/keystore/housekeeping/housekeeping.h"

#include <stdatomic.h>
#include <string.h>

#include "pkg/base/arena.h"
#include "pkg/base/log.h"
#include "pkg/base/mem.h"
#include "pkg/record/expired.h"
#include "services/keystore/housekeeping/destroy.h"
#include "services/keystore/records/key.h"
#include "services/keystore/records/name.h"
#include "services/keystore/worker/sync.h"
#include "services/keystore/worker/worker.h"

#define ARENA_LEN_MAX (1024U * 1024U)

enum kind { REQUESTS, KEYS, DESTROYED, KIND_COUNT };

/* A pass over the destroyed keys, of which the hsm is told. */
struct telling {
    uint64_t life; /* of the hsm's connection */
    bool is_due;
    size_t told; /* in the present step */
    char after[KS_STORE_KEY_LEN_MAX];
    size_t after_len;
};

struct ks_housekeeping {
    struct ks_store *store;
    struct ks_hsm_link *link;
    atomic_bool
        reloaded; /* or the hsm was not told of a key: a pass begins when none is under way */
    struct telling telling;
    struct ks_clock clock;
    int64_t next_pass_ns[KIND_COUNT]; /* boot clock; while more is due, steps follow each other */
    atomic_uint_fast64_t key_count;
};

/* Records that nobody rests on any more. What is not removed is found by the next pass. */
static void remove_records(struct ks_store *store, const struct ks_expired *expired)
{
    size_t next = 0;
    ks_result result = KS_RES(OK);
    while (next < expired->count && !ks_failed(result)) {
        KS_CHANGE_AUTO change = {.result = KS_RES(OK)};
        next = ks_expired_remove(expired, next, &change);
        result = ks_sync_commit(store, &change, NULL);
    }
}

/* What destroy_one needs besides the key's name. */
struct destruction {
    struct ks_store *store;
    struct ks_hsm_link *link;
    int64_t now_ms;
};

static ks_result destroy_one(void *user, const struct ks_name *name)
{
    const struct destruction *destruction = user;
    return ks_destroy_key(destruction->store, destruction->link, name, destruction->now_ms);
}

/* Fills expired with what is due next. Fails: UNAVAILABLE, CORRUPT; expired is empty then. */
static ks_result find_due(const struct ks_housekeeping *housekeeping, enum kind kind,
                          int64_t now_ms, struct ks_expired *expired)
{
    const ks_bytes roots[KIND_COUNT] = {
        [REQUESTS] = KS_NAME_REQUESTS, [KEYS] = KS_NAME_KEYS, [DESTROYED] = KS_NAME_DESTROYED};
    KS_STORE_VIEW_AUTO view = {0};
    KS_TRY(ks_store_peek(housekeeping->store, &view));
    return ks_expired_find_due(&view, roots[kind], now_ms, expired);
}

static void step(struct ks_housekeeping *housekeeping, enum kind kind)
{
    int64_t now_ns = ks_clock_boot_ns(&housekeeping->clock);
    if (now_ns < housekeeping->next_pass_ns[kind]) {
        return;
    }
    int64_t now_ms;
    if (ks_failed(ks_store_destruction_time(housekeeping->store, &now_ms))) {
        return; /* a clock is wrong: nothing may go that can't come back */
    }
    KS_AUTO_FREE struct ks_expired *expired = ks_alloc(1, sizeof(*expired));
    if (ks_failed(find_due(housekeeping, kind, now_ms, expired)) || !expired->more) {
        housekeeping->next_pass_ns[kind] = now_ns + KS_HOUSEKEEPING_PAUSE_MS * KS_NS_PER_MS;
    }
    if (kind == KEYS) {
        struct destruction destruction = {housekeeping->store, housekeeping->link, now_ms};
        (void)ks_destroy_each(expired, destroy_one, &destruction);
    } else {
        remove_records(housekeeping->store, expired);
    }
}

static void count_keys(struct ks_housekeeping *housekeeping)
{
    KS_STORE_VIEW_AUTO view = {0};
    int64_t newest;
    uint64_t count;
    if (!ks_failed(ks_store_peek(housekeeping->store, &view)) &&
        !ks_failed(ks_store_prefix(&view, KS_NAME_KEYS, &newest, &count))) {
        atomic_store(&housekeeping->key_count, count);
    }
}

/* An hsm that was not told of a destroyed key goes on using it from its memory. */
static void evicted(void *user, ks_result result, const INTERNAL(HsmReply) * reply)
{
    (void)reply;
    if (ks_failed(result)) {
        atomic_store((atomic_bool *)user, true);
    }
}

void ks_housekeeping_changed(struct ks_hsm_link *link, ks_bytes key, ks_bytes value,
                             atomic_bool *missed)
{
    KS_ARENA_AUTO arena = {.len_max = ARENA_LEN_MAX};
    ProtobufCMessage *message = NULL;
    if (!value.ptr || !ks_bytes_starts_with(key, KS_NAME_DESTROYED) ||
        ks_failed(ks_record_read(STORED_TYPE(destroyed_key_record), value, &arena, &message))) {
        return;
    }
    const STORED(DestroyedKeyRecord) *destroyed = (const STORED(DestroyedKeyRecord) *)message;
    for (size_t i = 0; i < destroyed->n_material_ids; i++) {
        INTERNAL(HsmEvict) evict = INTERNAL_NEW(HSM_EVICT);
        evict.material_id = destroyed->material_ids[i];
        INTERNAL(HsmRequest) request = INTERNAL_NEW(HSM_REQUEST);
        request.operation_case = INTERNAL_ENUM(HSM_REQUEST__OPERATION_EVICT);
        request.evict = &evict;
        const struct ks_hsm_ask ask = {.message = &request};
        ks_hsm_link_ask(link, &ask, evicted, missed);
    }
}

/* One step tells of so many keys, which leaves most of the link's queue to others. */
static bool tell_one(void *user, const struct ks_store_record *record)
{
    struct ks_housekeeping *housekeeping = user;
    struct telling *telling = &housekeeping->telling;
    if (telling->told == KS_EXPIRED_SCAN_MAX) {
        return false;
    }
    telling->told++;
    memcpy(telling->after, record->key.ptr, record->key.len);
    telling->after_len = record->key.len;
    ks_housekeeping_changed(housekeeping->link, record->key, record->value,
                            &housekeeping->reloaded);
    return true;
}

/*
 * What was destroyed while this hsm could not be told: it was cut off, or our copy was, or the hsm
 * had too much to do. A pass that missed something is followed by another one.
 */
static void tell_of_destroyed(struct ks_housekeeping *housekeeping)
{
    struct telling *telling = &housekeeping->telling;
    uint64_t life = ks_hsm_link_life(housekeeping->link);
    if (life == 0) {
        return;
    }
    if (life != telling->life) {
        *telling = (struct telling){.life = life, .is_due = true};
    } else if (!telling->is_due && atomic_exchange(&housekeeping->reloaded, false)) {
        telling->is_due = true;
    }
    KS_STORE_VIEW_AUTO view = {0};
    if (!telling->is_due || ks_failed(ks_store_peek(housekeeping->store, &view))) {
        return;
    }
    const struct telling from = *telling;
    telling->told = 0;
    ks_result told = ks_store_scan(&view, KS_NAME_DESTROYED,
                                   (ks_bytes){(const uint8_t *)from.after, from.after_len},
                                   tell_one, housekeeping);
    if (ks_failed(told) || telling->told < KS_EXPIRED_SCAN_MAX) {
        telling->after_len = 0;
        telling->is_due = ks_failed(told);
    }
}

void ks_housekeeping_run(void *user, struct ks_worker *worker)
{
    struct ks_housekeeping *housekeeping = user;
    count_keys(housekeeping);
    tell_of_destroyed(housekeeping);
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        bool stopping = worker && ks_worker_is_stopping(worker);
        if (!stopping && ks_store_on_duty(housekeeping->store)) {
            step(housekeeping, (enum kind)kind);
        }
    }
}

uint64_t ks_housekeeping_key_count(struct ks_housekeeping *housekeeping)
{
    return atomic_load(&housekeeping->key_count);
}

void ks_housekeeping_reloaded(struct ks_housekeeping *housekeeping)
{
    atomic_store(&housekeeping->reloaded, true);
}

struct ks_housekeeping *ks_housekeeping_new(struct ks_store *store, struct ks_hsm_link *link,
                                            const struct ks_clock *clock)
{
    struct ks_housekeeping *housekeeping = ks_alloc(1, sizeof(*housekeeping));
    housekeeping->store = store;
    housekeeping->link = link;
    housekeeping->clock = clock ? *clock : ks_clock_system;
    return housekeeping;
}

void ks_housekeeping_free(struct ks_housekeeping *housekeeping)
{
    ks_free(housekeeping);
}
