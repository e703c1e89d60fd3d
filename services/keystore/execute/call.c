#include "services/keystore/execute/call.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "pkg/base/log.h"
#include "pkg/codec/codec.h"
#include "services/keystore/execute/execute.h"
#include "services/keystore/execute/request.h"

void *ks_call_alloc(struct ks_call *call, size_t count, size_t size)
{
    assert(size > 0 && count <= KS_CALL_ARENA_MAX / size);
    void *place = ks_arena_alloc(&call->arena, count * size);
    assert(place);
    return place;
}

void *ks_call_pointers(struct ks_call *call, size_t count)
{
    return ks_call_alloc(call, count, sizeof(void *));
}

char *ks_call_dup(struct ks_call *call, ks_bytes bytes)
{
    char *copy = ks_arena_dup(&call->arena, bytes);
    assert(copy);
    return copy;
}

int64_t ks_call_now_ms(const struct ks_call *call)
{
    return ks_clock_wall_ms(&call->env->clock);
}

void ks_call_rest_on(struct ks_call *call, int64_t revision)
{
    call->rests_on = revision > call->rests_on ? revision : call->rests_on;
}

void ks_call_close_view(struct ks_call *call)
{
    if (!call->message) {
        ks_store_view_close(&call->view);
    }
    call->view = (struct ks_store_view){0};
    call->message = NULL; /* whatever comes later opens a view of its own */
}

/* The end */

static void finish(struct ks_call *call)
{
    INTERNAL(ItemResult) result = INTERNAL_NEW(ITEM_RESULT);
    result.tag = call->item->tag;
    result.code = (uint32_t)call->result.code;
    result.text = ks_lend_text(call->text ? call->text : "");
    result.views = call->views;
    result.n_views = call->view_count;
    if (!ks_failed(call->result)) {
        result.response = ks_lend_bytes(ks_buffer_bytes(&call->packed));
    }
    call->done(call->user, &result);

    ks_buffer_done(&call->packed);
    ks_arena_done(&call->arena);
    ks_free(call);
}

static void settled(void *user, ks_result result)
{
    struct ks_call *call = user;
    if (ks_failed(result)) {
        call->result = KS_RES(UNAVAILABLE);
        call->text = NULL;
        call->view_count = 0;
    }
    finish(call);
}

/* Nothing goes out that another keystore could still answer otherwise. */
static void answer(struct ks_call *call, ks_code code, const char *text)
{
    ks_call_close_view(call);
    call->result = (ks_result){code};
    call->text = text;
    if (call->rests_on == 0) {
        finish(call);
        return;
    }
    ks_store_settle(call->env->store, call->rests_on, settled, call);
}

void ks_call_fail(struct ks_call *call, ks_code code)
{
    assert(code != KS_OK);
    answer(call, code, NULL);
}

void ks_call_fail_text(struct ks_call *call, ks_code code, const char *format, ...)
{
    assert(code != KS_OK);

    char text[KS_CALL_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    answer(call, code, ks_call_dup(call, ks_bytes_of(text)));
}

void ks_call_reply(struct ks_call *call, const ProtobufCMessage *response)
{
    ks_buffer_done(&call->packed);
    if (ks_failed(ks_codec_pack(response, &call->packed))) {
        ks_call_fail(call, KS_INTERNAL);
        return;
    }
    answer(call, KS_OK, NULL);
}

void ks_call_reply_packed(struct ks_call *call, ks_bytes response)
{
    ks_buffer_done(&call->packed);
    if (ks_failed(ks_buffer_append(&call->packed, response))) {
        ks_call_fail(call, KS_INTERNAL);
        return;
    }
    answer(call, KS_OK, NULL);
}

/* The hsm */

static void hsm_has_answered(void *user, ks_result result, const INTERNAL(HsmReply) * reply)
{
    struct ks_call *call = user;
    call->then(call, result, reply);
}

void ks_call_ask(struct ks_call *call, const INTERNAL(HsmRequest) * request,
                 void (*then)(struct ks_call *call, ks_result result,
                              const INTERNAL(HsmReply) * reply))
{
    ks_call_close_view(call);
    call->then = then;
    ks_hsm_link_ask(call->env->hsm, request, hsm_has_answered, call);
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
    ks_log(ERROR, "the hsm refused what should work", KS_TEXT("code", ks_code_name(result.code)),
           KS_TEXT("method", call->operation->name),
           KS_TEXT("key_id", call->target_count > 0 ? target->key_id : ""));
    ks_call_fail(call, KS_INTERNAL);
}

/* The store */

static void begin_again(void *argument)
{
    ks_execute_begin(argument);
}

static void try_again(struct ks_call *call)
{
    ks_buffer_done(&call->packed);
    if (++call->tries == KS_CALL_TRIES_MAX) {
        ks_call_fail(call, KS_UNAVAILABLE);
        return;
    }
    /* The copy has to catch up with whoever was faster: it does so within some milliseconds. */
    int64_t pause_ms = (int64_t)1 << call->tries;
    call->env->later(call->env->later_user, pause_ms, begin_again, call);
}

/* What comes from a commit is settled already. */
static void committed(void *user, const struct ks_store_outcome *outcome)
{
    struct ks_call *call = user;
    call->rests_on = 0;
    if (outcome->result.code == KS_CONFLICT) {
        try_again(call);
        return;
    }
    if (outcome->result.code == KS_ALREADY_EXISTS) {
        ks_request_answer(call, outcome->stored);
        return;
    }
    answer(call, outcome->result.code, NULL);
}

void ks_call_commit(struct ks_call *call, struct ks_change *change,
                    const ProtobufCMessage *response)
{
    ks_buffer_done(&call->packed);
    ks_result result = ks_codec_pack(response, &call->packed);
    if (!ks_failed(result)) {
        result = ks_request_record(call, ks_buffer_bytes(&call->packed), change);
    }
    if (ks_failed(result)) {
        ks_call_fail(call, KS_INTERNAL);
        return;
    }
    ks_call_close_view(call);
    ks_store_commit(call->env->store, &change->mutation, 0, committed, call);
}
