/*
 * files: notices when one of the TLS files was replaced. For this folder only.
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

/*
 * Begins to watch KS_ETCD_FILES_COUNT files, which need not be there. paths are copied, clock is
 * borrowed until ks_etcd_files_done. Cannot fail; what files held before does not matter.
 */
void ks_etcd_files_init(struct ks_etcd_files *files, const char *const *paths,
                        const struct ks_clock *clock);
/* Frees the paths and makes files the zero value, for which it does nothing. */
void ks_etcd_files_done(struct ks_etcd_files *files);

/*
 * Returns the age of the newest change that was seen, in whole seconds, at least 1: connections
 * that are older carry an old certificate. Before any change it is the time since
 * ks_etcd_files_init. It looks at the files at most once a second. It cannot fail: that a file
 * can't be looked at any more is a change, and so is that it can be again.
 */
int64_t ks_etcd_files_age_s(struct ks_etcd_files *files);
