/*
 * check: looks at the bytes of a backup as they pass, without its keys: whether they are a whole
 * backup, just as it was written. It keeps the beginning of the backup and one segment.
 *
 * Threads: one.
 */
#pragma once

#include <stdint.h>

#include "pkg/backup/front.h"
#include "pkg/base/bytes.h"

struct ks_backup_check;

/* What was found. */
struct ks_backup_facts {
    struct ks_backup_header header;
    uint64_t len; /* bytes of the whole */
};

/* Makes a check, which has seen nothing yet; never NULL. Free it with ks_backup_check_free. */
struct ks_backup_check *ks_backup_check_new(void);
void ks_backup_check_free(struct ks_backup_check *check);

/*
 * Looks at the next bytes. After a failure the check can only be freed.
 * Fails: INVALID_CIPHERTEXT (they are of no backup, or damaged), UNSUPPORTED (of a version that is
 * not known here), INTERNAL (OpenSSL).
 */
KS_MUST_USE ks_result ks_backup_check_push(struct ks_backup_check *check, ks_bytes bytes);

/*
 * Says that there are no more bytes. The check can only be freed afterwards.
 * ret_facts  written on success only.
 * Fails: as above; INVALID_CIPHERTEXT (the backup is cut short).
 */
KS_MUST_USE ks_result ks_backup_check_end(struct ks_backup_check *check,
                                          struct ks_backup_facts *ret_facts);

/*
 * Returns what the header says, borrowed from check; NULL while it has not passed yet.
 */
const struct ks_backup_header *ks_backup_check_header(const struct ks_backup_check *check);

/* Cleanup for `KS_BACKUP_CHECK_AUTO *check`. */
void ks_backup_check_free_at(struct ks_backup_check **check);
#define KS_BACKUP_CHECK_AUTO KS_CLEANUP(ks_backup_check_free_at) struct ks_backup_check
