/*
 * views: remembers what a decision about a key identifier needs: for each account and name the
 * facts and the version that covers them. Both are bytes that this module doesn't look into. A view
 * may be old without harm: a keystore confirms the version that each decision rests on, or sends a
 * newer view (tests/model proves that).
 *
 * It is a table of fixed size with four places for each hash; the view used longest ago gives way.
 *
 * Threads: belongs to one loop.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/authorize/facts.h"
#include "pkg/base/bytes.h"

#define KS_VIEW_NAME_MAX    256U /* bytes of a key id or alias */
#define KS_VIEW_VERSION_MAX 64U
#define KS_VIEW_FACTS_MAX   (128U * 1024U)

struct ks_views;

/* Makes a table with room for count_max views, at least 4; never NULL. Free with ks_views_free. */
struct ks_views *ks_views_new(size_t count_max);

/* Frees a table. NULL is fine. */
void ks_views_free(struct ks_views *views);

/*
 * Looks up what is remembered of a name in an account. Returns false if nothing is.
 * ret_view  borrowed until the next ks_views_put; unchanged if false is returned.
 */
bool ks_views_find(struct ks_views *views, ks_bytes account, ks_bytes name,
                   struct ks_view *ret_view);

/*
 * Remembers a copy of the view in the place of the name's older one. If the name names nothing, so
 * that the view has no version, the name is forgotten instead: made-up names must not push out
 * those that are used.
 */
void ks_views_put(struct ks_views *views, ks_bytes account, ks_bytes name,
                  const struct ks_view *view);
