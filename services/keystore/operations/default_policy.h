/*
 * default_policy: whether a policy document says what the default key policy says. No other one is
 * enforced yet, and a rule that isn't obeyed is never stored.
 *
 * Threads: pure; any.
 */
#pragma once

#include <stdbool.h>

#include "pkg/base/bytes.h"

#define KS_POLICY_LEN_MAX 32768U /* bytes (AWS KMS quotas) */

/*
 * Returns whether json is a policy of one statement that allows kms:* on * to the root principal of
 * the account (or to its number, which AWS reads as the same). Id, Sid and white space do not
 * count. Returns false for what is no JSON or longer than KS_POLICY_LEN_MAX.
 */
bool ks_policy_is_default(ks_bytes json, const char *partition, const char *account);
