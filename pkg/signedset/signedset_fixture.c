#include "pkg/signedset/signedset_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "pkg/base/mem.h"
#include "pkg/crypto/ec.h"
#include "pkg/crypto/x509.h"

#define DAY_S 86400LL

struct fixture_signer {
    struct ks_buffer root;
    struct ks_ec_key *root_key;
    struct ks_ec_key *key;
    struct ks_buffer certificate;
};

static void read_file(const char *path, struct ks_buffer *out)
{
    uint8_t bytes[4096];
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t len = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    assert_int_equal(ks_buffer_append(out, (ks_bytes){bytes, len}).code, KS_OK);
}

static void make_root(struct fixture_signer *signer)
{
    int64_t now_s = time(NULL);
    const struct ks_x509_ca_spec spec = {.subject = {.common_name = "clients"},
                                         .not_before_s = now_s - 30 * DAY_S,
                                         .not_after_s = now_s + 365 * DAY_S};
    assert_int_equal(ks_ec_generate(KS_EC_P256, &signer->root_key).code, KS_OK);
    assert_int_equal(ks_x509_make_ca(signer->root_key, &spec, &signer->root).code, KS_OK);
}

static void make_certificate(struct fixture_signer *signer)
{
    KS_BUFFER_AUTO spki = {.len_max = KS_EC_PUBLIC_DER_MAX};
    KS_BUFFER_AUTO pem = {.len_max = KS_X509_PEM_MAX};
    const struct ks_x509_issuer issuer = {ks_buffer_bytes(&signer->root), signer->root_key};
    const struct ks_x509_leaf_spec leaf = {.names = {.uri = KS_HEAD_SIGNER},
                                           .not_before_s = time(NULL) - 12 * 3600,
                                           .not_after_s = time(NULL) + 10 * DAY_S};
    assert_int_equal(ks_ec_generate(KS_EC_P256, &signer->key).code, KS_OK);
    assert_int_equal(ks_ec_write_public_der(signer->key, &spki).code, KS_OK);
    assert_int_equal(ks_x509_issue(&issuer, ks_buffer_bytes(&spki), &leaf, &pem, NULL).code, KS_OK);
    assert_int_equal(ks_x509_to_der(ks_buffer_bytes(&pem), &signer->certificate).code, KS_OK);
}

struct fixture_signer *fixture_signer_new(const char *root_file, const char *key_file)
{
    struct fixture_signer *signer = ks_alloc(1, sizeof(*signer));
    signer->root.len_max = KS_X509_PEM_MAX;
    signer->certificate.len_max = KS_X509_DER_MAX;
    if (root_file) {
        KS_BUFFER_AUTO key = {.len_max = 4096};
        read_file(root_file, &signer->root);
        read_file(key_file, &key);
        assert_int_equal(ks_ec_read_private(ks_buffer_bytes(&key), &signer->root_key).code, KS_OK);
    } else {
        make_root(signer);
    }
    make_certificate(signer);
    return signer;
}

void fixture_signer_free(struct fixture_signer *signer)
{
    ks_buffer_done(&signer->root);
    ks_buffer_done(&signer->certificate);
    ks_ec_free(signer->root_key);
    ks_ec_free(signer->key);
    ks_free(signer);
}

ks_bytes fixture_signer_root(const struct fixture_signer *signer)
{
    return ks_buffer_bytes(&signer->root);
}

void fixture_signer_write_root(const struct fixture_signer *signer, const char *path)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(signer->root.ptr, 1, signer->root.len, file), signer->root.len);
    assert_int_equal(fclose(file), 0);
}

void fixture_set_delete(struct fixture_set *set, const char *key)
{
    for (size_t i = 0; i < set->count; i++) {
        if (strcmp(set->records[i].key, key) == 0) {
            ks_free(set->records[i].key);
            ks_free(set->records[i].value);
            set->records[i] = set->records[--set->count];
            return;
        }
    }
}

void fixture_set_put(struct fixture_set *set, const char *key, ks_bytes value, int64_t revision)
{
    fixture_set_delete(set, key);
    assert_true(set->count < FIXTURE_RECORDS_MAX);
    set->records[set->count].key = ks_strdup(key);
    set->records[set->count].value = ks_bytes_dup(value);
    set->records[set->count].value_len = value.len;
    set->records[set->count++].revision = revision;
}

void fixture_set_done(struct fixture_set *set)
{
    while (set->count > 0) {
        fixture_set_delete(set, set->records[0].key);
    }
}

/* A small number stands for one that is that many ms after the certificate's begin. */
void fixture_sign_sum(const struct fixture_signer *signer, const struct ks_set_sum *sum,
                      struct ks_head *head, struct ks_buffer *out)
{
    KS_CRYPTO_AUTO *crypto = ks_crypto_new();
    struct ks_x509_info info;
    assert_int_equal(ks_x509_read(ks_buffer_bytes(&signer->certificate), &info).code, KS_OK);
    if (head->number < UINT32_MAX) {
        head->number += (uint64_t)(info.not_before_s * 1000);
    }
    head->count = sum->count;
    if (head->history[0] == '\0') {
        memcpy(head->history, "history-1", sizeof("history-1"));
    }
    out->len_max = KS_HEAD_LEN_MAX;
    assert_int_equal(ks_set_digest(crypto, sum, head->digest).code, KS_OK);
    assert_int_equal(
        ks_head_sign(head, ks_buffer_bytes(&signer->certificate), signer->key, out).code, KS_OK);
}

void fixture_set_sign(const struct fixture_set *set, const struct fixture_signer *signer,
                      const char *epoch, int64_t revision, uint64_t number, struct ks_buffer *out)
{
    KS_CRYPTO_AUTO *crypto = ks_crypto_new();
    struct ks_set_sum sum = {0};
    struct ks_head head = {.revision = revision, .number = number};
    (void)snprintf(head.epoch, sizeof(head.epoch), "%s", epoch);
    (void)snprintf(head.history, sizeof(head.history), "%s", set->history ? set->history : "");
    head.since = set->since;
    for (size_t i = 0; i < set->count; i++) {
        struct ks_set_leaf leaf;
        const ks_bytes value = {(const uint8_t *)set->records[i].value, set->records[i].value_len};
        assert_int_equal(ks_set_leaf(crypto, ks_bytes_of(set->records[i].key), value,
                                     set->records[i].revision, &leaf)
                             .code,
                         KS_OK);
        assert_int_equal(ks_set_add(crypto, &sum, &leaf).code, KS_OK);
    }
    fixture_sign_sum(signer, &sum, &head, out);
}
