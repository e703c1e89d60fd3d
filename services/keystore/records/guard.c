#include "services/keystore/records/guard.h"

#include <string.h>

#include "pkg/authentic/authentic.h"
#include "pkg/form/names.h"
#include "services/keystore/records/key.h"
#include "services/keystore/records/name.h"

#define GONE          KS_LITERAL("gone/")
#define ALIAS_LEN_MAX 256U /* what ks_name_alias takes */
#define ARENA_LEN_MAX (2U * 1024U * 1024U)

/* What is loaded anew may be what was there before. */
static bool is_above(const struct ks_store_held *held, ks_bytes name, uint64_t counter)
{
    uint64_t ordinal = ks_store_held_ordinal(held, name);
    return counter > ordinal || (counter == ordinal && ks_store_held_is_loading(held));
}

static bool admits_key(const struct ks_store_held *held, ks_bytes key, ks_bytes value,
                       uint64_t *ret_ordinal)
{
    struct ks_name gone;
    uint64_t gone_ordinal =
        ks_name_gone_of(key, &gone) ? ks_store_held_ordinal(held, ks_name_bytes(&gone)) : 0;
    struct ks_authentic record;
    if (!value.ptr) {
        uint64_t ordinal = ks_store_held_ordinal(held, key);
        return ordinal == 0 || gone_ordinal > ordinal;
    }
    if (ks_failed(ks_authentic_read(value, &record)) || !is_above(held, key, record.counter) ||
        record.counter <= gone_ordinal) {
        return false;
    }
    *ret_ordinal = record.counter;
    return true;
}

static bool admits_gone(struct ks_store_held *held, ks_bytes name, ks_bytes value,
                        uint64_t *ret_ordinal)
{
    ks_bytes key = {name.ptr + GONE.len, name.len - GONE.len};
    struct ks_authentic record;
    if (!value.ptr) {
        return ks_store_held_ordinal(held, name) == 0;
    }
    if (ks_failed(ks_authentic_read(value, &record)) || !is_above(held, name, record.counter) ||
        record.counter <= ks_store_held_ordinal(held, key) ||
        ks_failed(ks_store_held_remove(held, key))) {
        return false;
    }
    *ret_ordinal = record.counter;
    return true;
}

/* Whether the key that an alias's record names is there, and lists it. */
static bool is_listed(const struct ks_store_held *held, ks_bytes value)
{
    KS_ARENA_AUTO arena = {.len_max = ARENA_LEN_MAX};
    ProtobufCMessage *message = NULL;
    STORED(KeyRecord) *key = NULL;
    ks_bytes of_key;
    if (ks_failed(ks_record_read(STORED_TYPE(alias_record), value, &arena, &message))) {
        return false;
    }
    const STORED(AliasRecord) *alias = (const STORED(AliasRecord) *)message;
    if (!ks_is_account(ks_bytes_of(alias->account)) || !ks_is_key_id(ks_bytes_of(alias->key_id))) {
        return false;
    }
    struct ks_name name = ks_name_key(alias->account, alias->key_id);
    return !ks_failed(ks_store_held_get(held, ks_name_bytes(&name), &of_key)) &&
           !ks_failed(ks_record_read_key(of_key, &arena, &key)) &&
           ks_record_alias(key, alias->name);
}

/* An alias's record names itself, too: it is not put under another name. */
static bool names_itself(ks_bytes name, ks_bytes value)
{
    KS_ARENA_AUTO arena = {.len_max = ARENA_LEN_MAX};
    ProtobufCMessage *message = NULL;
    if (ks_failed(ks_record_read(STORED_TYPE(alias_record), value, &arena, &message))) {
        return false;
    }
    const STORED(AliasRecord) *alias = (const STORED(AliasRecord) *)message;
    ks_bytes rest = ks_bytes_of(alias->name);
    if (!ks_is_account(ks_bytes_of(alias->account)) ||
        !ks_bytes_starts_with(rest, KS_NAME_ALIASES) || rest.len > ALIAS_LEN_MAX) {
        return false;
    }
    struct ks_name own = ks_name_alias(alias->account, alias->name);
    return ks_bytes_equal(ks_name_bytes(&own), name);
}

static bool admits_alias(const struct ks_store_held *held, ks_bytes name, ks_bytes value)
{
    ks_bytes before;
    if (ks_store_held_is_loading(held)) {
        return true;
    }
    if (value.ptr) {
        return names_itself(name, value) && is_listed(held, value);
    }
    return ks_failed(ks_store_held_get(held, name, &before)) || !is_listed(held, before);
}

bool ks_record_guard(struct ks_store_held *held, ks_bytes key, ks_bytes value,
                     uint64_t *ret_ordinal)
{
    if (ks_bytes_starts_with(key, KS_NAME_KEYS)) {
        return admits_key(held, key, value, ret_ordinal);
    }
    if (ks_bytes_starts_with(key, KS_NAME_GONE_KEYS)) {
        return admits_gone(held, key, value, ret_ordinal);
    }
    if (ks_bytes_starts_with(key, KS_NAME_ALIASES)) {
        return admits_alias(held, key, value);
    }
    return true;
}

uint64_t ks_record_ordinal(ks_bytes key, ks_bytes value)
{
    struct ks_authentic record;
    bool has_counter =
        ks_bytes_starts_with(key, KS_NAME_KEYS) || ks_bytes_starts_with(key, KS_NAME_GONE_KEYS);
    return has_counter && !ks_failed(ks_authentic_read(value, &record)) ? record.counter : 0;
}
