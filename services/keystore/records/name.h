/*
 * name: makes the store keys of all records that a keystore reads and writes.
 *
 *   key/<account>/<key id>                     KeyRecord, in an AuthenticatedRecord
 *   alias/<account>/<rest of the alias>        AliasRecord
 *   keyalias/<account>/<key id>/<rest>         KeyAliasRecord: the aliases of one key
 *   policy/<account>/<key id>                  PolicyRecord
 *   material/<account>/<key id>/<material id>  MaterialRecord
 *   grant/<account>/<key id>/<grant id>        GrantRecord
 *   grantee/<account>/<hex SHA-256 of the principal>/<key id>/<grant id>   GranteeRecord
 *   request/<account>/<hex SHA-256>            RequestRecord
 *   gone/key/<account>/<key id>                KeyRecord: what is left of a destroyed key
 *   destroyed/<account>/<key id>               DestroyedKeyRecord
 *   domain/<generation, 8 digits>/<zone>/<node id>
 *                                              DomainKeyCopy
 *   domain/newest, domain/current              NewestDomainKey, CurrentDomainKey
 *   domain/rotate                              RotateDomainKey
 *   transit/<zone>/<node id>, of the receiver  TransitRecord
 *   roster                                     RosterRecord
 *   custodians/<period, 10 digits>             CustodianKitRecord
 *   backup/<backup id>                         BackupRecord
 *   gate/<prefix without its last slash>       GateRecord (operations/quota.h)
 *
 * A prefix name ends in '/', so that no account's or key's name starts another's.
 * Threads: values; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/store/store.h"

/* A store key or a prefix of store keys, with a NUL behind it. */
struct ks_name {
    char text[KS_STORE_KEY_LEN_MAX + 1];
    size_t len;
};

/* Returns the name's bytes without the NUL, borrowed from name. */
ks_bytes ks_name_bytes(const struct ks_name *name);

/*
 * Each returns the name of a record, or the prefix of several. The caller has checked the form of
 * the arguments (12 digits, a UUID, an alias with "alias/" of at most 256 bytes, a zone of at most
 * 63, a node id of at most 135), so that every name fits; one that does not is a programmer's
 * error, which stops the process.
 */
struct ks_name ks_name_key(const char *account, const char *key_id);
struct ks_name ks_name_gone_key(const char *account, const char *key_id);
/*
 * Gives the name of the tombstone of the key whose record stands under key_name. Returns false,
 * with ret_name untouched, if key_name is too long for a key's.
 */
bool ks_name_gone_of(ks_bytes key_name, struct ks_name *ret_name);
struct ks_name ks_name_keys(const char *account); /* prefix */
struct ks_name ks_name_alias(const char *account, const char *alias);
struct ks_name ks_name_aliases(const char *account); /* prefix */
struct ks_name ks_name_key_alias(const char *account, const char *key_id, const char *alias);
struct ks_name ks_name_key_aliases(const char *account, const char *key_id); /* prefix */
struct ks_name ks_name_policy(const char *account, const char *key_id);
struct ks_name ks_name_materials(const char *account, const char *key_id); /* prefix */
struct ks_name ks_name_material(const char *account, const char *key_id, const char *material_id);
struct ks_name ks_name_grants(const char *account, const char *key_id); /* prefix */
struct ks_name ks_name_grant(const char *account, const char *key_id, const char *grant_id);
/* The prefix of what a principal, by the hex SHA-256 of its ARN, was granted; and one of it. */
struct ks_name ks_name_grantee(const char *account, const char *principal_sha256);
struct ks_name ks_name_grantee_grant(const char *account, const char *principal_sha256,
                                     const char *key_id, const char *grant_id);
struct ks_name ks_name_destroyed(const char *account, const char *key_id);
struct ks_name ks_name_domain_copy(uint32_t generation, const char *zone, const char *node_id);
struct ks_name ks_name_custodians(uint32_t period);
struct ks_name ks_name_transit(const char *zone, const char *node_id);
struct ks_name ks_name_requests(const char *account); /* prefix of what pkg/attempt keeps */

struct ks_name ks_name_backup(const char *backup_id);

/* The gate of the quota of a prefix, which is the name of several records. */
struct ks_name ks_name_gate(const struct ks_name *prefix);

#define KS_NAME_KEYS           KS_LITERAL("key/")
#define KS_NAME_GONE_KEYS      KS_LITERAL("gone/key/")
#define KS_NAME_ALIASES        KS_LITERAL("alias/")
#define KS_NAME_REQUESTS       KS_LITERAL("request/")
#define KS_NAME_DESTROYED      KS_LITERAL("destroyed/")
#define KS_NAME_DOMAIN         KS_LITERAL("domain/")
#define KS_NAME_DOMAIN_NEWEST  KS_LITERAL("domain/newest")
#define KS_NAME_DOMAIN_CURRENT KS_LITERAL("domain/current")
#define KS_NAME_DOMAIN_ROTATE  KS_LITERAL("domain/rotate")
#define KS_NAME_TRANSIT        KS_LITERAL("transit/")
#define KS_NAME_ROSTER         KS_LITERAL("roster")
#define KS_NAME_CUSTODIANS     KS_LITERAL("custodians/")
#define KS_NAME_BACKUPS        KS_LITERAL("backup/")
#define KS_NAME_GATES          KS_LITERAL("gate/")
