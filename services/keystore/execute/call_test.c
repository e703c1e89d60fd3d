/* A call whose arena is full: whatever it does next, it is refused, and nobody is asked. */
#include "services/keystore/execute/call.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "keystead/kms/v1/keys.pb-c.h"
#include "pkg/crypto/crypto.h"
#include "services/keystore/execute/trust.h"

#define ARENA_LEN 4096U
#define TOO_MUCH  (2U * ARENA_LEN)

static struct ks_call call;
static ks_code code;
static size_t answers;
static size_t commits;

static ks_result serve(void *store, struct ks_store_view *ret_view)
{
    (void)store;
    *ret_view = (struct ks_store_view){.revision = 1};
    return KS_RES(OK);
}

static void close_view(struct ks_store_view *view)
{
    *view = (struct ks_store_view){0};
}

static void settle(void *store, int64_t revision, void (*done)(void *user, ks_result result),
                   void *user)
{
    (void)store;
    (void)revision;
    done(user, KS_RES(OK));
}

static void commit(void *store, const struct ks_store_mutation *mutation,
                   void (*done)(void *user, const struct ks_store_outcome *outcome), void *user)
{
    (void)store;
    (void)mutation;
    (void)done;
    (void)user;
    commits++;
}

static const struct ks_attempt_store store = {
    .serve = serve, .close = close_view, .settle = settle, .commit = commit};

static void done(struct ks_attempt *attempt)
{
    code = attempt->result.code;
    answers++;
}

/* Runs `run` as the operation of a call with little room, and gives the answer's code. */
static ks_code answer_of(void (*run)(struct ks_attempt *attempt))
{
    static struct ks_execute_env env;
    static struct ks_attempt_steps steps;
    env.attempts = (struct ks_attempt_env){.functions = &store, .clock = &ks_clock_system};
    steps = (struct ks_attempt_steps){.run = run, .done = done};
    answers = 0;
    commits = 0;
    call = (struct ks_call){
        .env = &env, .arena = {.len_max = ARENA_LEN}, .beyond = {.len_max = KS_CALL_BEYOND_MAX}};
    call.attempt = (struct ks_attempt){
        .env = &env.attempts,
        .steps = &steps,
        .user = &call,
        .arena = &call.arena,
        .view = &call.view,
        .response = {.len_max = KS_CALL_RESPONSE_MAX},
    };
    ks_attempt_start(&call.attempt, NULL);
    assert_int_equal(answers, 1);
    ks_attempt_done(&call.attempt);
    ks_arena_done(&call.arena);
    ks_arena_done(&call.beyond);
    return code;
}

/* The memory is there all the same, so that no step has to look. */
static void fill(void)
{
    uint8_t *place = ks_call_alloc(&call, TOO_MUCH, 1);
    assert_int_equal(place[0] | place[TOO_MUCH - 1], 0);
    memset(place, 1, TOO_MUCH);
    assert_true(call.is_full);
    static const uint8_t bytes[TOO_MUCH] = {7};
    assert_int_equal(ks_call_dup(&call, (ks_bytes){bytes, sizeof(bytes)})[0], 7);
    assert_false(ks_call_has_room(&call, 1));
}

static void reply(struct ks_attempt *attempt)
{
    (void)attempt;
    const KMS(DisableKeyResponse) response = KMS_NEW(DISABLE_KEY_RESPONSE);
    ks_call_reply(&call, &response.base);
}

static void fill_and_reply(struct ks_attempt *attempt)
{
    fill();
    reply(attempt);
}

static void fill_and_fail(struct ks_attempt *attempt)
{
    (void)attempt;
    fill();
    ks_call_fail_text(&call, KS_NOT_FOUND, "Key '%s' does not exist", "x");
}

static void fill_and_commit(struct ks_attempt *attempt)
{
    (void)attempt;
    const KMS(DisableKeyResponse) response = KMS_NEW(DISABLE_KEY_RESPONSE);
    KS_CHANGE_AUTO change = {.result = KS_RES(OK)};
    fill();
    ks_call_commit(&call, &change, &response.base);
}

static void never(struct ks_call *asked, ks_result result, const INTERNAL(HsmReply) * answer)
{
    (void)asked;
    (void)result;
    (void)answer;
    fail_msg("the hsm was asked");
}

static void fill_and_ask(struct ks_attempt *attempt)
{
    (void)attempt;
    INTERNAL(HsmRequest) request = INTERNAL_NEW(HSM_REQUEST);
    fill();
    ks_call_ask(&call, &request, never);
}

static void rest_on_too_long_a_record(struct ks_attempt *attempt)
{
    static const uint8_t value[TOO_MUCH] = {0};
    static struct ks_trust *trust;
    trust = ks_trust_new();
    struct ks_execute_env env = *call.env;
    env.trust = trust;
    const struct ks_execute_env *before = call.env;
    call.env = &env;
    const struct ks_store_record record = {KS_LITERAL("key/x"), {value, sizeof(value)}, 1};
    ks_call_rest_on_record(&call, &record);
    call.env = before;
    ks_trust_free(trust);
    reply(attempt);
}

static void a_call_with_room_is_answered(void **state)
{
    (void)state;
    assert_int_equal(answer_of(reply), KS_OK);
}

static void a_call_whose_arena_is_full_is_refused_whatever_it_does_next(void **state)
{
    (void)state;
    assert_int_equal(answer_of(fill_and_reply), KS_INTERNAL);
    assert_int_equal(answer_of(fill_and_fail), KS_INTERNAL);
    assert_int_equal(answer_of(fill_and_ask), KS_INTERNAL);
    assert_int_equal(answer_of(fill_and_commit), KS_INTERNAL);
    assert_int_equal(answer_of(rest_on_too_long_a_record), KS_INTERNAL);
    assert_int_equal(commits, 0);
}

static int set_up(void **state)
{
    (void)state;
    const struct ks_crypto_options options = {.fips = false};
    return ks_failed(ks_crypto_init(&options)) ? -1 : 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_with_room_is_answered),
        cmocka_unit_test(a_call_whose_arena_is_full_is_refused_whatever_it_does_next),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
