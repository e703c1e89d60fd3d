#include "services/control/admin.h"

#include <assert.h>
#include <string.h>

#include "keystead/admin/v1/admin.pb-c.h"
#include "pkg/base/log.h"
#include "pkg/codec/codec.h"
#include "pkg/rpc/loop.h"

#define REQUEST_LEN_MAX  65536U
#define RESPONSE_LEN_MAX (2U * 1024U * 1024U)
#define ARENA_LEN_MAX    (4U * 1024U * 1024U)
#define REQUESTS         KS_LITERAL("request/")

struct row {
    const char *path;
    const ProtobufCMessageDescriptor *request;
    bool mutates; /* has a request_id */
    enum ks_store_room room;
    ks_admin_fn run;
};

#define SERVICE "/keystead.admin.v1.AdminService/"
#define READS(Name, type, fn)                                                                      \
    {                                                                                              \
        SERVICE Name, &keystead__admin__v1__##type##__descriptor, false, KS_STORE_CHANGES, fn      \
    }
#define MUTATES(Name, type, room, fn)                                                              \
    {                                                                                              \
        SERVICE Name, &keystead__admin__v1__##type##__descriptor, true, KS_STORE_##room, fn        \
    }

static const struct row rows[KS_ADMIN_METHOD_COUNT] = {
    MUTATES("CreateAccount", create_account_request, GROWS, ks_admin_create_account),
    READS("ListAccounts", list_accounts_request, ks_admin_list_accounts),
    MUTATES("CreateUser", create_user_request, GROWS, ks_admin_create_user),
    READS("ListUsers", list_users_request, ks_admin_list_users),
    MUTATES("DeleteUser", delete_user_request, WITHDRAWS, ks_admin_delete_user),
    MUTATES("IssueCertificate", issue_certificate_request, GROWS, ks_admin_issue_certificate),
    MUTATES("RevokeCertificate", revoke_certificate_request, WITHDRAWS,
            ks_admin_revoke_certificate),
};

/* A call from its arrival to its answer; freed by `done`. */
struct call {
    struct ks_attempt attempt;
    struct ks_admin *admin;
    struct ks_rpc_call *rpc;
    const struct row *row;
    struct ks_arena arena;
    ProtobufCMessage *request;
    struct ks_store_view view;
    const char *changes;         /* key of the record that it changes, in arena; NULL: none yet */
    struct ks_rpc_status status; /* what a refusal says; its code is the attempt's */
};

/* ---- The steps of a call's attempt ---- */

/* What it is to be after the handler; false: it is to be refused with status. */
static bool handle(struct call *call, struct ks_change *change)
{
    call->status = (struct ks_rpc_status){.code = KS_OK};
    call->attempt.response.len = 0;
    struct ks_admin_try try = {
        .admin = call->admin,
        .request = call->request,
        .view = &call->view,
        .arena = &call->arena,
        .status = &call->status,
        .response = &call->attempt.response,
        .change = change,
    };
    ks_result result = call->row->run(&try);
    if (!ks_failed(result)) {
        result = change->result;
    }
    call->status.code = result.code == KS_CORRUPT ? KS_INTERNAL : result.code;
    return !ks_failed(result);
}

/* Whatever is answered without a commit rests on the view as a whole. */
static void run(struct ks_attempt *attempt)
{
    struct call *call = attempt->user;
    KS_CHANGE_AUTO change = {.result = KS_RES(OK)};
    ks_attempt_rest_on(attempt, call->view.data_revision);
    if (!handle(call, &change)) {
        ks_attempt_fail(attempt, call->status.code, call->status.text);
        return;
    }
    if (!call->row->mutates) {
        ks_attempt_reply(attempt);
        return;
    }
    /* A change that finds everything as it wants it is recorded, too: a retry must do nothing. */
    if (change.mutation.op_count > 0) {
        call->changes = ks_arena_dup(&call->arena, change.mutation.ops[0].key);
    }
    change.mutation.room = call->row->room;
    ks_attempt_commit(attempt, &change, NULL);
}

/* The handler's status counts only if the answer is still the one that it gave. */
static struct ks_rpc_status refusal_of(const struct call *call)
{
    const struct ks_attempt *attempt = &call->attempt;
    if (call->status.code == attempt->result.code && !attempt->violated_field) {
        return call->status;
    }
    struct ks_rpc_status status = {.code = attempt->result.code, .text = attempt->text};
    if (attempt->violated_field) {
        status.violations[0] = (struct ks_rpc_entry){attempt->violated_field, attempt->text};
        status.violation_count = 1;
    }
    return status;
}

static void done(struct ks_attempt *attempt)
{
    struct call *call = attempt->user;
    const char *principal = ks_rpc_call_peer(call->rpc)->spiffe;
    if (ks_failed(attempt->result)) {
        const struct ks_rpc_status status = refusal_of(call);
        ks_log(INFO, "admin call refused", KS_TEXT("method", call->row->path),
               KS_TEXT("code", ks_code_name(status.code)), KS_TEXT("principal", principal));
        ks_rpc_call_fail(call->rpc, &status);
    } else {
        ks_log(INFO, "admin call", KS_TEXT("method", call->row->path),
               KS_TEXT("principal", principal), KS_TEXT("name", call->changes));
        ks_rpc_call_reply_buffer(call->rpc, &attempt->response);
    }
    ks_attempt_done(attempt);
    ks_arena_done(&call->arena);
    ks_free(call);
}

static const struct ks_attempt_steps steps = {.run = run, .done = done};

/* ---- Arrival ---- */

static const struct row *row_of(const char *path)
{
    for (size_t i = 0; i < KS_ADMIN_METHOD_COUNT; i++) {
        if (strcmp(rows[i].path, path) == 0) {
            return &rows[i];
        }
    }
    return NULL;
}

static void start(void *user, struct ks_rpc_call *rpc)
{
    struct call *call = ks_alloc(1, sizeof(*call));
    *call = (struct call){.admin = user,
                          .rpc = rpc,
                          .row = row_of(ks_rpc_call_method(rpc)->path),
                          .arena = {.len_max = ARENA_LEN_MAX}};
    assert(call->row);
    call->attempt = (struct ks_attempt){
        .env = &call->admin->attempts,
        .steps = &steps,
        .user = call,
        .arena = &call->arena,
        .view = &call->view,
        .response = {.len_max = RESPONSE_LEN_MAX},
    };
    if (ks_failed(ks_codec_unpack(call->row->request, ks_rpc_call_request(rpc), NULL, &call->arena,
                                  &call->request))) {
        ks_attempt_fail(&call->attempt, KS_VALIDATION, NULL);
        return;
    }
    const struct ks_attempt_identity identity = {
        .principal = ks_rpc_call_peer(rpc)->spiffe,
        .method = call->row->path,
        .record_prefix = REQUESTS,
        .request = call->request,
    };
    ks_attempt_start(&call->attempt, call->row->mutates ? &identity : NULL);
}

/* ---- A pause between tries: handlers run on the loop, and timers are made there ---- */

struct pause {
    struct ks_rpc_loop *loop;
    int64_t delay_ms;
    void (*fn)(void *argument);
    void *argument;
};

static void begin_pause(void *argument)
{
    struct pause *pause = argument;
    ks_rpc_loop_after(pause->loop, pause->delay_ms, pause->fn, pause->argument);
    ks_free(pause);
}

static void later(void *user, int64_t delay_ms, void (*fn)(void *argument), void *argument)
{
    struct ks_admin *admin = user;
    struct pause *pause = ks_alloc(1, sizeof(*pause));
    *pause = (struct pause){admin->loop, delay_ms, fn, argument};
    ks_rpc_loop_post(admin->loop, begin_pause, pause);
}

void ks_admin_init(struct ks_admin *admin)
{
    admin->attempts = (struct ks_attempt_env){
        .functions = &ks_attempt_store,
        .store = admin->store,
        .clock = admin->clock,
        .later = later,
        .later_user = admin,
    };
}

void ks_admin_methods(struct ks_admin *admin,
                      struct ks_rpc_method ret_methods[static KS_ADMIN_METHOD_COUNT])
{
    for (size_t i = 0; i < KS_ADMIN_METHOD_COUNT; i++) {
        ret_methods[i] = (struct ks_rpc_method){.path = rows[i].path,
                                                .unary = start,
                                                .user = admin,
                                                .request_bytes_max = REQUEST_LEN_MAX};
    }
}
