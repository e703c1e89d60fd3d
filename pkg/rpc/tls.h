/*
 * tls: names the files that are this process's identity on a connection, which always is mutual TLS
 * 1.3.
 *
 * The files are looked at again for each new connection that a server takes, and every few
 * seconds by a channel (client.h). A changed file counts from the next connection on. A pair that
 * does not fit together, or cannot be read, leaves the last good one in use.
 * A program that renews them must replace the files by rename, the key first, the certificate last.
 *
 * Threads: a value; the function that takes it copies the strings.
 */
#pragma once

#define KS_RPC_PEM_MAX (256U * 1024U) /* bytes in one file */

struct ks_rpc_tls {
    const char *ca_file;   /* PEM: the roots that the other side must chain to */
    const char *cert_file; /* PEM: our certificate, then its intermediates */
    const char *key_file;  /* PEM: its private key */
};
