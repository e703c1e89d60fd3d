#include "keystead/kms/v1/keys.pb-c.h"
#include "pkg/operation/bounds.h"
#include "pkg/record/page.h"
#include "services/keystore/execute/call.h"
#include "services/keystore/execute/trust.h"
#include "services/keystore/operations/handlers.h"
#include "services/keystore/records/name.h"

#define ENTRY_LEN 1024U /* bytes that an entry takes of the arena at most */

/* A page while it is filled. */
struct filled {
    struct ks_call *call;
    KMS(KeyListEntry) * *entries;
    size_t count;
};

static int32_t limit_of(const KMS(ListKeysRequest) * request)
{
    return request->limit_presence_case == 0 ? KS_DEFAULT_LIST_KEYS_LIMIT : request->limit;
}

static KMS(KeyListEntry) * entry_of(struct ks_call *call, ks_bytes key_id)
{
    struct ks_arn_home home = {call->env->partition, call->env->region, call->item->account};
    struct ks_arn *arn = ks_call_alloc(call, 1, sizeof(*arn));
    KMS(KeyListEntry) *entry = ks_call_alloc(call, 1, sizeof(*entry));
    *entry = (KMS(KeyListEntry))KMS_NEW(KEY_LIST_ENTRY);
    entry->key_id = ks_call_dup(call, key_id);
    ks_arn_of_key(&home, entry->key_id, arn);
    entry->key_arn = arn->text;
    return entry;
}

/* A record under a name that no key has is none: somebody else has put it there. */
static ks_result add_key(void *user, ks_bytes name, const struct ks_store_record *record)
{
    struct filled *filled = user;
    if (!ks_key_id_is_valid(name)) {
        ks_trust_alarm(filled->call->env->trust, record->key);
        return KS_RES(OK);
    }
    if (!ks_call_has_room(filled->call, ENTRY_LEN)) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    filled->entries[filled->count++] = entry_of(filled->call, name);
    return KS_RES(OK);
}

/* Which keys there are rests on the account's newest change of its keys. */
static void reply(struct ks_call *call, const struct filled *filled, ks_bytes prefix, char *marker)
{
    KMS(ListKeysResponse) response = KMS_NEW(LIST_KEYS_RESPONSE);
    response.next_marker = marker;
    response.truncated = marker[0] != '\0';
    response.keys = filled->entries;
    response.n_keys = filled->count;
    ks_call_rest_on_prefix(call, prefix);
    ks_call_reply(call, &response.base);
}

void ks_run_list_keys(struct ks_call *call)
{
    const KMS(ListKeysRequest) *request = (const KMS(ListKeysRequest) *)call->request;
    struct ks_name prefix = ks_name_keys(call->item->account);
    const struct ks_page page = {
        .list = {"ListKeys", call->item->account, ""},
        .prefix = ks_name_bytes(&prefix),
        .marker = request->marker_presence_case == 0 ? NULL : request->marker,
        .count_max = (size_t)limit_of(request),
    };
    struct filled filled = {.call = call, .entries = ks_call_pointers(call, page.count_max)};
    char marker[KS_MARKER_LEN_MAX + 1];
    ks_result result = ks_page_read(&call->view, &page, add_key, &filled, marker);
    if (ks_failed(result)) {
        ks_call_fail(call, result.code == KS_INVALID_MARKER ? KS_INVALID_MARKER : KS_INTERNAL);
        return;
    }
    reply(call, &filled, page.prefix, marker);
}
