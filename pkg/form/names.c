#include "pkg/form/names.h"

#include <assert.h>

static bool is_lower(uint8_t c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* Returns how many bytes at the front are of one class. */
static size_t run_len(ks_bytes text, bool (*is)(uint8_t c))
{
    size_t len = 0;
    while (len < text.len && is(text.ptr[len])) {
        len++;
    }
    return len;
}

static ks_bytes without(ks_bytes text, size_t len)
{
    return (ks_bytes){text.ptr + len, text.len - len};
}

bool ks_is_region(ks_bytes text)
{
    if (text.len == 0 || text.len > KS_REGION_LEN_MAX) {
        return false;
    }
    size_t words = 0;
    for (; words < 3; words++) {
        size_t len = run_len(text, is_lower);
        if (len == 0 || len == text.len || text.ptr[len] != '-') {
            break;
        }
        text = without(text, len + 1);
    }
    return words >= 2 && text.len > 0 && run_len(text, is_digit) == text.len;
}

bool ks_is_zone(ks_bytes text)
{
    return text.len > 1 && is_lower(text.ptr[text.len - 1]) &&
           ks_is_region((ks_bytes){text.ptr, text.len - 1});
}

bool ks_is_zone_of(ks_bytes zone, ks_bytes region)
{
    return ks_is_zone(zone) && ks_bytes_equal((ks_bytes){zone.ptr, zone.len - 1}, region);
}

bool ks_is_account(ks_bytes text)
{
    return text.len == KS_ACCOUNT_LEN && run_len(text, is_digit) == text.len;
}

static bool is_key_id_byte(uint8_t c)
{
    return is_lower(c) || is_digit(c) || c == '-';
}

bool ks_is_key_id(ks_bytes text)
{
    return text.len == KS_KEY_ID_LEN && run_len(text, is_key_id_byte) == text.len;
}

bool ks_is_key_name(const struct ks_key_name *name)
{
    return ks_is_region(name->region) && ks_is_account(name->account) && ks_is_key_id(name->key_id);
}

bool ks_key_name_equal(const struct ks_key_name *a, const struct ks_key_name *b)
{
    return ks_bytes_equal(a->key_id, b->key_id) && ks_bytes_equal(a->account, b->account) &&
           ks_bytes_equal(a->region, b->region);
}

void ks_hex_write(ks_bytes bytes, char *ret_text)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < bytes.len; i++) {
        ret_text[2 * i] = digits[bytes.ptr[i] >> 4];
        ret_text[2 * i + 1] = digits[bytes.ptr[i] & 15];
    }
    ret_text[2 * bytes.len] = '\0';
}

static int digit_of(uint8_t c)
{
    return is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool ks_hex_read(ks_bytes text, uint8_t *ret_bytes, size_t len)
{
    assert(ret_bytes);

    if (text.len != 2 * len) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        int high = digit_of(text.ptr[2 * i]);
        int low = digit_of(text.ptr[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        ret_bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}
