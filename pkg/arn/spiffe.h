/*
 * spiffe: the SPIFFE URIs that our certificates carry, all of them:
 *
 *   ACCOUNT_USER  spiffe://<domain>/account/<account>/user/<name>       client root
 *   OPERATOR      spiffe://<domain>/operator/<name>                     client root; process root for
 *                                                                       tools on the machines
 *   FRONTEND      spiffe://<domain>/region/<region>/frontend/<node>     process root
 *   KEYSTORE      spiffe://<domain>/region/<region>/keystore/<zone>     process root
 *   CONTROL       spiffe://<domain>/control                             process root
 *   HSM           spiffe://<domain>/hsm/<region>/<zone>                 hsm root
 *
 * Which root a certificate must chain to is for the listener; the path alone admits nobody. The
 * trust domain is "keystead" everywhere: a root is an installation's own.
 *
 * Threads: pure; any.
 */
#pragma once

#include "pkg/arn/name.h"
#include "pkg/base/bytes.h"
#include "pkg/base/result.h"

#define KS_TRUST_DOMAIN   "keystead"
#define KS_SPIFFE_LEN_MAX 160U /* bytes; the longest form is FRONTEND's with 135 */

enum ks_spiffe_kind {
    KS_SPIFFE_ACCOUNT_USER,
    KS_SPIFFE_OPERATOR,
    KS_SPIFFE_FRONTEND,
    KS_SPIFFE_KEYSTORE,
    KS_SPIFFE_CONTROL,
    KS_SPIFFE_HSM,
    KS_SPIFFE_KIND_COUNT
};

/* A value; what its kind has not is empty. */
struct ks_spiffe {
    enum ks_spiffe_kind kind;
    char account[KS_ACCOUNT_LEN + 1];
    char name[KS_USER_NAME_LEN_MAX + 1]; /* of the user or operator */
    char region[KS_REGION_LEN_MAX + 1];
    char zone[KS_ZONE_LEN_MAX + 1];
    char node[KS_NODE_NAME_LEN_MAX + 1];
};

/* Fails: VALIDATION (none of the forms above; a zone that is not of its region). */
KS_MUST_USE ks_result ks_spiffe_parse(ks_bytes text, struct ks_spiffe *ret_spiffe);

/*
 * ret_text  at least KS_SPIFFE_LEN_MAX + 1 bytes. Written on success only.
 * Fails: VALIDATION (a part that its kind needs is malformed).
 */
KS_MUST_USE ks_result ks_spiffe_format(const struct ks_spiffe *spiffe, char *ret_text);
