/* What keystores stream, in the orders in which it may come. A is source 0, B is source 1. */
#include "services/frontend/identity/merge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "keystead/internal/v1/internal.pb-c.h"
#include "pkg/base/hash.h"
#include "pkg/codec/codec.h"
#include "pkg/rcu/rcu.h"
#include "services/frontend/identity/identities.h"
#include "services/frontend/identity/identity_fixture.h"

#define A 0
#define B 1

static struct ks_rcu *rcu;
static struct ks_merge *merge;
static struct ks_following streams[2];

static void open_source(size_t source)
{
    KS_BUFFER_AUTO request = {.len_max = KS_FOLLOWING_REQUEST_MAX};
    ks_merge_opened(merge, source);
    ks_following_open(&streams[source], ks_merge_position(merge), &request);
}

static void close_source(size_t source)
{
    (void)ks_following_close(&streams[source]);
    ks_merge_closed(merge, source);
}

static int setup(void **state)
{
    (void)state;
    rcu = ks_rcu_new(ks_identities_free);
    merge = ks_merge_new(rcu);
    memset(streams, 0, sizeof(streams));
    open_source(A);
    open_source(B);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ks_merge_free(merge);
    ks_rcu_free(rcu);
    return 0;
}

static ks_code receive(size_t source, struct fixture_message *message)
{
    KS_BUFFER_AUTO bytes = {.len_max = 1U << 20};
    KS_ARENA_AUTO arena = {.len_max = 1U << 20};
    struct ks_follow_part part;
    fixture_pack(message, &bytes);
    ks_result read = ks_following_read(&streams[source], ks_buffer_bytes(&bytes), &arena, &part);
    return ks_failed(read) ? read.code : ks_merge_received(merge, source, &part).code;
}

/* A whole snapshot with one account. */
static ks_code snapshot(size_t source, const char *epoch, int64_t revision, const char *account)
{
    struct fixture_message message = {
        .epoch = epoch, .revision = revision, .snapshot = true, .snapshot_end = true};
    fixture_add_account(&message, account);
    return receive(source, &message);
}

/* A revision that adds one account. */
static ks_code revision(size_t source, const char *epoch, int64_t number, const char *account)
{
    struct fixture_message message = {.epoch = epoch, .revision = number};
    fixture_add_account(&message, account);
    return receive(source, &message);
}

static bool has(const char *account)
{
    char key[64];
    (void)snprintf(key, sizeof(key), "account/%s", account);
    KS_RCU_AUTO now = ks_rcu_acquire(rcu);
    return now.version && ks_identities_find(now.version, key, ks_plain_hash(ks_bytes_of(key)));
}

static void assert_at(const char *epoch, int64_t number)
{
    assert_string_equal(ks_merge_position(merge)->epoch, epoch);
    assert_int_equal(ks_merge_position(merge)->revision, number);
}

#define ONE   "111111111111"
#define TWO   "222222222222"
#define THREE "333333333333"

static void has_nothing_before_a_snapshot_is_whole(void **state)
{
    (void)state;
    struct fixture_message part = {.epoch = "e", .revision = 5, .snapshot = true};
    fixture_add_account(&part, ONE);
    assert_int_equal(receive(A, &part), KS_OK);
    assert_false(ks_merge_has_version(merge));

    assert_int_equal(snapshot(A, "e", 5, TWO), KS_OK);

    assert_true(ks_merge_has_version(merge));
    assert_true(has(ONE));
    assert_true(has(TWO));
    assert_at("e", 5);
}

static void applies_each_revision_once_from_whoever_brings_it_first(void **state)
{
    (void)state;
    assert_int_equal(snapshot(A, "e", 5, ONE), KS_OK);
    assert_int_equal(snapshot(B, "e", 4, ONE), KS_OK); /* B is behind */
    assert_at("e", 5);

    assert_int_equal(revision(A, "e", 6, TWO), KS_OK);
    assert_int_equal(revision(B, "e", 5, ONE), KS_OK);
    assert_int_equal(revision(B, "e", 6, TWO), KS_OK);
    assert_at("e", 6);
    assert_int_equal(revision(B, "e", 7, THREE), KS_OK);
    assert_at("e", 7);
    assert_true(has(THREE));

    struct fixture_message gone = {.epoch = "e", .revision = 8};
    fixture_delete(&gone, "account/" THREE);
    assert_int_equal(receive(B, &gone), KS_OK);
    assert_false(has(THREE));
    /* A brings the older revision late: the account stays gone. */
    assert_int_equal(revision(A, "e", 7, THREE), KS_OK);
    assert_false(has(THREE));
    assert_at("e", 8);
}

static void takes_a_later_snapshot(void **state)
{
    (void)state;
    assert_int_equal(snapshot(A, "e", 5, ONE), KS_OK);

    assert_int_equal(snapshot(B, "e", 9, TWO), KS_OK);

    assert_at("e", 9);
    assert_false(has(ONE));
    assert_true(has(TWO));
}

static void asks_for_what_comes_after_what_it_has(void **state)
{
    (void)state;
    assert_int_equal(snapshot(A, "e", 5, ONE), KS_OK);
    close_source(A);

    open_source(A);

    assert_string_equal(streams[A].position.epoch, "e");
    assert_int_equal(streams[A].position.revision, 5);
    /* It goes on without a snapshot. */
    assert_int_equal(revision(A, "e", 6, TWO), KS_OK);
    assert_true(has(ONE));
    assert_true(has(TWO));
}

static void forgets_half_a_snapshot_with_its_stream(void **state)
{
    (void)state;
    struct fixture_message part = {.epoch = "e", .revision = 5, .snapshot = true};
    fixture_add_account(&part, ONE);
    assert_int_equal(receive(A, &part), KS_OK);
    close_source(A);
    open_source(A);

    assert_int_equal(snapshot(A, "e", 5, TWO), KS_OK);

    assert_false(has(ONE));
    assert_true(has(TWO));
}

/* The control plane was restored; its revisions may be lower now. */
static void goes_over_to_a_new_epoch_with_the_first_keystore(void **state)
{
    (void)state;
    assert_int_equal(snapshot(A, "old", 50, ONE), KS_OK);
    assert_int_equal(snapshot(B, "old", 50, ONE), KS_OK);

    assert_int_equal(snapshot(B, "new", 7, TWO), KS_OK);
    assert_at("new", 7);
    assert_false(has(ONE));

    /* A is still in the old epoch: nothing of that counts any more. */
    assert_int_equal(revision(A, "old", 51, THREE), KS_OK);
    assert_false(has(THREE));
    close_source(A);
    open_source(A);
    assert_int_equal(snapshot(A, "old", 51, THREE), KS_OK);
    assert_at("new", 7);

    assert_int_equal(snapshot(A, "new", 8, THREE), KS_OK);
    assert_at("new", 8);
}

/* Who has never had our epoch may be behind or ahead; it moves us only if nobody else has ours. */
static void stays_in_an_epoch_that_somebody_has(void **state)
{
    (void)state;
    assert_int_equal(snapshot(A, "one", 5, ONE), KS_OK);
    assert_int_equal(snapshot(B, "two", 5, TWO), KS_OK);
    assert_at("one", 5);

    close_source(A);
    assert_int_equal(snapshot(B, "two", 6, TWO), KS_OK);
    assert_at("two", 6);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(has_nothing_before_a_snapshot_is_whole),
        TEST(applies_each_revision_once_from_whoever_brings_it_first),
        TEST(takes_a_later_snapshot),
        TEST(asks_for_what_comes_after_what_it_has),
        TEST(forgets_half_a_snapshot_with_its_stream),
        TEST(goes_over_to_a_new_epoch_with_the_first_keystore),
        TEST(stays_in_an_epoch_that_somebody_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
