#include "pkg/operation/refusal.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define BETWEEN        "; "
#define PREFIX_LEN_MAX 48U
#define SUFFIX_LEN_MAX 32U
#define ROOM           (KS_REFUSAL_TEXT_MAX - PREFIX_LEN_MAX - SUFFIX_LEN_MAX) /* for the sentences */

/* Takes a character off the end that was cut in two: a text must stay UTF-8. */
static void mend_end(char *text)
{
    size_t len = strlen(text);
    size_t at = len;
    while (at > 0 && ((unsigned char)text[at - 1] & 0xc0) == 0x80) {
        at--;
    }
    if (at == 0 || (unsigned char)text[at - 1] < 0xc0) {
        return;
    }
    unsigned char lead = (unsigned char)text[at - 1];
    size_t wanted = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (len - (at - 1) < wanted) {
        text[at - 1] = 0;
    }
}

__attribute__((format(printf, 3, 0))) static ks_result set(struct ks_refusal *refusal, ks_code code,
                                                           const char *format, va_list args)
{
    assert(code != KS_OK);

    (void)vsnprintf(refusal->text, sizeof(refusal->text), format, args);
    mend_end(refusal->text);
    refusal->code = code;
    refusal->violation_count = 0;
    refusal->untold_count = 0;
    return (ks_result){code};
}

ks_result ks_refusal_set(struct ks_refusal *refusal, ks_code code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    ks_result result = set(refusal, code, format, args);
    va_end(args);
    return result;
}

ks_result ks_refusal_blame(struct ks_refusal *refusal, ks_code code, const char *field,
                           const char *format, ...)
{
    va_list args;
    va_start(args, format);
    ks_result result = set(refusal, code, format, args);
    va_end(args);
    refusal->violations[0] = (struct ks_refusal_violation){field, 0, strlen(refusal->text)};
    refusal->violation_count = 1;
    return result;
}

ks_result ks_refusal_set_code(struct ks_refusal *refusal, ks_code code)
{
    assert(code != KS_OK);

    refusal->code = code;
    refusal->text[0] = 0;
    refusal->violation_count = 0;
    refusal->untold_count = 0;
    return (ks_result){code};
}

static void copy(char *to, size_t len_max, ks_bytes text)
{
    size_t len = text.len < len_max ? text.len : len_max;
    if (len > 0) {
        memcpy(to, text.ptr, len);
    }
    to[len] = 0;
    mend_end(to);
}

void ks_refusal_set_text(struct ks_refusal *refusal, ks_bytes text)
{
    copy(refusal->text, KS_REFUSAL_TEXT_MAX, text);
}

void ks_refusal_add(struct ks_refusal *refusal, ks_bytes name, ks_bytes value)
{
    if (refusal->detail_count == KS_REFUSAL_DETAILS_MAX || name.len > KS_REFUSAL_NAME_MAX ||
        value.len > KS_REFUSAL_VALUE_MAX) {
        return;
    }
    struct ks_refusal_detail *detail = &refusal->details[refusal->detail_count++];
    copy(detail->name, KS_REFUSAL_NAME_MAX, name);
    copy(detail->value, KS_REFUSAL_VALUE_MAX, value);
}

/* Whether there is a place for one more sentence about the member. */
static bool has_place(const struct ks_refusal *refusal, const char *field)
{
    size_t of_member = 0;
    for (size_t i = 0; i < refusal->violation_count; i++) {
        of_member += strcmp(refusal->violations[i].field, field) == 0 ? 1 : 0;
    }
    return refusal->violation_count < KS_REFUSAL_VIOLATIONS_MAX &&
           of_member < KS_REFUSAL_OF_MEMBER_MAX;
}

void ks_refusal_violate(struct ks_refusal *refusal, const char *field, const char *format, ...)
{
    const char *between = refusal->violation_count > 0 ? BETWEEN : "";
    size_t end = refusal->violation_count > 0 ? strlen(refusal->text) : 0;
    size_t at = end + strlen(between);
    if (!has_place(refusal, field) || at >= ROOM) {
        refusal->untold_count++;
        return;
    }
    va_list args;
    va_start(args, format);
    int len = vsnprintf(refusal->text + at, ROOM - at, format, args);
    va_end(args);
    if (len < 0 || (size_t)len >= ROOM - at) {
        refusal->text[end] = 0;
        refusal->untold_count++;
        return;
    }
    memcpy(refusal->text + end, between, strlen(between));
    refusal->violations[refusal->violation_count++] =
        (struct ks_refusal_violation){field, at, (size_t)len};
}

ks_result ks_refusal_conclude(struct ks_refusal *refusal)
{
    size_t count = refusal->violation_count + refusal->untold_count;
    if (count == 0) {
        return KS_RES(OK);
    }
    char prefix[PREFIX_LEN_MAX];
    size_t prefix_len = (size_t)snprintf(
        prefix, sizeof(prefix), "%zu validation error%s detected: ", count, count == 1 ? "" : "s");
    size_t len = strlen(refusal->text);
    assert(prefix_len + len < sizeof(refusal->text));
    memmove(refusal->text + prefix_len, refusal->text, len + 1);
    memcpy(refusal->text, prefix, prefix_len);
    for (size_t i = 0; i < refusal->violation_count; i++) {
        refusal->violations[i].at += prefix_len;
    }
    if (refusal->untold_count > 0) {
        len += prefix_len;
        (void)snprintf(refusal->text + len, sizeof(refusal->text) - len, "%sand %zu more",
                       refusal->violation_count > 0 ? BETWEEN : "", refusal->untold_count);
    }
    refusal->code = KS_VALIDATION;
    return KS_RES(VALIDATION);
}
