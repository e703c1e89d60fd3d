#include "services/keystore/domain_keys/commands.h"

#include "services/keystore/domain_keys/requests.h"
#include "services/keystore/records/key.h"
#include "services/keystore/records/name.h"
#include "services/keystore/worker/sync.h"

#define ARENA_LEN_MAX (1024U * 1024U)

/*
 * A record as the view has it; revision 0 and NULL if there is none.
 * Fails: CORRUPT, UNAVAILABLE.
 */
static ks_result read_record(struct ks_store *store, ks_bytes name,
                             const ProtobufCMessageDescriptor *type, struct ks_arena *arena,
                             ProtobufCMessage **ret_record, int64_t *ret_revision)
{
    KS_STORE_VIEW_AUTO view = {0};
    struct ks_store_record record;
    KS_TRY(ks_store_peek(store, &view));
    ks_result result = ks_store_get(&view, name, &record);
    if (result.code == KS_NOT_FOUND) {
        *ret_record = NULL;
        *ret_revision = 0;
        return KS_RES(OK);
    }
    KS_TRY(result);
    KS_TRY(ks_record_read(type, record.value, arena, ret_record));
    *ret_revision = record.revision;
    return KS_RES(OK);
}

/* Another writer was faster than our copy: the caller asks again, and finds the new record. */
static ks_result commit(struct ks_store *store, const struct ks_change *change)
{
    ks_result result = ks_sync_commit(store, change, NULL);
    return result.code == KS_CONFLICT ? KS_RES(UNAVAILABLE) : result;
}

ks_result ks_command_put_roster(struct ks_store *store, struct ks_hsm_link *link, uint64_t number,
                                ks_bytes roster)
{
    if (roster.len == 0 || number == 0) {
        return KS_RES(VALIDATION);
    }
    KS_ARENA_AUTO arena = {.len_max = ARENA_LEN_MAX};
    KS_TRY(ks_request_roster(link, roster, &arena));
    ProtobufCMessage *message = NULL;
    int64_t revision = 0;
    KS_TRY(read_record(store, KS_NAME_ROSTER, STORED_TYPE(roster_record), &arena, &message,
                       &revision));
    const STORED(RosterRecord) *stands = (const STORED(RosterRecord) *)message;
    if (stands && stands->number >= number) {
        bool same = stands->number == number && ks_bytes_equal(ks_bytes_in(stands->roster), roster);
        return same ? KS_RES(OK) : KS_RES(ACCESS_DENIED);
    }
    STORED(RosterRecord) record = STORED_NEW(ROSTER_RECORD);
    record.format = KS_RECORD_FORMAT;
    record.number = number;
    record.roster = ks_lend_bytes(roster);
    KS_CHANGE_AUTO change = {.result = KS_RES(OK)};
    ks_change_compare(&change, KS_NAME_ROSTER, revision);
    ks_change_put(&change, KS_NAME_ROSTER, &record.base);
    return commit(store, &change);
}

ks_result ks_command_rotate(struct ks_store *store, uint32_t from, uint32_t *ret_current)
{
    KS_ARENA_AUTO arena = {.len_max = ARENA_LEN_MAX};
    ProtobufCMessage *message = NULL;
    int64_t current_revision = 0;
    KS_TRY(read_record(store, KS_NAME_DOMAIN_CURRENT, STORED_TYPE(current_domain_key), &arena,
                       &message, &current_revision));
    if (!message) {
        return KS_RES(UNAVAILABLE);
    }
    uint32_t current = ((const STORED(CurrentDomainKey) *)message)->generation;
    *ret_current = current;
    if (from != current) {
        return from == 0 || from > current ? KS_RES(VALIDATION) : KS_RES(OK);
    }
    int64_t revision = 0;
    KS_TRY(read_record(store, KS_NAME_DOMAIN_ROTATE, STORED_TYPE(rotate_domain_key), &arena,
                       &message, &revision));
    if (message && ((const STORED(RotateDomainKey) *)message)->from_generation == current) {
        return KS_RES(OK);
    }
    STORED(RotateDomainKey) record = STORED_NEW(ROTATE_DOMAIN_KEY);
    record.format = KS_RECORD_FORMAT;
    record.from_generation = current;
    KS_CHANGE_AUTO change = {.result = KS_RES(OK)};
    ks_change_compare(&change, KS_NAME_DOMAIN_CURRENT, current_revision);
    ks_change_compare(&change, KS_NAME_DOMAIN_ROTATE, revision);
    ks_change_put(&change, KS_NAME_DOMAIN_ROTATE, &record.base);
    return commit(store, &change);
}
