#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/crypto/crypto.h"
#include "pkg/crypto/x509.h"
#include "tests/vectors/crypto/x509_vectors.h"

#define FROM_S  1767225600LL /* 2026-01-01 */
#define UNTIL_S (FROM_S + 10 * KS_X509_YEAR_S)
#define AT_S    (FROM_S + KS_X509_YEAR_S)
#define URI     "spiffe://keystead/account/111122223333/user/alice"

static struct ks_ec_key *ca_key;
static struct ks_ec_key *leaf_key;
static struct ks_buffer ca;
static struct ks_buffer spki;

static const struct ks_x509_ca_spec ca_spec = {
    .subject = {.common_name = "a root", .organization = "Keystead"},
    .not_before_s = FROM_S,
    .not_after_s = UNTIL_S,
};

static struct ks_x509_leaf_spec leaf_spec(void)
{
    return (struct ks_x509_leaf_spec){
        .subject = {.organization = "Keystead"},
        .names = {.uri = URI},
        .not_before_s = FROM_S,
        .not_after_s = UNTIL_S,
        .client = true,
    };
}

static int set_up(void **state)
{
    (void)state;
    ca = (struct ks_buffer){.len_max = KS_X509_PEM_MAX};
    spki = (struct ks_buffer){.len_max = KS_EC_PUBLIC_DER_MAX};
    bool ready = !ks_failed(ks_ec_generate(KS_EC_P384, &ca_key)) &&
                 !ks_failed(ks_ec_generate(KS_EC_P256, &leaf_key)) &&
                 !ks_failed(ks_x509_make_ca(ca_key, &ca_spec, &ca)) &&
                 !ks_failed(ks_ec_write_public_der(leaf_key, &spki));
    return ready ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    ks_ec_free(ca_key);
    ks_ec_free(leaf_key);
    ks_buffer_done(&ca);
    ks_buffer_done(&spki);
    return 0;
}

static ks_result issue(const struct ks_x509_leaf_spec *spec, struct ks_buffer *out)
{
    const struct ks_x509_issuer issuer = {ks_buffer_bytes(&ca), ca_key};
    return ks_x509_issue(&issuer, ks_buffer_bytes(&spki), spec, out, NULL);
}

static void a_leaf_says_what_its_issuer_gave(void **state)
{
    (void)state;
    const struct ks_x509_issuer issuer = {ks_buffer_bytes(&ca), ca_key};
    const struct ks_x509_leaf_spec spec = leaf_spec();
    KS_BUFFER_AUTO leaf = {.len_max = KS_X509_PEM_MAX};
    char serial_hex[KS_X509_SERIAL_HEX + 1] = "";
    struct ks_x509_info info;

    assert_int_equal(ks_x509_issue(&issuer, ks_buffer_bytes(&spki), &spec, &leaf, serial_hex).code,
                     KS_OK);

    assert_int_equal(
        ks_x509_verify(ks_buffer_bytes(&leaf), ks_buffer_bytes(&ca), AT_S, KS_X509_CLIENT, &info)
            .code,
        KS_OK);
    assert_string_equal(info.serial_hex, serial_hex);
    assert_int_equal(strlen(serial_hex), 32);
    assert_string_equal(info.uri, URI);
    assert_int_equal(info.not_before_s, FROM_S);
    assert_int_equal(info.not_after_s, UNTIL_S);
    assert_true(ks_bytes_equal((ks_bytes){info.spki, info.spki_len}, ks_buffer_bytes(&spki)));
}

static void serials_differ(void **state)
{
    (void)state;
    const struct ks_x509_leaf_spec spec = leaf_spec();
    struct ks_x509_info infos[2];
    for (size_t i = 0; i < KS_COUNT(infos); i++) {
        KS_BUFFER_AUTO leaf = {.len_max = KS_X509_PEM_MAX};
        assert_int_equal(issue(&spec, &leaf).code, KS_OK);
        assert_int_equal(ks_x509_read(ks_buffer_bytes(&leaf), &infos[i]).code, KS_OK);
    }
    assert_string_not_equal(infos[0].serial_hex, infos[1].serial_hex);
}

static void a_usage_that_was_not_given_is_not_allowed(void **state)
{
    (void)state;
    const enum ks_x509_usage usages[] = {KS_X509_CLIENT, KS_X509_SERVER};
    for (unsigned given = 0; given < 4; given++) {
        struct ks_x509_leaf_spec spec = leaf_spec();
        spec.client = (given & 1) != 0;
        spec.server = (given & 2) != 0;
        KS_BUFFER_AUTO leaf = {.len_max = KS_X509_PEM_MAX};
        assert_int_equal(issue(&spec, &leaf).code, KS_OK);

        for (unsigned i = 0; i < KS_COUNT(usages); i++) {
            ks_code wanted = (given & (1U << i)) != 0 ? KS_OK : KS_UNAUTHENTICATED;
            assert_int_equal(
                ks_x509_verify(ks_buffer_bytes(&leaf), ks_buffer_bytes(&ca), AT_S, usages[i], NULL)
                    .code,
                wanted);
        }
    }
}

static void contains(ks_bytes text, ks_bytes wanted, bool stands)
{
    bool found = memmem(text.ptr, text.len, wanted.ptr, wanted.len) != NULL;
    assert_int_equal(found, stands);
}

/* etcd reads a user name from the common name: without one, the CA alone decides who gets in. */
static void a_leaf_needs_no_common_name_nor_any_subject(void **state)
{
    (void)state;
    const ks_bytes common_name_oid = KS_LITERAL("\x06\x03\x55\x04\x03");
    const ks_bytes critical_names = KS_LITERAL("\x55\x1d\x11\x01\x01\xff");
    struct ks_x509_leaf_spec spec = leaf_spec();
    KS_BUFFER_AUTO pem = {.len_max = 2 * KS_X509_PEM_MAX};
    KS_BUFFER_AUTO der = {.len_max = KS_X509_DER_MAX};
    struct ks_x509_info info;

    spec.subject = (struct ks_x509_subject){0};
    assert_int_equal(issue(&spec, &pem).code, KS_OK);

    assert_int_equal(
        ks_x509_verify(ks_buffer_bytes(&pem), ks_buffer_bytes(&ca), AT_S, KS_X509_CLIENT, &info)
            .code,
        KS_OK);
    assert_int_equal(ks_x509_to_der(ks_buffer_bytes(&pem), &der).code, KS_OK);
    /* The issuer's name has the only one. */
    const uint8_t *first = memmem(der.ptr, der.len, common_name_oid.ptr, common_name_oid.len);
    assert_non_null(first);
    ks_bytes rest = {first + 1, der.len - (size_t)(first + 1 - der.ptr)};
    contains(rest, common_name_oid, false);
    contains(ks_buffer_bytes(&der), critical_names, true);
}

static void all_kinds_of_names_stand_in_a_leaf(void **state)
{
    (void)state;
    const char *const dns[] = {"frontend.example", "localhost"};
    const char *const ip[] = {"127.0.0.1", "::1"};
    struct ks_x509_leaf_spec spec = leaf_spec();
    spec.names.dns = dns;
    spec.names.dns_count = KS_COUNT(dns);
    spec.names.ip = ip;
    spec.names.ip_count = KS_COUNT(ip);
    KS_BUFFER_AUTO pem = {.len_max = KS_X509_PEM_MAX};
    KS_BUFFER_AUTO der = {.len_max = KS_X509_DER_MAX};
    assert_int_equal(issue(&spec, &pem).code, KS_OK);
    assert_int_equal(ks_x509_to_der(ks_buffer_bytes(&pem), &der).code, KS_OK);

    contains(ks_buffer_bytes(&der),
             KS_LITERAL("\x82\x10"
                        "frontend.example"),
             true);
    contains(ks_buffer_bytes(&der),
             KS_LITERAL("\x82\x09"
                        "localhost"),
             true);
    contains(ks_buffer_bytes(&der), KS_LITERAL("\x87\x04\x7f\0\0\x01"), true);
    contains(ks_buffer_bytes(&der), KS_LITERAL("\x87\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01"), true);
    contains(ks_buffer_bytes(&der), KS_LITERAL("\x86\x31" URI), true);
}

static char *repeated(char c, size_t count)
{
    char *text = ks_alloc(count + 1, 1);
    memset(text, c, count);
    return text;
}

static void subjects_have_both_sides_of_their_limit(void **state)
{
    (void)state;
    KS_AUTO_FREE char *longest = repeated('x', KS_X509_NAME_MAX);
    KS_AUTO_FREE char *too_long = repeated('x', KS_X509_NAME_MAX + 1);
    const struct {
        const char *common_name;
        ks_code wanted;
    } rows[] = {
        {longest, KS_OK},
        {too_long, KS_VALIDATION},
        {"", KS_VALIDATION},
        {"x", KS_OK},
        {"a~ b", KS_OK},
        {"a\nb", KS_VALIDATION},
        {"\x7f", KS_VALIDATION},
        {NULL, KS_OK},
        {"\xc3\xa9", KS_VALIDATION},
    };
    for (size_t i = 0; i < KS_COUNT(rows); i++) {
        struct ks_x509_leaf_spec spec = leaf_spec();
        spec.subject.common_name = rows[i].common_name;
        KS_BUFFER_AUTO leaf = {.len_max = KS_X509_PEM_MAX};
        assert_int_equal(issue(&spec, &leaf).code, rows[i].wanted);
    }
}

static void refuses_malformed_names(void **state)
{
    (void)state;
    KS_AUTO_FREE char *long_dns = repeated('x', KS_X509_DNS_MAX);
    KS_AUTO_FREE char *too_long_dns = repeated('x', KS_X509_DNS_MAX + 1);
    KS_AUTO_FREE char *long_uri = repeated('x', KS_X509_URI_MAX);
    KS_AUTO_FREE char *too_long_uri = repeated('x', KS_X509_URI_MAX + 1);
    const struct {
        const char *uri;
        const char *dns;
        const char *ip;
        ks_code wanted;
    } rows[] = {
        {long_uri, long_dns, "::1", KS_OK},
        {too_long_uri, "x", "::1", KS_VALIDATION},
        {URI, too_long_dns, "::1", KS_VALIDATION},
        {"", "x", "::1", KS_VALIDATION},
        {"spiffe://a b", "x", "::1", KS_VALIDATION},
        {"spiffe://a\"", "x", "::1", KS_VALIDATION},
        {"spiffe://\xff", "x", "::1", KS_VALIDATION},
        {URI, "", "::1", KS_VALIDATION},
        {URI, "*.example", "::1", KS_VALIDATION},
        {URI, "a b", "::1", KS_VALIDATION},
        {URI, "x", "", KS_VALIDATION},
        {URI, "x", "127.0.0", KS_VALIDATION},
        {URI, "x", "127.0.0.256", KS_VALIDATION},
        {URI, "x", "example", KS_VALIDATION},
    };
    for (size_t i = 0; i < KS_COUNT(rows); i++) {
        struct ks_x509_leaf_spec spec = leaf_spec();
        spec.names = (struct ks_x509_names){rows[i].uri, &rows[i].dns, 1, &rows[i].ip, 1};
        KS_BUFFER_AUTO leaf = {.len_max = KS_X509_PEM_MAX};
        assert_int_equal(issue(&spec, &leaf).code, rows[i].wanted);
    }
}

static void the_count_of_names_has_a_limit(void **state)
{
    (void)state;
    const char *dns[KS_X509_NAMES_MAX + 1];
    for (size_t i = 0; i < KS_COUNT(dns); i++) {
        dns[i] = "localhost";
    }
    for (size_t count = KS_X509_NAMES_MAX; count <= KS_X509_NAMES_MAX + 1; count++) {
        struct ks_x509_leaf_spec spec = leaf_spec();
        spec.names.dns = dns;
        spec.names.dns_count = count;
        KS_BUFFER_AUTO leaf = {.len_max = KS_X509_PEM_MAX};
        ks_code wanted = count > KS_X509_NAMES_MAX ? KS_VALIDATION : KS_OK;
        assert_int_equal(issue(&spec, &leaf).code, wanted);
    }
}

static void refuses_a_leaf_without_subject_and_names(void **state)
{
    (void)state;
    struct ks_x509_leaf_spec spec = leaf_spec();
    KS_BUFFER_AUTO leaf = {.len_max = KS_X509_PEM_MAX};

    spec.subject = (struct ks_x509_subject){0};
    spec.names = (struct ks_x509_names){0};

    assert_int_equal(issue(&spec, &leaf).code, KS_VALIDATION);
}

static void times_have_an_order_and_a_range(void **state)
{
    (void)state;
    const int64_t end_s = 253402300799LL; /* 9999-12-31T23:59:59Z */
    const struct {
        int64_t from_s;
        int64_t until_s;
        ks_code ca_wanted;
        ks_code leaf_wanted;
    } rows[] = {
        {FROM_S, UNTIL_S, KS_OK, KS_OK},
        {FROM_S, FROM_S, KS_VALIDATION, KS_VALIDATION},
        {FROM_S, FROM_S + 1, KS_OK, KS_OK},
        {FROM_S, UNTIL_S + 1, KS_OK, KS_VALIDATION}, /* outlives its CA */
        {-1, UNTIL_S, KS_VALIDATION, KS_VALIDATION},
        {0, UNTIL_S, KS_OK, KS_OK},
        {FROM_S, end_s, KS_OK, KS_VALIDATION},
        {FROM_S, end_s + 1, KS_VALIDATION, KS_VALIDATION},
    };
    for (size_t i = 0; i < KS_COUNT(rows); i++) {
        struct ks_x509_ca_spec root = ca_spec;
        struct ks_x509_leaf_spec spec = leaf_spec();
        KS_BUFFER_AUTO out = {.len_max = 2 * KS_X509_PEM_MAX};
        root.not_before_s = spec.not_before_s = rows[i].from_s;
        root.not_after_s = spec.not_after_s = rows[i].until_s;

        assert_int_equal(ks_x509_make_ca(ca_key, &root, &out).code, rows[i].ca_wanted);
        assert_int_equal(issue(&spec, &out).code, rows[i].leaf_wanted);
    }
}

static void a_ca_needs_a_subject_and_a_sane_path(void **state)
{
    (void)state;
    KS_BUFFER_AUTO out = {.len_max = KS_X509_PEM_MAX};
    struct ks_x509_ca_spec spec = ca_spec;
    spec.subject = (struct ks_x509_subject){0};
    assert_int_equal(ks_x509_make_ca(ca_key, &spec, &out).code, KS_VALIDATION);

    spec = ca_spec;
    spec.path_len = 9;
    assert_int_equal(ks_x509_make_ca(ca_key, &spec, &out).code, KS_VALIDATION);
}

static void only_a_ca_with_its_own_key_issues(void **state)
{
    (void)state;
    const struct ks_x509_leaf_spec spec = leaf_spec();
    KS_BUFFER_AUTO leaf = {.len_max = KS_X509_PEM_MAX};
    KS_BUFFER_AUTO out = {.len_max = KS_X509_PEM_MAX};
    assert_int_equal(issue(&spec, &leaf).code, KS_OK);
    const struct ks_x509_issuer others[] = {
        {ks_buffer_bytes(&ca), leaf_key},
        {ks_buffer_bytes(&leaf), leaf_key},
        {ks_buffer_bytes(&leaf), ca_key},
        {ks_bytes_of(vector_ca), ca_key},
        {{0}, ca_key},
    };
    for (size_t i = 0; i < KS_COUNT(others); i++) {
        assert_int_equal(ks_x509_issue(&others[i], ks_buffer_bytes(&spki), &spec, &out, NULL).code,
                         KS_VALIDATION);
        assert_int_equal(out.len, 0);
    }
}

static void a_malformed_public_key_is_refused(void **state)
{
    (void)state;
    const struct ks_x509_issuer issuer = {ks_buffer_bytes(&ca), ca_key};
    const struct ks_x509_leaf_spec spec = leaf_spec();
    KS_BUFFER_AUTO out = {.len_max = KS_X509_PEM_MAX};

    assert_int_equal(ks_x509_issue(&issuer, (ks_bytes){0}, &spec, &out, NULL).code, KS_VALIDATION);
    assert_int_equal(
        ks_x509_issue(&issuer, (ks_bytes){spki.ptr, spki.len - 1}, &spec, &out, NULL).code,
        KS_VALIDATION);
}

/* A leaf under one root is nothing under another, even one of the same name. */
static void roots_are_not_valid_in_each_others_place(void **state)
{
    (void)state;
    KS_EC_AUTO *other_key = NULL;
    KS_BUFFER_AUTO other_ca = {.len_max = KS_X509_PEM_MAX};
    KS_BUFFER_AUTO leaf = {.len_max = KS_X509_PEM_MAX};
    const struct ks_x509_leaf_spec spec = leaf_spec();
    assert_int_equal(ks_ec_generate(KS_EC_P256, &other_key).code, KS_OK);
    assert_int_equal(ks_x509_make_ca(other_key, &ca_spec, &other_ca).code, KS_OK);
    assert_int_equal(issue(&spec, &leaf).code, KS_OK);

    assert_int_equal(ks_x509_verify(ks_buffer_bytes(&leaf), ks_buffer_bytes(&other_ca), AT_S,
                                    KS_X509_CLIENT, NULL)
                         .code,
                     KS_UNAUTHENTICATED);
}

static void a_full_buffer_is_refused(void **state)
{
    (void)state;
    const struct ks_x509_leaf_spec spec = leaf_spec();
    KS_BUFFER_AUTO small = {.len_max = 100};

    assert_int_equal(issue(&spec, &small).code, KS_LIMIT_EXCEEDED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_leaf_says_what_its_issuer_gave),
        cmocka_unit_test(serials_differ),
        cmocka_unit_test(a_usage_that_was_not_given_is_not_allowed),
        cmocka_unit_test(a_leaf_needs_no_common_name_nor_any_subject),
        cmocka_unit_test(all_kinds_of_names_stand_in_a_leaf),
        cmocka_unit_test(subjects_have_both_sides_of_their_limit),
        cmocka_unit_test(refuses_malformed_names),
        cmocka_unit_test(the_count_of_names_has_a_limit),
        cmocka_unit_test(refuses_a_leaf_without_subject_and_names),
        cmocka_unit_test(times_have_an_order_and_a_range),
        cmocka_unit_test(a_ca_needs_a_subject_and_a_sane_path),
        cmocka_unit_test(only_a_ca_with_its_own_key_issues),
        cmocka_unit_test(a_malformed_public_key_is_refused),
        cmocka_unit_test(roots_are_not_valid_in_each_others_place),
        cmocka_unit_test(a_full_buffer_is_refused),
    };
    if (ks_failed(ks_crypto_init(&(struct ks_crypto_options){0}))) {
        return 1;
    }
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
