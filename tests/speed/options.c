#include "tests/speed/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_USAGE 2

__attribute__((noreturn)) static void refuse(const char *name, const char *why)
{
    fprintf(stderr, "%s: %s\n", name, why);
    exit(EXIT_USAGE);
}

static const struct option_row *find(const struct option_row *rows, size_t row_count,
                                     const char *name)
{
    for (size_t i = 0; i < row_count; i++) {
        if (strcmp(rows[i].name, name) == 0) {
            return &rows[i];
        }
    }
    refuse(name, "no such option");
}

static void set(const struct option_row *row, const char *value)
{
    if (row->text) {
        *row->text = value;
        return;
    }
    char *end = NULL;
    long number = strtol(value, &end, 10);
    if (end == value || *end != '\0' || number < row->min || number > row->max) {
        refuse(row->name, "not a number, or out of bounds");
    }
    *row->number = number;
}

void options_read(const struct option_row *rows, size_t row_count, int argc, char **argv)
{
    for (int i = 1; i < argc; i += 2) {
        const struct option_row *row = find(rows, row_count, argv[i]);
        if (i + 1 == argc) {
            refuse(argv[i], "wants a value");
        }
        set(row, argv[i + 1]);
    }
}

void options_require_texts(const struct option_row *rows, size_t row_count)
{
    for (size_t i = 0; i < row_count; i++) {
        if (rows[i].text && !*rows[i].text) {
            refuse(rows[i].name, "is needed");
        }
    }
}

size_t options_split(char *list, const char **ret_parts, size_t part_count_max)
{
    size_t count = 0;
    char *rest = list;
    for (char *part = strsep(&rest, ","); part; part = strsep(&rest, ",")) {
        if (count == part_count_max) {
            refuse(part, "one too many in a list");
        }
        ret_parts[count++] = part;
    }
    return count;
}
