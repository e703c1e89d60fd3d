#include "services/keystore/operations/table.h"

#include "keystead/kms/v1/aliases.pb-c.h"
#include "keystead/kms/v1/crypto.pb-c.h"
#include "keystead/kms/v1/keys.pb-c.h"
#include "services/keystore/operations/handlers.h"

#define AT(type, field) offsetof(KMS(type), field)

/* Rows of identifiers: form, field, what the key's state must allow. */
#define NAMED(how, type, field, act)                                                               \
    {                                                                                              \
        .form = KS_IDENTIFIER_##how, .offset = AT(type, field), .action = KS_KEY_ACT_##act         \
    }
#define KEY(type, field, act)     NAMED(KEY, type, field, act)
#define KEY_OPT(type, field, act) NAMED(KEY_OPT, type, field, act)
#define ANY(type, field, act)     NAMED(ANY, type, field, act)
#define ALIAS(type, field, act)   NAMED(ALIAS, type, field, act)
#define BLOB(type, field, given)                                                                   \
    {                                                                                              \
        .form = KS_IDENTIFIER_BLOB, .offset = AT(type, field), .action = KS_KEY_ACT_USE,           \
        .given_offset = AT(type, given)                                                            \
    }

#define ROW(upper, camel, lower)                                                                   \
    .number = INTERNAL_ENUM(OPERATION__OPERATION_##upper), .name = #camel,                         \
    .request_type = KMS_TYPE(lower##_request), .run = ks_run_##lower
#define CHECKED(lower) .check = ks_check_##lower

const struct ks_operation ks_operations[] = {
    {ROW(CREATE_KEY, CreateKey, create_key), CHECKED(create_key), .kind = KS_OPERATION_MUTATION},
    {ROW(DESCRIBE_KEY, DescribeKey, describe_key), CHECKED(describe_key), .kind = KS_OPERATION_READ,
     .other_accounts = true, .identifiers = {ANY(DescribeKeyRequest, key_id, DESCRIBE)}},
    {ROW(LIST_KEYS, ListKeys, list_keys), CHECKED(list_keys), .kind = KS_OPERATION_READ},
    {ROW(ENABLE_KEY, EnableKey, enable_key), .kind = KS_OPERATION_MUTATION,
     .identifiers = {KEY(EnableKeyRequest, key_id, ENABLE)}},
    {ROW(DISABLE_KEY, DisableKey, disable_key), .kind = KS_OPERATION_MUTATION,
     .identifiers = {KEY(DisableKeyRequest, key_id, DISABLE)}},
    {ROW(SCHEDULE_KEY_DELETION, ScheduleKeyDeletion, schedule_key_deletion),
     CHECKED(schedule_key_deletion), .kind = KS_OPERATION_MUTATION,
     .identifiers = {KEY(ScheduleKeyDeletionRequest, key_id, SCHEDULE_DELETION)}},
    {ROW(CANCEL_KEY_DELETION, CancelKeyDeletion, cancel_key_deletion),
     .kind = KS_OPERATION_MUTATION,
     .identifiers = {KEY(CancelKeyDeletionRequest, key_id, CANCEL_DELETION)}},
    {ROW(UPDATE_KEY_DESCRIPTION, UpdateKeyDescription, update_key_description),
     CHECKED(update_key_description), .kind = KS_OPERATION_MUTATION,
     .identifiers = {KEY(UpdateKeyDescriptionRequest, key_id, UPDATE_DESCRIPTION)}},
    {ROW(CREATE_ALIAS, CreateAlias, create_alias), CHECKED(create_alias),
     .kind = KS_OPERATION_MUTATION,
     .identifiers = {KEY(CreateAliasRequest, target_key_id, CREATE_ALIAS)}},
    {ROW(UPDATE_ALIAS, UpdateAlias, update_alias), CHECKED(update_alias),
     .kind = KS_OPERATION_MUTATION,
     .identifiers = {ALIAS(UpdateAliasRequest, alias_name, UPDATE_ALIAS_FROM),
                     KEY(UpdateAliasRequest, target_key_id, CREATE_ALIAS)}},
    {ROW(DELETE_ALIAS, DeleteAlias, delete_alias), CHECKED(delete_alias),
     .kind = KS_OPERATION_MUTATION,
     .identifiers = {ALIAS(DeleteAliasRequest, alias_name, DELETE_ALIAS)}},
    {ROW(LIST_ALIASES, ListAliases, list_aliases), CHECKED(list_aliases), .kind = KS_OPERATION_READ,
     .identifiers = {KEY_OPT(ListAliasesRequest, key_id, LIST_ALIASES)}},
    {ROW(ENCRYPT, Encrypt, encrypt), CHECKED(encrypt), .kind = KS_OPERATION_HSM,
     .other_accounts = true, .identifiers = {ANY(EncryptRequest, key_id, USE)}},
    {ROW(DECRYPT, Decrypt, decrypt), CHECKED(decrypt), .kind = KS_OPERATION_HSM,
     .other_accounts = true, .identifiers = {BLOB(DecryptRequest, ciphertext_blob, key_id)}},
    {ROW(RE_ENCRYPT, ReEncrypt, re_encrypt), CHECKED(re_encrypt), .kind = KS_OPERATION_HSM,
     .other_accounts = true,
     .identifiers = {BLOB(ReEncryptRequest, ciphertext_blob, source_key_id),
                     ANY(ReEncryptRequest, destination_key_id, USE)}},
    {ROW(GENERATE_DATA_KEY, GenerateDataKey, generate_data_key), CHECKED(generate_data_key),
     .kind = KS_OPERATION_HSM, .other_accounts = true,
     .identifiers = {ANY(GenerateDataKeyRequest, key_id, USE)}},
    {ROW(GENERATE_DATA_KEY_WITHOUT_PLAINTEXT, GenerateDataKeyWithoutPlaintext,
         generate_data_key_without_plaintext),
     CHECKED(generate_data_key_without_plaintext), .kind = KS_OPERATION_HSM, .other_accounts = true,
     .identifiers = {ANY(GenerateDataKeyWithoutPlaintextRequest, key_id, USE)}},
    {ROW(GENERATE_RANDOM, GenerateRandom, generate_random), CHECKED(generate_random),
     .kind = KS_OPERATION_HSM},
};

const size_t ks_operation_count = KS_COUNT(ks_operations);

/* Rows stand in the order of their numbers, which begin at 1; a test says so. */
const struct ks_operation *ks_operation_of(INTERNAL(Operation) number)
{
    size_t row = (size_t)number - 1;
    return number > 0 && row < ks_operation_count ? &ks_operations[row] : NULL;
}
