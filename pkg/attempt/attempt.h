/*
 * attempt: takes one request through a process that keeps records. It is the one place that sees to
 * it that a request is carried out exactly once (design, promise 3).
 *
 *     identify ──► view ──► admit ──► replay ──► run ──┬──► settle ──► done
 *                   ▲                                  └──► commit ──┬──► done
 *                   └────────── pause ◄── a compare did not hold ────┘
 *
 * A mutation is committed together with a record that says what was asked for (a hash) and what was
 * answered. A request with the same request_id, by the same principal, for the same method, finds
 * that record for 24 hours and is answered from it; with other parameters it is a CONFLICT. Only
 * what was committed is recorded, so that a request which was refused can succeed later.
 *
 *   name   <prefix of the record's name><hex SHA-256 of principal, method and request_id, each
 *          behind its length as 4 bytes, big-endian>
 *   hash   SHA-256 of the request without its request_id, packed by this program, so that it does
 *          not matter how a client packs it. The owner has taken defaults out where the API has
 *          some (pkg/operation/defaults.h)
 *
 * When a compare of a mutation does not hold, the attempt begins again on a new view, at most
 * KS_ATTEMPT_TRIES_MAX times in all, with a pause in between that doubles. When the store does not
 * know whether a mutation was done, the answer is UNAVAILABLE: a retry with the same request_id
 * finds out.
 *
 * The owner embeds the attempt, fills the first group of its members and supplies the steps.
 *
 * Threads: one at a time. An attempt moves between threads: it starts on the owner's thread and
 * goes on where the store, the owner's timer or whatever a step has asked calls back. Nothing
 * blocks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/attempt/state.h"
#include "pkg/base/arena.h"
#include "pkg/base/bytes.h"
#include "pkg/base/clock.h"
#include "pkg/base/result.h"
#include "pkg/record/change.h"
#include "pkg/store/store.h"

#define KS_ATTEMPT_TRIES_MAX  8U /* pauses of 2, 4, ... 128 ms between them; then UNAVAILABLE */
#define KS_ATTEMPT_SHA256_LEN 32U
#define KS_ATTEMPT_KEPT_MS    (24LL * 3600 * 1000) /* how long an answer is kept for retries */

struct ks_attempt;

/* What an attempt needs of the store. ks_attempt_store is the real one's; tests have their own. */
struct ks_attempt_store {
    ks_result (*serve)(void *store, struct ks_store_view *ret_view);
    void (*close)(struct ks_store_view *view);
    ks_result (*get)(const struct ks_store_view *view, ks_bytes key,
                     struct ks_store_record *ret_record);
    void (*settle)(void *store, int64_t revision, void (*done)(void *user, ks_result result),
                   void *user);
    void (*commit)(void *store, const struct ks_store_mutation *mutation,
                   void (*done)(void *user, const struct ks_store_outcome *outcome), void *user);
};

/* The functions of pkg/store/store.h; `store` is a struct ks_store. */
extern const struct ks_attempt_store ks_attempt_store;

/* What all attempts of a process work with; borrowed, and longer-lived than any of them. */
struct ks_attempt_env {
    const struct ks_attempt_store *functions;
    void *store; /* handed to the functions */
    const struct ks_clock *clock;
    /* Runs fn(argument) on some thread after delay_ms, never before it returns. */
    void (*later)(void *user, int64_t delay_ms, void (*fn)(void *argument), void *argument);
    void *later_user;
};

/*
 * What the owner does. A step that is to answer calls exactly one of ks_attempt_fail,
 * ks_attempt_reply and ks_attempt_commit; the attempt may be gone when that returns.
 */
struct ks_attempt_steps {
    /*
     * Opens the view of a try at attempt->view, and closes it; that one is then emptied. Both NULL:
     * a view of the store's (serve, close), for this try alone. open fails: UNAVAILABLE.
     */
    ks_result (*open)(struct ks_attempt *attempt);
    void (*close)(struct ks_attempt *attempt);
    /*
     * Decides on the open view whether the caller may be answered at all, with an earlier answer
     * too. Returns true; or answers and returns false. NULL: every caller may.
     */
    bool (*admit)(struct ks_attempt *attempt);
    /* Carries the request out on the open view. Answers, before it returns or later. */
    void (*run)(struct ks_attempt *attempt);
    /*
     * Takes the answer: result, text and response of the attempt. Called exactly once; then the
     * attempt is the owner's to free (ks_attempt_done) and nothing touches it any more.
     */
    void (*done)(struct ks_attempt *attempt);
};

/* What makes a mutation the same as another one. Borrowed until ks_attempt_start returns. */
struct ks_attempt_identity {
    const char *principal;
    const char *method;
    ks_bytes record_prefix; /* of the record's name, e.g. "request/" */
    /* NULL: the member `request_id` of the message; if that is empty, one that is drawn here. */
    const char *request_id;
    ProtobufCMessage *request; /* has a member request_id; not const, but unchanged on return */
};

struct ks_attempt {
    /* Filled by the owner before the start; borrowed. */
    const struct ks_attempt_env *env;
    const struct ks_attempt_steps *steps;
    void *user;                 /* the owner's */
    struct ks_arena *arena;     /* takes a record that is replayed */
    struct ks_store_view *view; /* where the view of a try stands; {0} when none is open */

    /* For the steps. */
    unsigned tries; /* that were given up because a compare did not hold */

    /* The answer. */
    ks_result result;
    const char *text;           /* for the client; NULL: the result's own */
    const char *violated_field; /* the request's member that this module refused; NULL: none */
    struct ks_buffer response;  /* packed; its len_max is set by the owner */

    /* Used by this module only. */
    enum ks_attempt_state state;
    bool mutates;
    int64_t rests_on; /* newest revision that the answer rests on; 0: on none */
    char name[KS_STORE_KEY_LEN_MAX + 1];
    size_t name_len;
    uint8_t sha256[KS_ATTEMPT_SHA256_LEN];
};

/* Returns whether a request_id has its form: 1 to KS_REQUEST_ID_MAX of KS_REQUEST_ID_LETTERS. */
bool ks_request_id_is_valid(const char *request_id);

/*
 * Carries a request out, which the owner has unpacked and checked. The steps are called from here
 * on, and done exactly once, maybe before this returns. Before the start the owner may refuse the
 * request by ks_attempt_fail instead.
 *
 * identity  NULL: the request only reads.
 *
 * The answer is what a step answers, or
 *   VALIDATION   the request_id has not its form
 *   UNAVAILABLE  no view can be had, the store does not know, or every try met another change
 *   CONFLICT     the request_id was used before, with other parameters
 *   INTERNAL     a stored record can't be read, no randomness
 *   LIMIT_EXCEEDED, THROTTLED   as the store says
 */
void ks_attempt_start(struct ks_attempt *attempt, const struct ks_attempt_identity *identity);

/*
 * Notes that the answer rests on a revision, too. The newest revision noted is the one that counts.
 */
void ks_attempt_rest_on(struct ks_attempt *attempt, int64_t revision);

/* Forgets what the answer rests on. It is for answers that only processes of ours act on. */
void ks_attempt_rest_on_nothing(struct ks_attempt *attempt);

/*
 * Answers with a failure, once what it rests on is settled. If that can't be settled, the answer is
 * UNAVAILABLE. text is borrowed until then; NULL: the result's own.
 */
void ks_attempt_fail(struct ks_attempt *attempt, ks_code code, const char *text);

/* Answers with attempt->response, once what it rests on is settled; UNAVAILABLE otherwise. */
void ks_attempt_reply(struct ks_attempt *attempt);

/*
 * Commits change together with the record of exactly-once, and answers with attempt->response. If a
 * compare does not hold, the attempt begins again instead. change isn't used any more on return.
 *
 * key_id  of the key that is changed, for the record; NULL: none.
 */
void ks_attempt_commit(struct ks_attempt *attempt, struct ks_change *change, const char *key_id);

/* Closes the view, before something that takes long. The zero view is fine. */
void ks_attempt_close_view(struct ks_attempt *attempt);

/* Wipes and frees what an attempt holds by itself: its response. */
void ks_attempt_done(struct ks_attempt *attempt);

/*
 * Returns whether a request's record has been kept long enough. Returns false for a value that
 * can't be read, because a newer program may have written it.
 */
bool ks_attempt_record_is_due(ks_bytes value, int64_t now_ms);
