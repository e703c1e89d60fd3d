#include "pkg/rpc/message.h"

#include <assert.h>
#include <string.h>

#include <grpc/byte_buffer.h>
#include <grpc/slice.h>

#include "pkg/base/mem.h"

/* What a sent slice stands on. The library drops it when the last of its own readers is done. */
struct block {
    uint8_t *ptr;
    size_t capacity;
    uint8_t inside[]; /* ptr, unless the bytes were taken over */
};

static void block_free(void *user)
{
    struct block *block = user;
    ks_wipe(block->ptr, block->capacity);
    if (block->ptr != block->inside) {
        ks_free(block->ptr);
    }
    ks_free(block);
}

static grpc_byte_buffer *from_block(struct block *block, size_t len)
{
    grpc_slice slice = grpc_slice_new_with_user_data(block->ptr, len, block_free, block);
    grpc_byte_buffer *raw = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    return raw;
}

grpc_byte_buffer *ks_rpc_message_copy(ks_bytes bytes)
{
    struct block *block = ks_realloc(NULL, 1, sizeof(*block) + bytes.len);
    *block = (struct block){.ptr = block->inside, .capacity = bytes.len};
    if (bytes.len > 0) {
        memcpy(block->ptr, bytes.ptr, bytes.len);
    }
    return from_block(block, bytes.len);
}

grpc_byte_buffer *ks_rpc_message_take(struct ks_buffer *buffer)
{
    assert(buffer);

    if (!buffer->ptr) {
        return ks_rpc_message_copy((ks_bytes){0});
    }
    struct block *block = ks_alloc(1, sizeof(*block));
    block->ptr = buffer->ptr;
    block->capacity = buffer->capacity;
    size_t len = buffer->len;
    *buffer = (struct ks_buffer){.len_max = buffer->len_max};
    return from_block(block, len);
}

ks_bytes ks_rpc_slice_bytes(const grpc_slice *slice)
{
    return (ks_bytes){GRPC_SLICE_START_PTR(*slice), GRPC_SLICE_LENGTH(*slice)};
}

grpc_slice ks_rpc_slice(ks_bytes bytes)
{
    return grpc_slice_from_copied_buffer((const char *)bytes.ptr, bytes.len);
}

static grpc_slice_buffer *slices_of(grpc_byte_buffer *raw)
{
    assert(raw->type == GRPC_BB_RAW);
    return &raw->data.raw.slice_buffer;
}

ks_result ks_rpc_message_init(struct ks_rpc_message *message, grpc_byte_buffer *raw)
{
    assert(raw);

    *message = (struct ks_rpc_message){.raw = raw};
    if (raw->data.raw.compression != GRPC_COMPRESS_NONE) {
        return KS_RES(UNSUPPORTED);
    }
    grpc_slice_buffer *slices = slices_of(raw);
    if (slices->count == 1) {
        message->bytes = ks_rpc_slice_bytes(&slices->slices[0]);
        return KS_RES(OK);
    }
    message->flat.len_max = slices->length + 1;
    KS_TRY(ks_buffer_reserve(&message->flat, slices->length));
    for (size_t i = 0; i < slices->count; i++) {
        KS_TRY(ks_buffer_append(&message->flat, ks_rpc_slice_bytes(&slices->slices[i])));
    }
    message->bytes = ks_buffer_bytes(&message->flat);
    return KS_RES(OK);
}

void ks_rpc_message_done(struct ks_rpc_message *message)
{
    if (message->raw) {
        grpc_slice_buffer *slices = slices_of(message->raw);
        for (size_t i = 0; i < slices->count; i++) {
            /* The range is this message's alone, though the memory around it may not be. */
            ks_wipe(GRPC_SLICE_START_PTR(slices->slices[i]), GRPC_SLICE_LENGTH(slices->slices[i]));
        }
        grpc_byte_buffer_destroy(message->raw);
    }
    ks_buffer_done(&message->flat);
    *message = (struct ks_rpc_message){0};
}
