#include <string.h>

#include "keystead/kms/v1/aliases.pb-c.h"
#include "services/keystore/execute/call.h"
#include "services/keystore/operations/handlers.h"
#include "services/keystore/operations/quota.h"
#include "services/keystore/records/key.h"
#include "services/keystore/records/name.h"

/* What a call that adds an alias to a key knows, over its steps and its tries. */
struct plan {
    struct ks_quota_claim claim; /* on the key's aliases */
    STORED(AliasRecord) alias;   /* as it is to be; its texts are in the arena */
    void (*commit)(struct ks_call *call, struct plan *plan);
};

/* Quota */

static void looked(void *user, ks_result result)
{
    struct ks_call *call = user;
    struct plan *plan = call->state;
    if (result.code == KS_LIMIT_EXCEEDED) {
        const struct ks_target *key = &call->targets[call->target_count - 1];
        ks_call_rest_on(call, plan->claim.newest);
        ks_call_fail_text(call, KS_LIMIT_EXCEEDED, "%s has %u aliases, the most it may have.",
                          key->arn.text, KS_QUOTA_ALIASES);
    } else if (ks_failed(result)) {
        bool retryable = result.code == KS_UNAVAILABLE || result.code == KS_THROTTLED;
        ks_call_fail(call, retryable ? result.code : KS_INTERNAL);
    } else {
        plan->commit(call, plan);
    }
}

static void leave(struct ks_call *call)
{
    struct plan *plan = call->state;
    ks_quota_leave(call->env->quota, &plan->claim);
}

/* The plan of the call, which its tries share. */
static struct plan *plan_of(struct ks_call *call)
{
    if (!call->state) {
        call->state = ks_call_alloc(call, 1, sizeof(struct plan));
    }
    return call->state;
}

/*
 * Commits once the key, the last one that the request names, has room for one more alias. A later
 * try holds its claim still, and looks at the count in its own view.
 */
static void commit_if_room(struct ks_call *call, struct plan *plan)
{
    if (call->at_end) {
        looked(call, ks_quota_look(&call->view, &plan->claim));
        return;
    }
    const struct ks_target *key = &call->targets[call->target_count - 1];
    ks_call_close_view(call);
    plan->claim = (struct ks_quota_claim){
        .prefix = ks_name_key_aliases(key->account, key->key_id),
        .limit = KS_QUOTA_ALIASES,
        .done = looked,
        .user = call,
    };
    call->at_end = leave;
    ks_quota_enter(call->env->quota, &plan->claim);
}

/* Parts of a change */

static void compare_key(struct ks_change *change, const struct ks_target *key)
{
    struct ks_name name = ks_name_key(key->account, key->key_id);
    ks_change_compare(change, ks_name_bytes(&name), key->key_revision);
}

static void put_alias(struct ks_change *change, const STORED(AliasRecord) * record)
{
    struct ks_name name = ks_name_alias(record->account, record->name);
    ks_change_put(change, ks_name_bytes(&name), &record->base);
}

static void put_key_alias(struct ks_change *change, const struct ks_target *key, const char *alias)
{
    STORED(KeyAliasRecord) record = STORED_NEW(KEY_ALIAS_RECORD);
    record.format = KS_RECORD_FORMAT;
    record.name = ks_lend_text(alias);
    struct ks_name name = ks_name_key_alias(key->account, key->key_id, alias);
    ks_change_put(change, ks_name_bytes(&name), &record.base);
}

static void delete_key_alias(struct ks_change *change, const struct ks_target *key)
{
    struct ks_name name = ks_name_key_alias(key->account, key->key_id, key->alias);
    ks_change_delete(change, ks_name_bytes(&name));
}

/* The operations */

/* The alias must not be there. False: the call is answered. */
static bool is_free(struct ks_call *call, const char *alias)
{
    struct ks_name name = ks_name_alias(call->item->account, alias);
    struct ks_store_record record;
    ks_result result = ks_store_get(&call->view, ks_name_bytes(&name), &record);
    if (result.code == KS_NOT_FOUND) {
        return true;
    }
    if (ks_failed(result)) {
        ks_call_fail(call, KS_INTERNAL);
        return false;
    }
    struct ks_arn_home home = {call->env->partition, call->env->region, call->item->account};
    struct ks_arn arn;
    ks_arn_of_alias(&home, alias, &arn);
    ks_call_rest_on(call, record.revision);
    ks_call_fail_text(call, KS_ALREADY_EXISTS, "An alias with the name %s already exists",
                      arn.text);
    return false;
}

static void commit_new(struct ks_call *call, struct plan *plan)
{
    const struct ks_target *key = &call->targets[0];
    struct ks_name name = ks_name_alias(plan->alias.account, plan->alias.name);
    KS_CHANGE_AUTO change = {.result = KS_RES(OK)};
    ks_change_compare(&change, ks_name_bytes(&name), 0);
    compare_key(&change, key);
    put_alias(&change, &plan->alias);
    put_key_alias(&change, key, plan->alias.name);
    ks_quota_guard(&plan->claim, &change);
    KMS(CreateAliasResponse) response = KMS_NEW(CREATE_ALIAS_RESPONSE);
    ks_call_commit(call, &change, &response.base);
}

void ks_run_create_alias(struct ks_call *call)
{
    const KMS(CreateAliasRequest) *request = (const KMS(CreateAliasRequest) *)call->request;
    if (!is_free(call, request->alias_name)) {
        return;
    }
    struct plan *plan = plan_of(call);
    plan->commit = commit_new;
    plan->alias = (STORED(AliasRecord))STORED_NEW(ALIAS_RECORD);
    plan->alias.format = KS_RECORD_FORMAT;
    plan->alias.account = call->item->account;
    plan->alias.name = request->alias_name;
    plan->alias.key_id = ks_lend_text(call->targets[0].key_id);
    plan->alias.created_at_ms = ks_call_now_ms(call);
    plan->alias.updated_at_ms = plan->alias.created_at_ms;
    commit_if_room(call, plan);
}

/* The alias's own record, to be written anew. False: the call is answered. */
static bool read_alias(struct ks_call *call, const struct ks_target *alias,
                       STORED(AliasRecord) * ret_record)
{
    struct ks_name name = ks_name_alias(alias->account, alias->alias);
    struct ks_store_record record;
    ProtobufCMessage *message = NULL;
    if (ks_failed(ks_store_get(&call->view, ks_name_bytes(&name), &record)) ||
        ks_failed(
            ks_record_read(STORED_TYPE(alias_record), record.value, &call->arena, &message))) {
        ks_call_fail(call, KS_INTERNAL);
        return false;
    }
    *ret_record = *(const STORED(AliasRecord) *)message;
    return true;
}

static void compare_alias(struct ks_change *change, const struct ks_target *alias)
{
    struct ks_name name = ks_name_alias(alias->account, alias->alias);
    ks_change_compare(change, ks_name_bytes(&name), alias->alias_revision);
}

static void commit_moved(struct ks_call *call, struct plan *plan)
{
    const struct ks_target *from = &call->targets[0];
    const struct ks_target *to = &call->targets[1];
    KS_CHANGE_AUTO change = {.result = KS_RES(OK)};
    compare_alias(&change, from);
    compare_key(&change, from);
    put_alias(&change, &plan->alias);
    if (strcmp(from->key_id, to->key_id) != 0) {
        compare_key(&change, to);
        delete_key_alias(&change, from);
        put_key_alias(&change, to, plan->alias.name);
        ks_quota_guard(&plan->claim, &change);
    }
    KMS(UpdateAliasResponse) response = KMS_NEW(UPDATE_ALIAS_RESPONSE);
    ks_call_commit(call, &change, &response.base);
}

/* A claim that an earlier try holds, for a move to another key, does no harm to one to the same. */
void ks_run_update_alias(struct ks_call *call)
{
    const struct ks_target *from = &call->targets[0];
    const struct ks_target *to = &call->targets[1];
    struct plan *plan = plan_of(call);
    plan->commit = commit_moved;
    if (!read_alias(call, from, &plan->alias)) {
        return;
    }
    plan->alias.key_id = ks_lend_text(to->key_id);
    plan->alias.updated_at_ms = ks_call_now_ms(call);
    if (strcmp(from->key_id, to->key_id) == 0) {
        commit_moved(call, plan);
    } else {
        commit_if_room(call, plan);
    }
}

void ks_run_delete_alias(struct ks_call *call)
{
    const struct ks_target *alias = &call->targets[0];
    struct ks_name name = ks_name_alias(alias->account, alias->alias);
    KS_CHANGE_AUTO change = {.result = KS_RES(OK)};
    compare_alias(&change, alias);
    compare_key(&change, alias);
    ks_change_delete(&change, ks_name_bytes(&name));
    delete_key_alias(&change, alias);
    KMS(DeleteAliasResponse) response = KMS_NEW(DELETE_ALIAS_RESPONSE);
    ks_call_commit(call, &change, &response.base);
}
