/*
 * listing: what every list method does: one page of records (pkg/record/page.h), each as an element
 * of the response, and the token of the page that follows.
 *
 * Threads: as admin.h.
 */
#pragma once

#include "google/protobuf/timestamp.pb-c.h"
#include "pkg/codec/codec.h"
#include "pkg/record/page.h"
#include "services/control/admin.h"

/*
 * Appends each record of the page to the response by add, and the token, if a page follows, as
 * field 2 (next_page_token of each list response). On failure the response is not to be used.
 *
 * Fails: VALIDATION (page->marker is not a token of this list; page_token is named), whatever add
 * fails with, CORRUPT, LIMIT_EXCEEDED (a response over the bound).
 */
KS_MUST_USE ks_result ks_listing_answer(struct ks_admin_try *attempt, const struct ks_page *page,
                                        ks_result (*add)(struct ks_admin_try *attempt,
                                                         ks_bytes value));

/* Makes a timestamp of milliseconds since 1970. */
Google__Protobuf__Timestamp ks_timestamp(int64_t wall_ms);
