/* identity_fixture: makes records of the control plane's store, for tests. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/signedset/signedset_fixture.h"

/* Each appends the bytes of a record. */
void fixture_account(const char *account, struct ks_buffer *value);
void fixture_user(const char *account, const char *user, const char *user_id,
                  struct ks_buffer *value);
void fixture_certificate(const char *account, const char *user, const char *user_id,
                         int64_t revoked_at_ms, struct ks_buffer *value);

#define FIXTURE_NOT_AFTER_MS 4000000000000LL /* of each certificate */

/* A WatchIdentitiesResponse that is made record by record: a whole transfer, unless it says else. */
struct fixture_message {
    bool goes_on; /* it is not the first of its transfer */
    bool snapshot;
    struct fixture_record {
        char key[128];
        struct ks_buffer value;
        bool deleted;
        int64_t revision;
    } records[8];
    size_t count;
    struct ks_buffer head; /* empty: it is not the last of its transfer */
};

void fixture_add(struct fixture_message *message, const char *key, const struct ks_buffer *value,
                 int64_t revision);
void fixture_add_account(struct fixture_message *message, const char *account, int64_t revision);
void fixture_delete(struct fixture_message *message, const char *key, int64_t revision);

/* Makes the set what it is after the message's records. */
void fixture_apply(const struct fixture_message *message, struct fixture_set *set);

/* Appends the message's bytes and frees its records and its head. */
void fixture_pack(struct fixture_message *message, struct ks_buffer *bytes);
