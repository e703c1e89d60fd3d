#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/base/clock.h"
#include "pkg/base/mem.h"
#include "pkg/codec/codec.h"
#include "pkg/rpc/rpc_fixture.h"
#include "pkg/store/store_fixture.h"
#include "services/control/expiry.h"
#include "services/control/records.h"
#include "tests/harness/gauge.h"

#define NOW_MS    1800000000000LL
#define HOUR_MS   3600000LL
#define DAY_MS    (24 * HOUR_MS)
#define MANY      300 /* more than one round removes */
#define VALUE_MAX 512U

static char *folder;
static struct ks_store *store;
/* Stepped only while no round runs; the store's own threads read it at any time. */
static _Atomic int64_t wall_ms;

static int64_t stepped_wall_ms(void *user)
{
    return atomic_load((const _Atomic int64_t *)user);
}

static _Atomic int64_t boot_ms; /* steps with wall_ms, unless the clock is wrong */

static int64_t stepped_boot_ns(void *user)
{
    (void)user;
    return boot_ms * KS_NS_PER_MS;
}

static const struct ks_clock the_clock = {stepped_boot_ns, stepped_wall_ms, &wall_ms};

static void pass(int64_t ms)
{
    wall_ms += ms;
    boot_ms += ms;
}

static int open_store(void **state)
{
    (void)state;
    folder = fixture_folder("expiry");
    wall_ms = NOW_MS;
    boot_ms = DAY_MS;
    store = fixture_embedded_at(folder, &the_clock);
    return 0;
}

static int close_store(void **state)
{
    (void)state;
    ks_store_free(store);
    fixture_remove(folder);
    ks_free(folder);
    return 0;
}

static void put(const char *key, const ProtobufCMessage *record)
{
    KS_BUFFER_AUTO packed = {.len_max = VALUE_MAX};
    assert_int_equal(ks_codec_pack(record, &packed).code, KS_OK);
    const struct ks_store_mutation mutation = {
        .ops = {{ks_bytes_of(key), ks_buffer_bytes(&packed)}}, .op_count = 1};
    assert_int_equal(fixture_commit(store, &mutation).code, KS_OK);
}

static void put_certificate(const char *key, uint32_t format, int64_t not_after_ms)
{
    Keystead__Storage__V1__CertificateRecord record =
        KEYSTEAD__STORAGE__V1__CERTIFICATE_RECORD__INIT;
    record.format = format;
    record.not_after_ms = not_after_ms;
    put(key, &record.base);
}

static void put_request(const char *key, uint32_t format, int64_t created_at_ms)
{
    Keystead__Storage__V1__RequestRecord record = KEYSTEAD__STORAGE__V1__REQUEST_RECORD__INIT;
    record.format = format;
    record.created_at_ms = created_at_ms;
    put(key, &record.base);
}

static bool stands(const char *key)
{
    KS_STORE_VIEW_AUTO view = {0};
    struct ks_store_record record;
    assert_int_equal(ks_store_peek(store, &view).code, KS_OK);
    ks_result r = ks_store_get(&view, ks_bytes_of(key), &record);
    assert_true(r.code == KS_OK || r.code == KS_NOT_FOUND);
    return r.code == KS_OK;
}

static void post_semaphore(void *arg)
{
    sem_post(arg);
}

/* The first round, to its end: what it asked of the store comes before this commit. */
static void run_one_round(void)
{
    struct ks_expiry *expiry = ks_expiry_new(store, fixture_loop);
    sem_t done;
    sem_init(&done, 0, 0);
    ks_rpc_loop_post(fixture_loop, post_semaphore, &done);
    sem_wait(&done);
    ks_expiry_free(expiry);
    const struct ks_store_mutation marker = {.ops = {{KS_LITERAL("marker"), KS_LITERAL("x")}},
                                             .op_count = 1};
    assert_int_equal(fixture_commit(store, &marker).code, KS_OK);
    sem_destroy(&done);
}

/* Its record says that it was revoked: it goes only when nothing can come of that any more. */
static void a_certificate_goes_a_day_after_its_end(void **state)
{
    (void)state;
    put_certificate("certificate/a0", 1, NOW_MS - DAY_MS - 1);
    put_certificate("certificate/a1", 1, NOW_MS - DAY_MS);
    put_certificate("certificate/a2", 1, NOW_MS + DAY_MS);

    run_one_round();

    assert_false(stands("certificate/a0"));
    assert_true(stands("certificate/a1"));
    assert_true(stands("certificate/a2"));
}

static void a_request_goes_after_a_day(void **state)
{
    (void)state;
    put_request("request/a0", 1, NOW_MS - DAY_MS - 1);
    put_request("request/a1", 1, NOW_MS - DAY_MS);
    put_request("request/a2", 1, NOW_MS);

    run_one_round();

    assert_false(stands("request/a0"));
    assert_true(stands("request/a1"));
    assert_true(stands("request/a2"));
}

static void what_stays_goes_when_its_time_has_come(void **state)
{
    (void)state;
    put_certificate("certificate/a0", 1, NOW_MS + HOUR_MS);
    run_one_round();
    assert_true(stands("certificate/a0"));

    pass(HOUR_MS + DAY_MS + 1);
    run_one_round();

    assert_false(stands("certificate/a0"));
}

/* The sequence of the review: +32 days, and every certificate of a default life was gone. */
static void a_clock_that_steps_removes_nothing_for_three_days(void **state)
{
    (void)state;
    put_certificate("certificate/a0", 1, NOW_MS + 30 * DAY_MS);
    put_request("request/a0", 1, NOW_MS);
    wall_ms += 32 * DAY_MS;
    for (int hour = 0; hour < 72; hour++) {
        run_one_round();
        assert_true(stands("certificate/a0"));
        assert_true(stands("request/a0"));
        pass(HOUR_MS);
    }
    pass(HOUR_MS);
    run_one_round();
    assert_false(stands("certificate/a0"));
    assert_false(stands("request/a0"));
}

static void a_clock_that_is_set_right_in_time_has_removed_nothing(void **state)
{
    (void)state;
    put_certificate("certificate/a0", 1, NOW_MS + 30 * DAY_MS);
    put_request("request/a0", 1, NOW_MS);
    wall_ms += 32 * DAY_MS;
    run_one_round();
    pass(20 * HOUR_MS);
    run_one_round();
    wall_ms -= 32 * DAY_MS;
    pass(5 * HOUR_MS);
    run_one_round();
    assert_true(stands("certificate/a0"));
    assert_false(stands("request/a0")); /* its day is over by now */
}

/* A version that comes after this one may know what it is. */
static void what_can_not_be_read_stays(void **state)
{
    (void)state;
    put_certificate("certificate/a0", 2, 1);
    put_request("request/a0", 2, 1);
    assert_int_equal(fixture_put(store, "certificate/a1", "garbage", 0).code, KS_OK);
    assert_int_equal(fixture_put(store, "request/a1", "garbage", 0).code, KS_OK);

    run_one_round();

    assert_true(stands("certificate/a0"));
    assert_true(stands("request/a0"));
    assert_true(stands("certificate/a1"));
    assert_true(stands("request/a1"));
}

static void accounts_and_users_stay(void **state)
{
    (void)state;
    put_certificate("account/111122223333", 1, 1);
    put_certificate("user/111122223333/alice", 1, 1);

    run_one_round();

    assert_true(stands("account/111122223333"));
    assert_true(stands("user/111122223333/alice"));
}

static size_t count_expired(void)
{
    size_t count = 0;
    for (int i = 0; i < MANY; i++) {
        char key[32];
        snprintf(key, sizeof(key), "certificate/%04x", (unsigned)i);
        count += stands(key);
        snprintf(key, sizeof(key), "request/%04x", (unsigned)i);
        count += stands(key);
    }
    return count;
}

/* One kind does not wait until the other one is done, and no round waits for the next ten minutes. */
static void more_than_a_round_takes_goes_soon(void **state)
{
    (void)state;
    for (int i = 0; i < MANY; i++) {
        char key[32];
        snprintf(key, sizeof(key), "certificate/%04x", (unsigned)i);
        put_certificate(key, 1, 1);
        snprintf(key, sizeof(key), "request/%04x", (unsigned)i);
        put_request(key, 1, 1);
    }
    run_one_round();
    size_t after_one = count_expired();
    assert_true(after_one > 0);
    assert_true(after_one < MANY);

    for (int i = 0; i < MANY; i++) {
        char key[32];
        snprintf(key, sizeof(key), "certificate/%04x", (unsigned)i);
        put_certificate(key, 1, 1);
    }
    struct ks_expiry *expiry = ks_expiry_new(store, fixture_loop);
    await_true(count_expired() == 0);
    ks_expiry_free(expiry);
}

int main(void)
{
#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, open_store, close_store)
    const struct CMUnitTest tests[] = {
        WITH_STORE(a_certificate_goes_a_day_after_its_end),
        WITH_STORE(a_request_goes_after_a_day),
        WITH_STORE(what_stays_goes_when_its_time_has_come),
        WITH_STORE(a_clock_that_steps_removes_nothing_for_three_days),
        WITH_STORE(a_clock_that_is_set_right_in_time_has_removed_nothing),
        WITH_STORE(what_can_not_be_read_stays),
        WITH_STORE(accounts_and_users_stay),
        WITH_STORE(more_than_a_round_takes_goes_soon),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
