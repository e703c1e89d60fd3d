/* keys: what certificates need of struct ks_ec_key. Included by this folder only. */
#pragma once

#include "pkg/crypto/ec.h"
#include "pkg/crypto/openssl.h"

/* OpenSSL's key, borrowed as long as key. */
EVP_PKEY *ks_ec_pkey(const struct ks_ec_key *key);

/* The hash that key signs with. */
const EVP_MD *ks_ec_digest(const struct ks_ec_key *key);

/*
 * Whether spki has the one form that ks_ec_read_public takes. Says nothing of the point, which
 * OpenSSL checks when it decodes the key of a certificate.
 */
bool ks_ec_is_canonical(ks_bytes spki);
