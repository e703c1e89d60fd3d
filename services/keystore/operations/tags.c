#include <stdlib.h>
#include <string.h>

#include "keystead/kms/v1/tags.pb-c.h"
#include "pkg/operation/bounds.h"
#include "pkg/record/marker.h"
#include "services/keystore/execute/call.h"
#include "services/keystore/operations/handlers.h"
#include "services/keystore/operations/key_commit.h"

#define TAGS_FIELD 2U /* TagResourceRequest.tags */

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
    qsort(tags, key->n_tags, sizeof(void *), compare_keys);
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
    size_t limit = request->limit_presence_case == 0 ? KS_DEFAULT_LIST_RESOURCE_TAGS_LIMIT
                                                     : (size_t)request->limit;
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

/* TagResource */

/* The tag with that key among the record's; NULL: there is none. */
static STORED(Tag) * *find_tag(STORED(KeyRecord) * record, const char *key)
{
    for (size_t i = 0; i < record->n_tags; i++) {
        if (strcmp(record->tags[i]->key, key) == 0) {
            return &record->tags[i];
        }
    }
    return NULL;
}

/* Returns whether the record is another one now. Its list has room for one more tag. */
static bool put_tag(struct ks_call *call, STORED(KeyRecord) * record, const KMS(Tag) * tag)
{
    STORED(Tag) **place = find_tag(record, tag->tag_key);
    if (place && strcmp((*place)->value, tag->tag_value) == 0) {
        return false;
    }
    STORED(Tag) *stored = ks_call_alloc(call, 1, sizeof(*stored));
    *stored = (STORED(Tag))STORED_NEW(TAG);
    stored->key = tag->tag_key;
    stored->value = tag->tag_value;
    if (place) {
        *place = stored;
    } else {
        record->tags[record->n_tags++] = stored;
    }
    return true;
}

/* A list of the record's own, with room for so many more: what was read is not changed. */
static void own_tags(struct ks_call *call, STORED(KeyRecord) * record, size_t more)
{
    STORED(Tag) **tags = ks_call_pointers(call, record->n_tags + more + 1);
    for (size_t i = 0; i < record->n_tags; i++) {
        tags[i] = record->tags[i];
    }
    record->tags = tags;
}

void ks_run_tag_resource(struct ks_call *call)
{
    const KMS(TagResourceRequest) *request = (const KMS(TagResourceRequest) *)call->request;
    KMS(TagResourceResponse) response = KMS_NEW(TAG_RESOURCE_RESPONSE);
    STORED(KeyRecord) record = ks_key_copy(call);
    bool changed = false;
    own_tags(call, &record, request->n_tags);
    for (size_t i = 0; i < request->n_tags; i++) {
        changed = put_tag(call, &record, request->tags[i]) || changed;
    }
    /* A key has as many tags in all as one request may put on it. */
    const struct ks_member *tags = ks_operation_member(call->operation, TAGS_FIELD);
    if (record.n_tags > (size_t)tags->max) {
        ks_call_fail_text(call, KS_TAG, "%s", tags->text);
    } else if (changed) {
        ks_key_commit(call, &record, &response.base);
    } else {
        ks_key_commit_unchanged(call, &response.base);
    }
}

/* UntagResource */

static bool is_named(const KMS(UntagResourceRequest) * request, const char *key)
{
    for (size_t i = 0; i < request->n_tag_keys; i++) {
        if (strcmp(request->tag_keys[i], key) == 0) {
            return true;
        }
    }
    return false;
}

void ks_run_untag_resource(struct ks_call *call)
{
    const KMS(UntagResourceRequest) *request = (const KMS(UntagResourceRequest) *)call->request;
    KMS(UntagResourceResponse) response = KMS_NEW(UNTAG_RESOURCE_RESPONSE);
    STORED(KeyRecord) record = ks_key_copy(call);
    size_t kept = 0;
    own_tags(call, &record, 0);
    for (size_t i = 0; i < record.n_tags; i++) {
        if (!is_named(request, record.tags[i]->key)) {
            record.tags[kept++] = record.tags[i];
        }
    }
    if (kept == record.n_tags) {
        ks_key_commit_unchanged(call, &response.base);
        return;
    }
    record.n_tags = kept;
    ks_key_commit(call, &record, &response.base);
}
