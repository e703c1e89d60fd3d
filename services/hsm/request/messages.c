#include "services/hsm/request/messages.h"

#include <assert.h>

#include "pkg/codec/codec.h"
#include "pkg/frame/frame.h"

/*
 * The largest request is a ReEncrypt: 8 fields of its own, 6 of its two keys, and two contexts of
 * 128 pairs of 3 fields. A record has 3. A frame full of the smallest fields has more than that.
 */
#define FIELD_COUNT_MAX (KS_HSM_BATCH_MAX * (8U + 6U + 2U * 3U * 128U) + 3U * KS_HSM_RECORDS_MAX)

ks_result ks_hsm_batch_read(ks_bytes frame, struct ks_arena *arena, HsmBatch **ret_batch)
{
    assert(arena && ret_batch);

    static const struct ks_codec_limits limits = {
        .len_max = KS_FRAME_LEN_MAX,
        .field_count_max = FIELD_COUNT_MAX,
    };
    struct ProtobufCMessage *message = NULL;
    KS_TRY(ks_codec_unpack(&keystead__internal__v1__hsm_batch__descriptor, frame, &limits, arena,
                           &message));
    HsmBatch *batch = (HsmBatch *)message;
    if (batch->n_requests == 0 || batch->n_requests > KS_HSM_BATCH_MAX ||
        batch->n_records > KS_HSM_RECORDS_MAX) {
        return KS_RES(VALIDATION);
    }
    *ret_batch = batch;
    return KS_RES(OK);
}

ks_result ks_hsm_reply_append(const HsmBatchReply *reply, struct ks_buffer *out)
{
    assert(reply && out);

    size_t len = protobuf_c_message_get_packed_size(&reply->base);
    uint8_t *place = NULL;
    KS_TRY(ks_frame_begin(out, len));
    KS_TRY(ks_buffer_extend(out, len, &place));
    size_t packed = protobuf_c_message_pack(&reply->base, place);
    assert(packed == len);
    return KS_RES(OK);
}

ks_result ks_hsm_place(struct ks_arena *arena, size_t len, ProtobufCBinaryData *ret_place)
{
    uint8_t *bytes = ks_arena_alloc(arena, len);
    if (!bytes) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    *ret_place = (ProtobufCBinaryData){.len = len, .data = bytes};
    return KS_RES(OK);
}

ks_bytes ks_hsm_field(const ProtobufCBinaryData *field)
{
    return (ks_bytes){field->data, field->len};
}
