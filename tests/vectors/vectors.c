#include "tests/vectors/vectors.h"

#include <assert.h>

#include "pkg/base/mem.h"
#include "pkg/form/names.h"

#define FILE_LEN_MAX (1024U * 1024U)

struct ks_json_doc *ks_vectors_open(const unsigned char *text, size_t len)
{
    struct ks_json_doc *doc = NULL;
    ks_result r = ks_json_parse((ks_bytes){text, len},
                                (struct ks_json_limits){.len_max = FILE_LEN_MAX}, &doc);
    assert(!ks_failed(r));
    assert(ks_vectors_count(doc) > 0);
    return doc;
}

size_t ks_vectors_count(const struct ks_json_doc *doc)
{
    return ks_json_count(ks_json_root(doc));
}

const struct ks_json *ks_vectors_at(const struct ks_json_doc *doc, size_t index)
{
    const struct ks_json *vector = ks_json_at(ks_json_root(doc), index);
    assert(vector);
    return vector;
}

ks_bytes ks_vector_text(const struct ks_json *vector, const char *member)
{
    ks_bytes text = {NULL, 0};
    const struct ks_json *value = ks_json_get(vector, member);
    assert(value);
    ks_result r = ks_json_text(value, &text);
    assert(!ks_failed(r));
    return text;
}

uint32_t ks_vector_number(const struct ks_json *vector, const char *member)
{
    uint64_t number = 0;
    const struct ks_json *value = ks_json_get(vector, member);
    assert(value);
    ks_result r = ks_json_uint64(value, &number);
    assert(!ks_failed(r) && number <= UINT32_MAX);
    return (uint32_t)number;
}

struct ks_vector_bytes ks_vector_hex_of(const struct ks_json *value)
{
    ks_bytes text = {NULL, 0};
    assert(value);
    ks_result r = ks_json_text(value, &text);
    assert(!ks_failed(r));
    struct ks_vector_bytes bytes = {ks_alloc(text.len / 2, 1), text.len / 2};
    bool is_hex = ks_hex_read(text, bytes.ptr, bytes.len);
    assert(is_hex);
    return bytes;
}

struct ks_vector_bytes ks_vector_hex(const struct ks_json *vector, const char *member)
{
    return ks_vector_hex_of(ks_json_get(vector, member));
}

ks_bytes ks_vector_view(const struct ks_vector_bytes *bytes)
{
    return (ks_bytes){bytes->ptr, bytes->len};
}

void ks_vector_bytes_done(struct ks_vector_bytes *bytes)
{
    ks_free(bytes->ptr);
    *bytes = (struct ks_vector_bytes){NULL, 0};
}
