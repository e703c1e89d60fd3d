/*
 * etcd_certs: the certificates of an etcd cell (tests/harness/certificates).
 *
 * Threads: one.
 */
#pragma once

/*
 * Writes to folder: ca.pem, ca.key; member.pem, member.key (server and peer, for 127.0.0.1);
 * client.pem, client.key; foreign.pem, foreign.key (a client of another root, foreign-ca).
 * Whatever goes wrong ends the program.
 */
void etcd_certs_make(const char *folder);

/* Replaces client.pem and client.key by new ones of the same root, each by one rename. */
void etcd_certs_renew_client(const char *folder);
