/*
 * base64: bytes as text, standard alphabet with padding (RFC 4648 §4).
 *
 * Not in constant time: key bytes that must stay secret from this machine do not pass here.
 * Threads: pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"

/* Characters that len bytes take. */
#define KS_BASE64_LEN(len) (((len) + 2) / 3 * 4)

/* Writes KS_BASE64_LEN(bytes.len) characters, no NUL, to ret_text. */
void ks_base64_write(ks_bytes bytes, uint8_t *ret_text);

/* Appends the text. Fails: LIMIT_EXCEEDED. */
KS_MUST_USE ks_result ks_base64_append(struct ks_buffer *buffer, ks_bytes bytes);

/*
 * ret_bytes  at least text.len / 4 * 3 bytes, the caller's; may be text's own memory.
 * ret_len    bytes written.
 *
 * Fails: VALIDATION (another character, wrong length or padding, bits set behind the last byte);
 * ret_bytes is then unspecified.
 */
KS_MUST_USE ks_result ks_base64_read(ks_bytes text, uint8_t *ret_bytes, size_t *ret_len);
