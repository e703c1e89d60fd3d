#include "pkg/store/log/apply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/store/store_fixture.h"

#define CLUSTER      77U
#define NONCE        "0123456789abcdef"
#define EVENT_MAX    8U
#define LONG_KEY_LEN 600U /* beyond what LMDB takes */

static struct ks_layout layout;
static const struct ks_copy_source source = {.cluster_id = CLUSTER, .epoch = "e"};

/* A copy that has applied revision 100, with the revision record at version 5. */
struct bench {
    char *folder;
    struct ks_copy *copy;
    struct ks_arena arena;
    struct ks_etcd_event events[EVENT_MAX];
    size_t event_count;
};

static int setup(void **state)
{
    struct bench *bench = ks_alloc(1, sizeof(*bench));
    bench->folder = fixture_folder("apply");
    bench->arena.len_max = 1U << 16;
    const struct ks_copy_options options = {
        .folder = bench->folder, .bytes_max = 1U << 24, .no_sync = true};
    assert_int_equal(ks_layout_init(&layout, "/t/").code, KS_OK);
    assert_int_equal(ks_copy_open(&options, &bench->copy).code, KS_OK);
    struct ks_copy_write write;
    assert_int_equal(ks_copy_write_begin(bench->copy, &write).code, KS_OK);
    write.position = (struct ks_position){.applied = 100, .rev_version = 5, .rev_revision = 98};
    memcpy(write.position.nonce.bytes, NONCE, KS_NONCE_LEN);
    assert_int_equal(ks_copy_commit(&write).code, KS_OK);
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;
    ks_copy_close(bench->copy);
    fixture_remove(bench->folder);
    ks_arena_done(&bench->arena);
    ks_free(bench->folder);
    ks_free(bench);
    return 0;
}

static void add_event(struct bench *bench, int64_t revision, ks_bytes key, const char *value)
{
    assert_true(bench->event_count < EVENT_MAX);
    bench->events[bench->event_count++] = (struct ks_etcd_event){
        .is_delete = !value,
        .kv = {.key = key, .value = ks_bytes_of(value), .mod_revision = revision},
    };
}

static void add_rev(struct bench *bench, int64_t revision, int64_t version)
{
    add_event(bench, revision, ks_bytes_of(layout.rev), NONCE);
    bench->events[bench->event_count - 1].kv.version = version;
}

static void add_put(struct bench *bench, int64_t revision, const char *key, const char *value)
{
    add_event(bench, revision, ks_layout_data_key(&layout, &bench->arena, ks_bytes_of(key)), value);
}

/* Applies the events as one message, commits if that is right, and forgets them. */
static struct ks_apply_result apply_from(struct bench *bench, uint64_t cluster_id, bool is_proven)
{
    const struct ks_apply_watch watch = {&layout, &source, is_proven};
    struct ks_etcd_watch_message message = {
        .header = {.cluster_id = cluster_id, .revision = 1000},
        .events = bench->events,
        .event_count = bench->event_count,
    };
    struct ks_copy_write write;
    struct ks_apply_result result = {.verdict = KS_APPLY_LOST};
    assert_int_equal(ks_copy_write_begin(bench->copy, &write).code, KS_OK);
    assert_int_equal(ks_apply_message(&watch, &message, &write, &result).code, KS_OK);
    if (result.verdict == KS_APPLY_DONE) {
        assert_int_equal(ks_copy_commit(&write).code, KS_OK);
    } else {
        ks_copy_abort(&write);
    }
    bench->event_count = 0;
    return result;
}

static enum ks_apply_verdict apply(struct bench *bench)
{
    return apply_from(bench, CLUSTER, true).verdict;
}

static struct ks_position position_of(struct bench *bench)
{
    KS_SNAPSHOT_AUTO snapshot = {0};
    assert_int_equal(ks_copy_snapshot(bench->copy, &snapshot).code, KS_OK);
    return snapshot.position;
}

static ks_code get(struct bench *bench, const char *key, int64_t *ret_revision)
{
    KS_SNAPSHOT_AUTO snapshot = {0};
    struct ks_store_record record = {.revision = 0};
    assert_int_equal(ks_copy_snapshot(bench->copy, &snapshot).code, KS_OK);
    ks_result got = ks_snapshot_get(&snapshot, ks_bytes_of(key), &record);
    *ret_revision = record.revision;
    return got.code;
}

static void puts_and_deletes(void **state)
{
    struct bench *bench = *state;
    int64_t revision;
    add_rev(bench, 101, 6);
    add_put(bench, 101, "key/a", "one");
    add_put(bench, 101, "key/b", "two");
    add_rev(bench, 103, 7);
    add_put(bench, 103, "key/b", NULL);

    assert_int_equal(apply(bench), KS_APPLY_DONE);

    assert_int_equal(get(bench, "key/a", &revision), KS_OK);
    assert_int_equal(revision, 101);
    assert_int_equal(get(bench, "key/b", &revision), KS_NOT_FOUND);
    struct ks_position position = position_of(bench);
    assert_int_equal(position.applied, 103);
    assert_int_equal(position.data_revision, 103);
    assert_int_equal(position.rev_version, 7);
    assert_int_equal(position.rev_revision, 103);
    assert_memory_equal(position.nonce.bytes, NONCE, KS_NONCE_LEN);
}

/* A version before the nonce, or a stranger, writes to the same cell. */
static void a_revision_record_without_a_nonce_is_of_no_form_that_we_know(void **state)
{
    struct bench *bench = *state;
    const char *const wrong[] = {"", "0123456789abcde", "0123456789abcdefg"};
    for (size_t i = 0; i < KS_COUNT(wrong); i++) {
        add_event(bench, 101, ks_bytes_of(layout.rev), wrong[i]);
        bench->events[bench->event_count - 1].kv.version = 6;
        assert_int_equal(apply(bench), KS_APPLY_FORM);
    }
    assert_int_equal(position_of(bench).applied, 100);
}

static void heartbeats_change_the_list_and_no_data(void **state)
{
    struct bench *bench = *state;
    add_rev(bench, 101, 6);
    add_event(bench, 101, ks_layout_keystore_key(&layout, &bench->arena, "id"), "record");

    struct ks_apply_result result = apply_from(bench, CLUSTER, true);

    assert_int_equal(result.verdict, KS_APPLY_DONE);
    assert_true(result.list_changed);
    assert_int_equal(position_of(bench).applied, 101);
    assert_int_equal(position_of(bench).data_revision, 0);
}

/* Whoever may write to etcd may put and delete what no copy can hold: it is passed over. */
static void what_is_longer_than_any_record_is_passed_over(void **state)
{
    struct bench *bench = *state;
    static const size_t lens[] = {KS_STORE_KEY_LEN_MAX + 1, 600};
    char name[601];
    int64_t revision = 101;
    for (size_t i = 0; i < 2 * KS_COUNT(lens); i++) {
        const char *value = i % 2 == 0 ? "value" : NULL;
        memset(name, 'k', sizeof(name));
        name[lens[i / 2]] = 0;
        add_rev(bench, revision, revision - 95);
        add_put(bench, revision, name, value);
        add_event(bench, revision, ks_layout_keystore_key(&layout, &bench->arena, name), value);
        assert_int_equal(apply(bench), KS_APPLY_DONE);
        revision++;
    }

    assert_int_equal(position_of(bench).applied, revision - 1);
    assert_int_equal(get(bench, "key/a", &revision), KS_NOT_FOUND);
}

/* Neither less nor more than one: both sides. */
static void a_jump_of_the_revision_record_means_loss(void **state)
{
    struct bench *bench = *state;
    const int64_t wrong[] = {0, 4, 5, 7, 8};
    for (size_t i = 0; i < KS_COUNT(wrong); i++) {
        add_rev(bench, 101, wrong[i]);
        assert_int_equal(apply(bench), KS_APPLY_LOST);
    }
    add_event(bench, 101, ks_bytes_of(layout.rev), NULL);
    assert_int_equal(apply(bench), KS_APPLY_LOST);

    assert_int_equal(position_of(bench).applied, 100);
    add_rev(bench, 101, 6);
    assert_int_equal(apply(bench), KS_APPLY_DONE);
}

static void a_change_without_the_revision_record_means_loss(void **state)
{
    struct bench *bench = *state;
    add_put(bench, 101, "key/a", "one");
    assert_int_equal(apply(bench), KS_APPLY_LOST);

    add_rev(bench, 101, 6);
    add_put(bench, 102, "key/a", "one");
    assert_int_equal(apply(bench), KS_APPLY_LOST);

    add_event(bench, 101, ks_layout_keystore_key(&layout, &bench->arena, "id"), "record");
    assert_int_equal(apply(bench), KS_APPLY_LOST);
}

static void a_revision_that_goes_back_means_loss(void **state)
{
    struct bench *bench = *state;
    add_rev(bench, 105, 6);
    add_put(bench, 105, "key/a", "one");
    add_rev(bench, 104, 7);

    assert_int_equal(apply(bench), KS_APPLY_LOST);
}

/* A watch that begins again from an earlier revision than needed. */
static void what_is_there_already_is_passed_over(void **state)
{
    struct bench *bench = *state;
    int64_t revision;
    add_rev(bench, 100, 5);
    add_put(bench, 100, "key/a", "old");
    add_rev(bench, 101, 6);

    assert_int_equal(apply(bench), KS_APPLY_DONE);

    assert_int_equal(get(bench, "key/a", &revision), KS_NOT_FOUND);
    assert_int_equal(position_of(bench).applied, 101);
}

/* A watch begins with the copy's anchor: revision 98, with its nonce. */
static void a_watch_is_proven_by_the_anchor(void **state)
{
    struct bench *bench = *state;
    add_rev(bench, 98, 5);
    add_put(bench, 98, "key/a", "old");

    struct ks_apply_result result = apply_from(bench, CLUSTER, false);
    assert_int_equal(result.verdict, KS_APPLY_DONE);
    assert_true(result.is_proven);
    assert_int_equal(position_of(bench).applied, 100);

    add_rev(bench, 98, 5);
    add_rev(bench, 101, 6);
    result = apply_from(bench, CLUSTER, false);
    assert_int_equal(result.verdict, KS_APPLY_DONE);
    assert_true(result.is_proven);
    assert_int_equal(position_of(bench).applied, 101);
}

/* etcd went back and caught up: its versions and revisions are those that were expected. */
static void another_history_is_not_applied(void **state)
{
    struct bench *bench = *state;
    add_event(bench, 98, ks_bytes_of(layout.rev), "another nonce...");
    bench->events[0].kv.version = 5;
    add_rev(bench, 101, 6);
    assert_int_equal(apply_from(bench, CLUSTER, false).verdict, KS_APPLY_OTHER);

    add_event(bench, 98, ks_bytes_of(layout.rev), NULL);
    assert_int_equal(apply_from(bench, CLUSTER, false).verdict, KS_APPLY_OTHER);

    add_rev(bench, 101, 6); /* at 98 there was something else, which is none of ours */
    assert_int_equal(apply_from(bench, CLUSTER, false).verdict, KS_APPLY_OTHER);
    assert_int_equal(position_of(bench).applied, 100);
}

static void a_message_without_events_moves_nothing(void **state)
{
    struct bench *bench = *state;

    assert_int_equal(apply(bench), KS_APPLY_DONE);
    assert_false(apply_from(bench, CLUSTER, false).is_proven);

    assert_int_equal(position_of(bench).applied, 100);
}

static void another_cluster_or_epoch_ends_it(void **state)
{
    struct bench *bench = *state;
    add_rev(bench, 101, 6);
    assert_int_equal(apply_from(bench, CLUSTER + 1, true).verdict, KS_APPLY_EPOCH);

    add_event(bench, 101, ks_bytes_of(layout.epoch), "other");
    assert_int_equal(apply(bench), KS_APPLY_EPOCH);

    add_event(bench, 101, ks_bytes_of(layout.epoch), NULL);
    assert_int_equal(apply(bench), KS_APPLY_EPOCH);
}

static void keys_of_others_are_passed_over(void **state)
{
    struct bench *bench = *state;
    add_rev(bench, 101, 6);
    add_event(bench, 101, KS_LITERAL("/t/else"), "x");
    add_event(bench, 101, KS_LITERAL("/t/d/zz"), "x");

    assert_int_equal(apply(bench), KS_APPLY_DONE);
    assert_int_equal(position_of(bench).data_revision, 0);
}

/* LMDB takes no such key, also none to delete: the copy must not be given up for it. */
static void a_key_that_is_too_long_for_a_record_is_passed_over(void **state)
{
    struct bench *bench = *state;
    static char key[LONG_KEY_LEN + 1];
    memset(key, 'x', LONG_KEY_LEN);
    add_rev(bench, 101, 6);
    add_put(bench, 101, key, NULL);
    add_put(bench, 101, key, "x");
    add_event(bench, 101, ks_layout_keystore_key(&layout, &bench->arena, key), NULL);

    assert_int_equal(apply(bench), KS_APPLY_DONE);
}

/* ---- A load: pages and events in any order ---- */

#define LOAD_KEYS  6U
#define LOAD_STEPS 24U
#define LOAD_RUNS  200U

/* What one key was at each revision: its mod revision, 0 for absent. */
struct story {
    int64_t at[LOAD_STEPS + 1][LOAD_KEYS];
    size_t changed[LOAD_STEPS + 1]; /* which key; one in each revision */
};

static void tell_story(struct story *story, unsigned *random)
{
    for (size_t r = 1; r <= LOAD_STEPS; r++) {
        memcpy(story->at[r], story->at[r - 1], sizeof(story->at[r]));
        *random = *random * 1103515245U + 12345U;
        size_t key = (*random >> 16) % LOAD_KEYS;
        bool deletes = story->at[r][key] != 0 && (*random >> 20) % 2 == 0;
        story->changed[r] = key;
        story->at[r][key] = deletes ? 0 : 100 + (int64_t)r;
    }
}

static const char *name_of(size_t key)
{
    static const char *const names[LOAD_KEYS] = {"k/0", "k/1", "k/2", "k/3", "k/4", "k/5"};
    return names[key];
}

/* The page of one key as etcd had it after so many steps. */
static void load_page(struct bench *bench, const struct story *story, size_t key, size_t step)
{
    struct ks_copy_write write;
    assert_int_equal(ks_copy_write_begin(bench->copy, &write).code, KS_OK);
    if (story->at[step][key] != 0) {
        ks_result put = ks_copy_put_newer(&write, ks_bytes_of(name_of(key)), KS_LITERAL("x"),
                                          story->at[step][key]);
        assert_int_equal(put.code, KS_OK);
    }
    assert_int_equal(ks_copy_commit(&write).code, KS_OK);
}

static void apply_step(struct bench *bench, const struct story *story, size_t step)
{
    size_t key = story->changed[step];
    add_rev(bench, 100 + (int64_t)step, 5 + (int64_t)step);
    add_put(bench, 100 + (int64_t)step, name_of(key), story->at[step][key] ? "x" : NULL);
    assert_int_equal(apply(bench), KS_APPLY_DONE);
    ks_arena_done(&bench->arena);
}

/* Which state each key's page is of, and after which event the page comes. */
struct pages {
    size_t read_at[LOAD_KEYS];
    size_t comes_at[LOAD_KEYS];
};

static void draw_pages(struct pages *pages, unsigned *random)
{
    for (size_t key = 0; key < LOAD_KEYS; key++) {
        *random = *random * 1103515245U + 12345U;
        pages->read_at[key] = (*random >> 16) % (LOAD_STEPS + 1);
        pages->comes_at[key] = (*random >> 8) % (LOAD_STEPS + 1);
    }
}

static void begin_load(struct bench *bench)
{
    struct ks_copy_write write;
    assert_int_equal(ks_copy_write_begin(bench->copy, &write).code, KS_OK);
    assert_int_equal(ks_copy_clear(&write).code, KS_OK);
    write.position = (struct ks_position){
        .applied = 100, .rev_version = 5, .rev_revision = 100, .loading = true};
    assert_int_equal(ks_copy_commit(&write).code, KS_OK);
}

static void load_what_comes_at(struct bench *bench, const struct story *story,
                               const struct pages *pages, size_t step)
{
    for (size_t key = 0; key < LOAD_KEYS; key++) {
        if (pages->comes_at[key] == step) {
            load_page(bench, story, key, pages->read_at[key]);
        }
    }
}

static void assert_is_the_last_state(struct bench *bench, const struct story *story)
{
    for (size_t key = 0; key < LOAD_KEYS; key++) {
        int64_t revision = 0;
        int64_t wanted = story->at[LOAD_STEPS][key];
        ks_code code = get(bench, name_of(key), &revision);
        assert_int_equal(code, wanted ? KS_OK : KS_NOT_FOUND);
        assert_true(revision == wanted);
    }
}

/* Pages of later states come before their events, and pages of earlier states after them. */
static void pages_and_events_in_any_order_make_the_same_copy(void **state)
{
    struct bench *bench = *state;
    for (unsigned run = 0; run < LOAD_RUNS; run++) {
        unsigned random = run;
        struct story story = {0};
        struct pages pages;
        tell_story(&story, &random);
        draw_pages(&pages, &random);
        begin_load(bench);
        load_what_comes_at(bench, &story, &pages, 0);
        for (size_t step = 1; step <= LOAD_STEPS; step++) {
            apply_step(bench, &story, step);
            load_what_comes_at(bench, &story, &pages, step);
        }
        assert_is_the_last_state(bench, &story);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(puts_and_deletes),
        TEST(a_revision_record_without_a_nonce_is_of_no_form_that_we_know),
        TEST(heartbeats_change_the_list_and_no_data),
        TEST(what_is_longer_than_any_record_is_passed_over),
        TEST(a_jump_of_the_revision_record_means_loss),
        TEST(a_change_without_the_revision_record_means_loss),
        TEST(a_revision_that_goes_back_means_loss),
        TEST(what_is_there_already_is_passed_over),
        TEST(a_watch_is_proven_by_the_anchor),
        TEST(another_history_is_not_applied),
        TEST(a_message_without_events_moves_nothing),
        TEST(pages_and_events_in_any_order_make_the_same_copy),
        TEST(another_cluster_or_epoch_ends_it),
        TEST(keys_of_others_are_passed_over),
        TEST(a_key_that_is_too_long_for_a_record_is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
