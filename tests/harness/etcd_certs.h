/*
 * etcd_certs: throw-away certificates for a cell of tests, made with the openssl command.
 *
 * Threads: one; it forks.
 */
#pragma once

/*
 * Writes to folder: ca.pem, ca.key; member.pem, member.key (server and peer, for 127.0.0.1);
 * client.pem, client.key (no CN); foreign.pem, foreign.key (a client of another root, foreign-ca).
 * Ends the program when openssl fails.
 */
void etcd_certs_make(const char *folder);

/* Replaces client.pem and client.key by new ones of the same root, each by one rename. */
void etcd_certs_renew_client(const char *folder);
