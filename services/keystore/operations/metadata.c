#include "services/keystore/operations/metadata.h"

#include "pkg/keyspec/keyspec.h"
#include "services/keystore/records/key.h"

#define MS_PER_S  1000
#define NS_PER_MS 1000000

Google__Protobuf__Timestamp *ks_metadata_time(struct ks_call *call, int64_t ms)
{
    Google__Protobuf__Timestamp *time = ks_call_alloc(call, 1, sizeof(*time));
    *time = (Google__Protobuf__Timestamp)GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    time->seconds = ms / MS_PER_S;
    time->nanos = (int32_t)(ms % MS_PER_S) * NS_PER_MS;
    return time;
}

static KMS(KeyState) state_of(const STORED(KeyRecord) * record)
{
    static const KMS(KeyState) states[] = {
        [STORED_ENUM(KEY_STATE__KEY_STATE_ENABLED)] = KMS_ENUM(KEY_STATE__KEY_STATE_ENABLED),
        [STORED_ENUM(KEY_STATE__KEY_STATE_DISABLED)] = KMS_ENUM(KEY_STATE__KEY_STATE_DISABLED),
        [STORED_ENUM(KEY_STATE__KEY_STATE_PENDING_DELETION)] =
            KMS_ENUM(KEY_STATE__KEY_STATE_PENDING_DELETION),
    };
    return (size_t)record->state < KS_COUNT(states) ? states[record->state]
                                                    : KMS_ENUM(KEY_STATE__KEY_STATE_UNSPECIFIED);
}

/* What the key's spec and usage allow. A record of a spec that has no row names no algorithm. */
static void fill_spec(struct ks_call *call, const STORED(KeyRecord) * record,
                      KMS(KeyMetadata) * metadata)
{
    const struct ks_keyspec *spec = ks_keyspec_of(record->spec);
    const struct ks_keyspec_use *use =
        spec ? ks_keyspec_use_of(spec, (uint32_t)record->usage) : NULL;
    metadata->key_usage = (KMS(KeyUsage))record->usage;
    metadata->key_spec = (KMS(KeySpec))record->spec;
    metadata->customer_master_key_spec = metadata->key_spec;
    if (use && use->usage == KS_USAGE_ENCRYPT_DECRYPT) {
        size_t count = ks_keyspec_algorithm_count(use);
        metadata->encryption_algorithms =
            ks_call_alloc(call, count, sizeof(*metadata->encryption_algorithms));
        metadata->n_encryption_algorithms = count;
        for (size_t i = 0; i < count; i++) {
            metadata->encryption_algorithms[i] =
                (KMS(EncryptionAlgorithm))use->algorithms[i].number;
        }
    }
}

/* One origin is stored so far. */
KMS(KeyMetadata) *
    ks_metadata_of(struct ks_call *call, const STORED(KeyRecord) * record, const struct ks_arn *arn)
{
    KMS(KeyMetadata) *metadata = ks_call_alloc(call, 1, sizeof(*metadata));
    *metadata = (KMS(KeyMetadata))KMS_NEW(KEY_METADATA);
    metadata->aws_account_id = record->account;
    metadata->key_id = record->key_id;
    metadata->arn = ks_lend_text(arn->text);
    metadata->creation_date = ks_metadata_time(call, record->created_at_ms);
    metadata->key_state = state_of(record);
    metadata->enabled = metadata->key_state == KMS_ENUM(KEY_STATE__KEY_STATE_ENABLED);
    metadata->description = record->description;
    if (record->deletion_at_ms > 0) {
        metadata->deletion_date = ks_metadata_time(call, record->deletion_at_ms);
    }
    fill_spec(call, record, metadata);
    metadata->origin = KMS_ENUM(ORIGIN__ORIGIN_AWS_KMS);
    metadata->key_manager = KMS_ENUM(KEY_MANAGER__KEY_MANAGER_CUSTOMER);
    metadata->current_key_material_id = ks_record_current_material(record)->material_id;
    return metadata;
}

KMS(AliasListEntry) * ks_metadata_alias(struct ks_call *call, const STORED(KeyRecord) * key,
                                        const STORED(KeyAlias) * alias)
{
    const struct ks_arn_home home = {call->env->partition, call->env->region, key->account};
    struct ks_arn *arn = ks_call_alloc(call, 1, sizeof(*arn));
    ks_arn_of_alias(&home, alias->name, arn);

    KMS(AliasListEntry) *entry = ks_call_alloc(call, 1, sizeof(*entry));
    *entry = (KMS(AliasListEntry))KMS_NEW(ALIAS_LIST_ENTRY);
    entry->alias_name = ks_call_dup(call, ks_bytes_of(alias->name));
    entry->alias_arn = arn->text;
    entry->target_key_id = ks_call_dup(call, ks_bytes_of(key->key_id));
    entry->creation_date = ks_metadata_time(call, alias->created_at_ms);
    entry->last_updated_date = ks_metadata_time(call, alias->updated_at_ms);
    return entry;
}
