/*
 * nearest: which known word an unknown one was perhaps meant to be.
 *
 * Threads: pure; any.
 */
#pragma once

#include <stdbool.h>

#define KS_NEAREST_LEN_MAX 32U /* longer words are nobody's typing error */

/* Letters to add, drop or change to get from a to b (Levenshtein); 99 if either is too long. */
unsigned ks_word_distance(const char *a, const char *b);

/*
 * Returns whether typed is so close to known that it was meant: a third of its letters, at most 3.
 */
bool ks_word_is_near(const char *typed, const char *known);
