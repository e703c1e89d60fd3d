/*
 * Two stores of which one has an older file, or was loaded from an etcd with older records. Each has
 * the guard of real keystores; MACs are looked at by neither.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/authentic/authentic.h"
#include "pkg/base/mem.h"
#include "pkg/crypto/crypto.h"
#include "pkg/store/store_fixture.h"
#include "services/keystore/compare/answer.h"
#include "services/keystore/compare/digests.h"
#include "services/keystore/records/guard.h"

#define KEY       "key/111122223333/a"
#define GONE      "gone/" KEY
#define OTHER     "key/111122223333/b"
#define LEN_MAX   (4U << 20)
#define FOUND_MAX 8U
#define MANY      2000U /* long names, of more than one answer's length */

struct side {
    char *folder;
    struct ks_store *store;
};

static struct side here;  /* the one that starts, and asks */
static struct side there; /* the one that has been running */
static char found[FOUND_MAX][64];
static size_t found_count;

static void open_side(struct side *side)
{
    const struct ks_store_options options = {
        .engine = KS_STORE_EMBEDDED,
        .folder = side->folder,
        .database_bytes_max = 256U << 20,
        .guard = ks_record_guard,
        .ordinal_of = ks_record_ordinal,
    };
    assert_int_equal(ks_store_new(&options, &side->store).code, KS_OK);
}

static int set_up(void **state)
{
    (void)state;
    here.folder = fixture_folder("here");
    there.folder = fixture_folder("there");
    open_side(&here);
    open_side(&there);
    found_count = 0;
    return 0;
}

static void close_side(struct side *side)
{
    ks_store_free(side->store);
    fixture_remove(side->folder);
    ks_free(side->folder);
}

static int tear_down(void **state)
{
    (void)state;
    close_side(&here);
    close_side(&there);
    return 0;
}

static ks_code put(struct side *side, const char *key, uint64_t counter)
{
    static const uint8_t mac[KS_AUTHENTIC_MAC_LEN] = {1};
    KS_BUFFER_AUTO value = {.len_max = 1024};
    const struct ks_authentic record = {
        .body = KS_LITERAL("body"), .counter = counter, .generation = 1, .mac = mac};
    assert_int_equal(ks_authentic_write(&record, &value).code, KS_OK);
    const struct ks_store_mutation mutation = {.ops = {{ks_bytes_of(key), ks_buffer_bytes(&value)}},
                                               .op_count = 1};
    return fixture_commit(side->store, &mutation).code;
}

static void put_both(const char *key, uint64_t counter)
{
    assert_int_equal(put(&here, key, counter), KS_OK);
    assert_int_equal(put(&there, key, counter), KS_OK);
}

static void on_found(void *user, ks_bytes name)
{
    (void)user;
    assert_true(found_count < FOUND_MAX);
    snprintf(found[found_count++], sizeof(found[0]), "%.*s", (int)name.len, (const char *)name.ptr);
}

static struct ks_compare_outcome ask_from(uint32_t bucket)
{
    struct ks_compare_outcome outcome = {.found_count = 0};
    KS_BUFFER_AUTO request = {.len_max = LEN_MAX};
    KS_BUFFER_AUTO response = {.len_max = LEN_MAX};
    assert_int_equal(ks_compare_ask(here.store, bucket, &request).code, KS_OK);
    assert_int_equal(ks_compare_answer(there.store, ks_buffer_bytes(&request), &response).code,
                     KS_OK);
    assert_true(response.len < KS_COMPARE_ANSWER_LEN + 64U * 1024U);
    assert_int_equal(
        ks_compare_take(here.store, ks_buffer_bytes(&response), on_found, NULL, &outcome).code,
        KS_OK);
    return outcome;
}

static ks_code read_here(const char *key)
{
    KS_STORE_VIEW_AUTO view = {0};
    struct ks_store_record record;
    assert_int_equal(ks_store_peek(here.store, &view).code, KS_OK);
    return ks_store_get(&view, ks_bytes_of(key), &record).code;
}

/* Revisions rise by one with each put: a later one here makes room for theirs. */
static void advance(struct side *side)
{
    for (unsigned i = 0; i < 4; i++) {
        const struct ks_store_mutation mutation = {.ops = {{KS_LITERAL("filler"), KS_LITERAL("x")}},
                                                   .op_count = 1};
        assert_int_equal(fixture_commit(side->store, &mutation).code, KS_OK);
    }
}

static void an_older_record_is_found_and_read_by_nobody(void **state)
{
    (void)state;
    put_both(KEY, 1);
    put_both(OTHER, 7);
    assert_int_equal(put(&there, KEY, 2), KS_OK);
    advance(&here);

    struct ks_compare_outcome outcome = ask_from(0);

    assert_int_equal(outcome.found_count, 1);
    assert_int_equal(found_count, 1);
    assert_string_equal(found[0], KEY);
    assert_int_equal(read_here(KEY), KS_CORRUPT);
    assert_int_equal(read_here(OTHER), KS_OK);
    assert_int_not_equal(put(&here, KEY, 2), KS_OK); /* the guard knows it, too */
    assert_int_equal(put(&here, KEY, 3), KS_OK);
}

static void what_is_the_same_is_not_told(void **state)
{
    (void)state;
    put_both(KEY, 3);
    put_both(GONE, 4);
    put_both(OTHER, 7);

    struct ks_compare_outcome outcome = ask_from(0);

    assert_int_equal(outcome.next_bucket, KS_COMPARE_BUCKETS);
    assert_int_equal(outcome.found_count + outcome.ahead_count + found_count, 0);
    KS_BUFFER_AUTO request = {.len_max = LEN_MAX};
    KS_BUFFER_AUTO response = {.len_max = LEN_MAX};
    assert_int_equal(ks_compare_ask(here.store, 0, &request).code, KS_OK);
    assert_int_equal(ks_compare_answer(there.store, ks_buffer_bytes(&request), &response).code,
                     KS_OK);
    assert_true(response.len < 16);
}

/* The log brings it: nothing is wrong with a copy that is not so far yet. */
static void a_later_change_is_no_older_record(void **state)
{
    (void)state;
    put_both(KEY, 1);
    assert_int_equal(put(&there, KEY, 2), KS_OK);

    struct ks_compare_outcome outcome = ask_from(0);

    assert_int_equal(outcome.ahead_count, 1);
    assert_int_equal(outcome.found_count, 0);
    assert_int_equal(read_here(KEY), KS_OK);
    assert_int_equal(put(&here, KEY, 2), KS_OK);
}

/* A lower counter is never believed, whoever says it. */
static void a_keystore_that_knows_less_changes_nothing(void **state)
{
    (void)state;
    put_both(KEY, 1);
    assert_int_equal(put(&here, KEY, 5), KS_OK);
    advance(&here);

    struct ks_compare_outcome outcome = ask_from(0);

    assert_int_equal(outcome.found_count, 0);
    assert_int_equal(read_here(KEY), KS_OK);
    assert_int_not_equal(put(&here, KEY, 5), KS_OK);
}

/* Its tombstone was taken away, and the key put back. */
static void a_destroyed_key_is_found(void **state)
{
    (void)state;
    put_both(KEY, 1);
    assert_int_equal(put(&there, GONE, 2), KS_OK);
    advance(&here);

    ask_from(0);

    assert_int_equal(found_count, 1);
    assert_string_equal(found[0], GONE);
    assert_int_not_equal(put(&here, KEY, 2), KS_OK);
}

static void a_key_that_is_destroyed_here_already_is_none(void **state)
{
    (void)state;
    put_both(KEY, 1);
    assert_int_equal(put(&here, GONE, 2), KS_OK);
    here.store = (ks_store_free(here.store), NULL);
    open_side(&here); /* and remembers the key no more */
    advance(&here);

    struct ks_compare_outcome outcome = ask_from(0);

    assert_int_equal(outcome.found_count, 0);
}

static void put_many(struct side *side)
{
    static const uint8_t mac[KS_AUTHENTIC_MAC_LEN] = {1};
    KS_BUFFER_AUTO value = {.len_max = 1024};
    const struct ks_authentic record = {
        .body = KS_LITERAL("body"), .counter = 1, .generation = 1, .mac = mac};
    assert_int_equal(ks_authentic_write(&record, &value).code, KS_OK);
    for (unsigned i = 0; i < MANY; i += KS_STORE_OPS_MAX) {
        char names[KS_STORE_OPS_MAX][KS_STORE_KEY_LEN_MAX];
        struct ks_store_mutation mutation = {.op_count = KS_STORE_OPS_MAX};
        for (unsigned k = 0; k < KS_STORE_OPS_MAX; k++) {
            snprintf(names[k], sizeof(names[k]), "key/111122223333/%0350u", i + k);
            mutation.ops[k] = (struct ks_store_op){ks_bytes_of(names[k]), ks_buffer_bytes(&value)};
        }
        assert_int_equal(fixture_commit(side->store, &mutation).code, KS_OK);
    }
}

static void many_differences_come_in_several_answers(void **state)
{
    (void)state;
    struct ks_compare_outcome outcome = {.next_bucket = 0};
    size_t total = 0;
    size_t questions = 0;
    put_many(&there);
    while (outcome.next_bucket < KS_COMPARE_BUCKETS) {
        outcome = ask_from(outcome.next_bucket);
        total += outcome.ahead_count + outcome.found_count;
        questions++;
    }
    assert_int_equal(total, MANY);
    assert_true(questions > 1);
}

static void what_is_no_question_is_refused(void **state)
{
    (void)state;
    KS_BUFFER_AUTO response = {.len_max = LEN_MAX};
    assert_int_equal(ks_compare_answer(there.store, KS_LITERAL("x"), &response).code,
                     KS_VALIDATION);
    assert_int_equal(ks_compare_answer(there.store, (ks_bytes){0}, &response).code, KS_VALIDATION);
    struct ks_compare_outcome outcome;
    assert_int_equal(ks_compare_take(here.store, KS_LITERAL("x"), on_found, NULL, &outcome).code,
                     KS_VALIDATION);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_older_record_is_found_and_read_by_nobody),
        TEST(what_is_the_same_is_not_told),
        TEST(a_later_change_is_no_older_record),
        TEST(a_keystore_that_knows_less_changes_nothing),
        TEST(a_destroyed_key_is_found),
        TEST(a_key_that_is_destroyed_here_already_is_none),
        TEST(many_differences_come_in_several_answers),
        TEST(what_is_no_question_is_refused),
    };
    const struct ks_crypto_options options = {0};
    assert_int_equal(ks_crypto_init(&options).code, KS_OK);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
