#include "services/control/admin.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "keystead/admin/v1/admin.pb-c.h"
#include "pkg/base/log.h"
#include "pkg/codec/codec.h"
#include "pkg/crypto/hash.h"
#include "pkg/crypto/random.h"
#include "pkg/rpc/loop.h"

#define TRIES_MAX          8U /* against changes by others; then UNAVAILABLE */
#define REQUEST_ID_LEN_MAX 128U
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
    {SERVICE Name, &keystead__admin__v1__##type##__descriptor, 0, fn}
#define CHANGES(Name, Type, type, fn)                                                              \
    {SERVICE Name, &keystead__admin__v1__##type##__descriptor,                                     \
     offsetof(Keystead__Admin__V1__##Type, request_id), fn}

static const struct row rows[KS_ADMIN_METHOD_COUNT] = {
    CHANGES("CreateAccount", CreateAccountRequest, create_account_request,
            ks_admin_create_account),
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
    struct ks_rpc_status status; /* of a failure that is being settled */
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
           KS_TEXT("principal", ks_rpc_call_peer(call->rpc)->spiffe));
    ks_rpc_call_reply_buffer(call->rpc, &call->response);
    free_call(call);
}

/* What stands under this request_id: the answer of an earlier try, if it asked for the same. */
static void answer_stored(struct call *call, ks_bytes stored)
{
    ProtobufCMessage *message;
    if (ks_failed(ks_codec_unpack(&keystead__storage__v1__request_record__descriptor, stored, NULL,
                                  &call->arena, &message))) {
        answer_code(call, KS_INTERNAL);
        return;
    }
    const Keystead__Storage__V1__RequestRecord *record =
        (const Keystead__Storage__V1__RequestRecord *)message;
    ks_bytes ours = {call->request_sha256, sizeof(call->request_sha256)};
    ks_bytes theirs = {record->request_sha256.data, record->request_sha256.len};
    if (!ks_bytes_equal(ours, theirs)) {
        call->status = (struct ks_rpc_status){
            .code = KS_CONFLICT, .text = "the request_id was used for another request"};
        answer_failure(call);
        return;
    }
    call->response.len = 0;
    ks_result r =
        ks_buffer_append(&call->response, (ks_bytes){record->response.data, record->response.len});
    if (ks_failed(r)) {
        answer_code(call, KS_INTERNAL);
        return;
    }
    answer_success(call);
}

static void try_once(void *arg);

static void on_committed(void *user, const struct ks_store_outcome *outcome)
{
    struct call *call = user;
    switch (outcome->result.code) {
    case KS_OK:
        answer_success(call);
        return;
    case KS_ALREADY_EXISTS:
        answer_stored(call, outcome->stored);
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
    } else if (call->status.code != KS_OK) {
        answer_failure(call);
    } else {
        answer_success(call);
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
    ks_store_commit(call->admin->store, mutation, 0, on_committed, call);
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
    struct ks_admin_try attempt = {.admin = call->admin,
                                   .request = call->request,
                                   .view = &view,
                                   .arena = &call->arena,
                                   .status = &call->status,
                                   .response = &call->response,
                                   .mutation = &mutation};
    ks_result r = call->row->run(&attempt);
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
    char *id = *request_id;
    char drawn[2 * 16 + 1];
    if (strlen(id) > REQUEST_ID_LEN_MAX) {
        call->status.violated_field = "request_id";
        call->status.violation = "must have at most 128 characters";
        return KS_RES(VALIDATION);
    }
    if (id[0] == '\0') {
        uint8_t random[16];
        KS_TRY(ks_random_public(random, sizeof(random)));
        for (size_t i = 0; i < sizeof(random); i++) {
            snprintf(drawn + 2 * i, 3, "%02x", random[i]);
        }
        id = drawn;
    }
    call->request_key =
        ks_request_key(ks_rpc_call_peer(call->rpc)->spiffe, call->row->path, id);

    char *as_written = *request_id;
    *request_id = "";
    KS_BUFFER_AUTO packed = {.len_max = RESPONSE_LEN_MAX};
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
        ret_methods[i] = (struct ks_rpc_method){
            .path = rows[i].path, .unary = start, .user = admin, .request_bytes_max = 65536};
    }
}

ks_result ks_admin_refuse(struct ks_admin_try *attempt, const char *field, const char *what)
{
    attempt->status->violated_field = field;
    attempt->status->violation = what;
    attempt->status->text = what;
    return KS_RES(VALIDATION);
}

ks_result ks_admin_fail(struct ks_admin_try *attempt, ks_code code, const char *text)
{
    assert(code != KS_OK);

    attempt->status->text = text;
    return (ks_result){code};
}

void ks_admin_rests_on(struct ks_admin_try *attempt, const struct ks_record_key *key,
                       int64_t revision)
{
    struct ks_store_mutation *mutation = attempt->mutation;
    assert(mutation->compare_count < KS_STORE_COMPARES_MAX);

    char *copy = ks_arena_dup(attempt->arena, ks_record_key_bytes(key));
    assert(copy); /* the arena takes thousands of keys, and a call makes a few */
    mutation->compares[mutation->compare_count++] =
        (struct ks_store_compare){{(const uint8_t *)copy, key->len}, revision};
}

ks_result ks_admin_put(struct ks_admin_try *attempt, const struct ks_record_key *key,
                       const ProtobufCMessage *record)
{
    struct ks_store_mutation *mutation = attempt->mutation;
    assert(mutation->op_count < KS_ADMIN_OPS_MAX);

    struct ks_store_op op = {0};
    char *name = ks_arena_dup(attempt->arena, ks_record_key_bytes(key));
    if (!name) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    op.key = (ks_bytes){(const uint8_t *)name, key->len};
    if (record) {
        KS_BUFFER_AUTO packed = {.len_max = KS_STORE_VALUE_LEN_MAX};
        KS_TRY(ks_codec_pack(record, &packed));
        op.value.ptr = (const uint8_t *)ks_arena_dup(attempt->arena, ks_buffer_bytes(&packed));
        op.value.len = packed.len;
    }
    mutation->ops[mutation->op_count++] = op;
    return KS_RES(OK);
}

ks_result ks_admin_answer(struct ks_admin_try *attempt, const ProtobufCMessage *response)
{
    return ks_codec_pack(response, attempt->response);
}

ks_result ks_admin_random_hex(struct ks_admin_try *attempt, size_t count, char **ret_hex)
{
    uint8_t random[32];
    assert(count <= sizeof(random));

    KS_TRY(ks_random_public(random, count));
    char *hex = ks_arena_alloc(attempt->arena, 2 * count + 1);
    if (!hex) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    for (size_t i = 0; i < count; i++) {
        snprintf(hex + 2 * i, 3, "%02x", random[i]);
    }
    *ret_hex = hex;
    return KS_RES(OK);
}

ks_result ks_admin_page_size(struct ks_admin_try *attempt, int32_t asked, size_t *ret_count)
{
    if (asked < 0 || asked > KS_ADMIN_PAGE_MAX) {
        return ks_admin_refuse(attempt, "page_size", "page_size must be between 0 and 1000");
    }
    *ret_count = asked == 0 ? KS_ADMIN_PAGE_DEFAULT : (size_t)asked;
    return KS_RES(OK);
}
