#include "services/frontend/route/request.h"

#include <assert.h>
#include <string.h>

#include "pkg/base/clock.h"
#include "pkg/codec/wire.h"
#include "pkg/crypto/random.h"
#include "pkg/form/names.h"
#include "pkg/policy/policy.h"
#include "services/frontend/api/check.h"

#define MADE_ID_LEN 16U /* random bytes; 32 hex digits */

static ks_bytes find_request_id(ks_bytes message)
{
    while (message.len > 0) {
        struct ks_wire_field field;
        if (ks_failed(ks_wire_next(&message, &field))) {
            break;
        }
        if (field.number == KS_REQUEST_ID_FIELD) {
            return field.bytes;
        }
    }
    return (ks_bytes){0};
}

/* The client's request_id, or a new one: our own retries need it in any case. */
static ks_result set_request_id(struct ks_request *request)
{
    if (!request->operation->mutating) {
        return KS_RES(OK);
    }
    ks_bytes given = find_request_id(request->message);
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

/* Whether the caller may do this with one identifier, going by what is known of it. */
static bool is_allowed(const struct ks_request *request, const struct ks_identifier *identifier,
                       const struct ks_view *view)
{
    struct ks_policy_request question = {
        .action = ks_bytes_of(request->operation->action),
        .principal_arn = ks_bytes_of(request->principal),
        .principal_account = ks_bytes_of(request->account),
        .resource_account = identifier ? identifier->account : (ks_bytes){0},
        .key_arn = view ? view->key_arn : (ks_bytes){0},
        .key_policy = view ? view->policy : (ks_bytes){0},
    };
    return ks_policy_decide(&question).effect == KS_POLICY_ALLOW;
}

/* Decides on views, one for each identifier. */
static void decide(struct ks_request *request, const struct ks_view *views)
{
    struct ks_item *item = &request->item;
    bool allowed = request->identifiers.count > 0 || is_allowed(request, NULL, NULL);
    for (size_t i = 0; i < request->identifiers.count; i++) {
        allowed = is_allowed(request, &request->identifiers.items[i], &views[i]) && allowed;
        item->versions[i] = (struct ks_item_version){views[i].key_version, views[i].alias_version};
    }
    item->version_count = request->identifiers.count;
    item->decision = allowed ? KS_ALLOWED : KS_DENIED;
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
static void decide_from_memory(struct ks_request *request)
{
    struct ks_view views[KS_IDENTIFIERS_MAX];
    for (size_t i = 0; i < request->identifiers.count; i++) {
        const struct ks_identifier *identifier = &request->identifiers.items[i];
        if (!ks_views_find(request->router->views, identifier->account, identifier->name,
                           &views[i])) {
            leave_undecided(request);
            return;
        }
    }
    decide(request, views);
    if (request->item.decision == KS_DENIED) {
        leave_undecided(request);
    }
}

static void on_result(struct ks_upstream_item *outgoing, const struct ks_item_result *result);

static ks_result send(struct ks_request *request)
{
    struct ks_upstream_item *outgoing = &request->outgoing;
    ks_buffer_done(&outgoing->body);
    outgoing->body.len_max = KS_EXECUTE_BODY_MAX;
    KS_TRY(ks_item_write(&request->item, &outgoing->body));
    outgoing->share = ks_upstream_share(request->item.account);
    outgoing->mutating = request->operation->mutating;
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
    const struct ks_identifiers *identifiers = &request->identifiers;
    if (result->view_count != identifiers->count) {
        return KS_RES(INTERNAL);
    }
    if (request->rounds == KS_REQUEST_ROUNDS_MAX) {
        return KS_RES(UNAVAILABLE);
    }
    for (size_t i = 0; i < identifiers->count; i++) {
        ks_views_put(request->router->views, identifiers->items[i].account,
                     identifiers->items[i].name, &result->views[i]);
    }
    decide(request, result->views);
    return send(request);
}

/* The keystore's refusal in the words that it chose. */
static void take_refusal(struct ks_request *request, const struct ks_item_result *result)
{
    struct ks_refusal *refusal = &request->refusal;
    /* What passes between our processes only is no business of a client. */
    bool inner = result->code == KS_STALE_VIEW || result->code == KS_CORRUPT;
    if (inner) {
        (void)ks_refuse_plainly(refusal, KS_INTERNAL);
        return;
    }
    (void)ks_refuse_plainly(refusal, result->code);
    ks_refusal_set_text(refusal, result->text);
    for (size_t i = 0; i < result->detail_count; i++) {
        ks_refusal_add(refusal, result->details[i].name, result->details[i].value);
    }
}

/* Whether it was done is not known: with this request_id a retry finds out, and does it once. */
static void tell_request_id(struct ks_request *request)
{
    if (request->operation->mutating && request->refusal.code == KS_UNAVAILABLE) {
        ks_refusal_add(&request->refusal, KS_LITERAL("request_id"),
                       ks_bytes_of(request->request_id));
    }
}

static void on_result(struct ks_upstream_item *outgoing, const struct ks_item_result *result)
{
    struct ks_request *request = outgoing->user;
    if (result->code == KS_STALE_VIEW) {
        ks_result again = decide_again(request, result);
        if (!ks_failed(again)) {
            return;
        }
        (void)ks_refuse_plainly(&request->refusal, again.code);
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
    KS_TRY(
        ks_check_members(operation, home, request->account, request->message, &request->refusal));
    KS_TRY(ks_identifiers_find(operation, home, request->account, request->message,
                               &request->identifiers, &request->refusal));
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
        decide_from_memory(request);
        result = send(request);
    }
    if (ks_failed(result) && request->refusal.code == KS_OK) {
        (void)ks_refuse_plainly(&request->refusal, result.code);
    }
    return result;
}

void ks_request_done(struct ks_request *request)
{
    ks_buffer_done(&request->outgoing.body);
}
