/*
 * call: one call of the service: its request from the options, its answer onto stdout. Most
 * commands are nothing else, so a row of the table is all they need.
 *
 * Threads: one.
 */
#pragma once

#include <stddef.h>

#include "pkg/base/result.h"
#include "services/cli/cli.h"

struct ProtobufCMessage;
struct ProtobufCMessageDescriptor;
struct ks_door;

enum ks_door_kind { KS_DOOR_FRONTEND, KS_DOOR_CONTROL };

struct ks_call {
    const char *method; /* "/package.Service/Method" */
    const struct ProtobufCMessageDescriptor *request;
    const struct ProtobufCMessageDescriptor *response;
    enum ks_door_kind door;
    const char *list;               /* field of the response that holds a page; NULL: no list */
    const char *const *list_fields; /* of an element: the columns, ending with NULL */
};

/* The command's request: options that name a field, and a request_id if it has one. */
KS_MUST_USE ks_result ks_call_request(struct ks_cli *cli, const struct ks_call *call,
                                      struct ProtobufCMessage **ret_request);

/* ret_response lasts as long as cli->arena. Fails with what cli->failure says. */
KS_MUST_USE ks_result ks_call(struct ks_cli *cli, const struct ks_call *call,
                              const struct ProtobufCMessage *request,
                              struct ProtobufCMessage **ret_response);

/* Where calls of a kind go. Fails: VALIDATION (a setting is missing). */
KS_MUST_USE ks_result ks_call_door(struct ks_cli *cli, enum ks_door_kind kind,
                                   struct ks_door *ret_door);

/* Prints a response: JSON, or a line a member; nothing for an empty one, but {} as JSON. */
KS_MUST_USE ks_result ks_call_print(struct ks_cli *cli, const struct ProtobufCMessage *response);

/* What most commands run: command->call from options to stdout. */
KS_MUST_USE ks_result ks_call_run(struct ks_cli *cli);

/* The same for lists: all pages. */
KS_MUST_USE ks_result ks_call_run_list(struct ks_cli *cli);
