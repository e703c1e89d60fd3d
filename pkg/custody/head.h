/*
 * head: the bytes that a key block and its boxes have in common, and the keys of nesting that are
 * bound to them. Private to the folder.
 *
 * Threads: pure over the arguments; any thread.
 */
#pragma once

#include "pkg/custody/block.h"

struct ks_reader;

/* One layer of nesting: which subset, and whose turn it is. */
struct ks_layer {
    ks_bytes head;
    uint8_t subset;
    uint8_t position;
};

#define KS_LAYER_BOUND_MAX (KS_CUSTODY_HEAD_MAX + 2U)

/*
 * Reads a head.
 * ret_head  unspecified when it is malformed.
 * Returns whether it is well formed.
 */
bool ks_custody_head_read(struct ks_reader *in, struct ks_custody_head *ret_head);

/*
 * Appends the head of a block.
 * out  after a failure it may hold a part of the head.
 * Fails: LIMIT_EXCEEDED (the buffer's cap), INTERNAL.
 */
KS_MUST_USE ks_result ks_custody_head_append(const struct ks_block_maker *maker,
                                             struct ks_buffer *out);

/*
 * Derives the key of a layer from what the custodian's key and the ephemeral key agree on.
 * ret_key  the caller's to wipe. Written on success only.
 * Fails: INTERNAL (OpenSSL).
 */
KS_MUST_USE ks_result ks_layer_key(struct ks_crypto *crypto, const ks_secret *shared,
                                   const struct ks_layer *layer, ks_secret *ret_key);

/* Writes what the seal of a layer binds; returns it, borrowed from place. */
ks_bytes ks_layer_bound(const struct ks_layer *layer, uint8_t place[static KS_LAYER_BOUND_MAX]);

/* Returns how long what a box at that position holds is, sealed. */
size_t ks_layer_sealed_len(uint8_t needed, uint8_t position);
