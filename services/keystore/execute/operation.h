/*
 * operation: one row of the table of what a keystore can do: which request it takes, which keys that
 * names, in which states they may be, and what is done. The rows stand in operations/table.c.
 *
 * Threads: constant.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "keystead/internal/v1/internal.pb-c.h"
#include "pkg/keystate/keystate.h"
#include "services/keystore/execute/call.h"

enum ks_operation_kind {
    KS_OPERATION_READ,     /* answers from the view */
    KS_OPERATION_HSM,      /* uses a key, changes nothing */
    KS_OPERATION_MUTATION, /* has a request_id, exactly once */
};

/* How a field names a key. */
enum ks_identifier_form {
    KS_IDENTIFIER_NONE,
    KS_IDENTIFIER_KEY,     /* key id or key ARN */
    KS_IDENTIFIER_KEY_OPT, /* the same; empty: no key is named */
    KS_IDENTIFIER_ANY,     /* also alias name or alias ARN */
    KS_IDENTIFIER_ALIAS,   /* alias name of the caller's account */
    KS_IDENTIFIER_BLOB,    /* the header of a ciphertext */
};

struct ks_identifier {
    enum ks_identifier_form form;
    size_t offset;        /* of the field in the request's struct */
    ks_key_action action; /* that the key's state must allow */
    /* BLOB: offset of the text that, if given, must name the same key. */
    size_t given_offset;
};

struct ks_operation {
    INTERNAL(Operation) number;
    const char *name; /* "CreateKey" */
    enum ks_operation_kind kind;
    bool other_accounts; /* a key of another account may be named */
    const ProtobufCMessageDescriptor *request_type;
    struct ks_identifier identifiers[KS_CALL_TARGETS_MAX];
    /* Whether the request keeps its limits; answers the call and returns false if not. */
    bool (*check)(struct ks_call *call); /* NULL: nothing to check */
    /* The view is open, the keys are there, the caller may, the states allow it. Answers the call. */
    void (*run)(struct ks_call *call);
};
