/*
 * lines: formatted text into a buffer. The first failure stays and makes the rest no-ops, so it is
 * looked at once, at the end.
 *
 * Threads: values; any.
 */
#pragma once

#include "pkg/base/bytes.h"
#include "pkg/base/result.h"

struct ks_lines {
    struct ks_buffer *out; /* borrowed */
    ks_result result;
};

/* Appends what printf would write. Fails in lines->result: LIMIT_EXCEEDED (the buffer's cap). */
__attribute__((format(printf, 2, 3))) void ks_line(struct ks_lines *lines, const char *format, ...);
