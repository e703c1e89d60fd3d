/*
 * housekeeping: what the keystore on duty does in bounded steps: forgets request records after 24
 * hours, destroys keys whose deletion date has passed, forgets destroyed keys after 24 hours.
 *
 * A key is destroyed by removing its aliases, then its record, with the EKT in it; a record of the
 * destruction makes every zone's hsm forget the key, too. Each step compares the key's revision, so
 * that nothing is removed of a key that was changed meanwhile.
 *
 * Threads: run on a worker's thread; the rest from any.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/base/clock.h"
#include "pkg/store/store.h"
#include "services/keystore/hsmlink/link.h"

#define KS_HOUSEKEEPING_PAUSE_MS 60000 /* between the end of a pass over all records and the next */
#define KS_DESTROYED_KEPT_MS     (24LL * 3600 * 1000)

struct ks_housekeeping;
struct ks_worker;

/* Both are borrowed; clock NULL: ks_clock_system. Free with ks_housekeeping_free. */
struct ks_housekeeping *ks_housekeeping_new(struct ks_store *store, struct ks_hsm_link *link,
                                            const struct ks_clock *clock);
void ks_housekeeping_free(struct ks_housekeeping *housekeeping);

/* The worker's function: one step, on duty. user is the struct ks_housekeeping. */
void ks_housekeeping_run(void *user, struct ks_worker *worker);

/* Keys in this copy, as counted within the last minute. */
uint64_t ks_housekeeping_key_count(struct ks_housekeeping *housekeeping);

/*
 * A record changed: if it tells of a destroyed key, the hsm forgets that one. Does not wait, so it
 * may be called on the store's thread.
 */
void ks_housekeeping_changed(struct ks_hsm_link *link, ks_bytes key, ks_bytes value);

/*
 * The copy was loaded anew, so changes were missed. The next run tells the hsm of every destroyed
 * key, as it does when an hsm has connected. Any thread.
 */
void ks_housekeeping_reloaded(struct ks_housekeeping *housekeeping);
