#include "services/keystore/execute/resolve.h"

#include <assert.h>
#include <string.h>

#include "services/keystore/execute/ciphertext.h"
#include "services/keystore/execute/operation.h"
#include "services/keystore/records/key.h"
#include "services/keystore/records/name.h"

/* Reading a field of a request whose type only its descriptor knows. */

static const char *text_at(const struct ks_call *call, size_t offset)
{
    return *(char *const *)(const void *)((const char *)call->request + offset);
}

static ks_bytes bytes_at(const struct ks_call *call, size_t offset)
{
    return ks_bytes_in(
        *(const ProtobufCBinaryData *)(const void *)((const char *)call->request + offset));
}

static struct ks_arn_home home_of(const struct ks_call *call, const char *account)
{
    return (struct ks_arn_home){call->env->partition, call->env->region, account};
}

/* Looking up */

/* Fills key and key_revision, or notes the absence. Fails: CORRUPT. */
static ks_result find_key(struct ks_call *call, struct ks_target *target)
{
    struct ks_arn_home home = home_of(call, target->account);
    ks_arn_of_key(&home, target->key_id, &target->arn);

    struct ks_name name = ks_name_key(target->account, target->key_id);
    struct ks_store_record record;
    ks_result result = ks_store_get(&call->view, ks_name_bytes(&name), &record);
    if (result.code == KS_NOT_FOUND) {
        target->alias_revision = 0;
        ks_call_rest_on(call, call->view.data_revision);
        return KS_RES(OK);
    }
    KS_TRY(result);
    STORED(KeyRecord) *key = NULL;
    KS_TRY(ks_record_read_key(record.value, &call->arena, &key));
    target->key = key;
    target->key_revision = record.revision;
    ks_call_rest_on(call, record.revision);
    return KS_RES(OK);
}

static ks_result find_alias(struct ks_call *call, struct ks_target *target)
{
    struct ks_arn_home home = home_of(call, target->account);
    ks_arn_of_alias(&home, target->alias, &target->arn);

    struct ks_name name = ks_name_alias(target->account, target->alias);
    struct ks_store_record record;
    ks_result result = ks_store_get(&call->view, ks_name_bytes(&name), &record);
    if (result.code == KS_NOT_FOUND) {
        ks_call_rest_on(call, call->view.data_revision);
        return KS_RES(OK);
    }
    KS_TRY(result);
    ProtobufCMessage *message = NULL;
    KS_TRY(ks_record_read(STORED_TYPE(alias_record), record.value, &call->arena, &message));
    target->key_id = ((const STORED(AliasRecord) *)message)->key_id;
    target->alias_revision = record.revision;
    ks_call_rest_on(call, record.revision);
    return find_key(call, target);
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

/* What the client wrote */

static void fail_malformed(struct ks_call *call, ks_code code, const char *text)
{
    if (code == KS_INVALID_ARN) {
        ks_call_fail_text(call, KS_INVALID_ARN, "Invalid arn %.*s", 256, text);
        return;
    }
    ks_call_fail_text(call, KS_NOT_FOUND, "Invalid keyId '%.*s'", 256, text);
}

static bool is_elsewhere(const struct ks_call *call, const struct ks_key_ref *ref)
{
    return ref->region.len > 0 && !ks_bytes_equal(ref->region, ks_bytes_of(call->env->region));
}

static bool is_foreign_partition(const struct ks_call *call, const struct ks_key_ref *ref)
{
    return ref->partition.len > 0 &&
           !ks_bytes_equal(ref->partition, ks_bytes_of(call->env->partition));
}

/* False: the call is answered. */
static bool name_target(struct ks_call *call, const char *text, bool alias_allowed,
                        struct ks_target *target)
{
    struct ks_key_ref ref;
    ks_result result = ks_key_ref_parse(ks_bytes_of(text), &ref);
    if (!ks_failed(result) && ks_key_ref_is_alias(&ref) && !alias_allowed) {
        result = ref.kind == KS_KEY_REF_ALIAS ? KS_RES(NOT_FOUND) : KS_RES(INVALID_ARN);
    }
    if (!ks_failed(result) && is_foreign_partition(call, &ref)) {
        result = KS_RES(INVALID_ARN);
    }
    if (ks_failed(result)) {
        fail_malformed(call, result.code, text);
        return false;
    }
    if (is_elsewhere(call, &ref)) {
        ks_call_fail_text(call, KS_NOT_FOUND, "Invalid arn %.*s", (int)ref.region.len,
                          (const char *)ref.region.ptr);
        return false;
    }
    const char *name = ks_call_dup(call, ref.name);
    target->account = ref.account.len > 0 ? ks_call_dup(call, ref.account) : call->item->account;
    target->alias = ks_key_ref_is_alias(&ref) ? name : NULL;
    target->key_id = target->alias ? NULL : name;
    return true;
}

static bool resolve_text(struct ks_call *call, const struct ks_identifier *identifier,
                         struct ks_target *target)
{
    const char *text = text_at(call, identifier->offset);
    return name_target(call, text, identifier->form == KS_IDENTIFIER_ANY, target) &&
           find(call, target);
}

/* The operation's check has looked at the form. */
static bool resolve_alias(struct ks_call *call, const struct ks_identifier *identifier,
                          struct ks_target *target)
{
    target->alias = text_at(call, identifier->offset);
    target->account = call->item->account;
    return find(call, target);
}

/* A blob of another region is no ciphertext here; a frontend that knows the region has said so. */
static bool resolve_blob(struct ks_call *call, const struct ks_identifier *identifier,
                         struct ks_target *target)
{
    struct ks_ciphertext header;
    if (!ks_ciphertext_read(bytes_at(call, identifier->offset), &header) ||
        !ks_bytes_equal(header.region, ks_bytes_of(call->env->region)) ||
        !ks_key_id_is_valid(header.key_id)) {
        ks_call_fail(call, KS_INVALID_CIPHERTEXT);
        return false;
    }
    target->in_blob = true;
    target->account = ks_call_dup(call, header.account);
    target->key_id = ks_call_dup(call, header.key_id);
    target->material_id = ks_call_dup(call, ks_bytes_of(header.material_id));
    return find(call, target);
}

bool ks_resolve(struct ks_call *call)
{
    static bool (*const resolvers[])(struct ks_call *, const struct ks_identifier *,
                                     struct ks_target *) = {
        [KS_IDENTIFIER_KEY] = resolve_text,  [KS_IDENTIFIER_KEY_OPT] = resolve_text,
        [KS_IDENTIFIER_ANY] = resolve_text,  [KS_IDENTIFIER_ALIAS] = resolve_alias,
        [KS_IDENTIFIER_BLOB] = resolve_blob,
    };
    call->target_count = 0;
    for (size_t i = 0; i < KS_CALL_TARGETS_MAX; i++) {
        const struct ks_identifier *identifier = &call->operation->identifiers[i];
        if (identifier->form == KS_IDENTIFIER_NONE ||
            (identifier->form == KS_IDENTIFIER_KEY_OPT &&
             text_at(call, identifier->offset)[0] == '\0')) {
            continue;
        }
        struct ks_target *target = &call->targets[call->target_count];
        *target = (struct ks_target){.in_blob = false};
        if (!resolvers[identifier->form](call, identifier, target)) {
            return false;
        }
        call->target_count++;
    }
    return true;
}

/* The frontend's decision */

static bool is_as_decided(const struct ks_call *call)
{
    const INTERNAL(Item) *item = call->item;
    if (item->decision == INTERNAL_ENUM(DECISION__DECISION_UNSPECIFIED) ||
        item->n_versions != call->target_count) {
        return false;
    }
    for (size_t i = 0; i < call->target_count; i++) {
        if (item->versions[i]->key_version != call->targets[i].key_revision ||
            item->versions[i]->alias_version != call->targets[i].alias_revision) {
            return false;
        }
    }
    return true;
}

static INTERNAL(View) * new_view(struct ks_call *call, const struct ks_target *target)
{
    INTERNAL(View) *view = ks_call_alloc(call, 1, sizeof(*view));
    INTERNAL(ViewVersion) *version = ks_call_alloc(call, 1, sizeof(*version));
    *view = (INTERNAL(View))INTERNAL_NEW(VIEW);
    *version = (INTERNAL(ViewVersion))INTERNAL_NEW(VIEW_VERSION);
    version->key_version = target->key_revision;
    version->alias_version = target->alias_revision;
    view->version = version;
    if (target->key) {
        view->key_arn = ks_lend_text(target->arn.text);
        view->policy = target->key->policy;
    }
    return view;
}

/* Only the frontend sees it, and comes back with what it decided: nothing needs to be settled. */
static void answer_stale(struct ks_call *call)
{
    call->views = ks_call_pointers(call, KS_CALL_TARGETS_MAX);
    for (size_t i = 0; i < call->target_count; i++) {
        call->views[i] = new_view(call, &call->targets[i]);
    }
    call->view_count = call->target_count;
    call->rests_on = 0;
    ks_call_fail(call, KS_STALE_VIEW);
}

static bool names_another_account(const struct ks_call *call)
{
    for (size_t i = 0; i < call->target_count; i++) {
        if (strcmp(call->targets[i].account, call->item->account) != 0) {
            return true;
        }
    }
    return false;
}

bool ks_resolve_confirm(struct ks_call *call)
{
    if (!is_as_decided(call)) {
        answer_stale(call);
        return false;
    }
    if (call->item->decision != INTERNAL_ENUM(DECISION__DECISION_ALLOW) ||
        (names_another_account(call) && !call->operation->other_accounts)) {
        ks_call_fail(call, KS_ACCESS_DENIED);
        return false;
    }
    return true;
}

/* Absence, the other name, the state */

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
        ks_call_fail_text(call, KS_NOT_FOUND, "Key '%s' does not exist", target->arn.text);
        return false;
    }
    ks_call_fail_text(call, KS_NOT_FOUND, "Alias %s is not found.", target->arn.text);
    return false;
}

/* The text besides a ciphertext, if given, must name the key that the ciphertext names. */
static bool is_the_given_one(struct ks_call *call, const struct ks_identifier *identifier,
                             const struct ks_target *target)
{
    if (identifier->form != KS_IDENTIFIER_BLOB) {
        return true;
    }
    const char *text = text_at(call, identifier->given_offset);
    if (text[0] == '\0') {
        return true;
    }
    struct ks_target given = {.in_blob = false};
    if (!name_target(call, text, true, &given) || !find(call, &given)) {
        return false;
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

static bool state_of(const STORED(KeyRecord) * key, ks_key_state *ret_state)
{
    static const ks_key_state states[] = {
        [STORED_ENUM(KEY_STATE__KEY_STATE_ENABLED)] = KS_KEY_ENABLED,
        [STORED_ENUM(KEY_STATE__KEY_STATE_DISABLED)] = KS_KEY_DISABLED,
        [STORED_ENUM(KEY_STATE__KEY_STATE_PENDING_DELETION)] = KS_KEY_PENDING_DELETION,
    };
    if (key->state == STORED_ENUM(KEY_STATE__KEY_STATE_UNSPECIFIED) ||
        (size_t)key->state >= KS_COUNT(states)) {
        return false;
    }
    *ret_state = states[key->state];
    return true;
}

static bool is_in_state(struct ks_call *call, const struct ks_identifier *identifier,
                        const struct ks_target *target)
{
    ks_key_state state;
    if (!state_of(target->key, &state)) {
        ks_call_fail(call, KS_INTERNAL);
        return false;
    }
    ks_key_verdict verdict = ks_key_allows(state, identifier->action);
    if (verdict.code != KS_OK) {
        ks_call_fail_text(call, verdict.code, "%s %s", target->arn.text, verdict.says);
        return false;
    }
    return true;
}

bool ks_resolve_allow(struct ks_call *call)
{
    const struct ks_identifier *identifiers = call->operation->identifiers;
    for (size_t i = 0; i < call->target_count; i++) {
        if (!is_there(call, &call->targets[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < call->target_count; i++) {
        if (!is_the_given_one(call, &identifiers[i], &call->targets[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < call->target_count; i++) {
        if (!is_in_state(call, &identifiers[i], &call->targets[i])) {
            return false;
        }
    }
    return true;
}
