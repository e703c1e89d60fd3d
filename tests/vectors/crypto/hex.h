/* hex: the vectors' hex as bytes. Malformed hex ends the test. */
#pragma once

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pkg/base/bytes.h"
#include "pkg/base/secret.h"

#define HEX_BYTES_MAX 1024U

struct hex {
    uint8_t bytes[HEX_BYTES_MAX];
    size_t len;
};

static inline struct hex hex_of(const char *text)
{
    struct hex hex = {.len = strlen(text) / 2};
    assert(hex.len <= HEX_BYTES_MAX && strlen(text) % 2 == 0);
    for (size_t i = 0; i < hex.len; i++) {
        const char digits[3] = {text[2 * i], text[2 * i + 1], '\0'};
        char *end = NULL;
        hex.bytes[i] = (uint8_t)strtoul(digits, &end, 16);
        assert(end == digits + 2);
    }
    return hex;
}

/* Borrowed as long as hex. */
static inline ks_bytes hex_view(const struct hex *hex)
{
    return (ks_bytes){hex->bytes, hex->len};
}

static inline ks_secret hex_secret(const char *text)
{
    struct hex hex = hex_of(text);
    ks_secret secret = {.len = hex.len};
    assert(hex.len <= KS_SECRET_MAX);
    memcpy(secret.bytes, hex.bytes, hex.len);
    return secret;
}
