/*
 * lines: cuts a stream of bytes into lines. For this folder only.
 *
 * Each byte is looked at once and copied at most once, however the stream is cut into pieces.
 * Threads: one at a time.
 */
#pragma once

#include "pkg/base/bytes.h"

/* {.rest.len_max = N}: lines of up to N bytes. */
struct ks_etcd_lines {
    struct ks_buffer rest; /* the beginning of a line whose end has not come */
};

/*
 * Takes the next piece, and gives each line that it completes, without its line end, to on_line.
 * The line is borrowed during that call. Empty lines are passed over.
 * Returns false if on_line has returned false, or if a line is longer than rest.len_max: the rest
 * of the piece was not looked at then, and lines can only be freed.
 */
bool ks_etcd_lines_feed(struct ks_etcd_lines *lines, ks_bytes piece,
                        bool (*on_line)(void *user, ks_bytes line), void *user);

/* Frees the line that was begun. */
void ks_etcd_lines_done(struct ks_etcd_lines *lines);
