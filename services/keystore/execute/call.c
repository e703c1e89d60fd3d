#include "services/keystore/execute/call.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "pkg/base/log.h"
#include "pkg/codec/codec.h"
#include "services/keystore/execute/check_records.h"
#include "services/keystore/execute/trust.h"

#define ANSWER_ROOM (1024U * 1024U) /* bytes that stay for the end of a call: has_room */

/* The records of a request are read into the arena alone: what comes from beyond has a bound. */
static void *alloc_beyond(struct ks_call *call, size_t len)
{
    call->is_full = true;
    void *place = ks_arena_alloc(&call->beyond, len);
    assert(place);
    return place;
}

void *ks_call_alloc(struct ks_call *call, size_t count, size_t size)
{
    assert(size > 0 && count <= KS_CALL_ARENA_MAX / size);
    void *place = ks_arena_alloc(&call->arena, count * size);
    return place ? place : alloc_beyond(call, count * size);
}

bool ks_call_has_room(const struct ks_call *call, size_t len)
{
    return !call->is_full && call->arena.len_max - call->arena.len >= ANSWER_ROOM + len;
}

void *ks_call_pointers(struct ks_call *call, size_t count)
{
    return ks_call_alloc(call, count, sizeof(void *));
}

char *ks_call_dup(struct ks_call *call, ks_bytes bytes)
{
    char *copy = ks_call_alloc(call, bytes.len + 1, 1);
    if (bytes.len > 0) {
        memcpy(copy, bytes.ptr, bytes.len);
    }
    return copy;
}

int64_t ks_call_now_ms(const struct ks_call *call)
{
    return ks_clock_wall_ms(&call->env->clock);
}

void ks_call_rest_on(struct ks_call *call, int64_t revision)
{
    ks_attempt_rest_on(&call->attempt, revision);
}

void ks_call_rest_on_prefix(struct ks_call *call, ks_bytes prefix)
{
    int64_t newest = call->view.data_revision;
    uint64_t count;
    ks_result read = ks_store_prefix(&call->view, prefix, &newest, &count);
    (void)read; /* after a failure newest is unchanged, and no lower than what it would be */
    ks_call_rest_on(call, newest);
}

void ks_call_rest_on_record(struct ks_call *call, const struct ks_store_record *record)
{
    ks_call_rest_on(call, record->revision);
    if (ks_trust_knows(call->env->trust, record->key, record->value)) {
        return;
    }
    if (call->other_count == call->other_room) {
        size_t room = 2 * call->other_room + 4;
        struct ks_about **others = ks_call_pointers(call, room);
        for (size_t i = 0; i < call->other_count; i++) {
            others[i] = call->others[i];
        }
        call->others = others;
        call->other_room = room;
    }
    ks_result result =
        ks_about_new(record->key, record->value, &call->arena, &call->others[call->other_count]);
    if (ks_failed(result)) {
        call->is_full = true;
        return;
    }
    call->other_count++;
}

void ks_call_close_view(struct ks_call *call)
{
    ks_attempt_close_view(&call->attempt);
}

bool ks_call_names_another_account(const struct ks_call *call)
{
    for (size_t i = 0; i < call->target_count; i++) {
        if (strcmp(call->targets[i].account, call->item->account) != 0) {
            return true;
        }
    }
    return false;
}

void ks_call_hide_account(struct ks_call *call)
{
    if (ks_call_names_another_account(call)) {
        ks_call_rest_on(call, call->view.data_revision);
    }
}

/* The end */

/* These say nothing of what is stored, or go to a frontend alone. */
static bool shows_records(ks_code code)
{
    static const ks_code silent[] = {
        KS_VALIDATION, KS_ACCESS_DENIED, KS_UNAVAILABLE, KS_THROTTLED,
        KS_INTERNAL,   KS_STALE_VIEW,    KS_UNSUPPORTED, KS_CORRUPT,
    };
    bool shows = true;
    for (size_t i = 0; i < KS_COUNT(silent); i++) {
        shows = shows && silent[i] != code;
    }
    return shows;
}

static void refuse_as_full(struct ks_call *call)
{
    ks_log(ERROR, "a call needs more memory than it may have",
           KS_TEXT("method", call->operation ? call->operation->name : ""));
    ks_attempt_fail(&call->attempt, KS_INTERNAL, NULL);
}

static void finish(struct ks_call *call, ks_code code, const char *text)
{
    if (call->is_full) {
        refuse_as_full(call);
    } else if (code == KS_OK) {
        ks_attempt_reply(&call->attempt);
    } else {
        ks_attempt_fail(&call->attempt, code, text);
    }
}

static void records_are_checked(struct ks_call *call, ks_result result)
{
    if (result.code == KS_CORRUPT) {
        finish(call, KS_INTERNAL, NULL);
    } else if (ks_failed(result)) {
        finish(call, result.code, NULL);
    } else {
        finish(call, call->checked_code, call->checked_text);
    }
}

/* text is in the arena, or NULL. */
static void answer(struct ks_call *call, ks_code code, const char *text)
{
    if (call->is_full || call->records_are_checked || !shows_records(code)) {
        finish(call, code, text);
        return;
    }
    call->checked_code = code;
    call->checked_text = text;
    ks_check_records(call, records_are_checked);
}

void ks_call_fail(struct ks_call *call, ks_code code)
{
    answer(call, code, NULL);
}

void ks_call_fail_text(struct ks_call *call, ks_code code, const char *format, ...)
{
    char text[KS_CALL_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    answer(call, code, ks_call_dup(call, ks_bytes_of(text)));
}

bool ks_call_pack(struct ks_call *call, const ProtobufCMessage *response)
{
    ks_buffer_done(&call->attempt.response);
    if (call->is_full) {
        refuse_as_full(call);
        return false;
    }
    if (ks_failed(ks_codec_pack(response, &call->attempt.response))) {
        ks_call_fail(call, KS_INTERNAL);
        return false;
    }
    return true;
}

void ks_call_reply(struct ks_call *call, const ProtobufCMessage *response)
{
    if (ks_call_pack(call, response)) {
        answer(call, KS_OK, NULL);
    }
}

/* The hsm */

static void hsm_has_answered(void *user, ks_result result, const INTERNAL(HsmReply) * reply)
{
    struct ks_call *call = user;
    call->records_are_checked = !ks_failed(result) || result.code == KS_INVALID_CIPHERTEXT;
    call->then(call, result, reply);
}

void ks_call_ask(struct ks_call *call, const INTERNAL(HsmRequest) * request,
                 void (*then)(struct ks_call *call, ks_result result,
                              const INTERNAL(HsmReply) * reply))
{
    struct ks_about *about[KS_OPERATION_KEYS_MAX];
    size_t count = 0;
    if (call->is_full) {
        refuse_as_full(call);
        return;
    }
    for (size_t i = 0; i < call->target_count; i++) {
        assert(call->targets[i].about);
        about[count++] = call->targets[i].about;
    }
    ks_call_close_view(call);
    call->then = then;
    const struct ks_hsm_ask ask = {request, about, count};
    ks_hsm_link_ask(call->env->hsm, &ask, hsm_has_answered, call);
}

/* NOT_FOUND: this zone's hsm has not got the domain key (yet); another zone's may have it. */
void ks_call_fail_hsm(struct ks_call *call, ks_result result, ks_code allowed)
{
    assert(ks_failed(result));

    bool elsewhere = result.code == KS_UNAVAILABLE || result.code == KS_NOT_FOUND;
    bool as_it_is = result.code == allowed || result.code == KS_THROTTLED ||
                    result.code == KS_VALIDATION || result.code == KS_UNSUPPORTED;
    if (elsewhere) {
        ks_call_fail(call, KS_UNAVAILABLE);
        return;
    }
    if (as_it_is) {
        ks_call_fail(call, result.code);
        return;
    }
    const struct ks_target *target = &call->targets[0];
    if (result.code == KS_CORRUPT && target->about) {
        ks_trust_alarm(call->env->trust, target->about->name);
    }
    ks_log(ERROR, "the hsm refused what should work", KS_TEXT("code", ks_code_name(result.code)),
           KS_TEXT("method", call->operation->name),
           KS_TEXT("key_id", call->target_count > 0 ? target->key_id : ""));
    ks_call_fail(call, KS_INTERNAL);
}

/* The store */

static const char *key_id_of(const struct ks_call *call)
{
    return call->target_count > 0 ? call->targets[0].key_id : NULL;
}

static void commit_now(struct ks_call *call, struct ks_change *change)
{
    if (call->is_full) {
        refuse_as_full(call);
        return;
    }
    static const enum ks_store_room rooms[] = {
        [KS_ROOM_CHANGES] = KS_STORE_CHANGES,
        [KS_ROOM_GROWS] = KS_STORE_GROWS,
        [KS_ROOM_WITHDRAWS] = KS_STORE_WITHDRAWS,
    };
    change->mutation.room = rooms[call->operation->room];
    ks_attempt_commit(&call->attempt, change, key_id_of(call));
}

static void may_be_committed(struct ks_call *call, ks_result result)
{
    if (ks_failed(result)) {
        records_are_checked(call, result);
    } else {
        ks_call_commit_packed(call);
    }
}

void ks_call_commit(struct ks_call *call, struct ks_change *change,
                    const ProtobufCMessage *response)
{
    if (!ks_call_pack(call, response)) {
        return;
    }
    if (call->records_are_checked || call->target_count == 0) {
        commit_now(call, change);
        return;
    }
    ks_change_done(&call->change);
    call->change = *change;
    *change = (struct ks_change){.result = KS_RES(OK)};
    ks_check_records(call, may_be_committed);
}

/* The change is copied by the store. */
void ks_call_commit_packed(struct ks_call *call)
{
    struct ks_change change = call->change;
    call->change = (struct ks_change){.result = KS_RES(OK)};
    commit_now(call, &change);
    ks_change_done(&change);
}
