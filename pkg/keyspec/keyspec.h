/*
 * keyspec: what kinds of keys there are. A key's spec says what its material is; its usage says
 * which operations may use it; the algorithms of a usage say how. rows.h has one row for each spec,
 * and the keystore, the hsm and the texts that clients read all work by it.
 *
 * A new spec is a row in rows.h, a value of KeySpec in proto/keystead/kms/v1/types.proto, and a
 * test. A spec of a new kind needs an implementation in services/hsm/specs besides.
 *
 * Threads: constants and pure functions; any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/base/result.h"
#include "pkg/keyspec/rows.h"

#define KS_KEYSPEC_USES_MAX       3U /* SM2 has three usages, every other spec at most two */
#define KS_KEYSPEC_ALGORITHMS_MAX 6U /* RSA signs in six ways, which is the most */

#define KS_KEYSPEC_KIND_ENUM(NAME, name) KS_KEYSPEC_##NAME,

enum ks_keyspec_kind { KS_KEYSPEC_KINDS(KS_KEYSPEC_KIND_ENUM) KS_KEYSPEC_KIND_COUNT };

#undef KS_KEYSPEC_KIND_ENUM

#define KS_USAGE_ENUM(NAME, number) KS_USAGE_##NAME = (number),

/* The numbers are those of KeyUsage in keystead.kms.v1, in records and in EKTs. */
enum ks_key_usage { KS_KEY_USAGES(KS_USAGE_ENUM) };

#undef KS_USAGE_ENUM

/* One way to use a key. */
struct ks_key_algorithm {
    uint8_t number;      /* in the enum of its usage, such as EncryptionAlgorithm; 0: no row */
    const char *name;    /* AWS's */
    size_t data_len_max; /* bytes that one call encrypts or signs at most; at least 1 */
};

/* A usage that keys of a spec may have. */
struct ks_keyspec_use {
    uint8_t usage; /* enum ks_key_usage; 0: no row */
    struct ks_key_algorithm algorithms[KS_KEYSPEC_ALGORITHMS_MAX];
};

struct ks_keyspec {
    uint16_t number;  /* KeySpec in keystead.kms.v1, in records and in EKTs; not 0 */
    const char *name; /* AWS's: "SYMMETRIC_DEFAULT" */
    enum ks_keyspec_kind kind;
    bool offered;            /* false: CreateKey answers that it is not supported */
    uint8_t usage_if_absent; /* the usage of CreateKey without one; 0: one must be given */
    size_t material_len; /* bytes of a secret; of a private key the most that its DER form takes */
    struct ks_keyspec_use uses[KS_KEYSPEC_USES_MAX];
};

extern const struct ks_keyspec ks_keyspecs[];
extern const size_t ks_keyspec_count;

/* Returns the row of that number; NULL if there is none. */
const struct ks_keyspec *ks_keyspec_of(uint32_t number);

/* Returns what keys of that spec and usage can do; NULL if the spec has no such usage. */
const struct ks_keyspec_use *ks_keyspec_use_of(const struct ks_keyspec *spec, uint32_t usage);

/* Returns how many algorithms a use has: at least 1. */
size_t ks_keyspec_algorithm_count(const struct ks_keyspec_use *use);

/*
 * Chooses the usage of a new key, and checks that a key may be made of a spec and a usage.
 *
 * usage      as CreateKey was given it; 0: it was not given.
 * ret_usage  the usage that the key gets. Untouched after a failure.
 *
 * Fails: UNSUPPORTED (the spec is not offered), VALIDATION (a usage must be given, or the spec's
 * keys can't have this one).
 */
KS_MUST_USE ks_result ks_keyspec_choose(const struct ks_keyspec *spec, uint32_t usage,
                                        uint32_t *ret_usage);

/*
 * Checks that a key can be used for something. Keystores ask this of the key's record, and the hsm
 * asks it again of what the EKT is bound to.
 *
 * usage    the key's own.
 * needed   the usage that the operation needs.
 *
 * Fails: INVALID_KEY_USAGE (the key's usage is another one, and has a name), CORRUPT (there is no
 * such spec or usage, or the spec's keys can't have this one).
 */
KS_MUST_USE ks_result ks_keyspec_allows(uint32_t spec, uint32_t usage, enum ks_key_usage needed);

/* Returns AWS's name of a usage, such as "SIGN_VERIFY"; NULL if there is no such usage. */
const char *ks_key_usage_name(uint32_t usage);

/* What GenerateDataKey makes. */
struct ks_data_keyspec {
    uint32_t number;  /* DataKeySpec in keystead.kms.v1; not 0 */
    const char *name; /* "AES_256" */
    size_t len;       /* bytes */
};

extern const struct ks_data_keyspec ks_data_keyspecs[];
extern const size_t ks_data_keyspec_count;

/* Returns the row of that number; NULL if there is none. */
const struct ks_data_keyspec *ks_data_keyspec_of(uint32_t number);
