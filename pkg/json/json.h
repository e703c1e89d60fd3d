/*
 * json: reads bounded JSON text (RFC 8259) into values that cannot change, and writes JSON.
 *
 * A text that repeats a name within one object is refused, since two readers could see two values.
 *
 * Threads: a document belongs to one thread at a time, and so does a writer.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/base/result.h"

#define KS_JSON_DEPTH_MAX 32U /* arrays and objects within each other, reading and writing */

struct ks_json_doc;

/* Any value within a document, borrowed from it. An absent value is NULL. */
struct ks_json;

struct ks_json_limits {
    size_t len_max;     /* bytes of text */
    unsigned depth_max; /* 0: KS_JSON_DEPTH_MAX, which it may not pass */
};

/*
 * Reads one value that fills the whole text.
 *
 * ret_doc  the caller's, who frees it with ks_json_free; it borrows nothing from text. Written on
 *          success only.
 *
 * Fails: LIMIT_EXCEEDED (longer or deeper than limits), VALIDATION (not JSON, not UTF-8, a name
 * twice in one object).
 */
KS_MUST_USE ks_result ks_json_parse(ks_bytes text, struct ks_json_limits limits,
                                    struct ks_json_doc **ret_doc);

/* Frees the document and every value in it. NULL is allowed. */
void ks_json_free(struct ks_json_doc *doc);
void ks_json_free_at(struct ks_json_doc **doc);
#define KS_JSON_AUTO KS_CLEANUP(ks_json_free_at) struct ks_json_doc

/* Returns the value that the text consists of; never NULL. */
const struct ks_json *ks_json_root(const struct ks_json_doc *doc);

/*
 * Returns a member of an object. Returns NULL when the member is absent or null, and when object is
 * NULL or not an object.
 */
const struct ks_json *ks_json_get(const struct ks_json *object, const char *name);

/* Returns how many elements an array has; 0 when array is NULL or not an array. */
size_t ks_json_count(const struct ks_json *array);

/* Returns an element of an array; NULL past its end. */
const struct ks_json *ks_json_at(const struct ks_json *array, size_t index);

/* Each returns whether value is of that type; false for NULL. */
bool ks_json_is_object(const struct ks_json *value);
bool ks_json_is_array(const struct ks_json *value);

/*
 * The typed getters read an absent value (NULL) as false, 0 or empty, as proto3's JSON does. They
 * write *ret on success only.
 *
 * Fails: VALIDATION (the value is of another type, or out of range).
 */
KS_MUST_USE ks_result ks_json_bool(const struct ks_json *value, bool *ret);

/*
 * Each reads a number, or a string of decimal digits: proto3's JSON writes 64-bit integers as
 * strings. Fails: as above; *ret is written on success only.
 */
KS_MUST_USE ks_result ks_json_int64(const struct ks_json *value, int64_t *ret);
KS_MUST_USE ks_result ks_json_uint64(const struct ks_json *value, uint64_t *ret);

/*
 * Reads a text: UTF-8 without a NUL, borrowed from the document, which has a NUL behind it.
 * Fails: as above; *ret is written on success only.
 */
KS_MUST_USE ks_result ks_json_text(const struct ks_json *value, ks_bytes *ret);

/*
 * A writer appends to a buffer. Its functions return no failure: the first one (LIMIT_EXCEEDED: the
 * buffer is full; VALIDATION: a text is not UTF-8) is kept in `result`, and all further calls do
 * nothing. The caller looks once, at the end, by ks_json_end.
 *
 *     struct ks_json_writer w = {.buffer = &buffer};
 *     ks_json_object(&w, NULL);
 *     ks_json_put_text(&w, "KeyId", id);
 *     ks_json_close(&w);
 *     KS_TRY(ks_json_end(&w));
 *
 * The argument name is the member's name within an object, and NULL within an array and at the top.
 */
struct ks_json_writer {
    struct ks_buffer *buffer; /* borrowed */
    unsigned indent;          /* spaces a level; 0: all on one line */
    ks_result result;
    unsigned depth;
    uint64_t arrays;    /* bit n: level n is an array */
    uint64_t not_empty; /* bit n: level n has a value already */
};

void ks_json_object(struct ks_json_writer *writer, const char *name);
void ks_json_array(struct ks_json_writer *writer, const char *name);
void ks_json_close(struct ks_json_writer *writer); /* the innermost open one */
void ks_json_put_text(struct ks_json_writer *writer, const char *name, ks_bytes text);
void ks_json_put_string(struct ks_json_writer *writer, const char *name, const char *text);
void ks_json_put_base64(struct ks_json_writer *writer, const char *name, ks_bytes bytes);
void ks_json_put_bool(struct ks_json_writer *writer, const char *name, bool value);
void ks_json_put_int64(struct ks_json_writer *writer, const char *name, int64_t value);
void ks_json_put_null(struct ks_json_writer *writer, const char *name);

/* Milliseconds since 1970 as seconds with three decimals, the form of AWS's timestamps. */
void ks_json_put_seconds(struct ks_json_writer *writer, const char *name, int64_t ms);

/*
 * Ends the text. Every object and array must be closed, which is asserted.
 * Fails: what the writer met first; the buffer then holds a part of the text.
 */
KS_MUST_USE ks_result ks_json_end(const struct ks_json_writer *writer);
