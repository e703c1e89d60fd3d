#include "pkg/record/expired.h"

#include <assert.h>
#include <string.h>

struct walk {
    const struct ks_expired_kind *kind;
    int64_t now_ms;
    struct ks_expired_pass *pass;
    struct ks_expired *expired;
    size_t looked_at;
};

/* There is room. */
static void add(struct ks_expired *expired, const struct ks_store_record *record)
{
    assert(record->key.len <= KS_STORE_KEY_LEN_MAX);
    char *key = expired->records[expired->count].key;
    memcpy(key, record->key.ptr, record->key.len);
    key[record->key.len] = '\0';
    expired->records[expired->count++].revision = record->revision;
}

static bool visit(void *user, const struct ks_store_record *record)
{
    struct walk *walk = user;
    struct ks_expired *expired = walk->expired;
    if (walk->looked_at == KS_EXPIRED_SCAN_MAX || expired->count == KS_EXPIRED_MAX) {
        expired->more = true;
        return false;
    }
    walk->looked_at++;
    assert(record->key.len <= KS_STORE_KEY_LEN_MAX);
    memcpy(walk->pass->after, record->key.ptr, record->key.len);
    walk->pass->after_len = record->key.len;
    if (walk->kind->is_due(record->value, walk->now_ms)) {
        add(expired, record);
    }
    return true;
}

ks_result ks_expired_find(const struct ks_store_view *view, const struct ks_expired_kind *kind,
                          int64_t now_ms, struct ks_expired_pass *pass,
                          struct ks_expired *ret_expired)
{
    *ret_expired = (struct ks_expired){.count = 0};
    const struct ks_expired_pass from = *pass;
    struct walk walk = {kind, now_ms, pass, ret_expired, 0};
    ks_result result = ks_store_scan(
        view, kind->prefix, (ks_bytes){(const uint8_t *)from.after, from.after_len}, visit, &walk);
    if (ks_failed(result)) {
        *ret_expired = (struct ks_expired){.count = 0};
    }
    if (!ret_expired->more) {
        *pass = (struct ks_expired_pass){.after_len = 0};
    }
    return result;
}

static bool add_due(void *user, const struct ks_store_record *record)
{
    struct ks_expired *expired = user;
    if (expired->count == KS_EXPIRED_MAX) {
        expired->more = true;
        return false;
    }
    add(expired, record);
    return true;
}

ks_result ks_expired_find_due(const struct ks_store_view *view, ks_bytes root, int64_t now_ms,
                              struct ks_expired *ret_expired)
{
    *ret_expired = (struct ks_expired){.count = 0};
    ks_result result = ks_store_scan_due(view, root, now_ms, add_due, ret_expired);
    if (ks_failed(result)) {
        *ret_expired = (struct ks_expired){.count = 0};
    }
    return result;
}

size_t ks_expired_remove(const struct ks_expired *expired, size_t from, struct ks_change *change)
{
    size_t to = expired->count - from > KS_STORE_OPS_MAX ? from + KS_STORE_OPS_MAX : expired->count;
    change->mutation.room = KS_STORE_WITHDRAWS;
    for (size_t i = from; i < to; i++) {
        ks_bytes key = ks_bytes_of(expired->records[i].key);
        ks_change_compare(change, key, expired->records[i].revision);
        ks_change_delete(change, key);
    }
    return to;
}
