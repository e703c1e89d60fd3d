#include "pkg/base/bytes.h"

#include <assert.h>
#include <string.h>

#include "pkg/base/mem.h"

#define FIRST_CAPACITY 256U

ks_bytes ks_bytes_of(const char *text)
{
    return text ? (ks_bytes){(const uint8_t *)text, strlen(text)} : (ks_bytes){0};
}

bool ks_bytes_equal(ks_bytes a, ks_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool ks_bytes_starts_with(ks_bytes a, ks_bytes prefix)
{
    return a.len >= prefix.len && ks_bytes_equal((ks_bytes){a.ptr, prefix.len}, prefix);
}

int ks_bytes_compare(ks_bytes a, ks_bytes b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common > 0 ? memcmp(a.ptr, b.ptr, common) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

char *ks_bytes_dup(ks_bytes a)
{
    char *copy = ks_alloc(a.len + 1, 1);
    if (a.len > 0) {
        memcpy(copy, a.ptr, a.len);
    }
    return copy;
}

/* Moves the content to a larger place. The old place is wiped, because it may hold a secret. */
static void move(struct ks_buffer *buffer, size_t capacity)
{
    uint8_t *place = ks_realloc(NULL, capacity, 1); /* unset, as ks_buffer_extend says */
    if (buffer->ptr) {
        memcpy(place, buffer->ptr, buffer->len);
        ks_wipe(buffer->ptr, buffer->capacity);
        ks_free(buffer->ptr);
    }
    buffer->ptr = place;
    buffer->capacity = capacity;
}

/* Doubles the place, so that many small appends move the content few times. */
static void grow(struct ks_buffer *buffer, size_t len_needed)
{
    size_t capacity = buffer->capacity > FIRST_CAPACITY ? buffer->capacity : FIRST_CAPACITY;
    while (capacity < len_needed) {
        capacity *= 2;
    }
    move(buffer, capacity);
}

ks_result ks_buffer_reserve(struct ks_buffer *buffer, size_t len)
{
    assert(buffer->len_max > 0);
    assert(buffer->len <= buffer->len_max);

    if (len > buffer->len_max - buffer->len) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    if (len > buffer->capacity - buffer->len) {
        move(buffer, buffer->len + len);
    }
    return KS_RES(OK);
}

ks_result ks_buffer_extend(struct ks_buffer *buffer, size_t len, uint8_t **ret_place)
{
    assert(buffer->len_max > 0);
    assert(buffer->len <= buffer->len_max);

    if (len > buffer->len_max - buffer->len) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    if (buffer->len + len > buffer->capacity || !buffer->ptr) {
        grow(buffer, buffer->len + len);
    }
    *ret_place = buffer->ptr + buffer->len;
    buffer->len += len;
    return KS_RES(OK);
}

ks_result ks_buffer_append(struct ks_buffer *buffer, ks_bytes bytes)
{
    uint8_t *place;
    KS_TRY(ks_buffer_extend(buffer, bytes.len, &place));
    if (bytes.len > 0) {
        memcpy(place, bytes.ptr, bytes.len);
    }
    return KS_RES(OK);
}

void ks_buffer_consume(struct ks_buffer *buffer, size_t len)
{
    assert(len <= buffer->len);

    size_t rest = buffer->len - len;
    if (rest > 0 && len > 0) {
        memmove(buffer->ptr, buffer->ptr + len, rest);
    }
    if (len > 0) {
        ks_wipe(buffer->ptr + rest, len);
    }
    buffer->len = rest;
}

ks_bytes ks_buffer_bytes(const struct ks_buffer *buffer)
{
    return (ks_bytes){buffer->ptr, buffer->len};
}

void ks_buffer_done(struct ks_buffer *buffer)
{
    if (buffer->ptr) {
        ks_wipe(buffer->ptr, buffer->capacity);
        ks_free(buffer->ptr);
    }
    *buffer = (struct ks_buffer){.len_max = buffer->len_max};
}
