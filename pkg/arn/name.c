#include "pkg/arn/name.h"

#include <stddef.h>
#include <string.h>

#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

/* Key ids, with an x for each hex digit. */
#define UUID_FORM         "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
#define MULTI_REGION_FORM "mrk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

/*
 * Returns how many bytes at the front are in set. strchr finds the NUL of any set, hence the test
 * for 0.
 */
static size_t span(ks_bytes text, const char *set)
{
    size_t len = 0;
    while (len < text.len && text.ptr[len] != 0 && strchr(set, text.ptr[len])) {
        len++;
    }
    return len;
}

static bool is_made_of(ks_bytes text, const char *set, size_t len_max)
{
    return text.len > 0 && text.len <= len_max && span(text, set) == text.len;
}

static ks_bytes after(ks_bytes text, size_t len)
{
    return (ks_bytes){text.ptr + len, text.len - len};
}

bool ks_account_is_valid(ks_bytes text)
{
    return ks_is_account(text);
}

static bool is_hex(uint8_t byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'f');
}

/* Whether text has a hex digit wherever form has an 'x', and form's own bytes everywhere else. */
static bool has_form(ks_bytes text, const char *form)
{
    if (text.len != strlen(form)) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (form[i] == 'x' ? !is_hex(text.ptr[i]) : text.ptr[i] != (uint8_t)form[i]) {
            return false;
        }
    }
    return true;
}

bool ks_key_id_is_valid(ks_bytes text)
{
    return has_form(text, UUID_FORM) || has_form(text, MULTI_REGION_FORM);
}

bool ks_partition_is_valid(ks_bytes text)
{
    return is_made_of(text, LOWER DIGITS "-", KS_PARTITION_LEN_MAX) && span(text, LOWER) > 0;
}

bool ks_alias_is_valid(ks_bytes text)
{
    ks_bytes prefix = KS_LITERAL(KS_ALIAS_PREFIX);
    return text.len <= KS_ALIAS_LEN_MAX && ks_bytes_starts_with(text, prefix) &&
           is_made_of(after(text, prefix.len), LOWER UPPER DIGITS "/_-", KS_ALIAS_LEN_MAX);
}

bool ks_alias_is_reserved(ks_bytes text)
{
    return ks_bytes_starts_with(text, KS_LITERAL(KS_ALIAS_RESERVED));
}

bool ks_user_name_is_valid(ks_bytes text)
{
    return is_made_of(text, LOWER UPPER DIGITS "+=,.@_-", KS_USER_NAME_LEN_MAX) &&
           !ks_bytes_equal(text, KS_LITERAL(".")) && !ks_bytes_equal(text, KS_LITERAL(".."));
}

bool ks_node_name_is_valid(ks_bytes text)
{
    return is_made_of(text, LOWER DIGITS "-", KS_NODE_NAME_LEN_MAX);
}
