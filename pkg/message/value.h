/*
 * value: reads single fields of any message by their descriptors, and turns them into text.
 *
 * Threads: pure; any thread.
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

/*
 * Writes a time since 1970 as ISO 8601 in UTC, with milliseconds: "2026-01-31T08:15:30.250Z".
 * Writes "" when the numbers are no time (nanos is not in 0 to 999,999,999, or the year does not
 * fit).
 */
void ks_time_text(int64_t seconds, int32_t nanos, char ret_text[static KS_TIME_TEXT_LEN]);

/* Returns how many elements a repeated field has; 1 for any other field, set or not. */
size_t ks_value_count(const struct ProtobufCMessage *message,
                      const struct ProtobufCFieldDescriptor *field);

/*
 * Returns the address of an element of a repeated field, or of any other field itself. The address
 * lies within message. index must be below ks_value_count.
 */
const void *ks_value_at(const struct ProtobufCMessage *message,
                        const struct ProtobufCFieldDescriptor *field, size_t index);

/*
 * Returns whether a field has nothing to show: an empty text or run of bytes, no message, the enum
 * value 0, or a member of a oneof that is not the one set. Booleans, numbers and lists are absent
 * only when they are our additions to AWS's messages (their field numbers are 100 and above) and
 * are false, 0 or empty: AWS shows its own always.
 */
bool ks_value_is_absent(const struct ProtobufCMessage *message,
                        const struct ProtobufCFieldDescriptor *field);

/*
 * Appends one value as text: strings as they are, bytes in base64, times in ISO 8601. A message
 * that is no time appends nothing.
 *
 * value  what ks_value_at returned.
 *
 * Fails: LIMIT_EXCEEDED (the buffer is full; it then holds what it held before).
 */
KS_MUST_USE ks_result ks_value_append(const struct ProtobufCFieldDescriptor *field,
                                      const void *value, struct ks_buffer *out);

/* Returns the message behind a value of a field of messages; NULL when the field is absent. */
const struct ProtobufCMessage *ks_value_message(const void *value);

/* Returns whether the field holds a google.protobuf.Timestamp. */
bool ks_value_is_time(const struct ProtobufCFieldDescriptor *field);
