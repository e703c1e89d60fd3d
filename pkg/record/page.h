/*
 * page: one page of a list: a bounded run of records in the order of their keys, and the marker of
 * the page that follows.
 *
 * Threads: those of the view and of `add`.
 */
#pragma once

#include <stddef.h>

#include "pkg/base/result.h"
#include "pkg/record/marker.h"
#include "pkg/store/store.h"

/* What is asked for. Everything is borrowed. */
struct ks_page {
    struct ks_marker_list list; /* that its markers are good for */
    ks_bytes prefix;            /* of the records' keys; what follows it is a record's name */
    const char *marker;         /* as the client gave it; NULL: the first page */
    size_t count_max;           /* records; at least 1 */
};

/*
 * Calls add for each record of the page, in order, with its name, which lasts as long as the view.
 * A page ends by its count, or by what its owner has room for: before the first record for which add
 * fails with LIMIT_EXCEEDED, as long as one record was added. What follows comes with the next page.
 * A page that is cut short by another failure must not be answered with.
 *
 * ret_marker  at least KS_MARKER_LEN_MAX + 1 bytes; NUL-terminated, "" if no page follows. Written
 *             on success only.
 *
 * Fails: INVALID_MARKER (the marker is not one of this list), CORRUPT (the view can't be read),
 * INTERNAL (OpenSSL), LIMIT_EXCEEDED (add has no room for the first record), or the first other
 * failure of add, after which add is not called again.
 */
KS_MUST_USE ks_result ks_page_read(const struct ks_store_view *view, const struct ks_page *page,
                                   ks_result (*add)(void *user, ks_bytes name,
                                                    const struct ks_store_record *record),
                                   void *user, char *ret_marker);
