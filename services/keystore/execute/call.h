/*
 * call: one item of a frontend's stream on its way through the keystore.
 *
 *     check ──► resolve, confirm ──► run ──┬─► reply or fail ──► done
 *                                          ├─► hsm ──► reply, fail or commit
 *                                          └─► commit ──► done
 *
 * The call is the owner of an attempt (pkg/attempt), which keeps the view, settles, replays,
 * commits and begins again. A call has one arena: everything that its answer is made of stands
 * there or in the attempt's response, and is wiped with it. The call itself stands in it, too. What
 * a legal request needs fits; a call that asks for more is refused when it answers, asks the hsm or
 * commits next (ks_call_alloc).
 *
 * Threads: one at a time. A call moves between threads: it begins on a loop's thread and goes on
 * where the hsm's link or the store calls back. Nothing blocks.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "keystead/internal/v1/hsm.pb-c.h"
#include "keystead/internal/v1/internal.pb-c.h"
#include "keystead/storage/v1/storage.pb-c.h"
#include "pkg/arn/arn.h"
#include "pkg/attempt/attempt.h"
#include "pkg/base/arena.h"
#include "pkg/base/clock.h"
#include "pkg/operation/check.h"
#include "pkg/record/change.h"
#include "pkg/store/store.h"
#include "services/keystore/hsmlink/link.h"
#include "services/keystore/records/message.h"

#define KS_CALL_TEXT_MAX     KS_REFUSAL_TEXT_MAX /* bytes of a text for the client */
#define KS_CALL_RESPONSE_MAX (512U * 1024U)      /* a list of 1000 keys takes 150 KiB */
/*
 * Bytes. Request and response are below 1 MiB each; a try of an UpdateAlias of two keys with the
 * longest tags and descriptions reads, carries and seals records of 700 KiB, and there are
 * KS_ATTEMPT_TRIES_MAX tries.
 */
#define KS_CALL_ARENA_MAX (8U * 1024U * 1024U)
/* Bytes that a step may ask for beyond that: what it makes is of what fits the arena. */
#define KS_CALL_BEYOND_MAX (2U * KS_CALL_ARENA_MAX)

struct ks_call;
struct ks_checking;
struct ks_execute_message;
struct ks_known_keys;
struct ks_quota;
struct ks_trust;

/* Carries an operation out; operations/handlers.h says how. */
typedef void (*ks_run_fn)(struct ks_call *call);

/* What calls work with; everything is borrowed and outlives them. */
struct ks_execute_env {
    struct ks_store *store;
    struct ks_hsm_link *hsm;
    struct ks_quota *quota;
    struct ks_trust *trust;
    struct ks_clock clock;
    const char *partition;
    const char *region;
    ks_run_fn (*run_of)(uint32_t number); /* NULL: there is no operation of this number */
    struct ks_attempt_env attempts;       /* of the same store and clock */
};

/* The result is borrowed during the call and wiped after it. */
typedef void (*ks_execute_done_fn)(void *user, const INTERNAL(ItemResult) * result);

/* A key that the request names. Its texts are in the arena. */
struct ks_target {
    bool in_blob;                  /* named by a ciphertext */
    const char *account;           /* where it is looked for */
    const char *alias;             /* with "alias/"; NULL: named by its id */
    const char *confirmed_alias;   /* named beside a ciphertext; NULL: none */
    const char *key_id;            /* NULL: an alias that names nothing */
    const char *material_id;       /* that a ciphertext names; NULL: not named by one */
    const STORED(KeyRecord) * key; /* NULL: there is none. No hsm has looked at it yet */
    struct ks_about *about;        /* the key's record as it is stored; NULL: there is none */
    struct ks_arn arn;             /* of the key; of what was named if there is none */
    int64_t key_revision;
    int64_t alias_revision; /* 0: no alias was named */
};

struct ks_call {
    struct ks_attempt attempt;
    const struct ks_execute_env *env;
    ks_execute_done_fn done;
    void *user;
    struct ks_arena arena;
    struct ks_arena beyond; /* what a step asked for once the arena was full */
    bool is_full;           /* the arena was: the call is refused when its step ends */
    const INTERNAL(Item) * item;
    const struct ks_operation *operation;
    struct ks_checked checked; /* what the request says; borrows from item */
    ProtobufCMessage *request; /* of the type operation->request */

    struct ks_known_keys *known; /* of the message it came in; a ref. NULL: it came alone */

    /* Of one try. */
    struct ks_execute_message *message;              /* whose view it is; NULL: the call's own */
    struct ks_store_view view;                       /* open while the call resolves and runs */
    struct ks_target targets[KS_OPERATION_KEYS_MAX]; /* of checked.keys, in their order */
    size_t target_count;
    struct ks_about *confirmed[KS_OPERATION_KEYS_MAX]; /* of keys named beside a ciphertext */
    size_t confirmed_count;
    struct ks_about **others; /* further records that the answer rests on; in the arena */
    size_t other_count;
    size_t other_room;
    bool records_are_checked; /* by the hsm, with a request of this try */
    void *state; /* the operation's own, in the arena; kept between its steps and its tries */
    void (*then)(struct ks_call *call, ks_result result, const INTERNAL(HsmReply) * reply);
    void (*at_end)(struct ks_call *call); /* once it is answered; NULL: nothing is to be done */

    /* Of a mutation whose records the hsm makes (seal.h). */
    struct ks_change change;
    const struct ks_target *sealing[KS_OPERATION_KEYS_MAX];
    size_t sealing_count;

    /* Of an answer that waits for its records to be checked (check_records.h). */
    struct ks_checking *checking;
    ks_code checked_code;
    const char *checked_text;

    /* Of a STALE_VIEW. */
    INTERNAL(View) * *views;
    size_t view_count;
    int64_t view_revision; /* of the copy that they come from */
};

/* Notes that the answer rests on this revision, too. */
void ks_call_rest_on(struct ks_call *call, int64_t revision);

/*
 * Notes that the answer rests on which records there are under prefix, one that the store's index
 * keeps (ks_store_prefix). If the index can't be read it rests on all that the view has.
 */
void ks_call_rest_on_prefix(struct ks_call *call, ks_bytes prefix);

/*
 * Notes that the answer rests on a key's record that is no target's. It is copied for the hsm,
 * unless the hsm has found the very bytes authentic before.
 */
void ks_call_rest_on_record(struct ks_call *call, const struct ks_store_record *record);

/* Returns whether one of the call's targets is looked for in another account than the caller's. */
bool ks_call_names_another_account(const struct ks_call *call);

/*
 * To be called before a refusal about another account: it makes the answer rest on the newest
 * change of the cell. The time that a refusal takes must tell the client neither whether the name
 * exists, nor whether the other account changes anything.
 */
void ks_call_hide_account(struct ks_call *call);

/*
 * The functions that answer a call have the hsm check the records that the answer rests on, unless
 * the answer shows nothing of them, and settle what it rests on. The call may be gone when
 * they return; none may be called for it again.
 */

/* Answers with a failure and the text of its row. */
void ks_call_fail(struct ks_call *call, ks_code code);

/* Answers with a failure and a text for the client, cut at KS_CALL_TEXT_MAX. */
__attribute__((format(printf, 3, 4))) void ks_call_fail_text(struct ks_call *call, ks_code code,
                                                             const char *format, ...);

/*
 * Answers with a response, or with INTERNAL if it is too long to be packed. The response isn't used
 * any more when this returns.
 */
void ks_call_reply(struct ks_call *call, const ProtobufCMessage *response);

/*
 * Closes the view and asks the hsm. The request rests on the records of the call's targets, which are
 * all there: that of target i has the place i + 1 in KeyUse and HsmChange. `then` is called exactly
 * once, maybe before this returns; its reply is NULL if result is a failure, and borrowed during the
 * call. It is never called if the arena was full: the call is answered then.
 */
void ks_call_ask(struct ks_call *call, const INTERNAL(HsmRequest) * request,
                 void (*then)(struct ks_call *call, ks_result result,
                              const INTERNAL(HsmReply) * reply));

/*
 * Answers with what a failure of the hsm means to a client.
 * allowed  the failure that is the client's own fault, passed on unchanged; OK: there is none.
 */
void ks_call_fail_hsm(struct ks_call *call, ks_result result, ks_code allowed);

/*
 * Has the hsm check the records of the call's targets, unless it has, then commits change together
 * with the record that makes it exactly once, and answers with response. If a compare does not hold,
 * the call begins again with a new view, and keeps its state. change and response aren't used any
 * more when this returns; change may be empty then.
 */
void ks_call_commit(struct ks_call *call, struct ks_change *change,
                    const ProtobufCMessage *response);

/*
 * The two halves of it: packs the response (false: the call is answered), and commits call->change
 * with the response that was packed.
 */
bool ks_call_pack(struct ks_call *call, const ProtobufCMessage *response);
void ks_call_commit_packed(struct ks_call *call);

/*
 * Closes the view before the call waits for something. Nothing of the view may be used afterwards.
 */
void ks_call_close_view(struct ks_call *call);

/*
 * Returns zeroed memory that lasts as long as the call; ks_call_dup a copy of bytes with a NUL
 * behind it. Never NULL: once the arena is full the memory comes from beyond it, so that no step
 * has to look, and the call is answered INTERNAL in place of whatever it answers, asks or commits
 * next. The hsm is not asked then and nothing is committed.
 */
void *ks_call_alloc(struct ks_call *call, size_t count, size_t size);
char *ks_call_dup(struct ks_call *call, ks_bytes bytes);
/*
 * Returns whether the arena has room for len bytes more and for what a call needs to answer. A list
 * looks before each entry, and ends its page early if not.
 */
bool ks_call_has_room(const struct ks_call *call, size_t len);
/* Returns room in the arena for count pointers, the form of protoc-c's repeated fields. */
void *ks_call_pointers(struct ks_call *call, size_t count);

/* Returns cell time: what is stored goes by it, and no machine's own clock (pkg/celltime). */
int64_t ks_call_now_ms(const struct ks_call *call);
