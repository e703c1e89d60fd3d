#include "pkg/transit/challenge.h"

#include <assert.h>
#include <string.h>

#include "pkg/crypto/ec.h"
#include "pkg/crypto/hash.h"
#include "pkg/form/form.h"
#include "pkg/form/names.h"
#include "pkg/transit/signing.h"

#define VERSION         1U
#define BODY_MAX        (KS_CHALLENGE_LEN_MAX - 2U - KS_TRANSIT_SIGNATURE_MAX)
#define CHALLENGE_LABEL KS_LITERAL("keystead/transit/challenge/v1")

static_assert(KS_TRANSIT_HASH_LEN == KS_SHA384_LEN, "challenges are named by SHA-384");
static_assert(KS_TRANSIT_KEY_MAX == KS_EC_PUBLIC_DER_MAX, "a P-384 key fits");
static_assert(KS_TRANSIT_SIGNATURE_MAX == KS_EC_SIGNATURE_MAX, "a P-384 signature fits");

static bool is_purpose(uint8_t number)
{
    return number == KS_TRANSIT_DOMAIN_KEY || number == KS_TRANSIT_RE_ENCRYPT ||
           number == KS_TRANSIT_RESTORE;
}

static bool fits(const struct ks_challenge *challenge)
{
    return challenge->certificate.len > 0 &&
           challenge->certificate.len <= KS_PEER_CERTIFICATE_MAX &&
           challenge->transit_key.len > 0 && challenge->transit_key.len <= KS_TRANSIT_KEY_MAX &&
           challenge->destination.len > 0 &&
           challenge->destination.len <= KS_TRANSIT_DESTINATION_MAX;
}

ks_result ks_challenge_sign(const struct ks_challenge *challenge, const struct ks_ec_key *identity,
                            struct ks_buffer *out)
{
    assert(challenge && identity && out);
    assert(challenge->nonce && challenge->request_hash);

    if (!fits(challenge)) {
        return KS_RES(VALIDATION);
    }
    uint8_t place[BODY_MAX];
    struct ks_writer writer = {.ptr = place, .capacity = sizeof(place)};
    ks_write_u8(&writer, VERSION);
    ks_write_u8(&writer, (uint8_t)challenge->purpose);
    ks_write_bytes(&writer, (ks_bytes){challenge->nonce, KS_TRANSIT_NONCE_LEN});
    ks_write_long(&writer, challenge->certificate);
    ks_write_long(&writer, challenge->transit_key);
    ks_write_long(&writer, challenge->destination);
    ks_write_bytes(&writer, (ks_bytes){challenge->request_hash, KS_TRANSIT_REQUEST_LEN});
    assert(!writer.full);
    ks_bytes body = ks_written(&writer);
    const struct ks_signed what = {CHALLENGE_LABEL, &body, 1};
    KS_TRY(ks_buffer_append(out, body));
    return ks_signed_append(&what, identity, out);
}

ks_result ks_challenge_read(ks_bytes bytes, struct ks_challenge *ret_challenge)
{
    assert(ret_challenge);

    struct ks_reader in = {.rest = bytes};
    uint8_t version = ks_read_u8(&in);
    uint8_t purpose = ks_read_u8(&in);
    struct ks_challenge challenge = {.nonce = ks_read_bytes(&in, KS_TRANSIT_NONCE_LEN).ptr};
    challenge.certificate = ks_read_long(&in);
    challenge.transit_key = ks_read_long(&in);
    challenge.destination = ks_read_long(&in);
    challenge.request_hash = ks_read_bytes(&in, KS_TRANSIT_REQUEST_LEN).ptr;
    challenge.body = (ks_bytes){bytes.ptr, bytes.len - in.rest.len};
    challenge.signature = ks_read_long(&in);
    if (!ks_read_all(&in) || version != VERSION || !is_purpose(purpose) || !fits(&challenge) ||
        challenge.signature.len > KS_TRANSIT_SIGNATURE_MAX) {
        return KS_RES(VALIDATION);
    }
    challenge.purpose = (enum ks_transit_purpose)purpose;
    *ret_challenge = challenge;
    return KS_RES(OK);
}

ks_result ks_challenge_verify(const struct ks_challenge *challenge,
                              const struct ks_peer_trust *trust, struct ks_peer *ret_peer)
{
    assert(challenge && challenge->body.ptr);
    assert(ret_peer);

    struct ks_peer peer;
    KS_EC_AUTO *key = NULL;
    KS_TRY(ks_peer_check(trust, challenge->certificate, &peer, &key));
    const struct ks_signed what = {CHALLENGE_LABEL, &challenge->body, 1};
    if (ks_failed(ks_signed_verify(&what, key, challenge->signature))) {
        return KS_RES(ACCESS_DENIED);
    }
    *ret_peer = peer;
    return KS_RES(OK);
}

ks_result ks_challenge_hash(struct ks_crypto *crypto, ks_bytes bytes,
                            uint8_t ret_hash[static KS_TRANSIT_HASH_LEN])
{
    return ks_hash_sha384(crypto, &bytes, 1, ret_hash);
}

ks_result ks_domain_key_wish(struct ks_crypto *crypto, ks_bytes region, uint32_t generation,
                             struct ks_domain_key_wish *ret_wish)
{
    assert(crypto && ret_wish);

    if (!ks_is_region(region) || generation == 0) {
        return KS_RES(VALIDATION);
    }
    uint8_t place[1 + KS_REGION_LEN_MAX + sizeof(generation)];
    struct ks_writer writer = {.ptr = place, .capacity = sizeof(place)};
    ks_write_short(&writer, region);
    ks_write_u32(&writer, generation);
    assert(!writer.full);
    ks_bytes request = ks_written(&writer);
    memcpy(ret_wish->destination, request.ptr + request.len - sizeof(generation),
           sizeof(generation));
    const ks_bytes parts[] = {
        KS_LITERAL("keystead/transit/request/domain-key/v1"),
        KS_LITERAL("\0"),
        request,
    };
    return ks_hash_sha256(crypto, parts, KS_COUNT(parts), ret_wish->request_hash);
}

ks_result ks_challenge_wants(const struct ks_challenge *challenge,
                             const struct ks_domain_key_wish *wish)
{
    bool same = challenge->purpose == KS_TRANSIT_DOMAIN_KEY &&
                ks_bytes_equal(challenge->destination,
                               (ks_bytes){wish->destination, sizeof(wish->destination)}) &&
                ks_bytes_equal((ks_bytes){challenge->request_hash, KS_TRANSIT_REQUEST_LEN},
                               (ks_bytes){wish->request_hash, KS_TRANSIT_REQUEST_LEN});
    return same ? KS_RES(OK) : KS_RES(ACCESS_DENIED);
}

ks_result ks_restore_request_hash(struct ks_crypto *crypto, ks_bytes region, const uint8_t *backup,
                                  uint8_t ret_hash[static KS_TRANSIT_REQUEST_LEN])
{
    assert(crypto && backup);

    if (!ks_is_region(region)) {
        return KS_RES(VALIDATION);
    }
    uint8_t place[1 + KS_REGION_LEN_MAX + KS_TRANSIT_BACKUP_LEN];
    struct ks_writer writer = {.ptr = place, .capacity = sizeof(place)};
    ks_write_short(&writer, region);
    ks_write_bytes(&writer, (ks_bytes){backup, KS_TRANSIT_BACKUP_LEN});
    assert(!writer.full);
    const ks_bytes parts[] = {
        KS_LITERAL("keystead/transit/request/restore/v1"),
        KS_LITERAL("\0"),
        ks_written(&writer),
    };
    return ks_hash_sha256(crypto, parts, KS_COUNT(parts), ret_hash);
}

ks_result ks_challenge_wants_backup(struct ks_crypto *crypto, const struct ks_challenge *challenge,
                                    ks_bytes region, const uint8_t *backup)
{
    uint8_t hash[KS_TRANSIT_REQUEST_LEN];
    KS_TRY(ks_restore_request_hash(crypto, region, backup, hash));
    bool same = challenge->purpose == KS_TRANSIT_RESTORE &&
                ks_bytes_equal(challenge->destination, (ks_bytes){backup, KS_TRANSIT_BACKUP_LEN}) &&
                ks_bytes_equal((ks_bytes){challenge->request_hash, KS_TRANSIT_REQUEST_LEN},
                               (ks_bytes){hash, sizeof(hash)});
    return same ? KS_RES(OK) : KS_RES(ACCESS_DENIED);
}
