/*
 * certificate: when the certificate of a peer ends, for listeners (ks_rpc_server_options.not_after_s).
 *
 * Threads: any.
 */
#pragma once

#include <stdint.h>

/* How long a connection between processes lasts: then it is made anew, with what counts by then. */
#define KS_PROCESS_CONNECTION_MS (60LL * 60 * 1000)

/* Returns the end of a certificate (PEM) in seconds since 1970; 0 if it can't be read. */
int64_t ks_process_not_after_s(const char *certificate_pem);
