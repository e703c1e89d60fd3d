/*
 * kit: the public keys of the custodians of a region, any m of whom can open its backups together
 * (proto/formats/custodian-kit-v1.md). It is signed with the hsm root's key, as rosters are. A kit
 * of a higher period replaces one of a lower period.
 *
 * The form of a key agreement with ephemeral and static keys is that of NIST SP 800-56A §6.2.2 and of
 * SEC 1 §5.1; keys are derived by RFC 5869.
 *
 * Outputs (ret_kit) are written on success only.
 *
 * Threads: values; any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/form/names.h"

#define KS_CUSTODIANS_MAX      5U
#define KS_CUSTODY_SUBSETS_MAX 10U  /* of m in KS_CUSTODIANS_MAX, at most */
#define KS_CUSTODY_PUBLIC_LEN  120U /* a P-384 SubjectPublicKeyInfo, DER */
#define KS_CUSTODY_HASH_LEN    32U  /* SHA-256: the name of a kit or of a backup's header */
#define KS_KIT_LEN_MAX                                                                             \
    (1U + 1U + KS_REGION_LEN_MAX + 4U + 1U + 1U + KS_CUSTODIANS_MAX * KS_CUSTODY_PUBLIC_LEN + 2U + \
     104U)

struct ks_ec_key;

/* A value. {0} is no kit at all. */
struct ks_kit {
    char region[KS_REGION_LEN_MAX + 1];
    uint32_t period;                                        /* from 1 */
    uint8_t needed;                                         /* m: 1 to count */
    uint8_t count;                                          /* n: 1 to KS_CUSTODIANS_MAX */
    uint8_t keys[KS_CUSTODIANS_MAX][KS_CUSTODY_PUBLIC_LEN]; /* of custodian 1, 2, ... */
    uint8_t
        id[KS_CUSTODY_HASH_LEN]; /* set by ks_kit_read and ks_kit_open: of all but the signature */
};

/*
 * Appends the signed form. After a failure out may hold a part of it.
 *
 * kit   its id is not looked at.
 * root  the hsm root's key pair, P-384.
 *
 * Fails: VALIDATION (a member is out of its bounds, a key is no P-384 key or stands twice),
 * LIMIT_EXCEEDED (the buffer's cap), INTERNAL.
 */
KS_MUST_USE ks_result ks_kit_sign(const struct ks_kit *kit, const struct ks_ec_key *root,
                                  struct ks_buffer *out);

/*
 * Reads a kit without verifying its signature, to show it.
 * Fails: VALIDATION (malformed), INTERNAL.
 */
KS_MUST_USE ks_result ks_kit_read(ks_bytes bytes, struct ks_kit *ret_kit);

/*
 * Reads a kit and verifies its signature.
 * root  the hsm root's public key, P-384.
 * Fails: VALIDATION (malformed), ACCESS_DENIED (not signed by root), INTERNAL.
 */
KS_MUST_USE ks_result ks_kit_open(ks_bytes bytes, const struct ks_ec_key *root,
                                  struct ks_kit *ret_kit);

/*
 * Writes every choice of `needed` custodians of `count`, ascending, and returns how many there are.
 * A choice is a number whose bit i stands for custodian i + 1. Returns 0 when the two are out of
 * their bounds; ret_subsets is then untouched.
 */
size_t ks_custody_subsets(uint8_t needed, uint8_t count,
                          uint8_t ret_subsets[static KS_CUSTODY_SUBSETS_MAX]);

/*
 * Returns the number of the custodian, from 1, who is at that position of the subset, from 1: the
 * lowest number is at position 1 and opens first. Returns 0 when the subset has no such position.
 */
unsigned ks_custody_member(uint8_t subset, uint8_t position);
