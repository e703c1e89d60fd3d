/*
 * views: what was needed to decide about a key identifier, remembered: for each account and name
 * the facts and the version that covers them, both as bytes into which nobody here looks. Nothing
 * rests on it being fresh: a keystore confirms the version of each decision, or sends a newer view.
 *
 * A table of fixed size, four places for each hash; the one used longest ago gives way.
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

/* Room for count_max views, at least 4. Free with ks_views_free; NULL is fine. */
struct ks_views *ks_views_new(size_t count_max);
void ks_views_free(struct ks_views *views);

/* ret_view is borrowed until the next ks_views_put; unchanged if the answer is false. */
bool ks_views_find(struct ks_views *views, ks_bytes account, ks_bytes name,
                   struct ks_view *ret_view);

/*
 * Keeps a copy, in place of what was known. What names nothing is forgotten instead: names that
 * somebody makes up must not push out those that are used.
 */
void ks_views_put(struct ks_views *views, ks_bytes account, ks_bytes name,
                  const struct ks_view *view);
