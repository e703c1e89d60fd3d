/*
 * x509: makes, reads and verifies the certificates of our own roots of trust (RFC 5280).
 *
 * A chain has two links: a pinned, self-signed CA and a leaf. Keys are EC, P-256 or P-384; CAs sign
 * with the hash of their curve. The issuer says what a leaf names; only the public key is taken
 * from a request. Times are seconds since 1970-01-01 UTC, and the caller passes them in.
 *
 * Threads: pure over the arguments; any thread. A struct ks_ec_key is used by one thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/crypto/ec.h"
#include "pkg/crypto/hash.h"

#define KS_X509_DER_MAX    4096U /* bytes of a certificate or request that we look at */
#define KS_X509_PEM_MAX    8192U /* bytes of one that we write, in PEM */
#define KS_X509_URI_MAX    255U  /* bytes of a URI name */
#define KS_X509_DNS_MAX    253U  /* bytes of a DNS name */
#define KS_X509_NAME_MAX   64U   /* bytes of a common name or organization (RFC 5280 §A.1) */
#define KS_X509_NAMES_MAX  16U   /* DNS names, and IP addresses, in one certificate */
#define KS_X509_SERIAL_HEX 40U   /* hex digits: 20 bytes (RFC 5280 §4.1.2.2); ours have 32 */
#define KS_X509_YEAR_S     31557600LL

/*
 * Printable ASCII, at most KS_X509_NAME_MAX bytes each, borrowed; NULL members are left out.
 * {0}: an empty subject.
 */
struct ks_x509_subject {
    const char *common_name;
    const char *organization;
};

/* Subject alternative names. All borrowed; {0}: none. */
struct ks_x509_names {
    const char *uri;        /* SPIFFE ID, or NULL */
    const char *const *dns; /* dns_count of them */
    size_t dns_count;
    const char *const *ip; /* ip_count of them, as text, IPv4 or IPv6 */
    size_t ip_count;
};

struct ks_x509_ca_spec {
    struct ks_x509_subject subject; /* not empty */
    int64_t not_before_s;
    int64_t not_after_s;
    unsigned path_len; /* CAs that may stand below it; 0 as our chains have two links */
};

struct ks_x509_leaf_spec {
    struct ks_x509_subject subject; /* may be empty if there is a name */
    struct ks_x509_names names;
    int64_t not_before_s;
    int64_t not_after_s;
    bool client; /* extended key usages; neither: the extension is left out (hsm identities) */
    bool server;
};

/*
 * Appends the PEM of a CA certificate signed by key itself. After a failure out may hold a part of
 * the PEM.
 * Fails: VALIDATION (a name too long or malformed, no subject, times out of order or out of range),
 * LIMIT_EXCEEDED (the buffer's cap), INTERNAL.
 */
KS_MUST_USE ks_result ks_x509_make_ca(const struct ks_ec_key *key,
                                      const struct ks_x509_ca_spec *spec, struct ks_buffer *out);

/* The CA that issues. Both borrowed. */
struct ks_x509_issuer {
    ks_bytes certificate; /* PEM or DER */
    const struct ks_ec_key *key;
};

/*
 * Appends the PEM of a leaf for a public key (SubjectPublicKeyInfo, DER), under a serial of 16
 * random bytes.
 * out             after a failure it may hold a part of the PEM.
 * ret_serial_hex  32 hex digits, lower case, and a NUL; written on success only. May be NULL.
 * Fails: VALIDATION (a name too long or malformed, neither subject nor name, times out of order
 * or not_after_s past the CA's, spki malformed, the issuer no CA or its key another one's),
 * LIMIT_EXCEEDED (the buffer's cap), INTERNAL.
 */
KS_MUST_USE ks_result ks_x509_issue(const struct ks_x509_issuer *issuer, ks_bytes spki,
                                    const struct ks_x509_leaf_spec *spec, struct ks_buffer *out,
                                    char *ret_serial_hex);

/* What a certificate says. A value; holds no pointer. */
struct ks_x509_info {
    char serial_hex[KS_X509_SERIAL_HEX + 1]; /* lower case, two digits a byte */
    char uri[KS_X509_URI_MAX + 1];           /* the one URI name; "" if there is none */
    int64_t not_before_s;
    int64_t not_after_s;
    bool is_ca;
    size_t spki_len;
    uint8_t spki[KS_EC_PUBLIC_DER_MAX];
    uint8_t fingerprint[KS_SHA256_LEN]; /* SHA-256 of the DER */
};

/*
 * Reads a certificate, PEM or DER, without verifying it.
 *
 * ret_info  written on success only.
 *
 * Fails: VALIDATION (malformed, over KS_X509_DER_MAX, bytes behind it, a key that is not EC P-256
 * or P-384, more than one URI name, a URI with a NUL or non-ASCII byte, an extension twice).
 */
KS_MUST_USE ks_result ks_x509_read(ks_bytes pem_or_der, struct ks_x509_info *ret_info);

enum ks_x509_usage { KS_X509_ANY, KS_X509_CLIENT, KS_X509_SERVER };

/*
 * Verifies that this CA issued leaf, that both are valid at at_s, that the CA may sign certificates
 * and leaf may not, and that leaf may be used in this way. Both are PEM or DER. A certificate is
 * valid from not_before_s on and before not_after_s, as OpenSSL has it.
 *
 * ret_info  what leaf says. Written on success only; may be NULL.
 *
 * Fails: VALIDATION (either is malformed), UNAUTHENTICATED (anything else).
 */
KS_MUST_USE ks_result ks_x509_verify(ks_bytes leaf, ks_bytes ca, int64_t at_s,
                                     enum ks_x509_usage usage, struct ks_x509_info *ret_info);

/*
 * Appends the DER of a certificate given as PEM or DER. After a failure out is unchanged.
 * Fails: VALIDATION (malformed), LIMIT_EXCEEDED (the buffer's cap).
 */
KS_MUST_USE ks_result ks_x509_to_der(ks_bytes pem_or_der, struct ks_buffer *out);
