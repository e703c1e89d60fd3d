/*
 * members: writes any message as JSON. Members have the names of names.h, bytes are in base64,
 * times in ISO 8601, enum values are AWS's words. An absent member is left out, as
 * ks_value_is_absent tells; booleans, numbers and lists are never absent.
 *
 * Threads: pure; any thread.
 */
#pragma once

#include "pkg/base/result.h"
#include "pkg/json/json.h"

struct ProtobufCMessage;

#define KS_MEMBERS_DEPTH_MAX 8U /* messages within messages */

/*
 * Writes the members of a message into the object that is open in writer, and leaves that object
 * open. A failure (the buffer is full, a text is not UTF-8) is kept by the writer: ks_json_end
 * returns it, and what the buffer holds by then is of no use.
 * The message must not nest deeper than KS_MEMBERS_DEPTH_MAX: that is asserted, since the depth
 * follows from the proto files.
 */
void ks_members_write(struct ks_json_writer *writer, const struct ProtobufCMessage *message);
