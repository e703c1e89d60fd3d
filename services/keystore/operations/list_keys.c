#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "keystead/kms/v1/keys.pb-c.h"
#include "pkg/record/marker.h"
#include "services/keystore/execute/call.h"
#include "services/keystore/operations/handlers.h"
#include "services/keystore/records/name.h"

#define LIMIT_DEFAULT 100 /* AWS KMS API: ListKeys */

/* A page while it is filled: one more than its limit tells that there is another. */
struct page {
    struct ks_call *call;
    size_t prefix_len;
    size_t limit;
    KMS(KeyListEntry) * *entries;
    size_t count;
    bool truncated;
};

static int32_t limit_of(const KMS(ListKeysRequest) * request)
{
    return request->limit_presence_case == 0 ? LIMIT_DEFAULT : request->limit;
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

static bool add_key(void *user, const struct ks_store_record *record)
{
    struct page *page = user;
    if (page->count == page->limit) {
        page->truncated = true;
        return false;
    }
    ks_bytes key_id = {record->key.ptr + page->prefix_len, record->key.len - page->prefix_len};
    page->entries[page->count++] = entry_of(page->call, key_id);
    return true;
}

/* Which keys there are rests on the whole of the view. */
static void reply(struct ks_call *call, const struct ks_marker_list *list, const struct page *page)
{
    KMS(ListKeysResponse) response = KMS_NEW(LIST_KEYS_RESPONSE);
    char marker[KS_MARKER_LEN_MAX + 1];
    if (page->truncated) {
        const char *last = page->entries[page->count - 1]->key_id;
        if (ks_failed(ks_marker_write(list, ks_bytes_of(last), marker))) {
            ks_call_fail(call, KS_INTERNAL);
            return;
        }
        response.next_marker = marker;
        response.truncated = true;
    }
    response.keys = page->entries;
    response.n_keys = page->count;
    ks_call_rest_on(call, call->view.data_revision);
    ks_call_reply(call, &response.base);
}

void ks_run_list_keys(struct ks_call *call)
{
    const KMS(ListKeysRequest) *request = (const KMS(ListKeysRequest) *)call->request;
    const struct ks_marker_list list = {"ListKeys", call->item->account, ""};
    char position[KS_MARKER_LEN_MAX] = "";
    if (request->marker_presence_case != 0) {
        ks_result result = ks_marker_read(&list, request->marker, position);
        if (ks_failed(result)) {
            ks_call_fail(call, result.code);
            return;
        }
    }
    struct ks_name prefix = ks_name_keys(call->item->account);
    struct ks_name after = prefix;
    after.len +=
        (size_t)snprintf(after.text + after.len, sizeof(after.text) - after.len, "%s", position);
    assert(after.len < sizeof(after.text)); /* a marker's position is shorter than a name */

    struct page page = {.call = call, .prefix_len = prefix.len, .limit = (size_t)limit_of(request)};
    page.entries = ks_call_pointers(call, page.limit);
    ks_bytes from = position[0] == '\0' ? (ks_bytes){0} : ks_name_bytes(&after);
    if (ks_failed(ks_store_scan(&call->view, ks_name_bytes(&prefix), from, add_key, &page))) {
        ks_call_fail(call, KS_INTERNAL);
        return;
    }
    reply(call, &list, &page);
}
