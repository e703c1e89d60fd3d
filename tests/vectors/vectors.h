/*
 * vectors: reads the golden files for tests. Each is a list of objects whose members are hex,
 * text or numbers. Whatever is not there or of another form ends the test: a vector that is passed
 * over would prove nothing.
 *
 * Threads: one.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/json/json.h"

/* A member that holds hex, decoded: the caller's to free with ks_free. */
struct ks_vector_bytes {
    uint8_t *ptr;
    size_t len;
};

/* The file's text; the caller's to free with ks_json_free. Holds at least one case. */
struct ks_json_doc *ks_vectors_open(const unsigned char *text, size_t len);

size_t ks_vectors_count(const struct ks_json_doc *doc);
const struct ks_json *ks_vectors_at(const struct ks_json_doc *doc, size_t index);

/* Borrowed from the document. */
ks_bytes ks_vector_text(const struct ks_json *vector, const char *member);
uint32_t ks_vector_number(const struct ks_json *vector, const char *member);

struct ks_vector_bytes ks_vector_hex(const struct ks_json *vector, const char *member);
ks_bytes ks_vector_view(const struct ks_vector_bytes *bytes);
void ks_vector_bytes_done(struct ks_vector_bytes *bytes);
#define KS_VECTOR_AUTO KS_CLEANUP(ks_vector_bytes_done) struct ks_vector_bytes

/* The hex of one value, such as an element of a list. */
struct ks_vector_bytes ks_vector_hex_of(const struct ks_json *value);
