#include "services/keystore/records/due.h"

#include "pkg/attempt/attempt.h"
#include "services/keystore/records/key.h"
#include "services/keystore/records/name.h"

#define ARENA_LEN_MAX (1024U * 1024U)

/* The sum; the last time there is, if that is later. A record may say any date. */
static int64_t later(int64_t ms, int64_t by_ms)
{
    return ms > INT64_MAX - by_ms ? INT64_MAX : ms + by_ms;
}

static int64_t due_request(ks_bytes value, struct ks_arena *arena)
{
    ProtobufCMessage *message = NULL;
    if (ks_failed(ks_record_read(STORED_TYPE(request_record), value, arena, &message))) {
        return 0;
    }
    return later(((const STORED(RequestRecord) *)message)->created_at_ms, KS_ATTEMPT_KEPT_MS + 1);
}

static int64_t due_key(ks_bytes value, struct ks_arena *arena)
{
    STORED(KeyRecord) *key = NULL;
    bool pending = !ks_failed(ks_record_read_key(value, arena, &key)) &&
                   key->state == STORED_ENUM(KEY_STATE__KEY_STATE_PENDING_DELETION);
    return pending ? key->deletion_at_ms : 0;
}

static int64_t due_destroyed(ks_bytes value, struct ks_arena *arena)
{
    ProtobufCMessage *message = NULL;
    if (ks_failed(ks_record_read(STORED_TYPE(destroyed_key_record), value, arena, &message))) {
        return 0;
    }
    return later(((const STORED(DestroyedKeyRecord) *)message)->destroyed_at_ms,
                 KS_DESTROYED_KEPT_MS + 1);
}

/* A kind of records, and when one of it is due; not above 0: never. */
struct row {
    ks_bytes root;
    int64_t (*due)(ks_bytes value, struct ks_arena *arena);
};

int64_t ks_record_due_ms(ks_bytes key, ks_bytes value)
{
    const struct row rows[] = {
        {KS_NAME_REQUESTS, due_request},
        {KS_NAME_KEYS, due_key},
        {KS_NAME_DESTROYED, due_destroyed},
    };
    KS_ARENA_AUTO arena = {.len_max = ARENA_LEN_MAX};
    for (size_t i = 0; i < KS_COUNT(rows); i++) {
        if (ks_bytes_starts_with(key, rows[i].root)) {
            int64_t due_ms = rows[i].due(value, &arena);
            return due_ms > 0 ? due_ms : 0;
        }
    }
    return 0;
}
