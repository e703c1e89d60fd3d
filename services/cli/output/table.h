/*
 * table: rows of texts in columns as wide as they need, and any message as a table: one line for
 * each element of a list, or one line for each member.
 *
 * Threads: values; any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "pkg/base/bytes.h"
#include "pkg/base/result.h"

struct ProtobufCMessage;

#define KS_TABLE_COLUMNS_MAX 16U

/* {.column_count = N, .text = {.len_max = M}}: an empty table of at most M bytes of text. */
struct ks_table {
    size_t column_count;   /* 1 to KS_TABLE_COLUMNS_MAX */
    const char *indent;    /* before each line; NULL: none */
    struct ks_buffer text; /* the cells one after the other, each with a NUL */
    size_t cell_count;
    ks_result result; /* the first failure; looked at by ks_table_print */
};

/* Adds a cell; control characters become '?'. NULL reads as empty. */
void ks_table_cell(struct ks_table *table, const char *text);
__attribute__((format(printf, 2, 3))) void ks_table_cellf(struct ks_table *table,
                                                          const char *format, ...);

/*
 * Appends the rows, each with its newline. After a failure out may hold a part of them.
 * Fails: LIMIT_EXCEEDED (the table's or the buffer's cap).
 */
KS_MUST_USE ks_result ks_table_print(const struct ks_table *table, struct ks_buffer *out);

void ks_table_done(struct ks_table *table);
#define KS_TABLE_AUTO KS_CLEANUP(ks_table_done) struct ks_table

/*
 * Adds a row for a message: a cell for each of the columns, which are names of its fields.
 */
void ks_table_row(struct ks_table *table, const struct ProtobufCMessage *message,
                  const char *const *fields);

/* Adds a row of titles: the names in upper case, '_' as a blank. */
void ks_table_titles(struct ks_table *table, const char *const *names);

/*
 * Adds a row of name and value for each member that says something, to a table of two columns. A
 * response that is nothing but a message is shown as that. Lists stand on one line.
 */
void ks_table_members(struct ks_table *table, const struct ProtobufCMessage *message);
