/*
 * metadata: what is stored, in the API's words.
 *
 * Threads: as the call.
 */
#pragma once

#include "keystead/kms/v1/types.pb-c.h"
#include "services/keystore/execute/call.h"

/* A key as DescribeKey tells it; in the arena, borrowing from record and arn. */
KMS(KeyMetadata) * ks_metadata_of(struct ks_call *call, const STORED(KeyRecord) * record,
                                  const struct ks_arn *arn);

/* An alias as ListAliases tells it; in the arena, borrowing from record. */
KMS(AliasListEntry) * ks_metadata_alias(struct ks_call *call, const STORED(AliasRecord) * record);

/* Milliseconds since 1970; in the arena. */
Google__Protobuf__Timestamp *ks_metadata_time(struct ks_call *call, int64_t ms);
