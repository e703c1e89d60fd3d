#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/base/mem.h"
#include "pkg/crypto/crypto.h"
#include "pkg/crypto/ec.h"
#include "pkg/transit/envelope.h"
#include "tests/vectors/transit_json.h"
#include "tests/vectors/vectors.h"

#define GENERATION 3U

/* The vector's two hsms, b which receives and a which sends, under one root. */
static struct ks_json_doc *doc;
static struct ks_crypto *crypto;
static struct ks_vector_bytes root, secret, challenge, envelope, nonce;
static struct ks_vector_bytes receiver_certificate, sender_certificate;
static struct ks_ec_key *receiver_key, *sender_key, *transit_key, *ephemeral_key;
static uint8_t challenge_hash[KS_TRANSIT_HASH_LEN];
static struct ks_domain_key_wish wish;

static struct ks_peer_trust trust(void)
{
    return (struct ks_peer_trust){
        .root = ks_vector_view(&root), .trust_domain = "keystead", .now_s = 1767225600};
}

static struct ks_envelope_receiver receiver(void)
{
    return (struct ks_envelope_receiver){.challenge_hash = challenge_hash,
                                         .purpose = KS_TRANSIT_DOMAIN_KEY,
                                         .transit_key = transit_key};
}

/* All that a receiver does, over an exact heap copy. */
static ks_code receive(ks_bytes bytes, const struct ks_envelope_receiver *as, uint8_t *got)
{
    uint8_t *copy = ks_alloc(1, bytes.len);
    memcpy(copy, bytes.ptr, bytes.len);
    struct ks_envelope parts;
    struct ks_peer peer;
    const struct ks_peer_trust trusted = trust();
    ks_result r = ks_envelope_read((ks_bytes){copy, bytes.len}, &parts);
    if (!ks_failed(r)) {
        r = ks_envelope_verify(&parts, as, &trusted, &peer);
    }
    if (!ks_failed(r)) {
        assert_int_equal(parts.sealed.len, 32 + KS_ENVELOPE_TAG_LEN);
        r = ks_envelope_open(crypto, &parts, as, got);
    }
    ks_free(copy);
    return r.code;
}

/* All that a sender checks, over an exact heap copy. */
static ks_code admit(ks_bytes bytes, const struct ks_peer_trust *trusted)
{
    uint8_t *copy = ks_alloc(1, bytes.len);
    memcpy(copy, bytes.ptr, bytes.len);
    struct ks_challenge parts;
    struct ks_peer peer;
    ks_result r = ks_challenge_read((ks_bytes){copy, bytes.len}, &parts);
    if (!ks_failed(r)) {
        r = ks_challenge_verify(&parts, trusted, &peer);
    }
    if (!ks_failed(r)) {
        r = ks_challenge_wants(&parts, &wish);
    }
    ks_free(copy);
    return r.code;
}

static void admits_the_golden_challenge(void **state)
{
    (void)state;
    struct ks_challenge parts;
    struct ks_peer peer;
    const struct ks_peer_trust trusted = trust();

    assert_int_equal(ks_challenge_read(ks_vector_view(&challenge), &parts).code, KS_OK);
    assert_int_equal(ks_challenge_verify(&parts, &trusted, &peer).code, KS_OK);

    assert_string_equal(peer.region, "ap-seoul-1");
    assert_string_equal(peer.zone, "ap-seoul-1b");
    assert_memory_equal(parts.nonce, nonce.ptr, KS_TRANSIT_NONCE_LEN);
    assert_int_equal(ks_challenge_wants(&parts, &wish).code, KS_OK);
}

static void opens_the_golden_envelope(void **state)
{
    (void)state;
    uint8_t got[32];
    const struct ks_envelope_receiver as = receiver();

    assert_int_equal(receive(ks_vector_view(&envelope), &as, got), KS_OK);

    assert_memory_equal(got, secret.ptr, 32);
}

static struct ks_challenge own_challenge(void)
{
    static uint8_t spki[KS_TRANSIT_KEY_MAX];
    KS_BUFFER_AUTO der = {.len_max = sizeof(spki)};
    assert_int_equal(ks_ec_write_public_der(transit_key, &der).code, KS_OK);
    memcpy(spki, der.ptr, der.len);
    return (struct ks_challenge){
        .purpose = KS_TRANSIT_DOMAIN_KEY,
        .nonce = nonce.ptr,
        .certificate = ks_vector_view(&receiver_certificate),
        .transit_key = {spki, der.len},
        .destination = {wish.destination, sizeof(wish.destination)},
        .request_hash = wish.request_hash,
    };
}

static struct ks_envelope_sender sender(void)
{
    return (struct ks_envelope_sender){.certificate = ks_vector_view(&sender_certificate),
                                       .identity = sender_key,
                                       .ephemeral = ephemeral_key};
}

static void signs_the_body_of_the_golden_challenge(void **state)
{
    (void)state;
    const struct ks_challenge parts = own_challenge();
    const struct ks_peer_trust trusted = trust();
    struct ks_challenge golden;
    KS_BUFFER_AUTO out = {.len_max = KS_CHALLENGE_LEN_MAX};

    assert_int_equal(ks_challenge_sign(&parts, receiver_key, &out).code, KS_OK);

    assert_int_equal(ks_challenge_read(ks_vector_view(&challenge), &golden).code, KS_OK);
    assert_memory_equal(out.ptr, golden.body.ptr, golden.body.len);
    assert_int_equal(admit(ks_buffer_bytes(&out), &trusted), KS_OK);
}

/* Everything but the signature, which is random, is the golden envelope's. */
static void seals_the_golden_envelope(void **state)
{
    (void)state;
    const struct ks_envelope_sender as = sender();
    const struct ks_envelope_receiver to = receiver();
    struct ks_envelope golden;
    KS_BUFFER_AUTO out = {.len_max = KS_ENVELOPE_LEN_MAX};
    uint8_t got[32];

    assert_int_equal(
        ks_envelope_seal(crypto, ks_vector_view(&challenge), &as, ks_vector_view(&secret), &out)
            .code,
        KS_OK);

    assert_int_equal(ks_envelope_read(ks_vector_view(&envelope), &golden).code, KS_OK);
    assert_memory_equal(out.ptr, golden.body.ptr, golden.body.len);
    assert_int_equal(receive(ks_buffer_bytes(&out), &to, got), KS_OK);
    assert_memory_equal(got, secret.ptr, 32);
}

/*
 * Each bit, but of a certificate one in each byte: a try costs two verifications, and damage to
 * certificates is tried in full by pkg/crypto.
 */
static bool is_tried(size_t bit, const struct ks_vector_bytes *form,
                     const struct ks_vector_bytes *certificate)
{
    const uint8_t *begin = memmem(form->ptr, form->len, certificate->ptr, certificate->len);
    const uint8_t *at = form->ptr + bit / 8;
    bool inside = begin && at >= begin && at < begin + certificate->len;
    return !inside || bit % 8 == (bit / 8) % 8;
}

static void refuses_every_damage_to_a_challenge(void **state)
{
    (void)state;
    const struct ks_peer_trust trusted = trust();

    for (size_t bit = 0; bit < 8 * challenge.len; bit++) {
        if (!is_tried(bit, &challenge, &receiver_certificate)) {
            continue;
        }
        challenge.ptr[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        ks_code code = admit(ks_vector_view(&challenge), &trusted);
        assert_true(code == KS_VALIDATION || code == KS_ACCESS_DENIED);
        challenge.ptr[bit / 8] ^= (uint8_t)(1U << (bit % 8));
    }
    for (size_t len = 0; len < challenge.len; len++) {
        assert_int_equal(admit((ks_bytes){challenge.ptr, len}, &trusted), KS_VALIDATION);
    }
    assert_int_equal(admit(ks_vector_view(&challenge), &trusted), KS_OK);
}

static void refuses_every_damage_to_an_envelope(void **state)
{
    (void)state;
    const struct ks_envelope_receiver as = receiver();
    uint8_t got[32];

    for (size_t bit = 0; bit < 8 * envelope.len; bit++) {
        if (!is_tried(bit, &envelope, &sender_certificate)) {
            continue;
        }
        envelope.ptr[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        ks_code code = receive(ks_vector_view(&envelope), &as, got);
        assert_true(code == KS_INVALID_CIPHERTEXT || code == KS_ACCESS_DENIED);
        envelope.ptr[bit / 8] ^= (uint8_t)(1U << (bit % 8));
    }
    for (size_t len = 0; len < envelope.len; len++) {
        assert_int_equal(receive((ks_bytes){envelope.ptr, len}, &as, got), KS_INVALID_CIPHERTEXT);
    }
    assert_int_equal(receive(ks_vector_view(&envelope), &as, got), KS_OK);
}

/* The seal alone, without the signature, must hold as well. */
static void refuses_every_damage_to_the_seal(void **state)
{
    (void)state;
    struct ks_envelope parts;
    const struct ks_envelope_receiver as = receiver();
    uint8_t got[32];
    assert_int_equal(ks_envelope_read(ks_vector_view(&envelope), &parts).code, KS_OK);
    uint8_t *sealed = ks_alloc(1, parts.sealed.len);
    memcpy(sealed, parts.sealed.ptr, parts.sealed.len);
    parts.sealed.ptr = sealed;

    for (size_t bit = 0; bit < 8 * parts.sealed.len; bit++) {
        sealed[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        assert_int_equal(ks_envelope_open(crypto, &parts, &as, got).code, KS_INVALID_CIPHERTEXT);
        sealed[bit / 8] ^= (uint8_t)(1U << (bit % 8));
    }
    assert_int_equal(ks_envelope_open(crypto, &parts, &as, got).code, KS_OK);
    ks_free(sealed);
}

static void refuses_another_challenge_receiver_or_purpose(void **state)
{
    (void)state;
    uint8_t got[32];
    uint8_t other_hash[KS_TRANSIT_HASH_LEN] = {0};
    struct ks_envelope_receiver other = receiver();
    other.challenge_hash = other_hash;
    assert_int_equal(receive(ks_vector_view(&envelope), &other, got), KS_INVALID_CIPHERTEXT);

    other = receiver();
    other.purpose = KS_TRANSIT_RE_ENCRYPT;
    assert_int_equal(receive(ks_vector_view(&envelope), &other, got), KS_INVALID_CIPHERTEXT);

    other = receiver();
    other.transit_key = receiver_key;
    assert_int_equal(receive(ks_vector_view(&envelope), &other, got), KS_INVALID_CIPHERTEXT);
}

/* The hash is in the key as well, so that a signature alone could not move an envelope. */
static void the_seal_itself_is_bound_to_its_challenge(void **state)
{
    (void)state;
    struct ks_envelope parts;
    uint8_t got[32];
    uint8_t other_hash[KS_TRANSIT_HASH_LEN] = {0};
    struct ks_envelope_receiver other = receiver();
    other.challenge_hash = other_hash;

    assert_int_equal(ks_envelope_read(ks_vector_view(&envelope), &parts).code, KS_OK);

    assert_int_equal(ks_envelope_open(crypto, &parts, &other, got).code, KS_INVALID_CIPHERTEXT);
}

static void refuses_a_challenge_for_anything_else(void **state)
{
    (void)state;
    const struct ks_peer_trust trusted = trust();
    struct ks_domain_key_wish next;
    assert_int_equal(
        ks_domain_key_wish(crypto, KS_LITERAL("ap-seoul-1"), GENERATION + 1, &next).code, KS_OK);
    struct ks_challenge wrong[3] = {own_challenge(), own_challenge(), own_challenge()};
    wrong[0].purpose = KS_TRANSIT_RE_ENCRYPT;
    wrong[1].destination.ptr = next.destination;
    wrong[2].request_hash = next.request_hash;

    for (size_t i = 0; i < KS_COUNT(wrong); i++) {
        KS_BUFFER_AUTO out = {.len_max = KS_CHALLENGE_LEN_MAX};
        assert_int_equal(ks_challenge_sign(&wrong[i], receiver_key, &out).code, KS_OK);
        assert_int_equal(admit(ks_buffer_bytes(&out), &trusted), KS_ACCESS_DENIED);
    }
}

static void trusts_one_root_one_domain_and_one_time(void **state)
{
    (void)state;
    struct ks_peer_trust other = trust();
    other.trust_domain = "keystea";
    assert_int_equal(admit(ks_vector_view(&challenge), &other), KS_ACCESS_DENIED);
    other = trust();
    other.root = ks_vector_view(&sender_certificate);
    assert_int_equal(admit(ks_vector_view(&challenge), &other), KS_ACCESS_DENIED);
    other = trust();
    other.now_s = 1000000000;
    assert_int_equal(admit(ks_vector_view(&challenge), &other), KS_ACCESS_DENIED);
    other.now_s = 5000000000;
    assert_int_equal(admit(ks_vector_view(&challenge), &other), KS_ACCESS_DENIED);
}

/* The certificate of the receiver, but a signature of somebody else whom the root also certified. */
static void refuses_a_challenge_signed_by_another_hsm(void **state)
{
    (void)state;
    const struct ks_challenge parts = own_challenge();
    const struct ks_peer_trust trusted = trust();
    KS_BUFFER_AUTO out = {.len_max = KS_CHALLENGE_LEN_MAX};
    assert_int_equal(ks_challenge_sign(&parts, sender_key, &out).code, KS_OK);

    assert_int_equal(admit(ks_buffer_bytes(&out), &trusted), KS_ACCESS_DENIED);
}

static void keeps_both_sides_of_the_secret_limits(void **state)
{
    (void)state;
    static uint8_t big[KS_ENVELOPE_SECRET_MAX + 1];
    const struct ks_envelope_sender as = sender();
    KS_BUFFER_AUTO out = {.len_max = KS_ENVELOPE_LEN_MAX};

    assert_int_equal(ks_envelope_seal(crypto, ks_vector_view(&challenge), &as,
                                      (ks_bytes){big, sizeof(big)}, &out)
                         .code,
                     KS_VALIDATION);
    assert_int_equal(
        ks_envelope_seal(crypto, ks_vector_view(&challenge), &as, (ks_bytes){big, 0}, &out).code,
        KS_VALIDATION);
    assert_int_equal(ks_envelope_seal(crypto, ks_vector_view(&challenge), &as,
                                      (ks_bytes){big, KS_ENVELOPE_SECRET_MAX}, &out)
                         .code,
                     KS_OK);
    struct ks_envelope parts;
    assert_int_equal(ks_envelope_read(ks_buffer_bytes(&out), &parts).code, KS_OK);
}

static void names_an_hsm(void **state)
{
    (void)state;

    KS_AUTO_FREE char *uri = ks_peer_uri("keystead", "ap-seoul-1", "ap-seoul-1a");

    assert_string_equal(uri, "spiffe://keystead/hsm/ap-seoul-1/ap-seoul-1a");
}

static struct ks_ec_key *read_key(const struct ks_json *vector, const char *member)
{
    KS_VECTOR_AUTO der = ks_vector_hex(vector, member);
    struct ks_ec_key *key = NULL;
    assert_int_equal(ks_ec_read_private(ks_vector_view(&der), &key).code, KS_OK);
    return key;
}

static int set_up(void **state)
{
    (void)state;
    if (ks_failed(ks_crypto_init(&(struct ks_crypto_options){0}))) {
        return -1;
    }
    crypto = ks_crypto_new();
    doc = ks_vectors_open(ks_transit_json, ks_transit_json_len);
    const struct ks_json *vector = ks_vectors_at(doc, 0);
    root = ks_vector_hex(vector, "root_certificate");
    secret = ks_vector_hex(vector, "secret");
    nonce = ks_vector_hex(vector, "nonce");
    challenge = ks_vector_hex(vector, "challenge");
    envelope = ks_vector_hex(vector, "envelope");
    receiver_certificate = ks_vector_hex(vector, "receiver_certificate");
    sender_certificate = ks_vector_hex(vector, "sender_certificate");
    receiver_key = read_key(vector, "receiver_key");
    sender_key = read_key(vector, "sender_key");
    transit_key = read_key(vector, "transit_key");
    ephemeral_key = read_key(vector, "ephemeral_key");
    bool ready =
        !ks_failed(ks_challenge_hash(crypto, ks_vector_view(&challenge), challenge_hash)) &&
        !ks_failed(ks_domain_key_wish(crypto, KS_LITERAL("ap-seoul-1"), GENERATION, &wish));
    return ready ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    struct ks_vector_bytes *const all[] = {
        &root, &secret, &nonce, &challenge, &envelope, &receiver_certificate, &sender_certificate};
    struct ks_ec_key *const keys[] = {receiver_key, sender_key, transit_key, ephemeral_key};
    for (size_t i = 0; i < KS_COUNT(all); i++) {
        ks_vector_bytes_done(all[i]);
    }
    for (size_t i = 0; i < KS_COUNT(keys); i++) {
        ks_ec_free(keys[i]);
    }
    ks_json_free(doc);
    ks_crypto_free(crypto);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(admits_the_golden_challenge),
        cmocka_unit_test(opens_the_golden_envelope),
        cmocka_unit_test(signs_the_body_of_the_golden_challenge),
        cmocka_unit_test(seals_the_golden_envelope),
        cmocka_unit_test(refuses_every_damage_to_a_challenge),
        cmocka_unit_test(refuses_every_damage_to_an_envelope),
        cmocka_unit_test(refuses_every_damage_to_the_seal),
        cmocka_unit_test(refuses_another_challenge_receiver_or_purpose),
        cmocka_unit_test(the_seal_itself_is_bound_to_its_challenge),
        cmocka_unit_test(refuses_a_challenge_for_anything_else),
        cmocka_unit_test(trusts_one_root_one_domain_and_one_time),
        cmocka_unit_test(refuses_a_challenge_signed_by_another_hsm),
        cmocka_unit_test(keeps_both_sides_of_the_secret_limits),
        cmocka_unit_test(names_an_hsm),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
