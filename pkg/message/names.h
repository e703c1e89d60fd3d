/*
 * names: what a client calls the members of our messages and the values of our enums. These are
 * AWS's names. names.py reads them from the proto files and makes the two tables.
 *
 * Threads: pure; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* A row of the table of members, which is sorted by message, then by field. */
struct ks_member_name {
    const char *message; /* "keystead.kms.v1.KeyMetadata" */
    const char *field;   /* "aws_account_id" */
    const char *name;    /* "AWSAccountId" */
};

/*
 * A row of the table of enum values, which is sorted by type, then by number. It has no row for a
 * number 0, which means "unspecified" in every enum and is never shown.
 */
struct ks_value_name {
    const char *type; /* "keystead.kms.v1.KeyState" */
    int number;
    const char *name; /* "PendingDeletion" */
};

extern const struct ks_member_name ks_member_names[];
extern const size_t ks_member_name_count;
extern const struct ks_value_name ks_value_names[];
extern const size_t ks_value_name_count;

/*
 * Returns the name of a message's field; returns field itself, as it was given, when the table has
 * no such message or field. Names in the table are static.
 */
const char *ks_member_name_of(const char *message, const char *field);

/* Returns the name of an enum's number, which is static; NULL when the table has none. */
const char *ks_value_name_of(const char *type, int number);

/*
 * Finds the number of an enum's value by its name, whose case does not matter.
 *
 * ret_number  written when the function returns true.
 *
 * Returns false when the enum has no value of that name; ret_number then stays as it was.
 */
bool ks_value_of_name(const char *type, const char *name, int *ret_number);
