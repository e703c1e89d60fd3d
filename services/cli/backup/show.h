/*
 * show: what people and scripts see of a backup.
 *
 * Threads: values; any.
 */
#pragma once

#include <stdint.h>

#include "pkg/backup/front.h"

struct ks_json_writer;
struct ks_table;

#define KS_BACKUP_TIME_LEN 32U /* bytes, NUL included */

/*
 * Writes a time as 2026-11-28T13:00:00Z; "?" if it is beyond the calendar.
 * ret_text  the caller's.
 */
void ks_backup_time_text(int64_t time_ms, char ret_text[static KS_BACKUP_TIME_LEN]);

/* Adds a row for a backup in a file of that length, under the titles of ks_backup_titles. */
void ks_backup_row(struct ks_table *table, const struct ks_backup_header *header, uint64_t len,
                   const char *file);

#define KS_BACKUP_COLUMNS 8U

/* Adds the row of titles to a table of KS_BACKUP_COLUMNS columns. */
void ks_backup_titles(struct ks_table *table);

/* Writes the same as members of the object that is open. */
void ks_backup_members(struct ks_json_writer *json, const struct ks_backup_header *header,
                       uint64_t len, const char *file);
