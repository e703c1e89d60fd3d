/*
 * rows: every key spec, key usage and data key spec, one row each. keyspec.h explains the columns
 * and is what others include; keyspec.c expands these rows.
 *
 * A number is written into records, EKTs and messages. It is never changed or given to another row.
 * keyspec_test.c compares numbers and names with the enums of the API.
 *
 * Threads: constants; any.
 */
#pragma once

/*
 * The kinds of keys. All specs of one kind have the same implementation in the hsm, which is the
 * constant ks_hsm_<name> (services/hsm/specs/spec.h): a kind without one does not link.
 *   C name, name of the implementation.
 */
#define KS_KEYSPEC_KINDS(KIND) KIND(SYMMETRIC, symmetric)

/* AWS KMS Developer Guide, "Key spec reference": spec, usages, algorithms of each usage. */
#define KS_KEYSPEC_ROWS                                                                            \
    {                                                                                              \
        .number = 1,                                                                               \
        .name = "SYMMETRIC_DEFAULT",                                                               \
        .kind = KS_KEYSPEC_SYMMETRIC,                                                              \
        .offered = true,                                                                           \
        .usage_if_absent = KS_USAGE_ENCRYPT_DECRYPT,                                               \
        .material_len = 32, /* AES-256 and HMAC-SHA-256 keys derive from it */                     \
        .uses =                                                                                    \
            {                                                                                      \
                {KS_USAGE_ENCRYPT_DECRYPT, {{1, "SYMMETRIC_DEFAULT", .data_len_max = 4096}}},      \
            },                                                                                     \
    },

/* AWS KMS API: CreateKey, KeySpec: the spec of a key that none was named for. */
#define KS_KEYSPEC_IF_ABSENT 1U

/* AWS KMS API: KeyUsage. A spec says which of them its keys may have. */
#define KS_KEY_USAGES(USAGE)                                                                       \
    USAGE(ENCRYPT_DECRYPT, 1)                                                                      \
    USAGE(SIGN_VERIFY, 2)                                                                          \
    USAGE(GENERATE_VERIFY_MAC, 3)                                                                  \
    USAGE(KEY_AGREEMENT, 4)

/* AWS KMS API: GenerateDataKey, KeySpec. */
#define KS_DATA_KEYSPEC_ROWS                                                                       \
    {.number = 1, .name = "AES_256", .len = 32}, {.number = 2, .name = "AES_128", .len = 16},
