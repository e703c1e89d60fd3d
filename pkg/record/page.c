#include "pkg/record/page.h"

#include <assert.h>
#include <string.h>

struct walk {
    const struct ks_page *page;
    ks_result (*add)(void *user, ks_bytes name, const struct ks_store_record *record);
    void *user;
    size_t count;
    ks_bytes last; /* name of the last record that was added, in the view */
    bool more;
    ks_result result;
};

/* A record beyond the last one, or one that finds no room, tells that a page follows. */
static bool visit(void *user, const struct ks_store_record *record)
{
    struct walk *walk = user;
    if (walk->count == walk->page->count_max) {
        walk->more = true;
        return false;
    }
    size_t prefix_len = walk->page->prefix.len;
    ks_bytes name = {record->key.ptr + prefix_len, record->key.len - prefix_len};
    walk->result = walk->add(walk->user, name, record);
    if (walk->result.code == KS_LIMIT_EXCEEDED && walk->count > 0) {
        walk->result = KS_RES(OK);
        walk->more = true;
        return false;
    }
    walk->last = name;
    walk->count++;
    return !ks_failed(walk->result);
}

/* The key after which the page begins; empty: the first page. */
static ks_result read_marker(const struct ks_page *page, char *ret_after, size_t *ret_len)
{
    char position[KS_MARKER_LEN_MAX];
    *ret_len = 0;
    if (!page->marker) {
        return KS_RES(OK);
    }
    KS_TRY(ks_marker_read(&page->list, page->marker, position));
    size_t len = strlen(position);
    if (page->prefix.len + len > KS_STORE_KEY_LEN_MAX) {
        return KS_RES(INVALID_MARKER);
    }
    memcpy(ret_after, page->prefix.ptr, page->prefix.len);
    memcpy(ret_after + page->prefix.len, position, len);
    *ret_len = page->prefix.len + len;
    return KS_RES(OK);
}

ks_result ks_page_read(const struct ks_store_view *view, const struct ks_page *page,
                       ks_result (*add)(void *user, ks_bytes name,
                                        const struct ks_store_record *record),
                       void *user, char *ret_marker)
{
    assert(page->count_max > 0);

    char after[KS_STORE_KEY_LEN_MAX];
    size_t after_len = 0;
    KS_TRY(read_marker(page, after, &after_len));

    struct walk walk = {.page = page, .add = add, .user = user, .result = KS_RES(OK)};
    KS_TRY(ks_store_scan(view, page->prefix, (ks_bytes){(const uint8_t *)after, after_len}, visit,
                         &walk));
    KS_TRY(walk.result);
    if (walk.more) {
        return ks_marker_write(&page->list, walk.last, ret_marker);
    }
    ret_marker[0] = '\0';
    return KS_RES(OK);
}
