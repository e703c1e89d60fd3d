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

/* A run is borrowed: the function that returns it says how long it lasts. {NULL, 0} is empty. */
typedef struct ks_bytes {
    const uint8_t *ptr;
    size_t len;
} ks_bytes;

/* The bytes of a string literal, without its NUL. */
#define KS_LITERAL(text) ((ks_bytes){(const uint8_t *)(text), sizeof(text) - 1})

/* Returns the bytes of a C string without its NUL; the empty run for NULL. */
ks_bytes ks_bytes_of(const char *text);

/*
 * Returns whether a and b have the same length and bytes. The time it takes depends on the bytes:
 * compare secrets with ks_secret_equal.
 */
bool ks_bytes_equal(ks_bytes a, ks_bytes b);

/* Returns whether a starts with prefix. Every run starts with the empty one. */
bool ks_bytes_starts_with(ks_bytes a, ks_bytes prefix);

/*
 * Orders as memcmp does, and puts a run before the longer ones that start with it. Returns a number
 * below 0, 0, or a number above 0.
 */
int ks_bytes_compare(ks_bytes a, ks_bytes b);

/* Returns a copy on the heap with a NUL behind it; never NULL. The caller frees it with ks_free. */
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

/* Appends a copy of bytes. Fails: LIMIT_EXCEEDED (over len_max; the buffer is unchanged). */
KS_MUST_USE ks_result ks_buffer_append(struct ks_buffer *buffer, ks_bytes bytes);

/*
 * Appends len bytes of unspecified content, for the caller to fill.
 *
 * ret_place  where they begin; good until the next append. Written on success only.
 *
 * Fails: LIMIT_EXCEEDED (over len_max; the buffer is unchanged).
 */
KS_MUST_USE ks_result ks_buffer_extend(struct ks_buffer *buffer, size_t len, uint8_t **ret_place);

/*
 * Makes place for len more bytes, and no more than that: appending them then neither moves nor
 * wipes anything. It is for a caller that knows how much comes.
 * Fails: LIMIT_EXCEEDED (over len_max; the buffer is unchanged).
 */
KS_MUST_USE ks_result ks_buffer_reserve(struct ks_buffer *buffer, size_t len);

/* Drops len bytes from the front. A len above buffer->len is asserted against. */
void ks_buffer_consume(struct ks_buffer *buffer, size_t len);

/* Returns what the buffer holds, borrowed until its next change. */
ks_bytes ks_buffer_bytes(const struct ks_buffer *buffer);

/* Wipes, frees and empties the buffer, which keeps len_max. The zero value is allowed. */
void ks_buffer_done(struct ks_buffer *buffer);
#define KS_BUFFER_AUTO KS_CLEANUP(ks_buffer_done) struct ks_buffer
