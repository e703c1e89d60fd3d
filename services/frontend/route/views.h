/*
 * views: remembers what a decision about a key identifier needs: for each account and name the
 * facts and the version that covers them. Both are bytes that this module doesn't look into. A view
 * may be old without harm: a keystore confirms the version that each decision rests on, or sends a
 * newer view (tests/model proves that).
 *
 * What is remembered is bounded by number and by bytes. The view that was used longest ago gives
 * way, first among those of a share that has more than its part (KS_VIEW_SHARE_PART) of either: a
 * tenant with many keys may fill what nobody else needs, and pushes out its own views when others
 * need the room.
 *
 * Threads: belongs to one loop.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/authorize/facts.h"
#include "pkg/base/bytes.h"
#include "pkg/base/hash.h"
#include "services/frontend/route/upstream.h"

#define KS_VIEW_NAME_MAX    256U /* bytes of a key id or alias */
#define KS_VIEW_VERSION_MAX 64U
#define KS_VIEW_FACTS_MAX   (160U * 1024U) /* bytes: a policy and 50 tags, each of the longest */
#define KS_VIEW_BYTES       512U /* room for each view, on average; a usual one takes 400 */
#define KS_VIEW_SHARES      KS_UPSTREAM_SHARES /* of accounts */
#define KS_VIEW_SHARE_PART  16U /* what a share may keep against others is a 16th of the room */
#define KS_VIEW_DOUBTS_MAX  16U /* older views in a row that are passed over */

struct ks_views;

/*
 * Makes a table with room for count_max views, at least 4, and for count_max times KS_VIEW_BYTES;
 * never NULL. Free with ks_views_free.
 * hash_key  random and secret, so that the owner of many aliases cannot choose names that are slow
 *           to look up. Copied.
 */
struct ks_views *ks_views_new(size_t count_max, const struct ks_hash_key *hash_key);

/* Frees a table. NULL is fine. */
void ks_views_free(struct ks_views *views);

/*
 * Looks up what is remembered of a name in an account. Returns false if nothing is.
 * ret_view  borrowed until the next ks_views_put; unchanged if false is returned.
 */
bool ks_views_find(struct ks_views *views, ks_bytes account, ks_bytes name,
                   struct ks_view *ret_view);

/*
 * Returns how many views share a place of the table at most, which is what a look-up may walk over.
 * It looks at the whole table: for tests and measurements.
 */
size_t ks_views_bucket_max(const struct ks_views *views);

/*
 * Remembers a copy of the view in the place of the name's older one. It counts for the account's
 * share (ks_upstream_share), whoever asks. If the name names nothing, so
 * that the view has no version, the name is forgotten instead: made-up names must not push out
 * those that are used. A view that takes more than a quarter of the room is not kept.
 *
 * A view of a lower revision than the one that is remembered comes from a keystore that lags, and
 * changes nothing. When KS_VIEW_DOUBTS_MAX of them have come in a row, revisions have begun anew
 * (the cell was restored), and the next one is kept.
 */
void ks_views_put(struct ks_views *views, ks_bytes account, ks_bytes name,
                  const struct ks_view *view);
