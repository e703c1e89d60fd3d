#include "pkg/store/log/apply.h"

#include <string.h>

#include "pkg/base/mem.h"

/* One message being applied. */
struct application {
    const struct ks_layout *layout;
    struct ks_copy_write *write;
    struct ks_apply_result result;
};

/* Whether the event's revision began with the revision record, as all of ours do. */
static bool is_announced(struct application *app, const struct ks_etcd_event *event)
{
    bool announced = app->write->position.rev_revision == event->kv.mod_revision;
    app->result.verdict = announced ? KS_APPLY_DONE : KS_APPLY_LOST;
    return announced;
}

/* While the copy is being loaded, a page may have brought a newer form already. */
static ks_result delete_record(struct ks_copy_write *write, ks_bytes key, int64_t revision)
{
    return write->position.loading ? ks_copy_delete_newer(write, key, revision)
                                   : ks_copy_delete(write, key, revision);
}

static ks_result put_record(struct ks_copy_write *write, ks_bytes key, const struct ks_etcd_kv *kv)
{
    return write->position.loading ? ks_copy_put_newer(write, key, kv->value, kv->mod_revision)
                                   : ks_copy_put(write, key, kv->value, kv->mod_revision);
}

/* Whether the copy can have it. What we write always is; what somebody else puts is passed over. */
static bool is_within_bounds(const struct ks_etcd_event *event, ks_bytes name)
{
    return name.len <= KS_STORE_KEY_LEN_MAX && event->kv.value.len <= KS_STORE_VALUE_LEN_MAX;
}

static ks_result apply_data(struct application *app, const struct ks_etcd_event *event,
                            ks_bytes key)
{
    if (!is_announced(app, event)) {
        return KS_RES(OK);
    }
    app->write->position.data_revision = event->kv.mod_revision;
    if (!is_within_bounds(event, key)) {
        return KS_RES(OK);
    }
    if (event->is_delete) {
        return delete_record(app->write, key, event->kv.mod_revision);
    }
    return put_record(app->write, key, &event->kv);
}

static ks_result apply_keystore(struct application *app, const struct ks_etcd_event *event,
                                ks_bytes id)
{
    if (!is_announced(app, event)) {
        return KS_RES(OK);
    }
    if (!is_within_bounds(event, id)) {
        return KS_RES(OK);
    }
    app->result.list_changed = true;
    if (event->is_delete) {
        return ks_copy_list_delete(app->write, id);
    }
    return ks_copy_list_put(app->write, id, event->kv.value, event->kv.mod_revision);
}

static ks_result apply_rev(struct application *app, const struct ks_etcd_event *event, ks_bytes key)
{
    (void)key;
    struct ks_position *position = &app->write->position;
    if (event->is_delete || event->kv.version != position->rev_version + 1) {
        app->result.verdict = KS_APPLY_LOST;
        return KS_RES(OK);
    }
    if (event->kv.value.len != KS_NONCE_LEN) {
        app->result.verdict = KS_APPLY_FORM;
        return KS_RES(OK);
    }
    position->rev_version = event->kv.version;
    position->rev_revision = event->kv.mod_revision;
    memcpy(position->nonce.bytes, event->kv.value.ptr, KS_NONCE_LEN);
    return KS_RES(OK);
}

static ks_result apply_epoch(struct application *app, const struct ks_etcd_event *event,
                             ks_bytes key)
{
    (void)event;
    (void)key;
    app->result.verdict = KS_APPLY_EPOCH;
    return KS_RES(OK);
}

static ks_result apply_other(struct application *app, const struct ks_etcd_event *event,
                             ks_bytes key)
{
    (void)app;
    (void)event;
    (void)key;
    return KS_RES(OK);
}

typedef ks_result apply_fn(struct application *app, const struct ks_etcd_event *event,
                           ks_bytes name);

static apply_fn *const by_kind[] = {
    [KS_LAYOUT_OTHER] = apply_other,       [KS_LAYOUT_DATA] = apply_data,
    [KS_LAYOUT_KEYSTORE] = apply_keystore, [KS_LAYOUT_REV] = apply_rev,
    [KS_LAYOUT_EPOCH] = apply_epoch,
};

/* last_revision is that of the event before it: revisions rise, and may stay within a message. */
static ks_result apply_event(struct application *app, const struct ks_etcd_event *event,
                             int64_t *last_revision)
{
    int64_t revision = event->kv.mod_revision;
    if (revision < *last_revision) {
        app->result.verdict = KS_APPLY_LOST;
        return KS_RES(OK);
    }
    *last_revision = revision;
    ks_bytes name = {0};
    enum ks_layout_kind kind = ks_layout_parse(app->layout, event->kv.key, &name);
    return by_kind[kind](app, event, name);
}

/* What the copy has already: the revision record of its anchor proves the watch, or refutes it. */
static void prove(struct application *app, const struct ks_etcd_event *event)
{
    const struct ks_position *position = &app->write->position;
    ks_bytes name = {0};
    if (event->kv.mod_revision != position->rev_revision ||
        ks_layout_parse(app->layout, event->kv.key, &name) != KS_LAYOUT_REV) {
        return;
    }
    if (ks_bytes_equal(event->kv.value, (ks_bytes){position->nonce.bytes, KS_NONCE_LEN})) {
        app->result.is_proven = true;
    } else {
        app->result.verdict = KS_APPLY_OTHER;
    }
}

static ks_result apply_new(struct application *app, const struct ks_etcd_event *event,
                           int64_t *last_revision)
{
    if (!app->result.is_proven) {
        app->result.verdict = KS_APPLY_OTHER;
        return KS_RES(OK);
    }
    return apply_event(app, event, last_revision);
}

static ks_result take_event(struct application *app, const struct ks_etcd_event *event,
                            int64_t *last_revision)
{
    if (event->kv.mod_revision > app->write->position.applied) {
        return apply_new(app, event, last_revision);
    }
    prove(app, event);
    return KS_RES(OK);
}

static ks_result apply_events(struct application *app, const struct ks_etcd_watch_message *message)
{
    struct ks_position *position = &app->write->position;
    int64_t last = position->applied;
    bool goes_on = true;
    for (size_t i = 0; goes_on && i < message->event_count; i++) {
        KS_TRY(take_event(app, &message->events[i], &last));
        goes_on = app->result.verdict == KS_APPLY_DONE;
    }
    position->applied = goes_on ? last : position->applied;
    return KS_RES(OK);
}

ks_result ks_apply_message(const struct ks_apply_watch *watch,
                           const struct ks_etcd_watch_message *message, struct ks_copy_write *write,
                           struct ks_apply_result *ret_result)
{
    struct application app = {
        .layout = watch->layout, .write = write, .result.is_proven = watch->is_proven};

    if (message->header.cluster_id != watch->source->cluster_id) {
        app.result.verdict = KS_APPLY_EPOCH;
    } else {
        KS_TRY(apply_events(&app, message));
    }
    *ret_result = app.result;
    return KS_RES(OK);
}
