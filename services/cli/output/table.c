#include "services/cli/output/table.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "google/protobuf/timestamp.pb-c.h"
#include "pkg/message/names.h"
#include "pkg/message/value.h"

#define CELL_LEN_MAX 512U /* of a formatted cell */
#define GAP          2U   /* blanks between columns */

static void add(struct ks_table *table, ks_bytes text)
{
    if (ks_failed(table->result)) {
        return;
    }
    uint8_t *place;
    table->result = ks_buffer_extend(&table->text, text.len + 1, &place);
    if (ks_failed(table->result)) {
        return;
    }
    for (size_t i = 0; i < text.len; i++) {
        place[i] = text.ptr[i] < 0x20 || text.ptr[i] == 0x7f ? '?' : text.ptr[i];
    }
    place[text.len] = '\0';
    table->cell_count++;
}

void ks_table_cell(struct ks_table *table, const char *text)
{
    add(table, ks_bytes_of(text));
}

void ks_table_cellf(struct ks_table *table, const char *format, ...)
{
    char text[CELL_LEN_MAX];
    va_list values;
    va_start(values, format);
    vsnprintf(text, sizeof(text), format, values);
    va_end(values);
    ks_table_cell(table, text);
}

/* Counts the characters of UTF-8 text: all bytes except those that continue a character. */
static size_t width_of(const char *text)
{
    size_t width = 0;
    for (; *text; text++) {
        width += ((unsigned char)*text & 0xc0U) != 0x80U;
    }
    return width;
}

static void measure(const struct ks_table *table, size_t *ret_widths)
{
    const char *cell = (const char *)table->text.ptr;
    for (size_t i = 0; i < table->cell_count; i++) {
        size_t column = i % table->column_count;
        size_t width = width_of(cell);
        ret_widths[column] = width > ret_widths[column] ? width : ret_widths[column];
        cell += strlen(cell) + 1;
    }
}

static ks_result put_blanks(struct ks_buffer *out, size_t count)
{
    uint8_t *place;
    KS_TRY(ks_buffer_extend(out, count, &place));
    memset(place, ' ', count);
    return KS_RES(OK);
}

/* Ends a line. Empty cells at its end leave no blanks. */
static ks_result end_line(struct ks_buffer *out)
{
    while (out->len > 0 && out->ptr[out->len - 1] == ' ') {
        out->len--;
    }
    return ks_buffer_append(out, KS_LITERAL("\n"));
}

static ks_result put_cell(const struct ks_table *table, size_t column, size_t width,
                          const char *cell, struct ks_buffer *out)
{
    if (column == 0 && table->indent) {
        KS_TRY(ks_buffer_append(out, ks_bytes_of(table->indent)));
    }
    KS_TRY(ks_buffer_append(out, ks_bytes_of(cell)));
    if (column + 1 == table->column_count) {
        return end_line(out);
    }
    return put_blanks(out, width - width_of(cell) + GAP);
}

ks_result ks_table_print(const struct ks_table *table, struct ks_buffer *out)
{
    assert(table->column_count >= 1 && table->column_count <= KS_TABLE_COLUMNS_MAX);
    KS_TRY(table->result);
    assert(table->cell_count % table->column_count == 0);

    size_t widths[KS_TABLE_COLUMNS_MAX] = {0};
    measure(table, widths);
    const char *cell = (const char *)table->text.ptr;
    for (size_t i = 0; i < table->cell_count; i++) {
        size_t column = i % table->column_count;
        KS_TRY(put_cell(table, column, widths[column], cell, out));
        cell += strlen(cell) + 1;
    }
    return KS_RES(OK);
}

void ks_table_done(struct ks_table *table)
{
    ks_buffer_done(&table->text);
    table->cell_count = 0;
}

/* ---- Messages ---- */

/* All elements of a field in one cell. */
static ks_result append_field(const ProtobufCMessage *message,
                              const ProtobufCFieldDescriptor *field, struct ks_buffer *out)
{
    for (size_t i = 0; i < ks_value_count(message, field); i++) {
        KS_TRY(ks_buffer_append(out, ks_bytes_of(i > 0 ? ", " : "")));
        KS_TRY(ks_value_append(field, ks_value_at(message, field, i), out));
    }
    return KS_RES(OK);
}

static void cell_of_field(struct ks_table *table, const ProtobufCMessage *message,
                          const ProtobufCFieldDescriptor *field)
{
    KS_BUFFER_AUTO text = {.len_max = table->text.len_max};
    ks_result r = KS_RES(OK);
    if (!ks_value_is_absent(message, field)) {
        r = append_field(message, field, &text);
    }
    if (ks_failed(r) && !ks_failed(table->result)) {
        table->result = r;
        return;
    }
    add(table, ks_buffer_bytes(&text));
}

void ks_table_row(struct ks_table *table, const ProtobufCMessage *message,
                  const char *const *fields)
{
    for (size_t i = 0; i < table->column_count; i++) {
        const ProtobufCFieldDescriptor *field =
            protobuf_c_message_descriptor_get_field_by_name(message->descriptor, fields[i]);
        assert(field);
        cell_of_field(table, message, field);
    }
}

void ks_table_titles(struct ks_table *table, const char *const *names)
{
    for (size_t i = 0; i < table->column_count; i++) {
        char title[CELL_LEN_MAX];
        snprintf(title, sizeof(title), "%s", names[i]);
        for (char *c = title; *c; c++) {
            *c = *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c == '_' ? ' ' : *c;
        }
        ks_table_cell(table, title);
    }
}

static bool is_shown(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    bool is_message = field->type == PROTOBUF_C_TYPE_MESSAGE && !ks_value_is_time(field);
    return !is_message && !ks_value_is_absent(message, field);
}

/* The message within, while there is nothing else. */
static const ProtobufCMessage *innermost(const ProtobufCMessage *message)
{
    while (message->descriptor->n_fields == 1) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[0];
        bool is_one = field->type == PROTOBUF_C_TYPE_MESSAGE && !ks_value_is_time(field) &&
                      field->label != PROTOBUF_C_LABEL_REPEATED;
        if (!is_one || !ks_value_message(ks_value_at(message, field, 0))) {
            break;
        }
        message = ks_value_message(ks_value_at(message, field, 0));
    }
    return message;
}

void ks_table_members(struct ks_table *table, const ProtobufCMessage *message)
{
    assert(table->column_count == 2);

    message = innermost(message);
    const ProtobufCMessageDescriptor *type = message->descriptor;
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        if (is_shown(message, field)) {
            ks_table_cell(table, ks_member_name_of(type->name, field->name));
            cell_of_field(table, message, field);
        }
    }
}
