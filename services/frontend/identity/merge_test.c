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
static struct fixture_signer *signer;
static struct ks_head_verifier *verifier;
static struct ks_following streams[2];
static int64_t now_ms;
static uint64_t number; /* of the last head */
static struct fixture_set plane;

/* Returns whether the merge wants it opened now, and what it asks for. */
static bool open_source(size_t source, struct ks_follow_position *asked)
{
    KS_BUFFER_AUTO request = {.len_max = KS_FOLLOWING_REQUEST_MAX};
    if (!ks_merge_open(merge, source, now_ms, asked)) {
        return false;
    }
    ks_following_open(&streams[source], asked, &request);
    return true;
}

static void close_source(size_t source)
{
    (void)ks_following_close(&streams[source]);
    ks_merge_closed(merge, source);
}

static int setup(void **state)
{
    (void)state;
    struct ks_follow_position asked;
    rcu = ks_rcu_new(ks_identities_free);
    signer = fixture_signer_new(NULL, NULL);
    assert_int_equal(ks_head_verifier_new(fixture_signer_root(signer), &verifier).code, KS_OK);
    merge = ks_merge_new(rcu, verifier);
    memset(streams, 0, sizeof(streams));
    now_ms = 1000000;
    number = 0;
    assert_true(open_source(A, &asked));
    now_ms += KS_MERGE_LOADER_MS;
    assert_true(open_source(B, &asked));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ks_merge_free(merge);
    ks_rcu_free(rcu);
    ks_head_verifier_free(verifier);
    fixture_signer_free(signer);
    fixture_set_done(&plane);
    plane = (struct fixture_set){.count = 0};
    return 0;
}

static ks_code receive(size_t source, struct fixture_message *message)
{
    KS_BUFFER_AUTO bytes = {.len_max = 1U << 20};
    KS_ARENA_AUTO arena = {.len_max = 1U << 20};
    struct ks_follow_part part;
    fixture_pack(message, &bytes);
    ks_result read = ks_following_read(&streams[source], ks_buffer_bytes(&bytes), &arena, &part);
    return ks_failed(read) ? read.code : ks_merge_received(merge, source, now_ms, &part).code;
}

/* Of a message that several sources bring. */
static struct fixture_message copy_of(const struct fixture_message *from)
{
    struct fixture_message copy = *from;
    for (size_t i = 0; i < copy.count; i++) {
        copy.records[i].value = (struct ks_buffer){.len_max = 4096};
        assert_int_equal(
            ks_buffer_append(&copy.records[i].value, ks_buffer_bytes(&from->records[i].value)).code,
            KS_OK);
    }
    copy.head = (struct ks_buffer){.len_max = KS_HEAD_LEN_MAX};
    assert_int_equal(ks_buffer_append(&copy.head, ks_buffer_bytes(&from->head)).code, KS_OK);
    return copy;
}

static void free_message(struct fixture_message *message)
{
    KS_BUFFER_AUTO bytes = {.len_max = 1U << 20};
    fixture_pack(message, &bytes);
}

/* Control signs its set as it is after the message. */
static void sign(struct fixture_message *message, const char *epoch, int64_t revision)
{
    fixture_apply(message, &plane);
    fixture_set_sign(&plane, signer, epoch, revision, ++number, &message->head);
}

/* All of the plane, after an account was added. */
static struct fixture_message snapshot(const char *epoch, int64_t revision, const char *account)
{
    struct fixture_message message = {.snapshot = true};
    fixture_add_account(&message, account, revision);
    sign(&message, epoch, revision);
    return message;
}

/* A change that adds one account. */
static struct fixture_message change(const char *epoch, int64_t revision, const char *account)
{
    struct fixture_message message = {.snapshot = false};
    fixture_add_account(&message, account, revision);
    sign(&message, epoch, revision);
    return message;
}

static ks_code bring(size_t source, const struct fixture_message *message)
{
    struct fixture_message copy = copy_of(message);
    return receive(source, &copy);
}

static bool has(const char *account)
{
    char key[64];
    (void)snprintf(key, sizeof(key), "account/%s", account);
    KS_RCU_AUTO now = ks_rcu_acquire(rcu);
    return now.version && ks_identities_find(now.version, key, ks_plain_hash(ks_bytes_of(key)));
}

static void assert_at(const char *epoch, int64_t revision)
{
    assert_string_equal(ks_merge_position(merge)->epoch, epoch);
    assert_int_equal(ks_merge_position(merge)->revision, revision);
}

#define ONE   "111111111111"
#define TWO   "222222222222"
#define THREE "333333333333"

static void has_nothing_before_a_snapshot_is_whole(void **state)
{
    (void)state;
    struct fixture_message first = {.snapshot = true};
    struct fixture_message last = {.snapshot = true, .goes_on = true};
    fixture_add_account(&first, ONE, 4);
    fixture_add_account(&last, TWO, 5);
    fixture_apply(&first, &plane);
    sign(&last, "e", 5);

    assert_int_equal(receive(A, &first), KS_OK);
    assert_false(ks_merge_has_version(merge));
    assert_int_equal(receive(A, &last), KS_OK);

    assert_true(ks_merge_has_version(merge));
    assert_true(has(ONE));
    assert_true(has(TWO));
    assert_at("e", 5);
}

static void applies_each_change_once_from_whoever_brings_it_first(void **state)
{
    (void)state;
    struct fixture_message all = snapshot("e", 5, ONE);
    struct fixture_message two = change("e", 6, TWO);
    struct fixture_message three = change("e", 7, THREE);
    struct fixture_message gone = {.snapshot = false};
    fixture_delete(&gone, "account/" THREE, 8);
    sign(&gone, "e", 8);
    assert_int_equal(bring(A, &all), KS_OK);
    assert_int_equal(bring(A, &two), KS_OK);
    assert_int_equal(bring(B, &all), KS_OK); /* B is behind */
    assert_at("e", 6);
    assert_true(has(TWO));

    assert_int_equal(bring(B, &two), KS_OK);
    assert_int_equal(bring(B, &three), KS_OK);
    assert_true(has(THREE));
    assert_int_equal(bring(B, &gone), KS_OK);
    assert_false(has(THREE));
    /* A brings the older change late: the account stays gone. */
    assert_int_equal(bring(A, &three), KS_OK);
    assert_false(has(THREE));
    assert_at("e", 8);
    free_message(&all);
    free_message(&two);
    free_message(&three);
    free_message(&gone);
}

/* A keystore that was away brings all that it missed in one transfer. */
static void takes_a_difference_that_begins_before_what_is_here(void **state)
{
    (void)state;
    struct fixture_message all = snapshot("e", 5, ONE);
    struct fixture_message two = change("e", 6, TWO);
    assert_int_equal(bring(A, &all), KS_OK);
    assert_int_equal(bring(B, &all), KS_OK);
    assert_int_equal(bring(A, &two), KS_OK);
    struct fixture_message both = {.snapshot = false};
    fixture_add_account(&both, TWO, 6);
    fixture_add_account(&both, THREE, 7);
    sign(&both, "e", 7);

    assert_int_equal(receive(B, &both), KS_OK);

    assert_true(has(THREE));
    assert_at("e", 7);
    free_message(&all);
    free_message(&two);
}

static void asks_for_what_comes_after_what_it_has(void **state)
{
    (void)state;
    struct ks_follow_position asked;
    struct fixture_message all = snapshot("e", 5, ONE);
    struct fixture_message two = change("e", 6, TWO);
    assert_int_equal(receive(A, &all), KS_OK);
    close_source(A);

    assert_true(open_source(A, &asked));

    assert_string_equal(asked.epoch, "e");
    assert_int_equal(asked.revision, 5);
    assert_true(asked.number > 0);
    assert_int_equal(receive(A, &two), KS_OK);
    assert_true(has(ONE));
    assert_true(has(TWO));
}

static void forgets_half_a_snapshot_with_its_stream(void **state)
{
    (void)state;
    struct ks_follow_position asked;
    struct fixture_message half = {.snapshot = true};
    fixture_add_account(&half, ONE, 5);
    assert_int_equal(receive(A, &half), KS_OK);
    close_source(A);
    now_ms += KS_MERGE_LOADER_MS;
    assert_true(open_source(A, &asked));
    struct fixture_message all = snapshot("e", 5, TWO);

    assert_int_equal(receive(A, &all), KS_OK);

    assert_false(has(ONE));
    assert_true(has(TWO));
}

/* The control plane was restored; its revisions may be lower now. Its later word counts. */
static void goes_over_to_a_new_epoch_and_never_back(void **state)
{
    (void)state;
    struct fixture_message old = snapshot("old", 50, ONE);
    struct fixture_message older = change("old", 51, THREE);
    struct fixture_message new = snapshot("new", 7, TWO);
    assert_int_equal(bring(A, &old), KS_OK);
    assert_int_equal(bring(B, &old), KS_OK);

    assert_int_equal(bring(B, &new), KS_OK);
    assert_at("new", 7);
    assert_false(has(ONE));

    assert_int_equal(bring(A, &older), KS_OK);
    assert_int_equal(bring(A, &old), KS_OK);
    assert_false(has(ONE));
    assert_false(has(THREE));
    assert_at("new", 7);
    free_message(&old);
    free_message(&older);
    free_message(&new);
}

/* security.md 8: a keystore that was taken over says what control has never said. */
static void takes_nothing_that_control_has_not_signed(void **state)
{
    (void)state;
    struct fixture_signer *liar = fixture_signer_new(NULL, NULL);
    struct fixture_message all = snapshot("e", 5, ONE);
    assert_int_equal(bring(A, &all), KS_OK);

    /* The revision that would hide all that come. */
    struct fixture_message poison = {.snapshot = true};
    struct fixture_set lies = {.count = 0};
    fixture_add_account(&poison, TWO, INT64_MAX - 1);
    fixture_apply(&poison, &lies);
    fixture_set_sign(&lies, liar, "e", INT64_MAX, INT64_MAX, &poison.head);
    assert_int_equal(receive(B, &poison), KS_UNAUTHENTICATED);
    assert_at("e", 5);
    assert_false(has(TWO));

    /* An honest one is heard as if nothing had been. */
    struct fixture_message three = change("e", 6, THREE);
    assert_int_equal(receive(A, &three), KS_OK);
    assert_true(has(THREE));
    fixture_set_done(&lies);
    fixture_signer_free(liar);
    free_message(&all);
}

/*
 * store.md 1, for frontends: control's etcd was put back to where it had revision 6, and has gone on
 * past what frontends have. The revocation at 7 is missing there.
 */
static void refuses_a_control_that_went_back_until_it_has_a_new_epoch(void **state)
{
    (void)state;
    struct fixture_message all = snapshot("e", 5, ONE);
    assert_int_equal(bring(A, &all), KS_OK);
    struct fixture_message revoked = {.snapshot = false};
    fixture_delete(&revoked, "account/" ONE, 7);
    sign(&revoked, "e", 7);
    assert_int_equal(receive(A, &revoked), KS_OK);

    plane.history = "history-2";
    plane.since = 6;
    struct fixture_message back = {.snapshot = true};
    fixture_add_account(&back, ONE, 5);
    fixture_add_account(&back, TWO, 9);
    sign(&back, "e", 9);
    assert_int_equal(bring(B, &back), KS_CONFLICT);
    assert_at("e", 7);
    assert_false(has(ONE));

    ks_buffer_done(&back.head);
    sign(&back, "e2", 9);
    struct ks_follow_position asked;
    close_source(B);
    assert_true(open_source(B, &asked));
    assert_int_equal(receive(B, &back), KS_OK);
    assert_true(has(ONE));
    assert_string_equal(ks_merge_position(merge)->history, "history-2");
    free_message(&all);
}

/* Each carries control's own head, but not the records that it speaks of. */
static void takes_no_other_set_under_a_head_of_controls(void **state)
{
    (void)state;
    struct fixture_message all = snapshot("e", 5, ONE);
    assert_int_equal(bring(A, &all), KS_OK);
    struct fixture_message honest = {.snapshot = false};
    fixture_add_account(&honest, TWO, 6);
    fixture_delete(&honest, "account/" ONE, 6);
    sign(&honest, "e", 6);
    enum { ADDED, ALTERED, LEFT_OUT, KEPT, MOVED, SNAPSHOT, COUNT };
    for (int lie = 0; lie < COUNT; lie++) {
        struct ks_follow_position asked;
        struct fixture_message message = copy_of(&honest);
        switch (lie) {
        case ADDED:
            fixture_add_account(&message, THREE, 6);
            break;
        case ALTERED:
            message.records[0].value.ptr[3] ^= 1;
            break;
        case LEFT_OUT:
            ks_buffer_done(&message.records[1].value);
            message.count = 1;
            break;
        case KEPT:
            message.records[1].deleted = false;
            break;
        case MOVED:
            message.records[0].revision = 5;
            break;
        default:
            message.snapshot = true;
            fixture_add_account(&message, ONE, 5);
            break;
        }

        assert_int_equal(receive(B, &message), KS_UNAUTHENTICATED);

        assert_at("e", 5);
        assert_true(has(ONE));
        assert_false(has(TWO));
        close_source(B);
        assert_true(open_source(B, &asked));
        /* Changes that lead nowhere: everything is asked for. */
        assert_string_equal(asked.epoch, lie == SNAPSHOT ? "e" : "");
        assert_true(asked.number > 0);
    }
    assert_int_equal(receive(A, &honest), KS_OK);
    assert_false(has(ONE));
    assert_true(has(TWO));
    free_message(&all);
}

/* At a first start an old state can be shown; it lasts until anybody knows more. */
static void heals_from_an_old_state_by_the_first_who_knows_more(void **state)
{
    (void)state;
    struct fixture_message old = snapshot("e", 5, ONE);
    struct fixture_message two = change("e", 6, TWO);
    assert_int_equal(receive(A, &old), KS_OK);
    assert_at("e", 5);

    assert_int_equal(receive(B, &two), KS_OK);

    assert_at("e", 6);
    assert_true(has(TWO));
}

/* Else a new frontend would get everything from each keystore at once. */
static void asks_one_at_a_time_until_it_has_a_version(void **state)
{
    (void)state;
    struct ks_follow_position asked;
    close_source(A);
    close_source(B);
    now_ms += KS_MERGE_LOADER_MS;
    assert_true(open_source(A, &asked));
    assert_false(open_source(B, &asked));

    /* While it brings something, others wait; not when it is silent, or gone. */
    now_ms += KS_MERGE_LOADER_MS - 1;
    struct fixture_message half = {.snapshot = true};
    fixture_add_account(&half, ONE, 5);
    assert_int_equal(receive(A, &half), KS_OK);
    now_ms += KS_MERGE_LOADER_MS - 1;
    assert_false(open_source(B, &asked));
    now_ms++;
    assert_true(open_source(B, &asked));
    close_source(B);
    close_source(A);
    assert_true(open_source(B, &asked));
    struct fixture_message all = snapshot("e", 5, ONE);
    assert_int_equal(receive(B, &all), KS_OK);

    assert_true(open_source(A, &asked));
    assert_int_equal(asked.revision, 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(has_nothing_before_a_snapshot_is_whole),
        TEST(applies_each_change_once_from_whoever_brings_it_first),
        TEST(takes_a_difference_that_begins_before_what_is_here),
        TEST(asks_for_what_comes_after_what_it_has),
        TEST(forgets_half_a_snapshot_with_its_stream),
        TEST(goes_over_to_a_new_epoch_and_never_back),
        TEST(takes_nothing_that_control_has_not_signed),
        TEST(refuses_a_control_that_went_back_until_it_has_a_new_epoch),
        TEST(takes_no_other_set_under_a_head_of_controls),
        TEST(heals_from_an_old_state_by_the_first_who_knows_more),
        TEST(asks_one_at_a_time_until_it_has_a_version),
    };
    if (ks_failed(ks_crypto_init(&(struct ks_crypto_options){0}))) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
