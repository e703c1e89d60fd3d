#include "pkg/store/copy/index.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/base/mem.h"
#include "pkg/store/copy/copy.h"
#include "pkg/store/store_fixture.h"

static char *folder;
static struct ks_copy *copy;

static int set_up(void **state)
{
    (void)state;
    folder = fixture_folder("index");
    const struct ks_copy_options options = {
        .folder = folder, .bytes_max = 1U << 26, .no_sync = true};
    assert_int_equal(ks_copy_open(&options, &copy).code, KS_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ks_copy_close(copy);
    fixture_remove(folder);
    ks_free(folder);
    return 0;
}

/* Puts the record (value NULL: deletes it) at that revision. */
static void change(const char *key, const char *value, int64_t revision)
{
    KS_COPY_WRITE_AUTO write = {0};
    assert_int_equal(ks_copy_write_begin(copy, &write).code, KS_OK);
    ks_result changed = value ? ks_copy_put(&write, ks_bytes_of(key), ks_bytes_of(value), revision)
                              : ks_copy_delete(&write, ks_bytes_of(key), revision);
    assert_int_equal(changed.code, KS_OK);
    assert_int_equal(ks_copy_commit(&write).code, KS_OK);
}

static void assert_known(const char *prefix, int64_t newest, uint64_t count)
{
    KS_SNAPSHOT_AUTO snapshot = {0};
    int64_t got_newest = -1;
    uint64_t got_count = 0;
    assert_int_equal(ks_copy_snapshot(copy, &snapshot).code, KS_OK);
    assert_int_equal(
        ks_snapshot_prefix(&snapshot, ks_bytes_of(prefix), &got_newest, &got_count).code, KS_OK);
    assert_int_equal(got_newest, newest);
    assert_int_equal(got_count, count);
}

static int64_t floor_of_copy(void)
{
    KS_SNAPSHOT_AUTO snapshot = {0};
    assert_int_equal(ks_copy_snapshot(copy, &snapshot).code, KS_OK);
    return snapshot.position.floor;
}

static void names_the_prefixes_of_a_key(void **state)
{
    (void)state;
    ks_bytes prefixes[KS_INDEX_LEVELS_MAX];

    assert_int_equal(ks_index_prefixes_of(KS_LITERAL("key/A/1"), prefixes), 2);
    assert_true(ks_bytes_equal(prefixes[0], KS_LITERAL("key/")));
    assert_true(ks_bytes_equal(prefixes[1], KS_LITERAL("key/A/")));
    assert_int_equal(ks_index_prefixes_of(KS_LITERAL("alias/A/a/b"), prefixes), 1);
    assert_true(ks_bytes_equal(prefixes[0], KS_LITERAL("alias/A/")));
    assert_int_equal(ks_index_prefixes_of(KS_LITERAL("grant/A/k/g"), prefixes), 1);
    assert_true(ks_bytes_equal(prefixes[0], KS_LITERAL("grant/A/k/")));
    assert_int_equal(ks_index_prefixes_of(KS_LITERAL("keyalias/A/k"), prefixes), 0);
    assert_int_equal(ks_index_prefixes_of(KS_LITERAL("key/"), prefixes), 0);
    assert_int_equal(ks_index_prefixes_of(KS_LITERAL("keys"), prefixes), 0);
    assert_int_equal(ks_index_prefixes_of(KS_LITERAL("roster"), prefixes), 0);

    assert_true(ks_index_keeps(KS_LITERAL("key/")));
    assert_true(ks_index_keeps(KS_LITERAL("key/A/")));
    assert_false(ks_index_keeps(KS_LITERAL("key/A")));
    assert_false(ks_index_keeps(KS_LITERAL("key/A/1/")));
    assert_false(ks_index_keeps(KS_LITERAL("alias/")));
}

static void a_change_raises_what_its_prefixes_rest_on_and_no_others(void **state)
{
    (void)state;
    change("key/A/1", "x", 10);
    change("key/A/2", "x", 11);
    change("key/B/1", "x", 12);
    change("key/A/1", "y", 13);
    change("alias/A/a", "x", 14);

    assert_known("key/A/", 13, 2);
    assert_known("key/B/", 12, 1);
    assert_known("key/", 13, 3);
    assert_known("alias/A/", 14, 1);
    assert_known("alias/B/", 0, 0);
}

/* What an absence rests on: the deletion, and not the last put. */
static void a_deletion_counts_as_a_change(void **state)
{
    (void)state;
    change("key/A/1", "x", 10);
    change("key/A/1", NULL, 20);
    assert_known("key/A/", 20, 0);

    change("key/A/1", NULL, 30); /* it is gone already: nothing changes */
    assert_known("key/A/", 20, 0);
    change("key/A/2", "x", 40);
    assert_known("key/A/", 40, 1);
}

/* A load puts records in any order. */
static void the_newest_revision_never_falls(void **state)
{
    (void)state;
    change("key/A/1", "x", 20);
    change("key/A/2", "x", 10);
    assert_known("key/A/", 20, 2);
}

static void what_is_not_committed_is_not_counted(void **state)
{
    (void)state;
    struct ks_copy_write write;
    change("key/A/1", "x", 10);
    assert_int_equal(ks_copy_write_begin(copy, &write).code, KS_OK);
    assert_int_equal(ks_copy_put(&write, KS_LITERAL("key/A/2"), KS_LITERAL("x"), 11).code, KS_OK);
    ks_copy_abort(&write);
    assert_known("key/A/", 10, 1);
}

static void a_clear_forgets_everything(void **state)
{
    (void)state;
    struct ks_copy_write write;
    change("key/A/1", "x", 10);
    change("key/B/1", "x", 11);
    change("key/B/1", NULL, 12);
    assert_int_equal(ks_copy_write_begin(copy, &write).code, KS_OK);
    assert_int_equal(ks_copy_clear(&write).code, KS_OK);
    write.position.floor = 50;
    assert_int_equal(ks_copy_commit(&write).code, KS_OK);

    assert_known("key/A/", 50, 0);
    change("key/B/1", "x", 51);
    assert_known("key/B/", 51, 1);
}

/* Both sides of the limit: an empty prefix is kept for so long, and then raises the floor. */
static void an_empty_prefix_is_forgotten_in_time(void **state)
{
    (void)state;
    change("key/A/1", "x", 10);
    change("key/A/1", NULL, 20);
    change("key/B/1", "x", 20 + KS_INDEX_KEPT_REVISIONS);
    assert_known("key/A/", 20, 0);
    assert_int_equal(floor_of_copy(), 0);

    change("key/B/2", "x", 21 + KS_INDEX_KEPT_REVISIONS);
    assert_int_equal(floor_of_copy(), 20);
    assert_known("key/A/", 20, 0); /* by the floor */
    assert_known("alias/Z/", 20, 0);
    assert_known("key/B/", 21 + KS_INDEX_KEPT_REVISIONS, 2);
}

static void a_prefix_in_use_is_not_forgotten(void **state)
{
    (void)state;
    change("key/A/1", "x", 10);
    change("key/A/1", NULL, 20);
    change("key/A/2", "x", 30);
    change("key/B/1", "x", 100 + KS_INDEX_KEPT_REVISIONS);
    assert_known("key/A/", 30, 1);
    assert_int_equal(floor_of_copy(), 0);
}

/* A tenant that makes and deletes records under ever new names leaves nothing behind. */
static void many_emptied_prefixes_go_as_fast_as_they_come(void **state)
{
    (void)state;
    int64_t revision = 0;
    for (unsigned i = 0; i < 200; i++) {
        char key[64];
        snprintf(key, sizeof(key), "keyalias/A/%u/a", i);
        change(key, "x", ++revision);
        change(key, NULL, ++revision);
    }
    revision += KS_INDEX_KEPT_REVISIONS;
    for (unsigned i = 0; i < 200; i++) {
        change("key/A/1", "x", ++revision);
    }
    assert_int_equal(floor_of_copy(), 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_the_prefixes_of_a_key),
        cmocka_unit_test_setup_teardown(a_change_raises_what_its_prefixes_rest_on_and_no_others,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_deletion_counts_as_a_change, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_newest_revision_never_falls, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_not_committed_is_not_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_clear_forgets_everything, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_empty_prefix_is_forgotten_in_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_prefix_in_use_is_not_forgotten, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_emptied_prefixes_go_as_fast_as_they_come, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
