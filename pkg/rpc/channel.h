/*
 * channel: what the calls and streams of a client share: the connection in use, the one that may
 * replace it, and the list of the calls and streams that are under way.
 *
 * Private to pkg/rpc. Threads: any, unless said otherwise.
 */
#pragma once

#include <grpc/grpc.h>

#include "pkg/rpc/client.h"

struct ks_rpc_connection; /* a channel of the library; counted */

/* The part of a call or stream that the channel keeps in its list. */
struct ks_rpc_use {
    struct ks_rpc_use *next; /* in the channel's ring */
    struct ks_rpc_use *previous;
    struct ks_rpc_channel *channel;
    struct ks_rpc_connection *connection;
    void (*cancel)(struct ks_rpc_use *use); /* under the channel's lock; must not block */
};

/*
 * Makes a call on the present connection and puts its use on the list.
 * deadline_ms  from now; 0: none.
 */
grpc_call *ks_rpc_use_begin(struct ks_rpc_channel *channel, struct ks_rpc_use *use,
                            const char *method, int64_t deadline_ms);

/* Lets the channel cancel the use from now on. If the channel is closing, cancels it at once. */
void ks_rpc_use_expose(struct ks_rpc_use *use);

/*
 * Ends the use: cancel is not called any more, and the channel may be gone afterwards. To be called
 * on the loop's thread.
 */
void ks_rpc_use_end(struct ks_rpc_use *use);

struct ks_rpc_loop *ks_rpc_channel_loop(const struct ks_rpc_channel *channel);
size_t ks_rpc_channel_message_bytes_max(const struct ks_rpc_channel *channel);
