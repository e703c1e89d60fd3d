/* The reading half of store.h. */
#include <assert.h>
#include <string.h>

#include "pkg/store/engine/engine.h"

struct ks_view_parts {
    struct ks_store *store;
    struct ks_snapshot snapshot;
};

static ks_result open_view(struct ks_store *store, const uint64_t *generation,
                           struct ks_store_view *ret_view)
{
    KS_SNAPSHOT_AUTO snapshot = {0};
    KS_TRY(ks_copy_snapshot(store->copy, &snapshot));
    const struct ks_position *position = &snapshot.position;
    if (position->applied == 0 || position->loading) {
        return KS_RES(UNAVAILABLE);
    }
    if (generation && position->generation != *generation) {
        return KS_RES(UNAVAILABLE);
    }
    struct ks_view_parts *view = ks_alloc(1, sizeof(*view));
    view->store = store;
    view->snapshot = snapshot;
    snapshot = (struct ks_snapshot){0};
    *ret_view = (struct ks_store_view){
        .snapshot = view,
        .revision = view->snapshot.position.applied,
        .data_revision = view->snapshot.position.data_revision,
    };
    return KS_RES(OK);
}

/*
 * The window first, the copy then (model: SLOWREAD=1). Had the copy been loaded anew in between,
 * its generation tells.
 */
ks_result ks_store_serve(struct ks_store *store, struct ks_store_view *ret_view)
{
    uint64_t generation;
    if (!ks_store_knows_time(store) || ks_store_is_held(store)) {
        return KS_RES(UNAVAILABLE);
    }
    if (!store->engine->may_serve(store, &generation)) {
        return KS_RES(UNAVAILABLE);
    }
    return open_view(store, &generation, ret_view);
}

ks_result ks_store_peek(struct ks_store *store, struct ks_store_view *ret_view)
{
    return open_view(store, NULL, ret_view);
}

void ks_store_view_close(struct ks_store_view *view)
{
    struct ks_view_parts *parts = view->snapshot;
    if (parts) {
        ks_snapshot_end(&parts->snapshot);
        ks_free(parts);
    }
    *view = (struct ks_store_view){0};
}

ks_result ks_store_get(const struct ks_store_view *view, ks_bytes key,
                       struct ks_store_record *ret_record)
{
    const struct ks_view_parts *parts = view->snapshot;
    return ks_snapshot_get(&parts->snapshot, key, ret_record);
}

ks_result ks_store_scan(const struct ks_store_view *view, ks_bytes prefix, ks_bytes after,
                        bool (*each)(void *user, const struct ks_store_record *record), void *user)
{
    const struct ks_view_parts *parts = view->snapshot;
    return ks_snapshot_scan(&parts->snapshot, prefix, after, each, user);
}

ks_result ks_store_prefix(const struct ks_store_view *view, ks_bytes prefix, int64_t *ret_newest,
                          uint64_t *ret_count)
{
    const struct ks_view_parts *parts = view->snapshot;
    return ks_snapshot_prefix(&parts->snapshot, prefix, ret_newest, ret_count);
}

ks_result ks_store_scan_due(const struct ks_store_view *view, ks_bytes root, int64_t until_ms,
                            bool (*each)(void *user, const struct ks_store_record *record),
                            void *user)
{
    const struct ks_view_parts *parts = view->snapshot;
    return ks_snapshot_scan_due(&parts->snapshot, root, until_ms, each, user);
}

ks_result ks_store_scan_ordinals(const struct ks_store_view *view, ks_store_ordinal_each *each,
                                 void *user)
{
    const struct ks_view_parts *parts = view->snapshot;
    return ks_snapshot_scan_ordinals(&parts->snapshot, each, user);
}
