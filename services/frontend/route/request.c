#include "services/frontend/route/request.h"

#include <assert.h>
#include <string.h>

#include "pkg/authorize/authorize.h"
#include "pkg/base/clock.h"
#include "pkg/base/log.h"
#include "pkg/crypto/random.h"
#include "pkg/form/names.h"

#define MADE_ID_LEN 16U /* random bytes; 32 hex digits */

/* The client's request_id, or a new one: our own retries need it in any case. */
static ks_result set_request_id(struct ks_request *request)
{
    if (request->operation->kind != KS_OPERATION_MUTATION) {
        return KS_RES(OK);
    }
    ks_bytes given = request->checked.request_id;
    assert(given.len <= KS_REQUEST_ID_MAX);
    if (given.len > 0) {
        memcpy(request->request_id, given.ptr, given.len);
        return KS_RES(OK);
    }
    uint8_t made[MADE_ID_LEN];
    KS_TRY(ks_random_public(made, sizeof(made)));
    ks_hex_write((ks_bytes){made, sizeof(made)}, request->request_id);
    return KS_RES(OK);
}

/* Decides on views, one for each key that is named. Fails: INTERNAL (a view that cannot be read). */
static ks_result decide(struct ks_request *request, const struct ks_view *views)
{
    const struct ks_checked *checked = &request->checked;
    struct ks_item *item = &request->item;
    struct ks_facts facts[KS_OPERATION_KEYS_MAX];
    for (size_t i = 0; i < checked->key_count; i++) {
        if (ks_failed(ks_facts_read(views[i].facts, &facts[i]))) {
            return KS_RES(INTERNAL);
        }
        item->versions[i] = views[i].version;
    }
    const struct ks_question question = {
        .operation = request->operation,
        .checked = checked,
        .home = request->router->home,
        .account = ks_bytes_of(request->account),
        .principal = ks_bytes_of(request->principal),
        .keys = facts,
    };
    item->version_count = checked->key_count;
    item->decision = ks_authorize(&question) ? KS_ALLOWED : KS_DENIED;
    return KS_RES(OK);
}

static void leave_undecided(struct ks_request *request)
{
    request->item.decision = KS_UNDECIDED;
    request->item.version_count = 0;
}

/*
 * Decides on the views that are remembered; without all of them a keystore is asked for them. What
 * is denied takes that longer way, too: nothing can be remembered of what is absent, and the time
 * must not tell it from what is there and forbidden.
 */
static ks_result decide_from_memory(struct ks_request *request)
{
    struct ks_view views[KS_OPERATION_KEYS_MAX];
    leave_undecided(request);
    for (size_t i = 0; i < request->checked.key_count; i++) {
        const struct ks_key_naming *key = &request->checked.keys[i];
        if (!ks_views_find(request->router->views, key->account, key->name, &views[i])) {
            return KS_RES(OK);
        }
    }
    KS_TRY(decide(request, views));
    if (request->item.decision == KS_DENIED && request->checked.key_count > 0) {
        leave_undecided(request);
    }
    return KS_RES(OK);
}

static void on_result(struct ks_upstream_item *outgoing, const struct ks_item_result *result);

static ks_result send(struct ks_request *request)
{
    struct ks_upstream_item *outgoing = &request->outgoing;
    ks_buffer_done(&outgoing->body);
    outgoing->body.len_max = KS_EXECUTE_BODY_MAX;
    KS_TRY(ks_item_write(&request->item, &outgoing->body));
    outgoing->share = ks_upstream_share(request->item.account);
    outgoing->mutating = request->operation->kind == KS_OPERATION_MUTATION;
    outgoing->deadline_ns = request->deadline_ns;
    outgoing->done = on_result;
    outgoing->user = request;
    request->rounds++;
    return request->router->send(request->router->upstream, outgoing,
                                 ks_clock_boot_ns(request->router->clock));
}

/* A keystore says that things have changed: decides anew on what it knows. */
static ks_result decide_again(struct ks_request *request, const struct ks_item_result *result)
{
    const struct ks_checked *checked = &request->checked;
    if (result->view_count != checked->key_count) {
        return KS_RES(INTERNAL);
    }
    if (request->rounds == KS_REQUEST_ROUNDS_MAX) {
        return KS_RES(UNAVAILABLE);
    }
    /* First, as it reads them: a view that cannot be read must not be remembered. */
    KS_TRY(decide(request, result->views));
    for (size_t i = 0; i < checked->key_count; i++) {
        ks_views_put(request->router->views, checked->keys[i].account, checked->keys[i].name,
                     &result->views[i]);
    }
    return send(request);
}

/* The keystore's refusal in the words that it chose. */
static void take_refusal(struct ks_request *request, const struct ks_item_result *result)
{
    struct ks_refusal *refusal = &request->refusal;
    /* What passes between our processes only is no business of a client. */
    bool inner = result->code == KS_STALE_VIEW || result->code == KS_CORRUPT;
    if (inner) {
        (void)ks_refusal_set_code(refusal, KS_INTERNAL);
        return;
    }
    (void)ks_refusal_set_code(refusal, result->code);
    ks_refusal_set_text(refusal, result->text);
    for (size_t i = 0; i < result->detail_count; i++) {
        ks_refusal_add(refusal, result->details[i].name, result->details[i].value);
    }
}

/* Whether it was done is not known: with this request_id a retry finds out, and does it once. */
static void tell_request_id(struct ks_request *request)
{
    bool mutation = request->operation->kind == KS_OPERATION_MUTATION;
    if (mutation && request->refusal.code == KS_UNAVAILABLE) {
        ks_refusal_add(&request->refusal, KS_LITERAL("request_id"),
                       ks_bytes_of(request->request_id));
    }
}

/* Who sends such requests is for an operator to know: nothing here is held against an account. */
static void tell_of_guilt(const struct ks_request *request)
{
    ks_log(WARN, "keystores have failed under a request; it is given up, ignoring",
           KS_TEXT("account", request->account), KS_TEXT("principal", request->principal),
           KS_TEXT("method", request->operation->name));
}

static void on_result(struct ks_upstream_item *outgoing, const struct ks_item_result *result)
{
    struct ks_request *request = outgoing->user;
    if (ks_upstream_is_guilty(outgoing)) {
        tell_of_guilt(request);
    }
    if (result->code == KS_STALE_VIEW) {
        ks_result again = decide_again(request, result);
        if (!ks_failed(again)) {
            return;
        }
        (void)ks_refusal_set_code(&request->refusal, again.code);
    } else if (result->code != KS_OK) {
        take_refusal(request, result);
    }
    tell_request_id(request);
    bool good = request->refusal.code == KS_OK;
    request->done(request, good ? result->response : (ks_bytes){0});
}

static ks_result prepare(struct ks_request *request)
{
    const struct ks_operation *operation = request->operation;
    const struct ks_home *home = request->router->home;
    KS_TRY(ks_operation_check(operation, home, request->account, request->message,
                              &request->checked, &request->refusal));
    KS_TRY(set_request_id(request));
    request->item = (struct ks_item){
        .operation = operation->number,
        .account = ks_bytes_of(request->account),
        .principal = ks_bytes_of(request->principal),
        .request_id = ks_bytes_of(request->request_id),
        .request = request->message,
    };
    return KS_RES(OK);
}

ks_result ks_request_start(struct ks_request *request)
{
    assert(!request->operation->entry);
    assert(request->done);

    ks_result result = prepare(request);
    if (!ks_failed(result)) {
        result = decide_from_memory(request);
    }
    if (!ks_failed(result)) {
        result = send(request);
    }
    if (ks_failed(result) && request->refusal.code == KS_OK) {
        (void)ks_refusal_set_code(&request->refusal, result.code);
    }
    return result;
}

void ks_request_done(struct ks_request *request)
{
    ks_buffer_done(&request->outgoing.body);
}
