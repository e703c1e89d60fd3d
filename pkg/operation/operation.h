/*
 * operation: the table of the API's methods. Each has a row with everything that makes it different
 * from the others. The rows are generated from the options in the proto files
 * (proto/keystead/api/v1/options.proto) by generate.py; nothing here is written twice.
 *
 * Frontends route and check by it, keystores check again and carry out by it, the command line
 * takes names and limits from it.
 *
 * Threads: constants; any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/base/result.h"
#include "pkg/keystate/keystate.h"
#include "pkg/operation/bounds.h"

#define KS_SERVICE_NAME "keystead.kms.v1.KeyManagementService"

struct ProtobufCMessageDescriptor;

enum ks_operation_kind {
    KS_OPERATION_READ,     /* answers from what is stored */
    KS_OPERATION_CRYPTO,   /* an hsm works; nothing is changed */
    KS_OPERATION_MUTATION, /* changes what is stored, once for each request_id */
};

/* What a mutation does to the room that is left in the cell (pkg/store/log/space.h). */
enum ks_operation_room { KS_ROOM_CHANGES, KS_ROOM_GROWS, KS_ROOM_WITHDRAWS };

enum ks_member_type {
    KS_MEMBER_FLAG,    /* bool: has no limit */
    KS_MEMBER_TEXT,    /* string: limits count characters */
    KS_MEMBER_BYTES,   /* bytes: limits count bytes; the value is never shown */
    KS_MEMBER_NUMBER,  /* int32: limits bound the value */
    KS_MEMBER_ENUM,    /* 0 counts as absent; values lists the others */
    KS_MEMBER_ENUMS,   /* repeated enum: limits count elements; 0 is no value */
    KS_MEMBER_TEXTS,   /* repeated string: limits count elements, element_* their characters */
    KS_MEMBER_TAGS,    /* repeated Tag */
    KS_MEMBER_CONTEXT, /* map of strings: an encryption context, whose limits are pkg/blob's */
    KS_MEMBER_ENTRIES, /* the requests of a batch */
};

/* How a member names a key. */
enum ks_key_form {
    KS_KEY_FORM_NONE,         /* it names none */
    KS_KEY_FORM_KEY,          /* a key id or key ARN */
    KS_KEY_FORM_KEY_OR_ALIAS, /* also an alias name or alias ARN */
    KS_KEY_FORM_ALIAS,        /* an alias name of the caller's account */
    KS_KEY_FORM_CIPHERTEXT,   /* a ciphertext, whose header names the key */
};

/* A class of ASCII characters: a bit for each. */
typedef struct ks_charset {
    uint64_t bits[2];
} ks_charset;

#define KS_MEMBER_NONE 0xffU /* index of no member */

/* What policies call the value of a member. */
struct ks_condition {
    const char
        *key; /* "kms:KeySpec"; with elements that have names, "aws:RequestTag/"; NULL: none */
    const char *names; /* of which each element's name is a value: "aws:TagKeys"; NULL: none */
    uint8_t about;     /* index of the member that names the resource it concerns; NONE: all do */
};

/* A member of a request. */
struct ks_member {
    uint32_t field;   /* its number in the message */
    const char *name; /* as AWS's texts have it: "keyId" */
    enum ks_member_type type;
    enum ks_key_form key_form;
    bool required; /* absent is refused */
    bool secret;   /* its value is repeated in no text, log or record */
    int32_t min;   /* both inclusive */
    int32_t max;   /* 0: there is no limit */
    int32_t element_min;
    int32_t element_max;
    const char *pattern; /* of its characters, for the text; NULL: any */
    ks_charset charset;  /* the characters of pattern */
    const char *values;  /* ENUM, ENUMS: "AES_256, AES_128" */
    int32_t value_max;   /* ENUM, ENUMS: 1 to value_max are values */
    const char *text;    /* what a client reads about its limits; NULL: AWS's sentence */
    ks_code text_code;   /* that comes with text */
    /* The text for a client that gave an alias in place of a key; NULL: that of an absent key. */
    const char *alias_text;
    bool alias_made;       /* names an alias that is to be made */
    const char *if_absent; /* what its absence stands for, as a text; NULL: nothing */
    struct ks_condition condition;
};

enum ks_resource_type {
    KS_RESOURCE_ACCOUNT, /* the caller's account: decided by identity policies alone */
    KS_RESOURCE_ALIAS,   /* an alias of the caller's account, there or not */
    KS_RESOURCE_KEY,     /* a key, which a keystore finds */
};

/*
 * Something that a request touches: an action is decided on each. Those of type KEY are what the
 * keystore finds and confirms, in this order.
 */
struct ks_resource {
    enum ks_resource_type type;
    const char *action; /* "kms:ReEncryptFrom" */
    uint8_t member;     /* index of what names it; ACCOUNT: whose presence asks for it; or NONE */
    uint8_t confirmed;  /* KEY: index of the member that must name the same key, if present; NONE */
    ks_key_rule states; /* KEY: which states allow it */
    uint32_t usage;     /* KEY: the kms.v1.KeyUsage that it must have; 0: any */
};

/* Of these members exactly one is present. */
struct ks_choice {
    uint64_t members; /* a bit for each index */
    uint8_t first;    /* index of the one that is named as violated */
    const char *text;
};

struct ks_operation {
    const char *name; /* "Encrypt" */
    const char *path; /* of the gRPC method */
    uint32_t number;  /* between processes and in stored records; 0: a batch */
    enum ks_operation_kind kind;
    enum ks_operation_room room;
    bool other_accounts; /* a key of another account may be named */
    const struct ProtobufCMessageDescriptor *request;
    const struct ProtobufCMessageDescriptor *response;
    const struct ks_member *members;
    size_t member_count; /* at most KS_OPERATION_MEMBERS_MAX */
    const struct ks_resource *resources;
    size_t resource_count;
    size_t key_count; /* those of type KEY: at most KS_OPERATION_KEYS_MAX */
    const struct ks_choice *choices;
    size_t choice_count;
    uint8_t request_id;             /* index of the member; NONE unless it is a mutation */
    const char *same_key_condition; /* of two keys: what policies call their being one */
    /*
     * What a request of it takes at the joint maximum of its limits, known fields alone: fields,
     * those of messages within counted, and bytes. Of a batch: its entry's.
     */
    size_t fields_max;
    size_t len_max;
    const struct ks_operation *entry; /* what the entries of a batch are; NULL: no batch */
};

/* The members of a Tag, in the form of members of a request. */
#define KS_TAG_MEMBER_COUNT 2U
extern const struct ks_member ks_tag_members[KS_TAG_MEMBER_COUNT];

/* All methods of the service, in the order of the proto file. */
extern const struct ks_operation *const ks_operations[];
extern const size_t ks_operation_count;

/* Returns the row of that number; NULL if there is none. */
const struct ks_operation *ks_operation_of(uint32_t number);

/*
 * Returns AWS's name of an enum's value, such as "AES_256"; borrowed from member.
 * number  1 to member->value_max.
 */
ks_bytes ks_member_value_name(const struct ks_member *member, int32_t number);

/* Returns the member with that field number; NULL if the operation has none. */
const struct ks_member *ks_operation_member(const struct ks_operation *operation, uint32_t field);
