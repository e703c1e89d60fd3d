/*
 * bytes: a borrowed run of bytes, and a growable one with a cap.
 *
 * Threads: values; a buffer belongs to one thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/base/mem.h"
#include "pkg/base/result.h"

/* Borrowed: whoever hands it out says how long it lasts. {NULL, 0} is the empty run. */
typedef struct ks_bytes {
    const uint8_t *ptr;
    size_t len;
} ks_bytes;

/* The bytes of a string literal, without its NUL. */
#define KS_LITERAL(text) ((ks_bytes){(const uint8_t *)(text), sizeof(text) - 1})

/* The bytes of a C string, without its NUL. NULL reads as empty. */
ks_bytes ks_bytes_of(const char *text);

/* Same length and bytes. Not constant time: for secrets see secret.h. */
bool ks_bytes_equal(ks_bytes a, ks_bytes b);

/* Whether a starts with prefix. */
bool ks_bytes_starts_with(ks_bytes a, ks_bytes prefix);

/* Less than, equal to or greater than 0, as memcmp orders; a shorter run sorts first. */
int ks_bytes_compare(ks_bytes a, ks_bytes b);

/* A heap copy with a NUL behind it (not counted); never NULL. Free with ks_free. */
char *ks_bytes_dup(ks_bytes a);

/*
 * A growable run of bytes. {.len_max = N} is an empty one that takes up to N bytes; its memory is
 * wiped whenever it is moved or freed, so it may carry secrets.
 */
struct ks_buffer {
    uint8_t *ptr;
    size_t len;
    size_t len_max; /* never holds more; 0 is a programmer error */
    size_t capacity;
};

/* Appends a copy. Fails: LIMIT_EXCEEDED (over len_max; the buffer is unchanged). */
KS_MUST_USE ks_result ks_buffer_append(struct ks_buffer *buffer, ks_bytes bytes);

/*
 * Appends len unset bytes and gives their place, which lasts until the next append.
 * Fails: LIMIT_EXCEEDED (over len_max; the buffer is unchanged).
 */
KS_MUST_USE ks_result ks_buffer_extend(struct ks_buffer *buffer, size_t len, uint8_t **ret_place);

/* Drops len bytes from the front. len is at most buffer->len. */
void ks_buffer_consume(struct ks_buffer *buffer, size_t len);

/* What it holds, borrowed until the next change. */
ks_bytes ks_buffer_bytes(const struct ks_buffer *buffer);

/* Wipes and empties; keeps len_max. The zero value is fine. */
void ks_buffer_done(struct ks_buffer *buffer);
#define KS_BUFFER_AUTO KS_CLEANUP(ks_buffer_done) struct ks_buffer
