#include "pkg/custody/restore.h"

#include <assert.h>
#include <string.h>

#include "pkg/crypto/aead.h"
#include "pkg/crypto/ec.h"
#include "pkg/crypto/hash.h"
#include "pkg/crypto/kdf.h"
#include "pkg/form/form.h"
#include "pkg/transit/signing.h"

#define VERSION      1U
#define HANDED_LABEL "keystead/custody/restore/v1"
#define ORDER_LABEL  KS_LITERAL("keystead/restore-order/v1")
#define HEAD_LEN     (1U + KS_TRANSIT_NONCE_LEN + KS_CUSTODY_PUBLIC_LEN)
#define ORDER_BODY   (1U + 2U * KS_TRANSIT_HASH_LEN)

static_assert(KS_TRANSIT_HASH_LEN == KS_SHA384_LEN, "challenges and blocks are named by SHA-384");

/* A handed key taken apart, or about to be made; borrowed. */
struct handed {
    ks_bytes head;
    const uint8_t *nonce;
    ks_bytes ephemeral;
    ks_bytes sealed;
};

static ks_result parse(ks_bytes bytes, struct handed *ret_handed)
{
    struct ks_reader in = {.rest = bytes};
    uint8_t version = ks_read_u8(&in);
    struct handed handed = {.nonce = ks_read_bytes(&in, KS_TRANSIT_NONCE_LEN).ptr};
    handed.ephemeral = ks_read_bytes(&in, KS_CUSTODY_PUBLIC_LEN);
    handed.head = (ks_bytes){bytes.ptr, bytes.len - in.rest.len};
    handed.sealed = ks_read_bytes(&in, KS_BACKUP_KEY_LEN + KS_CUSTODY_TAG_LEN);
    if (!ks_read_all(&in) || version != VERSION) {
        return KS_RES(INVALID_CIPHERTEXT);
    }
    *ret_handed = handed;
    return KS_RES(OK);
}

/* One side's keys: own pair and the other's public key. */
static ks_result derive(struct ks_crypto *crypto, const struct ks_ec_key *own,
                        const struct ks_ec_key *peer, const uint8_t *challenge_hash, ks_bytes head,
                        ks_secret *ret_key)
{
    uint8_t head_hash[KS_SHA384_LEN];
    uint8_t place[sizeof(HANDED_LABEL) + 2 * KS_SHA384_LEN];
    KS_TRY(ks_hash_sha384(crypto, &head, 1, head_hash));
    struct ks_writer info = {.ptr = place, .capacity = sizeof(place)};
    ks_write_bytes(&info, (ks_bytes){(const uint8_t *)HANDED_LABEL, sizeof(HANDED_LABEL)});
    ks_write_bytes(&info, (ks_bytes){challenge_hash, KS_TRANSIT_HASH_LEN});
    ks_write_bytes(&info, (ks_bytes){head_hash, sizeof(head_hash)});
    assert(!info.full);
    KS_SECRET_AUTO shared = {.len = 0};
    KS_TRY(ks_ec_agree(own, peer, &shared));
    return ks_kdf_hkdf(&shared, (ks_bytes){head.ptr + 1, KS_TRANSIT_NONCE_LEN}, ks_written(&info),
                       KS_AEAD_KEY_LEN, ret_key);
}

static ks_bytes write_aad(const uint8_t *challenge_hash, ks_bytes head,
                          uint8_t place[static KS_TRANSIT_HASH_LEN + HEAD_LEN])
{
    struct ks_writer aad = {.ptr = place, .capacity = KS_TRANSIT_HASH_LEN + HEAD_LEN};
    ks_write_bytes(&aad, (ks_bytes){challenge_hash, KS_TRANSIT_HASH_LEN});
    ks_write_bytes(&aad, head);
    assert(!aad.full);
    return ks_written(&aad);
}

ks_result ks_handed_key_seal(struct ks_crypto *crypto, ks_bytes challenge,
                             const struct ks_ec_key *ephemeral, const ks_secret *key,
                             struct ks_buffer *out)
{
    assert(crypto && ephemeral && out);
    assert(key->len == KS_BACKUP_KEY_LEN);

    struct ks_challenge parts;
    uint8_t hash[KS_TRANSIT_HASH_LEN];
    KS_EC_AUTO *transit = NULL;
    KS_BUFFER_AUTO public = {.len_max = KS_CUSTODY_PUBLIC_LEN};
    KS_TRY(ks_challenge_read(challenge, &parts));
    if (parts.purpose != KS_TRANSIT_RESTORE) {
        return KS_RES(VALIDATION);
    }
    KS_TRY(ks_ec_read_public(parts.transit_key, &transit));
    KS_TRY(ks_challenge_hash(crypto, challenge, hash));
    KS_TRY(ks_ec_write_public_der(ephemeral, &public));
    uint8_t place[KS_HANDED_KEY_LEN];
    struct ks_writer writer = {.ptr = place, .capacity = sizeof(place)};
    ks_write_u8(&writer, VERSION);
    ks_write_bytes(&writer, (ks_bytes){parts.nonce, KS_TRANSIT_NONCE_LEN});
    ks_write_bytes(&writer, ks_buffer_bytes(&public));
    assert(!writer.full && writer.len == HEAD_LEN);

    KS_SECRET_AUTO under = {.len = 0};
    uint8_t aad[KS_TRANSIT_HASH_LEN + HEAD_LEN];
    KS_TRY(derive(crypto, ephemeral, transit, hash, ks_written(&writer), &under));
    const struct ks_aead_box box = {.key = &under,
                                    .aad = write_aad(hash, ks_written(&writer), aad)};
    KS_TRY(ks_aead_seal(crypto, &box, ks_secret_bytes(key), place + HEAD_LEN));
    return ks_buffer_append(out, (ks_bytes){place, sizeof(place)});
}

ks_result ks_handed_key_nonce(ks_bytes bytes, const uint8_t **ret_nonce)
{
    assert(ret_nonce);

    struct handed handed;
    KS_TRY(parse(bytes, &handed));
    *ret_nonce = handed.nonce;
    return KS_RES(OK);
}

ks_result ks_handed_key_open(struct ks_crypto *crypto, ks_bytes bytes,
                             const uint8_t *challenge_hash, const struct ks_ec_key *transit_key,
                             ks_secret *ret_key)
{
    assert(crypto && challenge_hash && transit_key && ret_key);

    struct handed handed;
    KS_EC_AUTO *ephemeral = NULL;
    KS_TRY(parse(bytes, &handed));
    if (ks_failed(ks_ec_read_public(handed.ephemeral, &ephemeral)) ||
        ks_ec_curve_of(ephemeral) != KS_EC_P384) {
        return KS_RES(INVALID_CIPHERTEXT);
    }
    KS_SECRET_AUTO under = {.len = 0};
    KS_SECRET_AUTO key = {.len = KS_BACKUP_KEY_LEN};
    uint8_t aad[KS_TRANSIT_HASH_LEN + HEAD_LEN];
    KS_TRY(derive(crypto, transit_key, ephemeral, challenge_hash, handed.head, &under));
    const struct ks_aead_box box = {.key = &under,
                                    .aad = write_aad(challenge_hash, handed.head, aad)};
    KS_TRY(ks_aead_open(crypto, &box, handed.sealed, key.bytes));
    ks_secret_move(ret_key, &key);
    return KS_RES(OK);
}

static ks_result write_order(struct ks_crypto *crypto, const uint8_t *challenge_hash,
                             ks_bytes block, uint8_t place[static ORDER_BODY])
{
    uint8_t block_hash[KS_SHA384_LEN];
    KS_TRY(ks_hash_sha384(crypto, &block, 1, block_hash));
    struct ks_writer writer = {.ptr = place, .capacity = ORDER_BODY};
    ks_write_u8(&writer, VERSION);
    ks_write_bytes(&writer, (ks_bytes){challenge_hash, KS_TRANSIT_HASH_LEN});
    ks_write_bytes(&writer, (ks_bytes){block_hash, sizeof(block_hash)});
    assert(!writer.full && writer.len == ORDER_BODY);
    return KS_RES(OK);
}

ks_result ks_restore_order_sign(struct ks_crypto *crypto, ks_bytes challenge, ks_bytes block,
                                const struct ks_ec_key *root, struct ks_buffer *out)
{
    assert(crypto && root && out);

    uint8_t hash[KS_TRANSIT_HASH_LEN];
    uint8_t place[ORDER_BODY];
    KS_TRY(ks_challenge_hash(crypto, challenge, hash));
    KS_TRY(write_order(crypto, hash, block, place));
    ks_bytes body = {place, sizeof(place)};
    const struct ks_signed what = {ORDER_LABEL, &body, 1};
    KS_TRY(ks_buffer_append(out, body));
    return ks_signed_append(&what, root, out);
}

ks_result ks_restore_order_check(struct ks_crypto *crypto, ks_bytes order,
                                 const uint8_t *challenge_hash, ks_bytes block,
                                 const struct ks_ec_key *root)
{
    assert(crypto && challenge_hash && root);

    uint8_t place[ORDER_BODY];
    struct ks_reader in = {.rest = order};
    ks_bytes body = ks_read_bytes(&in, ORDER_BODY);
    ks_bytes signature = ks_read_long(&in);
    KS_TRY(write_order(crypto, challenge_hash, block, place));
    const struct ks_signed what = {ORDER_LABEL, &body, 1};
    if (!ks_read_all(&in) || !ks_bytes_equal(body, (ks_bytes){place, sizeof(place)}) ||
        ks_failed(ks_signed_verify(&what, root, signature))) {
        return KS_RES(ACCESS_DENIED);
    }
    return KS_RES(OK);
}
