#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/authentic/authentic.h"
#include "pkg/base/arena.h"
#include "services/keystore/records/alias.h"
#include "services/keystore/records/due.h"
#include "services/keystore/records/key.h"
#include "services/keystore/records/name.h"

#define ACCOUNT "111122223333"
#define KEY_ID  "0b4f9c9e-6f5d-4b8b-9b0e-000000000001"

static void every_name_stands_where_store_readers_expect_it(void **state)
{
    (void)state;
    assert_string_equal(ks_name_key(ACCOUNT, KEY_ID).text, "key/" ACCOUNT "/" KEY_ID);
    assert_string_equal(ks_name_keys(ACCOUNT).text, "key/" ACCOUNT "/");
    assert_string_equal(ks_name_alias(ACCOUNT, "alias/app/main").text,
                        "alias/" ACCOUNT "/app/main");
    assert_string_equal(ks_name_aliases(ACCOUNT).text, "alias/" ACCOUNT "/");
    assert_string_equal(ks_name_key_alias(ACCOUNT, KEY_ID, "alias/a").text,
                        "keyalias/" ACCOUNT "/" KEY_ID "/a");
    assert_string_equal(ks_name_key_aliases(ACCOUNT, KEY_ID).text,
                        "keyalias/" ACCOUNT "/" KEY_ID "/");
    assert_string_equal(ks_name_policy(ACCOUNT, KEY_ID).text, "policy/" ACCOUNT "/" KEY_ID);
    assert_string_equal(ks_name_materials(ACCOUNT, KEY_ID).text,
                        "material/" ACCOUNT "/" KEY_ID "/");
    assert_string_equal(ks_name_material(ACCOUNT, KEY_ID, "aa").text,
                        "material/" ACCOUNT "/" KEY_ID "/aa");
    assert_string_equal(ks_name_grants(ACCOUNT, KEY_ID).text, "grant/" ACCOUNT "/" KEY_ID "/");
    assert_string_equal(ks_name_grant(ACCOUNT, KEY_ID, "g1").text,
                        "grant/" ACCOUNT "/" KEY_ID "/g1");
    assert_string_equal(ks_name_grantee(ACCOUNT, "ff").text, "grantee/" ACCOUNT "/ff/");
    assert_string_equal(ks_name_grantee_grant(ACCOUNT, "ff", KEY_ID, "g1").text,
                        "grantee/" ACCOUNT "/ff/" KEY_ID "/g1");
    struct ks_name keys = ks_name_keys(ACCOUNT);
    assert_string_equal(ks_name_gate(&keys).text, "gate/key/" ACCOUNT);
    assert_string_equal(ks_name_gone_key(ACCOUNT, KEY_ID).text, "gone/key/" ACCOUNT "/" KEY_ID);
    assert_string_equal(ks_name_destroyed(ACCOUNT, KEY_ID).text, "destroyed/" ACCOUNT "/" KEY_ID);
    assert_string_equal(ks_name_domain_copy(7, "ap-seoul-1a", "0f").text,
                        "domain/00000007/ap-seoul-1a/0f");
    assert_string_equal(ks_name_transit("ap-seoul-1a", "0f").text, "transit/ap-seoul-1a/0f");
    assert_string_equal(ks_name_requests(ACCOUNT).text, "request/" ACCOUNT "/");
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

/* In an envelope, as it is stored; nobody here looks at the MAC. */
static void write_key(const STORED(KeyRecord) * record, struct ks_buffer *out)
{
    static const uint8_t mac[KS_AUTHENTIC_MAC_LEN];
    KS_BUFFER_AUTO body = {.len_max = 4096};
    assert_int_equal(ks_record_write(&record->base, &body).code, KS_OK);
    const struct ks_authentic envelope = {ks_buffer_bytes(&body), 1, 1, mac};
    assert_int_equal(ks_authentic_write(&envelope, out).code, KS_OK);
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
    write_key(&record, &bytes);

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
    write_key(&record, &bytes);

    STORED(KeyRecord) *got = NULL;
    assert_int_equal(ks_record_read_key(ks_buffer_bytes(&bytes), &arena, &got).code, KS_CORRUPT);
    assert_null(got);
}

/* Both sides of the limit. */
static void a_key_record_has_16_materials_and_no_more(void **state)
{
    (void)state;
    STORED(KeyMaterial) material = STORED_NEW(KEY_MATERIAL);
    STORED(KeyMaterial) * materials[KS_MATERIALS_MAX + 1];
    for (size_t i = 0; i <= KS_MATERIALS_MAX; i++) {
        materials[i] = &material;
    }
    for (size_t count = KS_MATERIALS_MAX; count <= KS_MATERIALS_MAX + 1; count++) {
        STORED(KeyRecord) record = a_key(materials, count);
        KS_BUFFER_AUTO bytes = {.len_max = 4096};
        KS_ARENA_AUTO arena = {.len_max = 16384};
        STORED(KeyRecord) *got = NULL;
        write_key(&record, &bytes);
        assert_int_equal(ks_record_read_key(ks_buffer_bytes(&bytes), &arena, &got).code,
                         count == KS_MATERIALS_MAX ? KS_OK : KS_CORRUPT);
    }
}

static void refuses_a_key_without_its_envelope(void **state)
{
    (void)state;
    STORED(KeyMaterial) material = STORED_NEW(KEY_MATERIAL);
    STORED(KeyMaterial) * materials[] = {&material};
    STORED(KeyRecord) record = a_key(materials, 1);
    KS_BUFFER_AUTO bytes = {.len_max = 4096};
    KS_ARENA_AUTO arena = {.len_max = 16384};
    assert_int_equal(ks_record_write(&record.base, &bytes).code, KS_OK);

    STORED(KeyRecord) *got = NULL;
    assert_int_equal(ks_record_read_key(ks_buffer_bytes(&bytes), &arena, &got).code, KS_CORRUPT);
}

static ks_code read_at(const STORED(KeyRecord) * record, ks_bytes name)
{
    KS_BUFFER_AUTO bytes = {.len_max = 4096};
    KS_ARENA_AUTO arena = {.len_max = 16384};
    STORED(KeyRecord) *got = NULL;
    write_key(record, &bytes);
    ks_code code = ks_record_read_key_at(name, ks_buffer_bytes(&bytes), &arena, &got).code;
    assert_true((code == KS_OK) == (got != NULL));
    return code;
}

/* Names and ARNs are made of what a record says before any hsm has looked at it. */
static void refuses_a_key_of_names_that_no_key_has(void **state)
{
    (void)state;
    STORED(KeyMaterial) material = STORED_NEW(KEY_MATERIAL);
    STORED(KeyMaterial) * materials[] = {&material};
    STORED(KeyAlias) alias = STORED_NEW(KEY_ALIAS);
    STORED(KeyAlias) * aliases[] = {&alias};
    struct ks_name own = ks_name_key(ACCOUNT, KEY_ID);
    struct ks_name other = ks_name_key(ACCOUNT, "0b4f9c9e-6f5d-4b8b-9b0e-000000000002");
    STORED(KeyRecord) record = a_key(materials, 1);
    record.aliases = aliases;
    record.n_aliases = 1;
    alias.name = ks_lend_text("alias/a");
    assert_int_equal(read_at(&record, ks_name_bytes(&own)), KS_OK);
    assert_int_equal(read_at(&record, ks_name_bytes(&other)), KS_CORRUPT);
    assert_int_equal(read_at(&record, KS_LITERAL("")), KS_CORRUPT);

    static const char *const bad_aliases[] = {"", "x", "alias/", "alias/a b"};
    for (size_t i = 0; i < KS_COUNT(bad_aliases); i++) {
        alias.name = ks_lend_text(bad_aliases[i]);
        assert_int_equal(read_at(&record, ks_name_bytes(&own)), KS_CORRUPT);
    }
    alias.name = ks_lend_text("alias/a");
    record.key_id = ks_lend_text("not-a-key-id");
    assert_int_equal(read_at(&record, ks_name_bytes(&own)), KS_CORRUPT);
    record.key_id = ks_lend_text(KEY_ID);
    record.account = ks_lend_text("1111");
    assert_int_equal(read_at(&record, ks_name_bytes(&own)), KS_CORRUPT);
}

static ks_code read_alias(const char *account, const char *alias, const char *key_id)
{
    KS_BUFFER_AUTO bytes = {.len_max = 4096};
    KS_ARENA_AUTO arena = {.len_max = 16384};
    STORED(AliasRecord) record = STORED_NEW(ALIAS_RECORD);
    STORED(AliasRecord) *got = NULL;
    struct ks_name name = ks_name_alias(ACCOUNT, "alias/a");
    record.format = KS_RECORD_FORMAT;
    record.account = ks_lend_text(account);
    record.name = ks_lend_text(alias);
    record.key_id = ks_lend_text(key_id);
    assert_int_equal(ks_record_write(&record.base, &bytes).code, KS_OK);
    ks_code code =
        ks_record_read_alias(ks_name_bytes(&name), ks_buffer_bytes(&bytes), &arena, &got).code;
    assert_true((code == KS_OK) == (got != NULL));
    return code;
}

static ks_code read_key_alias(const char *alias)
{
    KS_BUFFER_AUTO bytes = {.len_max = 4096};
    KS_ARENA_AUTO arena = {.len_max = 16384};
    STORED(KeyAliasRecord) record = STORED_NEW(KEY_ALIAS_RECORD);
    STORED(KeyAliasRecord) *got = NULL;
    struct ks_name name = ks_name_key_alias(ACCOUNT, KEY_ID, "alias/a");
    record.format = KS_RECORD_FORMAT;
    record.name = ks_lend_text(alias);
    assert_int_equal(ks_record_write(&record.base, &bytes).code, KS_OK);
    return ks_record_read_key_alias(ks_name_bytes(&name), ks_buffer_bytes(&bytes), ACCOUNT, KEY_ID,
                                    &arena, &got)
        .code;
}

static void refuses_an_alias_of_names_that_none_has_and_one_under_another_name(void **state)
{
    (void)state;
    assert_int_equal(read_alias(ACCOUNT, "alias/a", KEY_ID), KS_OK);
    assert_int_equal(read_alias(ACCOUNT, "alias/b", KEY_ID), KS_CORRUPT);
    assert_int_equal(read_alias(ACCOUNT, "x", KEY_ID), KS_CORRUPT);
    assert_int_equal(read_alias(ACCOUNT, "alias/a", "not-a-key-id"), KS_CORRUPT);
    assert_int_equal(read_alias("444455556666", "alias/a", KEY_ID), KS_CORRUPT);
    assert_int_equal(read_alias("", "alias/a", KEY_ID), KS_CORRUPT);
    assert_int_equal(read_key_alias("alias/a"), KS_OK);
    assert_int_equal(read_key_alias("alias/b"), KS_CORRUPT);
    assert_int_equal(read_key_alias("x"), KS_CORRUPT);
}

/* A record may say any date. */
static void a_date_that_has_no_day_after_it_is_due_last(void **state)
{
    (void)state;
    KS_BUFFER_AUTO bytes = {.len_max = 4096};
    STORED(RequestRecord) record = STORED_NEW(REQUEST_RECORD);
    record.format = KS_RECORD_FORMAT;
    record.created_at_ms = INT64_MAX;
    assert_int_equal(ks_record_write(&record.base, &bytes).code, KS_OK);
    assert_int_equal(ks_record_due_ms(KS_LITERAL("request/x"), ks_buffer_bytes(&bytes)), INT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_stands_where_store_readers_expect_it),
        cmocka_unit_test(the_longest_names_fit),
        cmocka_unit_test(a_key_record_comes_back_and_its_last_material_is_current),
        cmocka_unit_test(refuses_a_key_without_material),
        cmocka_unit_test(a_key_record_has_16_materials_and_no_more),
        cmocka_unit_test(refuses_a_key_without_its_envelope),
        cmocka_unit_test(refuses_a_key_of_names_that_no_key_has),
        cmocka_unit_test(refuses_an_alias_of_names_that_none_has_and_one_under_another_name),
        cmocka_unit_test(a_date_that_has_no_day_after_it_is_due_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
