/*
 * shown: which part of a response people see.
 *
 * Threads: pure; any thread.
 */
#pragma once

struct ProtobufCMessage;

/*
 * Returns the message to print for a response. A response of keystead.admin.v1 that holds one
 * resource and nothing else is printed as that resource (a CreateAccountResponse as its Account);
 * every other response is printed as it is. The result is borrowed from response.
 */
const struct ProtobufCMessage *ks_shown_message(const struct ProtobufCMessage *response);
