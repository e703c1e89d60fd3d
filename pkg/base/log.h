/*
 * log: one line of logfmt on stderr for each event: time, level, process, event, fields.
 *
 * Fields are allow-listed by name in log.c, and another name is a programmer error: what is not
 * on the list is secret. Values are escaped and cut at 200 bytes.
 * Libraries return; services log, once.
 *
 * Threads: any; a line is written with one write(2).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum ks_log_level { KS_LOG_DEBUG, KS_LOG_INFO, KS_LOG_WARN, KS_LOG_ERROR };

struct ks_log_field {
    const char *name; /* on the allow-list */
    const char *text; /* NULL: number counts */
    int64_t number;
};

/* A NULL text reads as empty. */
static inline struct ks_log_field ks_log_text(const char *name, const char *text)
{
    return (struct ks_log_field){name, text ? text : "", 0};
}

#define KS_TEXT(field, value)   ks_log_text((field), (value))
#define KS_NUMBER(field, value) ((struct ks_log_field){(field), NULL, (int64_t)(value)})

/* Names the process in every line; name is borrowed for ever. Called once, before threads. */
void ks_log_init(const char *process_name, enum ks_log_level least);

void ks_log_write(enum ks_log_level level, const char *event, const struct ks_log_field *fields,
                  size_t field_count);

/* ks_log(INFO, "key created", KS_TEXT("account", account), KS_NUMBER("revision", r)); */
#define ks_log(level, event, ...)                                                                  \
    ks_log_write(KS_LOG_##level, (event), (const struct ks_log_field[]){__VA_ARGS__},              \
                 sizeof((const struct ks_log_field[]){__VA_ARGS__}) / sizeof(struct ks_log_field))
