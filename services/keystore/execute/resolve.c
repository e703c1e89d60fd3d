#include "services/keystore/execute/resolve.h"

#include <assert.h>
#include <string.h>

#include "pkg/form/names.h"
#include "pkg/keyspec/keyspec.h"
#include "pkg/keystate/keystate.h"
#include "services/keystore/execute/known_keys.h"
#include "services/keystore/execute/trust.h"
#include "services/keystore/records/alias.h"
#include "services/keystore/records/key.h"
#include "services/keystore/records/name.h"

static struct ks_arn_home home_of(const struct ks_call *call, const char *account)
{
    return (struct ks_arn_home){call->env->partition, call->env->region, account};
}

/* Looking up */

static void take_known(struct ks_call *call, struct ks_target *target,
                       const struct ks_known_key *known)
{
    target->arn = known->arn;
    target->key = known->record;
    target->about = known->about;
    target->key_revision = known->revision;
    ks_call_rest_on(call, known->revision);
}

/* Reads a key's record for this call alone. Fails: CORRUPT, LIMIT_EXCEEDED. */
static ks_result read_own(struct ks_call *call, struct ks_target *target,
                          const struct ks_store_record *record)
{
    STORED(KeyRecord) *key = NULL;
    struct ks_known_key own = {.revision = record->revision};
    KS_TRY(ks_record_read_key_at(record->key, record->value, &call->arena, &key));
    KS_TRY(ks_about_new(record->key, record->value, &call->arena, &own.about));
    const struct ks_arn_home home = home_of(call, target->account);
    ks_arn_of_key(&home, target->key_id, &own.arn);
    own.record = key;
    take_known(call, target, &own);
    return KS_RES(OK);
}

/*
 * Reads a key's record, for the other items of the message, too, if the view is theirs and there is
 * room. Fails: CORRUPT (with an alarm), LIMIT_EXCEEDED.
 */
static ks_result read_key(struct ks_call *call, struct ks_target *target,
                          const struct ks_store_record *record)
{
    const struct ks_arn_home home = home_of(call, target->account);
    const struct ks_known_key *known = NULL;
    ks_result result = call->message
                           ? ks_known_keys_read(call->known, &home, target->key_id, record, &known)
                           : KS_RES(LIMIT_EXCEEDED);
    if (known) {
        take_known(call, target, known);
    } else if (result.code == KS_LIMIT_EXCEEDED) {
        result = read_own(call, target, record);
    }
    if (result.code == KS_CORRUPT) {
        ks_trust_alarm(call->env->trust, record->key);
    }
    return result;
}

/*
 * An absence rests on the account's own changes of that kind. One in another account rests on the
 * newest change of the cell: the time that the answer takes must not tell when that account changes
 * something.
 */
static void rest_on_absence(struct ks_call *call, const struct ks_target *target,
                            const struct ks_name *prefix)
{
    if (strcmp(target->account, call->item->account) == 0) {
        ks_call_rest_on_prefix(call, ks_name_bytes(prefix));
    } else {
        ks_call_rest_on(call, call->view.data_revision);
    }
}

/* Fills arn, key and key_revision, or notes the absence. Fails: CORRUPT. */
static ks_result find_key(struct ks_call *call, struct ks_target *target)
{
    const struct ks_known_key *known =
        call->message ? ks_known_keys_find(call->known, target->account, target->key_id) : NULL;
    if (known) {
        take_known(call, target, known);
        return KS_RES(OK);
    }
    struct ks_name name = ks_name_key(target->account, target->key_id);
    struct ks_store_record record;
    ks_result result = ks_store_get(&call->view, ks_name_bytes(&name), &record);
    if (result.code == KS_NOT_FOUND) {
        struct ks_arn_home home = home_of(call, target->account);
        ks_arn_of_key(&home, target->key_id, &target->arn);
        target->alias_revision = 0;
        struct ks_name prefix = ks_name_keys(target->account);
        rest_on_absence(call, target, &prefix);
        return KS_RES(OK);
    }
    KS_TRY(result);
    return read_key(call, target, &record);
}

static ks_result find_alias(struct ks_call *call, struct ks_target *target)
{
    struct ks_arn_home home = home_of(call, target->account);
    ks_arn_of_alias(&home, target->alias, &target->arn);

    struct ks_name name = ks_name_alias(target->account, target->alias);
    struct ks_store_record record;
    ks_result result = ks_store_get(&call->view, ks_name_bytes(&name), &record);
    if (result.code == KS_NOT_FOUND) {
        struct ks_name prefix = ks_name_aliases(target->account);
        rest_on_absence(call, target, &prefix);
        return KS_RES(OK);
    }
    KS_TRY(result);
    STORED(AliasRecord) *alias = NULL;
    result = ks_record_read_alias(record.key, record.value, &call->arena, &alias);
    if (result.code == KS_CORRUPT) {
        ks_trust_alarm(call->env->trust, ks_name_bytes(&name));
    }
    KS_TRY(result);
    target->key_id = alias->key_id;
    target->alias_revision = record.revision;
    ks_call_rest_on(call, record.revision);
    KS_TRY(find_key(call, target));
    /* Both change in one step: a key that does not know its alias was not given it by a keystore. */
    if (!target->key || !ks_record_alias(target->key, target->alias)) {
        ks_trust_alarm(call->env->trust, ks_name_bytes(&name));
        return KS_RES(CORRUPT);
    }
    return KS_RES(OK);
}

static bool find(struct ks_call *call, struct ks_target *target)
{
    ks_result result = target->key_id ? find_key(call, target) : find_alias(call, target);
    if (ks_failed(result)) {
        ks_call_fail(call, KS_INTERNAL);
        return false;
    }
    return true;
}

/* What the request names; its form was checked. */

static void name_target(struct ks_call *call, ks_bytes account, ks_bytes name,
                        struct ks_target *target)
{
    const char *text = ks_call_dup(call, name);
    bool is_alias = ks_bytes_starts_with(name, KS_LITERAL(KS_ALIAS_PREFIX));
    target->account = ks_call_dup(call, account);
    target->alias = is_alias ? text : NULL;
    target->key_id = is_alias ? NULL : text;
}

static void name_material(struct ks_call *call, ks_bytes material_id, struct ks_target *target)
{
    char *hex = ks_call_alloc(call, 2 * KS_MATERIAL_ID_LEN + 1, 1);
    ks_hex_write(material_id, hex);
    target->in_blob = true;
    target->material_id = hex;
}

bool ks_resolve(struct ks_call *call)
{
    call->target_count = 0;
    call->confirmed_count = 0;
    call->other_count = 0;
    call->records_are_checked = false;
    for (size_t i = 0; i < call->checked.key_count; i++) {
        const struct ks_key_naming *key = &call->checked.keys[i];
        struct ks_target *target = &call->targets[call->target_count++];
        *target = (struct ks_target){.in_blob = false};
        name_target(call, key->account, key->name, target);
        if (key->material_id.len > 0) {
            name_material(call, key->material_id, target);
        }
        if (!find(call, target)) {
            return false;
        }
    }
    return true;
}

/* Absence, the other name, the state */

/* What is left of a destroyed key is checked as the key would be: nobody but an hsm ends a key. */
static void rest_on_tombstone(struct ks_call *call, const struct ks_target *target)
{
    struct ks_name name = ks_name_gone_key(target->account, target->key_id);
    struct ks_store_record record;
    if (!ks_failed(ks_store_get(&call->view, ks_name_bytes(&name), &record))) {
        ks_call_rest_on_record(call, &record);
    }
}

static bool is_there(struct ks_call *call, const struct ks_target *target)
{
    if (target->key) {
        return true;
    }
    if (target->in_blob || strcmp(target->account, call->item->account) != 0) {
        ks_call_fail(call, KS_ACCESS_DENIED);
        return false;
    }
    if (target->key_id) {
        rest_on_tombstone(call, target);
        ks_call_fail_text(call, KS_NOT_FOUND, "Key '%s' does not exist", target->arn.text);
        return false;
    }
    ks_call_fail_text(call, KS_NOT_FOUND, "Alias %s is not found.", target->arn.text);
    return false;
}

bool ks_resolve_other(struct ks_call *call, ks_bytes account, ks_bytes name,
                      struct ks_target *ret_target)
{
    *ret_target = (struct ks_target){.in_blob = false};
    name_target(call, account, name, ret_target);
    if (!find(call, ret_target)) {
        return false;
    }
    assert(call->confirmed_count < KS_COUNT(call->confirmed));
    call->confirmed[call->confirmed_count++] = ret_target->about;
    return true;
}

/* The name beside a ciphertext, if given, must be of the key that the ciphertext names. */
static bool is_the_given_one(struct ks_call *call, const struct ks_key_naming *key,
                             struct ks_target *target)
{
    if (key->confirmed_name.len == 0) {
        return true;
    }
    struct ks_target given;
    if (!ks_resolve_other(call, key->confirmed_account, key->confirmed_name, &given)) {
        return false;
    }
    target->confirmed_alias = given.alias;
    if (strcmp(given.account, call->item->account) != 0) {
        ks_call_rest_on(call, call->view.data_revision);
    }
    if (!given.key || strcmp(given.account, target->account) != 0 ||
        strcmp(given.key_id, target->key_id) != 0) {
        ks_call_fail_text(call, KS_INCORRECT_KEY,
                          "The key ID in the request does not identify a CMK that can perform this "
                          "operation.");
        return false;
    }
    return true;
}

static bool is_in_state(struct ks_call *call, const struct ks_resource *resource,
                        const struct ks_target *target)
{
    ks_key_state state;
    if (!ks_key_state_of((uint32_t)target->key->state, &state)) {
        ks_call_fail(call, KS_INTERNAL);
        return false;
    }
    ks_key_verdict verdict = ks_key_allows(state, resource->states);
    if (verdict.code != KS_OK) {
        ks_call_fail_text(call, verdict.code, "%s %s", target->arn.text, verdict.says);
        return false;
    }
    return true;
}

static bool has_usage(struct ks_call *call, const struct ks_resource *resource,
                      const struct ks_target *target)
{
    if (resource->usage == 0) {
        return true;
    }
    uint32_t usage = (uint32_t)target->key->usage;
    ks_result result =
        ks_keyspec_allows((uint32_t)target->key->spec, usage, (enum ks_key_usage)resource->usage);
    if (result.code == KS_INVALID_KEY_USAGE) {
        ks_call_fail_text(call, KS_INVALID_KEY_USAGE,
                          "%s key usage is %s which is not valid for %s.", target->arn.text,
                          ks_key_usage_name(usage), call->operation->name);
    } else if (ks_failed(result)) {
        ks_call_fail(call, KS_INTERNAL);
    }
    return !ks_failed(result);
}

bool ks_resolve_allow(struct ks_call *call)
{
    const struct ks_key_naming *keys = call->checked.keys;
    for (size_t i = 0; i < call->target_count; i++) {
        if (!is_there(call, &call->targets[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < call->target_count; i++) {
        if (!is_the_given_one(call, &keys[i], &call->targets[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < call->target_count; i++) {
        if (!is_in_state(call, keys[i].resource, &call->targets[i]) ||
            !has_usage(call, keys[i].resource, &call->targets[i])) {
            return false;
        }
    }
    return true;
}
