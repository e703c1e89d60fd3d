/*
 * limits: what several operations check alike. Each answers the call and returns false if the limit
 * is passed.
 *
 * Threads: as the call.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "services/keystore/execute/call.h"

#define KS_LIMIT_DESCRIPTION  8192U /* characters (AWS KMS API: CreateKey) */
#define KS_LIMIT_GRANT_TOKENS 10U
#define KS_LIMIT_CIPHERTEXT   6144U /* bytes (AWS KMS API: Decrypt) */
#define KS_LIMIT_PLAINTEXT    4096U /* bytes (AWS KMS API: Encrypt) */
#define KS_LIMIT_RANDOM       1024U /* bytes (AWS KMS API: GenerateRandom, GenerateDataKey) */

bool ks_limit_grant_tokens(struct ks_call *call, size_t count);
bool ks_limit_description(struct ks_call *call, const char *description);
bool ks_limit_range(struct ks_call *call, const char *member, int64_t value, int64_t min,
                    int64_t max);

/* 1 to max. */
bool ks_limit_length(struct ks_call *call, const char *member, size_t len, size_t max);

/* value is 0 (not given) or the one member that the enum has so far, which is spelled `only`. */
bool ks_limit_enum(struct ks_call *call, const char *member, int value, const char *only);

/* An encryption algorithm: SYMMETRIC_DEFAULT or not given. */
bool ks_limit_algorithm(struct ks_call *call, const char *member, int algorithm);
