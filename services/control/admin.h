/*
 * admin: keystead.admin.v1, one handler a method behind one way through.
 *
 * A handler looks at a view of the store and says what to change and what to answer; it commits
 * nothing itself. admin.c is the owner of an attempt (pkg/attempt), which settles or commits what
 * the handler said, exactly once for a request_id, and runs the handler again on a new view when
 * something that it rests on has changed meanwhile.
 *
 * Threads: handlers run on the one loop of the admin listener; answers leave from there or from
 * the store's thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "pkg/attempt/attempt.h"
#include "pkg/base/arena.h"
#include "pkg/base/bytes.h"
#include "pkg/base/clock.h"
#include "pkg/base/result.h"
#include "pkg/rpc/server.h"
#include "pkg/store/store.h"
#include "services/control/records.h"

#define KS_ADMIN_METHOD_COUNT 7U
#define KS_ADMIN_PAGE_DEFAULT 100
#define KS_ADMIN_PAGE_MAX     1000

struct ProtobufCMessage;
struct ks_issuer;
struct ks_rpc_loop;

/* What the handlers work with; everything is borrowed and outlives the server. */
struct ks_admin {
    struct ks_store *store;
    const struct ks_issuer *issuer;
    const struct ks_clock *clock;
    struct ks_rpc_loop *loop;
    const char *partition;          /* of ARNs, "aws" */
    struct ks_attempt_env attempts; /* filled by ks_admin_init */
};

/* One try of one call, as a handler sees it. */
struct ks_admin_try {
    const struct ks_admin *admin;
    const struct ProtobufCMessage *request; /* of the row's type; strings are never NULL */
    const struct ks_store_view *view;
    struct ks_arena *arena;       /* lasts until the call is answered */
    struct ks_rpc_status *status; /* on failure: text and field may be set, in arena or static */

    /* What the handler says: the response, and the change, which is empty if it only reads. */
    struct ks_buffer *response;
    struct ks_change *change;
};

typedef ks_result (*ks_admin_fn)(struct ks_admin_try *attempt);

/* account.c */
ks_result ks_admin_create_account(struct ks_admin_try *attempt);
ks_result ks_admin_list_accounts(struct ks_admin_try *attempt);
/* user.c */
ks_result ks_admin_create_user(struct ks_admin_try *attempt);
ks_result ks_admin_list_users(struct ks_admin_try *attempt);
ks_result ks_admin_delete_user(struct ks_admin_try *attempt);
/*
 * For handlers: looks a user up.
 * ret_user, ret_revision  as ks_user_load; unchanged on failure.
 * Fails: VALIDATION (a name's form), NOT_FOUND, CORRUPT.
 */
KS_MUST_USE ks_result ks_admin_find_user(struct ks_admin_try *attempt, const char *account,
                                         const char *name,
                                         Keystead__Storage__V1__UserRecord **ret_user,
                                         int64_t *ret_revision);
/* certificate.c */
ks_result ks_admin_issue_certificate(struct ks_admin_try *attempt);
ks_result ks_admin_revoke_certificate(struct ks_admin_try *attempt);

/* For handlers: try.c. */

/* Notes the field and what is wrong with it, both static or in the arena. Returns VALIDATION. */
KS_MUST_USE ks_result ks_admin_refuse(struct ks_admin_try *attempt, const char *field,
                                      const char *what);
/* Notes a text, static or in the arena, for a failure with code. Returns that failure. */
KS_MUST_USE ks_result ks_admin_fail(struct ks_admin_try *attempt, ks_code code, const char *text);

/* Notes that the try rests on a record's last change being this revision; 0: on its absence. */
void ks_admin_rests_on(struct ks_admin_try *attempt, const struct ks_record_key *key,
                       int64_t revision);
/* Adds a record to the change; NULL: its deletion. A failure stays in the change. */
void ks_admin_put(struct ks_admin_try *attempt, const struct ks_record_key *key,
                  const struct ProtobufCMessage *record);
/* Sets the response. Fails: LIMIT_EXCEEDED (a response over the bound; there is none then). */
KS_MUST_USE ks_result ks_admin_answer(struct ks_admin_try *attempt,
                                      const struct ProtobufCMessage *response);

/*
 * Draws count random bytes, at most 32, and writes them in lower-case hex, in the arena.
 * Fails: INTERNAL (no randomness), LIMIT_EXCEEDED (the arena is full); ret_hex is unchanged.
 */
KS_MUST_USE ks_result ks_admin_random_hex(struct ks_admin_try *attempt, size_t count,
                                          char **ret_hex);

/*
 * Gives the page size that was asked for, or the default. Fails: VALIDATION (out of bounds;
 * ret_count unchanged).
 */
KS_MUST_USE ks_result ks_admin_page_size(struct ks_admin_try *attempt, int32_t asked,
                                         size_t *ret_count);

/* Fills admin->attempts from the other members, which are set. */
void ks_admin_init(struct ks_admin *admin);

/* Fills the rows of the listener's method table, whose user is admin: initialized before a call. */
void ks_admin_methods(struct ks_admin *admin,
                      struct ks_rpc_method ret_methods[static KS_ADMIN_METHOD_COUNT]);
