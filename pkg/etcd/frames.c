#include "pkg/etcd/frames.h"

#include <assert.h>

#define HEAD_LEN KS_ETCD_FRAME_HEAD_LEN

ks_result ks_etcd_frame_open(struct ks_buffer *buffer)
{
    static const uint8_t head[HEAD_LEN] = {0};
    assert(buffer->len == 0);

    return ks_buffer_append(buffer, (ks_bytes){head, sizeof(head)});
}

void ks_etcd_frame_close(struct ks_buffer *buffer)
{
    assert(buffer->len >= HEAD_LEN && buffer->len - HEAD_LEN <= UINT32_MAX);

    uint32_t len = (uint32_t)(buffer->len - HEAD_LEN);
    for (size_t i = HEAD_LEN; i > 1; i--) {
        buffer->ptr[i - 1] = (uint8_t)len;
        len >>= 8;
    }
}

/* Reads the head of a message. False: it is compressed. */
static bool read_head(const uint8_t *head, size_t *ret_len)
{
    if (head[0] != 0) {
        return false;
    }
    uint32_t len = 0;
    for (size_t i = 1; i < HEAD_LEN; i++) {
        len = len << 8 | head[i];
    }
    *ret_len = len;
    return true;
}

ks_result ks_etcd_frame_only(ks_bytes stream, ks_bytes *ret_message)
{
    size_t len;
    if (stream.len < HEAD_LEN || !read_head(stream.ptr, &len) || len != stream.len - HEAD_LEN) {
        return KS_RES(VALIDATION);
    }
    *ret_message = (ks_bytes){stream.ptr + HEAD_LEN, len};
    return KS_RES(OK);
}

static ks_bytes first(ks_bytes bytes, size_t len)
{
    return (ks_bytes){bytes.ptr, len < bytes.len ? len : bytes.len};
}

static bool keep(struct ks_etcd_frames *frames, ks_bytes *piece, size_t len)
{
    ks_bytes part = first(*piece, len);
    *piece = (ks_bytes){piece->ptr + part.len, piece->len - part.len};
    return !ks_failed(ks_buffer_append(&frames->rest, part));
}

/* Takes what piece has of the message that was begun, or begins one. */
static bool go_on(struct ks_etcd_frames *frames, ks_bytes *piece,
                  bool (*on_message)(void *user, ks_bytes message), void *user)
{
    struct ks_buffer *rest = &frames->rest;
    size_t len;
    if (rest->len < HEAD_LEN && !keep(frames, piece, HEAD_LEN - rest->len)) {
        return false;
    }
    if (rest->len < HEAD_LEN) {
        return true;
    }
    if (!read_head(rest->ptr, &len) || len > rest->len_max - HEAD_LEN) {
        return false;
    }
    if (!keep(frames, piece, HEAD_LEN + len - rest->len)) {
        return false;
    }
    if (rest->len < HEAD_LEN + len) {
        return true;
    }
    bool goes_on = on_message(user, (ks_bytes){rest->ptr + HEAD_LEN, len});
    ks_buffer_consume(rest, rest->len);
    return goes_on;
}

bool ks_etcd_frames_feed(struct ks_etcd_frames *frames, ks_bytes piece,
                         bool (*on_message)(void *user, ks_bytes message), void *user)
{
    assert(frames->rest.len_max >= HEAD_LEN);

    while (piece.len > 0) {
        size_t len;
        bool is_whole = frames->rest.len == 0 && piece.len >= HEAD_LEN &&
                        read_head(piece.ptr, &len) && len <= frames->rest.len_max - HEAD_LEN &&
                        len <= piece.len - HEAD_LEN;
        if (!is_whole) {
            if (!go_on(frames, &piece, on_message, user)) {
                return false;
            }
            continue;
        }
        if (!on_message(user, (ks_bytes){piece.ptr + HEAD_LEN, len})) {
            return false;
        }
        piece = (ks_bytes){piece.ptr + HEAD_LEN + len, piece.len - HEAD_LEN - len};
    }
    return true;
}

void ks_etcd_frames_done(struct ks_etcd_frames *frames)
{
    ks_buffer_done(&frames->rest);
}
