/*
 * connections: the connections of one run of the program. A call goes to the first of several
 * addresses. When that one cannot answer, the call goes to the next, and around again, until the
 * time that the caller gave is over. A mutation can thus arrive twice and must carry a request_id.
 *
 * Threads: one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/base/result.h"
#include "pkg/rpc/status.h"
#include "pkg/rpc/tls.h"

#define KS_CONNECTIONS_ADDRESSES_MAX 64U  /* of one door */
#define KS_CONNECTIONS_CHANNELS_MAX  192U /* of one run */
#define KS_CONNECTIONS_ADDRESS_LEN   256U /* bytes of one, NUL included */
#define KS_CONNECTIONS_SPIFFE_LEN    256U /* likewise */
#define KS_CONNECTIONS_FRESH_S       15   /* seconds that a new certificate may take to be known */
#define KS_CONNECTIONS_TRY_MS        5000 /* longest for one try */

struct ks_connections;
struct ks_rpc_channel;

/* The server that a call is for. All borrowed for the call. */
struct ks_door {
    const char *addresses; /* "host:port,host:port" */
    const char *spiffe;    /* of the server, as in ks_rpc_channel_options */
    struct ks_rpc_tls tls;
};

/* Makes an empty set, never NULL; the RPC library starts with the first call. Free it below. */
struct ks_connections *ks_connections_new(void);

/* Closes all connections. NULL is allowed. */
void ks_connections_free(struct ks_connections *connections);

struct ks_outgoing {
    const char *method;
    ks_bytes request;
    int64_t patience_ms; /* of all tries together; above 0 */
    bool repeatable;     /* doing it twice is harmless: CONFLICT is tried again, too */
};

/*
 * Calls a method, and repeats the call after UNAVAILABLE, DEADLINE and THROTTLED while there is
 * time; after UNAUTHENTICATED, too, with a certificate that is younger than KS_CONNECTIONS_FRESH_S:
 * the region may not have heard of it yet.
 *
 * ret_response  the response is appended to it, on success only.
 * reterr_error  the last try's error; unspecified after a success.
 *
 * Fails: what the server answered; UNAVAILABLE, DEADLINE; VALIDATION (an address or a file of the
 * certificate is not there; error->text says which); LIMIT_EXCEEDED (ret_response is full).
 */
KS_MUST_USE ks_result ks_connections_call(struct ks_connections *connections,
                                          const struct ks_door *door,
                                          const struct ks_outgoing *call,
                                          struct ks_buffer *ret_response,
                                          struct ks_rpc_error *reterr_error);

/*
 * Finds or makes the channel to one address, for a caller that does not wait for its calls one by
 * one. The channel belongs to connections.
 *
 * ret_channel   written on success only.
 * reterr_error  written on failure only.
 *
 * Fails: VALIDATION (the address is too long or one too many, or a file of the certificate can't be
 * read or used; error->text says which).
 */
KS_MUST_USE ks_result ks_connections_channel(struct ks_connections *connections,
                                             const struct ks_door *door, const char *address,
                                             struct ks_rpc_channel **ret_channel,
                                             struct ks_rpc_error *reterr_error);

/*
 * Returns the end of a text of the library about a failed connection, which says what failed; the
 * text before it lists the layers that the failure went through. Borrowed from text.
 */
const char *ks_connections_cause(const char *text);
