/*
 * arena: the memory of one request, freed as a whole. Every block is wiped when it is freed, so
 * that an arena may hold plaintexts.
 *
 * Threads: one at a time.
 */
#pragma once

#include <stddef.h>

#include "pkg/base/bytes.h"
#include "pkg/base/mem.h"

struct ks_arena_block;

/*
 * {.len_max = N} is an empty arena that hands out up to N bytes, each allocation rounded up to the
 * alignment. N is at least 1: to use an arena without a bound ends the program.
 */
struct ks_arena {
    struct ks_arena_block *newest; /* of the module alone */
    size_t len;                    /* bytes handed out */
    size_t len_max;
};

/*
 * Returns zeroed memory, aligned for any type, which lasts as long as the arena; NULL when len_max
 * would be passed.
 */
void *ks_arena_alloc(struct ks_arena *arena, size_t len);

/* Returns a copy of the bytes with a NUL behind it; NULL when len_max would be passed. */
char *ks_arena_dup(struct ks_arena *arena, ks_bytes bytes);

/* Wipes and frees everything; the arena is empty and usable again. */
void ks_arena_done(struct ks_arena *arena);
#define KS_ARENA_AUTO KS_CLEANUP(ks_arena_done) struct ks_arena
