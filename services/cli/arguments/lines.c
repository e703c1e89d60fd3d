#include "services/cli/arguments/lines.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

void ks_line(struct ks_lines *lines, const char *format, ...)
{
    if (ks_failed(lines->result)) {
        return;
    }
    va_list values;
    va_start(values, format);
    va_list again;
    va_copy(again, values);
    int len = vsnprintf(NULL, 0, format, values);
    va_end(values);
    assert(len >= 0);

    /* One byte more for the NUL that vsnprintf writes; it is given back. */
    uint8_t *place;
    lines->result = ks_buffer_extend(lines->out, (size_t)len + 1, &place);
    if (!ks_failed(lines->result)) {
        vsnprintf((char *)place, (size_t)len + 1, format, again);
        lines->out->len--;
    }
    va_end(again);
}
