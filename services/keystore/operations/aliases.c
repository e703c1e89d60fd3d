#include <string.h>

#include "keystead/kms/v1/aliases.pb-c.h"
#include "services/keystore/execute/call.h"
#include "services/keystore/operations/handlers.h"
#include "services/keystore/operations/quota.h"
#include "services/keystore/records/key.h"
#include "services/keystore/records/name.h"

/* Quota */

static bool count_one(void *user, const struct ks_store_record *record)
{
    (void)record;
    size_t *count = user;
    return ++*count < KS_QUOTA_ALIASES;
}

/* False: the call is answered. Two that are made at once may both be the fiftieth; that is fine. */
static bool has_room(struct ks_call *call, const struct ks_target *key)
{
    struct ks_name prefix = ks_name_key_aliases(key->account, key->key_id);
    size_t count = 0;
    ks_result result =
        ks_store_scan(&call->view, ks_name_bytes(&prefix), (ks_bytes){0}, count_one, &count);
    if (ks_failed(result)) {
        ks_call_fail(call, KS_INTERNAL);
        return false;
    }
    if (count >= KS_QUOTA_ALIASES) {
        ks_call_rest_on(call, call->view.data_revision);
        ks_call_fail_text(call, KS_LIMIT_EXCEEDED, "%s has %u aliases, the most it may have.",
                          key->arn.text, KS_QUOTA_ALIASES);
        return false;
    }
    return true;
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

void ks_run_create_alias(struct ks_call *call)
{
    const KMS(CreateAliasRequest) *request = (const KMS(CreateAliasRequest) *)call->request;
    const struct ks_target *key = &call->targets[0];
    if (!is_free(call, request->alias_name) || !has_room(call, key)) {
        return;
    }
    STORED(AliasRecord) alias = STORED_NEW(ALIAS_RECORD);
    alias.format = KS_RECORD_FORMAT;
    alias.account = call->item->account;
    alias.name = request->alias_name;
    alias.key_id = ks_lend_text(key->key_id);
    alias.created_at_ms = ks_call_now_ms(call);
    alias.updated_at_ms = alias.created_at_ms;

    struct ks_name name = ks_name_alias(alias.account, alias.name);
    KS_CHANGE_AUTO change = {.result = KS_RES(OK)};
    ks_change_compare(&change, ks_name_bytes(&name), 0);
    compare_key(&change, key);
    put_alias(&change, &alias);
    put_key_alias(&change, key, alias.name);
    KMS(CreateAliasResponse) response = KMS_NEW(CREATE_ALIAS_RESPONSE);
    ks_call_commit(call, &change, &response.base);
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

void ks_run_update_alias(struct ks_call *call)
{
    const struct ks_target *from = &call->targets[0];
    const struct ks_target *to = &call->targets[1];
    bool same = strcmp(from->key_id, to->key_id) == 0;
    STORED(AliasRecord) alias;
    if ((!same && !has_room(call, to)) || !read_alias(call, from, &alias)) {
        return;
    }
    alias.key_id = ks_lend_text(to->key_id);
    alias.updated_at_ms = ks_call_now_ms(call);

    KS_CHANGE_AUTO change = {.result = KS_RES(OK)};
    compare_alias(&change, from);
    compare_key(&change, from);
    put_alias(&change, &alias);
    if (!same) {
        compare_key(&change, to);
        delete_key_alias(&change, from);
        put_key_alias(&change, to, alias.name);
    }
    KMS(UpdateAliasResponse) response = KMS_NEW(UPDATE_ALIAS_RESPONSE);
    ks_call_commit(call, &change, &response.base);
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
