/*
 * config: a process's settings, read from one YAML file and checked against a table.
 *
 * The file is one mapping of option names to scalars or lists of scalars; nothing nests deeper,
 * anchors, tags and a second document are refused. The whole file is refused, with the line, when
 * an option is unknown to the table or occurs twice, or when its value is malformed or out of its
 * bounds. The table also makes the commented example, so that both always say the same.
 *
 *     struct settings { char *socket; int64_t window_ms; struct ks_config_list peers; };
 *     static const struct ks_config_option options[] = {
 *         KS_CONFIG_TEXT(struct settings, socket, NULL, 1, 107, "Path of the socket."),
 *         KS_CONFIG_DURATION(struct settings, window_ms, "2s", 200, 60000, "A serving window."),
 *         KS_CONFIG_LIST(struct settings, peers, "", 0, 16, "host:port of each other keystore."),
 *     };
 *     static const struct ks_config_table table = {
 *         .program = "keystead-x", .about = "...", .options = options,
 *         .option_count = KS_COUNT(options)};
 *
 * An option is named as its field; a duration's field ends in _ms and its option does not
 * ("window"), a size's field ends in _bytes and its option does not.
 *
 * Threads: values; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "pkg/base/bytes.h"
#include "pkg/base/result.h"

#define KS_CONFIG_FILE_MAX    65536U /* bytes of a file */
#define KS_CONFIG_OPTIONS_MAX 64U    /* rows of a table */
#define KS_CONFIG_LIST_MAX    64U    /* entries of a list */
#define KS_CONFIG_TEXT_MAX    1024U  /* bytes of one value */
#define KS_CONFIG_ERROR_LEN   256U   /* bytes of a message, NUL included */

enum ks_config_kind {
    KS_CONFIG_KIND_TEXT,     /* char *: owned by the settings, never NULL */
    KS_CONFIG_KIND_NUMBER,   /* int64_t */
    KS_CONFIG_KIND_DURATION, /* int64_t milliseconds: "250ms", "2s", "5m", "24h", "30d" */
    KS_CONFIG_KIND_SIZE,     /* int64_t bytes: "4096", "64KiB", "8MiB", "2GiB" */
    KS_CONFIG_KIND_BOOL,     /* bool: "true", "false" */
    KS_CONFIG_KIND_LIST,     /* struct ks_config_list */
    KS_CONFIG_KIND_CHOICE,   /* int: index of the word in choices */
    KS_CONFIG_KIND_COUNT
};

/* A list of texts; the settings own both levels. */
struct ks_config_list {
    char **items;
    size_t count;
};

struct ks_config_option {
    const char *name; /* of the field; the option's name is this without _ms or _bytes */
    enum ks_config_kind kind;
    size_t offset; /* of the field in the settings */
    const char
        *fallback; /* as it would stand in the file; lists: words and spaces; NULL: required */
    int64_t min;   /* value, bytes of a text, or entries of a list; inclusive */
    int64_t max;
    const char *const *choices; /* CHOICE only: words, the last one NULL */
    const char *help;           /* sentences; says the unit and what happens at the bounds */
};

/* Refuses to compile when the field has another type than the option needs. */
#define KS_CONFIG_AT(S, field, type)                                                               \
    (offsetof(S, field) + 0 * sizeof(_Generic(((S *)0)->field, type : 0)))

#define KS_CONFIG_ROW(S, field, type, kind, fallback, min, max, choices, help)                     \
    {                                                                                              \
#field, KS_CONFIG_KIND_##kind, KS_CONFIG_AT(S, field, type), fallback, min, max, choices,  \
            help                                                                                   \
    }

#define KS_CONFIG_TEXT(S, field, fallback, min, max, help)                                         \
    KS_CONFIG_ROW(S, field, char *, TEXT, fallback, min, max, NULL, help)
#define KS_CONFIG_NUMBER(S, field, fallback, min, max, help)                                       \
    KS_CONFIG_ROW(S, field, int64_t, NUMBER, fallback, min, max, NULL, help)
#define KS_CONFIG_DURATION(S, field, fallback, min, max, help)                                     \
    KS_CONFIG_ROW(S, field, int64_t, DURATION, fallback, min, max, NULL, help)
#define KS_CONFIG_SIZE(S, field, fallback, min, max, help)                                         \
    KS_CONFIG_ROW(S, field, int64_t, SIZE, fallback, min, max, NULL, help)
#define KS_CONFIG_BOOL(S, field, fallback, help)                                                   \
    KS_CONFIG_ROW(S, field, bool, BOOL, fallback, 0, 1, NULL, help)
#define KS_CONFIG_LIST(S, field, fallback, min, max, help)                                         \
    KS_CONFIG_ROW(S, field, struct ks_config_list, LIST, fallback, min, max, NULL, help)
#define KS_CONFIG_CHOICE(S, field, fallback, choices, help)                                        \
    KS_CONFIG_ROW(S, field, int, CHOICE, fallback, 0, 0, choices, help)

struct ks_config_table {
    const char *program; /* "keystead-hsm" */
    const char *about;   /* what the program is, one sentence */
    const struct ks_config_option *options;
    size_t option_count; /* at most KS_CONFIG_OPTIONS_MAX */
};

/*
 * Reads the settings from YAML text.
 *
 * name          of the text in messages, such as its path.
 * ret_settings  the struct that the table's offsets are of, zeroed by the caller, who frees it with
 *               ks_config_done. After a failure it owns nothing, and its other members are
 *               unspecified.
 * reterr_text   at least KS_CONFIG_ERROR_LEN bytes: "name:line: what is wrong and what to do".
 *
 * Fails: VALIDATION (anything wrong with the text).
 */
KS_MUST_USE ks_result ks_config_parse(const struct ks_config_table *table, const char *name,
                                      ks_bytes yaml, void *ret_settings, char *reterr_text);

/*
 * Reads the settings from a file. Both outputs are written as ks_config_parse writes them, on
 * failure too.
 *
 * Fails: VALIDATION (as above, or the file is longer than KS_CONFIG_FILE_MAX), NOT_FOUND (the file
 * cannot be opened or read).
 */
KS_MUST_USE ks_result ks_config_load(const struct ks_config_table *table, const char *path,
                                     void *ret_settings, char *reterr_text);

/*
 * Frees what the settings own; a second call does nothing. All-zero settings are fine.
 */
void ks_config_done(const struct ks_config_table *table, void *settings);

/* Prints the commented example: each option with its help, kind, default and bounds. */
void ks_config_example(const struct ks_config_table *table, FILE *out);

/*
 * Does what main() does with `--config FILE`, `--help` and `--example`: reads the file into
 * ret_settings, or prints what was asked for, or prints on stderr what is wrong.
 *
 * Answers -1: go on, free with ks_config_done; otherwise the process's exit code (0 after --help
 * and --example, 2 for anything wrong).
 */
KS_MUST_USE int ks_config_main(const struct ks_config_table *table, int argc, char **argv,
                               void *ret_settings);
