/*
 * block: the keys of one backup, sealed (proto/formats/key-block-v1.md). A random backup key K gives
 * the key of the backup's stream and the key that its domain keys are sealed under. K itself is
 * sealed to each choice of m custodians by nesting: to the last of them first, and that box to the
 * one before. A box is what the custodians of one choice hand on, from the first to the last.
 *
 * Threads: pure over the arguments; any thread. A struct ks_ec_key and ks_crypto are used by one
 * thread at a time.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "pkg/base/secret.h"
#include "pkg/custody/kit.h"

#define KS_BACKUP_KEY_LEN        32U
#define KS_BLOCK_DOMAIN_KEY_LEN  32U
#define KS_BLOCK_DOMAIN_KEYS_MAX 8U
#define KS_BLOCK_SIGNATURE_MAX   104U
#define KS_CUSTODY_TAG_LEN       16U
#define KS_CUSTODY_HEAD_MAX                                                                        \
    (1U + 2U * KS_CUSTODY_HASH_LEN + 1U + KS_REGION_LEN_MAX + 4U + 2U + KS_CUSTODY_PUBLIC_LEN)
#define KS_BOX_SEALED_MAX (KS_BACKUP_KEY_LEN + KS_CUSTODIANS_MAX * KS_CUSTODY_TAG_LEN)
#define KS_BOX_LEN_MAX    (1U + KS_CUSTODY_HEAD_MAX + 2U + KS_BOX_SEALED_MAX)
#define KS_BLOCK_LEN_MAX                                                                           \
    (KS_CUSTODY_HEAD_MAX + KS_CUSTODY_SUBSETS_MAX * KS_BOX_SEALED_MAX + 2U +                       \
     KS_BLOCK_DOMAIN_KEYS_MAX * (4U + KS_BLOCK_DOMAIN_KEY_LEN) + KS_CUSTODY_TAG_LEN + 2U + 4096U + \
     2U + KS_BLOCK_SIGNATURE_MAX)

struct ks_crypto;
struct ks_peer;
struct ks_peer_trust;

/* The generations of the domain key that a block carries, ascending. Wipe with _done. */
struct ks_block_keys {
    size_t count; /* 1 to KS_BLOCK_DOMAIN_KEYS_MAX */
    struct {
        uint32_t generation; /* not 0 */
        ks_secret key;       /* KS_BLOCK_DOMAIN_KEY_LEN bytes */
    } keys[KS_BLOCK_DOMAIN_KEYS_MAX];
};

/* Wipes the keys. The zero value is fine. */
void ks_block_keys_done(struct ks_block_keys *keys);
#define KS_BLOCK_KEYS_AUTO KS_CLEANUP(ks_block_keys_done) struct ks_block_keys

/* What a block is made from and by whom. All borrowed. */
struct ks_block_maker {
    const struct ks_kit *kit; /* with its id */
    const uint8_t *backup;    /* KS_CUSTODY_HASH_LEN bytes: SHA-256 of the backup's header */
    const struct ks_ec_key *ephemeral; /* a P-384 key pair made for this block only */
    ks_bytes certificate;              /* of the hsm that makes it, DER */
    const struct ks_ec_key *identity;  /* the certificate's key pair, P-384 */
};

/*
 * Derives the key of a backup's stream.
 * key      K, KS_BACKUP_KEY_LEN bytes.
 * backup   KS_CUSTODY_HASH_LEN bytes.
 * ret_key  32 bytes, the caller's to wipe. Written on success only.
 * Fails: INTERNAL (OpenSSL).
 */
KS_MUST_USE ks_result ks_backup_stream_key(struct ks_crypto *crypto, const ks_secret *key,
                                           const uint8_t *backup, ks_secret *ret_key);

/*
 * Appends a block.
 *
 * key   K, KS_BACKUP_KEY_LEN random bytes.
 * out   empty. After a failure it may hold a part of the block.
 *
 * Fails: VALIDATION (the kit or the keys are out of their bounds, the certificate is too long),
 * LIMIT_EXCEEDED (the buffer's cap), INTERNAL.
 */
KS_MUST_USE ks_result ks_block_seal(struct ks_crypto *crypto, const struct ks_block_maker *maker,
                                    const ks_secret *key, const struct ks_block_keys *keys,
                                    struct ks_buffer *out);

/* What a block and its boxes begin with. Pointers are borrowed from the bytes that were read. */
struct ks_custody_head {
    const uint8_t *backup; /* KS_CUSTODY_HASH_LEN bytes, as kit */
    const uint8_t *kit;
    char region[KS_REGION_LEN_MAX + 1];
    uint32_t period;
    uint8_t needed;
    uint8_t count;
    ks_bytes ephemeral; /* SubjectPublicKeyInfo DER */
    ks_bytes bytes;     /* all of the head */
};

/* A block taken apart; borrowed from its bytes. */
struct ks_block {
    struct ks_custody_head head;
    ks_bytes boxes;       /* one for each subset, in their order */
    ks_bytes domain_keys; /* sealed */
    ks_bytes before;      /* what the domain keys' seal binds */
    ks_bytes certificate; /* DER, of the hsm that made it */
    ks_bytes body;        /* what is signed */
    ks_bytes signature;
};

/*
 * Takes a block apart, and proves nothing.
 * ret_block  written on success only.
 * Fails: INVALID_CIPHERTEXT (malformed).
 */
KS_MUST_USE ks_result ks_block_read(ks_bytes bytes, struct ks_block *ret_block);

/*
 * Verifies that an hsm of the root made the block, and of the region that it names.
 * ret_peer  which hsm it was. Written on success only.
 * Fails: ACCESS_DENIED (anything wrong with certificate, region or signature).
 */
KS_MUST_USE ks_result ks_block_verify(const struct ks_block *block,
                                      const struct ks_peer_trust *trust, struct ks_peer *ret_peer);

/*
 * Opens the domain keys of a block.
 * key       K, KS_BACKUP_KEY_LEN bytes.
 * ret_keys  the caller's to wipe. Written on success only.
 * Fails: INVALID_CIPHERTEXT (anything wrong), INTERNAL.
 */
KS_MUST_USE ks_result ks_block_open(struct ks_crypto *crypto, const struct ks_block *block,
                                    const ks_secret *key, struct ks_block_keys *ret_keys);

/*
 * Appends the box of a block for one choice of custodians, which the first of them opens.
 * out  after a failure it may hold a part of the box.
 * Fails: NOT_FOUND (the block has no such subset), LIMIT_EXCEEDED (the buffer's cap).
 */
KS_MUST_USE ks_result ks_block_box(const struct ks_block *block, uint8_t subset,
                                   struct ks_buffer *out);

/* A box taken apart; borrowed from its bytes. */
struct ks_box {
    struct ks_custody_head head;
    uint8_t subset;
    uint8_t position; /* of the custodian who opens it, from 1 to head.needed */
    ks_bytes sealed;
};

/*
 * Takes a box apart, and proves nothing.
 * ret_box  written on success only.
 * Fails: INVALID_CIPHERTEXT (malformed).
 */
KS_MUST_USE ks_result ks_box_read(ks_bytes bytes, struct ks_box *ret_box);

/*
 * Opens a box that is not the last one, and appends the box for the next custodian.
 *
 * own  the private key of the custodian at the box's position.
 * out  after a failure it may hold a part of the box.
 *
 * Fails: VALIDATION (it is the last box), INVALID_CIPHERTEXT (anything wrong: another custodian's
 * key, another position, a changed box), LIMIT_EXCEEDED (the buffer's cap), INTERNAL.
 */
KS_MUST_USE ks_result ks_box_open(struct ks_crypto *crypto, const struct ks_box *box,
                                  const struct ks_ec_key *own, struct ks_buffer *out);

/*
 * Opens the last box.
 * own      the private key of the custodian at the last position.
 * ret_key  K, the caller's to wipe. Written on success only.
 * Fails: VALIDATION (it is not the last box), INVALID_CIPHERTEXT (anything wrong), INTERNAL.
 */
KS_MUST_USE ks_result ks_box_open_key(struct ks_crypto *crypto, const struct ks_box *box,
                                      const struct ks_ec_key *own, ks_secret *ret_key);
