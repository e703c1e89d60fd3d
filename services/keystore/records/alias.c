#include "services/keystore/records/alias.h"

#include "pkg/arn/name.h"
#include "services/keystore/records/name.h"

ks_result ks_record_read_alias(ks_bytes name, ks_bytes value, struct ks_arena *arena,
                               STORED(AliasRecord) * *ret_record)
{
    ProtobufCMessage *message = NULL;
    KS_TRY(ks_record_read(STORED_TYPE(alias_record), value, arena, &message));
    STORED(AliasRecord) *record = (STORED(AliasRecord) *)message;
    if (!ks_account_is_valid(ks_bytes_of(record->account)) ||
        !ks_alias_is_valid(ks_bytes_of(record->name)) ||
        !ks_key_id_is_valid(ks_bytes_of(record->key_id))) {
        return KS_RES(CORRUPT);
    }
    struct ks_name own = ks_name_alias(record->account, record->name);
    if (!ks_bytes_equal(ks_name_bytes(&own), name)) {
        return KS_RES(CORRUPT);
    }
    *ret_record = record;
    return KS_RES(OK);
}

ks_result ks_record_read_key_alias(ks_bytes name, ks_bytes value, const char *account,
                                   const char *key_id, struct ks_arena *arena,
                                   STORED(KeyAliasRecord) * *ret_record)
{
    ProtobufCMessage *message = NULL;
    KS_TRY(ks_record_read(STORED_TYPE(key_alias_record), value, arena, &message));
    STORED(KeyAliasRecord) *record = (STORED(KeyAliasRecord) *)message;
    if (!ks_alias_is_valid(ks_bytes_of(record->name))) {
        return KS_RES(CORRUPT);
    }
    struct ks_name own = ks_name_key_alias(account, key_id, record->name);
    if (!ks_bytes_equal(ks_name_bytes(&own), name)) {
        return KS_RES(CORRUPT);
    }
    *ret_record = record;
    return KS_RES(OK);
}
