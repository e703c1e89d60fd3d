#include "services/cli/arguments/nearest.h"

#include <string.h>

#define FAR 99U

static unsigned least(unsigned a, unsigned b, unsigned c)
{
    unsigned smaller = a < b ? a : b;
    return smaller < c ? smaller : c;
}

unsigned ks_word_distance(const char *a, const char *b)
{
    size_t a_len = strlen(a);
    size_t b_len = strlen(b);
    if (a_len > KS_NEAREST_LEN_MAX || b_len > KS_NEAREST_LEN_MAX) {
        return FAR;
    }
    /* row[j] is the distance of the first letters of a to the first j of b. */
    unsigned row[KS_NEAREST_LEN_MAX + 1];
    for (size_t j = 0; j <= b_len; j++) {
        row[j] = (unsigned)j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_len; j++) {
            unsigned above = row[j];
            row[j] = least(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[b_len];
}

bool ks_word_is_near(const char *typed, const char *known)
{
    unsigned allowed = (unsigned)(strlen(known) / 3 + 1);
    return ks_word_distance(typed, known) <= (allowed < 3 ? allowed : 3);
}
