/*
 * members: any message as JSON, with the members' outer names. Bytes are base64, times ISO 8601,
 * enums AWS's words; what is absent is left out, but for booleans, numbers and lists.
 *
 * Threads: pure; any.
 */
#pragma once

#include "pkg/base/result.h"
#include "pkg/json/json.h"

struct ProtobufCMessage;

#define KS_MEMBERS_DEPTH_MAX 8U /* messages within messages */

/* Writes the members of a message into an object that is open. Failures stay in the writer. */
void ks_members_write(struct ks_json_writer *writer, const struct ProtobufCMessage *message);

/*
 * What of a response is shown: of keystead.admin.v1, the resource alone that stands in it
 * (CreateAccountResponse: its Account); else the response itself.
 */
const struct ProtobufCMessage *ks_members_shown(const struct ProtobufCMessage *response);
