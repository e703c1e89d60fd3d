#include "services/keystore/execute/confirm.h"

#include <assert.h>
#include <string.h>

#include "pkg/authorize/authorize.h"
#include "pkg/codec/wire.h"
#include "services/keystore/execute/knowledge.h"

#define VERSION_LEN_MAX 22U /* two varints with their tags */

/* Numbers of internal.v1.ViewVersion. */
enum { KEY_VERSION = 1, ALIAS_VERSION };

/* A ViewVersion in the one form that is compared: what is 0 is left out. */
static ks_bytes version_of(struct ks_call *call, const struct ks_target *target)
{
    KS_BUFFER_AUTO packed = {.len_max = VERSION_LEN_MAX};
    ks_result result = KS_RES(OK);
    if (target->key_revision != 0) {
        result = ks_wire_put_varint(KEY_VERSION, (uint64_t)target->key_revision, &packed);
    }
    if (!ks_failed(result) && target->alias_revision != 0) {
        result = ks_wire_put_varint(ALIAS_VERSION, (uint64_t)target->alias_revision, &packed);
    }
    assert(!ks_failed(result));
    uint8_t *bytes = ks_call_alloc(call, packed.len + 1, 1);
    if (packed.len > 0) {
        memcpy(bytes, packed.ptr, packed.len);
    }
    return (ks_bytes){bytes, packed.len};
}

static bool is_as_decided(const struct ks_call *call, size_t count, const ks_bytes *versions)
{
    const INTERNAL(Item) *item = call->item;
    if (item->decision == INTERNAL_ENUM(DECISION__DECISION_UNSPECIFIED) ||
        item->n_versions != count) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!ks_bytes_equal(ks_bytes_in(item->versions[i]), versions[i])) {
            return false;
        }
    }
    return true;
}

static INTERNAL(Fact) * new_fact(struct ks_call *call, const struct ks_policy_fact *known)
{
    INTERNAL(Fact) *fact = ks_call_alloc(call, 1, sizeof(*fact));
    *fact = (INTERNAL(Fact))INTERNAL_NEW(FACT);
    fact->key = ks_call_dup(call, known->key);
    fact->name = ks_lend_bytes(known->name);
    fact->value = ks_lend_bytes(known->value);
    return fact;
}

static INTERNAL(View) *
    new_view(struct ks_call *call, ks_bytes version, const struct ks_facts *facts)
{
    INTERNAL(View) *view = ks_call_alloc(call, 1, sizeof(*view));
    *view = (INTERNAL(View))INTERNAL_NEW(VIEW);
    view->version = ks_lend_bytes(version);
    view->facts = ks_call_pointers(call, KS_FACTS_MAX);
    for (size_t i = 0; i < facts->count; i++) {
        view->facts[view->n_facts++] = new_fact(call, &facts->items[i]);
    }
    return view;
}

/* Only the frontend sees it, and comes back with what it decided: nothing needs to be settled. */
static void answer_stale(struct ks_call *call, size_t count, const ks_bytes *versions,
                         const struct ks_facts *facts)
{
    call->views = ks_call_pointers(call, KS_OPERATION_KEYS_MAX);
    for (size_t i = 0; i < count; i++) {
        call->views[i] = new_view(call, versions[i], &facts[i]);
    }
    call->view_count = count;
    call->view_revision = call->view.revision;
    ks_attempt_rest_on_nothing(&call->attempt);
    ks_call_fail(call, KS_STALE_VIEW);
}

static bool is_allowed_here(const struct ks_call *call, const struct ks_facts *facts)
{
    const struct ks_home home = {.partition = call->env->partition, .region = call->env->region};
    const struct ks_question question = {
        .operation = call->operation,
        .checked = &call->checked,
        .home = &home,
        .account = ks_bytes_of(call->item->account),
        .principal = ks_bytes_of(call->item->principal),
        .keys = facts,
    };
    return ks_authorize(&question);
}

bool ks_confirm(struct ks_call *call)
{
    size_t count = call->target_count;
    assert(count <= KS_OPERATION_KEYS_MAX);

    ks_bytes versions[KS_OPERATION_KEYS_MAX];
    struct ks_facts facts[KS_OPERATION_KEYS_MAX];
    for (size_t i = 0; i < count; i++) {
        versions[i] = version_of(call, &call->targets[i]);
        ks_knowledge_of(&call->targets[i], &facts[i]);
    }
    if (!is_as_decided(call, count, versions)) {
        answer_stale(call, count, versions, facts);
        return false;
    }
    if (call->item->decision != INTERNAL_ENUM(DECISION__DECISION_ALLOW) ||
        (ks_call_names_another_account(call) && !call->operation->other_accounts) ||
        !is_allowed_here(call, facts)) {
        ks_call_hide_account(call);
        ks_call_fail(call, KS_ACCESS_DENIED);
        return false;
    }
    return true;
}
