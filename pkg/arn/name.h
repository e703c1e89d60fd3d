/*
 * name: the form of each name that ARNs and SPIFFE URIs are made of. All names are ASCII. The forms
 * of regions, zones and accounts, which binary forms contain as well, are in pkg/form/names.h.
 *
 * Threads: pure; any thread.
 */
#pragma once

#include <stdbool.h>

#include "pkg/base/bytes.h"
#include "pkg/form/names.h"

#define KS_PARTITION_LEN_MAX 16U
#define KS_ALIAS_LEN_MAX     256U /* with its prefix (AWS KMS API: CreateAlias) */
#define KS_USER_NAME_LEN_MAX 64U  /* AWS IAM API: CreateUser */
#define KS_NODE_NAME_LEN_MAX 63U  /* of one of our processes */
#define KS_ALIAS_PREFIX      "alias/"
#define KS_ALIAS_RESERVED    "alias/aws/" /* for keys that the service itself manages */

/* Returns whether text is an account's number: 12 digits, as in ks_is_account. */
bool ks_account_is_valid(ks_bytes text);

/*
 * Returns whether text is a key id, with hex digits in lower case: a UUID
 * (0b4f9c9e-6f5d-4b8b-9b0e-000000000001), or "mrk-" and 32 digits, as multi-Region keys have. No key
 * of ours has the second form yet, so that it names nothing; it is accepted so that a client learns
 * that its key does not exist, as from AWS, and not that its request is malformed.
 */
bool ks_key_id_is_valid(ks_bytes text);

/* Returns whether text is a partition: [a-z][a-z0-9-]*, such as aws. */
bool ks_partition_is_valid(ks_bytes text);

/* Returns whether text is "alias/" and at least one of [a-zA-Z0-9/_-]. Reserved names count, too. */
bool ks_alias_is_valid(ks_bytes text);

/* Returns whether text starts with "alias/aws/". */
bool ks_alias_is_reserved(ks_bytes text);

/* Returns whether text is a user's name: [A-Za-z0-9+=,.@_-], not "." or "..", which URIs drop. */
bool ks_user_name_is_valid(ks_bytes text);

/* Returns whether text is a process's name: [a-z0-9-], such as frontend-ap-seoul-1-1. */
bool ks_node_name_is_valid(ks_bytes text);
