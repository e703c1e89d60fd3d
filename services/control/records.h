/*
 * records: the control plane's records, their keys in its store and their forms.
 *
 *   account/<12 digits>            AccountRecord
 *   user/<12 digits>/<name>        UserRecord
 *   certificate/<serial, hex>      CertificateRecord
 *   request/<hex SHA-256>          RequestRecord: exactly once, of pkg/attempt
 *
 * The first three are what regions mirror. Threads: pure over the arguments; any.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "pkg/record/record.h"

#define KS_SERIAL_HEX_MAX 40U

/* Not NUL-terminated. */
struct ks_record_key {
    char text[KS_STORE_KEY_LEN_MAX];
    size_t len;
};

/* Names are in their form, which makes every key fit: a longer one is a programmer error. */
struct ks_record_key ks_account_key(const char *account);
struct ks_record_key ks_user_key(const char *account, const char *name);
struct ks_record_key ks_certificate_key(const char *serial_hex);

/* Returns the key's bytes, borrowed from it. */
ks_bytes ks_record_key_bytes(const struct ks_record_key *key);

/* The keys of the records that regions mirror begin with these, which stand in their order. */
#define KS_RECORD_MIRRORED_COUNT 3U
extern const char *const ks_record_mirrored[KS_RECORD_MIRRORED_COUNT];

/* Returns whether a key begins with one of them. */
bool ks_record_is_mirrored(ks_bytes key);

/* Returns whether text is 2 to KS_SERIAL_HEX_MAX lower-case hex digits. */
bool ks_serial_is_valid(const char *text);

/*
 * Looks a record up and reads it into arena, which it lasts as long as.
 * ret_record, ret_revision  the record and the revision of its last change; unchanged on failure.
 *
 * Fails: NOT_FOUND (there is no such record), CORRUPT (its bytes have not its form, or one of a
 * newer program; a user's account or name is no name of one), LIMIT_EXCEEDED (the arena is full).
 */
KS_MUST_USE ks_result ks_account_load(const struct ks_store_view *view, const char *account,
                                      struct ks_arena *arena, STORED(AccountRecord) * *ret_record,
                                      int64_t *ret_revision);
KS_MUST_USE ks_result ks_user_load(const struct ks_store_view *view, const char *account,
                                   const char *name, struct ks_arena *arena,
                                   STORED(UserRecord) * *ret_record, int64_t *ret_revision);
KS_MUST_USE ks_result ks_certificate_load(const struct ks_store_view *view, const char *serial_hex,
                                          struct ks_arena *arena,
                                          STORED(CertificateRecord) * *ret_record,
                                          int64_t *ret_revision);

/*
 * Reads a record from its bytes into arena. ret_record is unchanged on failure.
 * Fails: CORRUPT, LIMIT_EXCEEDED (as above).
 */
KS_MUST_USE ks_result ks_account_read(ks_bytes value, struct ks_arena *arena,
                                      STORED(AccountRecord) * *ret_record);
KS_MUST_USE ks_result ks_user_read(ks_bytes value, struct ks_arena *arena,
                                   STORED(UserRecord) * *ret_record);
KS_MUST_USE ks_result ks_certificate_read(ks_bytes value, struct ks_arena *arena,
                                          STORED(CertificateRecord) * *ret_record);
