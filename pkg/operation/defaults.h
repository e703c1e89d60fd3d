/*
 * defaults: takes out of a request what it says although its absence would say the same.
 *
 * A client may write a default out in one try and leave it to us in the next. Both are one request:
 * the hash by which a retry is known is over the request without defaults. They are taken out and
 * not filled in, so that a member which a later version adds changes no hash of a client that does
 * not know it.
 *
 * Threads: pure over the arguments; any.
 */
#pragma once

#include "pkg/operation/operation.h"

struct ProtobufCMessage;

/*
 * Makes each member absent whose value is what its absence stands for (ks_member.if_absent).
 *
 * message  of the type operation->request; it passed the check.
 */
void ks_operation_omit_defaults(const struct ks_operation *operation,
                                struct ProtobufCMessage *message);
