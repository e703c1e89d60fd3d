#include "pkg/transit/envelope.h"

#include <assert.h>
#include <string.h>

#include "pkg/base/secret.h"
#include "pkg/crypto/aead.h"
#include "pkg/crypto/ec.h"
#include "pkg/crypto/hash.h"
#include "pkg/crypto/kdf.h"
#include "pkg/form/form.h"
#include "pkg/transit/signing.h"

#define VERSION        1U
#define ENVELOPE_LABEL KS_LITERAL("keystead/transit/envelope/v1")
#define SEAL_LABEL     "keystead/transit/seal/v1"
#define HEAD_MAX                                                                                   \
    (2U + KS_TRANSIT_NONCE_LEN + 2U + KS_PEER_CERTIFICATE_MAX + 2U + KS_TRANSIT_KEY_MAX)
#define AAD_MAX (KS_TRANSIT_HASH_LEN + HEAD_MAX)

static_assert(KS_ENVELOPE_TAG_LEN == KS_AEAD_TAG_LEN, "the tag is the cipher's");
static_assert(KS_ENVELOPE_LEN_MAX + KS_TRANSIT_HASH_LEN <= KS_SIGNED_BODY_MAX, "all can be signed");

/* One side of the key agreement, and the values that both sides bind the key to. */
struct agreement {
    const struct ks_ec_key *own;
    const struct ks_ec_key *peer;
    const uint8_t *nonce;
    const uint8_t *challenge_hash;
    ks_bytes head;
};

static ks_result derive(struct ks_crypto *crypto, const struct agreement *agreement,
                        ks_secret *ret_key)
{
    uint8_t place[sizeof(SEAL_LABEL) + 2 * KS_TRANSIT_HASH_LEN];
    uint8_t head_hash[KS_SHA384_LEN];
    KS_TRY(ks_hash_sha384(crypto, &agreement->head, 1, head_hash));
    struct ks_writer info = {.ptr = place, .capacity = sizeof(place)};
    ks_write_bytes(&info, (ks_bytes){(const uint8_t *)SEAL_LABEL, sizeof(SEAL_LABEL)});
    ks_write_bytes(&info, (ks_bytes){agreement->challenge_hash, KS_TRANSIT_HASH_LEN});
    ks_write_bytes(&info, (ks_bytes){head_hash, sizeof(head_hash)});
    assert(!info.full);

    KS_SECRET_AUTO shared = {.len = 0};
    KS_TRY(ks_ec_agree(agreement->own, agreement->peer, &shared));
    return ks_kdf_hkdf(&shared, (ks_bytes){agreement->nonce, KS_TRANSIT_NONCE_LEN},
                       ks_written(&info), KS_AEAD_KEY_LEN, ret_key);
}

static ks_bytes write_aad(const struct agreement *agreement, uint8_t *place)
{
    struct ks_writer aad = {.ptr = place, .capacity = AAD_MAX};
    ks_write_bytes(&aad, (ks_bytes){agreement->challenge_hash, KS_TRANSIT_HASH_LEN});
    ks_write_bytes(&aad, agreement->head);
    assert(!aad.full);
    return ks_written(&aad);
}

static ks_result write_head(const struct ks_challenge *challenge,
                            const struct ks_envelope_sender *sender, struct ks_writer *head)
{
    KS_BUFFER_AUTO ephemeral = {.len_max = KS_TRANSIT_KEY_MAX};
    KS_TRY(ks_ec_write_public_der(sender->ephemeral, &ephemeral));
    ks_write_u8(head, VERSION);
    ks_write_u8(head, (uint8_t)challenge->purpose);
    ks_write_bytes(head, (ks_bytes){challenge->nonce, KS_TRANSIT_NONCE_LEN});
    ks_write_long(head, sender->certificate);
    ks_write_long(head, ks_buffer_bytes(&ephemeral));
    return head->full ? KS_RES(VALIDATION) : KS_RES(OK);
}

/* Appends long(sealed). */
static ks_result append_sealed(struct ks_crypto *crypto, const struct agreement *agreement,
                               ks_bytes secret, struct ks_buffer *out)
{
    KS_SECRET_AUTO key = {.len = 0};
    KS_TRY(derive(crypto, agreement, &key));
    uint8_t aad[AAD_MAX];
    const struct ks_aead_box box = {.key = &key, .aad = write_aad(agreement, aad)};
    uint8_t *place = NULL;
    size_t sealed_len = secret.len + KS_ENVELOPE_TAG_LEN;
    KS_TRY(ks_buffer_extend(out, 2 + sealed_len, &place));
    struct ks_writer length = {.ptr = place, .capacity = 2};
    ks_write_u16(&length, (uint16_t)sealed_len);
    return ks_aead_seal(crypto, &box, secret, place + 2);
}

ks_result ks_envelope_seal(struct ks_crypto *crypto, ks_bytes challenge,
                           const struct ks_envelope_sender *sender, ks_bytes secret,
                           struct ks_buffer *out)
{
    assert(crypto && sender && out);
    assert(out->len == 0);

    struct ks_challenge parts;
    KS_TRY(ks_challenge_read(challenge, &parts));
    if (secret.len == 0 || secret.len > KS_ENVELOPE_SECRET_MAX || sender->certificate.len == 0) {
        return KS_RES(VALIDATION);
    }
    KS_EC_AUTO *transit = NULL;
    uint8_t hash[KS_TRANSIT_HASH_LEN];
    uint8_t place[HEAD_MAX];
    struct ks_writer head = {.ptr = place, .capacity = sizeof(place)};
    KS_TRY(ks_ec_read_public(parts.transit_key, &transit));
    KS_TRY(ks_challenge_hash(crypto, challenge, hash));
    KS_TRY(write_head(&parts, sender, &head));

    const struct agreement agreement = {
        .own = sender->ephemeral,
        .peer = transit,
        .nonce = parts.nonce,
        .challenge_hash = hash,
        .head = ks_written(&head),
    };
    KS_TRY(ks_buffer_append(out, agreement.head));
    KS_TRY(append_sealed(crypto, &agreement, secret, out));
    KS_BUFFER_AUTO body = {.len_max = KS_ENVELOPE_LEN_MAX};
    KS_TRY(ks_buffer_append(&body, ks_buffer_bytes(out)));
    const ks_bytes signed_parts[] = {{hash, sizeof(hash)}, ks_buffer_bytes(&body)};
    const struct ks_signed what = {ENVELOPE_LABEL, signed_parts, KS_COUNT(signed_parts)};
    return ks_signed_append(&what, sender->identity, out);
}

static bool fits(const struct ks_envelope *envelope)
{
    return envelope->certificate.len > 0 && envelope->certificate.len <= KS_PEER_CERTIFICATE_MAX &&
           envelope->ephemeral.len > 0 && envelope->ephemeral.len <= KS_TRANSIT_KEY_MAX &&
           envelope->sealed.len > KS_ENVELOPE_TAG_LEN &&
           envelope->sealed.len <= KS_ENVELOPE_SECRET_MAX + KS_ENVELOPE_TAG_LEN &&
           envelope->signature.len <= KS_TRANSIT_SIGNATURE_MAX;
}

ks_result ks_envelope_read(ks_bytes bytes, struct ks_envelope *ret_envelope)
{
    assert(ret_envelope);

    struct ks_reader in = {.rest = bytes};
    uint8_t version = ks_read_u8(&in);
    uint8_t purpose = ks_read_u8(&in);
    struct ks_envelope envelope = {.nonce = ks_read_bytes(&in, KS_TRANSIT_NONCE_LEN).ptr};
    envelope.certificate = ks_read_long(&in);
    envelope.ephemeral = ks_read_long(&in);
    envelope.head = (ks_bytes){bytes.ptr, bytes.len - in.rest.len};
    envelope.sealed = ks_read_long(&in);
    envelope.body = (ks_bytes){bytes.ptr, bytes.len - in.rest.len};
    envelope.signature = ks_read_long(&in);
    bool is_known = purpose == KS_TRANSIT_DOMAIN_KEY || purpose == KS_TRANSIT_RE_ENCRYPT;
    if (!ks_read_all(&in) || version != VERSION || !is_known || !fits(&envelope)) {
        return KS_RES(INVALID_CIPHERTEXT);
    }
    envelope.purpose = (enum ks_transit_purpose)purpose;
    *ret_envelope = envelope;
    return KS_RES(OK);
}

ks_result ks_envelope_verify(const struct ks_envelope *envelope,
                             const struct ks_envelope_receiver *receiver,
                             const struct ks_peer_trust *trust, struct ks_peer *ret_peer)
{
    assert(envelope && envelope->body.ptr);
    assert(receiver && ret_peer);

    struct ks_peer peer;
    KS_EC_AUTO *key = NULL;
    KS_TRY(ks_peer_check(trust, envelope->certificate, &peer, &key));
    const ks_bytes parts[] = {{receiver->challenge_hash, KS_TRANSIT_HASH_LEN}, envelope->body};
    const struct ks_signed what = {ENVELOPE_LABEL, parts, KS_COUNT(parts)};
    if (envelope->purpose != receiver->purpose ||
        ks_failed(ks_signed_verify(&what, key, envelope->signature))) {
        return KS_RES(INVALID_CIPHERTEXT);
    }
    *ret_peer = peer;
    return KS_RES(OK);
}

ks_result ks_envelope_open(struct ks_crypto *crypto, const struct ks_envelope *envelope,
                           const struct ks_envelope_receiver *receiver, uint8_t *ret_secret)
{
    assert(crypto && envelope && receiver);
    assert(envelope->sealed.len > KS_ENVELOPE_TAG_LEN);

    memset(ret_secret, 0, envelope->sealed.len - KS_ENVELOPE_TAG_LEN);
    KS_EC_AUTO *ephemeral = NULL;
    if (ks_failed(ks_ec_read_public(envelope->ephemeral, &ephemeral)) ||
        ks_ec_curve_of(ephemeral) != KS_EC_P384) {
        return KS_RES(INVALID_CIPHERTEXT);
    }
    const struct agreement agreement = {
        .own = receiver->transit_key,
        .peer = ephemeral,
        .nonce = envelope->nonce,
        .challenge_hash = receiver->challenge_hash,
        .head = envelope->head,
    };
    KS_SECRET_AUTO key = {.len = 0};
    KS_TRY(derive(crypto, &agreement, &key));
    uint8_t aad[AAD_MAX];
    const struct ks_aead_box box = {.key = &key, .aad = write_aad(&agreement, aad)};
    return ks_aead_open(crypto, &box, envelope->sealed, ret_secret);
}
