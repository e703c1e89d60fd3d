/*
 * trailer: how a gRPC call ended, read from the header lines of an HTTP/2 answer. For this folder
 * only.
 *
 * gRPC over HTTP/2: grpc-status and grpc-message come in the trailers, or with the headers if the
 * answer has no body. An HTTP status other than 200 comes from no gRPC server.
 *
 * Threads: pure over the arguments; any.
 */
#pragma once

#include "pkg/base/bytes.h"
#include "pkg/etcd/message.h"

#define KS_ETCD_WORDS_MAX 256U

/* The zero value is that of an answer of which nothing has come. */
struct ks_etcd_trailer {
    bool has_status;
    bool is_bad;     /* the status is no number, or comes twice with different ones */
    unsigned status; /* gRPC's code; 0: done */
    size_t words_len;
    char words[KS_ETCD_WORDS_MAX]; /* etcd's text, cut to what fits; any bytes */
};

/* Takes a header line, with or without its line end. Lines that do not matter change nothing. */
void ks_etcd_trailer_line(struct ks_etcd_trailer *trailer, ks_bytes line);

/*
 * Returns what the end of a whole answer means: DONE, or why the call was not done. UNKNOWN where
 * nothing is certain, as without a status. REFUSED for HTTP's 401 and 403.
 */
enum ks_etcd_cause ks_etcd_trailer_cause(const struct ks_etcd_trailer *trailer, long http_status);

/* Returns etcd's text; empty if there is none. Borrowed from trailer. */
ks_bytes ks_etcd_trailer_words(const struct ks_etcd_trailer *trailer);
