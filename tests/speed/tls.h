/*
 * tls: gRPC credentials from PEM files, for the tools of this folder.
 *
 * Threads: one, at start. Whatever cannot be read ends the program with a message.
 */
#pragma once

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>

struct tls_files {
    const char *ca;   /* whom to trust */
    const char *cert; /* whom to be */
    const char *key;
};

/* The caller's to release once they were given to a channel, or to a port. */
grpc_channel_credentials *tls_client(const struct tls_files *files);

/* The same; a client without a certificate under ca is refused. */
grpc_server_credentials *tls_server(const struct tls_files *files);

/* A whole file as a slice; the caller's to unref. */
grpc_slice tls_read_file(const char *path);
