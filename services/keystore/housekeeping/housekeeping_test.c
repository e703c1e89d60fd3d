#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/authentic/authentic.h"
#include "pkg/base/mem.h"
#include "pkg/record/change.h"
#include "pkg/record/record.h"
#include "pkg/store/store_fixture.h"
#include "services/keystore/fixture/cell_fixture.h"
#include "services/keystore/housekeeping/destroy.h"
#include "services/keystore/housekeeping/housekeeping.h"
#include "services/keystore/records/due.h"
#include "services/keystore/records/name.h"
#include "services/keystore/worker/sync.h"
#include "tests/harness/gauge.h"

#define MS_PER_DAY (24LL * 3600 * 1000)
#define MANY       70U /* request records: more than a step removes */

static struct cell cell;
static struct ks_housekeeping *housekeeping;
static struct ks_clock clock_ahead;
static int64_t boot_ahead_ns;
static atomic_bool missed;
static char key_id[37];

static int64_t boot_ns(void *user)
{
    (void)user;
    return ks_clock_boot_ns(&ks_clock_system) + boot_ahead_ns;
}

static int64_t wall_ms(void *user)
{
    (void)user;
    return ks_clock_wall_ms(&ks_clock_system) + cell.ahead_ms;
}

static void tell_hsm(struct cell *changed, ks_bytes key, ks_bytes value)
{
    ks_housekeeping_changed(changed->link, key, value, &missed);
}

static int set_up(void **state)
{
    (void)state;
    boot_ahead_ns = 0;
    atomic_store(&missed, false);
    cell.on_change = tell_hsm;
    cell_start(&cell, 0);
    cell_wait_ready(&cell);
    clock_ahead = (struct ks_clock){boot_ns, wall_ms, NULL};
    housekeeping = ks_housekeeping_new(cell.store, cell.link, &clock_ahead);
    cell_create_key(&cell, key_id);
    return 0;
}

/* Whatever is put comes into the copy, as while a copy is loaded. */
static int set_up_open(void **state)
{
    cell.is_open = true;
    return set_up(state);
}

static int tear_down(void **state)
{
    (void)state;
    ks_housekeeping_free(housekeeping);
    cell_stop(&cell);
    cell.is_open = false;
    return 0;
}

static bool count_one(void *user, const struct ks_store_record *record)
{
    (void)record;
    (*(size_t *)user)++;
    return true;
}

static size_t count(const char *prefix)
{
    size_t n = 0;
    KS_STORE_VIEW_AUTO view = {0};
    assert_int_equal(ks_store_peek(cell.store, &view).code, KS_OK);
    assert_int_equal(ks_store_scan(&view, ks_bytes_of(prefix), (ks_bytes){0}, count_one, &n).code,
                     KS_OK);
    return n;
}

/* A pass over everything, however many steps it takes. */
static void keep_house(void)
{
    boot_ahead_ns += 2 * KS_HOUSEKEEPING_PAUSE_MS * KS_NS_PER_MS;
    for (int i = 0; i < 5; i++) {
        ks_housekeeping_run(housekeeping, NULL);
    }
}

static void schedule_deletion(void)
{
    CELL_ANSWER_AUTO answer = cell_on_key(&cell, OP(SCHEDULE_KEY_DELETION), key_id);
    assert_int_equal(answer.code, KS_OK);
}

static void request_records_are_kept_for_a_day_and_no_longer(void **state)
{
    (void)state;
    for (size_t i = 0; i < MANY; i++) {
        CELL_ANSWER_AUTO answer =
            cell_on_key(&cell, i % 2 ? OP(ENABLE_KEY) : OP(DISABLE_KEY), key_id);
        assert_int_equal(answer.code, KS_OK);
    }
    size_t before = count("request/");
    assert_int_equal(before, MANY + 1);

    cell.ahead_ms = MS_PER_DAY - 60000;
    keep_house();
    assert_int_equal(count("request/"), before);

    cell.ahead_ms = MS_PER_DAY + 1000;
    keep_house();
    assert_int_equal(count("request/"), 0);
    assert_int_equal(count("key/"), 1);
}

static void a_key_is_destroyed_with_its_aliases_when_its_date_has_passed(void **state)
{
    (void)state;
    char other[37];
    char alias[32];
    cell_create_key(&cell, other);
    cell_create_alias(&cell, "alias/kept", other);
    for (int i = 0; i < 10; i++) {
        snprintf(alias, sizeof(alias), "alias/gone%d", i);
        cell_create_alias(&cell, alias, key_id);
    }
    schedule_deletion();

    cell.ahead_ms = 30 * MS_PER_DAY - 60000;
    keep_house();
    assert_int_equal(count("key/"), 2);
    assert_int_equal(count("alias/"), 11);

    cell.ahead_ms = 30 * MS_PER_DAY + 1000;
    keep_house();
    assert_int_equal(count("key/"), 1);
    assert_int_equal(count("alias/"), 1);
    assert_int_equal(count("keyalias/"), 1);
    CELL_ANSWER_AUTO gone = cell_on_key(&cell, OP(DESCRIBE_KEY), key_id);
    assert_int_equal(gone.code, KS_NOT_FOUND);
    CELL_ANSWER_AUTO kept = cell_on_key(&cell, OP(DESCRIBE_KEY), "alias/kept");
    assert_int_equal(kept.code, KS_OK);
}

/* The sequences of the review, at the keystore on duty. */
static void a_wall_clock_that_leaps_destroys_nothing(void **state)
{
    (void)state;
    schedule_deletion();
    size_t before = count("request/");
    cell.wall_ahead_ms = 31 * MS_PER_DAY;
    keep_house();
    assert_int_equal(count("key/"), 1);
    assert_int_equal(count("request/"), before);

    /* Set right again, it has left no trace. */
    cell.wall_ahead_ms = 0;
    cell.ahead_ms = MS_PER_DAY + 1000;
    keep_house();
    assert_int_equal(count("key/"), 1);
    assert_int_equal(count("request/"), 0);
}

static void what_a_slow_wall_clock_writes_is_not_due_at_once(void **state)
{
    (void)state;
    cell.wall_ahead_ms = -30 * MS_PER_DAY;
    schedule_deletion();
    cell.wall_ahead_ms = -25 * 3600 * 1000LL;
    char other[37];
    cell_create_key(&cell, other);
    size_t before = count("request/");

    cell.wall_ahead_ms = 0;
    keep_house();
    assert_int_equal(count("key/"), 2);
    assert_int_equal(count("request/"), before);
}

static void the_hsm_forgets_a_destroyed_key(void **state)
{
    (void)state;
    schedule_deletion();
    cell.ahead_ms = 30 * MS_PER_DAY + 1000;
    keep_house();
    await_true(ks_fake_hsm_evicted_count(cell.hsm) > 0);
    assert_int_equal(ks_fake_hsm_evicted_count(cell.hsm), 1);
    assert_int_equal(count("destroyed/"), 1);

    cell.ahead_ms += MS_PER_DAY + 1000;
    keep_house();
    assert_int_equal(count("destroyed/"), 0);
}

static bool runs_until_evicted(size_t count)
{
    ks_housekeeping_run(housekeeping, NULL);
    return ks_fake_hsm_evicted_count(cell.hsm) >= count;
}

/* It kept its memory while the keystore was away and the key was destroyed elsewhere. */
static void an_hsm_that_connects_is_told_of_every_destroyed_key(void **state)
{
    (void)state;
    schedule_deletion();
    cell.ahead_ms = 30 * MS_PER_DAY + 1000;
    keep_house();
    await_true(ks_fake_hsm_evicted_count(cell.hsm) > 0);
    ks_fake_hsm_restart(cell.hsm);
    await_true(runs_until_evicted(2));

    ks_housekeeping_run(housekeeping, NULL);
    ks_housekeeping_reloaded(housekeeping);
    ks_housekeeping_run(housekeeping, NULL);
    await_true(ks_fake_hsm_evicted_count(cell.hsm) > 2);
    assert_int_equal(ks_fake_hsm_evicted_count(cell.hsm), 3);
}

/* Full of requests, it answers THROTTLED: the destroyed key would stay in its memory. */
static void an_hsm_that_had_no_room_for_an_eviction_is_told_again(void **state)
{
    (void)state;
    schedule_deletion();
    cell.ahead_ms = 30 * MS_PER_DAY + 1000;
    keep_house();
    await_true(ks_fake_hsm_evicted_count(cell.hsm) == 1);
    ks_fake_hsm_fail(cell.hsm, 0, 2, KS_THROTTLED);
    ks_housekeeping_reloaded(housekeeping); /* both that this tells, and the one after */
    ks_housekeeping_run(housekeeping, NULL);
    await_true(runs_until_evicted(2));
    assert_false(atomic_load(&missed));
}

static void an_eviction_that_failed_is_noted(void **state)
{
    (void)state;
    schedule_deletion();
    ks_fake_hsm_fail(cell.hsm, 1, 1, KS_THROTTLED); /* after the tombstone was made */
    cell.ahead_ms = 30 * MS_PER_DAY + 1000;
    keep_house();
    await_true(atomic_load(&missed));
    assert_int_equal(ks_fake_hsm_evicted_count(cell.hsm), 0);
    ks_housekeeping_reloaded(housekeeping);
    await_true(runs_until_evicted(1));
}

/* ---- Failures of a step ---- */

static ks_result failing_with[3];
static size_t tried;

static ks_result fail_in_turn(void *user, const struct ks_name *name)
{
    (void)user;
    assert_int_equal(name->len, 4);
    return failing_with[tried++];
}

static size_t tries_until(ks_code first)
{
    static struct ks_expired due = {.count = 3};
    for (size_t i = 0; i < due.count; i++) {
        snprintf(due.records[i].key, sizeof(due.records[i].key), "key%zu", i);
    }
    tried = 0;
    failing_with[0] = (ks_result){first};
    size_t count = ks_destroy_each(&due, fail_in_turn, NULL);
    assert_int_equal(count, tried);
    return count;
}

/* 64 keys would wait for 64 time-outs of a store that can't be written. */
static void a_failure_of_the_store_ends_the_step_and_one_of_a_key_does_not(void **state)
{
    (void)state;
    static const ks_code of_the_store[] = {KS_UNAVAILABLE, KS_THROTTLED, KS_LIMIT_EXCEEDED,
                                           KS_INTERNAL};
    static const ks_code of_a_key[] = {KS_CONFLICT, KS_NOT_FOUND, KS_INVALID_STATE, KS_CORRUPT,
                                       KS_OK};
    for (size_t i = 0; i < KS_COUNT(of_the_store); i++) {
        assert_int_equal(tries_until(of_the_store[i]), 1);
    }
    for (size_t i = 0; i < KS_COUNT(of_a_key); i++) {
        assert_int_equal(tries_until(of_a_key[i]), 3);
    }
}

static void a_key_whose_deletion_was_cancelled_stays(void **state)
{
    (void)state;
    schedule_deletion();
    CELL_ANSWER_AUTO cancelled = cell_on_key(&cell, OP(CANCEL_KEY_DELETION), key_id);
    assert_int_equal(cancelled.code, KS_OK);
    cell.ahead_ms = 31 * MS_PER_DAY;
    keep_house();
    assert_int_equal(count("key/"), 1);

    struct ks_name name = ks_name_key(CELL_ACCOUNT, key_id);
    assert_int_equal(ks_destroy_key(cell.store, cell.link, &name, wall_ms(NULL)).code,
                     KS_INVALID_STATE);
}

static void keys_are_counted(void **state)
{
    (void)state;
    keep_house();
    assert_int_equal(ks_housekeeping_key_count(housekeeping), 1);
    char other[37];
    cell_create_key(&cell, other);
    ks_housekeeping_run(housekeeping, NULL);
    assert_int_equal(ks_housekeeping_key_count(housekeeping), 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#define GRANTS 5000U /* more than go in one step */

/* Grants of a key, with ids of hex digits, as they will be. */
static void put_grants(const char *id, unsigned grant_count)
{
    for (unsigned i = 0; i < grant_count;) {
        struct ks_name names[KS_STORE_OPS_MAX];
        struct ks_store_mutation mutation = {.op_count = 0};
        for (size_t j = 0; j < KS_STORE_OPS_MAX && i < grant_count; j++, i++) {
            char grant[17];
            snprintf(grant, sizeof(grant), "%08x", i * 2654435761U);
            names[j] = ks_name_grant(CELL_ACCOUNT, id, grant);
            mutation.ops[mutation.op_count++] =
                (struct ks_store_op){ks_name_bytes(&names[j]), KS_LITERAL("a grant")};
        }
        assert_int_equal(fixture_commit(cell.store, &mutation).code, KS_OK);
    }
}

/* Neither grants nor policy nor materials stay behind, and nothing of another key goes. */
static void a_destroyed_key_takes_all_its_records_along(void **state)
{
    (void)state;
    char other[37];
    cell_create_key(&cell, other);
    put_grants(key_id, GRANTS);
    put_grants(other, 3);
    struct ks_name policy = ks_name_policy(CELL_ACCOUNT, key_id);
    struct ks_name material = ks_name_material(CELL_ACCOUNT, key_id, "aa");
    assert_int_equal(fixture_put(cell.store, policy.text, "a policy", 0).code, KS_OK);
    assert_int_equal(fixture_put(cell.store, material.text, "a material", 0).code, KS_OK);
    schedule_deletion();

    cell.ahead_ms = 31 * MS_PER_DAY;
    keep_house();

    assert_int_equal(count("grant/"), 3);
    assert_int_equal(count("policy/") + count("material/"), 0);
    assert_int_equal(count("key/"), 1);
    assert_int_equal(count("destroyed/"), 1);
}

/* An alias whose own record is gone: what the key's record says is done all the same. */
static void a_missing_record_of_an_alias_keeps_no_key_from_being_destroyed(void **state)
{
    (void)state;
    cell_create_alias(&cell, "alias/kept", key_id);
    cell_create_alias(&cell, "alias/lost", key_id);
    schedule_deletion();
    struct ks_name lost = ks_name_alias(CELL_ACCOUNT, "alias/lost");
    KS_STORE_VIEW_AUTO view = {0};
    struct ks_store_record record;
    assert_int_equal(ks_store_peek(cell.store, &view).code, KS_OK);
    assert_int_equal(ks_store_get(&view, ks_name_bytes(&lost), &record).code, KS_OK);
    assert_int_equal(fixture_put(cell.store, lost.text, NULL, record.revision).code, KS_OK);

    cell.ahead_ms = 31 * MS_PER_DAY;
    keep_house();

    assert_int_equal(count("key/"), 0);
    assert_int_equal(count("alias/"), 0);
    assert_int_equal(count("keyalias/"), 0);
    assert_int_equal(count("gone/key/"), 1);
}

/* A record that is due, as somebody who writes the store puts it: its MAC is no hsm's. */
static void forge_due_key(const char *alias_name)
{
    static const uint8_t mac[KS_AUTHENTIC_MAC_LEN];
    STORED(KeyAlias) alias = STORED_NEW(KEY_ALIAS);
    STORED(KeyAlias) * aliases[] = {&alias};
    STORED(KeyMaterial) material = STORED_NEW(KEY_MATERIAL);
    STORED(KeyMaterial) * materials[] = {&material};
    STORED(KeyRecord) key = STORED_NEW(KEY_RECORD);
    KS_BUFFER_AUTO body = {.len_max = 4096};
    KS_BUFFER_AUTO value = {.len_max = 4096};
    alias.name = ks_lend_text(alias_name);
    key.format = 1;
    key.account = ks_lend_text(CELL_ACCOUNT);
    key.key_id = key_id;
    key.state = STORED_ENUM(KEY_STATE__KEY_STATE_PENDING_DELETION);
    key.deletion_at_ms = 1;
    key.materials = materials;
    key.n_materials = 1;
    key.aliases = aliases;
    key.n_aliases = alias_name[0] != '\0' ? 1 : 0;
    assert_int_equal(ks_record_write(&key.base, &body).code, KS_OK);
    const struct ks_authentic forged = {ks_buffer_bytes(&body), UINT64_MAX, 1, mac};
    assert_int_equal(ks_authentic_write(&forged, &value).code, KS_OK);
    struct ks_name name = ks_name_key(CELL_ACCOUNT, key_id);
    KS_CHANGE_AUTO change = {.result = KS_RES(OK)};
    ks_change_put_bytes(&change, ks_name_bytes(&name), ks_buffer_bytes(&value));
    assert_int_equal(ks_sync_commit(cell.store, &change, NULL).code, KS_OK);
}

/* Names would be made of it that no record has. The next keystore on duty would meet it, too. */
static void a_forged_record_that_is_due_ends_no_keystore(void **state)
{
    (void)state;
    static const char *const names[] = {"x", "alias/", "alias/a b"};
    for (size_t i = 0; i < KS_COUNT(names); i++) {
        cell_create_key(&cell, key_id);
        forge_due_key(names[i]);
        struct ks_name name = ks_name_key(CELL_ACCOUNT, key_id);

        keep_house();

        assert_int_equal(ks_destroy_key(cell.store, cell.link, &name, wall_ms(NULL)).code,
                         KS_CORRUPT);
    }
    assert_int_equal(count("gone/key/"), 0);
}

/* Grants go before the key does, and only on the word of a record that an hsm has made. */
static void a_forged_record_that_is_due_takes_no_grant_along(void **state)
{
    (void)state;
    put_grants(key_id, GRANTS);
    forge_due_key("");

    keep_house();

    assert_int_equal(count("grant/"), GRANTS);
    assert_int_equal(count("key/"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(request_records_are_kept_for_a_day_and_no_longer),
        TEST(a_key_is_destroyed_with_its_aliases_when_its_date_has_passed),
        TEST(a_wall_clock_that_leaps_destroys_nothing),
        TEST(what_a_slow_wall_clock_writes_is_not_due_at_once),
        TEST(the_hsm_forgets_a_destroyed_key),
        TEST(an_hsm_that_connects_is_told_of_every_destroyed_key),
        TEST(an_hsm_that_had_no_room_for_an_eviction_is_told_again),
        TEST(an_eviction_that_failed_is_noted),
        cmocka_unit_test(a_failure_of_the_store_ends_the_step_and_one_of_a_key_does_not),
        TEST(a_key_whose_deletion_was_cancelled_stays),
        TEST(a_destroyed_key_takes_all_its_records_along),
        cmocka_unit_test_setup_teardown(
            a_missing_record_of_an_alias_keeps_no_key_from_being_destroyed, set_up_open, tear_down),
        TEST(a_forged_record_that_is_due_ends_no_keystore),
        TEST(a_forged_record_that_is_due_takes_no_grant_along),
        TEST(keys_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
