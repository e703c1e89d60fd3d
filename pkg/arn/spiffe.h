/*
 * spiffe: all SPIFFE URIs that our certificates carry:
 *
 *   ACCOUNT_USER  spiffe://<domain>/account/<account>/user/<name>       client root
 *   OPERATOR      spiffe://<domain>/operator/<name>                     client root; process root for
 *                                                                       tools on the machines
 *   FRONTEND      spiffe://<domain>/region/<region>/frontend/<node>     process root
 *   KEYSTORE      spiffe://<domain>/region/<region>/keystore/<zone>     process root
 *   CONTROL       spiffe://<domain>/control                             process root
 *   IDENTITIES    spiffe://<domain>/control/identities                  client root: signs, and
 *                                                                       opens no connection
 *   HSM           spiffe://<domain>/hsm/<region>/<zone>                 hsm root
 *
 * A listener must also check which root a certificate chains to: the path alone admits nobody. The
 * trust domain is "keystead" in every installation, since each has roots of its own.
 *
 * Threads: pure; any thread.
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
    KS_SPIFFE_IDENTITIES,
    KS_SPIFFE_HSM,
    KS_SPIFFE_KIND_COUNT
};

/* A URI taken apart. A value; parts that its kind does not have are empty. */
struct ks_spiffe {
    enum ks_spiffe_kind kind;
    char account[KS_ACCOUNT_LEN + 1];
    char name[KS_USER_NAME_LEN_MAX + 1]; /* of the user or operator */
    char region[KS_REGION_LEN_MAX + 1];
    char zone[KS_ZONE_LEN_MAX + 1];
    char node[KS_NODE_NAME_LEN_MAX + 1];
};

/*
 * Takes a URI apart.
 *
 * ret_spiffe  written on success only.
 *
 * Fails: VALIDATION (the text has none of the forms above, or its zone is not one of its region).
 */
KS_MUST_USE ks_result ks_spiffe_parse(ks_bytes text, struct ks_spiffe *ret_spiffe);

/*
 * Writes the URI of the parts that spiffe's kind needs, with a NUL.
 *
 * ret_text  at least KS_SPIFFE_LEN_MAX + 1 bytes. Written on success only.
 *
 * Fails: VALIDATION (a part that its kind needs is malformed).
 */
KS_MUST_USE ks_result ks_spiffe_format(const struct ks_spiffe *spiffe, char *ret_text);
