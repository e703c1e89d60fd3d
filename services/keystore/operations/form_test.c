/*
 * Records of names that none has, as somebody who writes etcd can put them, and as a load lets them
 * in: requests about them are refused, with an alarm, and the keystore serves on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/record/change.h"
#include "services/keystore/execute/trust.h"
#include "services/keystore/fixture/key_fixture.h"
#include "services/keystore/records/name.h"
#include "services/keystore/worker/sync.h"

#define VALUE_MAX 8192U
#define OTHER_ID  "0b4f9c9e-6f5d-4b8b-9b0e-000000000001"

static uint64_t alarms(void)
{
    char text[KS_TRUST_TEXT_MAX];
    return ks_trust_alarms(cell.env.trust, text);
}

static void put(ks_bytes name, const ProtobufCMessage *record)
{
    KS_CHANGE_AUTO change = {.result = KS_RES(OK)};
    ks_change_put(&change, name, record);
    assert_int_equal(ks_sync_commit(cell.store, &change, NULL).code, KS_OK);
}

static void put_alias(const char *under, const char *alias, const char *names)
{
    STORED(AliasRecord) record = STORED_NEW(ALIAS_RECORD);
    record.format = 1;
    record.account = ks_lend_text(CELL_ACCOUNT);
    record.name = ks_lend_text(alias);
    record.key_id = ks_lend_text(names);
    struct ks_name name = ks_name_alias(CELL_ACCOUNT, under);
    put(ks_name_bytes(&name), &record.base);
}

static struct cell_answer list_aliases(const char *key)
{
    KMS(ListAliasesRequest) message = KMS_NEW(LIST_ALIASES_REQUEST);
    if (key) {
        message.key_id_presence_case = KMS_ENUM(LIST_ALIASES_REQUEST__KEY_ID_PRESENCE_KEY_ID);
        message.key_id = ks_lend_text(key);
    }
    const struct cell_request request = {.operation = OP(LIST_ALIASES),
                                         .message = &message.base,
                                         .response_type = KMS_TYPE(list_aliases_response)};
    return cell_call(&cell, &request);
}

static void expect_list_refused(const char *key)
{
    uint64_t before = alarms();
    CELL_ANSWER_AUTO answer = list_aliases(key);
    expect(&answer, "INTERNAL");
    assert_true(alarms() > before);
}

static void an_alias_record_of_no_keys_name_is_refused(void **state)
{
    (void)state;
    static const char *const ids[] = {"not-a-key-id", "", "1234ABCD-12ab-34cd-56ef-1234567890ab"};
    for (size_t i = 0; i < KS_COUNT(ids); i++) {
        put_alias("alias/bad", "alias/bad", ids[i]);
        uint64_t before = alarms();
        CELL_ANSWER_AUTO answer = cell_encrypt(&cell, "alias/bad", "x", NULL);
        expect(&answer, "INTERNAL");
        assert_true(alarms() > before);
        expect_list_refused(NULL);
    }
}

static void an_alias_record_that_names_itself_otherwise_is_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"x", "", "alias/", "alias/other"};
    for (size_t i = 0; i < KS_COUNT(names); i++) {
        put_alias("alias/bad", names[i], key_id);
        expect_list_refused(NULL);
    }
}

static void a_list_of_a_keys_aliases_with_no_alias_in_it_is_refused(void **state)
{
    (void)state;
    STORED(KeyAliasRecord) record = STORED_NEW(KEY_ALIAS_RECORD);
    record.format = 1;
    record.name = ks_lend_text("x");
    struct ks_name name = ks_name_key_alias(CELL_ACCOUNT, key_id, "alias/bad");
    put(ks_name_bytes(&name), &record.base);
    expect_list_refused(key_id);
}

/* The key's own record, under a name that it does not say. */
static void copy_key_to(ks_bytes name)
{
    struct ks_name own = ks_name_key(CELL_ACCOUNT, key_id);
    KS_BUFFER_AUTO value = {.len_max = VALUE_MAX};
    KS_CHANGE_AUTO change = {.result = KS_RES(OK)};
    struct ks_store_record record;
    {
        KS_STORE_VIEW_AUTO view = {0};
        assert_int_equal(ks_store_peek(cell.store, &view).code, KS_OK);
        assert_int_equal(ks_store_get(&view, ks_name_bytes(&own), &record).code, KS_OK);
        assert_int_equal(ks_buffer_append(&value, record.value).code, KS_OK);
    }
    ks_change_put_bytes(&change, name, ks_buffer_bytes(&value));
    assert_int_equal(ks_sync_commit(cell.store, &change, NULL).code, KS_OK);
}

static void a_key_record_under_another_keys_name_is_refused(void **state)
{
    (void)state;
    struct ks_name name = ks_name_key(CELL_ACCOUNT, OTHER_ID);
    copy_key_to(ks_name_bytes(&name));
    uint64_t before = alarms();
    CELL_ANSWER_AUTO described = cell_on_key(&cell, OP(DESCRIBE_KEY), OTHER_ID);
    expect(&described, "INTERNAL");
    CELL_ANSWER_AUTO encrypted = cell_encrypt(&cell, OTHER_ID, "x", NULL);
    expect(&encrypted, "INTERNAL");
    assert_true(alarms() > before);
}

static void a_record_under_no_keys_name_is_not_listed(void **state)
{
    (void)state;
    copy_key_to(KS_LITERAL("key/" CELL_ACCOUNT "/x"));
    KMS(ListKeysRequest) message = KMS_NEW(LIST_KEYS_REQUEST);
    const struct cell_request request = {.operation = OP(LIST_KEYS),
                                         .message = &message.base,
                                         .response_type = KMS_TYPE(list_keys_response)};
    uint64_t before = alarms();
    CELL_ANSWER_AUTO answer = cell_call(&cell, &request);
    expect(&answer, "OK");
    const KMS(ListKeysResponse) *page = (const KMS(ListKeysResponse) *)answer.response;
    assert_int_equal(page->n_keys, 1);
    assert_string_equal(page->keys[0]->key_id, key_id);
    assert_true(alarms() > before);
}

static int set_up_open(void **state)
{
    cell.is_open = true;
    return set_up(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_open, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_alias_record_of_no_keys_name_is_refused),
        TEST(an_alias_record_that_names_itself_otherwise_is_refused),
        TEST(a_list_of_a_keys_aliases_with_no_alias_in_it_is_refused),
        TEST(a_key_record_under_another_keys_name_is_refused),
        TEST(a_record_under_no_keys_name_is_not_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
