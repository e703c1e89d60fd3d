/*
 * Any bytes as a message: the first byte chooses the type. What passes the check unpacks within a
 * bounded arena, packs again, and passes again.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "keystead/internal/v1/internal.pb-c.h"
#include "keystead/kms/v1/kms.pb-c.h"
#include "pkg/codec/codec.h"

static const ProtobufCMessageDescriptor *const types[] = {
    &keystead__kms__v1__encrypt_request__descriptor,
    &keystead__kms__v1__create_key_request__descriptor,
    &keystead__kms__v1__create_key_response__descriptor,
    &keystead__kms__v1__re_encrypt_batch_request__descriptor,
    &keystead__kms__v1__encrypt_batch_response__descriptor,
    &keystead__internal__v1__execute_request__descriptor,
    &keystead__internal__v1__get_status_response__descriptor,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    const ProtobufCMessageDescriptor *type = types[data[0] % KS_COUNT(types)];
    KS_ARENA_AUTO arena = {.len_max = 1U << 24};
    struct ProtobufCMessage *message = NULL;
    ks_result r = ks_codec_unpack(type, (ks_bytes){data + 1, size - 1}, NULL, &arena, &message);
    if (ks_failed(r)) {
        return 0;
    }
    KS_BUFFER_AUTO packed = {.len_max = 1U << 24};
    r = ks_codec_pack(message, &packed);
    assert(!ks_failed(r));
    /* Packing may write a number that came with its default value out; it never adds a field. */
    struct ks_codec_limits limits = {.len_max = 1U << 24};
    r = ks_codec_check(type, ks_buffer_bytes(&packed), &limits, NULL);
    assert(!ks_failed(r));
    return 0;
}
