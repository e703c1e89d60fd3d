/*
 * blob: ciphertext blobs of symmetric keys (proto/formats/blob-v1.md): seals, opens, and reads the
 * header without a key.
 *
 * header ‖ K_commit 32 bytes ‖ ciphertext ‖ tag 16 bytes. The nonce in the header and the
 * encryption context derive the keys, so a blob opens under one HBK and one context only.
 *
 * Threads: pure over the arguments; the struct ks_crypto and ks_mac are the calling thread's.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/form/names.h"

#define KS_BLOB_NONCE_LEN     32U
#define KS_BLOB_COMMIT_LEN    32U
#define KS_BLOB_TAG_LEN       16U
#define KS_BLOB_PLAINTEXT_MAX 4096U /* AWS KMS API: Encrypt; at least 1 */
#define KS_BLOB_HEADER_MAX                                                                         \
    (3U + KS_REGION_LEN_MAX + KS_ACCOUNT_LEN + KS_KEY_ID_LEN + KS_MATERIAL_ID_LEN +                \
     KS_BLOB_NONCE_LEN)
#define KS_BLOB_EXTRA_MAX (KS_BLOB_HEADER_MAX + KS_BLOB_COMMIT_LEN + KS_BLOB_TAG_LEN)
#define KS_BLOB_LEN_MAX   (KS_BLOB_EXTRA_MAX + KS_BLOB_PLAINTEXT_MAX) /* 4291 */

struct ks_crypto;
struct ks_mac;

/* A blob taken apart. All members are borrowed from it. */
struct ks_blob {
    struct ks_key_name name;
    const uint8_t *material_id; /* KS_MATERIAL_ID_LEN bytes */
    const uint8_t *nonce;       /* KS_BLOB_NONCE_LEN bytes */
    ks_bytes header;
    const uint8_t *commitment; /* KS_BLOB_COMMIT_LEN bytes */
    ks_bytes sealed;           /* ciphertext and tag */
};

/*
 * Takes a blob apart. It needs no key and therefore proves nothing: anybody can write a header.
 *
 * ret_blob  written on success only.
 *
 * Fails: INVALID_CIPHERTEXT (the bytes do not have the form of a blob of version 1).
 */
KS_MUST_USE ks_result ks_blob_parse(ks_bytes bytes, struct ks_blob *ret_blob);

/* What is sealed, and for which key. All borrowed for the call. */
struct ks_blob_content {
    struct ks_key_name name;
    const uint8_t *material_id; /* KS_MATERIAL_ID_LEN bytes */
    const uint8_t *nonce;       /* KS_BLOB_NONCE_LEN random bytes, for this blob only */
    ks_bytes context;           /* from ks_context_encode */
    ks_bytes plaintext;         /* 1 to KS_BLOB_PLAINTEXT_MAX bytes */
};

/* Returns how long a blob is, for a region of region_len and a plaintext of plaintext_len bytes. */
size_t ks_blob_sealed_len(size_t region_len, size_t plaintext_len);

/*
 * Seals a plaintext into a blob.
 *
 * hbk       keyed with the HBK; its schedule is used, not changed.
 * ret_blob  ks_blob_sealed_len bytes, the caller's; unspecified after a failure.
 * ret_len   written on success only.
 *
 * Fails: VALIDATION (empty or too long plaintext, malformed name), INTERNAL (OpenSSL).
 */
KS_MUST_USE ks_result ks_blob_seal(struct ks_crypto *crypto, struct ks_mac *hbk,
                                   const struct ks_blob_content *content, uint8_t *ret_blob,
                                   size_t *ret_len);

/*
 * Opens what ks_blob_seal made.
 *
 * hbk            keyed with the HBK of blob's material.
 * context        as at sealing.
 * ret_plaintext  blob->sealed.len - KS_BLOB_TAG_LEN bytes, the caller's to wipe; zero after a
 *                failure.
 * ret_len        written on success only.
 *
 * Fails: INVALID_CIPHERTEXT (anything wrong with blob, key or context: the answer never tells
 * which), INTERNAL (OpenSSL).
 */
KS_MUST_USE ks_result ks_blob_open(struct ks_crypto *crypto, struct ks_mac *hbk,
                                   const struct ks_blob *blob, ks_bytes context,
                                   uint8_t *ret_plaintext, size_t *ret_len);
