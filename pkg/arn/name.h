/*
 * name: the forms of the names that ARNs, SPIFFE URIs and records are made of. All are ASCII.
 *
 * Threads: pure; any.
 */
#pragma once

#include <stdbool.h>

#include "pkg/base/bytes.h"

#define KS_ACCOUNT_LEN       12U /* digits */
#define KS_KEY_ID_LEN        36U /* a UUID in lower case */
#define KS_PARTITION_LEN_MAX 16U
#define KS_REGION_LEN_MAX    32U
#define KS_ZONE_LEN_MAX      33U  /* a region and one letter */
#define KS_ALIAS_LEN_MAX     256U /* with its prefix (AWS KMS API: CreateAlias) */
#define KS_USER_NAME_LEN_MAX 64U  /* AWS IAM API: CreateUser */
#define KS_NODE_NAME_LEN_MAX 63U  /* of one of our processes */
#define KS_ALIAS_PREFIX      "alias/"
#define KS_ALIAS_RESERVED    "alias/aws/" /* for keys that the service itself manages */

/* 12 digits. */
bool ks_account_is_valid(ks_bytes text);
/* A UUID, 8-4-4-4-12 hex digits in lower case: 0b4f9c9e-6f5d-4b8b-9b0e-000000000001. */
bool ks_key_id_is_valid(ks_bytes text);
/* [a-z][a-z0-9-]*: aws. */
bool ks_partition_is_valid(ks_bytes text);
/* ([a-z]+-){2,3}[0-9]+: ap-seoul-1. */
bool ks_region_is_valid(ks_bytes text);
/* A region and a letter: ap-seoul-1a. */
bool ks_zone_is_valid(ks_bytes text);
/* "alias/" and at least one of [a-zA-Z0-9/_-]; reserved ones, too. */
bool ks_alias_is_valid(ks_bytes text);
/* Whether it starts with "alias/aws/". */
bool ks_alias_is_reserved(ks_bytes text);
/* [A-Za-z0-9+=,.@_-], but not "." or "..", which a URI does not keep. */
bool ks_user_name_is_valid(ks_bytes text);
/* [a-z0-9-]: frontend-ap-seoul-1-1. */
bool ks_node_name_is_valid(ks_bytes text);
