/*
 * constraint: checks one member against its limits, and refuses it in the sentences in which AWS
 * says that they are violated: "Value 'x' at 'keyId' failed to satisfy constraint: Member must …".
 *
 * Private to check.c. Threads: pure; any.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "pkg/codec/wire.h"
#include "pkg/operation/operation.h"
#include "pkg/operation/refusal.h"

#define KS_SHOWN_LEN_MAX 128U /* bytes of a value that are repeated: the sentence must fit, too */

/* Returns how many bytes of a value are shown: whole characters, at most KS_SHOWN_LEN_MAX bytes. */
int ks_shown_len(ks_bytes value);

/* Checks one occurrence of a member: of a list the number-th element, counted from 1. */
void ks_constraint_value(const struct ks_member *member, const struct ks_wire_field *field,
                         size_t number, struct ks_refusal *refusal);

/* Checks the member as a whole: whether it is there, and how many elements it has. */
void ks_constraint_whole(const struct ks_member *member, size_t count, struct ks_refusal *refusal);
