#include "pkg/store/engine/pending.h"

#include <assert.h>
#include <string.h>

#include "pkg/base/mem.h"

/* Calls each for every run of bytes in a mutation, keys and values. */
static void visit(struct ks_store_mutation *mutation, void (*each)(void *user, ks_bytes *bytes),
                  void *user)
{
    for (size_t i = 0; i < mutation->compare_count; i++) {
        each(user, &mutation->compares[i].key);
    }
    for (size_t i = 0; i < mutation->op_count; i++) {
        each(user, &mutation->ops[i].key);
        each(user, &mutation->ops[i].value);
    }
    for (size_t i = 0; i < mutation->prefix_count; i++) {
        each(user, &mutation->prefixes[i]);
    }
    each(user, &mutation->request_key);
    each(user, &mutation->request_value);
}

static void add_len(void *user, ks_bytes *bytes)
{
    *(size_t *)user += bytes->len;
}

/* NULL stays NULL: it is a deletion. An empty value keeps a place of its own. */
static void copy_bytes(void *user, ks_bytes *bytes)
{
    uint8_t **place = user;
    if (!bytes->ptr) {
        return;
    }
    if (bytes->len > 0) {
        memcpy(*place, bytes->ptr, bytes->len);
    }
    bytes->ptr = *place;
    *place += bytes->len;
}

/* Whether nothing else is about a record that a prefix deletes: etcd refuses such a transaction. */
static bool is_sound(const struct ks_store_mutation *mutation)
{
    bool sound = true;
    for (size_t i = 0; i < mutation->prefix_count; i++) {
        for (size_t j = 0; j < mutation->op_count; j++) {
            sound = sound && !ks_bytes_starts_with(mutation->ops[j].key, mutation->prefixes[i]);
        }
        for (size_t j = 0; j < mutation->prefix_count; j++) {
            sound = sound &&
                    (i == j || !ks_bytes_starts_with(mutation->prefixes[j], mutation->prefixes[i]));
        }
    }
    return sound;
}

static bool fits(const struct ks_store_mutation *mutation)
{
    for (size_t i = 0; i < mutation->compare_count; i++) {
        if (mutation->compares[i].key.len > KS_STORE_KEY_LEN_MAX) {
            return false;
        }
    }
    for (size_t i = 0; i < mutation->op_count; i++) {
        if (mutation->ops[i].key.len > KS_STORE_KEY_LEN_MAX ||
            mutation->ops[i].value.len > KS_STORE_VALUE_LEN_MAX) {
            return false;
        }
    }
    for (size_t i = 0; i < mutation->prefix_count; i++) {
        if (mutation->prefixes[i].len > KS_STORE_KEY_LEN_MAX) {
            return false;
        }
    }
    return mutation->request_key.len <= KS_STORE_KEY_LEN_MAX &&
           mutation->request_value.len <= KS_STORE_VALUE_LEN_MAX;
}

struct ks_pending *ks_pending_refused(ks_code code)
{
    struct ks_pending *pending = ks_alloc(1, sizeof(*pending));
    pending->message.kind = KS_MESSAGE_COMMIT;
    pending->early = code;
    return pending;
}

struct ks_pending *ks_pending_new(const struct ks_store_mutation *mutation)
{
    assert(mutation->compare_count <= KS_STORE_COMPARES_MAX);
    assert(mutation->op_count <= KS_STORE_OPS_MAX);
    assert(mutation->prefix_count <= KS_STORE_PREFIXES_MAX);
    assert(is_sound(mutation));

    if (!fits(mutation)) {
        return ks_pending_refused(KS_LIMIT_EXCEEDED);
    }
    struct ks_store_mutation copy = *mutation;
    size_t len = 0;
    visit(&copy, add_len, &len);
    struct ks_pending *pending = ks_alloc(1, sizeof(*pending) + len + 1);
    uint8_t *place = (uint8_t *)(pending + 1);
    visit(&copy, copy_bytes, &place);
    pending->message.kind = KS_MESSAGE_COMMIT;
    pending->mutation = copy;
    pending->len = len;
    return pending;
}

void ks_pending_answer(struct ks_pending *pending, const struct ks_store_outcome *outcome)
{
    if (pending->done) {
        pending->done(pending->user, outcome);
    }
    ks_free(pending);
}

void ks_pending_push(struct ks_pending_list *list, struct ks_pending *pending)
{
    pending->next = NULL;
    if (list->last) {
        list->last->next = pending;
    } else {
        list->first = pending;
    }
    list->last = pending;
    list->count++;
}

struct ks_pending *ks_pending_pop(struct ks_pending_list *list)
{
    struct ks_pending *first = list->first;
    if (!first) {
        return NULL;
    }
    list->first = first->next;
    list->last = list->first ? list->last : NULL;
    list->count--;
    first->next = NULL;
    return first;
}
