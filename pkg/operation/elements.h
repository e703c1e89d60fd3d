/*
 * elements: what stands in a list or map of a request, one element after another.
 *
 * A run is the one that ks_checked has of the member: it passed the check, and other members may
 * stand between the elements.
 *
 * Threads: pure; any.
 */
#pragma once

#include <stdbool.h>

#include "pkg/base/bytes.h"
#include "pkg/operation/operation.h"

/* Two strings: a tag, or a pair of an encryption context. Borrowed from the run. */
struct ks_pair {
    ks_bytes key;
    ks_bytes value;
};

/*
 * Takes the next text of a list off the run. Returns false at the end of the run: ret_text is
 * unchanged then.
 */
bool ks_elements_next_text(const struct ks_member *member, ks_bytes *run, ks_bytes *ret_text);

/*
 * Takes the next element of a map or of a list of tags off the run; what the element leaves out is
 * empty. Returns false at the end of the run: ret_pair is unchanged then.
 */
bool ks_elements_next_pair(const struct ks_member *member, ks_bytes *run, struct ks_pair *ret_pair);
