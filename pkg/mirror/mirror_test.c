#include "pkg/mirror/mirror.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/base/mem.h"
#include "pkg/crypto/crypto.h"
#include "pkg/lmdb/lmdb.h"
#include "pkg/signedset/signedset_fixture.h"
#include "tests/harness/folder.h"

#define TOMBSTONES_MAX 3U
#define TEXT_MAX       256U

static char *folder;
static struct fixture_signer *signer;
static struct ks_mirror_db *mirror;
static uint64_t number;
static ks_code sealing; /* what seal fails with */

static void open_mirror(void)
{
    const struct ks_mirror_options options = {.folder = folder, .tombstones_max = TOMBSTONES_MAX};
    assert_int_equal(ks_mirror_db_open(&options, &mirror).code, KS_OK);
}

static int set_up(void **state)
{
    (void)state;
    folder = test_folder_new("mirror");
    number = 0;
    sealing = KS_OK;
    open_mirror();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ks_mirror_db_close(mirror);
    test_folder_remove(folder);
    ks_free(folder);
    return 0;
}

/* As control does: whatever the state is, it is signed. */
static ks_result seal(void *user, const struct ks_set_sum *sum, struct ks_head *ret_head,
                      struct ks_buffer *ret_bytes)
{
    const int64_t *revision = user;
    if (sealing != KS_OK) {
        return (ks_result){sealing};
    }
    struct ks_head head = {.epoch = "e", .revision = *revision, .number = ++number};
    fixture_sign_sum(signer, sum, &head, ret_bytes);
    *ret_head = head;
    return KS_RES(OK);
}

static struct ks_mirror_record record(const char *key, const char *value, int64_t revision)
{
    return (struct ks_mirror_record){ks_bytes_of(key), ks_bytes_of(value), revision};
}

/* One record, or its deletion (value NULL). */
static ks_code change(const char *key, const char *value, int64_t revision)
{
    const struct ks_mirror_record one = record(key, value, revision);
    return ks_mirror_db_change(mirror, &one, 1, seal, &revision).code;
}

static bool add_text(void *user, const struct ks_mirror_record *one)
{
    char *text = user;
    size_t len = strlen(text);
    (void)snprintf(text + len, TEXT_MAX - len, "%.*s%s%.*s@%d ", (int)one->key.len,
                   (const char *)one->key.ptr, one->value.ptr ? "=" : "-", (int)one->value.len,
                   one->value.ptr ? (const char *)one->value.ptr : "", (int)one->revision);
    return true;
}

/* What has changed after a revision: "key=value@revision ", "key-@revision " for a tombstone. */
static const char *changes_after(int64_t revision)
{
    static char text[TEXT_MAX];
    KS_MIRROR_VIEW_AUTO *view = NULL;
    struct ks_mirror_place place = ks_mirror_after(revision);
    bool end = false;
    text[0] = '\0';
    assert_int_equal(ks_mirror_view_open(mirror, &view).code, KS_OK);
    assert_int_equal(ks_mirror_view_changes(view, &place, add_text, text, &end).code, KS_OK);
    assert_true(end);
    return text;
}

static int64_t floor_now(void)
{
    KS_MIRROR_VIEW_AUTO *view = NULL;
    assert_int_equal(ks_mirror_view_open(mirror, &view).code, KS_OK);
    return ks_mirror_view_floor(view);
}

static struct ks_head head_now(void)
{
    KS_MIRROR_VIEW_AUTO *view = NULL;
    assert_int_equal(ks_mirror_view_open(mirror, &view).code, KS_OK);
    const struct ks_head *head = ks_mirror_view_head(view);
    return head ? *head : (struct ks_head){.number = 0};
}

static void says_what_has_changed_since_a_revision(void **state)
{
    (void)state;
    assert_int_equal(change("a", "1", 5), KS_OK);
    assert_int_equal(change("b", "2", 6), KS_OK);
    assert_int_equal(change("a", "3", 7), KS_OK);
    assert_int_equal(change("b", NULL, 8), KS_OK);
    assert_int_equal(change("c", "", 9), KS_OK);

    assert_string_equal(changes_after(0), "a=3@7 b-@8 c=@9 ");
    assert_string_equal(changes_after(7), "b-@8 c=@9 ");
    assert_string_equal(changes_after(9), "");
    assert_int_equal(head_now().count, 2);
    assert_int_equal(floor_now(), 0);

    assert_int_equal(change("b", "4", 10), KS_OK);
    assert_string_equal(changes_after(7), "c=@9 b=4@10 ");
    assert_int_equal(ks_mirror_db_check(mirror).code, KS_OK);
}

static void keeps_records_and_head_over_a_restart(void **state)
{
    (void)state;
    assert_int_equal(change("a", "1", 5), KS_OK);
    assert_int_equal(change("b", "2", 6), KS_OK);
    assert_int_equal(change("b", NULL, 7), KS_OK);
    struct ks_head before = head_now();

    ks_mirror_db_close(mirror);
    open_mirror();

    struct ks_head after = head_now();
    assert_memory_equal(&after, &before, sizeof(before));
    assert_string_equal(changes_after(0), "a=1@5 b-@7 ");
    assert_int_equal(change("c", "3", 8), KS_OK);
    assert_int_equal(ks_mirror_db_check(mirror).code, KS_OK);
}

/* Else they would grow for ever; who has less than the floor can't be told what is gone. */
static void the_oldest_tombstones_go_and_the_floor_rises(void **state)
{
    (void)state;
    static const char *const keys[] = {"a", "b", "c", "d", "e"};
    for (int i = 0; i < 5; i++) {
        assert_int_equal(change(keys[i], "x", i + 1), KS_OK);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(change(keys[i], NULL, i + 11), KS_OK);
    }
    assert_int_equal(floor_now(), 0);

    assert_int_equal(change("d", NULL, 14), KS_OK);
    assert_int_equal(floor_now(), 11);
    assert_string_equal(changes_after(11), "b-@12 c-@13 d-@14 ");
    /* One that lives again is no tombstone any more, also when it was the oldest. */
    const struct ks_mirror_record both[] = {record("b", "y", 15), record("e", NULL, 15)};
    const int64_t revision = 15;
    assert_int_equal(ks_mirror_db_change(mirror, both, 2, seal, (void *)(uintptr_t)&revision).code,
                     KS_OK);
    assert_string_equal(changes_after(11), "c-@13 d-@14 b=y@15 e-@15 ");
    assert_int_equal(head_now().count, 1);
    assert_int_equal(ks_mirror_db_check(mirror).code, KS_OK);
}

static void a_snapshot_takes_over_when_it_is_whole(void **state)
{
    (void)state;
    int64_t revision = 20;
    assert_int_equal(change("old", "1", 5), KS_OK);
    assert_int_equal(change("gone", "1", 6), KS_OK);
    assert_int_equal(change("gone", NULL, 7), KS_OK);
    const struct ks_mirror_record first[] = {record("a", "1", 3), record("b", "1", 4)};
    const struct ks_mirror_record second[] = {record("b", "2", 15), record("a", NULL, 16)};

    assert_int_equal(ks_mirror_db_stage_begin(mirror).code, KS_OK);
    assert_int_equal(ks_mirror_db_stage_add(mirror, first, 2).code, KS_OK);
    assert_int_equal(ks_mirror_db_stage_begin(mirror).code, KS_OK); /* one that was cut off */
    assert_int_equal(ks_mirror_db_stage_add(mirror, first, 2).code, KS_OK);
    assert_int_equal(ks_mirror_db_stage_add(mirror, second, 2).code, KS_OK);
    assert_string_equal(changes_after(0), "old=1@5 gone-@7 ");
    assert_int_equal(ks_mirror_db_stage_finish(mirror, seal, &revision).code, KS_OK);

    assert_string_equal(changes_after(0), "b=2@15 ");
    assert_int_equal(floor_now(), 20);
    assert_int_equal(head_now().count, 1);
    assert_int_equal(ks_mirror_db_check(mirror).code, KS_OK);
    assert_int_equal(change("b", NULL, 21), KS_OK);
    assert_string_equal(changes_after(20), "b-@21 ");
}

static void a_state_that_nobody_signs_is_not_written(void **state)
{
    (void)state;
    int64_t revision = 9;
    assert_int_equal(change("a", "1", 5), KS_OK);
    struct ks_head before = head_now();
    const struct ks_mirror_record other = record("b", "1", 9);
    assert_int_equal(ks_mirror_db_stage_begin(mirror).code, KS_OK);
    assert_int_equal(ks_mirror_db_stage_add(mirror, &other, 1).code, KS_OK);
    sealing = KS_UNAUTHENTICATED;

    assert_int_equal(change("a", "2", 6), KS_UNAUTHENTICATED);
    assert_int_equal(ks_mirror_db_stage_finish(mirror, seal, &revision).code, KS_UNAUTHENTICATED);

    struct ks_head after = head_now();
    assert_memory_equal(&after, &before, sizeof(before));
    assert_string_equal(changes_after(0), "a=1@5 ");
    sealing = KS_OK;
    assert_int_equal(change("a", "2", 7), KS_OK);
    assert_int_equal(ks_mirror_db_check(mirror).code, KS_OK);
}

static void refuses_what_has_no_right_form(void **state)
{
    (void)state;
    static char long_key[KS_MIRROR_KEY_LEN_MAX + 2];
    memset(long_key, 'k', sizeof(long_key) - 1);

    assert_int_equal(change(long_key, "1", 5), KS_VALIDATION);
    assert_int_equal(change("", "1", 5), KS_VALIDATION);
    assert_int_equal(change("a", "1", 0), KS_VALIDATION);
    assert_int_equal(head_now().number, 0);
    long_key[KS_MIRROR_KEY_LEN_MAX] = '\0';
    assert_int_equal(change(long_key, "1", 5), KS_OK);
}

/* Who can write the disk can't make anybody's certificate good again. */
static void finds_what_another_hand_has_written(void **state)
{
    (void)state;
    static const uint8_t forged[] = {0, 0, 0, 0, 0, 0, 0, 5, 1, 'f'};
    assert_int_equal(change("a", "1", 5), KS_OK);
    ks_mirror_db_close(mirror);
    struct ks_lmdb *env = NULL;
    struct ks_lmdb_write *write = NULL;
    ks_lmdb_db data;
    const struct ks_lmdb_options options = {.folder = folder, .map_len_max = 1U << 24};
    assert_int_equal(ks_lmdb_open(&options, &env).code, KS_OK);
    assert_int_equal(ks_lmdb_database(env, "data0", &data).code, KS_OK);
    assert_int_equal(ks_lmdb_write_begin(env, &write).code, KS_OK);
    assert_int_equal(
        ks_lmdb_put(write, data, KS_LITERAL("a"), (ks_bytes){forged, sizeof(forged)}).code, KS_OK);
    assert_int_equal(ks_lmdb_commit(write).code, KS_OK);
    ks_lmdb_close(env);
    open_mirror();

    assert_int_equal(ks_mirror_db_check(mirror).code, KS_CORRUPT);
    assert_int_equal(ks_mirror_db_empty(mirror).code, KS_OK);

    assert_int_equal(head_now().number, 0);
    assert_string_equal(changes_after(0), "");
    assert_int_equal(ks_mirror_db_check(mirror).code, KS_OK);
}

static void a_damaged_file_is_thrown_away(void **state)
{
    (void)state;
    char path[512];
    assert_int_equal(change("a", "1", 5), KS_OK);
    ks_mirror_db_close(mirror);
    (void)snprintf(path, sizeof(path), "%s/data.mdb", folder);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    for (int i = 0; i < 8192; i++) {
        fputc('x', file);
    }
    fclose(file);

    open_mirror();

    assert_int_equal(head_now().number, 0);
    assert_int_equal(change("a", "1", 5), KS_OK);
}

static void looks_up_and_walks_what_lives(void **state)
{
    (void)state;
    struct ks_mirror_record got;
    assert_int_equal(change("b", "1", 5), KS_OK);
    assert_int_equal(change("a", "2", 6), KS_OK);
    assert_int_equal(change("aa", "3", 7), KS_OK);
    assert_int_equal(change("aa", NULL, 8), KS_OK);
    KS_MIRROR_VIEW_AUTO *view = NULL;
    KS_MIRROR_WALK_AUTO *walk = NULL;
    assert_int_equal(ks_mirror_view_open(mirror, &view).code, KS_OK);

    assert_int_equal(ks_mirror_view_get(view, KS_LITERAL("b"), &got).code, KS_OK);
    assert_true(ks_bytes_equal(got.value, KS_LITERAL("1")));
    assert_int_equal(ks_mirror_view_get(view, KS_LITERAL("aa"), &got).code, KS_NOT_FOUND);
    assert_int_equal(ks_mirror_view_get(view, KS_LITERAL("x"), &got).code, KS_NOT_FOUND);
    assert_int_equal(ks_mirror_walk_begin(view, &walk).code, KS_OK);
    assert_int_equal(ks_mirror_walk_next(walk, &got).code, KS_OK);
    assert_true(ks_bytes_equal(got.key, KS_LITERAL("a")));
    assert_int_equal(ks_mirror_walk_next(walk, &got).code, KS_OK);
    assert_true(ks_bytes_equal(got.key, KS_LITERAL("b")));
    assert_int_equal(ks_mirror_walk_next(walk, &got).code, KS_NOT_FOUND);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(says_what_has_changed_since_a_revision),
        TEST(keeps_records_and_head_over_a_restart),
        TEST(the_oldest_tombstones_go_and_the_floor_rises),
        TEST(a_snapshot_takes_over_when_it_is_whole),
        TEST(a_state_that_nobody_signs_is_not_written),
        TEST(refuses_what_has_no_right_form),
        TEST(finds_what_another_hand_has_written),
        TEST(a_damaged_file_is_thrown_away),
        TEST(looks_up_and_walks_what_lives),
    };
    if (ks_failed(ks_crypto_init(&(struct ks_crypto_options){0}))) {
        return 1;
    }
    signer = fixture_signer_new(NULL, NULL);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fixture_signer_free(signer);
    return failed;
}
