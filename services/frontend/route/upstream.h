/*
 * upstream: has items answered by some keystore of the region. It collects items into messages, and
 * turns to another keystore when one fails, falls silent or has no serving window.
 *
 *     send ──► AWAITING ── answer ──► done
 *                │  ▲
 *   UNAVAILABLE, │  │ another keystore; or, when all were asked, the same ones after a pause
 *   stream broken▼  │
 *              WAITING ── deadline ──► done (UNAVAILABLE)
 *
 * Items are cheaper together: a message costs a keystore about as much as twenty items do. For this
 * reason all items go to the keystore of our own zone, until it has KS_UPSTREAM_SPILL of them.
 * Mutations go to the same keystore from all frontends of the region: what waits there together
 * becomes one transaction, and the more it is, the less of them etcd has to write. And of items that are no mutations only one message at a time is on its way to a keystore. Items that
 * come meanwhile are collected, and go out when the first answer is back. If that takes longer than
 * a tick, they go out without it, because the sent items then wait for something else than their
 * turn. So an item goes out at once when nothing is on its way, and messages grow with the load. A
 * mutation always goes out at once.
 *
 * When a keystore is silent for longer than the patience, the item is sent to another one as well,
 * and the first answer counts. That is always safe: reads and crypto change nothing, and a mutation
 * carries its request_id, so that it is carried out once.
 *
 * All tenants share the streams. If a stream ends while a keystore has an item, the item may be the
 * reason, so everything that the keystore had then is suspect. A suspect travels with suspects only,
 * in messages of half as many items as the stream had, and such a message has its stream to itself
 * until it is answered, or until a tick has passed, because it waits for something else then. Items
 * that are answered are cleared. Because the messages are halved each time, the item that is to
 * blame soon is alone. If KS_UPSTREAM_LONE_DEATHS_MAX streams end while they have an item alone, it
 * is given up. It is not alone beside a ghost: an item that nobody waits for any more, as its
 * deadline is over or another keystore was faster, and that the keystore has not answered. The
 * first such end may be chance: when a keystore fails, its items travel in halves
 * once and are cleared. On an idle frontend a read is alone from the start, and loses two keystores
 * when they are restarted one after the other, or when they fail under an item of another frontend.
 * Therefore an item pauses for KS_UPSTREAM_TRIAL_PAUSE_MS before the last keystore gets it alone: by
 * then the others are back, and another frontend has found its item, too.
 *
 * The upstream knows nothing of connections. Its owner tells it what happens on them, and it sends
 * by the function `send`. In this way it is tested with neither network nor clock.
 *
 * Threads: belongs to one loop. `done` is called from received, closed and tick only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/base/result.h"

#define KS_UPSTREAM_PEERS_MAX       16U
#define KS_UPSTREAM_ITEMS_MAX       16384U /* under way at a time; a power of two */
#define KS_UPSTREAM_SHARES          4096U  /* accounts are spread over them; a power of two */
#define KS_UPSTREAM_SHARE_MAX       1024U  /* items of one share under way: ten full batches */
#define KS_UPSTREAM_ATTEMPTS_MAX    256U   /* of one item */
#define KS_UPSTREAM_LONE_DEATHS_MAX 3U     /* streams that may end while they have an item alone */
#define KS_UPSTREAM_DEATHS_MAX      15U    /* streams that may end while they have an item */
#define KS_UPSTREAM_TRIAL_PAUSE_MS  500    /* before the last of the lone ones may have it */
#define KS_UPSTREAM_SPILL           512U /* items that a keystore of our zone has, before others get any */
#define KS_UPSTREAM_TICK_MS         20

struct ks_item_result;
struct ks_upstream;

/*
 * One item. Its memory is the maker's, and lasts until done is called. The maker sets the first six
 * members and leaves the others zero.
 */
struct ks_upstream_item {
    struct ks_buffer body; /* from ks_item_write; the maker frees it */
    uint32_t share;        /* ks_upstream_share of the account */
    bool mutating;
    int64_t deadline_ns; /* on the clock whose times are handed in */
    /*
     * Called once. result is borrowed for the call. It is UNAVAILABLE if no keystore answered in
     * time, if a mutation was refused while another keystore may still carry it out, or if
     * KS_UPSTREAM_DEATHS_MAX streams have ended while they had the item. It is INTERNAL (for a
     * mutation UNAVAILABLE) if KS_UPSTREAM_LONE_DEATHS_MAX have ended while they had it alone.
     */
    void (*done)(struct ks_upstream_item *item, const struct ks_item_result *result);
    void *user;

    /* The upstream's own. */
    uint64_t tag;
    uint32_t awaiting; /* keystores that have it and have not answered: a bit each */
    uint32_t tried;    /* keystores that are asked again only after all others: a bit each */
    uint32_t attempts;
    uint32_t deaths;      /* streams that have ended while they had it */
    uint32_t lone_deaths; /* of them, those that had nothing else */
    bool on_last_trial;   /* it has paused, or pauses, before the last keystore gets it alone */
    uint32_t company_max; /* items of a message that it may travel in, itself counted */
    uint32_t rounds;      /* how often all keystores were tried in vain */
    bool loose;           /* a keystore that got it and was given up may still do it; stays set */
    int queued_at;        /* keystore in whose queue it still is; -1: none */
    int64_t sent_at_ns;
    int64_t retry_at_ns; /* when to try again if no keystore has it */
    struct ks_upstream_item *next;
    struct ks_upstream_item *previous;
    struct ks_upstream_item *queue_next;
};

struct ks_upstream_options {
    size_t peer_count; /* 1 to KS_UPSTREAM_PEERS_MAX */
    uint32_t near;     /* keystores of this zone: a bit each; they are asked first */
    /*
     * Of mutations, the keystore with the lowest rank is asked first, then the next one: each of
     * them when the one before has KS_UPSTREAM_SPILL items or fails. All frontends of a region have
     * the same ranks.
     */
    uint8_t mutation_ranks[KS_UPSTREAM_PEERS_MAX];
    int64_t patience_ns;          /* before another keystore is asked, too */
    int64_t mutation_patience_ns; /* the same for mutations, which wait for a majority of disks */
    /* Returns whether a message that is sent to peer now goes out at once. */
    bool (*ready)(void *user, size_t peer);
    /* Sends a message, and takes its bytes. A failure means that the stream is about to end. */
    ks_result (*send)(void *user, size_t peer, struct ks_buffer *message);
    /* Asks for a ks_upstream_tick in KS_UPSTREAM_TICK_MS. Not called again before that tick. */
    void (*arm)(void *user);
    void *user;
};

/*
 * Makes an upstream without streams; never NULL. ks_upstream_free frees it when nothing is under
 * way; NULL is fine.
 */
struct ks_upstream *ks_upstream_new(const struct ks_upstream_options *options);
void ks_upstream_free(struct ks_upstream *upstream);

/* Returns how many items are under way. */
size_t ks_upstream_count(const struct ks_upstream *upstream);

/*
 * What has become of the items under which streams have ended, since the upstream was made. An item
 * whose stream never was accepted is not among them.
 */
struct ks_upstream_counts {
    uint64_t streams;    /* that ended while they had items */
    uint64_t suspects;   /* items that they had, each counted once */
    uint64_t answered;   /* of them, those that a keystore has answered afterwards */
    uint64_t unanswered; /* those that ended as UNAVAILABLE, and that nothing is proved of */
    uint64_t guilty;     /* those that KS_UPSTREAM_LONE_DEATHS_MAX streams have ended under */
};

/* Returns the counts, which last as long as the upstream. */
const struct ks_upstream_counts *ks_upstream_counts(const struct ks_upstream *upstream);

/* Returns whether so many keystores have failed under the item that it must be the reason. */
bool ks_upstream_is_guilty(const struct ks_upstream_item *item);

/*
 * Returns the share of an account. Two accounts may have the same share and then have less room,
 * but take none from others. Nobody can choose a share, because accounts don't choose their
 * numbers.
 */
uint32_t ks_upstream_share(ks_bytes account);

/*
 * Sends an item, which belongs to the upstream until done is called.
 * Fails: THROTTLED (KS_UPSTREAM_ITEMS_MAX are under way, or KS_UPSTREAM_SHARE_MAX of this share, so
 * that one account leaves room for others). The item is then still the caller's; done isn't called.
 */
KS_MUST_USE ks_result ks_upstream_send(struct ks_upstream *upstream, struct ks_upstream_item *item,
                                       int64_t now_ns);

/*
 * Between the two calls items are collected and not sent. A caller that has many items at once puts
 * them between the two, so that they travel together.
 */
void ks_upstream_cork(struct ks_upstream *upstream);
void ks_upstream_uncork(struct ks_upstream *upstream, int64_t now_ns);

/* Tells that a stream to the peer of this index was opened: messages can be sent to it. */
void ks_upstream_opened(struct ks_upstream *upstream, size_t index, int64_t now_ns);
/* Tells that the peer has accepted the stream. */
void ks_upstream_accepted(struct ks_upstream *upstream, size_t index);
/* Tells that the peer's stream can be written again; sends what waits for it. */
void ks_upstream_writable(struct ks_upstream *upstream, size_t index, int64_t now_ns);
/*
 * Takes a message that the peer has sent, and calls done of the items that it answers.
 * Fails: VALIDATION (it is no ExecuteResponse; the caller must close the stream).
 */
KS_MUST_USE ks_result ks_upstream_received(struct ks_upstream *upstream, size_t peer,
                                           ks_bytes message, int64_t now_ns);
/*
 * Tells that the peer's stream has ended. The items that it had go to other keystores.
 * is_refused  the peer has ended it for what the stream is, such as that of a certificate which has
 *             ended meanwhile: it lives, and no item is to blame.
 */
void ks_upstream_closed(struct ks_upstream *upstream, size_t index, bool is_refused,
                        int64_t now_ns);
/* Tells the time: looks after items whose patience, pause or deadline is over. */
void ks_upstream_tick(struct ks_upstream *upstream, int64_t now_ns);
