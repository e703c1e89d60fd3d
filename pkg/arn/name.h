/*
 * name: the forms of the names that ARNs and SPIFFE URIs are made of. All are ASCII. Regions, zones
 * and accounts stand in binary forms, too, and have theirs in pkg/form.
 *
 * Threads: pure; any.
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

/* 12 digits, as in ks_is_account. */
bool ks_account_is_valid(ks_bytes text);
/* A UUID, 8-4-4-4-12 hex digits in lower case, stricter than ks_is_key_id: 0b4f9c9e-6f5d-4b8b-9b0e-000000000001. */
bool ks_key_id_is_valid(ks_bytes text);
/* [a-z][a-z0-9-]*: aws. */
bool ks_partition_is_valid(ks_bytes text);
/* "alias/" and at least one of [a-zA-Z0-9/_-]; reserved ones, too. */
bool ks_alias_is_valid(ks_bytes text);
/* Whether it starts with "alias/aws/". */
bool ks_alias_is_reserved(ks_bytes text);
/* [A-Za-z0-9+=,.@_-], but not "." or "..", which a URI does not keep. */
bool ks_user_name_is_valid(ks_bytes text);
/* [a-z0-9-]: frontend-ap-seoul-1-1. */
bool ks_node_name_is_valid(ks_bytes text);
