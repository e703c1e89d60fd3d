/*
 * frames: gRPC messages in a stream of bytes. For this folder only.
 *
 * Each message is: compressed 1 byte, which is 0 | length 4 bytes, big-endian | the message.
 * gRPC over HTTP/2: Length-Prefixed-Message.
 * A compressed message is refused, as we ask for none.
 *
 * Threads: one at a time.
 */
#pragma once

#include "pkg/base/bytes.h"

#define KS_ETCD_FRAME_HEAD_LEN 5U

/*
 * Leaves room for the head of a message that is appended next, at the start of an empty buffer.
 * Fails: LIMIT_EXCEEDED (the buffer's len_max; the buffer is unchanged).
 */
KS_MUST_USE ks_result ks_etcd_frame_open(struct ks_buffer *buffer);

/* Writes the head of the message that has been appended since ks_etcd_frame_open. */
void ks_etcd_frame_close(struct ks_buffer *buffer);

/*
 * Takes a stream that must hold one message and nothing else.
 * ret_message  borrowed from stream. Untouched after a failure.
 * Fails: VALIDATION (no message, a part of one, more than one, or a compressed one).
 */
KS_MUST_USE ks_result ks_etcd_frame_only(ks_bytes stream, ks_bytes *ret_message);

/* {.rest.len_max = N + KS_ETCD_FRAME_HEAD_LEN}: messages of up to N bytes. */
struct ks_etcd_frames {
    struct ks_buffer rest; /* the beginning of a message whose end has not come */
};

/*
 * Takes the next piece, and gives each message that it completes to on_message. The message is
 * borrowed during that call. Each byte is copied at most once, however the stream is cut.
 * Returns false if on_message has returned false, or if a message is compressed or longer than
 * rest.len_max allows, which its head tells before its bytes are taken. The rest of the piece was
 * not looked at then, and frames can only be freed.
 */
bool ks_etcd_frames_feed(struct ks_etcd_frames *frames, ks_bytes piece,
                         bool (*on_message)(void *user, ks_bytes message), void *user);

/* Frees the message that was begun. */
void ks_etcd_frames_done(struct ks_etcd_frames *frames);
