#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/base/mem.h"
#include "pkg/base/secret.h"
#include "pkg/blob/blob.h"
#include "pkg/crypto/crypto.h"
#include "pkg/crypto/mac.h"
#include "tests/vectors/blob_json.h"
#include "tests/vectors/vectors.h"

#define ACCOUNT "111122223333"
#define KEY_ID  "1234abcd-12ab-34cd-56ef-1234567890ab"

static struct ks_crypto *crypto;
static struct ks_mac *hbk;
static const uint8_t material_id[KS_MATERIAL_ID_LEN] = {7};
static const uint8_t nonce[KS_BLOB_NONCE_LEN] = {9};

struct sealed {
    uint8_t bytes[KS_BLOB_LEN_MAX];
    size_t len;
};

static struct ks_blob_content content_of(ks_bytes plaintext)
{
    return (struct ks_blob_content){
        .name = {KS_LITERAL("ap-seoul-1"), KS_LITERAL(ACCOUNT), KS_LITERAL(KEY_ID)},
        .material_id = material_id,
        .nonce = nonce,
        .context = KS_LITERAL("\0\0"),
        .plaintext = plaintext,
    };
}

static struct sealed seal(const struct ks_blob_content *content)
{
    struct sealed sealed;
    assert_int_equal(ks_blob_seal(crypto, hbk, content, sealed.bytes, &sealed.len).code, KS_OK);
    return sealed;
}

/* Parses and opens an exact heap copy, so that a sanitizer sees each read past the end. */
static ks_code open_copy(struct ks_mac *mac, ks_bytes bytes, ks_bytes context, uint8_t *got,
                         size_t *got_len)
{
    uint8_t *copy = ks_alloc(1, bytes.len);
    memcpy(copy, bytes.ptr, bytes.len);
    struct ks_blob blob;
    ks_result r = ks_blob_parse((ks_bytes){copy, bytes.len}, &blob);
    if (!ks_failed(r)) {
        r = ks_blob_open(crypto, mac, &blob, context, got, got_len);
    }
    ks_free(copy);
    return r.code;
}

static ks_code open_blob(ks_bytes bytes, ks_bytes context)
{
    uint8_t got[KS_BLOB_PLAINTEXT_MAX];
    size_t len = 0;
    return open_copy(hbk, bytes, context, got, &len);
}

static struct ks_mac *mac_of(const struct ks_vector_bytes *key)
{
    KS_SECRET_AUTO secret = {.len = key->len};
    memcpy(secret.bytes, key->ptr, key->len);
    struct ks_mac *mac = NULL;
    assert_int_equal(ks_mac_new(&secret, &mac).code, KS_OK);
    return mac;
}

static void check_vector(const struct ks_json *vector)
{
    KS_VECTOR_AUTO key = ks_vector_hex(vector, "hbk");
    KS_VECTOR_AUTO material = ks_vector_hex(vector, "material_id");
    KS_VECTOR_AUTO nonce_bytes = ks_vector_hex(vector, "nonce");
    KS_VECTOR_AUTO context = ks_vector_hex(vector, "context");
    KS_VECTOR_AUTO plaintext = ks_vector_hex(vector, "plaintext");
    KS_VECTOR_AUTO wanted = ks_vector_hex(vector, "blob");
    KS_MAC_AUTO *mac = mac_of(&key);
    const struct ks_blob_content content = {
        .name = {ks_vector_text(vector, "region"), ks_vector_text(vector, "account"),
                 ks_vector_text(vector, "key_id")},
        .material_id = material.ptr,
        .nonce = nonce_bytes.ptr,
        .context = ks_vector_view(&context),
        .plaintext = ks_vector_view(&plaintext),
    };
    struct sealed sealed;
    uint8_t got[KS_BLOB_PLAINTEXT_MAX];
    size_t got_len = 0;

    assert_int_equal(ks_blob_seal(crypto, mac, &content, sealed.bytes, &sealed.len).code, KS_OK);

    assert_int_equal(sealed.len, wanted.len);
    assert_memory_equal(sealed.bytes, wanted.ptr, wanted.len);
    assert_int_equal(
        open_copy(mac, ks_vector_view(&wanted), ks_vector_view(&context), got, &got_len), KS_OK);
    assert_int_equal(got_len, plaintext.len);
    assert_memory_equal(got, plaintext.ptr, plaintext.len);
}

static void seals_and_opens_the_golden_vectors(void **state)
{
    (void)state;
    KS_JSON_AUTO *doc = ks_vectors_open(ks_blob_json, ks_blob_json_len);

    for (size_t i = 0; i < ks_vectors_count(doc); i++) {
        check_vector(ks_vectors_at(doc, i));
    }
}

static void says_where_it_belongs_without_a_key(void **state)
{
    (void)state;
    const struct ks_blob_content content = content_of(KS_LITERAL("x"));
    struct sealed s = seal(&content);
    struct ks_blob blob;

    assert_int_equal(ks_blob_parse((ks_bytes){s.bytes, s.len}, &blob).code, KS_OK);

    assert_true(ks_key_name_equal(&blob.name, &content.name));
    assert_memory_equal(blob.material_id, material_id, sizeof(material_id));
    assert_memory_equal(blob.nonce, nonce, sizeof(nonce));
}

/* A later version is refused by its form, not by chance of what its bytes would mean in this one. */
static void refuses_versions_and_algorithms_that_it_does_not_know(void **state)
{
    (void)state;
    const struct ks_blob_content content = content_of(KS_LITERAL("x"));
    struct ks_blob blob;

    for (size_t at = 0; at < 2; at++) {
        struct sealed s = seal(&content);
        s.bytes[at] = 2;
        assert_int_equal(ks_blob_parse((ks_bytes){s.bytes, s.len}, &blob).code,
                         KS_INVALID_CIPHERTEXT);
    }
}

/* Promise 5: every single-bit change and every truncation answers the same, and writes nothing. */
static void refuses_every_damage(void **state)
{
    (void)state;
    const struct ks_blob_content content = content_of(KS_LITERAL("a secret"));
    struct sealed s = seal(&content);
    uint8_t got[KS_BLOB_PLAINTEXT_MAX] = {0};
    size_t got_len = 77;

    for (size_t bit = 0; bit < 8 * s.len; bit++) {
        struct sealed bad = s;
        bad.bytes[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        assert_int_equal(
            open_copy(hbk, (ks_bytes){bad.bytes, bad.len}, content.context, got, &got_len),
            KS_INVALID_CIPHERTEXT);
    }
    for (size_t len = 0; len < s.len; len++) {
        assert_int_equal(open_copy(hbk, (ks_bytes){s.bytes, len}, content.context, got, &got_len),
                         KS_INVALID_CIPHERTEXT);
    }
    s.bytes[s.len] = 0;
    assert_int_equal(open_blob((ks_bytes){s.bytes, s.len + 1}, content.context),
                     KS_INVALID_CIPHERTEXT);
    assert_int_equal(got_len, 77);
    assert_int_equal(got[0], 0);
    assert_int_equal(open_blob((ks_bytes){s.bytes, s.len}, content.context), KS_OK);
}

static void refuses_another_context(void **state)
{
    (void)state;
    const struct ks_blob_content content = content_of(KS_LITERAL("x"));
    struct sealed s = seal(&content);

    assert_int_equal(open_blob((ks_bytes){s.bytes, s.len}, KS_LITERAL("\0\1\0\1a\0\0")),
                     KS_INVALID_CIPHERTEXT);
    assert_int_equal(open_blob((ks_bytes){s.bytes, s.len}, KS_LITERAL("")), KS_INVALID_CIPHERTEXT);
}

/*
 * AES-GCM does not bind a ciphertext to one key; the commitment does. A blob whose commitment is
 * wrong must not be opened even where its ciphertext and tag are right.
 */
static void refuses_a_wrong_commitment_over_a_right_ciphertext(void **state)
{
    (void)state;
    const struct ks_blob_content content = content_of(KS_LITERAL("x"));
    struct sealed s = seal(&content);
    struct ks_blob blob;
    assert_int_equal(ks_blob_parse((ks_bytes){s.bytes, s.len}, &blob).code, KS_OK);
    uint8_t other[KS_BLOB_COMMIT_LEN];
    memcpy(other, blob.commitment, sizeof(other));
    other[31] ^= 1;
    blob.commitment = other;
    uint8_t got[1] = {7};
    size_t len = 0;

    ks_result r = ks_blob_open(crypto, hbk, &blob, content.context, got, &len);

    assert_int_equal(r.code, KS_INVALID_CIPHERTEXT);
    assert_int_equal(got[0], 0);
}

static void refuses_another_key(void **state)
{
    (void)state;
    const struct ks_blob_content content = content_of(KS_LITERAL("x"));
    struct sealed s = seal(&content);
    KS_SECRET_AUTO secret = {.len = 32, .bytes = {2}};
    KS_MAC_AUTO *other = NULL;
    assert_int_equal(ks_mac_new(&secret, &other).code, KS_OK);
    uint8_t got[1];
    size_t len = 0;

    assert_int_equal(open_copy(other, (ks_bytes){s.bytes, s.len}, content.context, got, &len),
                     KS_INVALID_CIPHERTEXT);
}

static void keeps_both_sides_of_the_plaintext_limits(void **state)
{
    (void)state;
    static uint8_t big[KS_BLOB_PLAINTEXT_MAX + 1];
    struct sealed s;
    struct ks_blob_content content = content_of((ks_bytes){big, KS_BLOB_PLAINTEXT_MAX});
    s = seal(&content);
    assert_int_equal(s.len, ks_blob_sealed_len(10, KS_BLOB_PLAINTEXT_MAX));
    assert_int_equal(open_blob((ks_bytes){s.bytes, s.len}, content.context), KS_OK);

    content.plaintext.len = KS_BLOB_PLAINTEXT_MAX + 1;
    assert_int_equal(ks_blob_seal(crypto, hbk, &content, s.bytes, &s.len).code, KS_VALIDATION);
    content.plaintext.len = 0;
    assert_int_equal(ks_blob_seal(crypto, hbk, &content, s.bytes, &s.len).code, KS_VALIDATION);
}

static void refuses_malformed_names(void **state)
{
    (void)state;
    struct sealed s = {.len = 0};
    struct ks_blob_content content = content_of(KS_LITERAL("x"));
    content.name.region = KS_LITERAL("seoul");

    assert_int_equal(ks_blob_seal(crypto, hbk, &content, s.bytes, &s.len).code, KS_VALIDATION);
}

static int set_up(void **state)
{
    (void)state;
    KS_SECRET_AUTO secret = {.len = 32, .bytes = {1}};
    if (ks_failed(ks_crypto_init(&(struct ks_crypto_options){0})) ||
        ks_failed(ks_mac_new(&secret, &hbk))) {
        return -1;
    }
    crypto = ks_crypto_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ks_mac_free(hbk);
    ks_crypto_free(crypto);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seals_and_opens_the_golden_vectors),
        cmocka_unit_test(says_where_it_belongs_without_a_key),
        cmocka_unit_test(refuses_versions_and_algorithms_that_it_does_not_know),
        cmocka_unit_test(refuses_every_damage),
        cmocka_unit_test(refuses_another_context),
        cmocka_unit_test(refuses_a_wrong_commitment_over_a_right_ciphertext),
        cmocka_unit_test(refuses_another_key),
        cmocka_unit_test(keeps_both_sides_of_the_plaintext_limits),
        cmocka_unit_test(refuses_malformed_names),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
