/*
 * metadata: translates stored records into the API's messages.
 *
 * Threads: as the call.
 */
#pragma once

#include "keystead/kms/v1/types.pb-c.h"
#include "services/keystore/execute/call.h"

/* Returns a key as DescribeKey shows it; it is in the arena and borrows from record and arn. */
KMS(KeyMetadata) * ks_metadata_of(struct ks_call *call, const STORED(KeyRecord) * record,
                                  const struct ks_arn *arn);

/* Returns an alias of a key as ListAliases shows it; it is in the arena, and borrows from neither. */
KMS(AliasListEntry) * ks_metadata_alias(struct ks_call *call, const STORED(KeyRecord) * key,
                                        const STORED(KeyAlias) * alias);

/* Returns the time that is ms milliseconds after 1970 began; it is in the arena. */
Google__Protobuf__Timestamp *ks_metadata_time(struct ks_call *call, int64_t ms);
