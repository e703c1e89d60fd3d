#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "keystead/kms/v1/aliases.pb-c.h"
#include "pkg/record/marker.h"
#include "services/keystore/execute/call.h"
#include "services/keystore/operations/handlers.h"
#include "services/keystore/operations/metadata.h"
#include "services/keystore/records/key.h"
#include "services/keystore/records/name.h"

#define LIMIT_DEFAULT 50 /* AWS KMS API: ListAliases */

/* A page while it is filled: one more than its limit tells that there is another. */
struct page {
    struct ks_call *call;
    size_t limit;
    KMS(AliasListEntry) * *entries;
    size_t count;
    bool truncated;
    bool broken; /* a record cannot be read */
};

static int32_t limit_of(const KMS(ListAliasesRequest) * request)
{
    return request->limit_presence_case == 0 ? LIMIT_DEFAULT : request->limit;
}

static bool add(struct page *page, ks_bytes value)
{
    if (page->count == page->limit) {
        page->truncated = true;
        return false;
    }
    ProtobufCMessage *message = NULL;
    if (ks_failed(ks_record_read(STORED_TYPE(alias_record), value, &page->call->arena, &message))) {
        page->broken = true;
        return false;
    }
    page->entries[page->count++] =
        ks_metadata_alias(page->call, (const STORED(AliasRecord) *)message);
    return true;
}

/* A record alias/<account>/<rest> */
static bool add_alias(void *user, const struct ks_store_record *record)
{
    return add(user, record->value);
}

/* A record keyalias/<account>/<key id>/<rest>: the alias is looked up. */
static bool add_alias_of_key(void *user, const struct ks_store_record *record)
{
    struct page *page = user;
    ProtobufCMessage *message = NULL;
    struct ks_store_record alias;
    if (ks_failed(ks_record_read(STORED_TYPE(key_alias_record), record->value, &page->call->arena,
                                 &message))) {
        page->broken = true;
        return false;
    }
    const char *text = ((const STORED(KeyAliasRecord) *)message)->name;
    struct ks_name name = ks_name_alias(page->call->item->account, text);
    if (ks_failed(ks_store_get(&page->call->view, ks_name_bytes(&name), &alias))) {
        page->broken = true;
        return false;
    }
    return add(page, alias.value);
}

static void reply(struct ks_call *call, const struct ks_marker_list *list, const struct page *page)
{
    KMS(ListAliasesResponse) response = KMS_NEW(LIST_ALIASES_RESPONSE);
    char marker[KS_MARKER_LEN_MAX + 1];
    if (page->truncated) {
        const char *last = page->entries[page->count - 1]->alias_name + strlen(KS_ALIAS_PREFIX);
        if (ks_failed(ks_marker_write(list, ks_bytes_of(last), marker))) {
            ks_call_fail(call, KS_INTERNAL);
            return;
        }
        response.next_marker = marker;
        response.truncated = true;
    }
    response.aliases = page->entries;
    response.n_aliases = page->count;
    ks_call_rest_on(call, call->view.data_revision);
    ks_call_reply(call, &response.base);
}

static ks_result fill(struct page *page, const char *position, const char *key_id)
{
    struct ks_call *call = page->call;
    struct ks_name prefix = key_id ? ks_name_key_aliases(call->item->account, key_id)
                                   : ks_name_aliases(call->item->account);
    struct ks_name after = prefix;
    after.len +=
        (size_t)snprintf(after.text + after.len, sizeof(after.text) - after.len, "%s", position);
    assert(after.len < sizeof(after.text)); /* a marker's position is shorter than a name */
    ks_bytes from = position[0] == '\0' ? (ks_bytes){0} : ks_name_bytes(&after);
    KS_TRY(ks_store_scan(&call->view, ks_name_bytes(&prefix), from,
                         key_id ? add_alias_of_key : add_alias, page));
    return page->broken ? KS_RES(CORRUPT) : KS_RES(OK);
}

void ks_run_list_aliases(struct ks_call *call)
{
    const KMS(ListAliasesRequest) *request = (const KMS(ListAliasesRequest) *)call->request;
    const char *key_id = call->target_count > 0 ? call->targets[0].key_id : NULL;
    const struct ks_marker_list list = {"ListAliases", call->item->account, key_id ? key_id : ""};
    char position[KS_MARKER_LEN_MAX] = "";
    if (request->marker_presence_case != 0) {
        ks_result result = ks_marker_read(&list, request->marker, position);
        if (ks_failed(result)) {
            ks_call_fail(call, result.code);
            return;
        }
    }
    struct page page = {.call = call, .limit = (size_t)limit_of(request)};
    page.entries = ks_call_pointers(call, page.limit);
    if (ks_failed(fill(&page, position, key_id))) {
        ks_call_fail(call, KS_INTERNAL);
        return;
    }
    reply(call, &list, &page);
}
