/*
 * Somebody writes the copy's file while the process runs. What was put there by the process is known
 * to it, and an older record is read by nobody.
 *
 * LMDB's file can be opened only once in a process, so the writer of the file goes by way of a guard
 * that admits everything and remembers nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/store/copy/copy.h"
#include "pkg/store/store_fixture.h"

#define KEY "key/a"

static char *folder;
static struct ks_copy *copy;
static bool is_attacker;
static uint64_t held; /* what the guard was told of KEY's ordinal */
static size_t told;

static uint64_t digit(ks_bytes key, ks_bytes value)
{
    (void)key;
    return value.len > 0 && value.ptr[0] >= '0' && value.ptr[0] <= '9'
               ? (uint64_t)(value.ptr[0] - '0')
               : 0;
}

static bool guard(struct ks_store_held *change, ks_bytes key, ks_bytes value, uint64_t *ret_ordinal)
{
    held = ks_store_held_ordinal(change, key);
    if (!is_attacker) {
        *ret_ordinal = digit(key, value);
    }
    return true;
}

static void on_refused(void *user, ks_bytes key)
{
    (void)user;
    told += ks_bytes_equal(key, KS_LITERAL(KEY));
}

static void open_copy(void)
{
    const struct ks_copy_options options = {.folder = folder,
                                            .bytes_max = 16U << 20,
                                            .guard = guard,
                                            .ordinal_of = digit,
                                            .on_refused = on_refused};
    assert_int_equal(ks_copy_open(&options, &copy).code, KS_OK);
}

static void put(const char *value, int64_t revision)
{
    KS_COPY_WRITE_AUTO write = {0};
    assert_int_equal(ks_copy_write_begin(copy, &write).code, KS_OK);
    assert_int_equal(ks_copy_put(&write, KS_LITERAL(KEY), ks_bytes_of(value), revision).code,
                     KS_OK);
    write.position.applied = revision;
    assert_int_equal(ks_copy_commit(&write).code, KS_OK);
}

static int set_up(void **state)
{
    (void)state;
    folder = fixture_folder("copy");
    is_attacker = false;
    told = 0;
    open_copy();
    put("1", 10);
    put("2", 20);
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

static ks_code read_in(const struct ks_snapshot *snapshot)
{
    struct ks_store_record record;
    return ks_snapshot_get(snapshot, KS_LITERAL(KEY), &record).code;
}

static ks_code read_now(void)
{
    KS_SNAPSHOT_AUTO snapshot = {0};
    assert_int_equal(ks_copy_snapshot(copy, &snapshot).code, KS_OK);
    return read_in(&snapshot);
}

static bool take(void *user, const struct ks_store_record *record)
{
    (void)user;
    (void)record;
    return true;
}

static void an_older_record_in_the_file_is_read_by_nobody(void **state)
{
    (void)state;
    is_attacker = true;
    put("1", 20);

    assert_int_equal(read_now(), KS_CORRUPT);

    assert_int_equal(told, 1);
    assert_true(ks_copy_is_damaged(copy)); /* it is loaded anew */
    KS_SNAPSHOT_AUTO snapshot = {0};
    assert_int_equal(ks_copy_snapshot(copy, &snapshot).code, KS_OK);
    assert_int_equal(
        ks_snapshot_scan(&snapshot, KS_LITERAL("key/"), (ks_bytes){0}, take, NULL).code,
        KS_CORRUPT);
}

static void what_the_process_puts_is_read(void **state)
{
    (void)state;
    assert_int_equal(read_now(), KS_OK);
    put("2", 30);
    assert_int_equal(read_now(), KS_OK);
    assert_int_equal(told, 0);
}

/* It is no replay: the view is of a moment before the change. */
static void a_snapshot_from_before_a_change_still_reads(void **state)
{
    (void)state;
    KS_SNAPSHOT_AUTO snapshot = {0};
    assert_int_equal(ks_copy_snapshot(copy, &snapshot).code, KS_OK);
    put("3", 30);

    assert_int_equal(read_in(&snapshot), KS_OK);

    assert_int_equal(told, 0);
    assert_int_equal(read_now(), KS_OK);
}

/* The change comes again, and its ordinal must not be known yet then. */
static void what_was_not_committed_is_not_remembered(void **state)
{
    (void)state;
    struct ks_copy_write write;
    assert_int_equal(ks_copy_write_begin(copy, &write).code, KS_OK);
    assert_int_equal(ks_copy_put(&write, KS_LITERAL(KEY), KS_LITERAL("9"), 30).code, KS_OK);
    ks_copy_abort(&write);

    put("3", 30);

    assert_int_equal(held, 2);
    assert_int_equal(read_now(), KS_OK);
}

/* The file's own ordinals are written, too: memory knows better. */
static void the_guard_goes_by_memory(void **state)
{
    (void)state;
    KS_COPY_WRITE_AUTO write = {0};
    assert_int_equal(ks_copy_write_begin(copy, &write).code, KS_OK);
    is_attacker = true;
    assert_int_equal(ks_copy_delete(&write, KS_LITERAL(KEY), 25).code, KS_OK); /* and its ordinal */
    assert_int_equal(ks_copy_commit(&write).code, KS_OK);

    put("1", 30);

    assert_int_equal(held, 2);
}

/* Another zone's keystore has said so. */
static void a_raised_ordinal_counts_from_the_first_revision_on(void **state)
{
    (void)state;
    KS_SNAPSHOT_AUTO before = {0};
    assert_int_equal(ks_copy_snapshot(copy, &before).code, KS_OK);

    ks_copy_raise_ordinal(copy, KS_LITERAL(KEY), 3);

    assert_int_equal(read_in(&before), KS_CORRUPT);
    assert_int_equal(read_now(), KS_CORRUPT);
    put("3", 30);
    assert_int_equal(held, 3);
}

static void what_is_remembered_outlasts_a_restart_and_not_an_epoch(void **state)
{
    (void)state;
    ks_copy_close(copy);
    open_copy();
    is_attacker = true;
    put("1", 20);
    assert_int_equal(read_now(), KS_CORRUPT);

    KS_COPY_WRITE_AUTO write = {0};
    assert_int_equal(ks_copy_write_begin(copy, &write).code, KS_OK);
    assert_int_equal(ks_copy_forget_ordinals(&write).code, KS_OK);
    assert_int_equal(ks_copy_commit(&write).code, KS_OK);
    assert_int_equal(read_now(), KS_OK);
}

static bool see(void *user, ks_bytes key, uint64_t ordinal, int64_t revision)
{
    int64_t *seen = user;
    assert_true(ks_bytes_equal(key, KS_LITERAL(KEY)));
    seen[0] = (int64_t)ordinal;
    seen[1] = revision;
    return true;
}

static void tells_what_it_remembers(void **state)
{
    (void)state;
    int64_t seen[2] = {0};
    KS_SNAPSHOT_AUTO snapshot = {0};
    assert_int_equal(ks_copy_snapshot(copy, &snapshot).code, KS_OK);
    assert_int_equal(ks_snapshot_scan_ordinals(&snapshot, see, seen).code, KS_OK);
    assert_int_equal(seen[0], 2);
    assert_int_equal(seen[1], 20);

    ks_copy_raise_ordinal(copy, KS_LITERAL(KEY), 7);
    assert_int_equal(ks_snapshot_scan_ordinals(&snapshot, see, seen).code, KS_OK);
    assert_int_equal(seen[0], 7);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_older_record_in_the_file_is_read_by_nobody),
        TEST(what_the_process_puts_is_read),
        TEST(a_snapshot_from_before_a_change_still_reads),
        TEST(what_was_not_committed_is_not_remembered),
        TEST(the_guard_goes_by_memory),
        TEST(a_raised_ordinal_counts_from_the_first_revision_on),
        TEST(what_is_remembered_outlasts_a_restart_and_not_an_epoch),
        TEST(tells_what_it_remembers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
