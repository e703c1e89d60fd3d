#include "services/keystore/execute/execute.h"

#include <assert.h>
#include <string.h>

#include "pkg/codec/codec.h"
#include "pkg/codec/wire.h"
#include "pkg/operation/defaults.h"
#include "proto/keystead/internal/v1/limits.h"
#include "services/keystore/execute/confirm.h"
#include "services/keystore/execute/known_keys.h"
#include "services/keystore/execute/resolve.h"
#include "services/keystore/records/name.h"

#define TAG_NUMBER 1U /* Item.tag */

/* A call stands in its own arena: one allocation less for each item. */

static struct ks_call *new_call(void)
{
    struct ks_arena arena = {.len_max = KS_CALL_ARENA_MAX};
    struct ks_call *call = ks_arena_alloc(&arena, sizeof(*call));
    assert(call);
    call->arena = arena;
    call->beyond.len_max = KS_CALL_BEYOND_MAX;
    return call;
}

static void free_call(struct ks_call *call)
{
    struct ks_arena arena = call->arena;
    ks_arena_done(&call->beyond);
    ks_arena_done(&arena);
}

/* The steps of a call's attempt. */

/*
 * The window is looked at first, the copy is taken then: promise 2. Both after the request came: a
 * message's view is not older than the message. Later tries open views of their own.
 */
static ks_result open_view(struct ks_attempt *attempt)
{
    struct ks_call *call = attempt->user;
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

/* A message's view stays open for its other items. */
static void close_view(struct ks_attempt *attempt)
{
    struct ks_call *call = attempt->user;
    if (!call->message) {
        ks_store_view_close(&call->view);
    }
    call->message = NULL;
}

void ks_execute_message_done(struct ks_execute_message *message)
{
    ks_store_view_close(&message->view);
    ks_known_keys_unref(message->known);
    *message = (struct ks_execute_message){0};
}

static bool admit(struct ks_attempt *attempt)
{
    struct ks_call *call = attempt->user;
    return ks_resolve(call) && ks_confirm(call);
}

static void run(struct ks_attempt *attempt)
{
    struct ks_call *call = attempt->user;
    if (ks_resolve_allow(call)) {
        call->env->run_of(call->operation->number)(call);
    }
}

static void done(struct ks_attempt *attempt)
{
    struct ks_call *call = attempt->user;
    INTERNAL(ItemResult) result = INTERNAL_NEW(ITEM_RESULT);
    result.tag = call->item->tag;
    result.code = (uint32_t)attempt->result.code;
    result.text = ks_lend_text(attempt->text ? attempt->text : "");
    if (attempt->result.code == KS_STALE_VIEW) {
        result.views = call->views;
        result.n_views = call->view_count;
        result.view_revision = call->view_revision;
    }
    if (!ks_failed(attempt->result)) {
        result.response = ks_lend_bytes(ks_buffer_bytes(&attempt->response));
    }
    call->done(call->user, &result);

    if (call->at_end) {
        call->at_end(call);
    }
    ks_attempt_done(attempt);
    ks_change_done(&call->change);
    ks_known_keys_unref(call->known);
    free_call(call);
}

static const struct ks_attempt_steps steps = {
    .open = open_view,
    .close = close_view,
    .admit = admit,
    .run = run,
    .done = done,
};

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
    return true;
}

/* A retry may write a default out that the first try left to us: both are hashed without it. */
static ProtobufCMessage *without_defaults(struct ks_call *call)
{
    size_t size = call->operation->request->sizeof_message;
    ProtobufCMessage *copy = ks_call_alloc(call, 1, size);
    memcpy(copy, call->request, size); /* what it points to is the request's */
    ks_operation_omit_defaults(call->operation, copy);
    return copy;
}

static void start(struct ks_call *call)
{
    if (call->operation->kind != KS_OPERATION_MUTATION) {
        ks_attempt_start(&call->attempt, NULL);
        return;
    }
    const INTERNAL(Item) *item = call->item;
    struct ks_name prefix = ks_name_requests(item->account);
    const struct ks_attempt_identity identity = {
        .principal = item->principal,
        .method = call->operation->name,
        .record_prefix = ks_name_bytes(&prefix),
        .request_id = item->request_id,
        .request = without_defaults(call),
    };
    ks_attempt_start(&call->attempt, &identity);
}

/* Answers what is no Item by the tag that it holds. Fails: VALIDATION (it holds none). */
static ks_result refuse_item(ks_bytes item, ks_execute_done_fn done_fn, void *user)
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
    done_fn(user, &result);
    return KS_RES(OK);
}

/* The caller's ref to the keys that a message's items have found; NULL without a message. */
static struct ks_known_keys *known_of(struct ks_execute_message *message)
{
    if (!message) {
        return NULL;
    }
    if (!message->known) {
        message->known = ks_known_keys_new();
    }
    return ks_known_keys_ref(message->known);
}

ks_result ks_execute(const struct ks_execute_env *env, struct ks_execute_message *message,
                     ks_bytes item, ks_execute_done_fn done_fn, void *user)
{
    struct ks_call *call = new_call();
    call->env = env;
    call->message = message;
    call->done = done_fn;
    call->user = user;
    call->attempt = (struct ks_attempt){
        .env = &env->attempts,
        .steps = &steps,
        .user = call,
        .arena = &call->arena,
        .view = &call->view,
        .response = {.len_max = KS_CALL_RESPONSE_MAX},
    };

    struct ks_codec_limits limits = {.len_max = KS_EXECUTE_ITEM_MAX};
    ProtobufCMessage *unpacked = NULL;
    if (ks_failed(ks_codec_unpack(INTERNAL_TYPE(item), item, &limits, &call->arena, &unpacked))) {
        free_call(call);
        return refuse_item(item, done_fn, user);
    }
    call->item = (const INTERNAL(Item) *)unpacked;
    call->known = known_of(message);
    if (take_request(call)) {
        start(call);
    }
    return KS_RES(OK);
}
