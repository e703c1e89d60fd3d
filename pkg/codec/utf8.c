#include "pkg/codec/utf8.h"

#include <stdint.h>
#include <string.h>

#define HIGH_BITS 0x8080808080808080ULL
#define LOW_BITS  0x0101010101010101ULL

/* A lead byte: how long its sequence is and what its second byte may be (RFC 3629 §4). */
struct lead {
    uint8_t first;
    uint8_t last;
    uint8_t len;
    uint8_t second_first;
    uint8_t second_last;
};

static const struct lead leads[] = {
    {0xc2, 0xdf, 2, 0x80, 0xbf}, {0xe0, 0xe0, 3, 0xa0, 0xbf}, {0xe1, 0xec, 3, 0x80, 0xbf},
    {0xed, 0xed, 3, 0x80, 0x9f}, {0xee, 0xef, 3, 0x80, 0xbf}, {0xf0, 0xf0, 4, 0x90, 0xbf},
    {0xf1, 0xf3, 4, 0x80, 0xbf}, {0xf4, 0xf4, 4, 0x80, 0x8f},
};

/*
 * Returns how many bytes at the front are ASCII and not NUL, in steps of eight: most text is ASCII.
 */
static size_t plain_len(const uint8_t *ptr, size_t len)
{
    size_t at = 0;
    for (; len - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, ptr + at, 8);
        uint64_t has_zero = (word - LOW_BITS) & ~word & HIGH_BITS;
        if ((word & HIGH_BITS) != 0 || has_zero != 0) {
            break;
        }
    }
    return at;
}

/*
 * Returns the length of the well-formed character at the front; 0 if there is none. len is above 0.
 */
static size_t character_len(const uint8_t *ptr, size_t len)
{
    if (ptr[0] < 0x80) {
        return ptr[0] == 0 ? 0 : 1;
    }
    for (size_t i = 0; i < KS_COUNT(leads); i++) {
        const struct lead *lead = &leads[i];
        if (ptr[0] < lead->first || ptr[0] > lead->last) {
            continue;
        }
        if (len < lead->len || ptr[1] < lead->second_first || ptr[1] > lead->second_last) {
            return 0;
        }
        bool rest_ok = (lead->len < 3 || (ptr[2] & 0xc0) == 0x80) &&
                       (lead->len < 4 || (ptr[3] & 0xc0) == 0x80);
        return rest_ok ? lead->len : 0;
    }
    return 0;
}

bool ks_utf8_is_text(ks_bytes bytes)
{
    size_t at = 0;
    while (at < bytes.len) {
        size_t step = plain_len(bytes.ptr + at, bytes.len - at);
        if (step == 0) {
            step = character_len(bytes.ptr + at, bytes.len - at);
        }
        if (step == 0) {
            return false;
        }
        at += step;
    }
    return true;
}

size_t ks_utf8_count(ks_bytes text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++) {
        count += (text.ptr[i] & 0xc0) != 0x80;
    }
    return count;
}
