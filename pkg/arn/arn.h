/*
 * arn: Amazon Resource Names of keys, aliases and principals, and the four forms of key identifier.
 *
 *   key        arn:aws:kms:ap-seoul-1:111122223333:key/0b4f9c9e-6f5d-4b8b-9b0e-000000000001
 *   alias      arn:aws:kms:ap-seoul-1:111122223333:alias/app/main
 *   principal  arn:aws:iam::111122223333:user/alice    arn:aws:iam::111122223333:root
 *
 * Outputs are written on success only.
 * Threads: pure; any thread.
 */
#pragma once

#include <stdbool.h>

#include "pkg/arn/name.h"
#include "pkg/base/bytes.h"
#include "pkg/base/result.h"

/* The longest: "arn:", ":kms:", two colons and the parts; KS_ALIAS_LEN_MAX is the longest resource. */
#define KS_ARN_LEN_MAX                                                                             \
    (11U + KS_PARTITION_LEN_MAX + KS_REGION_LEN_MAX + KS_ACCOUNT_LEN + KS_ALIAS_LEN_MAX)

/* An ARN as text, with a NUL. A value. */
struct ks_arn {
    char text[KS_ARN_LEN_MAX + 1];
};

/* The parts that the ARNs of an installation share. Borrowed; each is valid by name.h. */
struct ks_arn_home {
    const char *partition;
    const char *region;
    const char *account;
};

/*
 * Each writes the ARN of a key or of an alias. key_id and alias (which begins with "alias/") must be
 * valid by name.h: anything else is asserted against.
 */
void ks_arn_of_key(const struct ks_arn_home *home, const char *key_id, struct ks_arn *ret_arn);
void ks_arn_of_alias(const struct ks_arn_home *home, const char *alias, struct ks_arn *ret_arn);

/* Each writes the ARN of a principal. The parts must be valid by name.h, as above. */
void ks_arn_of_user(const char *partition, const char *account, const char *user,
                    struct ks_arn *ret_arn);
void ks_arn_of_root(const char *partition, const char *account, struct ks_arn *ret_arn);

enum ks_key_ref_kind {
    KS_KEY_REF_ID,        /* 0b4f9c9e-6f5d-4b8b-9b0e-000000000001 */
    KS_KEY_REF_ARN,       /* arn:...:key/0b4f... */
    KS_KEY_REF_ALIAS,     /* alias/app/main */
    KS_KEY_REF_ALIAS_ARN, /* arn:...:alias/app/main */
};

/* A key identifier taken apart. All borrowed from the text that was parsed. */
struct ks_key_ref {
    enum ks_key_ref_kind kind;
    ks_bytes partition; /* empty unless the text was an ARN, as are the next two */
    ks_bytes region;
    ks_bytes account;
    ks_bytes name; /* the key id, or the alias with "alias/" */
};

/* Returns whether the identifier names an alias, by its name or by its ARN. */
bool ks_key_ref_is_alias(const struct ks_key_ref *ref);

/*
 * Takes a key identifier apart. The caller must find out whether partition, region and account are
 * the right ones, and whether the key exists: a multi-Region key id (mrk-...) is well formed,
 * although no key of ours has one yet.
 *
 * Fails: INVALID_ARN (the text starts with "arn:" but is not the ARN of a key or alias), NOT_FOUND
 * (the text is neither an ARN nor a key id nor an alias name; AWS gives this answer, too).
 */
KS_MUST_USE ks_result ks_key_ref_parse(ks_bytes text, struct ks_key_ref *ret_ref);

enum ks_principal_kind { KS_PRINCIPAL_ROOT, KS_PRINCIPAL_USER };

/* A principal, which is what calls. All borrowed from the text that was parsed. */
struct ks_principal {
    enum ks_principal_kind kind;
    ks_bytes partition;
    ks_bytes account;
    ks_bytes name; /* of the user; empty for root */
};

/* Takes a principal's ARN apart. Fails: INVALID_ARN (the text is not one). */
KS_MUST_USE ks_result ks_principal_parse(ks_bytes text, struct ks_principal *ret_principal);
