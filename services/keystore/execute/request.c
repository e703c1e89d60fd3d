#include "services/keystore/execute/request.h"

#include <assert.h>
#include <string.h>

#include "pkg/codec/codec.h"
#include "pkg/crypto/hash.h"
#include "services/keystore/records/key.h"
#include "services/keystore/records/name.h"

#define DIGEST_INPUT_MAX 4096U
#define REQUEST_LEN_MAX  (1024U * 1024U)
#define REQUEST_ID_FIELD "request_id"
#define LENGTH_LEN       4U

bool ks_request_check(struct ks_call *call)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:-";
    const char *id = call->item->request_id;
    size_t len = strlen(id);
    if (len == 0 || len > KS_REQUEST_ID_LEN_MAX || strspn(id, allowed) != len) {
        ks_call_fail_text(call, KS_VALIDATION, "request_id must be 1 to %u of [A-Za-z0-9_.:-].",
                          KS_REQUEST_ID_LEN_MAX);
        return false;
    }
    return true;
}

/* Each part with its length, so that no two different triples give one digest. */
static ks_result append_part(struct ks_buffer *buffer, const char *part)
{
    size_t len = strlen(part);
    const uint8_t length[LENGTH_LEN] = {(uint8_t)(len >> 24), (uint8_t)(len >> 16),
                                        (uint8_t)(len >> 8), (uint8_t)len};
    KS_TRY(ks_buffer_append(buffer, (ks_bytes){length, sizeof(length)}));
    return ks_buffer_append(buffer, ks_bytes_of(part));
}

static ks_result name_of(const struct ks_call *call, struct ks_name *ret_name)
{
    KS_BUFFER_AUTO parts = {.len_max = DIGEST_INPUT_MAX};
    uint8_t digest[KS_SHA256_LEN];
    KS_TRY(append_part(&parts, call->item->principal));
    KS_TRY(append_part(&parts, call->operation->name));
    KS_TRY(append_part(&parts, call->item->request_id));
    KS_TRY(ks_hash_sha256_once(ks_buffer_bytes(&parts), digest));
    *ret_name = ks_name_request(call->item->account, digest);
    return KS_RES(OK);
}

/* Over the request without its request_id, packed by us: how a client packs it does not count. */
static ks_result hash_request(const struct ks_call *call, uint8_t ret_digest[static KS_SHA256_LEN])
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(call->operation->request, REQUEST_ID_FIELD);
    assert(field && field->type == PROTOBUF_C_TYPE_STRING);
    char **request_id = (char **)(void *)((char *)call->request + field->offset);

    KS_BUFFER_AUTO packed = {.len_max = REQUEST_LEN_MAX};
    char *kept = *request_id;
    *request_id = ks_lend_text("");
    ks_result result = ks_codec_pack(call->request, &packed);
    *request_id = kept;
    KS_TRY(result);
    return ks_hash_sha256_once(ks_buffer_bytes(&packed), ret_digest);
}

bool ks_request_replay(struct ks_call *call)
{
    struct ks_name name;
    struct ks_store_record record;
    ks_result result = name_of(call, &name);
    if (!ks_failed(result)) {
        result = ks_store_get(&call->view, ks_name_bytes(&name), &record);
    }
    if (result.code == KS_NOT_FOUND) {
        return false;
    }
    if (ks_failed(result)) {
        ks_call_fail(call, KS_INTERNAL);
        return true;
    }
    call->rests_on = record.revision;
    ks_request_answer(call, record.value);
    return true;
}

ks_result ks_request_record(struct ks_call *call, ks_bytes response, struct ks_change *change)
{
    struct ks_name name;
    uint8_t digest[KS_SHA256_LEN];
    KS_TRY(name_of(call, &name));
    KS_TRY(hash_request(call, digest));

    STORED(RequestRecord) record = STORED_NEW(REQUEST_RECORD);
    record.format = KS_RECORD_FORMAT;
    record.request_sha256 = ks_lend_bytes((ks_bytes){digest, sizeof(digest)});
    record.response = ks_lend_bytes(response);
    record.created_at_ms = ks_call_now_ms(call);
    if (call->target_count > 0 && call->targets[0].key_id) {
        record.key_id = ks_lend_text(call->targets[0].key_id);
    }
    ks_change_request(change, ks_name_bytes(&name), &record.base);
    return change->result;
}

void ks_request_answer(struct ks_call *call, ks_bytes record)
{
    ProtobufCMessage *message = NULL;
    uint8_t digest[KS_SHA256_LEN];
    if (ks_failed(ks_record_read(STORED_TYPE(request_record), record, &call->arena, &message)) ||
        ks_failed(hash_request(call, digest))) {
        ks_call_fail(call, KS_INTERNAL);
        return;
    }
    const STORED(RequestRecord) *stored = (const STORED(RequestRecord) *)message;
    if (!ks_bytes_equal(ks_bytes_in(stored->request_sha256), (ks_bytes){digest, sizeof(digest)})) {
        ks_call_fail_text(call, KS_CONFLICT,
                          "The request_id was used before, with other parameters.");
        return;
    }
    ks_call_reply_packed(call, ks_bytes_in(stored->response));
}
