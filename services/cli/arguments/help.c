#include "services/cli/arguments/help.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "services/cli/arguments/lines.h"

#define LEFT_WIDTH 28 /* of the column with names */
#define RIGHT_LEN  (KS_LIMITS_LEN + 256U)

/* Whether the row is the first of its noun. */
static bool is_first(const struct ks_command_table *table, size_t index)
{
    return index == 0 || strcmp(table->commands[index].noun, table->commands[index - 1].noun) != 0;
}

static void put_row(struct ks_lines *lines, const char *left, const char *right)
{
    if (strlen(left) > LEFT_WIDTH) {
        ks_line(lines, "  %s\n  %*s  %s\n", left, LEFT_WIDTH, "", right);
    } else {
        ks_line(lines, "  %-*s  %s\n", LEFT_WIDTH, left, right);
    }
}

/* limits are what the option accepts, or "". */
static void put_option(struct ks_lines *lines, const struct ks_option *option, const char *limits)
{
    char left[96];
    char right[RIGHT_LEN];
    snprintf(left, sizeof(left), "--%s%s%s%s", option->name, option->value ? " " : "",
             option->value ? option->value : "", option->flags & KS_OPTION_REPEATED ? " ..." : "");
    snprintf(right, sizeof(right), "%s%s%s%s", option->help, limits[0] ? " (" : "", limits,
             limits[0] ? ")" : "");
    put_row(lines, left, right);
}

/* Options of every command have no limits that the table knows. */
static void put_globals(struct ks_lines *lines, const struct ks_command_table *table)
{
    ks_line(lines, "\nOptions of every command:\n");
    for (size_t i = 0; i < table->global_count; i++) {
        put_option(lines, &table->globals[i], "");
    }
}

static void put_options(struct ks_lines *lines, const struct ks_command_table *table,
                        const struct ks_command *command)
{
    for (size_t i = 0; i < command->option_count; i++) {
        char limits[KS_LIMITS_LEN] = "";
        if (table->limits) {
            table->limits(command, &command->options[i], limits);
        }
        put_option(lines, &command->options[i], limits);
    }
}

static void put_commands(struct ks_lines *lines, const struct ks_command_table *table,
                         const char *noun)
{
    for (size_t i = 0; i < table->command_count; i++) {
        const struct ks_command *command = &table->commands[i];
        if (noun && strcmp(command->noun, noun) != 0) {
            continue;
        }
        if (!noun && is_first(table, i) && i > 0 &&
            (command->verb || table->commands[i - 1].verb)) {
            ks_line(lines, "\n");
        }
        char left[64];
        snprintf(left, sizeof(left), "%s%s%s", command->noun, command->verb ? " " : "",
                 command->verb ? command->verb : "");
        put_row(lines, left, command->summary);
    }
}

/* Writes how the options of a command are given on the line: "--name NAME [--id ID]". */
static void put_usage(struct ks_lines *lines, const struct ks_command *command)
{
    for (size_t i = 0; i < command->option_count; i++) {
        const struct ks_option *option = &command->options[i];
        bool required = option->flags & KS_OPTION_REQUIRED;
        ks_line(lines, " %s", required ? "" : "[");
        if (option->flags & KS_OPTION_BARE) {
            ks_line(lines, "%s", option->value);
        } else {
            ks_line(lines, "--%s%s%s", option->name, option->value ? " " : "",
                    option->value ? option->value : "");
        }
        ks_line(lines, "%s%s", required ? "" : "]",
                option->flags & KS_OPTION_REPEATED ? "..." : "");
    }
    ks_line(lines, "\n");
}

static void help_of_command(struct ks_lines *lines, const struct ks_command_table *table,
                            const struct ks_command *command)
{
    ks_line(lines, "usage: %s %s%s%s", table->program, command->noun, command->verb ? " " : "",
            command->verb ? command->verb : "");
    put_usage(lines, command);
    ks_line(lines, "\n%s\n", command->summary);
    if (command->details) {
        ks_line(lines, "\n%s\n", command->details);
    }
    if (command->option_count > 0) {
        ks_line(lines, "\nOptions:\n");
        put_options(lines, table, command);
    }
    put_globals(lines, table);
}

static void help_of_noun(struct ks_lines *lines, const struct ks_command_table *table,
                         const char *noun)
{
    ks_line(lines, "usage: %s %s COMMAND [--option ...]\n\n", table->program, noun);
    put_commands(lines, table, noun);
    ks_line(lines, "\n%s %s COMMAND --help says more.\n", table->program, noun);
}

static void help_of_program(struct ks_lines *lines, const struct ks_command_table *table)
{
    ks_line(lines, "%s\n\nusage: %s COMMAND [--option ...]\n\n", table->about, table->program);
    put_commands(lines, table, NULL);
    put_globals(lines, table);
    ks_line(lines, "\n%s\n", table->epilogue);
}

ks_result ks_help(const struct ks_command_table *table, const char *noun,
                  const struct ks_command *command, struct ks_buffer *out)
{
    struct ks_lines lines = {.out = out};
    if (command) {
        help_of_command(&lines, table, command);
    } else if (noun) {
        help_of_noun(&lines, table, noun);
    } else {
        help_of_program(&lines, table);
    }
    return lines.result;
}
