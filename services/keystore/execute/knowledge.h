/*
 * knowledge: collects what a keystore knows of a key that a caller wants to use, as facts for the
 * decision (pkg/authorize/facts.h). A condition key that a key's record answers is one row in
 * knowledge.c.
 *
 * Threads: pure; any.
 */
#pragma once

#include "pkg/authorize/facts.h"
#include "services/keystore/execute/call.h"

/* Fills ret_facts, which borrows from the target; it is empty if there is no key. */
void ks_knowledge_of(const struct ks_target *target, struct ks_facts *ret_facts);
