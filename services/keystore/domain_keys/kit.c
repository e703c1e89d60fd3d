#include "services/keystore/domain_keys/kit.h"

#include <assert.h>

#include "services/keystore/domain_keys/requests.h"
#include "services/keystore/records/key.h"
#include "services/keystore/records/name.h"
#include "services/keystore/worker/sync.h"

#define ARENA_LEN_MAX (1024U * 1024U)

/* What a scan has found so far. */
struct search {
    struct ks_arena *arena;
    struct ks_stored_kit newest;
    ks_result result;
};

/* Names rise with their periods, so the last record is the newest kit. */
static bool look_at(void *user, const struct ks_store_record *record)
{
    struct search *search = user;
    ProtobufCMessage *message = NULL;
    search->result =
        ks_record_read(STORED_TYPE(custodian_kit_record), record->value, search->arena, &message);
    if (ks_failed(search->result)) {
        return false;
    }
    const STORED(CustodianKitRecord) *stored = (const STORED(CustodianKitRecord) *)message;
    search->newest = (struct ks_stored_kit){stored->period, ks_bytes_in(stored->kit)};
    return true;
}

ks_result ks_stored_kit_newest(const struct ks_store_view *view, struct ks_arena *arena,
                               struct ks_stored_kit *ret_kit)
{
    assert(view && arena && ret_kit);

    struct search search = {.arena = arena, .result = KS_RES(OK)};
    KS_TRY(ks_store_scan(view, KS_NAME_CUSTODIANS, (ks_bytes){0}, look_at, &search));
    KS_TRY(search.result);
    *ret_kit = search.newest;
    return KS_RES(OK);
}

static ks_result read_newest(struct ks_store *store, struct ks_arena *arena,
                             struct ks_stored_kit *ret_kit)
{
    KS_STORE_VIEW_AUTO view = {0};
    struct ks_stored_kit kit;
    KS_TRY(ks_store_peek(store, &view));
    KS_TRY(ks_stored_kit_newest(&view, arena, &kit));
    *ret_kit = kit;
    return KS_RES(OK);
}

/* The hsm says which period the kit that it now has is of: the caller's number proves nothing. */
static ks_result show_hsm(struct ks_hsm_link *link, uint32_t period, ks_bytes kit,
                          struct ks_arena *arena)
{
    const INTERNAL(HsmReply) *reply = NULL;
    KS_TRY(ks_request_kit(link, kit, arena));
    KS_TRY(ks_request_status(link, arena, &reply));
    bool same = reply->status && reply->status->kit_period == period;
    return same ? KS_RES(OK) : KS_RES(ACCESS_DENIED);
}

ks_result ks_command_put_kit(struct ks_store *store, struct ks_hsm_link *link, uint32_t period,
                             ks_bytes kit)
{
    if (kit.len == 0 || period == 0) {
        return KS_RES(VALIDATION);
    }
    KS_ARENA_AUTO arena = {.len_max = ARENA_LEN_MAX};
    struct ks_stored_kit stands = {.period = 0};
    KS_TRY(show_hsm(link, period, kit, &arena));
    KS_TRY(read_newest(store, &arena, &stands));
    if (stands.period >= period) {
        bool same = stands.period == period && ks_bytes_equal(stands.kit, kit);
        return same ? KS_RES(OK) : KS_RES(ACCESS_DENIED);
    }
    STORED(CustodianKitRecord) record = STORED_NEW(CUSTODIAN_KIT_RECORD);
    record.format = KS_RECORD_FORMAT;
    record.period = period;
    record.kit = ks_lend_bytes(kit);
    const struct ks_name name = ks_name_custodians(period);
    KS_CHANGE_AUTO change = {.result = KS_RES(OK)};
    ks_change_compare(&change, ks_name_bytes(&name), 0);
    ks_change_put(&change, ks_name_bytes(&name), &record.base);
    ks_result result = ks_sync_commit(store, &change, NULL);
    return result.code == KS_CONFLICT ? KS_RES(UNAVAILABLE) : result;
}
