/*
 * server_core: what the parts of a server share. server.c makes and ends it, intake.c takes calls
 * in, call.c answers unary ones, health.c and reflection.c are the services that it brings.
 *
 * Private to pkg/rpc.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <grpc/grpc.h>

#include "pkg/rpc/identity.h"
#include "pkg/rpc/message.h"
#include "pkg/rpc/peer.h"
#include "pkg/rpc/server.h"
#include "pkg/rpc/status_wire.h"
#include "pkg/rpc/tag.h"

#define KS_RPC_BUILTINS_MAX 4U /* rows that every server has */
#define KS_RPC_ROWS_MAX     (KS_RPC_METHODS_MAX + KS_RPC_BUILTINS_MAX)

#define KS_RPC_HEALTH_SERVICE    "/grpc.health.v1.Health/"
#define KS_RPC_BUILTIN_BYTES_MAX 4096U /* a request of health or reflection: one name */

struct ks_rpc_health;
struct ks_rpc_reflection;

/* One address. The probe's listener answers health calls only, and admits every peer. */
struct ks_rpc_listener {
    struct ks_rpc_server *server;
    grpc_server *core; /* NULL: there is none */
    int port;
    bool is_probe;
    void *registered[KS_RPC_ROWS_MAX]; /* the library's handle of each row; NULL: not served here */
    struct ks_rpc_tag on_shutdown;
};

/* The part of a server that lives on one loop. */
struct ks_rpc_lane {
    struct ks_rpc_server *server;
    struct ks_rpc_loop *loop;
    struct ks_rpc_peers peers;
};

struct ks_rpc_server {
    struct ks_rpc_server_options options; /* with the defaults put in */
    struct ks_rpc_identity *identity;
    struct ks_rpc_listener main;
    struct ks_rpc_listener probe;
    struct ks_rpc_lane lanes[KS_RPC_LOOPS_MAX];
    struct ks_rpc_method rows[KS_RPC_ROWS_MAX]; /* the owner's, then ours */
    size_t row_count;
    struct ks_rpc_health *health;
    struct ks_rpc_reflection *reflection;

    atomic_size_t calls;   /* unary, in progress */
    atomic_size_t streams; /* in progress */

    /* Guards what follows. Only the thread that shuts the server down waits for a change of it. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t objects;   /* calls asked for or in progress: each holds the server */
    size_t listening; /* listeners that are not shut down */
    bool drained;
};

/* Asks the library for calls, on every lane. The listener has been started. */
void ks_rpc_listener_serve(struct ks_rpc_listener *listener);

/* Counts the objects that hold the server. Any thread. */
void ks_rpc_server_hold(struct ks_rpc_server *server);
void ks_rpc_server_release(struct ks_rpc_server *server);

/*
 * A call: first asked for, then in a handler's hands, then being answered. For a stream it is only
 * the shell that keeps the peer until the stream has ended.
 */
struct ks_rpc_call {
    struct ks_rpc_listener *listener;
    struct ks_rpc_lane *lane;
    const struct ks_rpc_method *row; /* NULL: a method that nobody has */
    size_t row_index;

    grpc_call *core;
    gpr_timespec deadline;
    grpc_metadata_array metadata;
    grpc_call_details details; /* without a row */
    grpc_byte_buffer *payload; /* with a unary row: what was received last, then NULL */
    struct ks_rpc_tag on_new;
    struct ks_rpc_known_peer *peer;

    /* Unary only. */
    struct ks_rpc_message request;
    grpc_byte_buffer *response;
    struct ks_rpc_sent_status status;
    struct ks_rpc_tag on_rest;
    struct ks_rpc_tag on_sent;
    struct ks_rpc_tag on_closed;
    bool counted;         /* in the server's calls; on_rest sets it */
    bool closing;         /* whether on_closed was asked for; otherwise the answer's batch does */
    int closed_early;     /* the library says here whether the client gave up */
    size_t pending;       /* batches whose event must come before it is freed; loop's thread */
    atomic_bool answered; /* exactly once */
    atomic_bool gone;     /* the client has given up */
};

/* Frees it, with what it still owns; lets go of the server. */
void ks_rpc_call_free(struct ks_rpc_call *call);

/* Takes a unary call that came in: to its handler if admitted, else refused. On its loop. */
void ks_rpc_call_serve(struct ks_rpc_call *call, ks_result admitted);

/* The services' rows. */
extern const struct ks_rpc_stream_callbacks ks_rpc_health_watch;
extern const struct ks_rpc_stream_callbacks ks_rpc_reflect;
void ks_rpc_health_check(void *user, struct ks_rpc_call *call);
struct ks_rpc_health *ks_rpc_health_new(void);
void ks_rpc_health_free(struct ks_rpc_health *health);
/* Sets every service to NOT_SERVING for good, whatever is set later. */
void ks_rpc_health_stop(struct ks_rpc_health *health);
/* Ends the watches, which would otherwise hold the server until its grace is over. */
void ks_rpc_health_end_watches(struct ks_rpc_health *health);

struct ks_rpc_reflection *ks_rpc_reflection_new(const struct ks_rpc_server *server);
/* Returns whether the method with that path ("/x.Y/Z") is in the descriptors. */
bool ks_rpc_reflection_describes(const struct ks_rpc_reflection *reflection, const char *path);
void ks_rpc_reflection_free(struct ks_rpc_reflection *reflection);
