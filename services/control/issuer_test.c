#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "pkg/base/mem.h"
#include "pkg/crypto/crypto.h"
#include "pkg/crypto/csr.h"
#include "pkg/store/store_fixture.h"
#include "services/control/issuer.h"

#define NOW_S      1800000000LL
#define ROOT_END_S (NOW_S + 10 * KS_X509_YEAR_S)
#define URI        "spiffe://keystead/account/111122223333/user/alice"
#define PATH_SIZE  256U
#define CSR_BEGIN  "-----BEGIN CERTIFICATE REQUEST-----\n"
#define CSR_END    "-----END CERTIFICATE REQUEST-----\n"

static char *folder;

static const char *path_of(const char *file)
{
    static char paths[4][PATH_SIZE];
    static size_t next;
    char *path = paths[next++ % KS_COUNT(paths)];
    snprintf(path, PATH_SIZE, "%s/%s", folder, file);
    return path;
}

static void write_file(const char *file, ks_bytes bytes, mode_t mode)
{
    FILE *out = fopen(path_of(file), "we");
    assert_non_null(out);
    assert_int_equal(fwrite(bytes.ptr, 1, bytes.len, out), bytes.len);
    fclose(out);
    assert_int_equal(chmod(path_of(file), mode), 0);
}

/* A root as NAME.pem and NAME.key. */
static void make_root(const char *name)
{
    KS_EC_AUTO *key = NULL;
    assert_int_equal(ks_ec_generate(KS_EC_P256, &key).code, KS_OK);
    const struct ks_x509_ca_spec spec = {
        .subject = {.common_name = name}, .not_before_s = NOW_S, .not_after_s = ROOT_END_S};
    KS_BUFFER_AUTO certificate = {.len_max = KS_X509_PEM_MAX};
    KS_BUFFER_AUTO pem = {.len_max = KS_EC_PRIVATE_PEM_MAX};
    assert_int_equal(ks_x509_make_ca(key, &spec, &certificate).code, KS_OK);
    assert_int_equal(ks_ec_write_private_pem(key, &pem).code, KS_OK);
    char file[32];
    snprintf(file, sizeof(file), "%s.pem", name);
    write_file(file, ks_buffer_bytes(&certificate), 0644);
    snprintf(file, sizeof(file), "%s.key", name);
    write_file(file, ks_buffer_bytes(&pem), 0400);
}

static int setup(void **state)
{
    (void)state;
    if (ks_failed(ks_crypto_init(&(struct ks_crypto_options){0}))) {
        return -1;
    }
    folder = fixture_folder("issuer");
    make_root("one");
    make_root("two");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_remove(folder);
    ks_free(folder);
    return 0;
}

static ks_code open_pair(const char *ca_file, const char *key_file)
{
    struct ks_issuer *issuer = NULL;
    ks_code code = ks_issuer_new(path_of(ca_file), path_of(key_file), &issuer).code;
    assert_int_equal(code == KS_OK, issuer != NULL);
    ks_issuer_free(issuer);
    return code;
}

static struct ks_issuer *open_one(void)
{
    struct ks_issuer *issuer = NULL;
    assert_int_equal(ks_issuer_new(path_of("one.pem"), path_of("one.key"), &issuer).code, KS_OK);
    return issuer;
}

/* A request for key that asks for more than it gets. */
static void make_csr(const struct ks_ec_key *key, struct ks_buffer *out)
{
    static const char *const dns[] = {"keystead.example"};
    const struct ks_x509_subject subject = {.common_name = "root", .organization = "Somebody"};
    const struct ks_x509_names names = {
        .uri = "spiffe://keystead/operator/mallory", .dns = dns, .dns_count = KS_COUNT(dns)};
    assert_int_equal(ks_csr_make(key, &subject, &names, out).code, KS_OK);
}

static ks_result issue(const struct ks_issuer *issuer, ks_bytes csr, int64_t not_after_s,
                       struct ks_buffer *out)
{
    const struct ks_issue_spec spec = {
        .csr = csr, .spiffe_uri = URI, .not_before_s = NOW_S, .not_after_s = not_after_s};
    char serial[KS_X509_SERIAL_HEX + 1] = "";
    ks_result r = ks_issuer_issue(issuer, &spec, out, serial);
    assert_int_equal(ks_failed(r), serial[0] == '\0');
    return r;
}

/* ---- The pair ---- */

/* A root with another's key would issue certificates that nobody accepts. */
static void a_pair_that_does_not_fit_is_refused(void **state)
{
    (void)state;

    assert_int_equal(open_pair("one.pem", "one.key"), KS_OK);
    assert_int_equal(open_pair("one.pem", "two.key"), KS_VALIDATION);
    assert_int_equal(open_pair("one.key", "one.pem"), KS_VALIDATION);
}

static void a_certificate_that_is_no_root_is_refused(void **state)
{
    (void)state;
    struct ks_issuer *issuer = open_one();
    KS_EC_AUTO *key = NULL;
    assert_int_equal(ks_ec_generate(KS_EC_P256, &key).code, KS_OK);
    KS_BUFFER_AUTO csr = {.len_max = KS_X509_PEM_MAX};
    KS_BUFFER_AUTO leaf = {.len_max = KS_X509_PEM_MAX};
    KS_BUFFER_AUTO pem = {.len_max = KS_EC_PRIVATE_PEM_MAX};
    make_csr(key, &csr);
    assert_int_equal(issue(issuer, ks_buffer_bytes(&csr), NOW_S + 60, &leaf).code, KS_OK);
    assert_int_equal(ks_ec_write_private_pem(key, &pem).code, KS_OK);
    write_file("leaf.pem", ks_buffer_bytes(&leaf), 0644);
    write_file("leaf.key", ks_buffer_bytes(&pem), 0400);

    assert_int_equal(open_pair("leaf.pem", "leaf.key"), KS_VALIDATION);

    ks_issuer_free(issuer);
}

static void files_that_are_absent_or_malformed_are_refused(void **state)
{
    (void)state;
    KS_BUFFER_AUTO large = {.len_max = 1U << 20};
    uint8_t *place;
    assert_int_equal(ks_buffer_extend(&large, 1U << 20, &place).code, KS_OK);
    memset(place, '\n', large.len);
    write_file("empty", KS_LITERAL(""), 0400);
    write_file("garbage", KS_LITERAL("-----BEGIN CERTIFICATE-----\ngarbage\n"), 0400);
    write_file("large", ks_buffer_bytes(&large), 0400);

    assert_int_equal(open_pair("absent", "one.key"), KS_NOT_FOUND);
    assert_int_equal(open_pair("one.pem", "absent"), KS_NOT_FOUND);
    assert_int_equal(open_pair("one.pem", "."), KS_NOT_FOUND);
    assert_int_equal(open_pair(".", "one.key"), KS_NOT_FOUND);
    assert_int_equal(open_pair("empty", "one.key"), KS_VALIDATION);
    assert_int_equal(open_pair("one.pem", "empty"), KS_VALIDATION);
    assert_int_equal(open_pair("garbage", "one.key"), KS_VALIDATION);
    assert_int_equal(open_pair("one.pem", "garbage"), KS_VALIDATION);
    assert_int_equal(open_pair("large", "one.key"), KS_VALIDATION);
    assert_int_equal(open_pair("one.pem", "large"), KS_VALIDATION);
}

/* Who has the key of the client root is everybody. */
static void a_key_that_others_may_read_is_refused(void **state)
{
    (void)state;
    static const mode_t modes[] = {0440, 0404, 0640, 0602, 0401, 0410};
    for (size_t i = 0; i < KS_COUNT(modes); i++) {
        assert_int_equal(chmod(path_of("two.key"), modes[i]), 0);

        assert_int_equal(open_pair("two.pem", "two.key"), KS_VALIDATION);
    }
    assert_int_equal(chmod(path_of("two.key"), 0600), 0);

    assert_int_equal(open_pair("two.pem", "two.key"), KS_OK);
}

/* ---- Issuing ---- */

static void a_certificate_names_the_user_and_nothing_that_was_asked_for(void **state)
{
    (void)state;
    struct ks_issuer *issuer = open_one();
    KS_EC_AUTO *key = NULL;
    assert_int_equal(ks_ec_generate(KS_EC_P384, &key).code, KS_OK);
    KS_BUFFER_AUTO csr = {.len_max = KS_X509_PEM_MAX};
    KS_BUFFER_AUTO certificate = {.len_max = KS_X509_PEM_MAX};
    KS_BUFFER_AUTO der = {.len_max = KS_X509_DER_MAX};
    KS_BUFFER_AUTO spki = {.len_max = KS_EC_PUBLIC_DER_MAX};
    make_csr(key, &csr);

    assert_int_equal(issue(issuer, ks_buffer_bytes(&csr), NOW_S + 60, &certificate).code, KS_OK);

    struct ks_x509_info info;
    ks_bytes issued = ks_buffer_bytes(&certificate);
    ks_result r = ks_x509_verify(issued, ks_issuer_ca(issuer), NOW_S + 1, KS_X509_CLIENT, &info);
    assert_int_equal(r.code, KS_OK);
    assert_string_equal(info.uri, URI);
    assert_false(info.is_ca);
    assert_int_equal(info.not_before_s, NOW_S);
    assert_int_equal(info.not_after_s, NOW_S + 60);
    assert_int_equal(ks_ec_write_public_der(key, &spki).code, KS_OK);
    assert_true(ks_bytes_equal(ks_buffer_bytes(&spki), (ks_bytes){info.spki, info.spki_len}));
    r = ks_x509_verify(issued, ks_issuer_ca(issuer), NOW_S + 1, KS_X509_SERVER, &info);
    assert_int_equal(r.code, KS_UNAUTHENTICATED);
    assert_int_equal(ks_x509_to_der(issued, &der).code, KS_OK);
    static const char *const asked[] = {"mallory", "keystead.example", "Somebody"};
    for (size_t i = 0; i < KS_COUNT(asked); i++) {
        assert_null(memmem(der.ptr, der.len, asked[i], strlen(asked[i])));
    }
    ks_issuer_free(issuer);
}

static void serials_differ(void **state)
{
    (void)state;
    struct ks_issuer *issuer = open_one();
    KS_EC_AUTO *key = NULL;
    assert_int_equal(ks_ec_generate(KS_EC_P256, &key).code, KS_OK);
    KS_BUFFER_AUTO csr = {.len_max = KS_X509_PEM_MAX};
    make_csr(key, &csr);
    struct ks_x509_info infos[2];

    for (size_t i = 0; i < KS_COUNT(infos); i++) {
        KS_BUFFER_AUTO certificate = {.len_max = KS_X509_PEM_MAX};
        ks_result r = issue(issuer, ks_buffer_bytes(&csr), NOW_S + 60, &certificate);
        assert_int_equal(r.code, KS_OK);
        assert_int_equal(ks_x509_read(ks_buffer_bytes(&certificate), &infos[i]).code, KS_OK);
    }

    assert_string_not_equal(infos[0].serial_hex, infos[1].serial_hex);
    ks_issuer_free(issuer);
}

/* A request that its key did not sign proves nothing: any damage makes it one, or none. */
static void a_damaged_request_gets_nothing(void **state)
{
    (void)state;
    struct ks_issuer *issuer = open_one();
    KS_EC_AUTO *key = NULL;
    assert_int_equal(ks_ec_generate(KS_EC_P256, &key).code, KS_OK);
    KS_BUFFER_AUTO pem = {.len_max = KS_X509_PEM_MAX};
    make_csr(key, &pem);
    static const char *const garbage[] = {"", "garbage", CSR_BEGIN, (CSR_BEGIN CSR_END),
                                          (CSR_BEGIN "AAAA\n" CSR_END)};
    for (size_t i = 0; i < KS_COUNT(garbage); i++) {
        KS_BUFFER_AUTO certificate = {.len_max = KS_X509_PEM_MAX};

        ks_result r = issue(issuer, ks_bytes_of(garbage[i]), NOW_S + 60, &certificate);

        assert_int_equal(r.code, KS_VALIDATION);
        assert_int_equal(certificate.len, 0);
    }
    for (size_t len = 0; len + 1 < pem.len; len++) { /* the last byte is a line's end */
        KS_BUFFER_AUTO certificate = {.len_max = KS_X509_PEM_MAX};

        ks_result r = issue(issuer, (ks_bytes){pem.ptr, len}, NOW_S + 60, &certificate);

        assert_int_equal(r.code, KS_VALIDATION);
    }
    ks_issuer_free(issuer);
}

static void no_certificate_outlives_the_root(void **state)
{
    (void)state;
    struct ks_issuer *issuer = open_one();
    KS_EC_AUTO *key = NULL;
    assert_int_equal(ks_ec_generate(KS_EC_P256, &key).code, KS_OK);
    KS_BUFFER_AUTO csr = {.len_max = KS_X509_PEM_MAX};
    make_csr(key, &csr);
    KS_BUFFER_AUTO certificate = {.len_max = 2 * KS_X509_PEM_MAX};

    assert_int_equal(ks_issuer_not_after_s(issuer), ROOT_END_S);
    ks_result r = issue(issuer, ks_buffer_bytes(&csr), ROOT_END_S, &certificate);
    assert_int_equal(r.code, KS_OK);
    r = issue(issuer, ks_buffer_bytes(&csr), ROOT_END_S + 1, &certificate);
    assert_int_equal(r.code, KS_VALIDATION);

    ks_issuer_free(issuer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pair_that_does_not_fit_is_refused),
        cmocka_unit_test(a_certificate_that_is_no_root_is_refused),
        cmocka_unit_test(files_that_are_absent_or_malformed_are_refused),
        cmocka_unit_test(a_key_that_others_may_read_is_refused),
        cmocka_unit_test(a_certificate_names_the_user_and_nothing_that_was_asked_for),
        cmocka_unit_test(serials_differ),
        cmocka_unit_test(a_damaged_request_gets_nothing),
        cmocka_unit_test(no_certificate_outlives_the_root),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
