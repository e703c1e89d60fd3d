/*
 * page: what every list method does: a bounded run of records, in the order of their keys, and a
 * token that says where the next page begins. The token is the last name of the page.
 *
 * Threads: as admin.h.
 */
#pragma once

#include "google/protobuf/timestamp.pb-c.h"
#include "pkg/codec/codec.h"
#include "services/control/admin.h"

struct ks_page {
    ks_bytes prefix;   /* of the records; a name is what follows it */
    const char *after; /* the token, checked by the caller; "": from the first one */
    size_t count_max;
};

/*
 * Appends each record of the page to the response by `add`, and the token, if there is more, as
 * field 2 (next_page_token of each list response).
 * Fails: what add fails with, CORRUPT, LIMIT_EXCEEDED (a response over the bound).
 */
KS_MUST_USE ks_result ks_page_answer(struct ks_admin_try *attempt, const struct ks_page *page,
                                     ks_result (*add)(struct ks_admin_try *attempt,
                                                      ks_bytes value));

/* A timestamp of milliseconds since 1970. */
Google__Protobuf__Timestamp ks_timestamp(int64_t wall_ms);
