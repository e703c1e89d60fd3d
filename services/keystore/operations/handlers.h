/*
 * handlers: the functions behind the operations, ks_run_create_key and so on, one for each
 * operation of the API. Each is in the file of its noun. An operation without its function fails to
 * link.
 *
 * A handler finds the request within its limits, the view open, the keys looked up and everything
 * confirmed (execute/execute.c), and answers the call, then or later.
 *
 * Threads: as the call.
 */
#pragma once

#include "pkg/operation/list.h"

struct ks_call;

#define KS_DECLARE_RUN(number, Name, name) void ks_run_##name(struct ks_call *call);

KS_OPERATIONS(KS_DECLARE_RUN)

#undef KS_DECLARE_RUN
