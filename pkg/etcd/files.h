/*
 * files: sees when one of the TLS files was replaced. For this folder only.
 *
 * Threads: one.
 */
#pragma once

#include <stdint.h>

#include "pkg/base/clock.h"

#define KS_ETCD_FILES_COUNT 3U

struct ks_etcd_files {
    char *paths[KS_ETCD_FILES_COUNT]; /* owned */
    uint64_t marks[KS_ETCD_FILES_COUNT];
    const struct ks_clock *clock;
    int64_t looked_at_ns;
    int64_t changed_at_ns; /* when a change was last seen; at first, when watching began */
};

/* Begins to watch KS_ETCD_FILES_COUNT files. paths are copied, clock is borrowed until _done. */
void ks_etcd_files_init(struct ks_etcd_files *files, const char *const *paths,
                        const struct ks_clock *clock);
/* Frees the paths. The zero value is fine. */
void ks_etcd_files_done(struct ks_etcd_files *files);

/*
 * The age of the newest change that was seen, in whole seconds, at least 1. Looks at the files at
 * most once a second. A file that can't be looked at counts as one with another mark: its vanishing
 * and its coming back are changes.
 */
int64_t ks_etcd_files_age_s(struct ks_etcd_files *files);
