/*
 * expired: finds records that have outlived their use, in bounded steps, and removes them.
 *
 * A pass goes over the records of one kind in the order of their keys. Each step looks at some of
 * them and notes those that are due, with their revisions, so that only the record that was found
 * due is removed: another one may have taken its name since.
 *
 * Threads: values; one thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/base/result.h"
#include "pkg/record/change.h"
#include "pkg/store/store.h"

#define KS_EXPIRED_MAX      64U   /* records that one step finds due */
#define KS_EXPIRED_SCAN_MAX 2000U /* records that one step looks at */

/* Where a pass goes on. {0}: at the first record. */
struct ks_expired_pass {
    char after[KS_STORE_KEY_LEN_MAX];
    size_t after_len;
};

struct ks_expired_kind {
    ks_bytes prefix; /* of the records' keys */
    /* Returns whether a record is due; false for one that a newer program wrote. */
    bool (*is_due)(ks_bytes value, int64_t now_ms);
};

/* What a step has found. */
struct ks_expired {
    struct {
        char key[KS_STORE_KEY_LEN_MAX + 1]; /* NUL-terminated */
        int64_t revision;
    } records[KS_EXPIRED_MAX];
    size_t count;
    bool more; /* the pass is not at its end */
};

/*
 * Takes the next step of a pass. At the end of a pass, and on failure, the pass begins anew.
 * ret_expired  what is due. On failure it is empty.
 *
 * Fails: CORRUPT (the view can't be read).
 */
KS_MUST_USE ks_result ks_expired_find(const struct ks_store_view *view,
                                      const struct ks_expired_kind *kind, int64_t now_ms,
                                      struct ks_expired_pass *pass, struct ks_expired *ret_expired);

/*
 * Finds the records below root that are due, the earliest first, by the index of the store
 * (ks_store_scan_due): it looks at no other record.
 * ret_expired  what is due, and whether more is. On failure it is empty.
 *
 * Fails: CORRUPT (the view can't be read), INTERNAL.
 */
KS_MUST_USE ks_result ks_expired_find_due(const struct ks_store_view *view, ks_bytes root,
                                          int64_t now_ms, struct ks_expired *ret_expired);

/*
 * Adds the removal of as many records as one mutation takes, from index `from` on, to an empty
 * change. Returns the index of the first record that is left: expired->count at the end.
 */
size_t ks_expired_remove(const struct ks_expired *expired, size_t from, struct ks_change *change);
