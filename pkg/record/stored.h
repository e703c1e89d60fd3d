/*
 * stored: short names for protoc-c's of the messages of keystead.storage.v1. STORED(KeyRecord) is the
 * struct, STORED_TYPE gives its descriptor, STORED_NEW its initial value, STORED_ENUM a member of an
 * enum.
 *
 *     STORED(RequestRecord) record = STORED_NEW(REQUEST_RECORD);
 *     ks_record_read(STORED_TYPE(request_record), ...);
 *
 * The members of protoc-c's structs are not const, though packing only reads them: ks_lend_* put
 * something borrowed into a message that is about to be packed.
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

/* Returns text itself, which must outlive the message. */
static inline char *ks_lend_text(const char *text)
{
    return (char *)(uintptr_t)text;
}

/* Returns a view of bytes, which must outlive the message. */
static inline ProtobufCBinaryData ks_lend_bytes(ks_bytes bytes)
{
    return (ProtobufCBinaryData){bytes.len, (uint8_t *)(uintptr_t)bytes.ptr};
}

/* Returns a view of a message's binary data, which lasts as long as the message. */
static inline ks_bytes ks_bytes_in(ProtobufCBinaryData data)
{
    return (ks_bytes){data.data, data.len};
}
