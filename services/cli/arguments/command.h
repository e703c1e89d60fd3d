/*
 * command: what the program can do, as a table: the words of each command, what it takes, its help,
 * and the function that does it. Parsing, help and completion read the same rows.
 *
 * Threads: constants.
 */
#pragma once

#include <stddef.h>

#include "pkg/base/result.h"

struct ks_cli;    /* what a running command has (cli.h) */
struct ks_method; /* what most commands call, and nothing else (service/method.h) */

enum ks_option_flags {
    KS_OPTION_REQUIRED = 1, /* without it the command does not start */
    KS_OPTION_REPEATED = 2, /* may stand several times */
    KS_OPTION_BARE = 4,     /* words that are no options are its values, too */
    KS_OPTION_SETTING = 8,  /* needed, and the setting of that name counts if it is not given */
};

struct ks_option {
    const char *name;  /* "tag": --tag */
    const char *value; /* what help calls its value: "KEY=VALUE"; NULL: a flag, which takes none */
    const char *help;
    const char *field; /* of the request, which it sets (request.h); NULL: the command reads it */
    unsigned flags;
};

struct ks_command {
    const char *noun; /* "key" */
    const char *verb; /* "create"; NULL: the noun alone */
    const char *summary;
    const char *details; /* more for --help; NULL: none */
    const struct ks_option *options;
    size_t option_count;
    ks_result (*run)(struct ks_cli *cli);
    const struct ks_method *method; /* that its options fill; NULL: it calls none of its own */
};

#define KS_LIMITS_LEN 512U /* bytes, NUL included */

struct ks_command_table {
    const char *program;
    const char *about;
    const char *epilogue; /* last paragraph of the program's help */
    const struct ks_command *commands;
    size_t command_count;
    const struct ks_option *globals; /* what every command takes */
    size_t global_count;
    /*
     * Writes which values an option of a command accepts, or "". NULL: help says of no option what it
     * accepts.
     */
    void (*limits)(const struct ks_command *command, const struct ks_option *option,
                   char ret_text[static KS_LIMITS_LEN]);
};
