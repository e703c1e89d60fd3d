/*
 * call: one call of the service, with its request made from the options and its answer printed on
 * stdout. Most commands consist of nothing else, so that all they need is a row of the table.
 *
 * Every function that fails notes the reason in cli->failure.
 *
 * Threads: one.
 */
#pragma once

#include "pkg/base/result.h"
#include "services/cli/service/method.h"
#include "services/cli/setup/cli.h"

struct ProtobufCMessage;
struct ks_door;

/*
 * Makes the request of a method: each option of the running command that names a field of the
 * request sets it, an alias becomes its key's ARN where the method takes no alias (DescribeKey is
 * called for it), and a request_id is drawn when the request has one.
 *
 * ret_request  lasts as long as cli->arena. Untouched on failure.
 *
 * Fails: VALIDATION (a value does not fit its field, or a needed setting is missing),
 * LIMIT_EXCEEDED (the arena is full), INTERNAL (no randomness); as ks_call of DescribeKey.
 */
KS_MUST_USE ks_result ks_call_request(struct ks_cli *cli, const struct ks_method *method,
                                      struct ProtobufCMessage **ret_request);

/*
 * Calls a method and waits for its answer, cli->timeout_ms at most.
 *
 * ret_response  lasts as long as cli->arena. Untouched on failure.
 *
 * Fails: VALIDATION (a setting is missing), what the server answered, and as ks_connections_call;
 * INTERNAL (the answer cannot be read).
 */
KS_MUST_USE ks_result ks_call(struct ks_cli *cli, const struct ks_method *method,
                              const struct ProtobufCMessage *request,
                              struct ProtobufCMessage **ret_response);

/*
 * Tells where the methods of a kind are called, from the settings.
 *
 * ret_door  zeroed by the caller; its strings last as long as cli. On failure some of them are set.
 *
 * Fails: VALIDATION (a setting is missing or malformed), LIMIT_EXCEEDED (the arena is full).
 */
KS_MUST_USE ks_result ks_call_door(struct ks_cli *cli, enum ks_door_kind kind,
                                   struct ks_door *ret_door);

/*
 * Prints a response on stdout: as JSON, or as a table with a line for each member. An empty
 * response prints no table, but {} as JSON.
 *
 * Fails: INTERNAL (stdout takes no more; part of the text may be out), LIMIT_EXCEEDED (the text is
 * longer than KS_CLI_OUTPUT_LEN_MAX; nothing was printed).
 */
KS_MUST_USE ks_result ks_call_print(struct ks_cli *cli, const struct ProtobufCMessage *response);

/*
 * Runs a command that is one call: makes the request of the command's method, calls, prints.
 * Fails: as the three functions above.
 */
KS_MUST_USE ks_result ks_call_run(struct ks_cli *cli);

/*
 * Runs a command whose method lists: calls until there are no more pages and prints all elements
 * as one list. Nothing is printed when a page fails.
 *
 * Fails: as ks_call_run; LIMIT_EXCEEDED (the list does not end).
 */
KS_MUST_USE ks_result ks_call_run_list(struct ks_cli *cli);
