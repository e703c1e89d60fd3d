/* context: the inside of struct ks_crypto. Included by this folder only. */
#pragma once

#include <openssl/evp.h>

#include "pkg/crypto/crypto.h"

#define KS_RANDOM_BLOCK 4096U /* bytes drawn ahead: one draw for 128 nonces of 32 bytes */

struct ks_crypto {
    EVP_CIPHER_CTX *seal; /* AES-256-GCM, the cipher set; each call sets key and IV */
    EVP_CIPHER_CTX *open;
    EVP_MD_CTX *sha256;
    EVP_MD_CTX *sha384;
    EVP_MD_CTX *shake128;
    struct ks_mac *mac; /* NULL until the first ks_crypto_mac */

    uint8_t nonces[KS_RANDOM_BLOCK];
    size_t nonce_at;      /* the next byte to give out; KS_RANDOM_BLOCK: none left */
    unsigned nonce_forks; /* the process that drew them: how many forks it is away from the first */
};
