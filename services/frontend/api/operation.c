#include "services/frontend/api/operation.h"

#include "keystead/internal/v1/internal.pb-c.h"
#include "keystead/kms/v1/kms.pb-c.h"
#include "pkg/base/mem.h"

/* AWS KMS API: the limits of each member. */
#define KEY_LEN         2048
#define BLOB_LEN        6144
#define PLAINTEXT_LEN   4096
#define DESCRIPTION_LEN 8192
#define MARKER_LEN      1024
#define POLICY_LEN      32768
#define ALIAS_LEN       256
#define TOKENS          10
#define TAGS            50
#define DATA_KEY_LEN    1024
#define REQUEST_ID_LEN  64

/* clang-format off */

#define KEY(field, member)         {field, member, KS_RULE_KEY, 1, KEY_LEN, NULL}
#define MAYBE_KEY(field, member)   {field, member, KS_RULE_KEY, 0, KEY_LEN, NULL}
#define KEY_OR_ALIAS(field, member) {field, member, KS_RULE_KEY_OR_ALIAS, 1, KEY_LEN, NULL}
#define MAYBE_KEY_OR_ALIAS(field, member) {field, member, KS_RULE_KEY_OR_ALIAS, 0, KEY_LEN, NULL}
#define ALIAS(field)               {field, "aliasName", KS_RULE_ALIAS, 1, ALIAS_LEN, NULL}
#define BLOB(field)                {field, "ciphertextBlob", KS_RULE_SECRET, 1, BLOB_LEN, NULL}
#define PLAINTEXT(field)           {field, "plaintext", KS_RULE_SECRET, 1, PLAINTEXT_LEN, NULL}
#define CONTEXT(field, member)     {field, member, KS_RULE_CONTEXT, 0, 0, NULL}
#define GRANT_TOKENS(field)        {field, "grantTokens", KS_RULE_TOKENS, 0, TOKENS, NULL}
#define DRY_RUN(field)             {field, "dryRun", KS_RULE_FLAG, 0, 0, NULL}
#define LIMIT(field, max)          {field, "limit", KS_RULE_NUMBER, 1, max, NULL}
#define MARKER(field)              {field, "marker", KS_RULE_TEXT, 0, MARKER_LEN, NULL}
#define DESCRIPTION(field)         {field, "description", KS_RULE_TEXT, 0, DESCRIPTION_LEN, NULL}
#define BYTE_COUNT(field)          {field, "numberOfBytes", KS_RULE_NUMBER, 1, DATA_KEY_LEN, NULL}
#define ENUM(field, member, max, set) {field, member, KS_RULE_ENUM, 0, max, set}
#define ALGORITHM(field, member)   ENUM(field, member, 1, "SYMMETRIC_DEFAULT")
#define DATA_KEY_SPEC(field)       ENUM(field, "keySpec", 2, "AES_256, AES_128")
#define REQUEST_ID                                                                                 \
    {KS_REQUEST_ID_FIELD, "requestId", KS_RULE_REQUEST_ID, 0, REQUEST_ID_LEN, NULL}

#define FROM_NAME(field)            {KS_IDENTIFIER_NAMED, field}
#define FROM_BLOB(field)            {KS_IDENTIFIER_BLOB, field}

#define NUMBER_OF(upper)           KEYSTEAD__INTERNAL__V1__OPERATION__OPERATION_##upper
#define REQUEST_OF(lower)          (&keystead__kms__v1__##lower##_request__descriptor)
#define NAMES(word)                .name = #word, .action = "kms:" #word, \
    .path = "/" KS_SERVICE_NAME "/" #word
#define RULES(...)                 .rules = {__VA_ARGS__}
#define IDENTIFIERS(...)           .identifiers = {__VA_ARGS__}

/* clang-format on */

static const struct ks_operation create_key = {
    NAMES(CreateKey),
    .number = NUMBER_OF(CREATE_KEY),
    .request = REQUEST_OF(create_key),
    .mutating = true,
    RULES({1, "policy", KS_RULE_TEXT, 0, POLICY_LEN, NULL}, DESCRIPTION(2),
          ENUM(3, "keyUsage", 1, "ENCRYPT_DECRYPT"), ENUM(4, "keySpec", 1, "SYMMETRIC_DEFAULT"),
          ENUM(5, "origin", 1, "AWS_KMS"),
          {6, "bypassPolicyLockoutSafetyCheck", KS_RULE_FLAG, 0, 0, NULL},
          {7, "tags", KS_RULE_TAGS, 0, TAGS, NULL}, REQUEST_ID),
};

static const struct ks_operation describe_key = {
    NAMES(DescribeKey),
    .number = NUMBER_OF(DESCRIBE_KEY),
    .request = REQUEST_OF(describe_key),
    RULES(KEY_OR_ALIAS(1, "keyId"), GRANT_TOKENS(2)),
    IDENTIFIERS(FROM_NAME(1)),
};

static const struct ks_operation list_keys = {
    NAMES(ListKeys),
    .number = NUMBER_OF(LIST_KEYS),
    .request = REQUEST_OF(list_keys),
    RULES(LIMIT(1, 1000), MARKER(2)),
};

static const struct ks_operation enable_key = {
    NAMES(EnableKey), .number = NUMBER_OF(ENABLE_KEY),    .request = REQUEST_OF(enable_key),
    .mutating = true, RULES(KEY(1, "keyId"), REQUEST_ID), IDENTIFIERS(FROM_NAME(1)),
};

static const struct ks_operation disable_key = {
    NAMES(DisableKey), .number = NUMBER_OF(DISABLE_KEY),   .request = REQUEST_OF(disable_key),
    .mutating = true,  RULES(KEY(1, "keyId"), REQUEST_ID), IDENTIFIERS(FROM_NAME(1)),
};

static const struct ks_operation schedule_key_deletion = {
    NAMES(ScheduleKeyDeletion),
    .number = NUMBER_OF(SCHEDULE_KEY_DELETION),
    .request = REQUEST_OF(schedule_key_deletion),
    .mutating = true,
    RULES(KEY(1, "keyId"), {2, "pendingWindowInDays", KS_RULE_NUMBER, 7, 30, NULL}, REQUEST_ID),
    IDENTIFIERS(FROM_NAME(1)),
};

static const struct ks_operation cancel_key_deletion = {
    NAMES(CancelKeyDeletion),
    .number = NUMBER_OF(CANCEL_KEY_DELETION),
    .request = REQUEST_OF(cancel_key_deletion),
    .mutating = true,
    RULES(KEY(1, "keyId"), REQUEST_ID),
    IDENTIFIERS(FROM_NAME(1)),
};

static const struct ks_operation update_key_description = {
    NAMES(UpdateKeyDescription),
    .number = NUMBER_OF(UPDATE_KEY_DESCRIPTION),
    .request = REQUEST_OF(update_key_description),
    .mutating = true,
    RULES(KEY(1, "keyId"), DESCRIPTION(2), REQUEST_ID),
    IDENTIFIERS(FROM_NAME(1)),
};

static const struct ks_operation create_alias = {
    NAMES(CreateAlias),
    .number = NUMBER_OF(CREATE_ALIAS),
    .request = REQUEST_OF(create_alias),
    .mutating = true,
    RULES(ALIAS(1), KEY(2, "targetKeyId"), REQUEST_ID),
    IDENTIFIERS(FROM_NAME(2)),
};

static const struct ks_operation update_alias = {
    NAMES(UpdateAlias),
    .number = NUMBER_OF(UPDATE_ALIAS),
    .request = REQUEST_OF(update_alias),
    .mutating = true,
    RULES(ALIAS(1), KEY(2, "targetKeyId"), REQUEST_ID),
    IDENTIFIERS(FROM_NAME(1), FROM_NAME(2)),
};

static const struct ks_operation delete_alias = {
    NAMES(DeleteAlias), .number = NUMBER_OF(DELETE_ALIAS), .request = REQUEST_OF(delete_alias),
    .mutating = true,   RULES(ALIAS(1), REQUEST_ID),       IDENTIFIERS(FROM_NAME(1)),
};

static const struct ks_operation list_aliases = {
    NAMES(ListAliases),
    .number = NUMBER_OF(LIST_ALIASES),
    .request = REQUEST_OF(list_aliases),
    RULES(MAYBE_KEY(1, "keyId"), LIMIT(2, 100), MARKER(3)),
    IDENTIFIERS(FROM_NAME(1)),
};

static const struct ks_operation encrypt = {
    NAMES(Encrypt),
    .number = NUMBER_OF(ENCRYPT),
    .request = REQUEST_OF(encrypt),
    RULES(KEY_OR_ALIAS(1, "keyId"), PLAINTEXT(2), CONTEXT(3, "encryptionContext"), GRANT_TOKENS(4),
          ALGORITHM(5, "encryptionAlgorithm"), DRY_RUN(6)),
    IDENTIFIERS(FROM_NAME(1)),
};

static const struct ks_operation decrypt = {
    NAMES(Decrypt),
    .number = NUMBER_OF(DECRYPT),
    .request = REQUEST_OF(decrypt),
    RULES(BLOB(1), CONTEXT(2, "encryptionContext"), GRANT_TOKENS(3), MAYBE_KEY_OR_ALIAS(4, "keyId"),
          ALGORITHM(5, "encryptionAlgorithm"), DRY_RUN(6)),
    IDENTIFIERS(FROM_BLOB(1)),
};

static const struct ks_operation re_encrypt = {
    NAMES(ReEncrypt),
    .number = NUMBER_OF(RE_ENCRYPT),
    .request = REQUEST_OF(re_encrypt),
    RULES(BLOB(1), CONTEXT(2, "sourceEncryptionContext"), MAYBE_KEY_OR_ALIAS(3, "sourceKeyId"),
          KEY_OR_ALIAS(4, "destinationKeyId"), CONTEXT(5, "destinationEncryptionContext"),
          ALGORITHM(6, "sourceEncryptionAlgorithm"), ALGORITHM(7, "destinationEncryptionAlgorithm"),
          GRANT_TOKENS(8), DRY_RUN(9)),
    IDENTIFIERS(FROM_BLOB(1), FROM_NAME(4)),
};

#define ONE_LENGTH                                                                                 \
    .needs = "numberOfBytes", .needs_or = "keySpec",                                               \
    .needs_text = "Please specify either number of bytes or key spec."

static const struct ks_operation generate_data_key = {
    NAMES(GenerateDataKey),
    .number = NUMBER_OF(GENERATE_DATA_KEY),
    .request = REQUEST_OF(generate_data_key),
    RULES(KEY_OR_ALIAS(1, "keyId"), CONTEXT(2, "encryptionContext"), BYTE_COUNT(3),
          DATA_KEY_SPEC(4), GRANT_TOKENS(5), DRY_RUN(6)),
    IDENTIFIERS(FROM_NAME(1)),
    ONE_LENGTH,
};

static const struct ks_operation generate_data_key_without_plaintext = {
    NAMES(GenerateDataKeyWithoutPlaintext),
    .number = NUMBER_OF(GENERATE_DATA_KEY_WITHOUT_PLAINTEXT),
    .request = REQUEST_OF(generate_data_key_without_plaintext),
    RULES(KEY_OR_ALIAS(1, "keyId"), CONTEXT(2, "encryptionContext"), DATA_KEY_SPEC(3),
          BYTE_COUNT(4), GRANT_TOKENS(5), DRY_RUN(6)),
    IDENTIFIERS(FROM_NAME(1)),
    ONE_LENGTH,
};

static const struct ks_operation generate_random = {
    NAMES(GenerateRandom),
    .number = NUMBER_OF(GENERATE_RANDOM),
    .request = REQUEST_OF(generate_random),
    RULES(BYTE_COUNT(1)),
    .needs = "numberOfBytes",
    .needs_text = "NumberOfBytes is required.",
};

#define BATCH(word, lower) NAMES(word), .request = REQUEST_OF(lower##_batch), .entry = &(lower)

static const struct ks_operation encrypt_batch = {BATCH(EncryptBatch, encrypt)};
static const struct ks_operation decrypt_batch = {BATCH(DecryptBatch, decrypt)};
static const struct ks_operation re_encrypt_batch = {BATCH(ReEncryptBatch, re_encrypt)};
static const struct ks_operation generate_data_key_batch = {
    BATCH(GenerateDataKeyBatch, generate_data_key)};

const struct ks_operation *const ks_operations[] = {
    &create_key,
    &describe_key,
    &list_keys,
    &enable_key,
    &disable_key,
    &schedule_key_deletion,
    &cancel_key_deletion,
    &update_key_description,
    &create_alias,
    &update_alias,
    &delete_alias,
    &list_aliases,
    &encrypt,
    &decrypt,
    &re_encrypt,
    &generate_data_key,
    &generate_data_key_without_plaintext,
    &generate_random,
    &encrypt_batch,
    &decrypt_batch,
    &re_encrypt_batch,
    &generate_data_key_batch,
};

const size_t ks_operation_count = KS_COUNT(ks_operations);
