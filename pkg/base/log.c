#include "pkg/base/log.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "pkg/base/mem.h"

#define LINE_LEN_MAX  2048U
#define VALUE_LEN_MAX 200U

/*
 * The fields that may be in a log: none holds content that a client chose, and none opens anything.
 */
static const char *const allowed[] = {
    "account", "address",   "answered",   "applied",  "attempt", "bytes",       "cause",
    "cluster", "code",      "command",    "config",   "count",   "duration_ms", "endpoint",
    "epoch",   "file",      "generation", "guilty",   "hint",    "http",        "key_id",
    "life",    "limit",     "line",       "member",   "method",  "mode",        "name",
    "node",    "not_after", "peer",       "pid",      "port",    "principal",   "purpose",
    "reason",  "region",    "request_id", "revision", "serial",  "signal",      "size",
    "state",   "status",    "streams",    "suspects", "trace",   "unanswered",  "user",
    "version", "window_ms", "zone",
};

static const char *const level_names[] = {"debug", "info", "warn", "error"};

static const char *process = "keystead";
static enum ks_log_level least_level = KS_LOG_INFO;

struct line {
    char text[LINE_LEN_MAX];
    size_t len;
};

static void put(struct line *line, char c)
{
    if (line->len < LINE_LEN_MAX - 1) {
        line->text[line->len++] = c;
    }
}

static void put_text(struct line *line, const char *text)
{
    for (const char *c = text; *c; c++) {
        put(line, *c);
    }
}

/*
 * Writes a value in quotes. Control characters, quotes and bytes beyond ASCII become '?', so that
 * no value can end the line.
 */
static void put_value(struct line *line, const char *text)
{
    put(line, '"');
    for (size_t i = 0; text[i] && i < VALUE_LEN_MAX; i++) {
        unsigned char c = (unsigned char)text[i];
        put(line, c < 0x20 || c > 0x7e || c == '"' || c == '\\' ? '?' : (char)c);
    }
    put(line, '"');
}

static bool is_allowed(const char *name)
{
    for (size_t i = 0; i < KS_COUNT(allowed); i++) {
        if (strcmp(allowed[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static void put_field(struct line *line, const struct ks_log_field *field)
{
    assert(is_allowed(field->name));

    put(line, ' ');
    put_text(line, field->name);
    put(line, '=');
    if (field->text) {
        put_value(line, field->text);
        return;
    }
    char number[32];
    snprintf(number, sizeof(number), "%lld", (long long)field->number);
    put_text(line, number);
}

static void put_time(struct line *line)
{
    struct timespec now;
    struct tm parts;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    char text[80];
    snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", parts.tm_year + 1900,
             parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
             (int)(now.tv_nsec / 1000000));
    put_text(line, text);
}

void ks_log_init(const char *process_name, enum ks_log_level least)
{
    process = process_name;
    least_level = least;
}

void ks_log_write(enum ks_log_level level, const char *event, const struct ks_log_field *fields,
                  size_t field_count)
{
    if (level < least_level) {
        return;
    }
    struct line line = {.len = 0};
    put_time(&line);
    put(&line, ' ');
    put_text(&line, level_names[level]);
    put(&line, ' ');
    put_text(&line, process);
    put(&line, ' ');
    put_value(&line, event);
    for (size_t i = 0; i < field_count; i++) {
        put_field(&line, &fields[i]);
    }
    line.text[line.len++] = '\n';
    ssize_t written = write(STDERR_FILENO, line.text, line.len);
    (void)written; /* Nowhere is left to report that stderr is gone. */
}
