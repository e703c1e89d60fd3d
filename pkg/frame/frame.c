#include "pkg/frame/frame.h"

#include <assert.h>

#include "pkg/form/form.h"

static bool is_length(size_t len)
{
    return len > 0 && len <= KS_FRAME_LEN_MAX;
}

ks_result ks_frame_next(ks_bytes stream, ks_bytes *ret_frame)
{
    assert(ret_frame);

    *ret_frame = (ks_bytes){NULL, 0};
    if (stream.len < KS_FRAME_HEAD_LEN) {
        return KS_RES(OK);
    }
    struct ks_reader reader = {.rest = stream};
    size_t len = ks_read_u32(&reader);
    if (!is_length(len)) {
        return KS_RES(VALIDATION);
    }
    ks_bytes frame = ks_read_bytes(&reader, len);
    if (!reader.bad) {
        *ret_frame = frame;
    }
    return KS_RES(OK);
}

ks_result ks_frame_begin(struct ks_buffer *out, size_t len)
{
    assert(out);

    if (!is_length(len)) {
        return KS_RES(VALIDATION);
    }
    uint8_t head[KS_FRAME_HEAD_LEN];
    struct ks_writer writer = {.ptr = head, .capacity = sizeof(head)};
    ks_write_u32(&writer, (uint32_t)len);
    return ks_buffer_append(out, ks_written(&writer));
}

ks_result ks_frame_append(struct ks_buffer *out, ks_bytes payload)
{
    if (is_length(payload.len) && out->len_max - out->len < KS_FRAME_HEAD_LEN + payload.len) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    KS_TRY(ks_frame_begin(out, payload.len));
    return ks_buffer_append(out, payload);
}
