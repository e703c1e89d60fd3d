#include "services/control/admin.h"

#include <assert.h>
#include <string.h>

#include "keystead/admin/v1/admin.pb-c.h"
#include "pkg/base/log.h"
#include "pkg/codec/codec.h"
#include "pkg/crypto/hash.h"
#include "pkg/crypto/random.h"
#include "pkg/form/names.h"
#include "pkg/rpc/loop.h"

#define TRIES_MAX          8U /* against changes by others; then UNAVAILABLE */
#define REQUEST_LEN_MAX    65536U
#define REQUEST_ID_LEN_MAX 128U /* bytes */
#define DRAWN_ID_LEN       16U  /* bytes, of the request_id of a caller who gave none */
#define RESPONSE_LEN_MAX   (2U * 1024U * 1024U)
#define ARENA_LEN_MAX      (4U * 1024U * 1024U)

struct row {
    const char *path;
    const ProtobufCMessageDescriptor *request;
    size_t request_id_at; /* offset in the request; 0: it has none, as it only reads */
    ks_admin_fn run;
};

#define SERVICE "/keystead.admin.v1.AdminService/"
#define READS(Name, type, fn)                                                                      \
    {                                                                                              \
        SERVICE Name, &keystead__admin__v1__##type##__descriptor, 0, fn                            \
    }
#define CHANGES(Name, Type, type, fn)                                                              \
    {                                                                                              \
        SERVICE Name, &keystead__admin__v1__##type##__descriptor,                                  \
            offsetof(Keystead__Admin__V1__##Type, request_id), fn                                  \
    }

static const struct row rows[KS_ADMIN_METHOD_COUNT] = {
    CHANGES("CreateAccount", CreateAccountRequest, create_account_request, ks_admin_create_account),
    READS("ListAccounts", list_accounts_request, ks_admin_list_accounts),
    CHANGES("CreateUser", CreateUserRequest, create_user_request, ks_admin_create_user),
    READS("ListUsers", list_users_request, ks_admin_list_users),
    CHANGES("DeleteUser", DeleteUserRequest, delete_user_request, ks_admin_delete_user),
    CHANGES("IssueCertificate", IssueCertificateRequest, issue_certificate_request,
            ks_admin_issue_certificate),
    CHANGES("RevokeCertificate", RevokeCertificateRequest, revoke_certificate_request,
            ks_admin_revoke_certificate),
};

/* A call from its arrival to its answer. Freed by answer(). */
struct call {
    struct ks_admin *admin;
    struct ks_rpc_call *rpc;
    const struct row *row;
    struct ks_arena arena;
    ProtobufCMessage *request;
    uint8_t request_sha256[KS_SHA256_LEN];
    struct ks_record_key request_key;
    unsigned tries;
    const char *changes;         /* key of the record that it changes, in arena; NULL: none yet */
    struct ks_rpc_status status; /* of the answer that is being settled or committed */
    struct ks_buffer response;
};

static void free_call(struct call *call)
{
    ks_buffer_done(&call->response);
    ks_arena_done(&call->arena);
    ks_free(call);
}

static void answer_failure(struct call *call)
{
    ks_log(INFO, "admin call refused", KS_TEXT("method", call->row->path),
           KS_TEXT("code", ks_code_name(call->status.code)),
           KS_TEXT("principal", ks_rpc_call_peer(call->rpc)->spiffe));
    ks_rpc_call_fail(call->rpc, &call->status);
    free_call(call);
}

static void answer_code(struct call *call, ks_code code)
{
    call->status = (struct ks_rpc_status){.code = code};
    answer_failure(call);
}

static void answer_success(struct call *call)
{
    ks_log(INFO, "admin call", KS_TEXT("method", call->row->path),
           KS_TEXT("principal", ks_rpc_call_peer(call->rpc)->spiffe),
           KS_TEXT("name", call->changes));
    ks_rpc_call_reply_buffer(call->rpc, &call->response);
    free_call(call);
}

/* What the try came to: status says whether it is the response. */
static void answer(struct call *call)
{
    if (call->status.code != KS_OK) {
        answer_failure(call);
    } else {
        answer_success(call);
    }
}

/* What stands under this request_id: the answer of an earlier try, if it asked for the same. */
static void take_stored(struct call *call, ks_bytes stored)
{
    Keystead__Storage__V1__RequestRecord *record;
    if (ks_failed(ks_request_read(stored, &call->arena, &record))) {
        call->status = (struct ks_rpc_status){.code = KS_INTERNAL};
        return;
    }
    ks_bytes ours = {call->request_sha256, sizeof(call->request_sha256)};
    if (!ks_bytes_equal(ours,
                        (ks_bytes){record->request_sha256.data, record->request_sha256.len})) {
        call->status = (struct ks_rpc_status){
            .code = KS_CONFLICT, .text = "the request_id was used for another request"};
        return;
    }
    call->response.len = 0;
    call->status.code =
        ks_buffer_append(&call->response, (ks_bytes){record->response.data, record->response.len})
            .code;
}

static void try_once(void *arg);

static void on_committed(void *user, const struct ks_store_outcome *outcome)
{
    struct call *call = user;
    switch (outcome->result.code) {
    case KS_OK:
        answer(call);
        return;
    case KS_ALREADY_EXISTS:
        take_stored(call, outcome->stored);
        answer(call);
        return;
    case KS_CONFLICT:
        ks_rpc_loop_post(call->admin->loop, try_once, call);
        return;
    default:
        answer_code(call, outcome->result.code);
        return;
    }
}

static void on_settled(void *user, ks_result result)
{
    struct call *call = user;
    if (ks_failed(result)) {
        answer_code(call, result.code);
    } else {
        answer(call);
    }
}

/* The record of exactly-once, in the call's arena. */
static ks_result add_request_record(struct call *call, struct ks_store_mutation *mutation)
{
    Keystead__Storage__V1__RequestRecord record = KEYSTEAD__STORAGE__V1__REQUEST_RECORD__INIT;
    record.format = 1;
    record.request_sha256 =
        (ProtobufCBinaryData){sizeof(call->request_sha256), call->request_sha256};
    record.response = (ProtobufCBinaryData){call->response.len, call->response.ptr};
    record.created_at_ms = ks_clock_wall_ms(call->admin->clock);

    KS_BUFFER_AUTO packed = {.len_max = KS_STORE_VALUE_LEN_MAX};
    KS_TRY(ks_codec_pack(&record.base, &packed));
    char *copy = ks_arena_dup(&call->arena, ks_buffer_bytes(&packed));
    if (!copy) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    mutation->request_key = ks_record_key_bytes(&call->request_key);
    mutation->request_value = (ks_bytes){(const uint8_t *)copy, packed.len};
    return KS_RES(OK);
}

static void commit(struct call *call, struct ks_store_mutation *mutation)
{
    ks_result r = add_request_record(call, mutation);
    if (ks_failed(r)) {
        answer_code(call, r.code);
        return;
    }
    call->changes = (const char *)mutation->ops[0].key.ptr;
    ks_store_commit(call->admin->store, mutation, 0, on_committed, call);
}

/*
 * Whether an earlier try of a changing call has been done: then its answer counts, whatever the
 * handler would say now ("it exists already").
 */
static ks_result find_earlier_try(struct call *call, const struct ks_store_view *view,
                                  bool *ret_found)
{
    *ret_found = false;
    if (call->row->request_id_at == 0) {
        return KS_RES(OK);
    }
    struct ks_store_record record;
    ks_result r = ks_store_get(view, ks_record_key_bytes(&call->request_key), &record);
    if (r.code == KS_NOT_FOUND) {
        return KS_RES(OK);
    }
    KS_TRY(r);
    take_stored(call, record.value);
    *ret_found = true;
    return KS_RES(OK);
}

static ks_result run(struct call *call, const struct ks_store_view *view,
                     struct ks_store_mutation *mutation)
{
    bool found;
    KS_TRY(find_earlier_try(call, view, &found));
    if (found) {
        return (ks_result){call->status.code};
    }
    struct ks_admin_try attempt = {.admin = call->admin,
                                   .request = call->request,
                                   .view = view,
                                   .arena = &call->arena,
                                   .status = &call->status,
                                   .response = &call->response,
                                   .mutation = mutation};
    return call->row->run(&attempt);
}

static void try_once(void *arg)
{
    struct call *call = arg;
    KS_STORE_VIEW_AUTO view = {0};
    if (call->tries++ == TRIES_MAX || ks_failed(ks_store_serve(call->admin->store, &view))) {
        answer_code(call, KS_UNAVAILABLE);
        return;
    }
    struct ks_store_mutation mutation = {0};
    call->response.len = 0;
    call->status = (struct ks_rpc_status){.code = KS_OK};
    ks_result r = run(call, &view, &mutation);
    call->status.code = r.code == KS_CORRUPT ? KS_INTERNAL : r.code;
    if (!ks_failed(r) && mutation.op_count > 0) {
        commit(call, &mutation);
        return;
    }
    ks_store_settle(call->admin->store, view.data_revision, on_settled, call);
}

/* The hash of what was asked for, and the key under which its answer is stored. */
static ks_result identify(struct call *call)
{
    char **request_id = (char **)((char *)call->request + call->row->request_id_at);
    char *as_written = *request_id;
    char drawn[2 * DRAWN_ID_LEN + 1];
    if (strlen(as_written) > REQUEST_ID_LEN_MAX) {
        call->status.text = "request_id must have at most 128 bytes";
        call->status.violations[0] = (struct ks_rpc_entry){"request_id", call->status.text};
        call->status.violation_count = 1;
        return KS_RES(VALIDATION);
    }
    if (as_written[0] == '\0') {
        uint8_t random[DRAWN_ID_LEN];
        KS_TRY(ks_random_public(random, sizeof(random)));
        ks_hex_write((ks_bytes){random, sizeof(random)}, drawn);
    }
    call->request_key = ks_request_key(ks_rpc_call_peer(call->rpc)->spiffe, call->row->path,
                                       as_written[0] == '\0' ? drawn : as_written);

    *request_id = "";
    KS_BUFFER_AUTO packed = {.len_max = 2 * REQUEST_LEN_MAX};
    ks_result r = ks_codec_pack(call->request, &packed);
    *request_id = as_written;
    KS_TRY(r);
    return ks_hash_sha256_once(ks_buffer_bytes(&packed), call->request_sha256);
}

static void start(void *user, struct ks_rpc_call *rpc)
{
    struct call *call = ks_alloc(1, sizeof(*call));
    *call = (struct call){.admin = user,
                          .rpc = rpc,
                          .arena = {.len_max = ARENA_LEN_MAX},
                          .response = {.len_max = RESPONSE_LEN_MAX}};
    const char *path = ks_rpc_call_method(rpc)->path;
    for (size_t i = 0; i < KS_ADMIN_METHOD_COUNT; i++) {
        if (strcmp(rows[i].path, path) == 0) {
            call->row = &rows[i];
        }
    }
    assert(call->row);

    ks_result r = ks_codec_unpack(call->row->request, ks_rpc_call_request(rpc), NULL, &call->arena,
                                  &call->request);
    if (!ks_failed(r) && call->row->request_id_at > 0) {
        r = identify(call);
    }
    if (ks_failed(r)) {
        call->status.code = r.code;
        answer_failure(call);
        return;
    }
    try_once(call);
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
