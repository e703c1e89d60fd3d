/*
 * channel: what calls and streams of a client share: the connection in use and the one that may
 * replace it, and the list of what is under way.
 *
 * Private to pkg/rpc. Threads: any, unless said otherwise.
 */
#pragma once

#include <grpc/grpc.h>

#include "pkg/rpc/client.h"

struct ks_rpc_connection; /* a channel of the library; counted */

/* Embedded in what is under way. */
struct ks_rpc_use {
    struct ks_rpc_use *next; /* in the channel's ring */
    struct ks_rpc_use *previous;
    struct ks_rpc_channel *channel;
    struct ks_rpc_connection *connection;
    void (*cancel)(struct ks_rpc_use *use); /* under the channel's lock; must not block */
};

/*
 * Makes a call on the connection of the moment and begins its use.
 * deadline_ms  from now; 0: none.
 */
grpc_call *ks_rpc_use_begin(struct ks_rpc_channel *channel, struct ks_rpc_use *use,
                            const char *method, int64_t deadline_ms);

/* Lets the channel cancel it, from here on; at once if the channel is closing. */
void ks_rpc_use_expose(struct ks_rpc_use *use);

/* Ends it: cancel is not called any more, and the channel may be gone afterwards. Loop. */
void ks_rpc_use_end(struct ks_rpc_use *use);

struct ks_rpc_loop *ks_rpc_channel_loop(const struct ks_rpc_channel *channel);
size_t ks_rpc_channel_message_bytes_max(const struct ks_rpc_channel *channel);
