#include "pkg/config/config.h"

#include <assert.h>
#include <string.h>

#include "pkg/config/option.h"

#define LINE_LEN 96U /* columns of a comment, without "# " */

/* Breaks lines at spaces. A word that is longer than a line gets a line of its own. */
static void print_comment(const char *text, FILE *out)
{
    size_t column = 0;
    while (*text) {
        size_t len = strcspn(text, " ");
        if (column > 0 && column + 1 + len > LINE_LEN) {
            fputc('\n', out);
            column = 0;
        }
        fprintf(out, "%s%.*s", column ? " " : "# ", (int)len, text);
        column += len + 1;
        text += len + strspn(text + len, " ");
    }
    fputc('\n', out);
}

static void print_list(const char *words, FILE *out)
{
    fputc('[', out);
    for (bool first = true; *words; first = false) {
        size_t len = strcspn(words, " ");
        fprintf(out, "%s%.*s", first ? "" : ", ", (int)len, words);
        words += len + strspn(words + len, " ");
    }
    fputs("]\n", out);
}

static void print_value(const struct ks_config_option *option, FILE *out)
{
    const char *value = option->fallback;
    if (option->kind == KS_CONFIG_KIND_LIST) {
        print_list(value ? value : "", out);
    } else {
        fprintf(out, "%s\n", value && *value ? value : "\"\"");
    }
}

/*
 * An option that has a default is commented out, so that the file shows only what differs from it.
 */
static void print_option(const struct ks_config_option *option, FILE *out)
{
    char name[KS_CONFIG_NAME_LEN];
    char bounds[KS_CONFIG_BOUNDS_LEN];
    ks_config_option_name(option, name);
    ks_config_option_bounds(option, bounds);
    fputc('\n', out);
    print_comment(option->help, out);
    fprintf(out, "# (%s; %s)\n", bounds, option->fallback ? "default as shown" : "required");
    fprintf(out, "%s%s: ", option->fallback ? "#" : "", name);
    print_value(option, out);
}

void ks_config_example(const struct ks_config_table *table, FILE *out)
{
    assert(table->option_count <= KS_CONFIG_OPTIONS_MAX);

    fprintf(out, "# %s: ", table->program);
    fprintf(out, "%s\n", table->about);
    fputs("# Made by --example. Unknown options refuse to start.\n", out);
    for (size_t i = 0; i < table->option_count; i++) {
        print_option(&table->options[i], out);
    }
}

static void print_help(const struct ks_config_table *table, FILE *out)
{
    fprintf(out,
            "usage: %s --config FILE | --example | --help\n\n%s\n\n"
            "The options of FILE, as --example prints them:\n\n",
            table->program, table->about);
    ks_config_example(table, out);
}

int ks_config_main(const struct ks_config_table *table, int argc, char **argv, void *ret_settings)
{
    char error[KS_CONFIG_ERROR_LEN] = "";
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        print_help(table, stdout);
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "--example") == 0) {
        ks_config_example(table, stdout);
        return 0;
    }
    if (argc != 3 || strcmp(argv[1], "--config") != 0) {
        fprintf(stderr, "usage: %s --config FILE | --example | --help\n", table->program);
        return 2;
    }
    if (ks_failed(ks_config_load(table, argv[2], ret_settings, error))) {
        fprintf(stderr, "%s: %s\n", table->program, error);
        return 2;
    }
    return -1;
}
