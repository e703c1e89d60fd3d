/*
 * operation: what the API consists of, as a table: one row for each method, with everything that
 * makes it different from the others. The code that serves them is the same for all.
 *
 * Threads: constants; any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "services/frontend/api/refusal.h"

#define KS_SERVICE_NAME     "keystead.kms.v1.KeyManagementService"
#define KS_IDENTIFIERS_MAX  2U   /* key identifiers in one request */
#define KS_RULES_MAX        10U  /* members of one request */
#define KS_BATCH_ITEMS_MAX  100U /* entries of a batch */
#define KS_ENTRIES_FIELD    1U   /* number of `entries` in each batch request */
#define KS_REQUEST_ID_FIELD 100U /* number of `request_id` in each mutation */

/* In each folder `min` and `max` are inclusive; 0 as min also lets the member be absent. */
enum ks_rule_kind {
    KS_RULE_FLAG,         /* anything of its type */
    KS_RULE_TEXT,         /* string: min to max characters */
    KS_RULE_SECRET,       /* bytes: min to max; the value is never repeated in a text */
    KS_RULE_NUMBER,       /* int32, checked when it is present */
    KS_RULE_ENUM,         /* 0 to max; `set` names the values for the text */
    KS_RULE_TOKENS,       /* repeated string: at most max, each 1 to 8192 characters */
    KS_RULE_TAGS,         /* repeated Tag: at most max */
    KS_RULE_CONTEXT,      /* map: what pkg/blob can encode */
    KS_RULE_KEY,          /* string: key id or key ARN */
    KS_RULE_KEY_OR_ALIAS, /* string: any form of key identifier */
    KS_RULE_ALIAS,        /* string: an alias name */
    KS_RULE_REQUEST_ID,   /* string: 1 to 64 of [A-Za-z0-9_.:-], or nothing */
    KS_RULE_KIND_COUNT
};

/* A member of a request. */
struct ks_rule {
    uint32_t field;     /* its number */
    const char *member; /* its name as AWS's texts have it: "keyId" */
    enum ks_rule_kind kind;
    int32_t min;
    int32_t max;
    const char *set; /* ENUM: "AES_256, AES_128" */
};

/* Where a key identifier of a request comes from. */
enum ks_identifier_source {
    KS_IDENTIFIER_NONE,
    KS_IDENTIFIER_NAMED, /* a member of kind KEY, KEY_OR_ALIAS or ALIAS; absent: none */
    KS_IDENTIFIER_BLOB,  /* the key that a ciphertext blob names */
};

struct ks_identifier_rule {
    enum ks_identifier_source source;
    uint32_t field;
};

struct ProtobufCMessageDescriptor;

struct ks_operation {
    const char *name;   /* "Encrypt" */
    const char *action; /* "kms:Encrypt" */
    const char *path;   /* of the gRPC method */
    const struct ProtobufCMessageDescriptor *request;
    uint32_t number;                    /* of internal.v1.Operation; of the entries for a batch */
    bool mutating;                      /* has a request_id, which is made if absent */
    struct ks_rule rules[KS_RULES_MAX]; /* ends with field 0, unless full */
    struct ks_identifier_rule identifiers[KS_IDENTIFIERS_MAX];
    const char *needs;    /* a NUMBER or ENUM that must be there, by member name… */
    const char *needs_or; /* …or this one, and not both; NULL: it alone */
    const char *needs_text;
    const struct ks_operation *entry; /* what the entries of a batch are; NULL: no batch */
};

/* All methods of the service. */
extern const struct ks_operation *const ks_operations[];
extern const size_t ks_operation_count;
