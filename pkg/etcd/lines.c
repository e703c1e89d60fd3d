#include "pkg/etcd/lines.h"

#include <string.h>

/* Completes the line that was begun, if there is one; end is where piece has its line end. */
static bool end_line(struct ks_etcd_lines *lines, ks_bytes head,
                     bool (*on_line)(void *user, ks_bytes line), void *user)
{
    if (head.len > lines->rest.len_max) {
        return false;
    }
    if (lines->rest.len == 0) {
        return head.len == 0 || on_line(user, head);
    }
    if (ks_failed(ks_buffer_append(&lines->rest, head))) {
        return false;
    }
    bool goes_on = on_line(user, ks_buffer_bytes(&lines->rest));
    ks_buffer_consume(&lines->rest, lines->rest.len);
    return goes_on;
}

bool ks_etcd_lines_feed(struct ks_etcd_lines *lines, ks_bytes piece,
                        bool (*on_line)(void *user, ks_bytes line), void *user)
{
    while (piece.len > 0) {
        const uint8_t *end = memchr(piece.ptr, '\n', piece.len);
        if (!end) {
            return !ks_failed(ks_buffer_append(&lines->rest, piece));
        }
        size_t len = (size_t)(end - piece.ptr);
        if (!end_line(lines, (ks_bytes){piece.ptr, len}, on_line, user)) {
            return false;
        }
        piece = (ks_bytes){end + 1, piece.len - len - 1};
    }
    return true;
}

void ks_etcd_lines_done(struct ks_etcd_lines *lines)
{
    ks_buffer_done(&lines->rest);
}
