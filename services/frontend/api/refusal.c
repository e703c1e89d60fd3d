#include "services/frontend/api/refusal.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

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

ks_result ks_refuse(struct ks_refusal *refusal, ks_code code, const char *format, ...)
{
    assert(code != KS_OK);

    va_list args;
    va_start(args, format);
    (void)vsnprintf(refusal->text, sizeof(refusal->text), format, args);
    va_end(args);
    mend_end(refusal->text);
    refusal->code = code;
    return (ks_result){code};
}

ks_result ks_refuse_plainly(struct ks_refusal *refusal, ks_code code)
{
    assert(code != KS_OK);

    refusal->code = code;
    refusal->text[0] = 0;
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
    copy(refusal->text, KS_RPC_TEXT_MAX, text);
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

struct ks_rpc_status ks_refusal_status(const struct ks_refusal *refusal)
{
    assert(refusal->code != KS_OK);

    struct ks_rpc_status status = {
        .code = refusal->code,
        .text = refusal->text[0] ? refusal->text : NULL,
        .violated_field = refusal->field,
        .violation = refusal->field ? ks_text(refusal->code) : NULL,
    };
    for (size_t i = 0; i < refusal->detail_count; i++) {
        status.metadata[i] =
            (struct ks_rpc_entry){refusal->details[i].name, refusal->details[i].value};
    }
    status.metadata_count = refusal->detail_count;
    return status;
}
