#include <string.h>

#include "keystead/kms/v1/aliases.pb-c.h"
#include "pkg/operation/bounds.h"
#include "pkg/record/page.h"
#include "services/keystore/execute/call.h"
#include "services/keystore/execute/trust.h"
#include "services/keystore/operations/handlers.h"
#include "services/keystore/operations/metadata.h"
#include "services/keystore/records/key.h"
#include "services/keystore/records/name.h"

/* A page while it is filled. */
struct filled {
    struct ks_call *call;
    KMS(AliasListEntry) * *entries;
    size_t count;
    const STORED(KeyRecord) * key; /* read last; NULL: none */
};

static int32_t limit_of(const KMS(ListAliasesRequest) * request)
{
    return request->limit_presence_case == 0 ? KS_DEFAULT_LIST_ALIASES_LIMIT : request->limit;
}

/* A key that the page has met, and its record. */
static ks_result read_key(struct filled *filled, const char *key_id)
{
    struct ks_call *call = filled->call;
    if (filled->key && strcmp(filled->key->key_id, key_id) == 0) {
        return KS_RES(OK);
    }
    struct ks_name name = ks_name_key(call->item->account, key_id);
    struct ks_store_record record;
    STORED(KeyRecord) *key = NULL;
    ks_result result = ks_store_get(&call->view, ks_name_bytes(&name), &record);
    if (result.code == KS_NOT_FOUND) {
        return KS_RES(CORRUPT);
    }
    KS_TRY(result);
    KS_TRY(ks_record_read_key(record.value, &call->arena, &key));
    ks_call_rest_on_record(call, &record);
    filled->key = key;
    return KS_RES(OK);
}

/* What is shown comes from the key's record, which an hsm has made. */
static ks_result add(struct filled *filled, const char *key_id, const char *name)
{
    KS_TRY(read_key(filled, key_id));
    const STORED(KeyAlias) *alias = ks_record_alias(filled->key, name);
    if (!alias) {
        struct ks_name of_alias = ks_name_alias(filled->call->item->account, name);
        ks_trust_alarm(filled->call->env->trust, ks_name_bytes(&of_alias));
        return KS_RES(CORRUPT);
    }
    filled->entries[filled->count++] = ks_metadata_alias(filled->call, filled->key, alias);
    return KS_RES(OK);
}

/* A record alias/<account>/<rest> */
static ks_result add_alias(void *user, ks_bytes name, const struct ks_store_record *record)
{
    (void)name;
    struct filled *filled = user;
    ProtobufCMessage *message = NULL;
    KS_TRY(
        ks_record_read(STORED_TYPE(alias_record), record->value, &filled->call->arena, &message));
    const STORED(AliasRecord) *alias = (const STORED(AliasRecord) *)message;
    return add(filled, alias->key_id, alias->name);
}

/* A record keyalias/<account>/<key id>/<rest> */
static ks_result add_alias_of_key(void *user, ks_bytes name, const struct ks_store_record *record)
{
    (void)name;
    struct filled *filled = user;
    ProtobufCMessage *message = NULL;
    KS_TRY(ks_record_read(STORED_TYPE(key_alias_record), record->value, &filled->call->arena,
                          &message));
    return add(filled, filled->call->targets[0].key_id,
               ((const STORED(KeyAliasRecord) *)message)->name);
}

/*
 * Which aliases there are rests on the newest change under the prefix, and what each says on its own
 * record.
 */
static void reply(struct ks_call *call, const struct filled *filled, ks_bytes prefix, char *marker)
{
    KMS(ListAliasesResponse) response = KMS_NEW(LIST_ALIASES_RESPONSE);
    response.next_marker = marker;
    response.truncated = marker[0] != '\0';
    response.aliases = filled->entries;
    response.n_aliases = filled->count;
    ks_call_rest_on_prefix(call, prefix);
    ks_call_reply(call, &response.base);
}

void ks_run_list_aliases(struct ks_call *call)
{
    const KMS(ListAliasesRequest) *request = (const KMS(ListAliasesRequest) *)call->request;
    const char *account = call->item->account;
    const char *key_id = call->target_count > 0 ? call->targets[0].key_id : NULL;
    struct ks_name prefix =
        key_id ? ks_name_key_aliases(account, key_id) : ks_name_aliases(account);
    const struct ks_page page = {
        .list = {"ListAliases", account, key_id ? key_id : ""},
        .prefix = ks_name_bytes(&prefix),
        .marker = request->marker_presence_case == 0 ? NULL : request->marker,
        .count_max = (size_t)limit_of(request),
    };
    struct filled filled = {.call = call, .entries = ks_call_pointers(call, page.count_max)};
    char marker[KS_MARKER_LEN_MAX + 1];
    ks_result result =
        ks_page_read(&call->view, &page, key_id ? add_alias_of_key : add_alias, &filled, marker);
    if (ks_failed(result)) {
        ks_call_fail(call, result.code == KS_INVALID_MARKER ? KS_INVALID_MARKER : KS_INTERNAL);
        return;
    }
    reply(call, &filled, page.prefix, marker);
}
