/*
 * housekeeping: the work of the keystore on duty, in bounded steps. It forgets request records
 * after 24 hours, destroys keys whose deletion date has passed, and forgets destroyed keys after 24
 * hours. All of this goes by the store's destruction time, and waits while there is none.
 *
 * A key is destroyed by removing first its aliases and then its record, which holds the EKT. A
 * record of the destruction then makes every zone's hsm forget the key, too. Each step compares the
 * key's revision, so that nothing is removed of a key that was changed meanwhile.
 *
 * Threads: ks_housekeeping_run on a worker's thread; the other functions on any.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/base/clock.h"
#include "pkg/store/store.h"
#include "services/keystore/hsmlink/link.h"

#define KS_HOUSEKEEPING_PAUSE_MS 60000 /* between the end of a pass over all records and the next */

struct ks_housekeeping;
struct ks_worker;

/*
 * Makes it; never NULL. store, link and clock are borrowed; of the clock, only boot_ns is used; NULL: ks_clock_system. The caller
 * frees it with ks_housekeeping_free, once no worker runs it any more.
 */
struct ks_housekeeping *ks_housekeeping_new(struct ks_store *store, struct ks_hsm_link *link,
                                            const struct ks_clock *clock);

/* Frees it. NULL is fine. */
void ks_housekeeping_free(struct ks_housekeeping *housekeeping);

/*
 * The worker's function: counts the keys, tells the hsm of destroyed keys that it has missed, and,
 * if this keystore is on duty, takes one step of each kind. What fails is tried again by a later
 * run. user is the struct ks_housekeeping.
 */
void ks_housekeeping_run(void *user, struct ks_worker *worker);

/* Returns how many keys were in this copy at the last run. */
uint64_t ks_housekeeping_key_count(struct ks_housekeeping *housekeeping);

/*
 * To be called when a record has changed: if it tells of a destroyed key, the hsm is told to forget
 * that key. This does not wait, so it may be called on the store's thread.
 *
 * missed  is set, then or later on the link's thread, if the hsm could not be told: it has too much
 *         to do, or the connection was lost. ks_housekeeping_reloaded must be called then. Borrowed
 *         as long as the link lives.
 */
void ks_housekeeping_changed(struct ks_hsm_link *link, ks_bytes key, ks_bytes value,
                             atomic_bool *missed);

/*
 * To be called when the copy was loaded anew, because changes may have been missed, and when an hsm
 * could not be told of one. The next runs then tell the hsm of every destroyed key, as they do when
 * an hsm has connected. Any thread.
 */
void ks_housekeeping_reloaded(struct ks_housekeeping *housekeeping);
