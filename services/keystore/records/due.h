/*
 * due: when a keystore's record must be seen to: a request's record is removed after a day, a key
 * whose deletion is pending is destroyed at its date, and a destroyed key is forgotten after a day.
 * The store keeps an index of it (ks_store_scan_due).
 *
 * Threads: pure; any.
 */
#pragma once

#include <stdint.h>

#include "pkg/base/bytes.h"

#define KS_DESTROYED_KEPT_MS (24LL * 3600 * 1000)

/*
 * Returns when the record is due, as a ks_store_due_fn; 0: never, as for a record that can't be
 * read, which a newer program may have written.
 */
int64_t ks_record_due_ms(ks_bytes key, ks_bytes value);
