/*
 * checksum: CRC-32C (Castagnoli; RFC 3720 appendix B.4) over what lies on the local disk, so that
 * a record damaged there is found and never served.
 *
 * Threads: pure.
 */
#pragma once

#include <stdint.h>

#include "pkg/base/bytes.h"

/* Goes on from `sum`, 0 at the start: ks_checksum(ks_checksum(0, a), b) is that of a and b joined. */
uint32_t ks_checksum(uint32_t sum, ks_bytes bytes);
