#include "pkg/attempt/attempt.h"

#include <assert.h>

#include "pkg/attempt/identity.h"
#include "pkg/operation/bounds.h"
#include "pkg/record/record.h"

#define TEXT_OTHER_PARAMETERS "The request_id was used before, with other parameters."

static void move(struct ks_attempt *attempt, enum ks_attempt_state to)
{
    assert(ks_attempt_may_move(attempt->state, to));
    attempt->state = to;
}

void ks_attempt_rest_on(struct ks_attempt *attempt, int64_t revision)
{
    attempt->rests_on = revision > attempt->rests_on ? revision : attempt->rests_on;
}

void ks_attempt_rest_on_nothing(struct ks_attempt *attempt)
{
    attempt->rests_on = 0;
}

void ks_attempt_close_view(struct ks_attempt *attempt)
{
    if (attempt->steps->close) {
        attempt->steps->close(attempt);
    } else {
        attempt->env->functions->close(attempt->view);
    }
    *attempt->view = (struct ks_store_view){0};
}

void ks_attempt_done(struct ks_attempt *attempt)
{
    ks_buffer_done(&attempt->response);
}

/* ---- The end ---- */

static void finish(struct ks_attempt *attempt)
{
    move(attempt, KS_ATTEMPT_DONE);
    attempt->steps->done(attempt);
}

static void settled(void *user, ks_result result)
{
    struct ks_attempt *attempt = user;
    if (ks_failed(result)) {
        attempt->result = KS_RES(UNAVAILABLE);
        attempt->text = NULL;
        attempt->violated_field = NULL;
    }
    finish(attempt);
}

/* Nothing goes out while another process could still answer differently. */
static void answer(struct ks_attempt *attempt, ks_code code, const char *text)
{
    ks_attempt_close_view(attempt);
    attempt->result = (ks_result){code};
    attempt->text = text;
    if (attempt->rests_on == 0) {
        finish(attempt);
        return;
    }
    move(attempt, KS_ATTEMPT_SETTLING);
    attempt->env->functions->settle(attempt->env->store, attempt->rests_on, settled, attempt);
}

void ks_attempt_fail(struct ks_attempt *attempt, ks_code code, const char *text)
{
    assert(code != KS_OK);
    answer(attempt, code, text);
}

void ks_attempt_reply(struct ks_attempt *attempt)
{
    answer(attempt, KS_OK, NULL);
}

/* ---- Replay ---- */

/* Answers from the record of an earlier request under the same name. */
static void replay(struct ks_attempt *attempt, ks_bytes value)
{
    ProtobufCMessage *message = NULL;
    if (ks_failed(ks_record_read(STORED_TYPE(request_record), value, attempt->arena, &message))) {
        answer(attempt, KS_INTERNAL, NULL);
        return;
    }
    const STORED(RequestRecord) *record = (const STORED(RequestRecord) *)message;
    const ks_bytes ours = {attempt->sha256, sizeof(attempt->sha256)};
    if (!ks_bytes_equal(ks_bytes_in(record->request_sha256), ours)) {
        answer(attempt, KS_CONFLICT, TEXT_OTHER_PARAMETERS);
        return;
    }
    ks_buffer_done(&attempt->response);
    if (ks_failed(ks_buffer_append(&attempt->response, ks_bytes_in(record->response)))) {
        answer(attempt, KS_INTERNAL, NULL);
        return;
    }
    answer(attempt, KS_OK, NULL);
}

static ks_bytes name_of(const struct ks_attempt *attempt)
{
    return (ks_bytes){(const uint8_t *)attempt->name, attempt->name_len};
}

/* Returns whether the attempt was answered from an earlier one. */
static bool replay_earlier(struct ks_attempt *attempt)
{
    struct ks_store_record record;
    ks_result result = attempt->env->functions->get(attempt->view, name_of(attempt), &record);
    if (result.code == KS_NOT_FOUND) {
        return false;
    }
    if (ks_failed(result)) {
        answer(attempt, KS_INTERNAL, NULL);
        return true;
    }
    attempt->rests_on = record.revision;
    replay(attempt, record.value);
    return true;
}

/* ---- Tries ---- */

static ks_result open_view(struct ks_attempt *attempt)
{
    return attempt->steps->open
               ? attempt->steps->open(attempt)
               : attempt->env->functions->serve(attempt->env->store, attempt->view);
}

static void try_once(struct ks_attempt *attempt)
{
    move(attempt, KS_ATTEMPT_TRYING);
    attempt->rests_on = 0;
    /* The store looks at its serving window and takes the view after it: promise 2. */
    if (ks_failed(open_view(attempt))) {
        answer(attempt, KS_UNAVAILABLE, NULL);
        return;
    }
    if (attempt->steps->admit && !attempt->steps->admit(attempt)) {
        return;
    }
    if (attempt->mutates && replay_earlier(attempt)) {
        return;
    }
    attempt->steps->run(attempt);
}

static void try_again(void *argument)
{
    try_once(argument);
}

/* The copy must catch up with the change that was faster, which takes some milliseconds. */
static void back_off(struct ks_attempt *attempt)
{
    ks_buffer_done(&attempt->response);
    if (++attempt->tries == KS_ATTEMPT_TRIES_MAX) {
        answer(attempt, KS_UNAVAILABLE, NULL);
        return;
    }
    move(attempt, KS_ATTEMPT_PAUSING);
    const struct ks_attempt_env *env = attempt->env;
    env->later(env->later_user, (int64_t)1 << attempt->tries, try_again, attempt);
}

/* What comes from a commit is settled already. */
static void committed(void *user, const struct ks_store_outcome *outcome)
{
    struct ks_attempt *attempt = user;
    switch (outcome->result.code) {
    case KS_CONFLICT:
        back_off(attempt);
        return;
    case KS_ALREADY_EXISTS:
        replay(attempt, outcome->stored);
        return;
    default:
        answer(attempt, outcome->result.code, NULL);
        return;
    }
}

static ks_result add_record(struct ks_attempt *attempt, struct ks_change *change,
                            const char *key_id)
{
    STORED(RequestRecord) record = STORED_NEW(REQUEST_RECORD);
    record.format = KS_RECORD_FORMAT;
    record.request_sha256 = ks_lend_bytes((ks_bytes){attempt->sha256, sizeof(attempt->sha256)});
    record.response = ks_lend_bytes(ks_buffer_bytes(&attempt->response));
    record.created_at_ms = ks_clock_wall_ms(attempt->env->clock);
    if (key_id) {
        record.key_id = ks_lend_text(key_id);
    }
    ks_change_request(change, name_of(attempt), &record.base);
    return change->result;
}

void ks_attempt_commit(struct ks_attempt *attempt, struct ks_change *change, const char *key_id)
{
    assert(attempt->mutates);
    if (ks_failed(add_record(attempt, change, key_id))) {
        answer(attempt, KS_INTERNAL, NULL);
        return;
    }
    ks_attempt_close_view(attempt);
    attempt->rests_on = 0;
    move(attempt, KS_ATTEMPT_COMMITTING);
    attempt->env->functions->commit(attempt->env->store, &change->mutation, committed, attempt);
}

/* ---- The beginning ---- */

void ks_attempt_start(struct ks_attempt *attempt, const struct ks_attempt_identity *identity)
{
    assert(attempt->state == KS_ATTEMPT_NEW);
    assert(attempt->response.len_max > 0);

    attempt->mutates = identity != NULL;
    ks_result result = identity ? ks_attempt_identify(attempt, identity) : KS_RES(OK);
    if (result.code == KS_VALIDATION) {
        answer(attempt, KS_VALIDATION, KS_REQUEST_ID_TEXT);
        return;
    }
    if (ks_failed(result)) {
        answer(attempt, KS_INTERNAL, NULL);
        return;
    }
    try_once(attempt);
}

/* ---- Records ---- */

#define RECORD_ARENA_MAX (1024U * 1024U) /* a record has KS_STORE_VALUE_LEN_MAX at most */

bool ks_attempt_record_is_due(ks_bytes value, int64_t now_ms)
{
    KS_ARENA_AUTO arena = {.len_max = RECORD_ARENA_MAX};
    ProtobufCMessage *message = NULL;
    if (ks_failed(ks_record_read(STORED_TYPE(request_record), value, &arena, &message))) {
        return false;
    }
    int64_t created_at_ms = ((const STORED(RequestRecord) *)message)->created_at_ms;
    return created_at_ms < now_ms - KS_ATTEMPT_KEPT_MS; /* it may say any date */
}

/* ---- The real store ---- */

static ks_result store_serve(void *store, struct ks_store_view *ret_view)
{
    return ks_store_serve(store, ret_view);
}

static void store_settle(void *store, int64_t revision, void (*done)(void *user, ks_result result),
                         void *user)
{
    ks_store_settle(store, revision, done, user);
}

static void store_commit(void *store, const struct ks_store_mutation *mutation,
                         void (*done)(void *user, const struct ks_store_outcome *outcome),
                         void *user)
{
    ks_store_commit(store, mutation, 0, done, user);
}

const struct ks_attempt_store ks_attempt_store = {
    .serve = store_serve,
    .close = ks_store_view_close,
    .get = ks_store_get,
    .settle = store_settle,
    .commit = store_commit,
};
