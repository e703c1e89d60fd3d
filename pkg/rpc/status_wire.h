/*
 * status_wire: writes and reads a status in the form in which gRPC sends it.
 *
 * Private to pkg/rpc. Threads: values.
 */
#pragma once

#include <grpc/grpc.h>

#include "pkg/rpc/status.h"

/* Ready to send; owns its slices. */
struct ks_rpc_sent_status {
    grpc_status_code code;
    grpc_slice text;
    grpc_metadata details; /* grpc-status-details-bin */
    size_t details_count;  /* 0: success has none */
};

void ks_rpc_sent_status_init(struct ks_rpc_sent_status *sent, const struct ks_rpc_status *status);
void ks_rpc_sent_status_done(struct ks_rpc_sent_status *sent);

/* Returns the operation that sends the status. It borrows from sent until its batch is done. */
grpc_op ks_rpc_sent_status_op(struct ks_rpc_sent_status *sent);

/* Reads what a client received; all borrowed. error is written in any case: KS_OK for success. */
void ks_rpc_error_read(struct ks_rpc_error *error, grpc_status_code code, const grpc_slice *text,
                       const grpc_metadata_array *trailing);

/* Makes the error of which only the code is known. */
void ks_rpc_error_of_code(struct ks_rpc_error *error, ks_code code);
