/*
 * admin: keystead.admin.v1, one handler a method behind one way through.
 *
 * A handler looks at a view of the store and says what to change and what to answer; it commits
 * nothing itself. admin.c settles or commits what it said, exactly once for a request_id, and runs
 * it again on a new view when something it rests on has changed meanwhile.
 *
 * Threads: handlers run on the one loop of the admin listener; answers leave from there or from
 * the store's thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "pkg/base/arena.h"
#include "pkg/base/bytes.h"
#include "pkg/base/clock.h"
#include "pkg/base/result.h"
#include "pkg/rpc/server.h"
#include "pkg/store/store.h"
#include "services/control/records.h"

#define KS_ADMIN_METHOD_COUNT 7U
#define KS_ADMIN_OPS_MAX      4U
#define KS_ADMIN_PAGE_DEFAULT 100
#define KS_ADMIN_PAGE_MAX     1000

struct ProtobufCMessage;
struct ks_issuer;
struct ks_rpc_loop;

/* What the handlers work with; all borrowed, all outlive the server. */
struct ks_admin {
    struct ks_store *store;
    const struct ks_issuer *issuer;
    const struct ks_clock *clock;
    struct ks_rpc_loop *loop;
    const char *partition; /* of ARNs, "aws" */
};

/* One try of one call, as a handler sees it. */
struct ks_admin_try {
    const struct ks_admin *admin;
    const struct ProtobufCMessage *request; /* of the row's type; strings are never NULL */
    const struct ks_store_view *view;
    struct ks_arena *arena;       /* lasts until the call is answered */
    struct ks_rpc_status *status; /* on failure: text and field may be set, in arena or static */

    /* What it says: the response, and the change; without ops it is a read. */
    struct ks_buffer *response;
    struct ks_store_mutation *mutation; /* keys and values in arena */
};

typedef ks_result (*ks_admin_fn)(struct ks_admin_try *attempt);

/* account.c */
ks_result ks_admin_create_account(struct ks_admin_try *attempt);
ks_result ks_admin_list_accounts(struct ks_admin_try *attempt);
/* user.c */
ks_result ks_admin_create_user(struct ks_admin_try *attempt);
ks_result ks_admin_list_users(struct ks_admin_try *attempt);
ks_result ks_admin_delete_user(struct ks_admin_try *attempt);
/* For handlers. Fails: VALIDATION (a name's form), NOT_FOUND, CORRUPT. */
KS_MUST_USE ks_result ks_admin_find_user(struct ks_admin_try *attempt, const char *account,
                                         const char *name,
                                         Keystead__Storage__V1__UserRecord **ret_user,
                                         int64_t *ret_revision);
/* certificate.c */
ks_result ks_admin_issue_certificate(struct ks_admin_try *attempt);
ks_result ks_admin_revoke_certificate(struct ks_admin_try *attempt);

/* For handlers: attempt.c. */

/* Names the field and what is wrong with it, and gives VALIDATION. Both static or in the arena. */
KS_MUST_USE ks_result ks_admin_refuse(struct ks_admin_try *attempt, const char *field,
                                      const char *what);
/* Fails with code and a text of its own, static or in the arena. */
KS_MUST_USE ks_result ks_admin_fail(struct ks_admin_try *attempt, ks_code code, const char *text);

/* What the try rests on: the record's mod revision, 0 for its absence. */
void ks_admin_rests_on(struct ks_admin_try *attempt, const struct ks_record_key *key,
                       int64_t revision);
/* What it changes. record NULL: deleted. Fails: LIMIT_EXCEEDED (arena). */
KS_MUST_USE ks_result ks_admin_put(struct ks_admin_try *attempt, const struct ks_record_key *key,
                                   const struct ProtobufCMessage *record);
/* What it answers. Fails: LIMIT_EXCEEDED (a response over the bound). */
KS_MUST_USE ks_result ks_admin_answer(struct ks_admin_try *attempt,
                                      const struct ProtobufCMessage *response);

/* Lower-case hex of count random bytes, at most 32, in the arena. Fails: INTERNAL. */
KS_MUST_USE ks_result ks_admin_random_hex(struct ks_admin_try *attempt, size_t count,
                                          char **ret_hex);

/* The page size asked for, or the default. Fails: VALIDATION (out of bounds). */
KS_MUST_USE ks_result ks_admin_page_size(struct ks_admin_try *attempt, int32_t asked,
                                         size_t *ret_count);

/* Fills the rows of the listener's method table; users are `admin`, borrowed. */
void ks_admin_methods(struct ks_admin *admin,
                      struct ks_rpc_method ret_methods[static KS_ADMIN_METHOD_COUNT]);
