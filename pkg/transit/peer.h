/*
 * peer: the identity of an hsm, from the certificate that the hsm root issued to it.
 *
 * The name in the certificate is the URI spiffe://<trust domain>/hsm/<region>/<zone>.
 *
 * Threads: pure over the arguments; any thread.
 */
#pragma once

#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/form/names.h"

#define KS_FINGERPRINT_LEN      32U /* SHA-256 of a certificate, DER */
#define KS_TRUST_DOMAIN_MAX     128U
#define KS_PEER_CERTIFICATE_MAX 4096U /* bytes of a certificate, DER */

struct ks_ec_key;

/* What a certificate is checked against. All borrowed. */
struct ks_peer_trust {
    ks_bytes root; /* the pinned hsm root's certificate, DER or PEM */
    const char *trust_domain;
    int64_t now_s; /* since 1970-01-01 UTC */
};

/* An hsm. A value. */
struct ks_peer {
    char region[KS_REGION_LEN_MAX + 1];
    char zone[KS_ZONE_LEN_MAX + 1];
    uint8_t fingerprint[KS_FINGERPRINT_LEN];
};

/*
 * Verifies that the hsm root issued certificate, that it is valid now, and that it names an hsm.
 *
 * ret_peer  which hsm it names. Written on success only.
 * ret_key   its public key, the caller's, who frees it with ks_ec_free. Written on success only; may
 *           be NULL.
 *
 * Fails: ACCESS_DENIED (any of these is not so).
 */
KS_MUST_USE ks_result ks_peer_check(const struct ks_peer_trust *trust, ks_bytes certificate,
                                    struct ks_peer *ret_peer, struct ks_ec_key **ret_key);

/* Returns the URI of an hsm, which the caller frees with ks_free. Region and zone are well formed. */
char *ks_peer_uri(const char *trust_domain, const char *region, const char *zone);
