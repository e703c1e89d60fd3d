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
 * The careful form costs etcd more: a third where it was measured, through its JSON gateway. So a
 * group is plain first. If it fails,
 * or its outcome is unknown, it is repeated in the careful form, which tells the members apart. A
 * mutation that the local copy already contradicts is put into a careful group from the start.
 *
 * etcd looks at all compares before it does anything, and refuses a transaction that puts or
 * deletes a key twice. So a mutation joins a group only if it touches no key that another one of
 * the group changes: then the outcome is the same as if each had been alone.
 *
 * In a repeated transaction the compares of a mutation that was done fail. It is recognized by its
 * request's record, which equals ours byte for byte; one without such a record, by the values at
 * its keys. An earlier form that reaches etcd late is harmless for the same reason.
 *
 * Threads: one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "pkg/etcd/message.h"
#include "pkg/store/copy/copy.h"
#include "pkg/store/engine/pending.h"
#include "pkg/store/log/layout.h"
#include "pkg/store/window/list.h"

#define KS_GROUP_MEMBERS_MAX 128U
#define KS_GROUP_LEN_MAX     1400000U /* bytes; etcd refuses requests over 1,572,864 */

struct ks_group;

/* Makes an empty, plain group; never NULL. layout is borrowed as long as the group lives. */
struct ks_group *ks_group_new(const struct ks_layout *layout, int64_t epoch_revision);

/* Frees it; all members must have been taken out before. NULL is fine. */
void ks_group_free(struct ks_group *group);

enum ks_group_add {
    KS_GROUP_ADDED,
    KS_GROUP_NOT_NOW, /* it touches what a member changes, or the group is full: a later group */
    KS_GROUP_NEVER,   /* too large for any transaction */
};

/*
 * Adds a mutation. The group owns it if the answer is ADDED; otherwise it is still the caller's.
 * Not to be called after ks_group_txn.
 */
enum ks_group_add ks_group_add(struct ks_group *group, struct ks_pending *pending);

/* Returns how many members were added, those that were taken out included. */
size_t ks_group_count(const struct ks_group *group);

/* Gives the transaction the careful form from now on. */
void ks_group_make_careful(struct ks_group *group);

/*
 * Gives the transaction the careful form, with the revision record nested, too, from now on. etcd's
 * quota does not count what is nested, so a full etcd does it all the same.
 */
void ks_group_shield(struct ks_group *group);

/* Returns whether ks_group_shield was called. */
bool ks_group_is_shielded(const struct ks_group *group);

/* Returns whether the transaction has the careful form. */
bool ks_group_is_careful(const struct ks_group *group);

/*
 * Returns the transaction, borrowed from the group; it is the same at each call until the group is
 * made careful, but for its nonce, which is copied and must be a new one each time that the
 * transaction is sent: a repetition may be done in another history of etcd (struct ks_nonce).
 */
const struct ks_etcd_txn *ks_group_txn(struct ks_group *group, const struct ks_nonce *nonce);

/* Returns the n-th member, counted from 0, which is still the group's; NULL once it was taken. */
struct ks_pending *ks_group_member(const struct ks_group *group, size_t index);

/* Takes the n-th member out, which is then the caller's: the group needs its outcome no more. */
struct ks_pending *ks_group_take(struct ks_group *group, size_t index);

/*
 * Returns what the answer, which ks_group_is_answered, says of the n-th member. outcome.stored is
 * borrowed from the answer. is_repeated says that an earlier attempt may have been done, or may
 * still reach etcd: then UNAVAILABLE stands in place of CONFLICT, since that attempt may yet
 * succeed.
 */
struct ks_store_outcome ks_group_outcome(const struct ks_group *group, size_t index,
                                         const struct ks_etcd_answer *answer, bool is_repeated);

/* Returns whether the transaction's compares held and the answer has the form it asks for. */
bool ks_group_is_answered(const struct ks_group *group, const struct ks_etcd_answer *answer);

/*
 * Returns whether a plain transaction failed because of a member's compares, so that the careful
 * form can tell them apart. False if the epoch is not the one we know, or the answer has another
 * form.
 */
bool ks_group_needs_care(const struct ks_group *group, const struct ks_etcd_answer *answer);

/*
 * Gives the keystores listed at the transaction's revision. The answer must be one that
 * ks_group_is_answered. ret_list is always written; a record that can't be read sets has_unnamed.
 */
void ks_group_list(const struct ks_layout *layout, const struct ks_etcd_answer *answer,
                   struct ks_list *ret_list);

/* Gives the same from the answer to a range of the keystores' records. */
void ks_group_list_of(const struct ks_layout *layout, const struct ks_etcd_op_answer *range,
                      struct ks_list *ret_list);
