#include "services/keystore/execute/execute.h"

#include "pkg/codec/codec.h"
#include "pkg/codec/wire.h"
#include "proto/keystead/internal/v1/limits.h"
#include "services/keystore/execute/operation.h"
#include "services/keystore/execute/request.h"
#include "services/keystore/execute/resolve.h"

#define TAG_NUMBER 1U /* Item.tag */

/* What the bytes say; false: the call is answered. */
static bool take_request(struct ks_call *call)
{
    call->operation = call->env->operation_of(call->item->operation);
    if (!call->operation) {
        ks_call_fail(call, KS_UNSUPPORTED);
        return false;
    }
    if (!ks_account_is_valid(ks_bytes_of(call->item->account)) ||
        ks_failed(ks_codec_unpack(call->operation->request_type, ks_bytes_in(call->item->request),
                                  NULL, &call->arena, &call->request))) {
        ks_call_fail(call, KS_VALIDATION);
        return false;
    }
    return call->operation->kind != KS_OPERATION_MUTATION || ks_request_check(call);
}

void ks_execute_begin(struct ks_call *call)
{
    const struct ks_operation *operation = call->operation;
    call->rests_on = 0;
    if (operation->check && !operation->check(call)) {
        return;
    }
    /* The window is looked at first, the copy is taken then: promise 2. */
    if (ks_failed(ks_store_serve(call->env->store, &call->view))) {
        ks_call_fail(call, KS_UNAVAILABLE);
        return;
    }
    if (!ks_resolve(call) || !ks_resolve_confirm(call)) {
        return;
    }
    if (operation->kind == KS_OPERATION_MUTATION && ks_request_replay(call)) {
        return;
    }
    if (!ks_resolve_allow(call)) {
        return;
    }
    operation->run(call);
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

ks_result ks_execute(const struct ks_execute_env *env, ks_bytes item, ks_execute_done_fn done,
                     void *user)
{
    struct ks_call *call = ks_alloc(1, sizeof(*call));
    call->env = env;
    call->done = done;
    call->user = user;
    call->arena.len_max = KS_CALL_ARENA_MAX;
    call->packed.len_max = KS_CALL_RESPONSE_MAX;

    struct ks_codec_limits limits = {.len_max = KS_EXECUTE_ITEM_MAX};
    ProtobufCMessage *message = NULL;
    if (ks_failed(ks_codec_unpack(INTERNAL_TYPE(item), item, &limits, &call->arena, &message))) {
        ks_arena_done(&call->arena);
        ks_free(call);
        return refuse_item(item, done, user);
    }
    call->item = (const INTERNAL(Item) *)message;
    if (take_request(call)) {
        ks_execute_begin(call);
    }
    return KS_RES(OK);
}
