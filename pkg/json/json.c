#include "pkg/json/json.h"

#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/*
 * A document is jansson's root value, and a value is jansson's own. struct ks_json_doc and struct
 * ks_json are never defined: the compiler tells the two kinds of pointers apart, and that is all
 * they are for.
 */
static json_t *unwrap(const struct ks_json *value)
{
    return (json_t *)(uintptr_t)value;
}

static const struct ks_json *wrap(json_t *value)
{
    return json_is_null(value) ? NULL : (const struct ks_json *)value;
}

/*
 * Returns whether brackets outside of strings are nested at most depth_max deep. This is checked
 * before parsing, because jansson parses recursively, and its own bound (2048) needs much stack.
 */
static bool depth_is_within(ks_bytes text, unsigned depth_max)
{
    unsigned depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (in_string) {
            i += c == '\\' ? 1 : 0;
            in_string = c != '"';
            continue;
        }
        in_string = c == '"';
        if ((c == '{' || c == '[') && ++depth > depth_max) {
            return false;
        }
        depth -= (c == '}' || c == ']') && depth > 0 ? 1 : 0;
    }
    return true;
}

ks_result ks_json_parse(ks_bytes text, struct ks_json_limits limits, struct ks_json_doc **ret_doc)
{
    assert(limits.len_max > 0);
    assert(limits.depth_max <= KS_JSON_DEPTH_MAX);

    unsigned depth_max = limits.depth_max ? limits.depth_max : KS_JSON_DEPTH_MAX;
    if (text.len > limits.len_max || !depth_is_within(text, depth_max)) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    if (text.len == 0) {
        return KS_RES(VALIDATION);
    }
    json_error_t error;
    json_t *root = json_loadb((const char *)text.ptr, text.len,
                              JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!root) {
        return KS_RES(VALIDATION);
    }
    *ret_doc = (struct ks_json_doc *)root;
    return KS_RES(OK);
}

void ks_json_free(struct ks_json_doc *doc)
{
    json_decref((json_t *)doc);
}

void ks_json_free_at(struct ks_json_doc **doc)
{
    ks_json_free(*doc);
}

const struct ks_json *ks_json_root(const struct ks_json_doc *doc)
{
    return wrap((json_t *)(uintptr_t)doc);
}

const struct ks_json *ks_json_get(const struct ks_json *object, const char *name)
{
    return wrap(json_object_get(unwrap(object), name));
}

size_t ks_json_count(const struct ks_json *array)
{
    return json_array_size(unwrap(array));
}

const struct ks_json *ks_json_at(const struct ks_json *array, size_t index)
{
    return wrap(json_array_get(unwrap(array), index));
}

bool ks_json_is_object(const struct ks_json *value)
{
    return json_is_object(unwrap(value));
}

bool ks_json_is_array(const struct ks_json *value)
{
    return json_is_array(unwrap(value));
}

ks_result ks_json_bool(const struct ks_json *value, bool *ret)
{
    if (value && !json_is_boolean(unwrap(value))) {
        return KS_RES(VALIDATION);
    }
    *ret = value && json_is_true(unwrap(value));
    return KS_RES(OK);
}

/* Accepts digits, with one minus before them or none. strtoll would also take spaces and a plus. */
static bool is_decimal(const char *text)
{
    const char *digits = text + (*text == '-' ? 1 : 0);
    return *digits != '\0' && strspn(digits, "0123456789") == strlen(digits);
}

ks_result ks_json_int64(const struct ks_json *value, int64_t *ret)
{
    json_t *json = unwrap(value);
    if (!json || json_is_integer(json)) {
        *ret = json ? json_integer_value(json) : 0;
        return KS_RES(OK);
    }
    const char *text = json_string_value(json);
    if (!text || !is_decimal(text)) {
        return KS_RES(VALIDATION);
    }
    errno = 0;
    long long number = strtoll(text, NULL, 10);
    if (errno != 0) {
        return KS_RES(VALIDATION);
    }
    *ret = number;
    return KS_RES(OK);
}

ks_result ks_json_uint64(const struct ks_json *value, uint64_t *ret)
{
    json_t *json = unwrap(value);
    if (!json || (json_is_integer(json) && json_integer_value(json) >= 0)) {
        *ret = json ? (uint64_t)json_integer_value(json) : 0;
        return KS_RES(OK);
    }
    const char *text = json_string_value(json);
    if (!text || *text == '-' || !is_decimal(text)) {
        return KS_RES(VALIDATION);
    }
    errno = 0;
    unsigned long long number = strtoull(text, NULL, 10);
    if (errno != 0) {
        return KS_RES(VALIDATION);
    }
    *ret = number;
    return KS_RES(OK);
}

ks_result ks_json_text(const struct ks_json *value, ks_bytes *ret)
{
    json_t *json = unwrap(value);
    if (json && !json_is_string(json)) {
        return KS_RES(VALIDATION);
    }
    *ret = json ? (ks_bytes){(const uint8_t *)json_string_value(json), json_string_length(json)}
                : (ks_bytes){0};
    return KS_RES(OK);
}
