#include "pkg/store/engine/engine_suite.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/store/store_fixture.h"

static const struct engine_suite *suite;

/* One store, which a test may close and open again on the same folder. */
struct bench {
    char test_name[32];
    char *folder;
    struct fixture_events events;
    struct ks_store *store;
};

/* The values of this suite that begin with "due " go on with a time. */
static int64_t due_ms(ks_bytes key, ks_bytes value)
{
    char text[32] = "";
    if (!ks_bytes_starts_with(key, KS_LITERAL("request/")) ||
        !ks_bytes_starts_with(value, KS_LITERAL("due ")) || value.len >= sizeof(text)) {
        return 0;
    }
    memcpy(text, value.ptr, value.len);
    return strtoll(text + strlen("due "), NULL, 10);
}

static void bench_open(struct bench *bench)
{
    struct ks_store_options options = {0};
    suite->prepare(&options, bench->test_name);
    options.folder = bench->folder;
    options.due_ms = due_ms;
    fixture_listen(&bench->events, &options);
    assert_int_equal(ks_store_new(&options, &bench->store).code, KS_OK);
}

static int setup(void **state)
{
    static unsigned test_number;
    struct bench *bench = ks_alloc(1, sizeof(*bench));
    snprintf(bench->test_name, sizeof(bench->test_name), "suite-%u", ++test_number);
    bench->folder = fixture_folder(bench->test_name);
    fixture_events_init(&bench->events);
    bench_open(bench);
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;
    ks_store_free(bench->store);
    fixture_remove(bench->folder);
    ks_free(bench->folder);
    ks_free(bench);
    return 0;
}

static void reads_what_was_put(void **state)
{
    struct bench *bench = *state;

    struct fixture_outcome put = fixture_put(bench->store, "key/a", "one", 0);

    assert_int_equal(put.code, KS_OK);
    KS_STORE_VIEW_AUTO view = fixture_serve(bench->store);
    struct ks_store_record record;
    assert_int_equal(ks_store_get(&view, KS_LITERAL("key/a"), &record).code, KS_OK);
    assert_true(ks_bytes_equal(record.value, KS_LITERAL("one")));
    assert_int_equal(record.revision, put.revision);
    assert_true(view.revision >= put.revision);
    assert_int_equal(view.data_revision, put.revision);
    assert_int_equal(ks_store_get(&view, KS_LITERAL("key/b"), &record).code, KS_NOT_FOUND);
}

static void refuses_another_revision(void **state)
{
    struct bench *bench = *state;
    struct fixture_outcome put = fixture_put(bench->store, "key/a", "one", 0);

    assert_int_equal(fixture_put(bench->store, "key/a", "two", 0).code, KS_CONFLICT);
    assert_int_equal(fixture_put(bench->store, "key/a", "two", put.revision - 1).code, KS_CONFLICT);
    assert_int_equal(fixture_put(bench->store, "key/b", "two", 1).code, KS_CONFLICT);
    assert_string_equal(fixture_read(bench->store, "key/a"), "one");
    assert_int_equal(fixture_put(bench->store, "key/a", "two", put.revision).code, KS_OK);
    assert_string_equal(fixture_read(bench->store, "key/a"), "two");
}

static void deletes(void **state)
{
    struct bench *bench = *state;
    struct fixture_outcome put = fixture_put(bench->store, "key/a", "one", 0);

    struct fixture_outcome deleted = fixture_put(bench->store, "key/a", NULL, put.revision);

    assert_int_equal(deleted.code, KS_OK);
    assert_string_equal(fixture_read(bench->store, "key/a"), "");
    KS_STORE_VIEW_AUTO view = fixture_serve(bench->store);
    assert_int_equal(view.data_revision, deleted.revision);
}

static void assert_prefix(struct bench *bench, const char *prefix, int64_t newest, uint64_t count)
{
    KS_STORE_VIEW_AUTO view = fixture_serve(bench->store);
    int64_t got_newest = -1;
    uint64_t got_count = 0;
    assert_int_equal(ks_store_prefix(&view, ks_bytes_of(prefix), &got_newest, &got_count).code,
                     KS_OK);
    assert_int_equal(got_newest, newest);
    assert_int_equal(got_count, count);
}

/* What A's absences and quotas rest on isn't touched by B's changes, and outlives a restart. */
static void knows_the_count_and_the_newest_change_under_a_prefix(void **state)
{
    struct bench *bench = *state;
    struct fixture_outcome a = fixture_put(bench->store, "key/A/1", "one", 0);
    fixture_put(bench->store, "key/B/1", "one", 0);
    struct fixture_outcome b = fixture_put(bench->store, "key/B/2", "two", 0);

    assert_prefix(bench, "key/A/", a.revision, 1);
    assert_prefix(bench, "key/B/", b.revision, 2);
    assert_prefix(bench, "key/", b.revision, 3);

    struct fixture_outcome changed = fixture_put(bench->store, "key/B/2", "2", b.revision);
    assert_prefix(bench, "key/B/", changed.revision, 2);
    struct fixture_outcome deleted = fixture_put(bench->store, "key/B/2", NULL, changed.revision);
    assert_int_equal(deleted.code, KS_OK);
    ks_store_free(bench->store);
    bench_open(bench);

    assert_prefix(bench, "key/A/", a.revision, 1);
    assert_prefix(bench, "key/B/", deleted.revision, 1);
    assert_prefix(bench, "key/", deleted.revision, 2);
}

/* Puts so many records of a directory. */
static void put_many(struct bench *bench, const char *directory, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char key[64];
        snprintf(key, sizeof(key), "%s%02u", directory, i);
        assert_int_equal(fixture_put(bench->store, key, "x", 0).code, KS_OK);
    }
}

static size_t count_told(struct fixture_events *events, const char *prefix)
{
    size_t told = 0;
    pthread_mutex_lock(&events->lock);
    size_t kept =
        events->change_count < FIXTURE_CHANGE_MAX ? events->change_count : FIXTURE_CHANGE_MAX;
    for (size_t i = 0; i < kept; i++) {
        told += strncmp(events->keys[i], prefix, strlen(prefix)) == 0;
    }
    pthread_mutex_unlock(&events->lock);
    return told;
}

/* At one revision; each record that goes is told, and nothing beside the prefix goes. */
static void deletes_a_directory_at_once(void **state)
{
    struct bench *bench = *state;
    put_many(bench, "grant/A/k/", 20);
    put_many(bench, "grant/A/k1/", 2);
    struct ks_store_mutation mutation = {
        .ops = {{KS_LITERAL("key/A/k"), KS_LITERAL("gone")}},
        .op_count = 1,
        .prefixes = {KS_LITERAL("grant/A/k/")},
        .prefix_count = 1,
    };

    struct fixture_outcome outcome = fixture_commit(bench->store, &mutation);

    assert_int_equal(outcome.code, KS_OK);
    assert_string_equal(fixture_read(bench->store, "key/A/k"), "gone");
    assert_string_equal(fixture_read(bench->store, "grant/A/k/07"), "");
    assert_prefix(bench, "grant/A/k/", outcome.revision, 0);
    KS_STORE_VIEW_AUTO view = fixture_serve(bench->store);
    int64_t newest = 0;
    uint64_t count = 0;
    assert_int_equal(ks_store_prefix(&view, KS_LITERAL("grant/A/k1/"), &newest, &count).code,
                     KS_OK);
    assert_int_equal(count, 2);
    assert_int_equal(count_told(&bench->events, "-grant/A/k/"), 20);
    assert_int_equal(count_told(&bench->events, "-grant/A/k1/"), 0);
}

/* A part of a directory, for those who must not delete too much at a time; and one that is empty. */
static void deletes_a_part_of_a_directory(void **state)
{
    struct bench *bench = *state;
    put_many(bench, "grant/A/k/", 12);
    struct ks_store_mutation mutation = {.prefixes = {KS_LITERAL("grant/A/k/0")},
                                         .prefix_count = 1};

    assert_int_equal(fixture_commit(bench->store, &mutation).code, KS_OK);
    assert_string_equal(fixture_read(bench->store, "grant/A/k/09"), "");
    assert_string_equal(fixture_read(bench->store, "grant/A/k/10"), "x");
    assert_int_equal(fixture_commit(bench->store, &mutation).code, KS_OK);
}

struct due {
    char keys[8][32];
    size_t count;
    size_t count_max;
};

static bool note_due(void *user, const struct ks_store_record *record)
{
    struct due *due = user;
    snprintf(due->keys[due->count++], sizeof(due->keys[0]), "%.*s", (int)record->key.len,
             (const char *)record->key.ptr);
    return due->count < due->count_max;
}

static struct due find_due(struct bench *bench, int64_t until_ms, size_t count_max)
{
    struct due due = {.count_max = count_max};
    KS_STORE_VIEW_AUTO view = fixture_serve(bench->store);
    assert_int_equal(
        ks_store_scan_due(&view, KS_LITERAL("request/"), until_ms, note_due, &due).code, KS_OK);
    return due;
}

/* Both sides of the time, in the order of time; a change and a deletion take their old place away. */
static void finds_what_is_due(void **state)
{
    struct bench *bench = *state;
    fixture_put(bench->store, "request/A/1", "due 3000", 0);
    struct fixture_outcome two = fixture_put(bench->store, "request/A/2", "due 1000", 0);
    struct fixture_outcome three = fixture_put(bench->store, "request/B/3", "due 2000", 0);
    fixture_put(bench->store, "request/B/4", "never", 0);
    fixture_put(bench->store, "other/B/5", "due 1", 0);

    assert_int_equal(find_due(bench, 999, 8).count, 0);
    struct due due = find_due(bench, 2000, 8);
    assert_int_equal(due.count, 2);
    assert_string_equal(due.keys[0], "request/A/2");
    assert_string_equal(due.keys[1], "request/B/3");
    assert_int_equal(find_due(bench, 5000, 1).count, 1);

    fixture_put(bench->store, "request/A/2", NULL, two.revision);
    fixture_put(bench->store, "request/B/3", "due 4000", three.revision);
    ks_store_free(bench->store);
    bench_open(bench);
    due = find_due(bench, 5000, 8);
    assert_int_equal(due.count, 2);
    assert_string_equal(due.keys[0], "request/A/1");
    assert_string_equal(due.keys[1], "request/B/3");
}

static void keeps_an_empty_value(void **state)
{
    struct bench *bench = *state;

    assert_int_equal(fixture_put(bench->store, "key/a", "", 0).code, KS_OK);

    KS_STORE_VIEW_AUTO view = fixture_serve(bench->store);
    struct ks_store_record record;
    assert_int_equal(ks_store_get(&view, KS_LITERAL("key/a"), &record).code, KS_OK);
    assert_int_equal(record.value.len, 0);
}

/* A mutation that fails one compare changes nothing at all. */
static void does_all_or_nothing(void **state)
{
    struct bench *bench = *state;
    struct fixture_outcome put = fixture_put(bench->store, "key/a", "one", 0);
    struct ks_store_mutation mutation = {
        .compares = {{KS_LITERAL("key/a"), put.revision}, {KS_LITERAL("key/b"), 77}},
        .compare_count = 2,
        .ops = {{KS_LITERAL("key/a"), KS_LITERAL("two")}, {KS_LITERAL("key/c"), KS_LITERAL("x")}},
        .op_count = 2,
        .request_key = KS_LITERAL("request/1"),
        .request_value = KS_LITERAL("answer"),
    };

    assert_int_equal(fixture_commit(bench->store, &mutation).code, KS_CONFLICT);
    assert_string_equal(fixture_read(bench->store, "key/a"), "one");
    assert_string_equal(fixture_read(bench->store, "key/c"), "");
    assert_string_equal(fixture_read(bench->store, "request/1"), "");

    mutation.compares[1].revision = 0;
    struct fixture_outcome done = fixture_commit(bench->store, &mutation);
    assert_int_equal(done.code, KS_OK);
    assert_string_equal(fixture_read(bench->store, "key/a"), "two");
    assert_string_equal(fixture_read(bench->store, "key/c"), "x");
    assert_string_equal(fixture_read(bench->store, "request/1"), "answer");
}

/* Design, promise 3: the retry gets the stored answer, whatever it carries. */
static void does_a_request_once(void **state)
{
    struct bench *bench = *state;
    struct ks_store_mutation mutation = {
        .compares = {{KS_LITERAL("key/a"), 0}},
        .compare_count = 1,
        .ops = {{KS_LITERAL("key/a"), KS_LITERAL("one")}},
        .op_count = 1,
        .request_key = KS_LITERAL("request/1"),
        .request_value = KS_LITERAL("first answer"),
    };
    struct fixture_outcome first = fixture_commit(bench->store, &mutation);
    assert_int_equal(first.code, KS_OK);

    mutation.ops[0].value = KS_LITERAL("two");
    mutation.request_value = KS_LITERAL("second answer");
    struct fixture_outcome second = fixture_commit(bench->store, &mutation);

    assert_int_equal(second.code, KS_ALREADY_EXISTS);
    assert_int_equal(second.revision, first.revision);
    assert_string_equal(second.stored, "first answer");
    assert_string_equal(fixture_read(bench->store, "key/a"), "one");
}

struct keys {
    char text[256];
    size_t left;
};

static bool add_key(void *user, const struct ks_store_record *record)
{
    struct keys *keys = user;
    size_t used = strlen(keys->text);
    snprintf(keys->text + used, sizeof(keys->text) - used, "%.*s ", (int)record->key.len,
             (const char *)record->key.ptr);
    return --keys->left > 0;
}

static void scans_in_order(void **state)
{
    struct bench *bench = *state;
    const char *const names[] = {"a/2", "a/1", "b/1", "a/3", "a"};
    for (size_t i = 0; i < KS_COUNT(names); i++) {
        assert_int_equal(fixture_put(bench->store, names[i], "x", 0).code, KS_OK);
    }
    KS_STORE_VIEW_AUTO view = fixture_serve(bench->store);

    struct keys all = {.left = 9};
    assert_int_equal(ks_store_scan(&view, KS_LITERAL("a/"), (ks_bytes){0}, add_key, &all).code, 0);
    struct keys after = {.left = 9};
    assert_int_equal(
        ks_store_scan(&view, KS_LITERAL("a/"), KS_LITERAL("a/1"), add_key, &after).code, 0);
    struct keys first = {.left = 1};
    assert_int_equal(ks_store_scan(&view, KS_LITERAL("a/"), (ks_bytes){0}, add_key, &first).code,
                     0);

    assert_string_equal(all.text, "a/1 a/2 a/3 ");
    assert_string_equal(after.text, "a/2 a/3 ");
    assert_string_equal(first.text, "a/1 ");
}

static void a_view_does_not_change(void **state)
{
    struct bench *bench = *state;
    struct fixture_outcome put = fixture_put(bench->store, "key/a", "one", 0);
    KS_STORE_VIEW_AUTO view = fixture_serve(bench->store);

    assert_int_equal(fixture_put(bench->store, "key/a", "two", put.revision).code, KS_OK);

    struct ks_store_record record;
    assert_int_equal(ks_store_get(&view, KS_LITERAL("key/a"), &record).code, KS_OK);
    assert_true(ks_bytes_equal(record.value, KS_LITERAL("one")));
}

static void keeps_everything_over_a_restart(void **state)
{
    struct bench *bench = *state;
    struct fixture_outcome put = fixture_put(bench->store, "key/a", "one", 0);
    struct ks_store_status before;
    ks_store_get_status(bench->store, &before);

    ks_store_free(bench->store);
    bench_open(bench);

    assert_string_equal(fixture_read(bench->store, "key/a"), "one");
    struct ks_store_status after;
    ks_store_get_status(bench->store, &after);
    assert_string_equal(after.keystore_id, before.keystore_id);
    assert_int_equal(after.life, before.life + 1);
    struct fixture_outcome second = fixture_put(bench->store, "key/a", "two", put.revision);
    assert_int_equal(second.code, KS_OK);
    assert_true(second.revision > put.revision);
}

static void tells_of_changes(void **state)
{
    struct bench *bench = *state;
    struct fixture_outcome put = fixture_put(bench->store, "key/a", "one", 0);
    assert_int_equal(fixture_put(bench->store, "key/a", NULL, put.revision).code, KS_OK);

    pthread_mutex_lock(&bench->events.lock);
    size_t count = bench->events.change_count;
    int64_t applied = bench->events.applied;
    pthread_mutex_unlock(&bench->events.lock);

    assert_int_equal(count, 2);
    assert_string_equal(bench->events.keys[0], "key/a");
    assert_string_equal(bench->events.keys[1], "-key/a");
    assert_true(applied > put.revision);
}

static void settles_what_it_serves(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(fixture_put(bench->store, "key/a", "one", 0).code, KS_OK);
    KS_STORE_VIEW_AUTO view = fixture_serve(bench->store);

    assert_int_equal(fixture_settle(bench->store, view.data_revision), KS_OK);
    assert_int_equal(fixture_settle(bench->store, view.revision), KS_OK);
}

static void refuses_a_folder_in_use(void **state)
{
    struct bench *bench = *state;
    struct ks_store_options options = {0};
    suite->prepare(&options, bench->test_name);
    options.folder = bench->folder;
    struct ks_store *second = NULL;

    assert_int_equal(ks_store_new(&options, &second).code, KS_CONFLICT);
    assert_null(second);
}

/* Both sides of the limits of store.h. */
static void refuses_what_is_too_large(void **state)
{
    struct bench *bench = *state;
    KS_AUTO_FREE uint8_t *bytes = ks_alloc(KS_STORE_VALUE_LEN_MAX + 1, 1);
    memset(bytes, 'x', KS_STORE_VALUE_LEN_MAX + 1);
    struct ks_store_mutation mutation = {
        .ops = {{{bytes, KS_STORE_KEY_LEN_MAX}, {bytes, KS_STORE_VALUE_LEN_MAX}}},
        .op_count = 1,
    };

    assert_int_equal(fixture_commit(bench->store, &mutation).code, KS_OK);
    mutation.ops[0].value.len++;
    assert_int_equal(fixture_commit(bench->store, &mutation).code, KS_LIMIT_EXCEEDED);
    mutation.ops[0].value.len--;
    mutation.ops[0].key.len++;
    assert_int_equal(fixture_commit(bench->store, &mutation).code, KS_LIMIT_EXCEEDED);
}

#define CROWD 500U

struct crowd {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t ok_count;
    size_t conflict_count;
    size_t other_count;
};

static void count_outcome(void *user, const struct ks_store_outcome *outcome)
{
    struct crowd *crowd = user;
    pthread_mutex_lock(&crowd->lock);
    size_t *place = outcome->result.code == KS_OK         ? &crowd->ok_count
                    : outcome->result.code == KS_CONFLICT ? &crowd->conflict_count
                                                          : &crowd->other_count;
    ++*place;
    pthread_cond_signal(&crowd->changed);
    pthread_mutex_unlock(&crowd->lock);
}

/* Group commit: of all that want the same key one gets it, and the other mutations don't wait. */
static void one_of_a_crowd_gets_the_key(void **state)
{
    struct bench *bench = *state;
    struct crowd crowd = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    for (unsigned i = 0; i < CROWD; i++) {
        char other[32];
        snprintf(other, sizeof(other), "other/%u", i);
        struct ks_store_mutation mutation = {
            .compares = {{i % 2 ? KS_LITERAL("prize") : ks_bytes_of(other), 0}},
            .compare_count = 1,
            .ops = {{i % 2 ? KS_LITERAL("prize") : ks_bytes_of(other), KS_LITERAL("mine")}},
            .op_count = 1,
        };
        ks_store_commit(bench->store, &mutation, 0, count_outcome, &crowd);
    }

    pthread_mutex_lock(&crowd.lock);
    while (crowd.ok_count + crowd.conflict_count + crowd.other_count < CROWD) {
        pthread_cond_wait(&crowd.changed, &crowd.lock);
    }
    pthread_mutex_unlock(&crowd.lock);

    assert_int_equal(crowd.ok_count, CROWD / 2 + 1);
    assert_int_equal(crowd.conflict_count, CROWD / 2 - 1);
    assert_int_equal(crowd.other_count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int engine_suite_run(const struct engine_suite *which)
{
    suite = which;
    const struct CMUnitTest tests[] = {
        TEST(reads_what_was_put),
        TEST(refuses_another_revision),
        TEST(deletes),
        TEST(knows_the_count_and_the_newest_change_under_a_prefix),
        TEST(deletes_a_directory_at_once),
        TEST(deletes_a_part_of_a_directory),
        TEST(finds_what_is_due),
        TEST(keeps_an_empty_value),
        TEST(does_all_or_nothing),
        TEST(does_a_request_once),
        TEST(scans_in_order),
        TEST(a_view_does_not_change),
        TEST(keeps_everything_over_a_restart),
        TEST(tells_of_changes),
        TEST(settles_what_it_serves),
        TEST(refuses_a_folder_in_use),
        TEST(refuses_what_is_too_large),
        TEST(one_of_a_crowd_gets_the_key),
    };
    return cmocka_run_group_tests_name(which->name, tests, NULL, NULL);
}
