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

/* What is left of a list of enum values: {.run = ...} is all of it. */
struct ks_numbers {
    ks_bytes run;
    ks_bytes packed; /* values that stand in one field */
};

/*
 * Takes the next value of a list of enum values. Returns false at the end of the list: ret_number
 * is unchanged then.
 */
bool ks_elements_next_number(const struct ks_member *member, struct ks_numbers *numbers,
                             int32_t *ret_number);

/*
 * Takes the next element of a map or of a list of tags off the run; what the element leaves out is
 * empty. Returns false at the end of the run: ret_pair is unchanged then.
 */
bool ks_elements_next_pair(const struct ks_member *member, ks_bytes *run, struct ks_pair *ret_pair);
