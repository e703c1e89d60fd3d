/*
 * marker: where the next page of a list begins, as an opaque text for the client.
 *
 * Form: base64 of u8 1 ‖ the first 8 bytes of SHA-256(list, account, filter, position, each with
 * its length) ‖ position. The hash binds a marker to its list, so that one of another list, another
 * account or another filter is refused and not misread. It guards against mistakes only: anybody can
 * make a marker of any position, so a reader takes a position for any bytes of any length.
 *
 * Threads: pure; any.
 */
#pragma once

#include "pkg/base/bytes.h"
#include "pkg/base/result.h"

#define KS_MARKER_LEN_MAX      1024U /* characters (AWS KMS API: ListKeys) */
#define KS_MARKER_POSITION_MAX 512U  /* bytes: a tag's key may have 128 characters of four */

/* What a marker is good for. Borrowed. */
struct ks_marker_list {
    const char *list; /* "ListKeys" */
    const char *account;
    const char *filter; /* "" if there is none */
};

/*
 * Makes the marker of a position.
 * ret_text  at least KS_MARKER_LEN_MAX + 1 bytes; NUL-terminated. Written on success only.
 *
 * Fails: INTERNAL (OpenSSL).
 */
KS_MUST_USE ks_result ks_marker_write(const struct ks_marker_list *list, ks_bytes position,
                                      char *ret_text);

/*
 * Reads a marker that a client gave.
 * ret_position  at least KS_MARKER_LEN_MAX bytes; NUL-terminated. Written on success only.
 *
 * Fails: INVALID_MARKER (anything that ks_marker_write did not make for this list), INTERNAL
 * (OpenSSL).
 */
KS_MUST_USE ks_result ks_marker_read(const struct ks_marker_list *list, const char *text,
                                     char *ret_position);
