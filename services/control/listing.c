#include "services/control/listing.h"

#include "pkg/codec/wire.h"

#define NEXT_PAGE_TOKEN 2U

struct walk {
    struct ks_admin_try *attempt;
    ks_result (*add)(struct ks_admin_try *attempt, ks_bytes value);
};

static ks_result add_record(void *user, ks_bytes name, const struct ks_store_record *record)
{
    (void)name;
    const struct walk *walk = user;
    return walk->add(walk->attempt, record->value);
}

ks_result ks_listing_answer(struct ks_admin_try *attempt, const struct ks_page *page,
                            ks_result (*add)(struct ks_admin_try *attempt, ks_bytes value))
{
    struct walk walk = {attempt, add};
    char marker[KS_MARKER_LEN_MAX + 1];
    ks_result result = ks_page_read(attempt->view, page, add_record, &walk, marker);
    if (result.code == KS_INVALID_MARKER) {
        return ks_admin_refuse(attempt, "page_token", "page_token is not one of ours");
    }
    KS_TRY(result);
    return marker[0] == '\0'
               ? KS_RES(OK)
               : ks_wire_put_bytes(NEXT_PAGE_TOKEN, ks_bytes_of(marker), attempt->response);
}

Google__Protobuf__Timestamp ks_timestamp(int64_t wall_ms)
{
    Google__Protobuf__Timestamp stamp = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    stamp.seconds = wall_ms / 1000;
    stamp.nanos = (int32_t)(wall_ms % 1000) * 1000000;
    return stamp;
}
