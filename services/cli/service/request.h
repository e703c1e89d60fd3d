/*
 * request: fills request messages from words, by the names of their fields. The table of a command's
 * options says which fields it sets, so that no command needs code for it.
 *
 * Threads: values; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "pkg/base/arena.h"
#include "pkg/base/result.h"

struct ProtobufCMessage;
struct ProtobufCMessageDescriptor;
struct ks_arguments;
struct ks_failure;

#define KS_REQUEST_ELEMENTS_MAX 256U /* --tag or --context on one line; the service allows fewer */

/*
 * Makes an empty message, which lasts as long as arena.
 *
 * ret_message  written on success only.
 *
 * Fails: LIMIT_EXCEEDED (the arena is full).
 */
KS_MUST_USE ks_result ks_request_new(const struct ProtobufCMessageDescriptor *type,
                                     struct ks_arena *arena, struct ProtobufCMessage **ret_message);

/* Returns whether the message has a field of that name, set or not. */
bool ks_request_has(const struct ProtobufCMessage *message, const char *field);

/*
 * Sets a text, a number or an enum (by its outer name, in whatever case) from a word, which is
 * borrowed as long as the message. field must be one of the message's.
 * Fails: VALIDATION (no number, out of range, no such value).
 */
KS_MUST_USE ks_result ks_request_set(struct ProtobufCMessage *message, const char *field,
                                     const char *word, struct ks_failure *failure);

/* Words of the command line: all that were given for an option. */
struct ks_list_source {
    const struct ks_arguments *arguments;
    const char *option;
};

/*
 * Sets a repeated field from all words of an option: one of texts from the words as they are, one of
 * messages of two texts (tags, a map) from words of the form KEY=VALUE, whose key ends at the first
 * '='. The words are borrowed as long as the message.
 * Fails: VALIDATION (no '=', an empty key, a key twice), LIMIT_EXCEEDED (KS_REQUEST_ELEMENTS_MAX).
 */
KS_MUST_USE ks_result ks_request_set_list(struct ProtobufCMessage *message, const char *field,
                                          const struct ks_list_source *source,
                                          struct ks_arena *arena, struct ks_failure *failure);
