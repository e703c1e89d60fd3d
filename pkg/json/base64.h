/*
 * base64: bytes as text, in the standard alphabet with padding (RFC 4648 §4).
 *
 * The time that a call takes depends on the bytes. Do not pass key bytes that must stay secret from
 * other programs on the machine.
 * Threads: pure; any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"

/* The number of characters that len bytes take. */
#define KS_BASE64_LEN(len) (((len) + 2) / 3 * 4)

/* Writes KS_BASE64_LEN(bytes.len) characters to ret_text, without a NUL. */
void ks_base64_write(ks_bytes bytes, uint8_t *ret_text);

/* Appends the text. Fails: LIMIT_EXCEEDED (the buffer's cap; the buffer is unchanged). */
KS_MUST_USE ks_result ks_base64_append(struct ks_buffer *buffer, ks_bytes bytes);

/*
 * Reads the bytes that text stands for.
 *
 * ret_bytes  at least text.len / 4 * 3 bytes, the caller's; may be text's own memory. Unspecified
 *            after a failure.
 * ret_len    how many bytes were written. Written on success only.
 *
 * Fails: VALIDATION (another character, a wrong length or padding, bits set behind the last byte).
 */
KS_MUST_USE ks_result ks_base64_read(ks_bytes text, uint8_t *ret_bytes, size_t *ret_len);
