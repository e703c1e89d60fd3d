#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/base/mem.h"
#include "pkg/store/store_fixture.h"
#include "services/keystore/operations/quota.h"
#include "services/keystore/worker/worker.h"

#define SMALL     "111122223333"
#define LARGE     "444455556666"
#define KEYS_MAX  3U
#define NOT_YET   KS_CODE_COUNT
#define PERIOD_MS 60000

static struct ks_store *store;
static struct ks_worker *worker; /* never started: the test runs what it would run */
static struct ks_quota *quota;
static char *folder;
static unsigned answer_count;

/* What became of a call, and as the how-many-th it was answered. */
struct call {
    ks_code code;
    unsigned number;
};

static void start_quota(size_t keys_max)
{
    const struct ks_quota_options options = {
        .store = store, .keys_max = keys_max, .worker = worker};
    quota = ks_quota_new(&options);
    answer_count = 0;
}

static int set_up(void **state)
{
    (void)state;
    folder = fixture_folder("quota");
    store = fixture_embedded(folder);
    worker = ks_worker_new("quota", PERIOD_MS);
    start_quota(KEYS_MAX);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ks_quota_free(quota);
    ks_worker_free(worker);
    ks_store_free(store);
    fixture_remove(folder);
    ks_free(folder);
    return 0;
}

/* Puts so many keys of an account, a mutation's fill at a time. */
static void put_keys(const char *account, size_t count)
{
    for (size_t i = 0; i < count;) {
        char keys[KS_STORE_OPS_MAX][64];
        struct ks_store_mutation mutation = {.op_count = 0};
        for (size_t j = 0; j < KS_STORE_OPS_MAX && i < count; j++, i++) {
            snprintf(keys[j], sizeof(keys[j]), "key/%s/%08zu", account, i);
            mutation.ops[mutation.op_count++] =
                (struct ks_store_op){ks_bytes_of(keys[j]), ks_bytes_of("a key")};
        }
        assert_int_equal(fixture_commit(store, &mutation).code, KS_OK);
    }
}

static void answered(void *user, ks_result result)
{
    *(struct call *)user = (struct call){result.code, ++answer_count};
}

static void take(const char *account, int64_t now_ms, struct call *ret_call)
{
    *ret_call = (struct call){.code = NOT_YET};
    ks_quota_take(quota, account, now_ms, answered, ret_call);
}

/* A count may read 100,000 records: a loop's thread must not wait for it. */
static void counts_on_the_workers_thread_only(void **state)
{
    (void)state;
    struct call first;
    struct call second;
    put_keys(SMALL, 1);

    take(SMALL, 5000, &first);
    assert_int_equal(first.code, NOT_YET);
    ks_quota_run(quota, NULL);
    assert_int_equal(first.code, KS_OK);

    take(SMALL, 5001, &second);
    assert_int_equal(second.code, KS_OK);
}

static void an_account_gets_what_is_left_and_no_more(void **state)
{
    (void)state;
    struct call calls[KEYS_MAX];
    struct call more;
    struct call other;
    put_keys(SMALL, 1);

    for (size_t i = 0; i < KEYS_MAX; i++) {
        take(SMALL, 5000, &calls[i]);
    }
    ks_quota_run(quota, NULL);
    take(SMALL, 5000, &more);
    take(LARGE, 5000, &other);
    ks_quota_run(quota, NULL);

    assert_int_equal(calls[0].code, KS_OK);
    assert_int_equal(calls[1].code, KS_OK);
    assert_int_equal(calls[2].code, KS_LIMIT_EXCEEDED);
    assert_int_equal(more.code, KS_LIMIT_EXCEEDED);
    assert_int_equal(other.code, KS_OK);
}

/* To count 100,000 keys for each refusal would let one account keep the worker busy. */
static void a_full_account_is_counted_once_a_second(void **state)
{
    (void)state;
    struct call full;
    struct call soon;
    struct call later;
    put_keys(SMALL, KEYS_MAX);

    take(SMALL, 5000, &full);
    ks_quota_run(quota, NULL);
    const struct ks_store_mutation destroy = {
        .ops = {{.key = KS_LITERAL("key/" SMALL "/00000000")}}, .op_count = 1};
    assert_int_equal(fixture_commit(store, &destroy).code, KS_OK);
    take(SMALL, 5000 + KS_QUOTA_FULL_RECOUNT_MS, &soon);
    take(SMALL, 5001 + KS_QUOTA_FULL_RECOUNT_MS, &later);
    assert_int_equal(later.code, NOT_YET);
    ks_quota_run(quota, NULL);

    assert_int_equal(full.code, KS_LIMIT_EXCEEDED);
    assert_int_equal(soon.code, KS_LIMIT_EXCEEDED);
    assert_int_equal(later.code, KS_OK);
}

/* Promise 6. The large account needs more turns, and each of its turns is a short one. */
static void many_keys_of_one_account_do_not_delay_another(void **state)
{
    (void)state;
    struct call large;
    struct call small;
    ks_quota_free(quota);
    start_quota(2 * KS_QUOTA_STEP);
    put_keys(LARGE, KS_QUOTA_STEP + 1);
    put_keys(SMALL, 1);

    take(LARGE, 5000, &large);
    take(SMALL, 5000, &small);
    ks_quota_run(quota, NULL);

    assert_int_equal(small.number, 1);
    assert_int_equal(large.number, 2);
    assert_int_equal(large.code, KS_OK);
}

/* A count in several turns counts each key once. */
static void counts_exactly_over_several_turns(void **state)
{
    (void)state;
    struct call last;
    struct call over;
    ks_quota_free(quota);
    start_quota(KS_QUOTA_STEP + 1);
    put_keys(LARGE, KS_QUOTA_STEP);

    take(LARGE, 5000, &last);
    take(LARGE, 5000, &over);
    ks_quota_run(quota, NULL);

    assert_int_equal(last.code, KS_OK);
    assert_int_equal(over.code, KS_LIMIT_EXCEEDED);
}

static void account_of(unsigned number, char account[32])
{
    snprintf(account, 32, "%012u", number);
}

static void so_many_accounts_wait_and_no_more(void **state)
{
    (void)state;
    struct call calls[KS_QUOTA_COUNTING_MAX + 1];
    for (unsigned i = 0; i <= KS_QUOTA_COUNTING_MAX; i++) {
        char account[32];
        account_of(i, account);
        take(account, 5000, &calls[i]);
    }
    assert_int_equal(calls[KS_QUOTA_COUNTING_MAX - 1].code, NOT_YET);
    assert_int_equal(calls[KS_QUOTA_COUNTING_MAX].code, KS_UNAVAILABLE);

    ks_quota_run(quota, NULL);

    assert_int_equal(calls[0].code, KS_OK);
    assert_int_equal(calls[KS_QUOTA_COUNTING_MAX - 1].code, KS_OK);
}

#define SHARES (KS_QUOTA_WAITING_MAX / KS_QUOTA_SHARE_MAX)

static void so_many_calls_wait_and_no_more(void **state)
{
    (void)state;
    static struct call calls[KS_QUOTA_WAITING_MAX + 1];
    char account[32];
    for (unsigned i = 0; i <= KS_QUOTA_WAITING_MAX; i++) {
        account_of(i / KS_QUOTA_SHARE_MAX, account);
        take(account, 5000, &calls[i]);
    }
    assert_int_equal(calls[KS_QUOTA_WAITING_MAX - 1].code, NOT_YET);
    assert_int_equal(calls[KS_QUOTA_WAITING_MAX].code, KS_UNAVAILABLE);

    ks_quota_run(quota, NULL);
    account_of(SHARES + 1, account);
    take(account, 5000, &calls[0]);
    assert_int_equal(calls[0].code, NOT_YET);
}

/* Promise 6. Who sends too much is told so; a keystore that has no room would be avoided by all. */
static void the_calls_of_one_account_leave_room_for_others(void **state)
{
    (void)state;
    static struct call greedy[KS_QUOTA_SHARE_MAX + 1];
    struct call modest;
    for (size_t i = 0; i <= KS_QUOTA_SHARE_MAX; i++) {
        take(LARGE, 5000, &greedy[i]);
    }
    take(SMALL, 5000, &modest);
    assert_int_equal(greedy[KS_QUOTA_SHARE_MAX - 1].code, NOT_YET);
    assert_int_equal(greedy[KS_QUOTA_SHARE_MAX].code, KS_THROTTLED);
    assert_int_equal(modest.code, NOT_YET);

    ks_quota_run(quota, NULL);
    assert_int_equal(modest.code, KS_OK);
    assert_int_equal(greedy[0].code, KS_OK);
}

static void calls_that_wait_at_the_end_are_answered(void **state)
{
    (void)state;
    struct call first;
    struct call second;
    take(SMALL, 5000, &first);
    take(LARGE, 5000, &second);

    ks_quota_free(quota);
    quota = NULL;

    assert_int_equal(first.code, KS_UNAVAILABLE);
    assert_int_equal(second.code, KS_UNAVAILABLE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(counts_on_the_workers_thread_only),
        TEST(an_account_gets_what_is_left_and_no_more),
        TEST(a_full_account_is_counted_once_a_second),
        TEST(many_keys_of_one_account_do_not_delay_another),
        TEST(counts_exactly_over_several_turns),
        TEST(so_many_accounts_wait_and_no_more),
        TEST(so_many_calls_wait_and_no_more),
        TEST(the_calls_of_one_account_leave_room_for_others),
        TEST(calls_that_wait_at_the_end_are_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
