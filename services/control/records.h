/*
 * records: the control plane's records, their keys in its store and their forms.
 *
 *   account/<12 digits>            AccountRecord
 *   user/<12 digits>/<name>        UserRecord
 *   certificate/<serial, hex>      CertificateRecord
 *   request/<hex SHA-256>          RequestRecord: exactly once (design, promise 3)
 *
 * The first three are what regions mirror. Threads: pure over the arguments; any.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "keystead/storage/v1/storage.pb-c.h"
#include "pkg/base/arena.h"
#include "pkg/base/bytes.h"
#include "pkg/store/store.h"

#define KS_SERIAL_HEX_MAX 40U

struct ks_record_key {
    char text[KS_STORE_KEY_LEN_MAX];
    size_t len;
};

struct ks_record_key ks_account_key(const char *account);
struct ks_record_key ks_user_key(const char *account, const char *name);
struct ks_record_key ks_certificate_key(const char *serial_hex);

/* Whose hash is over the caller, the method and request_id, each with its length. */
struct ks_record_key ks_request_key(const char *principal, const char *method,
                                    const char *request_id);

ks_bytes ks_record_key_bytes(const struct ks_record_key *key);

/* What the keys of records begin with that regions mirror. */
#define KS_RECORD_MIRRORED_COUNT 3U
extern const char *const ks_record_mirrored[KS_RECORD_MIRRORED_COUNT];
bool ks_record_is_mirrored(ks_bytes key);

/* 2 to KS_SERIAL_HEX_MAX lower-case hex digits. */
bool ks_serial_is_valid(const char *text);

/*
 * Reads a stored record into arena, which it lasts as long as.
 * ret_revision  its mod revision. Written on success only, as ret_record is.
 * Fails: NOT_FOUND (it stands nowhere), CORRUPT (not this form, or of a newer format).
 */
KS_MUST_USE ks_result ks_account_load(const struct ks_store_view *view, const char *account,
                                      struct ks_arena *arena,
                                      Keystead__Storage__V1__AccountRecord **ret_record,
                                      int64_t *ret_revision);
KS_MUST_USE ks_result ks_user_load(const struct ks_store_view *view, const char *account,
                                   const char *name, struct ks_arena *arena,
                                   Keystead__Storage__V1__UserRecord **ret_record,
                                   int64_t *ret_revision);
KS_MUST_USE ks_result ks_certificate_load(const struct ks_store_view *view, const char *serial_hex,
                                          struct ks_arena *arena,
                                          Keystead__Storage__V1__CertificateRecord **ret_record,
                                          int64_t *ret_revision);

/* A record from its bytes. Fails: CORRUPT, as above; ret_record is unchanged. */
KS_MUST_USE ks_result ks_account_read(ks_bytes value, struct ks_arena *arena,
                                      Keystead__Storage__V1__AccountRecord **ret_record);
KS_MUST_USE ks_result ks_user_read(ks_bytes value, struct ks_arena *arena,
                                   Keystead__Storage__V1__UserRecord **ret_record);
KS_MUST_USE ks_result ks_certificate_read(ks_bytes value, struct ks_arena *arena,
                                          Keystead__Storage__V1__CertificateRecord **ret_record);
KS_MUST_USE ks_result ks_request_read(ks_bytes value, struct ks_arena *arena,
                                      Keystead__Storage__V1__RequestRecord **ret_record);
