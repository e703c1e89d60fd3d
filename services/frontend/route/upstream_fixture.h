/*
 * upstream_fixture: an upstream whose streams are arrays and whose time is a number.
 *
 * Threads: the test's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "services/frontend/route/item.h"
#include "services/frontend/route/upstream.h"

#define PEERS    3
#define PATIENCE 300
#define MUTATION 1000
#define SENT_MAX 1024

/* What was written to a keystore. */
struct fake_peer {
    bool ready;
    bool broken;
    uint64_t tags[SENT_MAX]; /* of the items it got, in order */
    size_t tag_count;
    size_t message_count;
    size_t largest; /* items in one message */
};

extern struct fake_peer peers[PEERS];
extern struct ks_upstream *upstream;
extern int64_t now_ms;
extern bool armed;

/* An item with what came of it. */
struct probe {
    struct ks_upstream_item item;
    int done;
    ks_code code;
};

/* Before and after each test. The second of the keystores is of our zone, and first for mutations. */
int upstream_setup(void **state);
/* The same, but mutations go to the first one, then to the second, then to the third. */
int upstream_setup_apart(void **state);
int upstream_teardown(void **state);

int64_t now_ns(void);

/* Notes what became of a probe's item; its `done`. */
void on_done(struct ks_upstream_item *item, const struct ks_item_result *result);

/* Sends an item: of that share of accounts, of the next share, any, of that kind. */
ks_code send_of(uint32_t share, struct probe *probe, int64_t deadline_ms);
ks_code send_until(struct probe *probe, int64_t deadline_ms);
void send_probe(struct probe *probe);
void send_kind(bool mutating, struct probe *probe);

/* The keystore answers an item. */
void answer(size_t peer, uint64_t tag, ks_code code);

/* The tag of the item that the keystore got last. */
uint64_t last_tag(size_t peer);

/* Time passes, with the ticks that were asked for. */
void pass(int64_t ms);
