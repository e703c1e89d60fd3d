#include "services/control/page.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "pkg/codec/wire.h"

#define NEXT_PAGE_TOKEN 2U

struct walk {
    struct ks_admin_try *attempt;
    const struct ks_page *page;
    ks_result (*add)(struct ks_admin_try *attempt, ks_bytes value);
    size_t count;
    char last[KS_STORE_KEY_LEN_MAX]; /* name of the last record added */
    bool more;
    ks_result result;
};

static bool visit(void *user, const struct ks_store_record *record)
{
    struct walk *walk = user;
    if (walk->count == walk->page->count_max) {
        walk->more = true;
        return false;
    }
    walk->result = walk->add(walk->attempt, record->value);
    size_t name_len = record->key.len - walk->page->prefix.len;
    assert(name_len < sizeof(walk->last));
    memcpy(walk->last, record->key.ptr + walk->page->prefix.len, name_len);
    walk->last[name_len] = '\0';
    walk->count++;
    return !ks_failed(walk->result);
}

ks_result ks_page_answer(struct ks_admin_try *attempt, const struct ks_page *page,
                         ks_result (*add)(struct ks_admin_try *attempt, ks_bytes value))
{
    struct walk walk = {.attempt = attempt, .page = page, .add = add};
    char after[KS_STORE_KEY_LEN_MAX] = "";
    if (page->after[0] != '\0') {
        snprintf(after, sizeof(after), "%.*s%s", (int)page->prefix.len,
                 (const char *)page->prefix.ptr, page->after);
    }
    KS_TRY(ks_store_scan(attempt->view, page->prefix, ks_bytes_of(after), visit, &walk));
    KS_TRY(walk.result);
    if (!walk.more) {
        return KS_RES(OK);
    }
    return ks_wire_put_bytes(NEXT_PAGE_TOKEN, ks_bytes_of(walk.last), attempt->response);
}

Google__Protobuf__Timestamp ks_timestamp(int64_t wall_ms)
{
    Google__Protobuf__Timestamp stamp = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    stamp.seconds = wall_ms / 1000;
    stamp.nanos = (int32_t)(wall_ms % 1000) * 1000000;
    return stamp;
}
