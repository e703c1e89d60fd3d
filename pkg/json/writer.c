#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "pkg/json/base64.h"
#include "pkg/json/json.h"

static_assert(KS_JSON_DEPTH_MAX < 64, "a level has one bit in the writer's masks");

static void append(struct ks_json_writer *writer, ks_bytes bytes)
{
    if (!ks_failed(writer->result)) {
        writer->result = ks_buffer_append(writer->buffer, bytes);
    }
}

static void append_line(struct ks_json_writer *writer)
{
    if (writer->indent == 0) {
        return;
    }
    append(writer, KS_LITERAL("\n"));
    for (unsigned i = 0; i < writer->indent * writer->depth; i++) {
        append(writer, KS_LITERAL(" "));
    }
}

/*
 * Returns the length of the UTF-8 character at the front (RFC 3629: no surrogates, nothing
 * over-long); 0 if there is none.
 */
static size_t character_len(ks_bytes text)
{
    uint8_t first = text.ptr[0];
    if (first < 0x80) {
        return 1;
    }
    size_t len = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4 || text.len < len) {
        return 0;
    }
    for (size_t i = 1; i < len; i++) {
        if ((text.ptr[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    uint8_t second = text.ptr[1];
    bool is_bad = (first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) ||
                  (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F);
    return is_bad ? 0 : len;
}

/* The short escapes of RFC 8259 §7. */
static const char short_escapes[128] = {
    ['"'] = '"',  ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f',
    ['\n'] = 'n', ['\r'] = 'r',  ['\t'] = 't',
};

static void append_character(struct ks_json_writer *writer, ks_bytes character)
{
    uint8_t first = character.ptr[0];
    char escaped[8];
    int len = 0;
    if (first < 0x80 && short_escapes[first] != 0) {
        len = snprintf(escaped, sizeof(escaped), "\\%c", short_escapes[first]);
    } else if (first < 0x20 || first == 0x7F) {
        len = snprintf(escaped, sizeof(escaped), "\\u%04x", first);
    }
    append(writer, len > 0 ? (ks_bytes){(uint8_t *)escaped, (size_t)len} : character);
}

static void append_quoted(struct ks_json_writer *writer, ks_bytes text)
{
    append(writer, KS_LITERAL("\""));
    for (size_t i = 0; i < text.len;) {
        size_t len = character_len((ks_bytes){text.ptr + i, text.len - i});
        if (len == 0) {
            writer->result = ks_failed(writer->result) ? writer->result : KS_RES(VALIDATION);
            return;
        }
        append_character(writer, (ks_bytes){text.ptr + i, len});
        i += len;
    }
    append(writer, KS_LITERAL("\""));
}

/* Writes what comes before a value: a comma, a new line, the name. */
static void begin_value(struct ks_json_writer *writer, const char *name)
{
    uint64_t level = 1ULL << writer->depth;
    bool is_member = writer->depth > 0 && !(writer->arrays & level);
    assert(is_member == (name != NULL));

    if (writer->not_empty & level) {
        assert(writer->depth > 0);
        append(writer, KS_LITERAL(","));
    }
    writer->not_empty |= level;
    if (writer->depth > 0) {
        append_line(writer);
    }
    if (name) {
        append_quoted(writer, ks_bytes_of(name));
        append(writer, writer->indent > 0 ? KS_LITERAL(": ") : KS_LITERAL(":"));
    }
}

static void open_level(struct ks_json_writer *writer, bool is_array)
{
    assert(writer->depth < KS_JSON_DEPTH_MAX);

    writer->depth++;
    uint64_t level = 1ULL << writer->depth;
    writer->not_empty &= ~level;
    writer->arrays = is_array ? writer->arrays | level : writer->arrays & ~level;
}

void ks_json_object(struct ks_json_writer *writer, const char *name)
{
    begin_value(writer, name);
    append(writer, KS_LITERAL("{"));
    open_level(writer, false);
}

void ks_json_array(struct ks_json_writer *writer, const char *name)
{
    begin_value(writer, name);
    append(writer, KS_LITERAL("["));
    open_level(writer, true);
}

void ks_json_close(struct ks_json_writer *writer)
{
    assert(writer->depth > 0);

    uint64_t level = 1ULL << writer->depth;
    writer->depth--;
    if (writer->not_empty & level) {
        append_line(writer);
    }
    append(writer, writer->arrays & level ? KS_LITERAL("]") : KS_LITERAL("}"));
}

void ks_json_put_text(struct ks_json_writer *writer, const char *name, ks_bytes text)
{
    begin_value(writer, name);
    append_quoted(writer, text);
}

void ks_json_put_string(struct ks_json_writer *writer, const char *name, const char *text)
{
    ks_json_put_text(writer, name, ks_bytes_of(text));
}

void ks_json_put_base64(struct ks_json_writer *writer, const char *name, ks_bytes bytes)
{
    begin_value(writer, name);
    append(writer, KS_LITERAL("\""));
    if (!ks_failed(writer->result)) {
        writer->result = ks_base64_append(writer->buffer, bytes);
    }
    append(writer, KS_LITERAL("\""));
}

void ks_json_put_bool(struct ks_json_writer *writer, const char *name, bool value)
{
    begin_value(writer, name);
    append(writer, value ? KS_LITERAL("true") : KS_LITERAL("false"));
}

void ks_json_put_null(struct ks_json_writer *writer, const char *name)
{
    begin_value(writer, name);
    append(writer, KS_LITERAL("null"));
}

void ks_json_put_int64(struct ks_json_writer *writer, const char *name, int64_t value)
{
    char digits[32];
    begin_value(writer, name);
    snprintf(digits, sizeof(digits), "%" PRId64, value);
    append(writer, ks_bytes_of(digits));
}

void ks_json_put_seconds(struct ks_json_writer *writer, const char *name, int64_t ms)
{
    assert(ms >= 0);

    char digits[32];
    begin_value(writer, name);
    snprintf(digits, sizeof(digits), "%" PRId64 ".%03d", ms / 1000, (int)(ms % 1000));
    append(writer, ks_bytes_of(digits));
}

ks_result ks_json_end(const struct ks_json_writer *writer)
{
    assert(writer->depth == 0);

    return writer->result;
}
