/* keys: what certificates need of struct ks_ec_key. Included by this folder only. */
#pragma once

#include "pkg/crypto/ec.h"
#include "pkg/crypto/openssl.h"

/* Returns OpenSSL's key, borrowed from key. */
EVP_PKEY *ks_ec_pkey(const struct ks_ec_key *key);

/* Returns the hash that key signs with. */
const EVP_MD *ks_ec_digest(const struct ks_ec_key *key);

/*
 * Returns whether spki has the one form that ks_ec_read_public accepts. It does not check the point:
 * OpenSSL does that when it decodes the key of a certificate.
 */
bool ks_ec_is_canonical(ks_bytes spki);
