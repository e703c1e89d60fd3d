/*
 * signer: signs what control says of the set of its records (pkg/signedset/head.h). Its key is made at
 * each start and lies in memory only. The client root certifies it, for KS_HEAD_SIGNER and nothing else,
 * and again when the certificate nears its end.
 *
 * Threads: one.
 */
#pragma once

#include <stdint.h>

#include "pkg/signedset/head.h"

struct ks_signer;

/*
 * Makes a signer.
 * ret_signer  free with ks_signer_free. Written on success only.
 * Fails: as ks_issuer_new.
 */
KS_MUST_USE ks_result ks_signer_new(const char *ca_file, const char *ca_key_file,
                                    struct ks_signer **ret_signer);

/* NULL is fine. */
void ks_signer_free(struct ks_signer *signer);

/*
 * Signs the head of a set.
 *
 * head       epoch, revision, and the number, which is to be above that of the head before.
 *            count and digest are filled in from sum.
 * ret_bytes  the signed form is appended; it may hold a part of it after a failure.
 *
 * Fails: VALIDATION (the client root is not valid at that time, or the head is out of its range),
 * LIMIT_EXCEEDED (the buffer's cap), INTERNAL (OpenSSL).
 */
KS_MUST_USE ks_result ks_signer_sign(struct ks_signer *signer, const struct ks_set_sum *sum,
                                     struct ks_head *head, struct ks_buffer *ret_bytes);
