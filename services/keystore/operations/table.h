/*
 * table: what a keystore can do, one row for each operation, in the order of their numbers. The
 * process that owns the calls hands it to them (struct ks_execute_env), so that execute/ knows no
 * handler.
 *
 * Threads: constant.
 */
#pragma once

#include <stddef.h>

#include "services/keystore/execute/operation.h"

extern const struct ks_operation ks_operations[];
extern const size_t ks_operation_count;

/* Returns the operation's row, which is constant; NULL if there is no operation of this number. */
const struct ks_operation *ks_operation_of(INTERNAL(Operation) number);
