/*
 * call: one item of a frontend's stream on its way through the keystore.
 *
 *     begin ──► check, resolve, confirm ──► run ──┬─► reply or fail ──► settle ──► done
 *       ▲                                         ├─► hsm ──► reply or fail
 *       └── a compare did not hold, a while later ┴─► commit ──► reply
 *
 * A call has one arena; everything that its answer is made of stands there and is wiped with it.
 *
 * Threads: one at a time. A call wanders: it begins on a loop's thread and goes on where the hsm's
 * link or the store calls back. Nothing blocks.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "keystead/internal/v1/hsm.pb-c.h"
#include "keystead/internal/v1/internal.pb-c.h"
#include "keystead/storage/v1/storage.pb-c.h"
#include "pkg/arn/arn.h"
#include "pkg/base/arena.h"
#include "pkg/base/clock.h"
#include "pkg/operation/check.h"
#include "pkg/record/change.h"
#include "pkg/store/store.h"
#include "services/keystore/hsmlink/link.h"
#include "services/keystore/records/message.h"

#define KS_CALL_TRIES_MAX    8U /* of a mutation whose compares don't hold; then UNAVAILABLE */
#define KS_CALL_TEXT_MAX     KS_REFUSAL_TEXT_MAX  /* bytes of a text for the client */
#define KS_CALL_RESPONSE_MAX (512U * 1024U)       /* a list of 1000 keys takes 150 KiB */
#define KS_CALL_ARENA_MAX    (4U * 1024U * 1024U) /* request, records of some tries, response */

struct ks_call;
struct ks_execute_message;
struct ks_quota;

/* Carries an operation out: what operations/handlers.h says. */
typedef void (*ks_run_fn)(struct ks_call *call);

/* What calls work with; as long as any of them. */
struct ks_execute_env {
    struct ks_store *store;
    struct ks_hsm_link *hsm;
    struct ks_quota *quota;
    struct ks_clock clock;
    const char *partition;
    const char *region;
    ks_run_fn (*run_of)(uint32_t number); /* NULL: there is no operation of this number */
    /* Runs fn(argument) on some thread after delay_ms. Never at once. */
    void (*later)(void *user, int64_t delay_ms, void (*fn)(void *argument), void *argument);
    void *later_user;
};

/* The result is borrowed during the call and wiped after it. */
typedef void (*ks_execute_done_fn)(void *user, const INTERNAL(ItemResult) * result);

/* A key that the request names. Texts stand in the arena. */
struct ks_target {
    bool in_blob;                  /* named by a ciphertext */
    const char *account;           /* where it is looked for */
    const char *alias;             /* with "alias/"; NULL: named by its id */
    const char *key_id;            /* NULL: an alias that names nothing */
    const char *material_id;       /* that a ciphertext names; NULL: not named by one */
    const STORED(KeyRecord) * key; /* NULL: there is none */
    struct ks_arn arn;             /* of the key; of what was named if there is none */
    int64_t key_revision;
    int64_t alias_revision; /* 0: no alias was named */
};

struct ks_call {
    const struct ks_execute_env *env;
    ks_execute_done_fn done;
    void *user;
    struct ks_arena arena;
    const INTERNAL(Item) * item;
    const struct ks_operation *operation;
    struct ks_checked checked; /* what the request says; borrows from item */
    ProtobufCMessage *request; /* of the type operation->request */
    unsigned tries;

    /* Of one try. */
    struct ks_execute_message *message;              /* whose view it is; NULL: the call's own */
    struct ks_store_view view;                       /* open while the call resolves and runs */
    struct ks_target targets[KS_OPERATION_KEYS_MAX]; /* of checked.keys, in their order */
    size_t target_count;
    int64_t rests_on; /* newest revision that the answer rests on; 0: on none */
    void *state;      /* the operation's own, in the arena, between its steps */
    void (*then)(struct ks_call *call, ks_result result, const INTERNAL(HsmReply) * reply);

    /* The answer. */
    ks_result result;
    const char *text; /* NULL: the result's own */
    INTERNAL(View) * *views;
    size_t view_count;
    struct ks_buffer packed; /* the response */
};

/* The answer rests on this revision, too. */
void ks_call_rest_on(struct ks_call *call, int64_t revision);

/* Answers with a failure and the row's text. The call is gone after settling. */
void ks_call_fail(struct ks_call *call, ks_code code);

/* The same with a text for the client. */
__attribute__((format(printf, 3, 4))) void ks_call_fail_text(struct ks_call *call, ks_code code,
                                                             const char *format, ...);

/* Answers with a response; the second takes it packed. */
void ks_call_reply(struct ks_call *call, const ProtobufCMessage *response);
void ks_call_reply_packed(struct ks_call *call, ks_bytes response);

/*
 * Asks the hsm and goes on with `then`, which is called exactly once, maybe at once. The view is
 * closed before.
 */
void ks_call_ask(struct ks_call *call, const INTERNAL(HsmRequest) * request,
                 void (*then)(struct ks_call *call, ks_result result,
                              const INTERNAL(HsmReply) * reply));

/*
 * Answers with what a failure of the hsm means to a client. allowed: a failure that is the client's
 * own doing and goes to it unchanged; OK: none is.
 */
void ks_call_fail_hsm(struct ks_call *call, ks_result result, ks_code allowed);

/*
 * Commits change with the record of exactly-once, and answers with response. Begins anew when a
 * compare does not hold. The view is closed before; change and response are done with on return.
 */
void ks_call_commit(struct ks_call *call, struct ks_change *change,
                    const ProtobufCMessage *response);

/* Closes the view, for what goes on later. */
void ks_call_close_view(struct ks_call *call);

/* In the arena; never NULL: a full arena is a programmer error, as its cap is above all limits. */
void *ks_call_alloc(struct ks_call *call, size_t count, size_t size);
char *ks_call_dup(struct ks_call *call, ks_bytes bytes);
/* Room for so many pointers, as protoc-c's repeated fields are. */
void *ks_call_pointers(struct ks_call *call, size_t count);

int64_t ks_call_now_ms(const struct ks_call *call);
