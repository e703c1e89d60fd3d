#include "services/keystore/execute/known_keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "pkg/authentic/authentic.h"
#include "pkg/store/store.h"
#include "services/keystore/hsmlink/about.h"
#include "services/keystore/records/key.h"

#define ACCOUNT "111122223333"
#define OTHER   "444455556666"
#define KEY_ID  "0b4f9c9e-6f5d-4b8b-9b0e-000000000001"
#define NAME    "key/" ACCOUNT "/" KEY_ID
#define ARN     "arn:aws:kms:ap-seoul-1:" ACCOUNT ":key/" KEY_ID

static const struct ks_arn_home home = {"aws", "ap-seoul-1", ACCOUNT};

static void write_record(struct ks_buffer *bytes)
{
    STORED(KeyMaterial) material = STORED_NEW(KEY_MATERIAL);
    STORED(KeyMaterial) * materials[] = {&material};
    STORED(KeyRecord) record = STORED_NEW(KEY_RECORD);
    record.format = KS_RECORD_FORMAT;
    record.account = ks_lend_text(ACCOUNT);
    record.key_id = ks_lend_text(KEY_ID);
    record.description = ks_lend_text("of a test");
    record.materials = materials;
    record.n_materials = 1;
    static const uint8_t mac[KS_AUTHENTIC_MAC_LEN];
    KS_BUFFER_AUTO body = {.len_max = 4096};
    assert_int_equal(ks_record_write(&record.base, &body).code, KS_OK);
    const struct ks_authentic envelope = {ks_buffer_bytes(&body), 1, 1, mac};
    assert_int_equal(ks_authentic_write(&envelope, bytes).code, KS_OK);
}

static ks_result read_as(struct ks_known_keys *known, const char *key_id, ks_bytes value,
                         const struct ks_known_key **ret_key)
{
    const struct ks_store_record record = {.key = KS_LITERAL(NAME), .value = value, .revision = 7};
    return ks_known_keys_read(known, &home, key_id, &record, ret_key);
}

static void what_was_read_is_found_by_its_account_and_id_alone(void **state)
{
    (void)state;
    KS_BUFFER_AUTO bytes = {.len_max = 4096};
    write_record(&bytes);
    struct ks_known_keys *known = ks_known_keys_new();
    const struct ks_known_key *key = NULL;
    assert_null(ks_known_keys_find(known, ACCOUNT, KEY_ID));

    assert_int_equal(read_as(known, KEY_ID, ks_buffer_bytes(&bytes), &key).code, KS_OK);

    assert_ptr_equal(ks_known_keys_find(known, ACCOUNT, KEY_ID), key);
    assert_null(ks_known_keys_find(known, OTHER, KEY_ID));
    assert_null(ks_known_keys_find(known, ACCOUNT, "0b4f9c9e-6f5d-4b8b-9b0e-000000000002"));
    assert_string_equal(key->arn.text, ARN);
    assert_string_equal(key->record->description, "of a test");
    assert_int_equal(key->revision, 7);
    assert_true(ks_bytes_equal(key->about->name, KS_LITERAL(NAME)));
    assert_true(ks_bytes_equal(key->about->record, ks_buffer_bytes(&bytes)));
    ks_known_keys_unref(known);
}

/* The message is done with before the hsm has answered its calls. */
static void lasts_as_long_as_somebody_refers_to_it(void **state)
{
    (void)state;
    KS_BUFFER_AUTO bytes = {.len_max = 4096};
    write_record(&bytes);
    struct ks_known_keys *of_message = ks_known_keys_new();
    struct ks_known_keys *of_call = ks_known_keys_ref(of_message);
    const struct ks_known_key *key = NULL;
    assert_int_equal(read_as(of_message, KEY_ID, ks_buffer_bytes(&bytes), &key).code, KS_OK);

    ks_known_keys_unref(of_message);
    ks_buffer_done(&bytes);

    assert_string_equal(key->record->description, "of a test");
    ks_known_keys_unref(of_call);
    ks_known_keys_unref(NULL);
}

static void keeps_no_more_than_its_limit(void **state)
{
    (void)state;
    KS_BUFFER_AUTO bytes = {.len_max = 4096};
    write_record(&bytes);
    struct ks_known_keys *known = ks_known_keys_new();
    const struct ks_known_key *key = NULL;
    char key_id[sizeof(KEY_ID)];
    for (unsigned i = 0; i < KS_KNOWN_KEYS_MAX; i++) {
        snprintf(key_id, sizeof(key_id), "%08x-6f5d-4b8b-9b0e-000000000001", i);
        assert_int_equal(read_as(known, key_id, ks_buffer_bytes(&bytes), &key).code, KS_OK);
    }
    const struct ks_known_key *last = key;

    assert_int_equal(read_as(known, KEY_ID, ks_buffer_bytes(&bytes), &key).code, KS_LIMIT_EXCEEDED);

    assert_ptr_equal(key, last);
    assert_null(ks_known_keys_find(known, ACCOUNT, KEY_ID));
    assert_ptr_equal(ks_known_keys_find(known, ACCOUNT, key_id), last);
    ks_known_keys_unref(known);
}

static void keeps_nothing_of_a_damaged_record(void **state)
{
    (void)state;
    struct ks_known_keys *known = ks_known_keys_new();
    const struct ks_known_key *key = NULL;

    assert_int_equal(read_as(known, KEY_ID, KS_LITERAL("\xff"), &key).code, KS_CORRUPT);

    assert_null(key);
    assert_null(ks_known_keys_find(known, ACCOUNT, KEY_ID));
    ks_known_keys_unref(known);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_read_is_found_by_its_account_and_id_alone),
        cmocka_unit_test(lasts_as_long_as_somebody_refers_to_it),
        cmocka_unit_test(keeps_no_more_than_its_limit),
        cmocka_unit_test(keeps_nothing_of_a_damaged_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
