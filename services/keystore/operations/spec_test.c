/* What a key record says of the key's spec and usage, and what follows from it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/authentic/authentic.h"
#include "pkg/keyspec/keyspec.h"
#include "services/keystore/fixture/key_fixture.h"
#include "services/keystore/records/name.h"
#include "services/keystore/worker/sync.h"

/*
 * Records that were written long ago are read by this, and this writes what older programs of the
 * cell read: format, account, key id, state ENABLED, spec SYMMETRIC_DEFAULT, usage ENCRYPT_DECRYPT,
 * origin AWS_KMS.
 */
static void a_record_of_a_symmetric_key_begins_with_these_bytes(void **state)
{
    (void)state;
    char expected[128];
    int len = snprintf(expected, sizeof(expected),
                       "\x08\x01\x12\x0c" CELL_ACCOUNT "\x1a\x24%s\x20\x01\x28\x01\x30\x01\x38\x01",
                       key_id);
    struct ks_name name = ks_name_key(CELL_ACCOUNT, key_id);
    KS_STORE_VIEW_AUTO view = {0};
    struct ks_store_record record;

    assert_int_equal(ks_store_peek(cell.store, &view).code, KS_OK);
    assert_int_equal(ks_store_get(&view, ks_name_bytes(&name), &record).code, KS_OK);

    struct ks_authentic envelope;
    assert_int_equal(ks_authentic_read(record.value, &envelope).code, KS_OK);
    assert_true(envelope.body.len > (size_t)len);
    assert_memory_equal(envelope.body.ptr, expected, (size_t)len);
}

/* Puts the key's record back with another usage, as an hsm would make it: no API does yet. */
static void change_usage(char usage)
{
    static const char symmetric[] = "\x28\x01\x30\x01"; /* spec, usage */
    uint8_t value[4096];
    struct ks_name name = ks_name_key(CELL_ACCOUNT, key_id);
    KS_CHANGE_AUTO change = {.result = KS_RES(OK)};
    KS_STORE_VIEW_AUTO view = {0};
    struct ks_store_record record;
    assert_int_equal(ks_store_peek(cell.store, &view).code, KS_OK);
    assert_int_equal(ks_store_get(&view, ks_name_bytes(&name), &record).code, KS_OK);
    struct ks_authentic envelope;
    assert_int_equal(ks_authentic_read(record.value, &envelope).code, KS_OK);
    assert_true(envelope.body.len <= sizeof(value));
    memcpy(value, envelope.body.ptr, envelope.body.len);
    char *at = memmem(value, envelope.body.len, symmetric, sizeof(symmetric) - 1);
    assert_non_null(at);
    at[3] = usage;
    KS_BUFFER_AUTO made = {.len_max = sizeof(value)};
    ks_fake_hsm_forge(cell.hsm, ks_name_bytes(&name), (ks_bytes){value, envelope.body.len},
                      envelope.counter + 1, &made);
    change.mutation = (struct ks_store_mutation){
        .ops = {{ks_name_bytes(&name), ks_buffer_bytes(&made)}}, .op_count = 1};
    assert_int_equal(ks_sync_commit(cell.store, &change, NULL).code, KS_OK);
}

static void a_key_made_for_something_else_is_not_used(void **state)
{
    (void)state;
    char text[256];
    CELL_ANSWER_AUTO before = cell_encrypt(&cell, key_id, "secret", NULL);
    ProtobufCBinaryData blob = ((const KMS(EncryptResponse) *)before.response)->ciphertext_blob;
    change_usage(KS_USAGE_SIGN_VERIFY);
    size_t asked = ks_fake_hsm_request_count(cell.hsm);

    CELL_ANSWER_AUTO encrypted = cell_encrypt(&cell, key_id, "secret", NULL);
    CELL_ANSWER_AUTO decrypted = cell_decrypt(&cell, blob, NULL, NULL);

    assert_int_equal(encrypted.code, KS_INVALID_KEY_USAGE);
    snprintf(text, sizeof(text),
             "arn:aws:kms:" CELL_REGION ":" CELL_ACCOUNT
             ":key/%s key usage is SIGN_VERIFY which is not valid for Encrypt.",
             key_id);
    assert_string_equal(encrypted.text, text);
    assert_int_equal(decrypted.code, KS_INVALID_KEY_USAGE);
    /* Only whether the record that says so is authentic. */
    assert_int_equal(ks_fake_hsm_request_count(cell.hsm), asked + 1);
}

/* DescribeKey says what the record says. */
static void a_key_is_described_by_its_record(void **state)
{
    (void)state;
    change_usage(KS_USAGE_SIGN_VERIFY);

    CELL_ANSWER_AUTO answer = cell_on_key(&cell, OP(DESCRIBE_KEY), key_id);

    assert_int_equal(answer.code, KS_OK);
    const KMS(KeyMetadata) *metadata =
        ((const KMS(DescribeKeyResponse) *)answer.response)->key_metadata;
    assert_int_equal(metadata->key_usage, KS_USAGE_SIGN_VERIFY);
    assert_int_equal(metadata->key_spec, KS_KEYSPEC_IF_ABSENT);
    assert_int_equal(metadata->n_encryption_algorithms, 0);
}

/* Such a number is in no record that we wrote. */
static void a_usage_that_there_is_not_is_damage(void **state)
{
    (void)state;
    change_usage(9);

    CELL_ANSWER_AUTO answer = cell_encrypt(&cell, key_id, "secret", NULL);

    assert_int_equal(answer.code, KS_INTERNAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_record_of_a_symmetric_key_begins_with_these_bytes),
        TEST(a_key_made_for_something_else_is_not_used),
        TEST(a_key_is_described_by_its_record),
        TEST(a_usage_that_there_is_not_is_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
