#include <stdlib.h>
#include <string.h>

#include "keystead/kms/v1/tags.pb-c.h"
#include "pkg/record/marker.h"
#include "services/keystore/execute/call.h"
#include "services/keystore/operations/handlers.h"

#define LIMIT_DEFAULT 50 /* AWS KMS API: ListResourceTags */

static int compare_keys(const void *a, const void *b)
{
    const STORED(Tag) *const *left = a;
    const STORED(Tag) *const *right = b;
    return strcmp((*left)->key, (*right)->key);
}

/* The key's tags in the order of their keys; in the arena. */
static STORED(Tag) * *sorted_tags(struct ks_call *call, const STORED(KeyRecord) * key)
{
    STORED(Tag) **tags = ks_call_pointers(call, key->n_tags + 1);
    for (size_t i = 0; i < key->n_tags; i++) {
        tags[i] = key->tags[i];
    }
    qsort(tags, key->n_tags, sizeof(*tags), compare_keys);
    return tags;
}

/* ListResourceTags */

/* protobuf-c leaves out a member of a oneof that points to its own empty string. */
static char *value_of(const STORED(Tag) * stored)
{
    return stored->value[0] != '\0' ? stored->value : ks_lend_text("");
}

static KMS(Tag) * tag_of(struct ks_call *call, const STORED(Tag) * stored)
{
    KMS(Tag) *tag = ks_call_alloc(call, 1, sizeof(*tag));
    *tag = (KMS(Tag))KMS_NEW(TAG);
    tag->tag_key = stored->key;
    tag->tag_value_presence_case = KMS_ENUM(TAG__TAG_VALUE_PRESENCE_TAG_VALUE);
    tag->tag_value = value_of(stored);
    return tag;
}

/* The key of the last tag before the page; "" at the beginning. False: the call is answered. */
static bool read_position(struct ks_call *call, const struct ks_marker_list *list,
                          char position[KS_MARKER_LEN_MAX])
{
    const KMS(ListResourceTagsRequest) *request =
        (const KMS(ListResourceTagsRequest) *)call->request;
    position[0] = '\0';
    if (request->marker_presence_case == 0) {
        return true;
    }
    ks_result result = ks_marker_read(list, request->marker, position);
    if (ks_failed(result)) {
        ks_call_fail(call, result.code);
    }
    return !ks_failed(result);
}

/* False: the call is answered. */
static bool end_page(struct ks_call *call, const struct ks_marker_list *list, const char *last,
                     KMS(ListResourceTagsResponse) * response)
{
    char *marker = ks_call_alloc(call, KS_MARKER_LEN_MAX + 1, 1);
    if (ks_failed(ks_marker_write(list, ks_bytes_of(last), marker))) {
        ks_call_fail(call, KS_INTERNAL);
        return false;
    }
    response->next_marker = marker;
    response->truncated = true;
    return true;
}

void ks_run_list_resource_tags(struct ks_call *call)
{
    const KMS(ListResourceTagsRequest) *request =
        (const KMS(ListResourceTagsRequest) *)call->request;
    const STORED(KeyRecord) *key = call->targets[0].key;
    const struct ks_marker_list list = {"ListResourceTags", key->account, key->key_id};
    size_t limit = request->limit_presence_case == 0 ? LIMIT_DEFAULT : (size_t)request->limit;
    char position[KS_MARKER_LEN_MAX];
    if (!read_position(call, &list, position)) {
        return;
    }
    STORED(Tag) **tags = sorted_tags(call, key);
    KMS(ListResourceTagsResponse) response = KMS_NEW(LIST_RESOURCE_TAGS_RESPONSE);
    response.tags = ks_call_pointers(call, limit);
    for (size_t i = 0; i < key->n_tags; i++) {
        if (strcmp(tags[i]->key, position) <= 0) {
            continue;
        }
        if (response.n_tags == limit) {
            if (!end_page(call, &list, response.tags[limit - 1]->tag_key, &response)) {
                return;
            }
            break;
        }
        response.tags[response.n_tags++] = tag_of(call, tags[i]);
    }
    ks_call_reply(call, &response.base);
}
