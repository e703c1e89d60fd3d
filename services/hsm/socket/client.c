#include "services/hsm/socket/client.h"

#include <assert.h>
#include <sys/socket.h>

#include "pkg/codec/codec.h"
#include "pkg/frame/frame.h"

#define READ_LEN 65536U

static ks_result send_all(int fd, ks_bytes bytes)
{
    while (bytes.len > 0) {
        ssize_t sent = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (sent <= 0) {
            return KS_RES(UNAVAILABLE);
        }
        bytes = (ks_bytes){bytes.ptr + sent, bytes.len - (size_t)sent};
    }
    return KS_RES(OK);
}

static ks_result receive(int fd, struct ks_buffer *in, ks_bytes *ret_frame)
{
    *ret_frame = (ks_bytes){NULL, 0};
    while (!ret_frame->ptr) {
        uint8_t *place = NULL;
        KS_TRY(ks_buffer_extend(in, READ_LEN, &place));
        ssize_t got = recv(fd, place, READ_LEN, 0);
        in->len -= READ_LEN - (got > 0 ? (size_t)got : 0);
        if (got <= 0) {
            return KS_RES(UNAVAILABLE);
        }
        KS_TRY(ks_frame_next(ks_buffer_bytes(in), ret_frame));
    }
    return KS_RES(OK);
}

ks_result ks_hsm_exchange(int fd, const HsmBatch *batch, struct ks_arena *arena,
                          HsmBatchReply **ret_reply)
{
    assert(fd >= 0 && batch && ret_reply);

    static const struct ks_codec_limits limits = {.field_count_max = 16384};
    KS_BUFFER_AUTO out = {.len_max = KS_FRAME_MAX};
    KS_BUFFER_AUTO in = {.len_max = KS_FRAME_MAX + READ_LEN};
    struct ProtobufCMessage *message = NULL;
    ks_bytes frame;
    KS_TRY(ks_frame_begin(&out, protobuf_c_message_get_packed_size(&batch->base)));
    KS_TRY(ks_codec_pack(&batch->base, &out));
    KS_TRY(send_all(fd, ks_buffer_bytes(&out)));
    KS_TRY(receive(fd, &in, &frame));
    KS_TRY(ks_codec_unpack(&keystead__internal__v1__hsm_batch_reply__descriptor, frame, &limits,
                           arena, &message));
    HsmBatchReply *reply = (HsmBatchReply *)message;
    if (reply->n_replies != batch->n_requests) {
        return KS_RES(VALIDATION);
    }
    *ret_reply = reply;
    return KS_RES(OK);
}
