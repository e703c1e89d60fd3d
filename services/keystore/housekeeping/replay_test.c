/*
 * Promise 10: replay is forgery. Each old record that is put back, and each that is deleted without
 * its tombstone, is refused by the guard of the keystore's copy, with an alarm, and nothing changes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/authentic/authentic.h"
#include "services/keystore/execute/trust.h"
#include "services/keystore/fixture/key_fixture.h"
#include "services/keystore/housekeeping/destroy.h"
#include "services/keystore/records/name.h"
#include "services/keystore/worker/sync.h"

#define VALUE_MAX  8192U
#define MS_PER_DAY (24LL * 3600 * 1000)

static uint64_t alarms(void)
{
    char text[KS_TRUST_TEXT_MAX];
    return ks_trust_alarms(cell.env.trust, text);
}

static struct ks_buffer read_raw(struct ks_name name)
{
    KS_STORE_VIEW_AUTO view = {0};
    struct ks_store_record record;
    struct ks_buffer value = {.len_max = VALUE_MAX};
    assert_int_equal(ks_store_peek(cell.store, &view).code, KS_OK);
    assert_int_equal(ks_store_get(&view, ks_name_bytes(&name), &record).code, KS_OK);
    assert_int_equal(ks_buffer_append(&value, record.value).code, KS_OK);
    return value;
}

/* As an attacker does who writes the store. value NULL: deletes. */
static ks_code write_raw(struct ks_name name, const struct ks_buffer *value)
{
    KS_CHANGE_AUTO change = {.result = KS_RES(OK)};
    if (value) {
        ks_change_put_bytes(&change, ks_name_bytes(&name), ks_buffer_bytes(value));
    } else {
        ks_change_delete(&change, ks_name_bytes(&name));
    }
    return ks_sync_commit(cell.store, &change, NULL).code;
}

static void expect_refused(struct ks_name name, const struct ks_buffer *value)
{
    uint64_t before = alarms();
    assert_int_not_equal(write_raw(name, value), KS_OK);
    assert_true(alarms() > before);
}

static void do_on_key(uint32_t operation)
{
    CELL_ANSWER_AUTO answer = cell_on_key(&cell, operation, key_id);
    expect(&answer, "OK");
}

static void expect_use(const char *key, const char *code)
{
    CELL_ANSWER_AUTO answer = cell_encrypt(&cell, key, "secret", NULL);
    expect(&answer, code);
}

static struct ks_name own_name(void)
{
    return ks_name_key(CELL_ACCOUNT, key_id);
}

static void a_disabled_key_is_not_revived_by_its_old_record(void **state)
{
    (void)state;
    KS_BUFFER_AUTO enabled = read_raw(own_name());
    do_on_key(OP(DISABLE_KEY));

    expect_refused(own_name(), &enabled);

    expect_use(key_id, "DISABLED");
    KS_BUFFER_AUTO same = read_raw(own_name());
    expect_refused(own_name(), &same);
}

static void a_deletion_is_not_undone_by_an_old_record(void **state)
{
    (void)state;
    KS_BUFFER_AUTO enabled = read_raw(own_name());
    do_on_key(OP(SCHEDULE_KEY_DELETION));

    expect_refused(own_name(), &enabled);

    expect_use(key_id, "INVALID_STATE");
}

static void a_key_does_not_go_without_its_tombstone(void **state)
{
    (void)state;
    expect_refused(own_name(), NULL);

    expect_use(key_id, "OK");
}

static void destroy(void)
{
    struct ks_name name = own_name();
    do_on_key(OP(SCHEDULE_KEY_DELETION));
    int64_t later_ms = ks_clock_wall_ms(&ks_clock_system) + 31 * MS_PER_DAY;
    assert_int_equal(ks_destroy_key(cell.store, cell.link, &name, later_ms).code, KS_OK);
}

static void a_destroyed_key_stays_destroyed(void **state)
{
    (void)state;
    KS_BUFFER_AUTO enabled = read_raw(own_name());
    destroy();
    assert_int_equal(alarms(), 0);
    expect_use(key_id, "NOT_FOUND");

    expect_refused(own_name(), &enabled);
    expect_refused(ks_name_gone_key(CELL_ACCOUNT, key_id), NULL);
    expect_refused(own_name(), &enabled);

    expect_use(key_id, "NOT_FOUND");
}

static void an_alias_stays_where_its_key_says(void **state)
{
    (void)state;
    char other[KS_KEY_ID_LEN + 1];
    cell_create_key(&cell, other);
    struct ks_name alias = ks_name_alias(CELL_ACCOUNT, "alias/a");
    cell_create_alias(&cell, "alias/a", key_id);
    cell_create_alias(&cell, "alias/b", other);
    KS_BUFFER_AUTO value = read_raw(alias);
    KS_BUFFER_AUTO of_other = read_raw(ks_name_alias(CELL_ACCOUNT, "alias/b"));
    KS_BUFFER_AUTO key_with_it = read_raw(own_name());

    expect_refused(alias, &of_other);
    expect_refused(alias, NULL);
    expect_use("alias/a", "OK");

    KMS(DeleteAliasRequest) message = KMS_NEW(DELETE_ALIAS_REQUEST);
    message.alias_name = ks_lend_text("alias/a");
    const struct cell_request request = {.operation = OP(DELETE_ALIAS), .message = &message.base};
    CELL_ANSWER_AUTO deleted = cell_call(&cell, &request);
    expect(&deleted, "OK");
    expect_refused(alias, &value);
    expect_refused(own_name(), &key_with_it);
    expect_use("alias/a", "NOT_FOUND");
}

/* It comes into the copy, because only an hsm can look at a MAC, and is good for nothing there. */
static void a_forged_counter_is_refused_by_the_hsm(void **state)
{
    (void)state;
    KS_BUFFER_AUTO enabled = read_raw(own_name());
    KS_BUFFER_AUTO forged = {.len_max = VALUE_MAX};
    struct ks_authentic record;
    do_on_key(OP(DISABLE_KEY));
    assert_int_equal(ks_authentic_read(ks_buffer_bytes(&enabled), &record).code, KS_OK);
    record.counter = UINT64_MAX;
    assert_int_equal(ks_authentic_write(&record, &forged).code, KS_OK);
    assert_int_equal(write_raw(own_name(), &forged), KS_OK);
    uint64_t before = alarms();

    expect_use(key_id, "INTERNAL");

    assert_true(alarms() > before);
    expect_refused(own_name(), &enabled);
}

/* Everything that keystores do by themselves is admitted. */
static void what_keystores_do_raises_no_alarm(void **state)
{
    (void)state;
    cell_create_alias(&cell, "alias/a", key_id);
    do_on_key(OP(DISABLE_KEY));
    do_on_key(OP(ENABLE_KEY));
    do_on_key(OP(SCHEDULE_KEY_DELETION));
    do_on_key(OP(CANCEL_KEY_DELETION));
    destroy();
    assert_int_equal(alarms(), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_disabled_key_is_not_revived_by_its_old_record),
        TEST(a_deletion_is_not_undone_by_an_old_record),
        TEST(a_key_does_not_go_without_its_tombstone),
        TEST(a_destroyed_key_stays_destroyed),
        TEST(an_alias_stays_where_its_key_says),
        TEST(a_forged_counter_is_refused_by_the_hsm),
        TEST(what_keystores_do_raises_no_alarm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
