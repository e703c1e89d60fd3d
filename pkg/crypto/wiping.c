#include <assert.h>
#include <openssl/crypto.h>
#include <stdint.h>
#include <string.h>

#include "pkg/base/mem.h"
#include "pkg/crypto/openssl.h"

/*
 * This comes before each block, because free is not told the length. 16 bytes keep malloc's
 * alignment.
 */
struct header {
    size_t len;
    size_t unused;
};

static_assert(sizeof(struct header) == 16, "blocks stay aligned for any type");

static void *wiping_alloc(size_t len, const char *file, int line)
{
    (void)file;
    (void)line;
    assert(len <= SIZE_MAX - sizeof(struct header));

    if (len == 0) {
        return NULL;
    }
    struct header *header = ks_alloc(1, sizeof(*header) + len);
    header->len = len;
    return header + 1;
}

static void wiping_free(void *ptr, const char *file, int line)
{
    (void)file;
    (void)line;
    if (!ptr) {
        return;
    }
    struct header *header = (struct header *)ptr - 1;
    ks_wipe(ptr, header->len);
    ks_free(header);
}

static void *wiping_realloc(void *ptr, size_t len, const char *file, int line)
{
    void *grown = wiping_alloc(len, file, line);
    if (ptr && grown) {
        size_t old_len = ((struct header *)ptr - 1)->len;
        memcpy(grown, ptr, old_len < len ? old_len : len);
    }
    wiping_free(ptr, file, line);
    return grown;
}

bool ks_wiping_install(void)
{
    return CRYPTO_set_mem_functions(wiping_alloc, wiping_realloc, wiping_free) == 1;
}
