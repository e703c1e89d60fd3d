/*
 * generation: the number of one of the cell's domain keys.
 *
 * Threads: pure; any.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define KS_GENERATION_MAX 99999999U /* the store's keys write it with 8 digits */

/* Whether number can be a generation: 1 to KS_GENERATION_MAX. */
static inline bool ks_is_generation(uint32_t number)
{
    return number > 0 && number <= KS_GENERATION_MAX;
}
