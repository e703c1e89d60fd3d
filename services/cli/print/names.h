/*
 * names: what members of messages and values of enums are called on the outside: AWS's names, as
 * the proto files have them. The tables are made from the proto files by names.py.
 *
 * Threads: pure; any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Sorted by message, then field. */
struct ks_member_name {
    const char *message; /* "keystead.kms.v1.KeyMetadata" */
    const char *field;   /* "aws_account_id" */
    const char *name;    /* "AWSAccountId" */
};

/* Sorted by type, then number. The value 0 stands for nothing and has no name. */
struct ks_value_name {
    const char *type; /* "keystead.kms.v1.KeyState" */
    int number;
    const char *name; /* "PendingDeletion" */
};

extern const struct ks_member_name ks_member_names[];
extern const size_t ks_member_name_count;
extern const struct ks_value_name ks_value_names[];
extern const size_t ks_value_name_count;

/* Static; the field itself for a message that is not in the table. */
const char *ks_member_name_of(const char *message, const char *field);

/* Static; NULL for a number without a name. */
const char *ks_value_name_of(const char *type, int number);

/* The number behind a name, in whatever case it is written; false: none is called so. */
bool ks_value_of_name(const char *type, const char *name, int *ret_number);
