/*
 * front: how a backup begins (proto/formats/backup-v1.md): a header in the clear, and the key
 * block, in which an hsm has sealed what the custodians need to open the backup. Nothing here opens
 * a key block.
 *
 * Threads: values; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/base/result.h"
#include "pkg/form/names.h"

#define KS_BACKUP_MAGIC_LEN      8U
#define KS_BACKUP_ID_LEN         16U
#define KS_BACKUP_ID_TEXT_LEN    36U /* of a UUID, without its NUL */
#define KS_BACKUP_EPOCH_LEN_MAX  39U
#define KS_BACKUP_CUSTODIANS_MAX 5U
#define KS_BACKUP_HEADER_LEN_MAX 133U
#define KS_BACKUP_KEY_BLOCK_MAX  65536U
#define KS_BACKUP_FRONT_LEN_MAX  (KS_BACKUP_HEADER_LEN_MAX + 4U + KS_BACKUP_KEY_BLOCK_MAX)

/* What a backup says of itself to everybody. */
struct ks_backup_header {
    uint8_t id[KS_BACKUP_ID_LEN]; /* random, of this backup */
    char region[KS_REGION_LEN_MAX + 1];
    char epoch[KS_BACKUP_EPOCH_LEN_MAX + 1]; /* of the cell's store; "": of one node alone */
    int64_t revision;                        /* that all records are read at; above 0 */
    int64_t time_ms;                         /* cell time when they were read; above 0 */
    uint32_t period;                         /* of the custodians' kit; above 0 */
    uint8_t threshold;                       /* so many custodians open it, 1 to custodians */
    uint8_t custodians;                      /* that the kit has, up to KS_BACKUP_CUSTODIANS_MAX */
    uint32_t generation;                     /* of the domain key that is current; above 0 */
    uint64_t key_count;                      /* how many live keys are among the records */
};

/* Returns whether every field is within the limits that its line says. */
bool ks_backup_header_is_valid(const struct ks_backup_header *header);

/*
 * Appends a header. An hsm binds its key block to these bytes.
 * Fails: VALIDATION (a field is not within its limits), LIMIT_EXCEEDED (the buffer's cap). out is
 * unchanged after a failure.
 */
KS_MUST_USE ks_result ks_backup_header_write(const struct ks_backup_header *header,
                                             struct ks_buffer *out);

/*
 * Writes the id of a backup as a UUID, with its NUL. It cannot fail.
 * ret_text  the caller's.
 */
void ks_backup_id_text(const uint8_t id[static KS_BACKUP_ID_LEN],
                       char ret_text[static KS_BACKUP_ID_TEXT_LEN + 1]);

/* How a backup begins, taken apart. */
struct ks_backup_front {
    struct ks_backup_header header;
    ks_bytes header_bytes; /* borrowed, as are the next two, from the bytes that were read */
    ks_bytes key_block;
    ks_bytes bytes; /* all of it */
};

/*
 * Appends header and key block.
 * header_bytes  what ks_backup_header_write made.
 * Fails: VALIDATION (the key block is empty or over KS_BACKUP_KEY_BLOCK_MAX), LIMIT_EXCEEDED (the
 * buffer's cap). out is unchanged after a failure.
 */
KS_MUST_USE ks_result ks_backup_front_write(ks_bytes header_bytes, ks_bytes key_block,
                                            struct ks_buffer *out);

/* Returns whether bytes begin as a backup does. Fewer than KS_BACKUP_MAGIC_LEN bytes begin none. */
bool ks_backup_is(ks_bytes bytes);

/*
 * Reads how a backup begins.
 *
 * bytes      the first ones of a backup: all of it, or at least KS_BACKUP_FRONT_LEN_MAX; what
 *            stands behind the front is not looked at.
 * ret_front  written on success only.
 *
 * Fails: INVALID_CIPHERTEXT (it is no backup, is cut short, or a field is not within its limits),
 * UNSUPPORTED (it is of a version or algorithm that is not known here).
 */
KS_MUST_USE ks_result ks_backup_front_read(ks_bytes bytes, struct ks_backup_front *ret_front);
