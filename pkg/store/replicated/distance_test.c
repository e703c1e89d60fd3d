/*
 * Distance: a keystore that is far behind catches up, and a load ends, however long it takes. On a
 * real etcd member.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/store/copy/copy.h"
#include "pkg/store/log/layout.h"
#include "pkg/store/replicated/node_fixture.h"

#define BEHIND_REVISIONS 240U
#define BEHIND_RECORDS   5U
#define BEHIND_LEN       61440U
#define LOAD_GROUPS      500U
#define LOAD_RECORDS     46U
#define LOAD_LEN         200U
#define KEPT_REVISIONS   12

static struct etcd_fixture *cell;

static int setup(void **state)
{
    static unsigned test_number;
    char prefix[32];
    snprintf(prefix, sizeof(prefix), "/far/%u/", ++test_number);
    struct nodes *nodes = nodes_new(cell, prefix);
    node_start(nodes, 0);
    fixture_read(nodes->at[0].store, "x");
    *state = nodes;
    return 0;
}

static int teardown(void **state)
{
    nodes_free(*state);
    return 0;
}

/* A client of its own, to do to etcd what other keystores would. */
static struct ks_etcd *tool(void)
{
    struct ks_etcd_options options = etcd_fixture_client(cell, 0);
    struct ks_etcd *client = NULL;
    options.call_ms = 5000;
    assert_int_equal(ks_etcd_new(&options, &client).code, KS_OK);
    return client;
}

static void write_marker(struct nodes *nodes, const char *text)
{
    char path[600];
    snprintf(path, sizeof(path), "%s/marker", nodes->at[0].folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int64_t wanted_revision; /* what etcd has now */

static bool has_applied_all(const struct ks_store_status *status)
{
    return status->state == KS_STORE_FOLLOWING && status->applied_revision >= wanted_revision;
}

/* One transaction as a group of mutations is: a revision record, and so many others. */
static void put_group(struct nodes *nodes, struct ks_etcd *client, unsigned number, size_t count,
                      ks_bytes value)
{
    struct ks_layout layout;
    struct ks_etcd_op ops[LOAD_RECORDS + 1];
    KS_ARENA_AUTO arena = {.len_max = 1U << 20};
    char nonce[KS_NONCE_LEN + 1];
    snprintf(nonce, sizeof(nonce), "%016u", number);
    assert_int_equal(ks_layout_init(&layout, nodes->prefix).code, KS_OK);
    ops[0] = (struct ks_etcd_op){
        .kind = KS_ETCD_PUT, .key = ks_bytes_of(layout.rev), .value = ks_bytes_of(nonce)};
    for (unsigned i = 0; i < count; i++) {
        char key[32];
        snprintf(key, sizeof(key), "key/%u/%u", number, i);
        ops[i + 1] = (struct ks_etcd_op){
            .kind = KS_ETCD_PUT,
            .key = ks_layout_data_key(&layout, &arena, ks_bytes_of(key)),
            .value = value,
        };
    }
    struct ks_etcd_txn txn = {.success = ops, .success_count = count + 1};
    KS_ETCD_ANSWER_AUTO *answer = ks_etcd_txn_wait(client, &txn, NULL);
    assert_int_equal(answer->cause, KS_ETCD_DONE);
    wanted_revision = answer->header.revision;
}

/* 1200 long policies, 74 MB in all: etcd would send them in one message, after a long silence. */
static void a_keystore_that_is_far_behind_catches_up(void **state)
{
    struct nodes *nodes = *state;
    node_stop(nodes, 0);
    KS_ETCD_AUTO *client = tool();
    KS_AUTO_FREE uint8_t *bytes = ks_alloc(BEHIND_LEN, 1);
    for (unsigned i = 0; i < BEHIND_REVISIONS; i++) {
        put_group(nodes, client, i, BEHIND_RECORDS, (ks_bytes){bytes, BEHIND_LEN});
    }

    int64_t begun_ms = fixture_now_ms();
    node_start(nodes, 0);
    node_wait(nodes, 0, has_applied_all);
    int64_t took_ms = fixture_now_ms() - begun_ms;

    print_message("%u bytes behind: %lld ms\n", BEHIND_REVISIONS * BEHIND_RECORDS * BEHIND_LEN,
                  (long long)took_ms);
    assert_int_equal(nodes->at[0].reload_count, 1);
    KS_STORE_VIEW_AUTO view = {0};
    assert_int_equal(ks_store_peek(nodes->at[0].store, &view).code, KS_OK);
    struct ks_store_record record;
    assert_int_equal(ks_store_get(&view, KS_LITERAL("key/239/4"), &record).code, KS_OK);
}

/* Changes a record, deletes another one, and has etcd forget all but the last few revisions. */
static void change_and_compact(struct nodes *nodes, struct ks_etcd *client, unsigned number)
{
    struct ks_layout layout;
    KS_ARENA_AUTO arena = {.len_max = 4096};
    char nonce[KS_NONCE_LEN + 1];
    char put_key[32];
    char deleted_key[32];
    snprintf(nonce, sizeof(nonce), "%016u", 500000 + number);
    snprintf(put_key, sizeof(put_key), "key/%u/0", number);
    snprintf(deleted_key, sizeof(deleted_key), "key/%u/1", number);
    assert_int_equal(ks_layout_init(&layout, nodes->prefix).code, KS_OK);
    const struct ks_etcd_op ops[] = {
        {.kind = KS_ETCD_PUT, .key = ks_bytes_of(layout.rev), .value = ks_bytes_of(nonce)},
        {.kind = KS_ETCD_PUT,
         .key = ks_layout_data_key(&layout, &arena, ks_bytes_of(put_key)),
         .value = KS_LITERAL("changed")},
        {.kind = KS_ETCD_DELETE,
         .key = ks_layout_data_key(&layout, &arena, ks_bytes_of(deleted_key))},
    };
    const struct ks_etcd_txn txn = {.success = ops, .success_count = KS_COUNT(ops)};
    KS_ETCD_ANSWER_AUTO *answer = ks_etcd_txn_wait(client, &txn, NULL);
    assert_int_equal(answer->cause, KS_ETCD_DONE);
    wanted_revision = answer->header.revision;
    KS_ETCD_ANSWER_AUTO *compacted =
        ks_etcd_compact_wait(client, answer->header.revision - KEPT_REVISIONS, NULL);
    assert_true(compacted->cause == KS_ETCD_DONE || compacted->cause == KS_ETCD_COMPACTED);
}

static bool is_loaded(const struct ks_store_status *status)
{
    return status->state == KS_STORE_FOLLOWING;
}

/* A load takes longer than etcd remembers, and the records change under it. */
static void a_load_outlives_the_history_that_it_began_with(void **state)
{
    struct nodes *nodes = *state;
    node_stop(nodes, 0);
    KS_ETCD_AUTO *client = tool();
    KS_AUTO_FREE uint8_t *bytes = ks_alloc(LOAD_LEN, 1);
    for (unsigned i = 0; i < LOAD_GROUPS; i++) {
        put_group(nodes, client, i, LOAD_RECORDS, (ks_bytes){bytes, LOAD_LEN});
    }
    write_marker(nodes, "00000000-0000-0000-0000-000000000000\n");

    node_start(nodes, 0);
    unsigned changes = 0;
    struct ks_store_status status = {.state = KS_STORE_STARTING};
    for (; changes < LOAD_GROUPS && !is_loaded(&status); changes++) {
        change_and_compact(nodes, client, changes);
        fixture_sleep_ms(3);
        ks_store_get_status(nodes->at[0].store, &status);
    }
    node_wait(nodes, 0, has_applied_all);

    print_message("%u changes during the load\n", changes);
    assert_in_range(changes, KEPT_REVISIONS + 1, LOAD_GROUPS - 1);
    assert_int_equal(nodes->at[0].reload_count, 2);
    KS_STORE_VIEW_AUTO view = {0};
    assert_int_equal(ks_store_peek(nodes->at[0].store, &view).code, KS_OK);
    for (unsigned i = 0; i < changes; i++) {
        char key[32];
        struct ks_store_record record;
        snprintf(key, sizeof(key), "key/%u/0", i);
        assert_int_equal(ks_store_get(&view, ks_bytes_of(key), &record).code, KS_OK);
        assert_true(ks_bytes_equal(record.value, KS_LITERAL("changed")));
        snprintf(key, sizeof(key), "key/%u/1", i);
        assert_int_equal(ks_store_get(&view, ks_bytes_of(key), &record).code, KS_NOT_FOUND);
    }
}

static int start_cell(void **state)
{
    (void)state;
    const struct etcd_fixture_options options = {.member_count = 1};
    cell = etcd_fixture_start(&options);
    return 0;
}

static int stop_cell(void **state)
{
    (void)state;
    etcd_fixture_stop(cell);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_keystore_that_is_far_behind_catches_up),
        TEST(a_load_outlives_the_history_that_it_began_with),
    };
    return cmocka_run_group_tests(tests, start_cell, stop_cell);
}
