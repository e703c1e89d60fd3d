/* identity_fixture: makes records of the control plane's store, for tests. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "pkg/base/bytes.h"

/* Each appends the bytes of a record. */
void fixture_account(const char *account, struct ks_buffer *value);
void fixture_user(const char *account, const char *user, const char *user_id,
                  struct ks_buffer *value);
void fixture_certificate(const char *account, const char *user, const char *user_id,
                         int64_t revoked_at_ms, struct ks_buffer *value);

#define FIXTURE_NOT_AFTER_MS 4000000000000LL /* of each certificate */

/* A WatchIdentitiesResponse that is made record by record. */
struct fixture_message {
    const char *epoch;
    int64_t revision;
    bool snapshot;
    bool snapshot_end;
    struct fixture_record {
        char key[128];
        struct ks_buffer value;
        bool deleted;
    } records[8];
    size_t count;
};

void fixture_add(struct fixture_message *message, const char *key, const struct ks_buffer *value);
void fixture_add_account(struct fixture_message *message, const char *account);
void fixture_delete(struct fixture_message *message, const char *key);

/* Appends the message's bytes and frees its records. */
void fixture_pack(struct fixture_message *message, struct ks_buffer *bytes);
