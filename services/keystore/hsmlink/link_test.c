#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "pkg/crypto/crypto.h"
#include "services/keystore/hsmlink/link.h"
#include "tests/fakes/hsm.h"
#include "tests/harness/gauge.h"

#define MANY 1000U

static char socket_path[64];
static struct ks_fake_hsm *hsm;
static struct ks_hsm_link *hsm_link;
static struct gauge lives = GAUGE_INIT;
static struct gauge losses = GAUGE_INIT;
static struct gauge answered = GAUGE_INIT;
static struct gauge failed = GAUGE_INIT;

static void connected(void *user, uint64_t life)
{
    (void)user;
    gauge_set(&lives, (int)life);
}

static void lost(void *user)
{
    (void)user;
    gauge_raise(&losses);
}

static int set_up(void **state)
{
    (void)state;
    static unsigned counter;
    const struct ks_crypto_options crypto = {.fips = false};
    assert_int_equal(ks_crypto_init(&crypto).code, KS_OK);
    gauge_reset(&lives);
    gauge_reset(&losses);
    gauge_reset(&answered);
    gauge_reset(&failed);
    snprintf(socket_path, sizeof(socket_path), "/tmp/keystead-%d-l%u.sock", (int)getpid(),
             ++counter);
    hsm = ks_fake_hsm_new(NULL, socket_path, "ap-seoul-1", "ap-seoul-1a");
    const struct ks_hsm_link_options options = {
        .socket_path = socket_path, .on_connected = connected, .on_lost = lost};
    assert_int_equal(ks_hsm_link_new(&options, &hsm_link).code, KS_OK);
    assert_int_equal(ks_hsm_link_start(hsm_link).code, KS_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ks_hsm_link_free(hsm_link);
    hsm_link = NULL;
    ks_fake_hsm_free(hsm);
    hsm = NULL;
    unlink(socket_path);
    return 0;
}

static void done(void *user, ks_result result, const INTERNAL(HsmReply) * reply)
{
    size_t len = (size_t)(uintptr_t)user;
    bool good = !ks_failed(result) && reply->plaintext.len == len;
    if (!good) {
        gauge_raise(&failed);
    }
    gauge_raise(&answered);
}

static void is_corrupt(void *user, ks_result result, const INTERNAL(HsmReply) * reply)
{
    (void)user;
    (void)reply;
    if (result.code != KS_CORRUPT) {
        gauge_raise(&failed);
    }
    gauge_raise(&answered);
}

/* Asks for len random bytes, so that an answer shows which question it belongs to. */
static void ask_for(size_t len, ks_hsm_done_fn done_fn)
{
    INTERNAL(HsmGenerateRandom) generate = INTERNAL_NEW(HSM_GENERATE_RANDOM);
    generate.number_of_bytes = (uint32_t)len;
    INTERNAL(HsmRequest) request = INTERNAL_NEW(HSM_REQUEST);
    request.operation_case = INTERNAL_ENUM(HSM_REQUEST__OPERATION_GENERATE_RANDOM);
    request.generate_random = &generate;
    ks_hsm_link_ask(hsm_link, &(struct ks_hsm_ask){.message = &request}, done_fn,
                    (void *)(uintptr_t)len);
}

static void ask(size_t len)
{
    ask_for(len, done);
}

/* Asks, in 4 KiB, for what the hsm refuses: the blob is none. */
static void ask_long(size_t len)
{
    static uint8_t zeros[4096];
    INTERNAL(HsmDecrypt) decrypt = INTERNAL_NEW(HSM_DECRYPT);
    decrypt.blob = (ProtobufCBinaryData){.len = sizeof(zeros), .data = zeros};
    INTERNAL(HsmRequest) request = INTERNAL_NEW(HSM_REQUEST);
    request.operation_case = INTERNAL_ENUM(HSM_REQUEST__OPERATION_DECRYPT);
    request.decrypt = &decrypt;
    ks_hsm_link_ask(hsm_link, &(struct ks_hsm_ask){.message = &request}, done,
                    (void *)(uintptr_t)len);
}

/* Asks whether these records are authentic. They are not, so each answer is CORRUPT. */
static void ask_about(struct ks_about *const *about, size_t count)
{
    INTERNAL(HsmCheckRecords) check = INTERNAL_NEW(HSM_CHECK_RECORDS);
    INTERNAL(HsmRequest) request = INTERNAL_NEW(HSM_REQUEST);
    request.operation_case = INTERNAL_ENUM(HSM_REQUEST__OPERATION_CHECK_RECORDS);
    request.check_records = &check;
    const struct ks_hsm_ask ask = {&request, about, count};
    ks_hsm_link_ask(hsm_link, &ask, is_corrupt, NULL);
}

static void open_link(void)
{
    gauge_await(&lives, 1);
    ks_hsm_link_open(hsm_link, (uint64_t)gauge_read(&lives));
    assert_true(ks_hsm_link_is_open(hsm_link));
}

static void nothing_passes_before_the_link_is_opened(void **state)
{
    (void)state;
    gauge_await(&lives, 1);
    ask(8);
    assert_int_equal(gauge_read(&answered), 1);
    assert_int_equal(gauge_read(&failed), 1);
    assert_int_equal(ks_fake_hsm_request_count(hsm), 0);

    ks_hsm_link_open(hsm_link, (uint64_t)gauge_read(&lives) + 1);
    assert_false(ks_hsm_link_is_open(hsm_link));
}

static void each_answer_goes_to_its_question(void **state)
{
    (void)state;
    open_link();
    for (size_t i = 1; i <= MANY; i++) {
        ask(i);
    }
    gauge_await(&answered, MANY);
    assert_int_equal(gauge_read(&failed), 0);
    assert_int_equal(ks_fake_hsm_request_count(hsm), MANY);
}

/* What comes while frames are on their way goes into the next one. */
static void requests_collect_while_the_hsm_is_busy(void **state)
{
    (void)state;
    open_link();
    ks_fake_hsm_hang(hsm, true);
    for (size_t i = 1; i <= MANY; i++) {
        ask(i);
    }
    ks_fake_hsm_hang(hsm, false);
    gauge_await(&answered, MANY);
    assert_int_equal(gauge_read(&failed), 0);
    assert_true(ks_fake_hsm_batch_count(hsm) <= MANY / 20);
    assert_true(ks_fake_hsm_batch_count(hsm) >= MANY / KS_HSM_LINK_BATCH_MAX);
}

/* A message of items is one frame, and one wake of link and hsm. */
static void what_is_held_goes_in_one_frame(void **state)
{
    (void)state;
    open_link();
    size_t before = ks_fake_hsm_batch_count(hsm);
    ks_hsm_link_hold(hsm_link);
    for (size_t i = 1; i <= 100; i++) {
        ask(i);
    }
    usleep(20000);
    assert_int_equal(ks_fake_hsm_batch_count(hsm), before);
    ks_hsm_link_release(hsm_link);

    gauge_await(&answered, 100);
    assert_int_equal(ks_fake_hsm_batch_count(hsm), before + 1);
    uint64_t requests = 0;
    uint64_t frames = 0;
    ks_hsm_link_counts(hsm_link, &requests, &frames);
    assert_int_equal(requests, ks_fake_hsm_request_count(hsm));
    assert_int_equal(frames, ks_fake_hsm_batch_count(hsm));
}

/* Several hold at a time, and the hsm answers meanwhile: nothing is left behind. */
static void *hold_and_ask(void *unused)
{
    (void)unused;
    for (size_t i = 0; i < 200; i++) {
        ks_hsm_link_hold(hsm_link);
        for (size_t j = 1; j <= 10; j++) {
            ask(j);
        }
        ks_hsm_link_release(hsm_link);
    }
    return NULL;
}

static void nothing_that_was_held_is_forgotten(void **state)
{
    (void)state;
    open_link();
    pthread_t threads[3];
    for (size_t i = 0; i < KS_COUNT(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, hold_and_ask, NULL), 0);
    }
    for (size_t i = 0; i < KS_COUNT(threads); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    gauge_await(&answered, 3 * 200 * 10);
    assert_int_equal(gauge_read(&failed), 0);
}

/* Loops whose holds overlap for ever: what one of them has collected goes when it releases. */
static void a_hold_that_lasts_keeps_no_other_from_being_answered(void **state)
{
    (void)state;
    open_link();
    ks_hsm_link_hold(hsm_link); /* the first loop */
    ks_hsm_link_hold(hsm_link); /* the second one */
    ask(8);
    ks_hsm_link_release(hsm_link);

    gauge_await(&answered, 1);
    ks_hsm_link_release(hsm_link);
}

static struct gauge entered = GAUGE_INIT;
static struct gauge let_go = GAUGE_INIT;

static void done_when_let_go(void *user, ks_result result, const INTERNAL(HsmReply) * reply)
{
    gauge_raise(&entered);
    gauge_await(&let_go, 1);
    done(user, result, reply);
}

/* A message of items wakes the hsm, and not the link's thread first. */
static void what_is_released_goes_out_without_the_thread_of_the_link(void **state)
{
    (void)state;
    open_link();
    gauge_reset(&entered);
    gauge_reset(&let_go);
    ask_for(8, done_when_let_go);
    gauge_await(&entered, 1); /* the link's thread is busy */
    size_t before = ks_fake_hsm_request_count(hsm);

    ks_hsm_link_hold(hsm_link);
    ask(16);
    ks_hsm_link_release(hsm_link);
    for (int i = 0; i < GAUGE_WAIT_MS && ks_fake_hsm_request_count(hsm) == before; i++) {
        usleep(1000);
    }

    assert_int_equal(ks_fake_hsm_request_count(hsm), before + 1);
    assert_int_equal(gauge_read(&answered), 0);
    gauge_set(&let_go, 1);
    gauge_await(&answered, 2);
    assert_int_equal(gauge_read(&failed), 0);
}

/* More than the socket takes while the hsm hangs: no caller waits, and all of it goes out later. */
static void a_hung_hsm_stops_no_caller(void **state)
{
    (void)state;
    open_link();
    ask(1);
    gauge_await(&answered, 1);
    ks_fake_hsm_hang(hsm, true);
    for (size_t i = 0; i < 10; i++) {
        ks_hsm_link_hold(hsm_link);
        for (size_t j = 0; j < 200; j++) {
            ask_long(8);
        }
        ks_hsm_link_release(hsm_link);
    }

    ks_fake_hsm_hang(hsm, false); /* a caller that waited would never come here */
    gauge_await(&answered, 1 + 10 * 200);
    assert_int_equal(gauge_read(&failed), 10 * 200); /* the hsm refuses each of them, by itself */
}

static struct gauge deferred_runs = GAUGE_INIT;
static struct gauge answered_before = GAUGE_INIT;

static void after_replies(void *unused)
{
    (void)unused;
    gauge_set(&answered_before, gauge_read(&answered));
    gauge_raise(&deferred_runs);
}

static void done_and_defer(void *user, ks_result result, const INTERNAL(HsmReply) * reply)
{
    assert_true(ks_hsm_link_is_current(hsm_link));
    if (gauge_read(&answered) == 0) {
        ks_hsm_link_defer(hsm_link, after_replies, NULL);
    }
    done(user, result, reply);
}

static void what_is_deferred_runs_after_all_replies_of_a_frame(void **state)
{
    (void)state;
    open_link();
    gauge_reset(&deferred_runs);
    INTERNAL(HsmGenerateRandom) generate = INTERNAL_NEW(HSM_GENERATE_RANDOM);
    generate.number_of_bytes = 8;
    INTERNAL(HsmRequest) request = INTERNAL_NEW(HSM_REQUEST);
    request.operation_case = INTERNAL_ENUM(HSM_REQUEST__OPERATION_GENERATE_RANDOM);
    request.generate_random = &generate;
    ks_hsm_link_hold(hsm_link);
    for (size_t i = 0; i < 50; i++) {
        ks_hsm_link_ask(hsm_link, &(struct ks_hsm_ask){.message = &request}, done_and_defer,
                        (void *)(uintptr_t)8);
    }
    ks_hsm_link_release(hsm_link);

    gauge_await(&deferred_runs, 1);
    assert_int_equal(gauge_read(&answered_before), 50);
    assert_int_equal(gauge_read(&deferred_runs), 1);
    assert_false(ks_hsm_link_is_current(hsm_link));
}

static void a_lost_hsm_fails_what_waits_and_is_connected_again(void **state)
{
    (void)state;
    open_link();
    ask(1); /* the hsm has taken the connection */
    gauge_await(&answered, 1);
    ks_fake_hsm_hang(hsm, true);
    for (size_t i = 2; i <= 100; i++) {
        ask(i);
    }
    ks_fake_hsm_restart(hsm);
    ks_fake_hsm_hang(hsm, false);

    gauge_await(&answered, 100);
    gauge_await(&losses, 1);
    gauge_await(&lives, 2);
    assert_false(ks_hsm_link_is_open(hsm_link));
    int before = gauge_read(&failed);
    open_link();
    ask(5);
    gauge_await(&answered, 101);
    assert_int_equal(gauge_read(&failed), before);
}

static void too_many_requests_are_throttled_at_once(void **state)
{
    (void)state;
    open_link();
    ks_fake_hsm_hang(hsm, true);
    for (size_t i = 0; i < KS_HSM_LINK_PENDING_MAX + 10; i++) {
        ask(16);
    }
    /* What was on its way before it hung may have been answered. */
    gauge_await(&failed, 1);
    ks_fake_hsm_hang(hsm, false);
    gauge_await(&answered, KS_HSM_LINK_PENDING_MAX + 10);
    assert_true(gauge_read(&failed) <= 10);
}

/* The process ends: nobody waits for ever. */
static void whoever_waits_is_answered_when_the_link_is_freed(void **state)
{
    (void)state;
    open_link();
    ks_fake_hsm_hang(hsm, true);
    for (size_t i = 1; i <= 10; i++) {
        ask(i);
    }
    ks_hsm_link_free(hsm_link);
    hsm_link = NULL;
    assert_int_equal(gauge_read(&answered), 10);
    ks_fake_hsm_hang(hsm, false);
}

/*
 * A frame carries a record once, whichever of its requests name it, also twice in one request; and
 * the next frame carries it again. Would a place or a length be wrong, the hsm would close.
 */
static void requests_of_a_frame_share_their_records(void **state)
{
    (void)state;
    KS_ARENA_AUTO arena = {.len_max = 4U * 1024U * 1024U};
    static uint8_t bytes[100000];
    struct ks_about *one = NULL;
    struct ks_about *two = NULL;
    open_link();
    assert_int_equal(ks_about_new(KS_LITERAL("key/1"), KS_LITERAL("x"), &arena, &one).code, KS_OK);
    assert_int_equal(
        ks_about_new(KS_LITERAL("key/2"), (ks_bytes){bytes, sizeof(bytes)}, &arena, &two).code,
        KS_OK);
    struct ks_about *const both[] = {one, two, one, two};
    enum { ROUNDS = 3, REQUESTS = 40 };
    for (int round = 0; round < ROUNDS; round++) {
        ks_hsm_link_hold(hsm_link);
        for (int i = 0; i < REQUESTS; i++) {
            ask_about(both + i % 2, 1 + (size_t)(i % 3));
        }
        ask_long(1);
        ks_hsm_link_release(hsm_link);
        gauge_await(&answered, (round + 1) * (REQUESTS + 1));
    }
    assert_int_equal(gauge_read(&failed), ROUNDS); /* the long ones, which are refused */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_passes_before_the_link_is_opened),
        TEST(each_answer_goes_to_its_question),
        TEST(requests_collect_while_the_hsm_is_busy),
        TEST(what_is_held_goes_in_one_frame),
        TEST(requests_of_a_frame_share_their_records),
        TEST(nothing_that_was_held_is_forgotten),
        TEST(a_hold_that_lasts_keeps_no_other_from_being_answered),
        TEST(what_is_released_goes_out_without_the_thread_of_the_link),
        TEST(a_hung_hsm_stops_no_caller),
        TEST(what_is_deferred_runs_after_all_replies_of_a_frame),
        TEST(a_lost_hsm_fails_what_waits_and_is_connected_again),
        TEST(too_many_requests_are_throttled_at_once),
        TEST(whoever_waits_is_answered_when_the_link_is_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
