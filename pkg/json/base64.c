#include "pkg/json/base64.h"

#include <assert.h>
#include <stdbool.h>

static const char letters[65] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* The value of a letter plus one, so that an absent entry reads as "no letter". */
static const uint8_t values[256] = {
    ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,  ['H'] = 8,
    ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16,
    ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
    ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32,
    ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40,
    ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48,
    ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
    ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['+'] = 63, ['/'] = 64,
};

void ks_base64_write(ks_bytes bytes, uint8_t *ret_text)
{
    const uint8_t *in = bytes.ptr;
    uint8_t *out = ret_text;
    size_t whole = bytes.len / 3 * 3;
    for (size_t i = 0; i < whole; i += 3, out += 4) {
        uint32_t bits = (uint32_t)in[i] << 16 | (uint32_t)in[i + 1] << 8 | in[i + 2];
        out[0] = (uint8_t)letters[bits >> 18];
        out[1] = (uint8_t)letters[bits >> 12 & 63];
        out[2] = (uint8_t)letters[bits >> 6 & 63];
        out[3] = (uint8_t)letters[bits & 63];
    }
    size_t rest = bytes.len - whole;
    if (rest == 0) {
        return;
    }
    uint32_t bits = (uint32_t)in[whole] << 16;
    if (rest == 2) {
        bits |= (uint32_t)in[whole + 1] << 8;
    }
    out[0] = (uint8_t)letters[bits >> 18];
    out[1] = (uint8_t)letters[bits >> 12 & 63];
    out[2] = rest == 2 ? (uint8_t)letters[bits >> 6 & 63] : '=';
    out[3] = '=';
}

ks_result ks_base64_append(struct ks_buffer *buffer, ks_bytes bytes)
{
    if (bytes.len > buffer->len_max) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    uint8_t *place;
    KS_TRY(ks_buffer_extend(buffer, KS_BASE64_LEN(bytes.len), &place));
    ks_base64_write(bytes, place);
    return KS_RES(OK);
}

/* Reads the 24 bits of four letters. Returns false if a character is not a letter of base64. */
static bool read_four(const uint8_t *text, uint32_t *ret_bits)
{
    uint32_t bits = 0;
    for (size_t i = 0; i < 4; i++) {
        uint8_t value = values[text[i]];
        if (value == 0) {
            return false;
        }
        bits = bits << 6 | (uint32_t)(value - 1);
    }
    *ret_bits = bits;
    return true;
}

/* Reads the last four characters, which may be padded, and writes 1 to 3 bytes. */
static ks_result read_last(const uint8_t *text, uint8_t *out, size_t *ret_len)
{
    size_t len = text[3] != '=' ? 3 : text[2] != '=' ? 2 : 1;
    uint8_t four[4] = {text[0], text[1], len > 1 ? text[2] : 'A', len > 2 ? text[3] : 'A'};
    uint32_t bits;
    if (!read_four(four, &bits)) {
        return KS_RES(VALIDATION);
    }
    if ((bits & (0xFFFFFFU >> (8 * len))) != 0) {
        return KS_RES(VALIDATION);
    }
    for (size_t i = 0; i < len; i++) {
        out[i] = (uint8_t)(bits >> (16 - 8 * i));
    }
    *ret_len = len;
    return KS_RES(OK);
}

ks_result ks_base64_read(ks_bytes text, uint8_t *ret_bytes, size_t *ret_len)
{
    assert(ret_len);

    if (text.len % 4 != 0) {
        return KS_RES(VALIDATION);
    }
    if (text.len == 0) {
        *ret_len = 0;
        return KS_RES(OK);
    }
    uint8_t *out = ret_bytes;
    size_t last = text.len - 4;
    for (size_t i = 0; i < last; i += 4, out += 3) {
        uint32_t bits;
        if (!read_four(text.ptr + i, &bits)) {
            return KS_RES(VALIDATION);
        }
        out[0] = (uint8_t)(bits >> 16);
        out[1] = (uint8_t)(bits >> 8);
        out[2] = (uint8_t)bits;
    }
    size_t last_len;
    KS_TRY(read_last(text.ptr + last, out, &last_len));
    *ret_len = last / 4 * 3 + last_len;
    return KS_RES(OK);
}
