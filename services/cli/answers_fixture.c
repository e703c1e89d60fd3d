#include "services/cli/answers_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "keystead/admin/v1/admin.pb-c.h"
#include "keystead/internal/v1/internal.pb-c.h"
#include "keystead/kms/v1/kms.pb-c.h"
#include "pkg/base/clock.h"
#include "pkg/base/mem.h"
#include "pkg/codec/codec.h"
#include "pkg/crypto/csr.h"
#include "pkg/crypto/x509.h"
#include "pkg/custody/kit.h"
#include "pkg/rpc/server.h"
#include "services/cli/service_fixture.h"

#define TAG_LEN       8U
#define MESSAGE_MAX   65536U
#define KEYS_PER_PAGE 3U

static int64_t now_s(void)
{
    return ks_clock_wall_ms(&ks_clock_system) / 1000;
}

static void reply(const struct fake_answer *answer, const ProtobufCMessage *response)
{
    KS_BUFFER_AUTO packed = {.len_max = MESSAGE_MAX};
    assert_int_equal(ks_codec_pack(response, &packed).code, KS_OK);
    ks_rpc_call_reply(answer->call, ks_buffer_bytes(&packed));
}

void fake_refuse(const struct fake_answer *answer, ks_code code, const char *region)
{
    const struct ks_rpc_status status = {
        .code = code, .metadata = {{"region", region}}, .metadata_count = region ? 1 : 0};
    ks_rpc_call_fail(answer->call, &status);
}

typedef Keystead__Kms__V1__EncryptRequest__EncryptionContextEntry encrypt_pair;

/* This is no real hash: it only has to tell two contexts apart. All map entries have one form. */
static void tag_of(const ProtobufCMessage *const *pairs, size_t count,
                   uint8_t ret_tag[static TAG_LEN])
{
    memset(ret_tag, 0, TAG_LEN);
    for (size_t i = 0; i < count; i++) {
        const encrypt_pair *pair = (const encrypt_pair *)(const void *)pairs[i];
        unsigned sum = 1;
        for (const char *c = pair->key; *c; c++) {
            sum = sum * 31 + (unsigned char)*c;
        }
        for (const char *c = pair->value; *c; c++) {
            sum = sum * 37 + (unsigned char)*c;
        }
        ret_tag[sum % TAG_LEN] = (uint8_t)(ret_tag[sum % TAG_LEN] + sum / TAG_LEN % 251 + 1);
    }
}

/* A blob: 01 ‖ tag ‖ plaintext with each bit flipped. */
static ProtobufCBinaryData blob_of(struct ks_arena *arena, const uint8_t *tag,
                                   ProtobufCBinaryData plaintext)
{
    ProtobufCBinaryData blob = {1 + TAG_LEN + plaintext.len, NULL};
    blob.data = ks_arena_alloc(arena, blob.len);
    blob.data[0] = 1;
    memcpy(blob.data + 1, tag, TAG_LEN);
    for (size_t i = 0; i < plaintext.len; i++) {
        blob.data[1 + TAG_LEN + i] = (uint8_t)~plaintext.data[i];
    }
    return blob;
}

static void on_encrypt(struct fake_answer *answer)
{
    Keystead__Kms__V1__EncryptRequest *request = (void *)answer->request;
    Keystead__Kms__V1__EncryptResponse response = KEYSTEAD__KMS__V1__ENCRYPT_RESPONSE__INIT;
    uint8_t tag[TAG_LEN];
    tag_of((const ProtobufCMessage *const *)(void *)request->encryption_context,
           request->n_encryption_context, tag);
    response.ciphertext_blob = blob_of(&answer->arena, tag, request->plaintext);
    reply(answer, &response.base);
}

static void on_data_key(struct fake_answer *answer)
{
    static uint8_t key[32] = "a data key that is no secret....";
    Keystead__Kms__V1__GenerateDataKeyRequest *request = (void *)answer->request;
    Keystead__Kms__V1__GenerateDataKeyResponse response =
        KEYSTEAD__KMS__V1__GENERATE_DATA_KEY_RESPONSE__INIT;
    uint8_t tag[TAG_LEN];
    tag_of((const ProtobufCMessage *const *)(void *)request->encryption_context,
           request->n_encryption_context, tag);
    response.plaintext = (ProtobufCBinaryData){sizeof(key), key};
    response.ciphertext_blob = blob_of(&answer->arena, tag, response.plaintext);
    response.key_id = (char *)(uintptr_t)FAKE_KEY_ID;
    reply(answer, &response.base);
}

static void on_decrypt(struct fake_answer *answer)
{
    Keystead__Kms__V1__DecryptRequest *request = (void *)answer->request;
    Keystead__Kms__V1__DecryptResponse response = KEYSTEAD__KMS__V1__DECRYPT_RESPONSE__INIT;
    ProtobufCBinaryData blob = request->ciphertext_blob;
    uint8_t tag[TAG_LEN];
    tag_of((const ProtobufCMessage *const *)(void *)request->encryption_context,
           request->n_encryption_context, tag);
    bool fits = blob.len > 1 + TAG_LEN && blob.data[0] == 1 &&
                ks_bytes_equal((ks_bytes){blob.data + 1, TAG_LEN}, (ks_bytes){tag, TAG_LEN});
    if (!fits) {
        fake_refuse(answer, KS_INVALID_CIPHERTEXT, blob.data[0] == 2 ? "us-oregon-1" : NULL);
        return;
    }
    response.plaintext = (ProtobufCBinaryData){blob.len - 1 - TAG_LEN, blob.data + 1 + TAG_LEN};
    for (size_t i = 0; i < response.plaintext.len; i++) {
        response.plaintext.data[i] = (uint8_t)~response.plaintext.data[i];
    }
    reply(answer, &response.base);
}

static void on_create_key(struct fake_answer *answer)
{
    Keystead__Kms__V1__CreateKeyRequest *request = (void *)answer->request;
    Keystead__Kms__V1__CreateKeyResponse response = KEYSTEAD__KMS__V1__CREATE_KEY_RESPONSE__INIT;
    Keystead__Kms__V1__KeyMetadata key = KEYSTEAD__KMS__V1__KEY_METADATA__INIT;
    Google__Protobuf__Timestamp made = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    made.seconds = 1767225600;
    key.key_id = (char *)(uintptr_t)FAKE_KEY_ID;
    key.arn = (char *)(uintptr_t) "arn:aws:kms:ap-seoul-1:111122223333:key/" FAKE_KEY_ID;
    key.aws_account_id = (char *)(uintptr_t)FAKE_ACCOUNT;
    key.description = request->description;
    key.creation_date = &made;
    key.enabled = 1;
    key.key_state = KEYSTEAD__KMS__V1__KEY_STATE__KEY_STATE_ENABLED;
    response.key_metadata = &key;
    reply(answer, &response.base);
}

static void on_describe_key(struct fake_answer *answer)
{
    Keystead__Kms__V1__DescribeKeyRequest *request = (void *)answer->request;
    Keystead__Kms__V1__DescribeKeyResponse response =
        KEYSTEAD__KMS__V1__DESCRIBE_KEY_RESPONSE__INIT;
    Keystead__Kms__V1__KeyMetadata key = KEYSTEAD__KMS__V1__KEY_METADATA__INIT;
    if (strcmp(request->key_id, FAKE_ALIAS) != 0 && strcmp(request->key_id, FAKE_ALIAS_ARN) != 0) {
        fake_refuse(answer, KS_NOT_FOUND, NULL);
        return;
    }
    key.key_id = (char *)(uintptr_t)FAKE_KEY_ID;
    key.arn = (char *)(uintptr_t)FAKE_KEY_ARN;
    response.key_metadata = &key;
    reply(answer, &response.base);
}

/* As the service, it takes no alias. */
static void on_enable_key(struct fake_answer *answer)
{
    Keystead__Kms__V1__EnableKeyRequest *request = (void *)answer->request;
    Keystead__Kms__V1__EnableKeyResponse response = KEYSTEAD__KMS__V1__ENABLE_KEY_RESPONSE__INIT;
    if (strstr(request->key_id, "alias/")) {
        fake_refuse(answer, KS_VALIDATION, NULL);
        return;
    }
    reply(answer, &response.base);
}

static void on_empty(struct fake_answer *answer)
{
    Keystead__Kms__V1__EnableKeyResponse response = KEYSTEAD__KMS__V1__ENABLE_KEY_RESPONSE__INIT;
    reply(answer, &response.base);
}

static void on_list_keys(struct fake_answer *answer)
{
    Keystead__Kms__V1__ListKeysRequest *request = (void *)answer->request;
    Keystead__Kms__V1__ListKeysResponse response = KEYSTEAD__KMS__V1__LIST_KEYS_RESPONSE__INIT;
    Keystead__Kms__V1__KeyListEntry keys[KEYS_PER_PAGE];
    Keystead__Kms__V1__KeyListEntry *list[KEYS_PER_PAGE];
    char names[KEYS_PER_PAGE][16];
    char marker[16];
    unsigned first =
        (unsigned)strtoul(request->marker_presence_case ? request->marker : "", NULL, 10);
    for (unsigned i = 0; i < KEYS_PER_PAGE && first + i < FAKE_KEYS; i++) {
        snprintf(names[i], sizeof(names[i]), "key-%u", first + i);
        keystead__kms__v1__key_list_entry__init(&keys[i]);
        keys[i].key_id = names[i];
        list[i] = &keys[i];
        response.n_keys++;
    }
    response.keys = list;
    if (first + KEYS_PER_PAGE < FAKE_KEYS) {
        snprintf(marker, sizeof(marker), "%u", first + KEYS_PER_PAGE);
        response.next_marker = marker;
        response.truncated = 1;
    }
    reply(answer, &response.base);
}

static void on_create_account(struct fake_answer *answer)
{
    Keystead__Admin__V1__CreateAccountRequest *request = (void *)answer->request;
    Keystead__Admin__V1__CreateAccountResponse response =
        KEYSTEAD__ADMIN__V1__CREATE_ACCOUNT_RESPONSE__INIT;
    Keystead__Admin__V1__Account account = KEYSTEAD__ADMIN__V1__ACCOUNT__INIT;
    account.account_id = (char *)(uintptr_t)FAKE_ACCOUNT;
    account.display_name = request->display_name;
    response.account = &account;
    reply(answer, &response.base);
}

static void on_issue_certificate(struct fake_answer *answer)
{
    Keystead__Admin__V1__IssueCertificateRequest *request = (void *)answer->request;
    Keystead__Admin__V1__IssueCertificateResponse response =
        KEYSTEAD__ADMIN__V1__ISSUE_CERTIFICATE_RESPONSE__INIT;
    KS_BUFFER_AUTO spki = {.len_max = KS_EC_PUBLIC_DER_MAX};
    KS_BUFFER_AUTO pem = {.len_max = KS_X509_PEM_MAX};
    char serial[KS_X509_SERIAL_HEX + 1];
    const struct ks_x509_issuer issuer = {ks_buffer_bytes(&fake.process_ca), fake.process_root};
    const struct ks_x509_leaf_spec spec = {
        .names = {.uri = "spiffe://keystead/account/" FAKE_ACCOUNT "/user/alice"},
        .not_before_s = now_s() - 60,
        .not_after_s = now_s() + request->lifetime_seconds,
        .client = true};
    bool done = !ks_failed(ks_csr_read(ks_bytes_of(request->csr_pem), &spki)) &&
                !ks_failed(ks_x509_issue(&issuer, ks_buffer_bytes(&spki), &spec, &pem, serial)) &&
                !ks_failed(ks_buffer_append(&pem, (ks_bytes){(const uint8_t *)"", 1}));
    if (!done) {
        fake_refuse(answer, KS_VALIDATION, NULL);
        return;
    }
    response.certificate_pem = (char *)pem.ptr;
    response.serial = serial;
    reply(answer, &response.base);
}

static void on_put_roster(struct fake_answer *answer)
{
    Keystead__Internal__V1__PutRosterRequest *request = (void *)answer->request;
    Keystead__Internal__V1__PutRosterResponse response =
        KEYSTEAD__INTERNAL__V1__PUT_ROSTER_RESPONSE__INIT;
    struct ks_roster roster;
    ks_bytes bytes = {request->roster.data, request->roster.len};
    if (ks_failed(ks_roster_open(bytes, fake.hsm_root, &roster)) ||
        roster.number != request->number || roster.number <= fake.roster.number) {
        fake_refuse(answer, KS_ACCESS_DENIED, NULL);
        return;
    }
    fake.roster = roster;
    reply(answer, &response.base);
}

static void on_put_custodians(struct fake_answer *answer)
{
    Keystead__Internal__V1__PutCustodiansRequest *request = (void *)answer->request;
    Keystead__Internal__V1__PutCustodiansResponse response =
        KEYSTEAD__INTERNAL__V1__PUT_CUSTODIANS_RESPONSE__INIT;
    struct ks_kit kit;
    ks_bytes bytes = {request->kit.data, request->kit.len};
    if (ks_failed(ks_kit_open(bytes, fake.hsm_root, &kit)) || kit.period != request->period) {
        fake_refuse(answer, KS_ACCESS_DENIED, NULL);
        return;
    }
    reply(answer, &response.base);
}

static void on_rotate(struct fake_answer *answer)
{
    Keystead__Internal__V1__RotateDomainKeyRequest *request = (void *)answer->request;
    Keystead__Internal__V1__RotateDomainKeyResponse response =
        KEYSTEAD__INTERNAL__V1__ROTATE_DOMAIN_KEY_RESPONSE__INIT;
    if (request->from_generation != 3) {
        fake_refuse(answer, KS_VALIDATION, NULL);
        return;
    }
    response.current_generation = request->from_generation;
    reply(answer, &response.base);
}

static void on_get_status(struct fake_answer *answer)
{
    Keystead__Internal__V1__GetStatusResponse response =
        KEYSTEAD__INTERNAL__V1__GET_STATUS_RESPONSE__INIT;
    uint32_t held[] = {2, 3};
    char *listed[] = {(char *)(uintptr_t)FAKE_REGION "a"};
    response.name = listed[0];
    response.region = (char *)(uintptr_t)FAKE_REGION;
    response.zone = listed[0];
    response.applied_revision = 812;
    response.settled_revision = 811;
    response.window_left_ms = fake.window_open ? 1700 : 0;
    response.database_bytes = 1536 * 1024;
    response.domain_generation = 3;
    response.n_generations_held = KS_COUNT(held);
    response.generations_held = held;
    response.hsm_ready = 1;
    response.identities_revision = 14;
    response.n_listed = KS_COUNT(listed);
    response.listed = listed;
    reply(answer, &response.base);
}

#define KMS(Name, type)   "/keystead.kms.v1.KeyManagementService/" Name, &keystead__kms__v1__##type
#define ADMIN(Name, type) "/keystead.admin.v1.AdminService/" Name, &keystead__admin__v1__##type
#define INTERNAL(Name, type)                                                                       \
    "/keystead.internal.v1.KeystoreService/" Name, &keystead__internal__v1__##type

const struct fake_row fake_rows[FAKE_ROWS] = {
    {KMS("Encrypt", encrypt_request__descriptor), on_encrypt},
    {KMS("Decrypt", decrypt_request__descriptor), on_decrypt},
    {KMS("GenerateDataKey", generate_data_key_request__descriptor), on_data_key},
    {KMS("CreateKey", create_key_request__descriptor), on_create_key},
    {KMS("DescribeKey", describe_key_request__descriptor), on_describe_key},
    {KMS("CreateAlias", create_alias_request__descriptor), on_empty},
    {KMS("EnableKey", enable_key_request__descriptor), on_enable_key},
    {KMS("ListKeys", list_keys_request__descriptor), on_list_keys},
    {ADMIN("CreateAccount", create_account_request__descriptor), on_create_account},
    {ADMIN("IssueCertificate", issue_certificate_request__descriptor), on_issue_certificate},
    {INTERNAL("PutRoster", put_roster_request__descriptor), on_put_roster},
    {INTERNAL("PutCustodians", put_custodians_request__descriptor), on_put_custodians},
    {INTERNAL("RotateDomainKey", rotate_domain_key_request__descriptor), on_rotate},
    {INTERNAL("GetStatus", get_status_request__descriptor), on_get_status},
};
