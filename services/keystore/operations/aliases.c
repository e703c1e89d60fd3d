#include <string.h>

#include "keystead/kms/v1/aliases.pb-c.h"
#include "services/keystore/execute/call.h"
#include "services/keystore/execute/resolve.h"
#include "services/keystore/execute/seal.h"
#include "services/keystore/operations/handlers.h"
#include "services/keystore/operations/quota.h"
#include "services/keystore/records/key.h"
#include "services/keystore/records/name.h"

/* False: the call is answered. */
static bool has_room(struct ks_call *call, const struct ks_target *key)
{
    if (key->key->n_aliases >= KS_QUOTA_ALIASES) {
        ks_call_fail_text(call, KS_LIMIT_EXCEEDED, "%s has %u aliases, the most it may have.",
                          key->arn.text, KS_QUOTA_ALIASES);
        return false;
    }
    return true;
}

/* Aliases as keys know them */

/* A copy of the key's record with a list of its own, with room for one more; the rest is shared. */
static STORED(KeyRecord) own_aliases(struct ks_call *call, const struct ks_target *key)
{
    STORED(KeyRecord) record = *key->key;
    record.aliases = ks_call_pointers(call, record.n_aliases + 1);
    for (size_t i = 0; i < record.n_aliases; i++) {
        record.aliases[i] = key->key->aliases[i];
    }
    return record;
}

static void add_alias(struct ks_call *call, STORED(KeyRecord) * record,
                      const STORED(KeyAlias) * alias)
{
    STORED(KeyAlias) *copy = ks_call_alloc(call, 1, sizeof(*copy));
    *copy = *alias;
    record->aliases[record->n_aliases++] = copy;
}

static void remove_alias(STORED(KeyRecord) * record, const char *name)
{
    size_t kept = 0;
    for (size_t i = 0; i < record->n_aliases; i++) {
        if (strcmp(record->aliases[i]->name, name) != 0) {
            record->aliases[kept++] = record->aliases[i];
        }
    }
    record->n_aliases = kept;
}

/* Parts of a change */

static void put_alias(struct ks_change *change, const struct ks_target *key, const char *alias)
{
    STORED(AliasRecord) record = STORED_NEW(ALIAS_RECORD);
    record.format = KS_RECORD_FORMAT;
    record.account = ks_lend_text(key->account);
    record.name = ks_lend_text(alias);
    record.key_id = ks_lend_text(key->key_id);
    struct ks_name name = ks_name_alias(key->account, alias);
    ks_change_put(change, ks_name_bytes(&name), &record.base);
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
    struct ks_target other;
    if (!ks_resolve_other(call, ks_bytes_of(call->item->account), ks_bytes_of(alias), &other)) {
        return false;
    }
    if (!other.key_id) {
        return true;
    }
    struct ks_arn_home home = {call->env->partition, call->env->region, call->item->account};
    struct ks_arn arn;
    ks_arn_of_alias(&home, alias, &arn);
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
    STORED(KeyAlias) alias = STORED_NEW(KEY_ALIAS);
    alias.name = request->alias_name;
    alias.created_at_ms = ks_call_now_ms(call);
    alias.updated_at_ms = alias.created_at_ms;
    STORED(KeyRecord) record = own_aliases(call, key);
    add_alias(call, &record, &alias);

    struct ks_name name = ks_name_alias(key->account, alias.name);
    struct ks_change change = {.result = KS_RES(OK)};
    ks_change_compare(&change, ks_name_bytes(&name), 0);
    put_alias(&change, key, alias.name);
    put_key_alias(&change, key, alias.name);
    KMS(CreateAliasResponse) response = KMS_NEW(CREATE_ALIAS_RESPONSE);
    const struct ks_seal seal = {key, &record};
    ks_seal_commit(call, &seal, 1, &change, &response.base);
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
    if (!same && !has_room(call, to)) {
        return;
    }
    STORED(KeyAlias) alias = *ks_record_alias(from->key, from->alias); /* ks_resolve has looked */
    alias.updated_at_ms = ks_call_now_ms(call);
    STORED(KeyRecord) left = own_aliases(call, from);
    STORED(KeyRecord) reached = own_aliases(call, to);
    remove_alias(&left, alias.name);
    remove_alias(&reached, alias.name);
    add_alias(call, &reached, &alias);

    struct ks_change change = {.result = KS_RES(OK)};
    compare_alias(&change, from);
    put_alias(&change, to, alias.name);
    if (!same) {
        delete_key_alias(&change, from);
        put_key_alias(&change, to, alias.name);
    }
    KMS(UpdateAliasResponse) response = KMS_NEW(UPDATE_ALIAS_RESPONSE);
    const struct ks_seal seals[] = {{to, &reached}, {from, &left}};
    ks_seal_commit(call, seals, same ? 1 : 2, &change, &response.base);
}

void ks_run_delete_alias(struct ks_call *call)
{
    const struct ks_target *alias = &call->targets[0];
    struct ks_name name = ks_name_alias(alias->account, alias->alias);
    STORED(KeyRecord) record = own_aliases(call, alias);
    remove_alias(&record, alias->alias);

    struct ks_change change = {.result = KS_RES(OK)};
    compare_alias(&change, alias);
    ks_change_delete(&change, ks_name_bytes(&name));
    delete_key_alias(&change, alias);
    KMS(DeleteAliasResponse) response = KMS_NEW(DELETE_ALIAS_RESPONSE);
    const struct ks_seal seal = {alias, &record};
    ks_seal_commit(call, &seal, 1, &change, &response.base);
}
