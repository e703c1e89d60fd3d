#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/base/arena.h"
#include "services/keystore/records/change.h"
#include "services/keystore/records/name.h"
#include "services/keystore/records/record.h"

#define ACCOUNT "111122223333"
#define KEY_ID  "0b4f9c9e-6f5d-4b8b-9b0e-000000000001"

static void every_name_stands_where_store_readers_expect_it(void **state)
{
    (void)state;
    uint8_t digest[32] = {0xab, 0x01};

    assert_string_equal(ks_name_key(ACCOUNT, KEY_ID).text, "key/" ACCOUNT "/" KEY_ID);
    assert_string_equal(ks_name_keys(ACCOUNT).text, "key/" ACCOUNT "/");
    assert_string_equal(ks_name_alias(ACCOUNT, "alias/app/main").text,
                        "alias/" ACCOUNT "/app/main");
    assert_string_equal(ks_name_aliases(ACCOUNT).text, "alias/" ACCOUNT "/");
    assert_string_equal(ks_name_key_alias(ACCOUNT, KEY_ID, "alias/a").text,
                        "keyalias/" ACCOUNT "/" KEY_ID "/a");
    assert_string_equal(ks_name_key_aliases(ACCOUNT, KEY_ID).text,
                        "keyalias/" ACCOUNT "/" KEY_ID "/");
    assert_string_equal(ks_name_destroyed(ACCOUNT, KEY_ID).text, "destroyed/" ACCOUNT "/" KEY_ID);
    assert_string_equal(ks_name_domain_copy(7, "ap-seoul-1a").text, "domain/00000007/ap-seoul-1a");
    assert_string_equal(ks_name_transit("ap-seoul-1a").text, "transit/ap-seoul-1a");
    assert_string_equal(ks_name_request(ACCOUNT, digest).text,
                        "request/" ACCOUNT
                        "/ab01000000000000000000000000000000000000000000000000000000000000");
}

/* The longest alias with the longest prefix is still a store key. */
static void the_longest_names_fit(void **state)
{
    (void)state;
    char alias[257] = "alias/";
    memset(alias + 6, 'a', 250);

    struct ks_name name = ks_name_key_alias(ACCOUNT, KEY_ID, alias);

    assert_true(name.len <= KS_STORE_KEY_LEN_MAX);
}

static STORED(KeyRecord) a_key(STORED(KeyMaterial) * *materials, size_t count)
{
    STORED(KeyRecord) record = STORED_NEW(KEY_RECORD);
    record.format = KS_RECORD_FORMAT;
    record.account = ks_lend_text(ACCOUNT);
    record.key_id = ks_lend_text(KEY_ID);
    record.materials = materials;
    record.n_materials = count;
    return record;
}

static void a_key_record_comes_back_and_its_last_material_is_current(void **state)
{
    (void)state;
    STORED(KeyMaterial) first = STORED_NEW(KEY_MATERIAL);
    STORED(KeyMaterial) second = STORED_NEW(KEY_MATERIAL);
    first.material_id = ks_lend_text("aa");
    second.material_id = ks_lend_text("bb");
    STORED(KeyMaterial) * materials[] = {&first, &second};
    STORED(KeyRecord) record = a_key(materials, 2);
    KS_BUFFER_AUTO bytes = {.len_max = 4096};
    KS_ARENA_AUTO arena = {.len_max = 16384};
    assert_int_equal(ks_record_write(&record.base, &bytes).code, KS_OK);

    STORED(KeyRecord) *got = NULL;
    assert_int_equal(ks_record_read_key(ks_buffer_bytes(&bytes), &arena, &got).code, KS_OK);

    assert_string_equal(got->key_id, KEY_ID);
    assert_string_equal(ks_record_current_material(got)->material_id, "bb");
    assert_string_equal(ks_record_material(got, "aa")->material_id, "aa");
    assert_null(ks_record_material(got, "cc"));
}

static void refuses_a_key_without_material(void **state)
{
    (void)state;
    STORED(KeyRecord) record = a_key(NULL, 0);
    KS_BUFFER_AUTO bytes = {.len_max = 4096};
    KS_ARENA_AUTO arena = {.len_max = 16384};
    assert_int_equal(ks_record_write(&record.base, &bytes).code, KS_OK);

    STORED(KeyRecord) *got = NULL;
    assert_int_equal(ks_record_read_key(ks_buffer_bytes(&bytes), &arena, &got).code, KS_CORRUPT);
    assert_null(got);
}

/* A newer program has written it; to guess what it means could lose what it says. */
static void refuses_a_form_that_it_does_not_know(void **state)
{
    (void)state;
    static const uint8_t newer[] = {0x08, 0x02};
    static const uint8_t none[] = {0x10, 0x01};
    KS_ARENA_AUTO arena = {.len_max = 16384};
    ProtobufCMessage *got = NULL;

    assert_int_equal(
        ks_record_read(STORED_TYPE(current_domain_key), (ks_bytes){newer, 2}, &arena, &got).code,
        KS_CORRUPT);
    assert_int_equal(
        ks_record_read(STORED_TYPE(current_domain_key), (ks_bytes){none, 2}, &arena, &got).code,
        KS_CORRUPT);
    assert_null(got);
}

static void a_change_owns_what_it_was_given(void **state)
{
    (void)state;
    STORED(CurrentDomainKey) current = STORED_NEW(CURRENT_DOMAIN_KEY);
    current.format = KS_RECORD_FORMAT;
    KS_CHANGE_AUTO change = {.result = KS_RES(OK)};
    char key[] = "domain/current";

    ks_change_compare(&change, ks_bytes_of(key), 5);
    ks_change_put(&change, ks_bytes_of(key), &current.base);
    ks_change_delete(&change, KS_LITERAL("gone"));
    ks_change_request(&change, KS_LITERAL("request/x"), &current.base);
    memset(key, 'x', sizeof(key) - 1);

    const struct ks_store_mutation *mutation = &change.mutation;
    assert_int_equal(change.result.code, KS_OK);
    assert_true(ks_bytes_equal(mutation->compares[0].key, KS_LITERAL("domain/current")));
    assert_int_equal(mutation->compares[0].revision, 5);
    assert_true(ks_bytes_equal(mutation->ops[0].key, KS_LITERAL("domain/current")));
    assert_non_null(mutation->ops[0].value.ptr);
    assert_null(mutation->ops[1].value.ptr);
    assert_true(ks_bytes_equal(mutation->request_key, KS_LITERAL("request/x")));
}

static void a_record_too_long_to_be_stored_is_a_limit(void **state)
{
    (void)state;
    STORED(RosterRecord) roster = STORED_NEW(ROSTER_RECORD);
    roster.format = KS_RECORD_FORMAT;
    static uint8_t bytes[KS_STORE_VALUE_LEN_MAX + 1];
    roster.roster = ks_lend_bytes((ks_bytes){bytes, sizeof(bytes)});
    KS_CHANGE_AUTO change = {.result = KS_RES(OK)};

    ks_change_put(&change, KS_NAME_ROSTER, &roster.base);

    assert_int_equal(change.result.code, KS_LIMIT_EXCEEDED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_stands_where_store_readers_expect_it),
        cmocka_unit_test(the_longest_names_fit),
        cmocka_unit_test(a_key_record_comes_back_and_its_last_material_is_current),
        cmocka_unit_test(refuses_a_key_without_material),
        cmocka_unit_test(refuses_a_form_that_it_does_not_know),
        cmocka_unit_test(a_change_owns_what_it_was_given),
        cmocka_unit_test(a_record_too_long_to_be_stored_is_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
