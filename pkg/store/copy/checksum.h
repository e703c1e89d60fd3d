/*
 * checksum: CRC-32C (Castagnoli; RFC 3720 appendix B.4) over what lies on the local disk, so that
 * a record damaged there is found and never served.
 *
 * Threads: pure.
 */
#pragma once

#include <stdint.h>

#include "pkg/base/bytes.h"

/*
 * Returns the checksum of what `sum` is the checksum of, followed by bytes; 0 is that of nothing.
 * So ks_checksum(ks_checksum(0, a), b) is the checksum of a and b joined.
 */
uint32_t ks_checksum(uint32_t sum, ks_bytes bytes);
