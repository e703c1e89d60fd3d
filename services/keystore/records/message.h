/*
 * message: short names for protoc-c's. STORED(KeyRecord) is keystead.storage.v1's message,
 * INTERNAL(HsmRequest) and KMS(EncryptRequest) are the other packages'; _TYPE gives the descriptor,
 * _NEW the initial value, _ENUM an enum's member.
 *
 *     STORED(KeyRecord) record = STORED_NEW(KEY_RECORD);
 *     ks_record_read(STORED_TYPE(key_record), ...);
 *
 * Also what protoc-c's messages need because their members are not const though packing only reads
 * them: ks_lend_* stand where something borrowed is put into a message that is about to be packed.
 *
 * Threads: pure.
 */
#pragma once

#include <stdint.h>

#include "keystead/storage/v1/storage.pb-c.h" /* and with it protobuf-c's types */
#include "pkg/base/bytes.h"

#define STORED(name)      Keystead__Storage__V1__##name
#define STORED_TYPE(name) (&keystead__storage__v1__##name##__descriptor)
#define STORED_NEW(name)  KEYSTEAD__STORAGE__V1__##name##__INIT
#define STORED_ENUM(name) KEYSTEAD__STORAGE__V1__##name

#define INTERNAL(name)      Keystead__Internal__V1__##name
#define INTERNAL_TYPE(name) (&keystead__internal__v1__##name##__descriptor)
#define INTERNAL_NEW(name)  KEYSTEAD__INTERNAL__V1__##name##__INIT
#define INTERNAL_ENUM(name) KEYSTEAD__INTERNAL__V1__##name

#define KMS(name)      Keystead__Kms__V1__##name
#define KMS_TYPE(name) (&keystead__kms__v1__##name##__descriptor)
#define KMS_NEW(name)  KEYSTEAD__KMS__V1__##name##__INIT
#define KMS_ENUM(name) KEYSTEAD__KMS__V1__##name

static inline char *ks_lend_text(const char *text)
{
    return (char *)(uintptr_t)text;
}

static inline ProtobufCBinaryData ks_lend_bytes(ks_bytes bytes)
{
    return (ProtobufCBinaryData){bytes.len, (uint8_t *)(uintptr_t)bytes.ptr};
}

/* Binary data of a message that was unpacked, borrowed. */
static inline ks_bytes ks_bytes_in(ProtobufCBinaryData data)
{
    return (ks_bytes){data.data, data.len};
}
