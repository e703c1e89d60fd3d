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

/* paths are copied. */
void ks_etcd_files_init(struct ks_etcd_files *files, const char *const *paths,
                        const struct ks_clock *clock);
void ks_etcd_files_done(struct ks_etcd_files *files);

/* Looks at most once a second. Gives the age of the newest change, in whole seconds, at least 1. */
int64_t ks_etcd_files_age_s(struct ks_etcd_files *files);
