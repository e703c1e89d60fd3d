/*
 * Promise 10: whoever can write the store, but has no hsm, revives, retargets, widens and prolongs
 * nothing. Here the attacker writes the embedded store; what follows is refused, with an alarm.
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
#include "services/keystore/records/key.h"
#include "services/keystore/records/name.h"
#include "services/keystore/worker/sync.h"

#define VALUE_MAX 8192U

static uint64_t alarms(void)
{
    char text[KS_TRUST_TEXT_MAX];
    return ks_trust_alarms(cell.env.trust, text);
}

static void read_raw(const struct ks_name *name, struct ks_buffer *out)
{
    KS_STORE_VIEW_AUTO view = {0};
    struct ks_store_record record;
    *out = (struct ks_buffer){.len_max = VALUE_MAX};
    assert_int_equal(ks_store_peek(cell.store, &view).code, KS_OK);
    assert_int_equal(ks_store_get(&view, ks_name_bytes(name), &record).code, KS_OK);
    assert_int_equal(ks_buffer_append(out, record.value).code, KS_OK);
}

static void write_raw(const struct ks_name *name, ks_bytes value)
{
    KS_CHANGE_AUTO change = {.result = KS_RES(OK)};
    ks_change_put_bytes(&change, ks_name_bytes(name), value);
    assert_int_equal(ks_sync_commit(cell.store, &change, NULL).code, KS_OK);
}

/* Puts the key's record back as the attacker wants it, with the MAC and a higher counter. */
static void edit(void (*change)(STORED(KeyRecord) * record))
{
    struct ks_name name = ks_name_key(CELL_ACCOUNT, key_id);
    KS_ARENA_AUTO arena = {.len_max = 65536};
    KS_BUFFER_AUTO was = {.len_max = VALUE_MAX};
    KS_BUFFER_AUTO body = {.len_max = VALUE_MAX};
    KS_BUFFER_AUTO now = {.len_max = VALUE_MAX};
    struct ks_authentic envelope;
    STORED(KeyRecord) *record = NULL;
    read_raw(&name, &was);
    assert_int_equal(ks_authentic_read(ks_buffer_bytes(&was), &envelope).code, KS_OK);
    assert_int_equal(ks_record_read_key(ks_buffer_bytes(&was), &arena, &record).code, KS_OK);
    change(record);
    assert_int_equal(ks_record_write(&record->base, &body).code, KS_OK);
    envelope.body = ks_buffer_bytes(&body);
    envelope.counter++;
    assert_int_equal(ks_authentic_write(&envelope, &now).code, KS_OK);
    write_raw(&name, ks_buffer_bytes(&now));
}

static void expect_refused(uint32_t operation, const char *key)
{
    uint64_t before = alarms();
    CELL_ANSWER_AUTO answer = cell_on_key(&cell, operation, key);
    expect(&answer, "INTERNAL");
    assert_true(alarms() > before);
}

static void expect_no_use(const char *key)
{
    uint64_t before = alarms();
    CELL_ANSWER_AUTO answer = cell_encrypt(&cell, key, "secret", NULL);
    expect(&answer, "INTERNAL");
    assert_true(alarms() > before);
}

static void enable(STORED(KeyRecord) * record)
{
    record->state = STORED_ENUM(KEY_STATE__KEY_STATE_ENABLED);
    record->deletion_at_ms = 0;
}

static void a_disabled_key_is_not_revived(void **state)
{
    (void)state;
    CELL_ANSWER_AUTO disabled = cell_on_key(&cell, OP(DISABLE_KEY), key_id);
    expect(&disabled, "OK");

    edit(enable);

    expect_no_use(key_id);
    expect_refused(OP(DESCRIBE_KEY), key_id);
    expect_refused(OP(DISABLE_KEY), key_id);
}

static void a_key_that_is_to_be_deleted_is_not_revived(void **state)
{
    (void)state;
    CELL_ANSWER_AUTO scheduled = cell_on_key(&cell, OP(SCHEDULE_KEY_DELETION), key_id);
    expect(&scheduled, "OK");

    edit(enable);

    expect_no_use(key_id);
    expect_refused(OP(DESCRIBE_KEY), key_id);
}

static void prolong(STORED(KeyRecord) * record)
{
    record->deletion_at_ms += 1000;
}

static void a_deletion_is_not_put_off(void **state)
{
    (void)state;
    CELL_ANSWER_AUTO scheduled = cell_on_key(&cell, OP(SCHEDULE_KEY_DELETION), key_id);
    expect(&scheduled, "OK");

    edit(prolong);

    expect_refused(OP(DESCRIBE_KEY), key_id);
    expect_refused(OP(CANCEL_KEY_DELETION), key_id);
}

static void disable(STORED(KeyRecord) * record)
{
    record->state = STORED_ENUM(KEY_STATE__KEY_STATE_DISABLED);
}

/* To have requests refused is all that is left; nobody is told what the forger wants. */
static void a_refusal_rests_on_no_forged_record(void **state)
{
    (void)state;
    edit(disable);

    expect_no_use(key_id);
    expect_refused(OP(ENABLE_KEY), key_id);
}

/* A narrower policy than the default one, as an hsm would make it: no operation does yet. */
static void narrow(void)
{
    struct ks_name name = ks_name_key(CELL_ACCOUNT, key_id);
    KS_ARENA_AUTO arena = {.len_max = 65536};
    KS_BUFFER_AUTO was = {.len_max = VALUE_MAX};
    KS_BUFFER_AUTO body = {.len_max = VALUE_MAX};
    KS_BUFFER_AUTO now = {.len_max = VALUE_MAX};
    STORED(KeyRecord) *record = NULL;
    read_raw(&name, &was);
    assert_int_equal(ks_record_read_key(ks_buffer_bytes(&was), &arena, &record).code, KS_OK);
    static uint8_t sha256[32] = {1};
    record->policy_sha256 = (ProtobufCBinaryData){sizeof(sha256), sha256};
    assert_int_equal(ks_record_write(&record->base, &body).code, KS_OK);
    ks_fake_hsm_forge(cell.hsm, ks_name_bytes(&name), ks_buffer_bytes(&body), 2, &now);
    write_raw(&name, ks_buffer_bytes(&now));
}

static void widen(STORED(KeyRecord) * record)
{
    record->policy_sha256 = (ProtobufCBinaryData){0, NULL};
}

static void a_policy_is_not_widened(void **state)
{
    (void)state;
    narrow();
    CELL_ANSWER_AUTO denied = cell_encrypt(&cell, key_id, "secret", NULL);
    expect(&denied, "ACCESS_DENIED");

    edit(widen);

    expect_no_use(key_id);
    expect_refused(OP(DESCRIBE_KEY), key_id);
}

static void re_describe(STORED(KeyRecord) * record)
{
    record->description = ks_lend_text("forged");
}

/* Also what no use rests on. */
static void a_description_is_not_changed(void **state)
{
    (void)state;
    edit(re_describe);

    expect_refused(OP(DESCRIBE_KEY), key_id);
    expect_no_use(key_id);
}

static void a_key_is_not_put_in_the_place_of_another(void **state)
{
    (void)state;
    char other[KS_KEY_ID_LEN + 1];
    cell_create_key(&cell, other);
    struct ks_name from = ks_name_key(CELL_ACCOUNT, other);
    struct ks_name to = ks_name_key(CELL_ACCOUNT, key_id);
    KS_BUFFER_AUTO value = {.len_max = VALUE_MAX};
    read_raw(&from, &value);

    write_raw(&to, ks_buffer_bytes(&value));

    expect_no_use(key_id);
    expect_refused(OP(DESCRIBE_KEY), key_id);
    CELL_ANSWER_AUTO as_it_was = cell_encrypt(&cell, other, "secret", NULL);
    expect(&as_it_was, "OK");
}

static void an_alias_is_not_retargeted(void **state)
{
    (void)state;
    char other[KS_KEY_ID_LEN + 1];
    cell_create_key(&cell, other);
    cell_create_alias(&cell, "alias/a", key_id);
    cell_create_alias(&cell, "alias/b", other);
    struct ks_name from = ks_name_alias(CELL_ACCOUNT, "alias/b");
    struct ks_name to = ks_name_alias(CELL_ACCOUNT, "alias/a");
    KS_BUFFER_AUTO value = {.len_max = VALUE_MAX};
    CELL_ANSWER_AUTO before = cell_encrypt(&cell, "alias/a", "secret", NULL);
    expect(&before, "OK");
    read_raw(&from, &value);

    write_raw(&to, ks_buffer_bytes(&value));

    expect_no_use("alias/a");
    expect_refused(OP(DESCRIBE_KEY), "alias/a");
    CELL_ANSWER_AUTO as_it_was = cell_encrypt(&cell, "alias/b", "secret", NULL);
    expect(&as_it_was, "OK");
}

/* Made by an hsm, but by none of this cell. */
static void a_mac_of_another_hsm_is_none(void **state)
{
    (void)state;
    struct ks_name name = ks_name_key(CELL_ACCOUNT, key_id);
    KS_BUFFER_AUTO value = {.len_max = VALUE_MAX};
    read_raw(&name, &value);
    tear_down(NULL);
    char kept[KS_KEY_ID_LEN + 1];
    memcpy(kept, key_id, sizeof(kept));
    set_up(NULL);

    write_raw(&name, ks_buffer_bytes(&value));

    expect_no_use(kept);
    expect_refused(OP(DESCRIBE_KEY), kept);
}

static void every_damage_to_a_record_is_an_alarm_or_no_record(void **state)
{
    (void)state;
    struct ks_name name = ks_name_key(CELL_ACCOUNT, key_id);
    KS_BUFFER_AUTO value = {.len_max = VALUE_MAX};
    read_raw(&name, &value);
    for (size_t i = 0; i < value.len; i++) {
        value.ptr[i] ^= 1;
        write_raw(&name, ks_buffer_bytes(&value));
        CELL_ANSWER_AUTO used = cell_encrypt(&cell, key_id, "secret", NULL);
        CELL_ANSWER_AUTO shown = cell_on_key(&cell, OP(DESCRIBE_KEY), key_id);
        assert_int_not_equal(used.code, KS_OK);
        assert_int_not_equal(shown.code, KS_OK);
        value.ptr[i] ^= 1;
    }
    write_raw(&name, ks_buffer_bytes(&value));
    CELL_ANSWER_AUTO used = cell_encrypt(&cell, key_id, "secret", NULL);
    expect(&used, "OK");
}

/* What is asked of the hsm for metadata is asked once for each version of a record. */
static void a_record_is_checked_once(void **state)
{
    (void)state;
    size_t before = ks_fake_hsm_request_count(cell.hsm);
    CELL_ANSWER_AUTO made_here = cell_on_key(&cell, OP(DESCRIBE_KEY), key_id);
    expect(&made_here, "OK");
    assert_int_equal(ks_fake_hsm_request_count(cell.hsm), before);

    ks_trust_free(cell.env.trust);
    cell.env.trust = ks_trust_new(); /* as after a restart */
    for (int i = 0; i < 3; i++) {
        CELL_ANSWER_AUTO shown = cell_on_key(&cell, OP(DESCRIBE_KEY), key_id);
        expect(&shown, "OK");
        assert_int_equal(ks_fake_hsm_request_count(cell.hsm), before + 1);
    }
}

/* A mutation takes one round trip to the hsm, and a use no more than it did. */
static void nothing_asks_the_hsm_twice(void **state)
{
    (void)state;
    ks_trust_free(cell.env.trust);
    cell.env.trust = ks_trust_new();
    size_t before = ks_fake_hsm_request_count(cell.hsm);
    CELL_ANSWER_AUTO used = cell_encrypt(&cell, key_id, "secret", NULL);
    expect(&used, "OK");
    assert_int_equal(ks_fake_hsm_request_count(cell.hsm), before + 1);
    CELL_ANSWER_AUTO disabled = cell_on_key(&cell, OP(DISABLE_KEY), key_id);
    expect(&disabled, "OK");
    assert_int_equal(ks_fake_hsm_request_count(cell.hsm), before + 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_disabled_key_is_not_revived),
        TEST(a_key_that_is_to_be_deleted_is_not_revived),
        TEST(a_deletion_is_not_put_off),
        TEST(a_refusal_rests_on_no_forged_record),
        TEST(a_policy_is_not_widened),
        TEST(a_description_is_not_changed),
        TEST(a_key_is_not_put_in_the_place_of_another),
        TEST(an_alias_is_not_retargeted),
        TEST(a_mac_of_another_hsm_is_none),
        TEST(every_damage_to_a_record_is_an_alarm_or_no_record),
        TEST(a_record_is_checked_once),
        TEST(nothing_asks_the_hsm_twice),
    };
    cell.is_open = true; /* the guard of the store would refuse some of it before */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
