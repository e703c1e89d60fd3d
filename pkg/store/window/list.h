/*
 * list: the keystores of the cell that have a record in the store, as of one revision.
 *
 * Threads: values.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/base/result.h"
#include "pkg/store/store.h"

/* A keystore's record (proto/keystead/storage/v1: KeystoreRecord). */
struct ks_list_entry {
    char id[40];
    char name[64];
    char zone[64];
    char address[64];
    uint64_t life;
    uint64_t beat;
    int64_t applied;      /* what it said in its record */
    int64_t wall_ms;      /* its wall clock, as it said there */
    int64_t mod_revision; /* of its record */
};

struct ks_list {
    struct ks_list_entry entries[KS_STORE_KEYSTORES_MAX];
    size_t count;
    /*
     * There is a record that is not among the entries, because there are too many or it can't be
     * read. No keystore can confirm for it, so a settlement waits until its time is over.
     */
    bool has_unnamed;
    /* The first of these, so that it can be struck; empty: its id is none. */
    char unnamed_id[40];
    int64_t unnamed_revision; /* mod revision of its record */
};

/*
 * Adds the record found under `id`. One that can't be read or has no room sets has_unnamed instead.
 */
void ks_list_add(struct ks_list *list, ks_bytes id, ks_bytes value, int64_t mod_revision);

/* Returns the entry of id, borrowed from the list; NULL if it is not listed. */
const struct ks_list_entry *ks_list_find(const struct ks_list *list, const char *id);

/* Returns whether the list has no room left for id, which is not on it. */
bool ks_list_is_full_for(const struct ks_list *list, const char *id);

/* Returns whether id is listed and no lower id is. */
bool ks_list_is_lowest(const struct ks_list *list, const char *id);

/*
 * Appends the record's encoding.
 * Fails: LIMIT_EXCEEDED (the buffer's len_max); the buffer is then unchanged.
 */
KS_MUST_USE ks_result ks_list_encode(const struct ks_list_entry *keystore,
                                     struct ks_buffer *buffer);
