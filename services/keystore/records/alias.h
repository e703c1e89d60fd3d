/*
 * alias: the two records of an alias: where its key is found, and the list of one key's aliases.
 * Neither proves anything: the key's own record says what its aliases are.
 *
 * Threads: pure over the arguments; any.
 */
#pragma once

#include "pkg/record/record.h"
#include "services/keystore/records/message.h"

/*
 * Each reads a record that was found under name into arena.
 * ret_record  lasts as long as arena. Its names are valid by pkg/arn/name.h and those of the store
 *             key that it stands under; unchanged on failure.
 *
 * Fails: as ks_record_read; CORRUPT also if a name has not its form, or is another one.
 */
KS_MUST_USE ks_result ks_record_read_alias(ks_bytes name, ks_bytes value, struct ks_arena *arena,
                                           STORED(AliasRecord) * *ret_record);
/*
 * account, key_id  of the key whose list it is, by name.
 * ret_record       as of ks_record_read_alias; unchanged on failure
 *
 * Fails: as ks_record_read_alias.
 */
KS_MUST_USE ks_result ks_record_read_key_alias(ks_bytes name, ks_bytes value, const char *account,
                                               const char *key_id, struct ks_arena *arena,
                                               STORED(KeyAliasRecord) * *ret_record);
