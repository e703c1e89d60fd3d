/*
 * utf8: whether bytes are UTF-8 (RFC 3629): no overlong forms, no surrogates, at most U+10FFFF.
 *
 * Threads: pure; any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "pkg/base/bytes.h"

/* Valid UTF-8 without a NUL. */
bool ks_utf8_is_text(ks_bytes bytes);

/* Characters (code points) of valid UTF-8. */
size_t ks_utf8_count(ks_bytes text);
