/*
 * Attempts on a fake store: what it answers is set by the test, its calls return at once or when the
 * test says so, and pauses pass when the test steps over them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "keystead/admin/v1/admin.pb-c.h"
#include "pkg/attempt/attempt.h"
#include "pkg/base/mem.h"
#include "pkg/codec/codec.h"
#include "pkg/crypto/crypto.h"
#include "pkg/operation/bounds.h"
#include "pkg/record/record.h"

#define NOW_MS       1800000000000LL
#define BUFFER_MAX   4096U
#define ARENA_MAX    65536U
#define CHANGED_NAME "thing"

typedef Keystead__Admin__V1__CreateUserRequest create_user;

/* ---- A store with one request's record and one thing ---- */

static struct fake {
    bool window_shut;
    bool holds;              /* settles and commits wait for `release` */
    ks_code settles;         /* what a settle comes to */
    ks_code commits;         /* OK: done; CONFLICT, UNAVAILABLE, ...: not */
    unsigned conflicts_left; /* commits that meet another change first */
    bool lost_answer;        /* a commit is done, and its outcome UNAVAILABLE */
    unsigned get_failures;

    char name[KS_STORE_KEY_LEN_MAX + 1]; /* of the request's record; "": there is none */
    uint8_t value[BUFFER_MAX];
    size_t value_len;
    int64_t revision;

    unsigned views_open;
    unsigned commit_count;
    unsigned done_count; /* things that were changed */
    int64_t settled_revision;

    /* Held. */
    void (*settle_done)(void *user, ks_result result);
    void (*commit_done)(void *user, const struct ks_store_outcome *outcome);
    void *held_user;
    struct ks_store_outcome held_outcome;

    /* A pause. */
    void (*paused)(void *argument);
    void *paused_argument;
    int64_t pauses_ms[KS_ATTEMPT_TRIES_MAX];
    size_t pause_count;
    int64_t now_ms;
} fake;

static ks_result fake_serve(void *store, struct ks_store_view *ret_view)
{
    assert_ptr_equal(store, &fake);
    if (fake.window_shut) {
        return KS_RES(UNAVAILABLE);
    }
    fake.views_open++;
    *ret_view = (struct ks_store_view){.snapshot = &fake, .revision = 7, .data_revision = 7};
    return KS_RES(OK);
}

static void fake_close(struct ks_store_view *view)
{
    fake.views_open -= view->snapshot ? 1U : 0U;
}

static ks_result fake_get(const struct ks_store_view *view, ks_bytes key,
                          struct ks_store_record *ret_record)
{
    assert_ptr_equal(view->snapshot, &fake);
    if (fake.get_failures > 0) {
        return KS_RES(CORRUPT);
    }
    if (fake.name[0] == '\0' || !ks_bytes_equal(key, ks_bytes_of(fake.name))) {
        return KS_RES(NOT_FOUND);
    }
    *ret_record =
        (struct ks_store_record){key, (ks_bytes){fake.value, fake.value_len}, fake.revision};
    return KS_RES(OK);
}

static void fake_settle(void *store, int64_t revision, void (*done)(void *user, ks_result result),
                        void *user)
{
    assert_ptr_equal(store, &fake);
    fake.settled_revision = revision;
    if (fake.holds) {
        fake.settle_done = done;
        fake.held_user = user;
        return;
    }
    done(user, (ks_result){fake.settles});
}

static struct ks_store_outcome carry_out(const struct ks_store_mutation *mutation)
{
    if (fake.name[0] != '\0' && ks_bytes_equal(mutation->request_key, ks_bytes_of(fake.name))) {
        return (struct ks_store_outcome){KS_RES(ALREADY_EXISTS), fake.revision,
                                         (ks_bytes){fake.value, fake.value_len}};
    }
    if (fake.conflicts_left > 0) {
        fake.conflicts_left--;
        return (struct ks_store_outcome){.result = KS_RES(CONFLICT)};
    }
    if (fake.commits != KS_OK) {
        return (struct ks_store_outcome){.result = {fake.commits}};
    }
    assert_true(mutation->request_key.len < sizeof(fake.name));
    assert_true(mutation->request_value.len <= sizeof(fake.value));
    memcpy(fake.name, mutation->request_key.ptr, mutation->request_key.len);
    memcpy(fake.value, mutation->request_value.ptr, mutation->request_value.len);
    fake.value_len = mutation->request_value.len;
    fake.revision = 8;
    fake.done_count++;
    return (struct ks_store_outcome){.result = {fake.lost_answer ? KS_UNAVAILABLE : KS_OK},
                                     .revision = 8};
}

static void fake_commit(void *store, const struct ks_store_mutation *mutation,
                        void (*done)(void *user, const struct ks_store_outcome *outcome),
                        void *user)
{
    assert_ptr_equal(store, &fake);
    fake.commit_count++;
    const struct ks_store_outcome outcome = carry_out(mutation);
    if (fake.holds) {
        fake.commit_done = done;
        fake.held_user = user;
        fake.held_outcome = outcome;
        return;
    }
    done(user, &outcome);
}

static void later(void *user, int64_t delay_ms, void (*fn)(void *argument), void *argument)
{
    assert_ptr_equal(user, &fake);
    assert_null(fake.paused);
    assert_int_equal(fake.views_open, 0);
    fake.pauses_ms[fake.pause_count++] = delay_ms;
    fake.paused = fn;
    fake.paused_argument = argument;
}

/* The pause is over; false: there is none. */
static bool step(void)
{
    void (*fn)(void *) = fake.paused;
    fake.paused = NULL;
    if (fn) {
        fn(fake.paused_argument);
    }
    return fn != NULL;
}

static int64_t wall_ms(void *user)
{
    return ((const struct fake *)user)->now_ms;
}

static const struct ks_clock the_clock = {.wall_ms = wall_ms, .user = &fake};
static const struct ks_attempt_store functions = {
    .serve = fake_serve,
    .close = fake_close,
    .get = fake_get,
    .settle = fake_settle,
    .commit = fake_commit,
};
static const struct ks_attempt_env env = {.functions = &functions,
                                          .store = &fake,
                                          .clock = &the_clock,
                                          .later = later,
                                          .later_user = &fake};

/* ---- An owner, whose operation changes one thing and answers which run it was ---- */

static struct owner {
    struct ks_attempt attempt;
    struct ks_arena arena;
    struct ks_store_view view;
    create_user request;
    bool denies;
    bool reads;
    ks_code refuses; /* OK: it does not */
    unsigned runs;
    unsigned answers;
    ks_code code;
    char text[128];
    char response[16];
} owner;

static bool admit(struct ks_attempt *attempt)
{
    assert_int_equal(fake.views_open, 1);
    if (owner.denies) {
        ks_attempt_fail(attempt, KS_ACCESS_DENIED, NULL);
    }
    return !owner.denies;
}

static void run(struct ks_attempt *attempt)
{
    assert_int_equal(fake.views_open, 1);
    owner.runs++;
    ks_attempt_rest_on(attempt, 5);
    ks_attempt_rest_on(attempt, 4);
    if (owner.refuses != KS_OK) {
        ks_attempt_fail(attempt, owner.refuses, "a reason");
        return;
    }
    char text[16];
    snprintf(text, sizeof(text), "run %u", owner.runs);
    assert_int_equal(attempt->response.len, 0); /* nothing is left of an earlier try */
    assert_int_equal(ks_buffer_append(&attempt->response, ks_bytes_of(text)).code, KS_OK);
    if (owner.reads) {
        ks_attempt_reply(attempt);
        return;
    }
    KS_CHANGE_AUTO change = {.result = KS_RES(OK)};
    ks_change_delete(&change, KS_LITERAL(CHANGED_NAME));
    ks_attempt_commit(attempt, &change, "key-1");
}

static void done(struct ks_attempt *attempt)
{
    assert_int_equal(attempt->state, KS_ATTEMPT_DONE);
    assert_int_equal(fake.views_open, 0);
    owner.answers++;
    owner.code = attempt->result.code;
    snprintf(owner.text, sizeof(owner.text), "%s", attempt->text ? attempt->text : "");
    ks_bytes response = ks_buffer_bytes(&attempt->response);
    snprintf(owner.response, sizeof(owner.response), "%.*s", (int)response.len,
             response.ptr ? (const char *)response.ptr : "");
    ks_attempt_done(attempt);
    ks_arena_done(&owner.arena);
}

static const struct ks_attempt_steps steps = {.admit = admit, .run = run, .done = done};

static int set_up(void **state)
{
    (void)state;
    memset(&fake, 0, sizeof(fake));
    fake.now_ms = NOW_MS;
    memset(&owner, 0, sizeof(owner));
    return 0;
}

/* A request of one principal and method. The owner's runs are counted on. */
static void start(const char *user_name, char *request_id)
{
    owner.answers = 0;
    owner.code = KS_CODE_COUNT;
    owner.arena.len_max = ARENA_MAX;
    owner.attempt = (struct ks_attempt){.env = &env,
                                        .steps = &steps,
                                        .user = &owner,
                                        .arena = &owner.arena,
                                        .view = &owner.view,
                                        .response = {.len_max = BUFFER_MAX}};
    owner.request = (create_user)KEYSTEAD__ADMIN__V1__CREATE_USER_REQUEST__INIT;
    owner.request.user_name = ks_lend_text(user_name);
    owner.request.request_id = request_id;
    const struct ks_attempt_identity identity = {
        .principal = "p",
        .method = "/m",
        .record_prefix = KS_LITERAL("request/"),
        .request = &owner.request.base,
    };
    ks_attempt_start(&owner.attempt, owner.reads ? NULL : &identity);
    assert_ptr_equal(owner.request.request_id, request_id);
}

#define assert_answer(the_code, the_response)                                                      \
    do {                                                                                           \
        assert_string_equal(ks_code_name(owner.code), the_code);                                   \
        assert_string_equal(owner.response, the_response);                                         \
        assert_int_equal(owner.answers, 1);                                                        \
    } while (0)

/* ---- Claims ---- */

static void a_mutation_is_committed_with_its_record(void **state)
{
    (void)state;
    start("alice", (char[]){"r-1"});

    assert_answer("OK", "run 1");
    assert_int_equal(fake.done_count, 1);
    /* printf '\0\0\0\001p\0\0\0\002/m\0\0\0\003r-1' | sha256sum */
    assert_string_equal(fake.name,
                        "request/575eb64a0e2758685205e13ae378934a3ae9240ac388f069f8460eaec791b77a");
    KS_ARENA_AUTO arena = {.len_max = ARENA_MAX};
    ProtobufCMessage *message = NULL;
    assert_int_equal(ks_record_read(STORED_TYPE(request_record),
                                    (ks_bytes){fake.value, fake.value_len}, &arena, &message)
                         .code,
                     KS_OK);
    const STORED(RequestRecord) *record = (const STORED(RequestRecord) *)message;
    assert_int_equal(record->created_at_ms, NOW_MS);
    assert_string_equal(record->key_id, "key-1");
    assert_true(ks_bytes_equal(ks_bytes_in(record->response), KS_LITERAL("run 1")));
}

static void a_retry_gets_the_first_answer_once_that_is_settled(void **state)
{
    (void)state;
    start("alice", (char[]){"r-1"});

    start("alice", (char[]){"r-1"});

    assert_answer("OK", "run 1");
    assert_int_equal(owner.runs, 1);
    assert_int_equal(fake.done_count, 1);
    assert_int_equal(fake.settled_revision, 8); /* of the record, whatever was looked at before */
}

/* Both were on their way: the second one finds no record in its view, and one in the store. */
static void a_retry_that_overtakes_its_view_gets_the_first_answer(void **state)
{
    (void)state;
    start("alice", (char[]){"r-1"});
    uint8_t value[BUFFER_MAX];
    memcpy(value, fake.value, fake.value_len);
    const struct ks_store_outcome stands = {.result = KS_RES(ALREADY_EXISTS),
                                            .stored = {value, fake.value_len}};
    fake.name[0] = '\0';
    fake.holds = true;
    start("alice", (char[]){"r-1"});
    assert_int_equal(owner.answers, 0);

    fake.commit_done(fake.held_user, &stands);

    assert_answer("OK", "run 1");
    assert_int_equal(owner.runs, 2);
}

static void the_same_id_with_other_parameters_is_a_conflict(void **state)
{
    (void)state;
    start("alice", (char[]){"r-1"});

    start("bob", (char[]){"r-1"});

    assert_answer("CONFLICT", "");
    assert_string_equal(owner.text, "The request_id was used before, with other parameters.");
    assert_int_equal(fake.done_count, 1);
}

/* A caller that may not see the key must not see an earlier answer about it either. */
static void a_caller_that_is_denied_gets_no_earlier_answer(void **state)
{
    (void)state;
    start("alice", (char[]){"r-1"});
    owner.denies = true;

    start("alice", (char[]){"r-1"});

    assert_answer("ACCESS_DENIED", "");
}

static void an_unknown_outcome_is_found_out_by_the_retry(void **state)
{
    (void)state;
    fake.lost_answer = true;
    start("alice", (char[]){"r-1"});
    assert_string_equal(ks_code_name(owner.code), "UNAVAILABLE");
    assert_int_equal(owner.answers, 1);
    fake.lost_answer = false;

    start("alice", (char[]){"r-1"});

    assert_answer("OK", "run 1");
    assert_int_equal(owner.runs, 1);
    assert_int_equal(fake.done_count, 1);
}

static void a_conflict_begins_again_after_a_pause(void **state)
{
    (void)state;
    fake.conflicts_left = 1;
    start("alice", (char[]){"r-1"});
    assert_int_equal(owner.answers, 0);
    assert_int_equal(owner.runs, 1);

    assert_true(step());

    assert_answer("OK", "run 2");
    assert_int_equal(fake.pause_count, 1);
    assert_int_equal(fake.pauses_ms[0], 2);
}

static void tries_are_bounded_and_their_pauses_double(void **state)
{
    (void)state;
    fake.conflicts_left = 1000;
    start("alice", (char[]){"r-1"});
    unsigned steps_taken = 0;
    while (steps_taken < 100 && step()) {
        steps_taken++;
    }

    assert_string_equal(ks_code_name(owner.code), "UNAVAILABLE");
    assert_int_equal(owner.answers, 1);
    assert_int_equal(owner.runs, KS_ATTEMPT_TRIES_MAX);
    assert_int_equal(fake.commit_count, KS_ATTEMPT_TRIES_MAX);
    assert_int_equal(fake.pause_count, KS_ATTEMPT_TRIES_MAX - 1);
    for (size_t i = 0; i < fake.pause_count; i++) {
        assert_int_equal(fake.pauses_ms[i], 2LL << i);
    }
    assert_int_equal(fake.done_count, 0);
}

static void a_retry_that_came_first_answers_the_try_that_is_paused(void **state)
{
    (void)state;
    fake.conflicts_left = 1;
    start("alice", (char[]){"r-1"});
    struct owner paused = owner;
    owner = (struct owner){.runs = 10};
    void (*resume)(void *) = fake.paused;
    fake.paused = NULL;
    start("alice", (char[]){"r-1"});
    assert_answer("OK", "run 11");

    owner = paused;
    resume(&owner.attempt);

    assert_answer("OK", "run 11");
    assert_int_equal(owner.runs, 1);
    assert_int_equal(fake.done_count, 1);
}

static void what_was_refused_can_be_done_later(void **state)
{
    (void)state;
    owner.refuses = KS_NOT_FOUND;
    start("alice", (char[]){"r-1"});
    assert_answer("NOT_FOUND", "");
    assert_string_equal(owner.text, "a reason");
    assert_int_equal(fake.settled_revision, 5); /* the newest that it rests on */
    owner.refuses = KS_OK;

    start("alice", (char[]){"r-1"});

    assert_answer("OK", "run 2");
}

static void what_the_store_refuses_is_answered_as_it_is(void **state)
{
    (void)state;
    static const ks_code codes[] = {KS_LIMIT_EXCEEDED, KS_THROTTLED, KS_UNAVAILABLE};
    for (size_t i = 0; i < KS_COUNT(codes); i++) {
        fake.commits = codes[i];
        start("alice", (char[]){"r-1"});
        assert_int_equal(owner.code, codes[i]);
        assert_int_equal(owner.answers, 1);
    }
    assert_int_equal(fake.pause_count, 0);
}

static void an_answer_waits_until_it_is_settled(void **state)
{
    (void)state;
    owner.reads = true;
    fake.holds = true;
    start("alice", NULL);
    assert_int_equal(owner.answers, 0);
    assert_int_equal(owner.attempt.state, KS_ATTEMPT_SETTLING);

    fake.settle_done(fake.held_user, KS_RES(OK));

    assert_answer("OK", "run 1");
    assert_int_equal(fake.commit_count, 0);
}

/* Not even a refusal goes out: another process could still answer differently. */
static void what_cannot_be_settled_is_unavailable(void **state)
{
    (void)state;
    fake.settles = KS_UNAVAILABLE;
    owner.refuses = KS_NOT_FOUND;

    start("alice", (char[]){"r-1"});

    assert_answer("UNAVAILABLE", "");
    assert_string_equal(owner.text, "");
}

static void nothing_runs_without_a_view(void **state)
{
    (void)state;
    fake.window_shut = true;
    start("alice", (char[]){"r-1"});

    assert_answer("UNAVAILABLE", "");
    assert_int_equal(owner.runs, 0);
}

static void a_record_that_cannot_be_read_is_an_internal_failure(void **state)
{
    (void)state;
    start("alice", (char[]){"r-1"});
    fake.value[1] = 2; /* of a format that is newer */
    start("alice", (char[]){"r-1"});
    assert_string_equal(ks_code_name(owner.code), "INTERNAL");
    fake.get_failures = 1;

    start("alice", (char[]){"r-1"});

    assert_string_equal(ks_code_name(owner.code), "INTERNAL");
    assert_int_equal(owner.answers, 1);
    assert_int_equal(fake.done_count, 1);
}

static void a_request_id_is_1_to_64_of_some_characters(void **state)
{
    (void)state;
    char id[KS_REQUEST_ID_MAX + 2];
    memset(id, 'i', sizeof(id) - 1);
    id[KS_REQUEST_ID_MAX + 1] = '\0';
    static const char *const wrong[] = {"a b", "a/b", "\xc3\xa4", "a\n"};

    assert_false(ks_request_id_is_valid(""));
    assert_false(ks_request_id_is_valid(id));
    id[KS_REQUEST_ID_MAX] = '\0';
    assert_true(ks_request_id_is_valid(id));
    assert_true(ks_request_id_is_valid("AZaz09_.:-"));
    for (size_t i = 0; i < KS_COUNT(wrong); i++) {
        assert_false(ks_request_id_is_valid(wrong[i]));
    }
    start("alice", (char[]){"a b"});
    assert_answer("VALIDATION", "");
    assert_string_equal(owner.text, "request_id must be 1 to 64 of [A-Za-z0-9_.:-]");
    assert_string_equal(owner.attempt.violated_field, "request_id");
    assert_int_equal(owner.runs, 0);
}

static void a_request_without_an_id_is_done_each_time(void **state)
{
    (void)state;
    start("alice", (char[]){""});
    char first[sizeof(fake.name)];
    memcpy(first, fake.name, sizeof(first));

    start("alice", (char[]){""});

    assert_answer("OK", "run 2");
    assert_int_equal(fake.done_count, 2);
    assert_string_not_equal(first, fake.name);
}

static void a_record_is_kept_for_24_hours(void **state)
{
    (void)state;
    start("alice", (char[]){"r-1"});
    const ks_bytes value = {fake.value, fake.value_len};

    assert_false(ks_attempt_record_is_due(value, NOW_MS + KS_ATTEMPT_KEPT_MS));
    assert_true(ks_attempt_record_is_due(value, NOW_MS + KS_ATTEMPT_KEPT_MS + 1));
    assert_false(ks_attempt_record_is_due(value, NOW_MS - 1));
    assert_false(ks_attempt_record_is_due(KS_LITERAL("\x08\x02"), INT64_MAX));
    assert_false(ks_attempt_record_is_due(KS_LITERAL("no record"), INT64_MAX));
}

/* Each move has a claim above: every other one is a mistake in this module or in an owner. */
static void the_moves_are_these_nine(void **state)
{
    (void)state;
    static const enum ks_attempt_state allowed[][2] = {
        {KS_ATTEMPT_NEW, KS_ATTEMPT_TRYING},        {KS_ATTEMPT_NEW, KS_ATTEMPT_DONE},
        {KS_ATTEMPT_TRYING, KS_ATTEMPT_COMMITTING}, {KS_ATTEMPT_TRYING, KS_ATTEMPT_SETTLING},
        {KS_ATTEMPT_TRYING, KS_ATTEMPT_DONE},       {KS_ATTEMPT_COMMITTING, KS_ATTEMPT_PAUSING},
        {KS_ATTEMPT_COMMITTING, KS_ATTEMPT_DONE},   {KS_ATTEMPT_PAUSING, KS_ATTEMPT_TRYING},
        {KS_ATTEMPT_SETTLING, KS_ATTEMPT_DONE},
    };
    size_t count = 0;
    for (int from = 0; from <= KS_ATTEMPT_STATE_COUNT; from++) {
        for (int to = 0; to <= KS_ATTEMPT_STATE_COUNT; to++) {
            count += ks_attempt_may_move((enum ks_attempt_state)from, (enum ks_attempt_state)to);
        }
    }
    assert_int_equal(count, KS_COUNT(allowed));
    for (size_t i = 0; i < KS_COUNT(allowed); i++) {
        assert_true(ks_attempt_may_move(allowed[i][0], allowed[i][1]));
    }
}

static int crypto(void **state)
{
    (void)state;
    return ks_failed(ks_crypto_init(&(struct ks_crypto_options){0})) ? -1 : 0;
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_mutation_is_committed_with_its_record),
        TEST(a_retry_gets_the_first_answer_once_that_is_settled),
        TEST(a_retry_that_overtakes_its_view_gets_the_first_answer),
        TEST(the_same_id_with_other_parameters_is_a_conflict),
        TEST(a_caller_that_is_denied_gets_no_earlier_answer),
        TEST(an_unknown_outcome_is_found_out_by_the_retry),
        TEST(a_conflict_begins_again_after_a_pause),
        TEST(tries_are_bounded_and_their_pauses_double),
        TEST(a_retry_that_came_first_answers_the_try_that_is_paused),
        TEST(what_was_refused_can_be_done_later),
        TEST(what_the_store_refuses_is_answered_as_it_is),
        TEST(an_answer_waits_until_it_is_settled),
        TEST(what_cannot_be_settled_is_unavailable),
        TEST(nothing_runs_without_a_view),
        TEST(a_record_that_cannot_be_read_is_an_internal_failure),
        TEST(a_request_id_is_1_to_64_of_some_characters),
        TEST(a_request_without_an_id_is_done_each_time),
        TEST(a_record_is_kept_for_24_hours),
        TEST(the_moves_are_these_nine),
    };
    return cmocka_run_group_tests(tests, crypto, NULL);
}
