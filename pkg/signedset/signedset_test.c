#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/base/mem.h"
#include "pkg/crypto/crypto.h"
#include "pkg/crypto/ec.h"
#include "pkg/crypto/x509.h"
#include "pkg/signedset/head.h"
#include "tests/vectors/identity_head_json.h"
#include "tests/vectors/vectors.h"

#define NOW_S   1767225600LL
#define NOW_MS  1767225600000ULL
#define RECORDS 5U

static struct ks_json_doc *doc;
static const struct ks_json *vector;
static struct ks_crypto *crypto;

/* A root, the signer's key, and its certificate. */
static struct ks_ec_key *root_key;
static struct ks_ec_key *signer_key;
static struct ks_buffer root = {.len_max = KS_X509_PEM_MAX};
static struct ks_head_verifier *verifier;

static void issue(const char *uri, int64_t not_after_s, struct ks_buffer *der)
{
    KS_BUFFER_AUTO spki = {.len_max = KS_EC_PUBLIC_DER_MAX};
    KS_BUFFER_AUTO pem = {.len_max = KS_X509_PEM_MAX};
    const struct ks_x509_issuer issuer = {ks_buffer_bytes(&root), root_key};
    const struct ks_x509_leaf_spec spec = {
        .names = {.uri = uri}, .not_before_s = NOW_S - 60, .not_after_s = not_after_s};
    der->len_max = KS_X509_DER_MAX;
    assert_int_equal(ks_ec_write_public_der(signer_key, &spki).code, KS_OK);
    assert_int_equal(ks_x509_issue(&issuer, ks_buffer_bytes(&spki), &spec, &pem, NULL).code, KS_OK);
    assert_int_equal(ks_x509_to_der(ks_buffer_bytes(&pem), der).code, KS_OK);
}

static int set_up(void **state)
{
    (void)state;
    const struct ks_x509_ca_spec spec = {.subject = {.common_name = "clients"},
                                         .not_before_s = NOW_S - 3600,
                                         .not_after_s = NOW_S + 10 * KS_X509_YEAR_S};
    crypto = ks_crypto_new();
    doc = ks_vectors_open(ks_identity_head_json, ks_identity_head_json_len);
    vector = ks_vectors_at(doc, 0);
    assert_int_equal(ks_ec_generate(KS_EC_P256, &root_key).code, KS_OK);
    assert_int_equal(ks_ec_generate(KS_EC_P256, &signer_key).code, KS_OK);
    assert_int_equal(ks_x509_make_ca(root_key, &spec, &root).code, KS_OK);
    assert_int_equal(ks_head_verifier_new(ks_buffer_bytes(&root), &verifier).code, KS_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ks_head_verifier_free(verifier);
    ks_buffer_done(&root);
    ks_ec_free(root_key);
    ks_ec_free(signer_key);
    ks_json_free(doc);
    ks_crypto_free(crypto);
    return 0;
}

static struct ks_head a_head(void)
{
    return (struct ks_head){
        .epoch = "e1", .history = "h1", .since = 3, .revision = 5, .number = NOW_MS, .count = 2};
}

/* Signed by the signer's key, under a certificate of the root with this name and end. */
static void sign(const struct ks_head *head, const char *uri, int64_t not_after_s,
                 struct ks_buffer *out)
{
    KS_BUFFER_AUTO certificate = {.len_max = KS_X509_DER_MAX};
    issue(uri, not_after_s, &certificate);
    out->len_max = KS_HEAD_LEN_MAX;
    assert_int_equal(ks_head_sign(head, ks_buffer_bytes(&certificate), signer_key, out).code,
                     KS_OK);
}

static struct ks_set_leaf leaf_of(ks_bytes key, ks_bytes value, int64_t revision)
{
    struct ks_set_leaf leaf;
    assert_int_equal(ks_set_leaf(crypto, key, value, revision, &leaf).code, KS_OK);
    return leaf;
}

static void opens_the_golden_vector(void **state)
{
    (void)state;
    KS_VECTOR_AUTO root_certificate = ks_vector_hex(vector, "root_certificate");
    KS_VECTOR_AUTO bytes = ks_vector_hex(vector, "head");
    KS_VECTOR_AUTO digest = ks_vector_hex(vector, "digest");
    const struct ks_json *records = ks_json_get(vector, "records");
    struct ks_head_verifier *pinned = NULL;
    struct ks_set_sum sum = {0};
    struct ks_head head;
    for (size_t i = 0; i < ks_json_count(records); i++) {
        const struct ks_json *record = ks_json_at(records, i);
        KS_VECTOR_AUTO value = ks_vector_hex_of(ks_json_at(record, 1));
        KS_VECTOR_AUTO revision = ks_vector_hex_of(ks_json_at(record, 2));
        int64_t number = 0;
        for (size_t at = 0; at < revision.len; at++) {
            number = number << 8 | revision.ptr[at];
        }
        ks_bytes key;
        assert_int_equal(ks_json_text(ks_json_at(record, 0), &key).code, KS_OK);
        struct ks_set_leaf leaf = leaf_of(key, ks_vector_view(&value), number);
        assert_int_equal(ks_set_add(crypto, &sum, &leaf).code, KS_OK);
    }

    assert_int_equal(ks_head_verifier_new(ks_vector_view(&root_certificate), &pinned).code, KS_OK);
    assert_int_equal(ks_head_open(pinned, ks_vector_view(&bytes), &head).code, KS_OK);

    assert_string_equal(head.epoch, "0123456789abcdef");
    assert_string_equal(head.history, "history of control's copy");
    assert_true(head.since == 1LL << 33);
    assert_true(head.revision == 1LL << 40);
    assert_true(head.number == 1767225600123ULL);
    assert_true(ks_head_is_of(crypto, &head, &sum));
    assert_memory_equal(head.digest, digest.ptr, KS_SHA256_LEN);
    ks_head_verifier_free(pinned);
}

/* Added and taken away in any order, a set has one sum. */
static void a_sum_does_not_know_how_the_set_came_to_be(void **state)
{
    (void)state;
    struct ks_set_sum one = {0};
    struct ks_set_sum other = {0};
    struct ks_set_leaf leaves[RECORDS];
    for (size_t i = 0; i < RECORDS; i++) {
        leaves[i] = leaf_of(KS_LITERAL("user/a"), KS_LITERAL("x"), (int64_t)i);
        assert_int_equal(ks_set_add(crypto, &one, &leaves[i]).code, KS_OK);
    }
    assert_int_equal(ks_set_remove(crypto, &one, &leaves[1]).code, KS_OK);

    for (size_t i = RECORDS; i-- > 0;) {
        if (i != 1) {
            assert_int_equal(ks_set_add(crypto, &other, &leaves[i]).code, KS_OK);
        }
    }

    assert_int_equal(one.count, RECORDS - 1);
    assert_memory_equal(&one, &other, sizeof(one));
}

static void each_part_of_a_record_counts(void **state)
{
    (void)state;
    const struct ks_set_leaf leaves[] = {
        leaf_of(KS_LITERAL("ab"), KS_LITERAL("c"), 1),
        leaf_of(KS_LITERAL("a"), KS_LITERAL("bc"), 1),
        leaf_of(KS_LITERAL("ab"), KS_LITERAL("d"), 1),
        leaf_of(KS_LITERAL("ab"), KS_LITERAL("c"), 2),
        leaf_of(KS_LITERAL("ab"), KS_LITERAL(""), 1),
    };
    for (size_t i = 0; i < KS_COUNT(leaves); i++) {
        for (size_t j = 0; j < i; j++) {
            assert_memory_not_equal(&leaves[i], &leaves[j], sizeof(leaves[i]));
        }
    }
}

static void a_head_is_of_one_set_only(void **state)
{
    (void)state;
    struct ks_head head = a_head();
    struct ks_set_sum sum = {0};
    const struct ks_set_leaf leaf = leaf_of(KS_LITERAL("account/1"), KS_LITERAL("one"), 5);
    assert_int_equal(ks_set_add(crypto, &sum, &leaf).code, KS_OK);
    head.count = 1;
    assert_int_equal(ks_set_digest(crypto, &sum, head.digest).code, KS_OK);
    assert_true(ks_head_is_of(crypto, &head, &sum));

    struct ks_set_sum empty = {0};
    assert_false(ks_head_is_of(crypto, &head, &empty));
    empty.count = 1;
    assert_false(ks_head_is_of(crypto, &head, &empty));
    sum.words[KS_SET_SUM_WORDS - 1]++;
    assert_false(ks_head_is_of(crypto, &head, &sum));
}

/* Who holds another certificate of the client root, a user's, is not control. */
static void takes_no_certificate_but_controls_own(void **state)
{
    (void)state;
    const struct ks_head head = a_head();
    struct ks_head got = {.number = 77};
    KS_BUFFER_AUTO good = {.len_max = KS_HEAD_LEN_MAX};
    KS_BUFFER_AUTO users = {.len_max = KS_HEAD_LEN_MAX};
    KS_BUFFER_AUTO ended = {.len_max = KS_HEAD_LEN_MAX};
    sign(&head, KS_HEAD_SIGNER, NOW_S + 3600, &good);
    sign(&head, "spiffe://keystead/account/111122223333/user/alice", NOW_S + 3600, &users);
    sign(&head, KS_HEAD_SIGNER, NOW_S, &ended);

    assert_int_equal(ks_head_open(verifier, ks_buffer_bytes(&users), &got).code,
                     KS_UNAUTHENTICATED);
    assert_int_equal(ks_head_open(verifier, ks_buffer_bytes(&ended), &got).code,
                     KS_UNAUTHENTICATED);
    assert_int_equal(got.number, 77);
    assert_int_equal(ks_head_open(verifier, ks_buffer_bytes(&good), &got).code, KS_OK);
    assert_true(got.number == NOW_MS);
    /* The one that was good before is remembered with its end. */
    struct ks_head later = a_head();
    KS_BUFFER_AUTO late = {.len_max = KS_HEAD_LEN_MAX};
    later.number += 3600ULL * 1000;
    sign(&later, KS_HEAD_SIGNER, NOW_S + 3600, &late);
    assert_int_equal(ks_head_open(verifier, ks_buffer_bytes(&late), &got).code, KS_UNAUTHENTICATED);
}

/*
 * store.md 1, for those who follow control: its etcd was put back to a snapshot, and goes on. What it
 * revoked between the snapshot and what a follower has is missing there.
 */
static void what_went_back_does_not_follow(void **state)
{
    (void)state;
    const struct ks_head none = {.number = 0};
    const struct ks_head had = {
        .epoch = "e", .history = "one", .since = 100, .revision = 1000, .number = 1};
    const struct {
        const char *epoch;
        const char *history;
        int64_t since;
        int64_t revision;
        bool follows;
    } rows[] = {
        {"e", "one", 100, 1000, true},  {"e", "one", 100, 1001, true},
        {"e", "one", 100, 999, false}, /* the same copy says less: its disk was put back */
        {"e", "two", 900, 900, false},  {"e", "two", 900, 1000, false},
        {"e", "two", 900, 1001, false}, {"e", "two", 1000, 5000, false},
        {"e", "two", 1001, 1001, true}, /* control's copy was lost, and etcd has gone on */
        {"new", "two", 900, 900, true}, /* somebody has decided */
    };
    for (size_t i = 0; i < KS_COUNT(rows); i++) {
        struct ks_head next = {.since = rows[i].since, .revision = rows[i].revision, .number = 2};
        (void)snprintf(next.epoch, sizeof(next.epoch), "%s", rows[i].epoch);
        (void)snprintf(next.history, sizeof(next.history), "%s", rows[i].history);
        assert_true(ks_head_follows(&had, &next) == rows[i].follows);
        assert_true(ks_head_follows(&none, &next));
    }
}

static void signs_nothing_out_of_range(void **state)
{
    (void)state;
    struct ks_head heads[] = {a_head(), a_head(), a_head(), a_head(), a_head(), a_head()};
    heads[4].history[0] = '\0';
    heads[5].since = 6;
    heads[0].epoch[0] = '\0';
    heads[1].since = -1;
    heads[2].number = 0;
    heads[3].number = 1ULL << 63;
    KS_BUFFER_AUTO out = {.len_max = KS_HEAD_LEN_MAX};
    for (size_t i = 0; i < KS_COUNT(heads); i++) {
        assert_int_equal(ks_head_sign(&heads[i], KS_LITERAL("c"), signer_key, &out).code,
                         KS_VALIDATION);
    }
}

/* A bit of each byte is flipped, and each length is cut: all is refused, and writes nothing. */
static void refuses_every_damage(void **state)
{
    (void)state;
    const struct ks_head head = a_head();
    KS_BUFFER_AUTO bytes = {.len_max = KS_HEAD_LEN_MAX};
    sign(&head, KS_HEAD_SIGNER, NOW_S + 3600, &bytes);
    struct ks_head got = {.number = 77};
    for (size_t i = 0; i < bytes.len; i++) {
        bytes.ptr[i] ^= (uint8_t)(1U << (i % 8));
        assert_true(ks_failed(ks_head_open(verifier, ks_buffer_bytes(&bytes), &got)));
        bytes.ptr[i] ^= (uint8_t)(1U << (i % 8));
    }
    for (size_t len = 0; len < bytes.len; len++) {
        assert_int_equal(ks_head_open(verifier, (ks_bytes){bytes.ptr, len}, &got).code,
                         KS_VALIDATION);
    }
    assert_int_equal(got.number, 77);
    assert_int_equal(ks_head_open(verifier, ks_buffer_bytes(&bytes), &got).code, KS_OK);
}

static void pins_a_root_and_nothing_else(void **state)
{
    (void)state;
    KS_BUFFER_AUTO leaf = {.len_max = KS_X509_DER_MAX};
    struct ks_head_verifier *none = NULL;
    issue(KS_HEAD_SIGNER, NOW_S + 3600, &leaf);

    assert_int_equal(ks_head_verifier_new(ks_buffer_bytes(&leaf), &none).code, KS_VALIDATION);
    assert_int_equal(ks_head_verifier_new(KS_LITERAL("root"), &none).code, KS_VALIDATION);
    assert_null(none);
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(opens_the_golden_vector),
        TEST(a_sum_does_not_know_how_the_set_came_to_be),
        TEST(each_part_of_a_record_counts),
        TEST(a_head_is_of_one_set_only),
        TEST(takes_no_certificate_but_controls_own),
        TEST(what_went_back_does_not_follow),
        TEST(signs_nothing_out_of_range),
        TEST(refuses_every_damage),
        TEST(pins_a_root_and_nothing_else),
    };
    if (ks_failed(ks_crypto_init(&(struct ks_crypto_options){0}))) {
        return 1;
    }
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
