/*
 * signedset_fixture: a control plane for tests, as far as followers see it: a set of records, and the
 * key that signs its heads.
 *
 * Threads: one.
 */
#pragma once

#include "pkg/signedset/head.h"

#define FIXTURE_RECORDS_MAX 64U

struct fixture_signer;

/*
 * Makes a signer, whose certificate is of the root in these PEM files; NULL: of a root of its own. ks_crypto_init
 * must have been called.
 */
struct fixture_signer *fixture_signer_new(const char *root_file, const char *key_file);
void fixture_signer_free(struct fixture_signer *signer);
/* The root, PEM, borrowed from the signer. */
ks_bytes fixture_signer_root(const struct fixture_signer *signer);
/* Writes the root to a file. */
void fixture_signer_write_root(const struct fixture_signer *signer, const char *path);

/* A value; fixture_set_done frees what it holds. */
struct fixture_set {
    struct {
        char *key;
        char *value;
        size_t value_len;
        int64_t revision;
    } records[FIXTURE_RECORDS_MAX];
    size_t count;
    const char *history; /* of its heads; NULL: "history-1". Borrowed */
    int64_t since;
};

void fixture_set_put(struct fixture_set *set, const char *key, ks_bytes value, int64_t revision);
void fixture_set_delete(struct fixture_set *set, const char *key);
void fixture_set_done(struct fixture_set *set);

/*
 * Appends the signed head of the set as it is; the cap of out is set. A number below 2^32 stands for
 * the one that is as many ms after the certificate's begin.
 */
void fixture_set_sign(const struct fixture_set *set, const struct fixture_signer *signer,
                      const char *epoch, int64_t revision, uint64_t number, struct ks_buffer *out);

/* Appends a head with that sum, and completes *head; without a history it gets "history-1". */
void fixture_sign_sum(const struct fixture_signer *signer, const struct ks_set_sum *sum,
                      struct ks_head *head, struct ks_buffer *out);
