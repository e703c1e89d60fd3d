#include "services/frontend/identity/identity_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "keystead/internal/v1/internal.pb-c.h"
#include "keystead/storage/v1/storage.pb-c.h"
#include "pkg/base/mem.h"
#include "pkg/codec/codec.h"

static void pack(const struct ProtobufCMessage *message, struct ks_buffer *value)
{
    assert_int_equal(ks_codec_pack(message, value).code, KS_OK);
}

void fixture_account(const char *account, struct ks_buffer *value)
{
    Keystead__Storage__V1__AccountRecord record = KEYSTEAD__STORAGE__V1__ACCOUNT_RECORD__INIT;
    record.format = 1;
    record.account = (char *)(uintptr_t)account;
    pack(&record.base, value);
}

void fixture_user(const char *account, const char *user, const char *user_id,
                  struct ks_buffer *value)
{
    Keystead__Storage__V1__UserRecord record = KEYSTEAD__STORAGE__V1__USER_RECORD__INIT;
    record.format = 1;
    record.account = (char *)(uintptr_t)account;
    record.name = (char *)(uintptr_t)user;
    record.user_id = (char *)(uintptr_t)user_id;
    pack(&record.base, value);
}

void fixture_certificate(const char *account, const char *user, const char *user_id,
                         int64_t revoked_at_ms, struct ks_buffer *value)
{
    Keystead__Storage__V1__CertificateRecord record =
        KEYSTEAD__STORAGE__V1__CERTIFICATE_RECORD__INIT;
    record.format = 1;
    record.account = (char *)(uintptr_t)account;
    record.user = (char *)(uintptr_t)user;
    record.user_id = (char *)(uintptr_t)user_id;
    record.not_after_ms = FIXTURE_NOT_AFTER_MS;
    record.revoked_at_ms = revoked_at_ms;
    pack(&record.base, value);
}

static struct fixture_record *next_record(struct fixture_message *message, const char *key,
                                          int64_t revision)
{
    assert_true(message->count < KS_COUNT(message->records));
    struct fixture_record *record = &message->records[message->count++];
    (void)snprintf(record->key, sizeof(record->key), "%s", key);
    record->value.len_max = 4096;
    record->revision = revision;
    return record;
}

void fixture_add(struct fixture_message *message, const char *key, const struct ks_buffer *value,
                 int64_t revision)
{
    struct fixture_record *record = next_record(message, key, revision);
    assert_int_equal(ks_buffer_append(&record->value, ks_buffer_bytes(value)).code, KS_OK);
}

void fixture_add_account(struct fixture_message *message, const char *account, int64_t revision)
{
    char key[64];
    (void)snprintf(key, sizeof(key), "account/%s", account);
    fixture_account(account, &next_record(message, key, revision)->value);
}

void fixture_delete(struct fixture_message *message, const char *key, int64_t revision)
{
    next_record(message, key, revision)->deleted = true;
}

void fixture_apply(const struct fixture_message *message, struct fixture_set *set)
{
    if (message->snapshot && !message->goes_on) {
        fixture_set_done(set);
    }
    for (size_t i = 0; i < message->count; i++) {
        const struct fixture_record *record = &message->records[i];
        if (record->deleted) {
            fixture_set_delete(set, record->key);
        } else {
            fixture_set_put(set, record->key, ks_buffer_bytes(&record->value), record->revision);
        }
    }
}

void fixture_pack(struct fixture_message *message, struct ks_buffer *bytes)
{
    Keystead__Internal__V1__IdentityRecord records[8];
    Keystead__Internal__V1__IdentityRecord *pointers[8];
    for (size_t i = 0; i < message->count; i++) {
        struct fixture_record *from = &message->records[i];
        records[i] =
            (Keystead__Internal__V1__IdentityRecord)KEYSTEAD__INTERNAL__V1__IDENTITY_RECORD__INIT;
        records[i].key = from->key;
        records[i].value = (ProtobufCBinaryData){from->value.len, from->value.ptr};
        records[i].deleted = from->deleted;
        records[i].mod_revision = from->revision;
        pointers[i] = &records[i];
    }
    Keystead__Internal__V1__WatchIdentitiesResponse response =
        KEYSTEAD__INTERNAL__V1__WATCH_IDENTITIES_RESPONSE__INIT;
    response.begin = !message->goes_on;
    response.snapshot = message->snapshot;
    response.head = (ProtobufCBinaryData){message->head.len, message->head.ptr};
    response.n_records = message->count;
    response.records = pointers;
    pack(&response.base, bytes);
    for (size_t i = 0; i < message->count; i++) {
        ks_buffer_done(&message->records[i].value);
    }
    ks_buffer_done(&message->head);
    message->count = 0;
}
