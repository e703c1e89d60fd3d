#include "pkg/base/arena.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Most requests fit into one block. A larger allocation gets a block of its own. */
#define BLOCK_LEN 4000U

struct ks_arena_block {
    struct ks_arena_block *older;
    size_t used;
    size_t capacity;
    _Alignas(max_align_t) uint8_t bytes[];
};

static struct ks_arena_block *add_block(struct ks_arena *arena, size_t len)
{
    size_t capacity = len > BLOCK_LEN ? len : BLOCK_LEN;
    /* Not zeroed: most of a block is never given out. */
    struct ks_arena_block *block = ks_realloc(NULL, 1, sizeof(*block) + capacity);
    *block = (struct ks_arena_block){.older = arena->newest, .capacity = capacity};
    arena->newest = block;
    return block;
}

void *ks_arena_alloc(struct ks_arena *arena, size_t len)
{
    assert(arena->len_max > 0);

    size_t align = _Alignof(max_align_t);
    if (len > arena->len_max) {
        return NULL;
    }
    size_t wanted = (len + align - 1) / align * align;
    if (wanted > arena->len_max - arena->len) {
        return NULL;
    }
    struct ks_arena_block *block = arena->newest;
    if (!block || wanted > block->capacity - block->used) {
        block = add_block(arena, wanted);
    }
    void *place = block->bytes + block->used;
    block->used += wanted;
    arena->len += wanted;
    return memset(place, 0, wanted);
}

char *ks_arena_dup(struct ks_arena *arena, ks_bytes bytes)
{
    if (bytes.len == SIZE_MAX) {
        return NULL;
    }
    char *copy = ks_arena_alloc(arena, bytes.len + 1);
    if (copy && bytes.len > 0) {
        memcpy(copy, bytes.ptr, bytes.len);
    }
    return copy;
}

void ks_arena_done(struct ks_arena *arena)
{
    struct ks_arena_block *block = arena->newest;
    while (block) {
        struct ks_arena_block *older = block->older;
        ks_wipe(block->bytes, block->used);
        ks_free(block);
        block = older;
    }
    arena->newest = NULL;
    arena->len = 0;
}
