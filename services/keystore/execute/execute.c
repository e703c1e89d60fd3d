#include "services/keystore/execute/execute.h"

#include "pkg/codec/codec.h"
#include "pkg/codec/wire.h"
#include "proto/keystead/internal/v1/limits.h"
#include "services/keystore/execute/confirm.h"
#include "services/keystore/execute/request.h"
#include "services/keystore/execute/resolve.h"

#define TAG_NUMBER 1U /* Item.tag */

/* The request against the limits of its operation, once more. False: the call is answered. */
static bool check_request(struct ks_call *call)
{
    const struct ks_home home = {.partition = call->env->partition, .region = call->env->region};
    struct ks_refusal refusal = {.code = KS_OK};
    ks_result result =
        ks_operation_check(call->operation, &home, call->item->account,
                           ks_bytes_in(call->item->request), &call->checked, &refusal);
    if (ks_failed(result) && refusal.text[0] != '\0') {
        ks_call_fail_text(call, refusal.code, "%s", refusal.text);
    } else if (ks_failed(result)) {
        ks_call_fail(call, refusal.code);
    }
    return !ks_failed(result);
}

/* What the bytes say; false: the call is answered. */
static bool take_request(struct ks_call *call)
{
    call->operation = ks_operation_of(call->item->operation);
    if (!call->operation || !call->env->run_of(call->operation->number)) {
        ks_call_fail(call, KS_UNSUPPORTED);
        return false;
    }
    if (!ks_account_is_valid(ks_bytes_of(call->item->account))) {
        ks_call_fail(call, KS_VALIDATION);
        return false;
    }
    if (!check_request(call)) {
        return false;
    }
    if (ks_failed(ks_codec_unpack_checked(call->operation->request,
                                          ks_bytes_in(call->item->request), &call->arena,
                                          &call->request))) {
        ks_call_fail(call, KS_VALIDATION);
        return false;
    }
    return call->operation->kind != KS_OPERATION_MUTATION || ks_request_check(call);
}

/*
 * The window is looked at first, the copy is taken then: promise 2. Both after the request came: a
 * message's view is not older than the message.
 */
static ks_result open_view(struct ks_call *call)
{
    struct ks_execute_message *message = call->message;
    if (!message) {
        return ks_store_serve(call->env->store, &call->view);
    }
    if (!message->looked) {
        message->looked = true;
        message->served = ks_store_serve(call->env->store, &message->view);
    }
    KS_TRY(message->served);
    call->view = message->view;
    return KS_RES(OK);
}

void ks_execute_message_done(struct ks_execute_message *message)
{
    ks_store_view_close(&message->view);
    *message = (struct ks_execute_message){0};
}

void ks_execute_begin(struct ks_call *call)
{
    const struct ks_operation *operation = call->operation;
    call->rests_on = 0;
    if (ks_failed(open_view(call))) {
        ks_call_fail(call, KS_UNAVAILABLE);
        return;
    }
    if (!ks_resolve(call) || !ks_confirm(call)) {
        return;
    }
    if (operation->kind == KS_OPERATION_MUTATION && ks_request_replay(call)) {
        return;
    }
    if (!ks_resolve_allow(call)) {
        return;
    }
    call->env->run_of(operation->number)(call);
}

/* Answers what is no Item by the tag that it holds. Fails: VALIDATION (it holds none). */
static ks_result refuse_item(ks_bytes item, ks_execute_done_fn done, void *user)
{
    struct ks_wire_field field;
    do {
        if (item.len == 0) {
            return KS_RES(VALIDATION);
        }
        KS_TRY(ks_wire_next(&item, &field));
    } while (field.number != TAG_NUMBER || field.type != KS_WIRE_VARINT);

    INTERNAL(ItemResult) result = INTERNAL_NEW(ITEM_RESULT);
    result.tag = field.value;
    result.code = KS_VALIDATION;
    done(user, &result);
    return KS_RES(OK);
}

ks_result ks_execute(const struct ks_execute_env *env, struct ks_execute_message *message,
                     ks_bytes item, ks_execute_done_fn done, void *user)
{
    struct ks_call *call = ks_alloc(1, sizeof(*call));
    call->env = env;
    call->message = message;
    call->done = done;
    call->user = user;
    call->arena.len_max = KS_CALL_ARENA_MAX;
    call->packed.len_max = KS_CALL_RESPONSE_MAX;

    struct ks_codec_limits limits = {.len_max = KS_EXECUTE_ITEM_MAX};
    ProtobufCMessage *unpacked = NULL;
    if (ks_failed(ks_codec_unpack(INTERNAL_TYPE(item), item, &limits, &call->arena, &unpacked))) {
        ks_arena_done(&call->arena);
        ks_free(call);
        return refuse_item(item, done, user);
    }
    call->item = (const INTERNAL(Item) *)unpacked;
    if (take_request(call)) {
        ks_execute_begin(call);
    }
    return KS_RES(OK);
}
