#include "pkg/base/secret.h"

#include <assert.h>

void ks_secret_wipe(ks_secret *secret)
{
    ks_wipe(secret, sizeof(*secret));
}

void ks_secret_move(ks_secret *dst, ks_secret *src)
{
    assert(dst != src);

    *dst = *src;
    ks_secret_wipe(src);
}

ks_bytes ks_secret_bytes(const ks_secret *secret)
{
    assert(secret->len <= KS_SECRET_MAX);

    return (ks_bytes){secret->bytes, secret->len};
}

bool ks_secret_equal(ks_bytes a, ks_bytes b)
{
    if (a.len != b.len) {
        return false;
    }
    unsigned difference = 0;
    for (size_t i = 0; i < a.len; i++) {
        difference |= (unsigned)(a.ptr[i] ^ b.ptr[i]);
    }
    __asm__ volatile("" : "+r"(difference));
    return difference == 0;
}
