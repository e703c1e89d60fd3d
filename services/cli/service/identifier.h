/*
 * identifier: keys as people name them. Some methods take a key id or a key ARN alone; a person may
 * give an alias all the same, and the program looks up which key it names at the moment.
 *
 * Threads: one.
 */
#pragma once

#include "keystead/kms/v1/types.pb-c.h"
#include "pkg/base/result.h"

struct ks_cli;
struct ks_method;

/*
 * Asks the service which key a word names: a key id, an alias, or an ARN of either.
 *
 * ret_key  lasts as long as cli->arena. Untouched on failure.
 *
 * Fails: as ks_call of DescribeKey; INTERNAL (the answer says of no key). The reason is in
 * cli->failure.
 */
KS_MUST_USE ks_result ks_identifier_look_up(struct ks_cli *cli, const char *word,
                                            const Keystead__Kms__V1__KeyMetadata **ret_key);

/*
 * Turns a word into what the method accepts in a field of its request: an alias becomes the ARN of
 * its key where the method takes no alias. Every other word stays as it is, and nothing is called.
 *
 * word      a word of the command line; or a key ARN, which lasts as long as cli->arena. Unchanged
 *           on failure.
 *
 * Fails: as ks_identifier_look_up.
 */
KS_MUST_USE ks_result ks_identifier_resolve(struct ks_cli *cli, const struct ks_method *method,
                                            const char *field, const char **word);
