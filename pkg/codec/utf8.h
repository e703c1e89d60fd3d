/*
 * utf8: tells whether bytes are UTF-8 (RFC 3629), which has no overlong forms, no surrogates and
 * nothing above U+10FFFF.
 *
 * Threads: pure; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "pkg/base/bytes.h"

/* Returns whether bytes are valid UTF-8 without a NUL. The empty run is. */
bool ks_utf8_is_text(ks_bytes bytes);

/* Returns the number of characters (code points) of text, which must be valid UTF-8. */
size_t ks_utf8_count(ks_bytes text);
