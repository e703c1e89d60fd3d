/*
 * log: one line of logfmt on stderr for each event: time, level, process, event, fields.
 *
 * log.c has the list of field names that may be logged. Another name is asserted against, since
 * whatever is not on the list counts as secret. Values are escaped and cut at 200 bytes. Libraries
 * return their failures and do not log; a service logs each failure once.
 *
 * Threads: any thread; a line is written with one write(2), so that lines do not mix.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum ks_log_level { KS_LOG_DEBUG, KS_LOG_INFO, KS_LOG_WARN, KS_LOG_ERROR };

struct ks_log_field {
    const char *name; /* on the allow-list */
    const char *text; /* NULL: the value is number */
    int64_t number;
};

/* Returns a field with a text; NULL is logged as "". */
static inline struct ks_log_field ks_log_text(const char *name, const char *text)
{
    return (struct ks_log_field){name, text ? text : "", 0};
}

#define KS_TEXT(field, value)   ks_log_text((field), (value))
#define KS_NUMBER(field, value) ((struct ks_log_field){(field), NULL, (int64_t)(value)})

/*
 * Sets the process's name, which every line shows and which is borrowed for good, and the level
 * below which events are dropped. main calls it once, before it starts a thread.
 */
void ks_log_init(const char *process_name, enum ks_log_level least);

/* Writes one line. A line that cannot be written (stderr is closed or full) is lost. */
void ks_log_write(enum ks_log_level level, const char *event, const struct ks_log_field *fields,
                  size_t field_count);

/* Logs an event: ks_log(INFO, "key created", KS_TEXT("account", account), KS_NUMBER("revision", r)); */
#define ks_log(level, event, ...)                                                                  \
    ks_log_write(KS_LOG_##level, (event), (const struct ks_log_field[]){__VA_ARGS__},              \
                 sizeof((const struct ks_log_field[]){__VA_ARGS__}) / sizeof(struct ks_log_field))
