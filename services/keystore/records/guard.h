/*
 * guard: which changes of a key's record and of its aliases a keystore's copy makes (promise 10). An
 * older record whose MAC is good, a key that is gone without a tombstone, an alias that its key does
 * not know: no keystore makes such a change, so whoever did has written etcd.
 *
 *   key/A/K       put      its counter is above that of key/A/K and of gone/key/A/K
 *                 deleted  gone/key/A/K stands, with a higher counter
 *   gone/key/A/K  put      as key/A/K; a key that still stands, with a lower counter, goes
 *                 deleted  never
 *   alias/A/N     put      the key that it names lists it
 *                 deleted  the key that it named does not list it, or is gone
 *
 * MACs are not looked at: only an hsm can. A record with a higher counter and a bad MAC comes into
 * the copy, and the hsm refuses it with each use. While a copy is loaded its aliases are not looked
 * at, because their keys may come later; the hsm looks at them with each use. A counter that was
 * held before may come again then.
 *
 * Threads: pure over what the store holds.
 */
#pragma once

#include "pkg/store/store.h"

/*
 * The ks_store_guard of the keystore's store. Returns true if the change is one of those above, or of
 * another record; ret_ordinal is then the counter of what is put. Returns false for any other, with
 * ret_ordinal untouched.
 */
bool ks_record_guard(struct ks_store_held *held, ks_bytes key, ks_bytes value,
                     uint64_t *ret_ordinal);

/* The ks_store_ordinal_fn of the keystore's store: the counter of a key's record or tombstone. */
uint64_t ks_record_ordinal(ks_bytes key, ks_bytes value);
