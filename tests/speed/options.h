/*
 * options: --name value pairs of a command line, for the tools of this folder.
 *
 * Threads: one, at start.
 */
#pragma once

#include <stddef.h>

/* One option: exactly one of text and number is set. What is not given keeps its value. */
struct option_row {
    const char *name; /* with its dashes */
    const char **text;
    long *number; /* min to max */
    long min;
    long max;
};

/* Reads all arguments. Ends the program with a message for whatever is unknown or out of bounds. */
void options_read(const struct option_row *rows, size_t row_count, int argc, char **argv);

/* Ends the program unless every text option has a value. */
void options_require_texts(const struct option_row *rows, size_t row_count);

/*
 * Cuts a list at its commas, in place. Ends the program if it has more than part_count_max parts.
 * ret_parts  pointers into list, in order.
 */
size_t options_split(char *list, const char **ret_parts, size_t part_count_max);
