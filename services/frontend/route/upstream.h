/*
 * upstream: gets items answered by some keystore of the region: collects them into messages, and
 * goes to another keystore when one fails, falls silent or has no serving window.
 *
 *     send ──► AWAITING ── answer ──► done
 *                │  ▲
 *   UNAVAILABLE, │  │ another keystore; or, when all were asked, the same ones after a pause
 *   stream broken▼  │
 *              WAITING ── deadline ──► done (UNAVAILABLE)
 *
 * Items are worth more together than apart: a message costs a keystore about as much as twenty items
 * do. So all go to the keystore of our own zone until it has KS_UPSTREAM_SPILL of them; and of what
 * is no mutation, one message at a time is on its way to a keystore. What comes meanwhile is
 * collected, and goes when the first answer is back, or when that takes longer than a tick: then
 * what was sent waits for something else than its turn. So an item goes at once when nothing is on
 * its way, and messages grow with the load. A mutation always goes at once.
 *
 * A keystore that is silent for longer than the patience for it is not waited for alone: the item
 * goes to another one, too, and the first answer counts. That is safe for everything: reads and
 * crypto change nothing, and a mutation carries its request_id, so it is done once.
 *
 * An item that streams keep ending under may be why they end, and all tenants share the streams. So
 * what a keystore had when its stream ended is suspect: it travels with suspects only, in messages of
 * half as many items as the stream had, and a message of suspects has its stream to itself until it
 * is answered (or for a tick: then it waits for something else). What is answered is cleared; the one
 * to blame is alone after as many deaths as its company can be halved. A stream that ends while it
 * has a single item blames that one: after KS_UPSTREAM_LONE_DEATHS_MAX of them it goes no further.
 * One may be chance: when a keystore fails, its items travel in halves once, and are cleared.
 *
 * It knows nothing of connections: it is told what happens on them, and sends by `send`. So it is
 * tested with neither network nor clock.
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
#define KS_UPSTREAM_LONE_DEATHS_MAX 2U     /* streams that may end while they have an item alone */
#define KS_UPSTREAM_DEATHS_MAX      14U    /* streams that may end while they have an item */
#define KS_UPSTREAM_SPILL           512U /* items that a keystore of our zone has, before others get any */
#define KS_UPSTREAM_TICK_MS         20

struct ks_item_result;
struct ks_upstream;

/* One item; its maker's memory, which lasts until done. {0} but for the first six. */
struct ks_upstream_item {
    struct ks_buffer body; /* from ks_item_write; the maker frees it */
    uint32_t share;        /* ks_upstream_share of the account */
    bool mutating;
    int64_t deadline_ns; /* on the clock whose times are handed in */
    /*
     * Once. result is borrowed for the call; UNAVAILABLE if nobody answered in time, and in the
     * place of a mutation's refusal while another keystore may still carry it out, or if
     * KS_UPSTREAM_DEATHS_MAX streams have ended while they had the item. INTERNAL (a mutation:
     * UNAVAILABLE) if KS_UPSTREAM_LONE_DEATHS_MAX have ended while they had it alone.
     */
    void (*done)(struct ks_upstream_item *item, const struct ks_item_result *result);
    void *user;

    /* The upstream's own. */
    uint64_t tag;
    uint32_t awaiting; /* keystores that have it and have not answered: a bit each */
    uint32_t tried;    /* that need not be asked again before the others were */
    uint32_t attempts;
    uint32_t deaths;      /* streams that have ended while they had it */
    uint32_t lone_deaths; /* of them, those that had nothing else */
    uint32_t company_max; /* items of a message that it may travel in, itself counted */
    uint32_t rounds;      /* how often all keystores were tried in vain */
    bool loose; /* a keystore got it and was given up: it may still carry it out. For all rounds */
    int queued_at; /* keystore in whose queue it still is; -1: none */
    int64_t sent_at_ns;
    int64_t retry_at_ns; /* when to try again if nobody has it */
    struct ks_upstream_item *next;
    struct ks_upstream_item *previous;
    struct ks_upstream_item *queue_next;
};

struct ks_upstream_options {
    size_t peer_count;            /* 1 to KS_UPSTREAM_PEERS_MAX */
    uint32_t near;                /* keystores of this zone: a bit each; they are asked first */
    int64_t patience_ns;          /* before another keystore is asked, too */
    int64_t mutation_patience_ns; /* the same for mutations, which wait for a majority of disks */
    /* Whether what is sent to peer now goes out at once. */
    bool (*ready)(void *user, size_t peer);
    /* Takes the bytes of message. A failure means that the stream is about to end. */
    ks_result (*send)(void *user, size_t peer, struct ks_buffer *message);
    /* ks_upstream_tick is to be called in KS_UPSTREAM_TICK_MS. Called once until then. */
    void (*arm)(void *user);
    void *user;
};

/* Free with ks_upstream_free, when nothing is under way; NULL is fine. */
struct ks_upstream *ks_upstream_new(const struct ks_upstream_options *options);
void ks_upstream_free(struct ks_upstream *upstream);

/* Items under way. */
size_t ks_upstream_count(const struct ks_upstream *upstream);

/*
 * The share of an account. Two accounts may have the same one, which costs them room, and nobody
 * else; an account's number is not its owner's choice.
 */
uint32_t ks_upstream_share(ks_bytes account);

/*
 * Sends an item, which is the upstream's until done.
 * Fails: THROTTLED (KS_UPSTREAM_ITEMS_MAX are under way, or KS_UPSTREAM_SHARE_MAX of this share:
 * one account leaves room for others; nothing was taken).
 */
KS_MUST_USE ks_result ks_upstream_send(struct ks_upstream *upstream, struct ks_upstream_item *item,
                                       int64_t now_ns);

/* Between the two, items are collected and not sent: for a caller that has many at once. */
void ks_upstream_cork(struct ks_upstream *upstream);
void ks_upstream_uncork(struct ks_upstream *upstream, int64_t now_ns);

/* A stream to the peer of that index was opened: it can be sent to. */
void ks_upstream_opened(struct ks_upstream *upstream, size_t index, int64_t now_ns);
/* That peer has accepted the stream. */
void ks_upstream_accepted(struct ks_upstream *upstream, size_t index);
/* What waits for that peer can be sent. */
void ks_upstream_writable(struct ks_upstream *upstream, size_t index, int64_t now_ns);
/* Fails: VALIDATION (not an ExecuteResponse; the stream must be closed). */
KS_MUST_USE ks_result ks_upstream_received(struct ks_upstream *upstream, size_t peer,
                                           ks_bytes message, int64_t now_ns);
/* The stream is over; what it had goes to others. */
void ks_upstream_closed(struct ks_upstream *upstream, size_t index, int64_t now_ns);
/* Time has passed. */
void ks_upstream_tick(struct ks_upstream *upstream, int64_t now_ns);
