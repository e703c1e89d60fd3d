/*
 * arguments: parses the command line by the table of commands.
 *
 *     keystead NOUN [VERB] [--option VALUE | --option=VALUE | --flag | WORD]... [-- WORD...]
 *
 * Threads: values; any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "services/cli/arguments/command.h"

#define KS_ARGUMENTS_MAX 600U /* options and words of one command line */
#define KS_USAGE_LEN     256U /* bytes of a message, NUL included */

struct ks_argument {
    const struct ks_option *option;
    const char *value; /* "" for a flag */
};

/* All strings are borrowed from argv. */
struct ks_arguments {
    const struct ks_command *command; /* NULL: none was named, with help */
    const char *noun;                 /* whose help is wanted; NULL: the program's */
    bool help;                        /* --help stands somewhere: nothing else was checked */
    struct ks_argument given[KS_ARGUMENTS_MAX];
    size_t count;
};

/*
 * Parses a command line.
 *
 * ret_arguments  written on success only.
 * reterr_text    KS_USAGE_LEN bytes: what is wrong, and which word was perhaps meant. Written on
 *                failure only.
 *
 * Fails: VALIDATION (unknown command or option, a value too many or too few).
 */
KS_MUST_USE ks_result ks_arguments_parse(const struct ks_command_table *table, int argc,
                                         char *const *argv, struct ks_arguments *ret_arguments,
                                         char *reterr_text);

/* Returns the value of an option; NULL if it was not given. */
const char *ks_argument(const struct ks_arguments *arguments, const char *name);

/* Returns the value at index of a repeated option, in the order of the line; NULL past the last. */
const char *ks_argument_at(const struct ks_arguments *arguments, const char *name, size_t index);

/* Returns whether the option is on the command line, with a value or without. */
bool ks_argument_given(const struct ks_arguments *arguments, const char *name);
