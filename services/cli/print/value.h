/*
 * value: one field of a message as text for people.
 *
 * Threads: pure; any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/base/result.h"

struct ProtobufCMessage;
struct ProtobufCFieldDescriptor;

#define KS_TIME_TEXT_LEN 40U /* bytes, NUL included */

/* ISO 8601 in UTC with milliseconds: "2026-01-31T08:15:30.250Z"; "" if no such time can be. */
void ks_time_text(int64_t seconds, int32_t nanos, char ret_text[static KS_TIME_TEXT_LEN]);

/* Elements of a field: of a repeated one what stands there, of any other 1. */
size_t ks_value_count(const struct ProtobufCMessage *message,
                      const struct ProtobufCFieldDescriptor *field);

/* The address of an element; of a field that does not repeat, its own. index is below the count. */
const void *ks_value_at(const struct ProtobufCMessage *message,
                        const struct ProtobufCFieldDescriptor *field, size_t index);

/*
 * Whether a field says nothing: an empty text or run of bytes, no message, the enum value 0, a
 * member of a oneof that is not the one set; and of extensions (numbers from 100 on) false and 0.
 */
bool ks_value_is_absent(const struct ProtobufCMessage *message,
                        const struct ProtobufCFieldDescriptor *field);

/*
 * Appends an element as text, as it is; what is a message, but for a time, is left out.
 * Fails: LIMIT_EXCEEDED (the buffer's cap).
 */
KS_MUST_USE ks_result ks_value_append(const struct ProtobufCFieldDescriptor *field,
                                      const void *value, struct ks_buffer *out);

/* The message behind a value of a field of messages; NULL if absent. */
const struct ProtobufCMessage *ks_value_message(const void *value);

/* Whether the field holds a google.protobuf.Timestamp. */
bool ks_value_is_time(const struct ProtobufCFieldDescriptor *field);
