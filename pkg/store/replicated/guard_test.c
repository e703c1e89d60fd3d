/*
 * Somebody writes etcd besides the keystores: an older record is put back, or one is deleted, with
 * and without what a keystore's transaction puts. On real etcd.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/store/copy/copy.h"
#include "pkg/store/log/layout.h"
#include "pkg/store/replicated/node_fixture.h"
#include "pkg/store/window/list.h"

#define KEY "key/a"

static struct etcd_fixture *cell;
static struct nodes *nodes;
static struct ks_store *store;
static struct ks_etcd *attacker;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static size_t refused;

/* A value is its ordinal. None goes down or is deleted; what comes while loading may be the same. */
static bool only_up(struct ks_store_held *held, ks_bytes key, ks_bytes value, uint64_t *ret_ordinal)
{
    uint64_t before = ks_store_held_ordinal(held, key);
    if (!value.ptr) {
        return before == 0;
    }
    *ret_ordinal = value.len > 0 ? (uint64_t)(value.ptr[0] - '0') : 0;
    return *ret_ordinal > before || (*ret_ordinal == before && ks_store_held_is_loading(held));
}

static void on_refused(void *user, ks_bytes key)
{
    (void)user;
    pthread_mutex_lock(&lock);
    refused += ks_bytes_equal(key, KS_LITERAL(KEY));
    pthread_mutex_unlock(&lock);
}

static size_t refused_count(void)
{
    pthread_mutex_lock(&lock);
    size_t count = refused;
    pthread_mutex_unlock(&lock);
    return count;
}

static void put(const char *value)
{
    struct ks_store_mutation mutation = {.ops = {{KS_LITERAL(KEY), ks_bytes_of(value)}},
                                         .op_count = 1};
    struct fixture_outcome outcome = fixture_commit(store, &mutation);
    while (outcome.code == KS_UNAVAILABLE) {
        outcome = fixture_commit(store, &mutation);
    }
    assert_int_equal(outcome.code, KS_OK);
}

static int set_up(void **state)
{
    (void)state;
    static unsigned test_number;
    char prefix[32];
    snprintf(prefix, sizeof(prefix), "/guard/%u/", ++test_number);
    nodes = nodes_new(cell, prefix);
    nodes->window_ms = 500;
    struct ks_store_options options = node_options(nodes, 0);
    options.guard = only_up;
    options.on_refused = on_refused;
    refused = 0;
    assert_int_equal(ks_store_new(&options, &store).code, KS_OK);
    struct ks_etcd_options client = etcd_fixture_client(cell, 0);
    client.call_ms = 5000;
    assert_int_equal(ks_etcd_new(&client, &attacker).code, KS_OK);
    put("1");
    put("2");
    assert_int_equal(refused_count(), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ks_store_free(store);
    ks_etcd_free(attacker);
    nodes_free(nodes);
    return 0;
}

/* What etcdctl does; with is_announced as a keystore's transaction looks. */
static void write_etcd(enum ks_etcd_op_kind kind, const char *value, bool is_announced)
{
    static unsigned counter;
    char nonce[KS_NONCE_LEN + 1];
    struct ks_layout layout;
    KS_ARENA_AUTO arena = {.len_max = 4096};
    assert_int_equal(ks_layout_init(&layout, nodes->prefix).code, KS_OK);
    snprintf(nonce, sizeof(nonce), "%016u", ++counter);
    struct ks_etcd_op ops[] = {
        {.kind = KS_ETCD_PUT, .key = ks_bytes_of(layout.rev), .value = ks_bytes_of(nonce)},
        {.kind = kind,
         .key = ks_layout_data_key(&layout, &arena, KS_LITERAL(KEY)),
         .value = ks_bytes_of(value)},
    };
    struct ks_etcd_txn txn = {.success = is_announced ? ops : ops + 1,
                              .success_count = is_announced ? 2 : 1};
    KS_ETCD_ANSWER_AUTO *answer = ks_etcd_txn_wait(attacker, &txn, NULL);
    assert_int_equal(answer->cause, KS_ETCD_DONE);
}

static void await_refusal(void)
{
    int64_t give_up_ms = fixture_now_ms() + 20000;
    while (refused_count() == 0 && fixture_now_ms() < give_up_ms) {
        fixture_sleep_ms(5);
    }
    assert_true(refused_count() > 0);
    struct ks_store_view view = fixture_serve(store); /* a load has ended that began before */
    ks_store_view_close(&view);
}

static void an_old_record_in_a_keystores_transaction_changes_nothing(void **state)
{
    (void)state;
    write_etcd(KS_ETCD_PUT, "1", true);

    await_refusal();

    assert_string_equal(fixture_read(store, KEY), "2");
}

static void a_deletion_in_a_keystores_transaction_changes_nothing(void **state)
{
    (void)state;
    write_etcd(KS_ETCD_DELETE, NULL, true);

    await_refusal();

    assert_string_equal(fixture_read(store, KEY), "2");
}

/* The copy is loaded anew, because an event came that no keystore has made. */
static void an_old_record_put_by_etcdctl_can_be_read_by_nobody(void **state)
{
    (void)state;
    write_etcd(KS_ETCD_PUT, "1", false);

    await_refusal();

    assert_string_equal(fixture_read(store, KEY), "\xff");
    put("3");
    assert_string_equal(fixture_read(store, KEY), "3");
}

static void a_deletion_by_etcdctl_is_noticed(void **state)
{
    (void)state;
    write_etcd(KS_ETCD_DELETE, NULL, false);

    await_refusal();

    write_etcd(KS_ETCD_PUT, "1", true);
    int64_t give_up_ms = fixture_now_ms() + 20000;
    while (refused_count() < 2 && fixture_now_ms() < give_up_ms) {
        fixture_sleep_ms(5);
    }
    assert_string_equal(fixture_read(store, KEY), "");
}

/* As a keystore's heartbeat looks. */
static void put_keystore(const char *id, ks_bytes value)
{
    static unsigned counter;
    char nonce[KS_NONCE_LEN + 1];
    struct ks_layout layout;
    KS_ARENA_AUTO arena = {.len_max = 4096};
    assert_int_equal(ks_layout_init(&layout, nodes->prefix).code, KS_OK);
    snprintf(nonce, sizeof(nonce), "k%015u", ++counter);
    struct ks_etcd_op ops[] = {
        {.kind = KS_ETCD_PUT, .key = ks_bytes_of(layout.rev), .value = ks_bytes_of(nonce)},
        {.kind = value.ptr ? KS_ETCD_PUT : KS_ETCD_DELETE,
         .key = ks_layout_keystore_key(&layout, &arena, id),
         .value = value},
    };
    struct ks_etcd_txn txn = {.success = ops, .success_count = 2};
    KS_ETCD_ANSWER_AUTO *answer = ks_etcd_txn_wait(attacker, &txn, NULL);
    assert_int_equal(answer->cause, KS_ETCD_DONE);
}

static size_t keystore_count(void)
{
    struct ks_layout layout;
    assert_int_equal(ks_layout_init(&layout, nodes->prefix).code, KS_OK);
    struct ks_etcd_op op = {.kind = KS_ETCD_RANGE,
                            .key = ks_bytes_of(layout.list),
                            .range_end = ks_bytes_of(layout.list_end)};
    struct ks_etcd_txn txn = {.success = &op, .success_count = 1};
    KS_ETCD_ANSWER_AUTO *answer = ks_etcd_txn_wait(attacker, &txn, NULL);
    assert_int_equal(answer->cause, KS_ETCD_DONE);
    return answer->ops[0].kv_count;
}

/* Each of them would have every change wait until the time of a settlement is over, for ever. */
static void keystore_records_that_nobody_can_read_are_removed(void **state)
{
    (void)state;
    put_keystore("unreadable-1", KS_LITERAL("?"));
    put_keystore("unreadable-2", KS_LITERAL("?"));
    assert_int_equal(keystore_count(), 3);

    int64_t give_up_ms = fixture_now_ms() + 20000;
    char digit[] = "3";
    while (keystore_count() > 1 && digit[0] < '9' && fixture_now_ms() < give_up_ms) {
        put(digit);
        digit[0]++;
    }

    assert_int_equal(keystore_count(), 1);
}

static bool has_alarm(struct ks_store *of, const char *text)
{
    struct ks_store_status status;
    ks_store_get_status(of, &status);
    return strstr(status.alarm, text);
}

static void a_keystore_that_has_no_place_waits_for_one(void **state)
{
    (void)state;
    struct ks_store *second = NULL;
    for (unsigned i = 1; i < KS_STORE_KEYSTORES_MAX; i++) {
        struct ks_list_entry entry = {.life = 1, .wall_ms = ks_clock_wall_ms(&ks_clock_system)};
        KS_BUFFER_AUTO value = {.len_max = 1024};
        snprintf(entry.id, sizeof(entry.id), "other-%02u", i);
        assert_int_equal(ks_list_encode(&entry, &value).code, KS_OK);
        put_keystore(entry.id, ks_buffer_bytes(&value));
    }
    struct ks_store_options options = node_options(nodes, 0);
    char *folder = fixture_folder("second");
    options.folder = folder;
    assert_int_equal(ks_store_new(&options, &second).code, KS_OK);
    int64_t give_up_ms = fixture_now_ms() + 20000;
    while (!has_alarm(second, "as many keystores") && fixture_now_ms() < give_up_ms) {
        fixture_sleep_ms(20);
    }
    assert_true(has_alarm(second, "as many keystores"));
    assert_int_equal(keystore_count(), KS_STORE_KEYSTORES_MAX);

    put_keystore("other-01", (ks_bytes){0});

    struct ks_store_view view = fixture_serve(second);
    ks_store_view_close(&view);
    assert_int_equal(keystore_count(), KS_STORE_KEYSTORES_MAX);
    ks_store_free(second);
    fixture_remove(folder);
    ks_free(folder);
}

/* An operator who restores etcd says so with another epoch: what was known counts no more. */
static void another_epoch_begins_anew(void **state)
{
    (void)state;
    struct ks_layout layout;
    assert_int_equal(ks_layout_init(&layout, nodes->prefix).code, KS_OK);
    write_etcd(KS_ETCD_PUT, "1", false);
    struct ks_etcd_op op = {.kind = KS_ETCD_PUT,
                            .key = ks_bytes_of(layout.epoch),
                            .value = KS_LITERAL("put-by-a-restore")};
    struct ks_etcd_txn txn = {.success = &op, .success_count = 1};
    KS_ETCD_ANSWER_AUTO *answer = ks_etcd_txn_wait(attacker, &txn, NULL);
    assert_int_equal(answer->cause, KS_ETCD_DONE);

    int64_t give_up_ms = fixture_now_ms() + 20000;
    while (strcmp(fixture_read(store, KEY), "1") != 0 && fixture_now_ms() < give_up_ms) {
        fixture_sleep_ms(20);
    }
    assert_string_equal(fixture_read(store, KEY), "1");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_old_record_in_a_keystores_transaction_changes_nothing),
        TEST(a_deletion_in_a_keystores_transaction_changes_nothing),
        TEST(an_old_record_put_by_etcdctl_can_be_read_by_nobody),
        TEST(a_deletion_by_etcdctl_is_noticed),
        TEST(another_epoch_begins_anew),
        TEST(keystore_records_that_nobody_can_read_are_removed),
        TEST(a_keystore_that_has_no_place_waits_for_one),
    };
    cell = etcd_fixture_start(&(struct etcd_fixture_options){.member_count = 1});
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    etcd_fixture_stop(cell);
    return failed;
}
