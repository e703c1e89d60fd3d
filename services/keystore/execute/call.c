#include "services/keystore/execute/call.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "pkg/base/log.h"
#include "pkg/codec/codec.h"

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

void ks_call_fail(struct ks_call *call, ks_code code)
{
    ks_attempt_fail(&call->attempt, code, NULL);
}

void ks_call_fail_text(struct ks_call *call, ks_code code, const char *format, ...)
{
    char text[KS_CALL_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    ks_attempt_fail(&call->attempt, code, ks_call_dup(call, ks_bytes_of(text)));
}

/* False: the call is answered. */
static bool pack(struct ks_call *call, const ProtobufCMessage *response)
{
    ks_buffer_done(&call->attempt.response);
    if (ks_failed(ks_codec_pack(response, &call->attempt.response))) {
        ks_call_fail(call, KS_INTERNAL);
        return false;
    }
    return true;
}

void ks_call_reply(struct ks_call *call, const ProtobufCMessage *response)
{
    if (pack(call, response)) {
        ks_attempt_reply(&call->attempt);
    }
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

void ks_call_commit(struct ks_call *call, struct ks_change *change,
                    const ProtobufCMessage *response)
{
    if (!pack(call, response)) {
        return;
    }
    static const enum ks_store_room rooms[] = {
        [KS_ROOM_CHANGES] = KS_STORE_CHANGES,
        [KS_ROOM_GROWS] = KS_STORE_GROWS,
        [KS_ROOM_WITHDRAWS] = KS_STORE_WITHDRAWS,
    };
    bool has_key = call->target_count > 0 && call->targets[0].key_id;
    change->mutation.room = rooms[call->operation->room];
    ks_attempt_commit(&call->attempt, change, has_key ? call->targets[0].key_id : NULL);
}
