/*
 * take: carries out TakeBackup. A worker reads all records of the cell from one view of the copy,
 * which is one revision, and sends them as a backup (pkg/backup) to the operator who has called.
 *
 * Nothing stops meanwhile. The price: a view keeps LMDB from using pages again that were freed
 * after it was opened, so the copy's file grows by what is written while the backup runs, about 50
 * to 100 KiB for each transaction under load, and keeps that size (it is used again later). So a
 * backup breaks off after KS_BACKUP_TIME_MAX_MS, and when the copy has grown by
 * KS_BACKUP_GROWTH_MAX. One backup at a time is taken from a keystore; another one is refused.
 *
 * A record that names the backup is committed before the first byte is sent, and stays if the
 * backup breaks off: its caller may have kept what came. The view was opened before, so the record
 * is not in the backup itself.
 *
 * Threads: the stream's callbacks run on the listener's loops, ks_backups_run on a worker's thread.
 */
#pragma once

#include <stdint.h>

#include "pkg/backup/front.h"
#include "pkg/base/bytes.h"
#include "pkg/base/secret.h"
#include "pkg/rpc/stream.h"
#include "pkg/store/store.h"

/* A million keys take a minute to a caller who reads 20 MB/s. */
#define KS_BACKUP_TIME_MAX_MS 300000
#define KS_BACKUP_GROWTH_MAX  (2ULL << 30)

struct ks_backups;
struct ks_worker;

/* Where the keys of a backup come from: the zone's hsm. Called on the worker's thread; may wait. */
struct ks_backup_source {
    /*
     * Writes period, threshold and custodians of the header, and nothing else of it.
     * Fails: INVALID_STATE (the hsm has no custodian kit), UNAVAILABLE; they are unspecified then.
     */
    ks_result (*describe)(void *user, struct ks_backup_header *header);
    /*
     * Makes the keys of the backup whose header is given, in its bytes and taken apart.
     * ret_stream_key  the caller's to wipe; written on success only.
     * ret_key_block   appended to; unspecified after a failure.
     * Fails: CONFLICT (the hsm has another kit by now: begin again), INVALID_STATE, UNAVAILABLE.
     */
    ks_result (*begin)(void *user, const struct ks_backup_header *header, ks_bytes header_bytes,
                       ks_secret *ret_stream_key, struct ks_buffer *ret_key_block);
    void *user;
};

/* All borrowed as long as the struct ks_backups. */
struct ks_backups_options {
    const char *name; /* of the keystore */
    const char *region;
    struct ks_store *store;
    const struct ks_backup_source *source;
    struct ks_worker *worker;  /* that runs ks_backups_run */
    int64_t time_max_ms;       /* 0: KS_BACKUP_TIME_MAX_MS */
    uint64_t growth_bytes_max; /* 0: KS_BACKUP_GROWTH_MAX */
};

/* Makes it; never NULL. The caller frees it with ks_backups_free. */
struct ks_backups *ks_backups_new(const struct ks_backups_options *options);

/* Frees it, after ks_backups_close and after the server whose streams it answers. NULL is fine. */
void ks_backups_free(struct ks_backups *backups);

/*
 * Ends a backup that waits for the worker, and all that are asked for from now on, with
 * UNAVAILABLE. Call it when the worker has stopped.
 */
void ks_backups_close(struct ks_backups *backups);

/* The worker's function: takes the backup that was asked for. user is the struct ks_backups. */
void ks_backups_run(void *user, struct ks_worker *worker);

/* The callbacks for the row of KeystoreService.TakeBackup, whose user is the struct ks_backups. */
extern const struct ks_rpc_stream_callbacks ks_backups_stream_callbacks;
