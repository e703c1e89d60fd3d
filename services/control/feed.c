#include "services/control/feed.h"

#include <assert.h>
#include <string.h>

#include "pkg/base/mem.h"
#include "pkg/rpc/loop.h"
#include "services/control/records.h"

struct ks_control_feed {
    struct ks_rpc_loop *loop;
    struct ks_feed *streams;
    struct ks_store *store; /* NULL until it is set: no stream is taken before that */

    /* The store's thread: what has changed and was not posted yet. */
    struct ks_buffer incoming;
    int64_t incoming_revision; /* the newest one; 0: nothing has changed */
    bool incoming_lost;        /* more than a message holds: followers start over */
};

/* What is on its way from the store's thread to the loop. */
struct change {
    struct ks_control_feed *feed;
    int64_t revision;
    bool start_over;
    struct ks_buffer records; /* none if only records changed that are not mirrored */
};

static void set_position(struct ks_store *store, int64_t revision,
                         struct ks_follow_position *position)
{
    struct ks_store_status status;
    static_assert(sizeof(status.keystore_id) == sizeof(status.epoch),
                  "either stands in an epoch's place");
    static_assert(sizeof(status.epoch) <= sizeof(position->epoch), "an epoch fits");
    ks_store_get_status(store, &status);
    memcpy(position->epoch, status.epoch[0] ? status.epoch : status.keystore_id,
           sizeof(status.epoch));
    position->revision = revision;
}

/* ---- The snapshot ---- */

struct snapshot {
    struct ks_feed_writer *writer;
    ks_result result;
};

static bool add_to_snapshot(void *user, const struct ks_store_record *record)
{
    struct snapshot *snapshot = user;
    snapshot->result = ks_feed_add(snapshot->writer, record->key, record->value, record->revision);
    return !ks_failed(snapshot->result);
}

static ks_result write_snapshot(const struct ks_store_view *view, struct ks_feed_writer *writer)
{
    struct snapshot snapshot = {.writer = writer, .result = KS_RES(OK)};
    for (size_t i = 0; i < KS_RECORD_MIRRORED_COUNT; i++) {
        KS_TRY(ks_store_scan(view, ks_bytes_of(ks_record_mirrored[i]), (ks_bytes){0},
                             add_to_snapshot, &snapshot));
        KS_TRY(snapshot.result);
    }
    return KS_RES(OK);
}

/* The view is taken after the epoch: a reload in between cuts the follower off. */
static ks_result serve(void *user, const struct ks_follow_position *had,
                       struct ks_feed_writer *writer, struct ks_follow_position *now)
{
    struct ks_control_feed *feed = user;
    set_position(feed->store, 0, now);
    KS_STORE_VIEW_AUTO view = {0};
    KS_TRY(ks_store_peek(feed->store, &view));
    now->revision = view.revision;
    bool has_all = ks_follow_same_epoch(had, now) && had->revision >= view.data_revision &&
                   had->revision <= view.revision;
    if (has_all) {
        return KS_RES(OK);
    }
    ks_feed_begin(writer, now);
    return write_snapshot(&view, writer);
}

/* ---- Changes ---- */

void ks_control_feed_changed(struct ks_control_feed *feed, ks_bytes key, ks_bytes value,
                             int64_t revision)
{
    feed->incoming_revision = revision;
    if (ks_record_is_mirrored(key) &&
        ks_failed(ks_feed_pack(&feed->incoming, key, value, revision))) {
        feed->incoming_lost = true;
    }
}

/* Asks the store nothing unless a stream was taken: it may not be set yet, or gone. */
static void send_change(void *argument)
{
    struct change *change = argument;
    if (change->start_over) {
        ks_feed_cut_off(change->feed->streams,
                        "the store was loaded anew, or too much changed at once");
    } else if (ks_feed_has_followers(change->feed->streams)) {
        struct ks_follow_position now;
        set_position(change->feed->store, change->revision, &now);
        ks_feed_publish(change->feed->streams, &now, ks_buffer_bytes(&change->records));
    }
    ks_buffer_done(&change->records);
    ks_free(change);
}

/* Hands over what has changed, and begins anew. */
static void post_change(struct ks_control_feed *feed, int64_t revision, bool start_over)
{
    struct change *change = ks_alloc(1, sizeof(*change));
    *change = (struct change){feed, revision, start_over, feed->incoming};
    feed->incoming = (struct ks_buffer){.len_max = KS_FEED_RECORDS_MAX};
    feed->incoming_revision = 0;
    feed->incoming_lost = false;
    ks_rpc_loop_post(feed->loop, send_change, change);
}

void ks_control_feed_told(struct ks_control_feed *feed)
{
    if (feed->incoming_revision != 0) {
        post_change(feed, feed->incoming_revision, feed->incoming_lost);
    }
}

void ks_control_feed_reloaded(struct ks_control_feed *feed)
{
    post_change(feed, 0, true);
}

/* ---- Life ---- */

static ks_result on_open(void *user, struct ks_rpc_stream *stream)
{
    (void)stream;
    const struct ks_control_feed *feed = user;
    return feed->store ? KS_RES(OK) : KS_RES(UNAVAILABLE);
}

struct ks_control_feed *ks_control_feed_new(struct ks_rpc_loop *loop)
{
    struct ks_control_feed *feed = ks_alloc(1, sizeof(*feed));
    const struct ks_feed_options options = {.on_open = on_open, .serve = serve, .user = feed};
    feed->loop = loop;
    feed->streams = ks_feed_new(&options);
    feed->incoming.len_max = KS_FEED_RECORDS_MAX;
    return feed;
}

void ks_control_feed_free(struct ks_control_feed *feed)
{
    if (feed) {
        ks_feed_free(feed->streams);
        ks_buffer_done(&feed->incoming);
        ks_free(feed);
    }
}

void ks_control_feed_set_store(struct ks_control_feed *feed, struct ks_store *store)
{
    feed->store = store;
}

struct ks_feed *ks_control_feed_streams(struct ks_control_feed *feed)
{
    return feed->streams;
}
