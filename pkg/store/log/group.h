/*
 * group: several mutations in one etcd transaction (group commit), in one of two forms.
 *
 *   plain    if    the epoch record is the one we know, and every compare of every mutation holds
 *            then  put the revision record; range the keystores' records; all changes
 *            else  range the epoch record
 *   careful  if    the epoch record is the one we know
 *            then  put the revision record; range the keystores' records; each mutation as a
 *                  nested transaction with its own compares, which succeeds or fails alone
 *            else  range the epoch record
 *
 * The careful form costs etcd's JSON gateway a third more. So a group is plain first; one that
 * fails, or whose outcome is unknown, is repeated in the careful form, which tells the members
 * apart. A mutation that the local copy already contradicts is put into a careful group from the start.
 *
 * etcd looks at all compares before it does anything, and takes a key at most once among the puts
 * and deletions of the whole. So a mutation joins a group only if it touches no key that another
 * one of the group changes: each could have been alone.
 *
 * In a repeated transaction a mutation that was done fails its compares, and is known by its
 * request's record, which equals ours byte for byte; one without such a record by what stands at
 * its keys. A form that still comes late is harmless for the same reason.
 *
 * Threads: one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "pkg/etcd/message.h"
#include "pkg/store/engine/pending.h"
#include "pkg/store/log/layout.h"
#include "pkg/store/window/list.h"

#define KS_GROUP_MEMBERS_MAX 128U
#define KS_GROUP_LEN_MAX     1400000U /* bytes; etcd refuses requests over 1,572,864 */

struct ks_group;

/* Empty and plain. layout is borrowed as long as the group lives. */
struct ks_group *ks_group_new(const struct ks_layout *layout, int64_t epoch_revision);

/* The members must have been taken out. NULL is fine. */
void ks_group_free(struct ks_group *group);

enum ks_group_add {
    KS_GROUP_ADDED,
    KS_GROUP_NOT_NOW, /* it touches what a member changes, or the group is full: a later group */
    KS_GROUP_NEVER,   /* too large for any transaction */
};

/* Takes the mutation over if it is ADDED; not after ks_group_txn. */
enum ks_group_add ks_group_add(struct ks_group *group, struct ks_pending *pending);

size_t ks_group_count(const struct ks_group *group);

/* From now on the transaction has the careful form. */
void ks_group_make_careful(struct ks_group *group);
bool ks_group_is_careful(const struct ks_group *group);

/* The transaction, borrowed from the group; the same at each call until it is made careful. */
const struct ks_etcd_txn *ks_group_txn(struct ks_group *group);

/* The n-th member, still the group's; NULL once it was taken. */
struct ks_pending *ks_group_member(const struct ks_group *group, size_t index);

/* Hands the n-th member over: what comes of it is of no interest any more. */
struct ks_pending *ks_group_take(struct ks_group *group, size_t index);

/*
 * What a done transaction says of its n-th member; outcome.stored is borrowed from the answer.
 * When an earlier attempt may have been done (is_repeated), nothing is called a CONFLICT: the
 * attempt may come late.
 */
struct ks_store_outcome ks_group_outcome(const struct ks_group *group, size_t index,
                                         const struct ks_etcd_answer *answer, bool is_repeated);

/* Whether the answer has the form that the transaction asks for, and its compares held. */
bool ks_group_is_answered(const struct ks_group *group, const struct ks_etcd_answer *answer);

/* Whether a plain transaction failed for its members' sake: the epoch is the one we know. */
bool ks_group_needs_care(const struct ks_group *group, const struct ks_etcd_answer *answer);

/* The keystores listed at the transaction's revision. The answer is_answered. */
void ks_group_list(const struct ks_layout *layout, const struct ks_etcd_answer *answer,
                   struct ks_list *ret_list);

/* The same from a range of the list. */
void ks_group_list_of(const struct ks_layout *layout, const struct ks_etcd_op_answer *range,
                      struct ks_list *ret_list);
