/*
 * frame: marks where one message ends and the next begins on a byte stream (the hsm's socket).
 *
 * Form: u32 length, big endian ‖ that many bytes, 1 to KS_FRAME_LEN_MAX.
 * No I/O: the owner of the socket reads into a ks_buffer, asks for frames and consumes them.
 *
 *     ks_bytes frame = {0};
 *     KS_TRY(ks_frame_next(ks_buffer_bytes(&in), &frame));
 *     if (frame.ptr) { use(frame); ks_buffer_consume(&in, KS_FRAME_HEAD_LEN + frame.len); }
 *
 * Threads: pure over the arguments; any.
 */
#pragma once

#include "pkg/base/bytes.h"

#define KS_FRAME_HEAD_LEN 4U
#define KS_FRAME_LEN_MAX  (1024U * 1024U) /* bytes behind the head */
#define KS_FRAME_MAX      (KS_FRAME_HEAD_LEN + KS_FRAME_LEN_MAX)

/*
 * Finds the first whole frame in stream.
 *
 * ret_frame  what follows the head, borrowed from stream. {NULL, 0} when more bytes are needed, and
 *            after a failure.
 *
 * Fails: VALIDATION (a length of 0 or over KS_FRAME_LEN_MAX. The bytes that follow cannot be
 * understood any more, so the caller must close the stream).
 */
KS_MUST_USE ks_result ks_frame_next(ks_bytes stream, ks_bytes *ret_frame);

/*
 * Appends the head of a frame whose len bytes the caller appends next. After a failure the buffer
 * is unchanged.
 * Fails: VALIDATION (len is 0 or over KS_FRAME_LEN_MAX), LIMIT_EXCEEDED (the buffer's cap).
 */
KS_MUST_USE ks_result ks_frame_begin(struct ks_buffer *out, size_t len);

/* Appends a whole frame. Fails as ks_frame_begin; the buffer is then unchanged. */
KS_MUST_USE ks_result ks_frame_append(struct ks_buffer *out, ks_bytes payload);
