/*
 * table: finds the function that carries an operation out. Everything else about an operation is in
 * pkg/operation. The process hands this table to its calls (struct ks_execute_env), so that
 * execute/ knows no handler.
 *
 * Threads: constant.
 */
#pragma once

#include "services/keystore/execute/call.h"

/* Returns the function behind an operation's number; NULL if no operation has it. */
ks_run_fn ks_run_of(uint32_t number);
