#include "pkg/base/mem.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void *ks_alloc(size_t count, size_t size)
{
    void *ptr = calloc(count ? count : 1, size ? size : 1);
    if (!ptr) {
        abort();
    }
    return ptr;
}

void *ks_realloc(void *ptr, size_t count, size_t size)
{
    assert(size > 0 && count <= SIZE_MAX / size);

    size_t bytes = count * size;
    void *grown = realloc(ptr, bytes ? bytes : 1);
    if (!grown) {
        abort();
    }
    return grown;
}

char *ks_strdup(const char *text)
{
    assert(text);

    size_t bytes = strlen(text) + 1;
    char *copy = ks_alloc(bytes, 1);
    memcpy(copy, text, bytes);
    return copy;
}

void ks_free(void *ptr)
{
    free(ptr);
}

void ks_free_at(void *ptr_to_ptr)
{
    void *ptr;
    memcpy(&ptr, ptr_to_ptr, sizeof(ptr));
    free(ptr);
}

void ks_wipe(void *ptr, size_t len)
{
    explicit_bzero(ptr, len);
}
