#include "pkg/crypto/crypto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/provider.h>

#include <cmocka.h>

#include "pkg/crypto/aead.h"
#include "pkg/crypto/ec.h"
#include "pkg/crypto/x509.h"
#include "tests/vectors/crypto/x509_vectors.h"
#include "tests/witness/witness.h"

/* OpenSSL is set up once a process: each claim about that has its own. */
static bool holds_in_child(bool (*claim)(void))
{
    pid_t child = fork();
    assert_int_not_equal(child, -1);
    if (child == 0) {
        _exit(claim() ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status == 0;
}

static const struct ks_crypto_options defaults;
static const struct ks_crypto_options wiping = {.wipe_allocator = true};
static const struct ks_crypto_options fips = {.fips = true};

static bool starts_twice_alike(void)
{
    return !ks_failed(ks_crypto_init(&defaults)) && !ks_failed(ks_crypto_init(&defaults)) &&
           ks_crypto_init(&wiping).code == KS_INVALID_STATE;
}

static void a_second_start_has_the_same_options(void **state)
{
    (void)state;
    assert_true(holds_in_child(starts_twice_alike));
}

static bool refuses_to_wipe_late(void)
{
    OPENSSL_free(OPENSSL_malloc(1));
    return ks_crypto_init(&wiping).code == KS_INVALID_STATE;
}

/* Blocks that another allocator gave out would be freed by this one. */
static void the_wiping_allocator_comes_first_or_not_at_all(void **state)
{
    (void)state;
    assert_true(holds_in_child(refuses_to_wipe_late));
}

static bool wipes_what_is_freed(void)
{
    if (ks_failed(ks_crypto_init(&wiping))) {
        return false;
    }
    unsigned char *secret = OPENSSL_malloc(64);
    memset(secret, 0xaa, 64);
    ks_witness_watch(secret, 64);
    OPENSSL_free(secret);
    return ks_witness_saw_wiped();
}

static bool wipes_what_grows(void)
{
    if (ks_failed(ks_crypto_init(&wiping))) {
        return false;
    }
    unsigned char *secret = OPENSSL_malloc(64);
    memset(secret, 0xaa, 64);
    ks_witness_watch(secret, 64);
    unsigned char *grown = OPENSSL_realloc(secret, 4096);
    bool wiped = ks_witness_saw_wiped() && grown && grown[0] == 0xaa && grown[63] == 0xaa;
    OPENSSL_free(grown);
    return wiped;
}

static void the_wiping_allocator_leaves_nothing_behind(void **state)
{
    (void)state;
    assert_true(holds_in_child(wipes_what_is_freed));
    assert_true(holds_in_child(wipes_what_grows));
}

static bool known_answers_are_met(const struct ks_crypto_options *options)
{
    const char *name = "";
    return !ks_failed(ks_crypto_init(options)) && !ks_failed(ks_crypto_self_test(&name));
}

static bool defaults_meet_known_answers(void)
{
    return known_answers_are_met(&defaults);
}

static bool wiping_meets_known_answers(void)
{
    return known_answers_are_met(&wiping);
}

static void known_answers_are_met_with_either_allocator(void **state)
{
    (void)state;
    assert_true(holds_in_child(defaults_meet_known_answers));
    assert_true(holds_in_child(wiping_meets_known_answers));
}

/* Where the FIPS provider is installed, everything works within it; elsewhere nothing starts. */
static bool fips_is_whole_or_refused(void)
{
    const char *name = "";
    ks_result started = ks_crypto_init(&fips);
    if (started.code == KS_UNSUPPORTED) {
        return OSSL_PROVIDER_available(NULL, "fips") == 0 && ERR_peek_error() == 0;
    }
    return started.code == KS_OK && !ks_failed(ks_crypto_self_test(&name));
}

static void fips_mode_is_whole_or_refused(void **state)
{
    (void)state;
    assert_true(holds_in_child(fips_is_whole_or_refused));
}

/* gRPC reads this queue after a TLS call on the same thread, and would take ours for its own. */
static bool failures_leave_no_error(void)
{
    struct ks_x509_info info;
    struct ks_ec_key *key = NULL;
    ks_secret secret = {.len = KS_AEAD_KEY_LEN};
    const struct ks_aead_box box = {&secret, NULL, {0}};
    uint8_t text[KS_AEAD_TAG_LEN + 1] = {0x30, 0x05};
    ks_bytes garbage = {text, sizeof(text)};
    if (ks_failed(ks_crypto_init(&defaults))) {
        return false;
    }
    KS_CRYPTO_AUTO *crypto = ks_crypto_new();
    bool failed = ks_failed(ks_x509_read(garbage, &info)) &&
                  ks_failed(ks_ec_read_private(garbage, &key)) &&
                  ks_failed(ks_ec_read_public(garbage, &key)) &&
                  ks_failed(ks_aead_open(crypto, &box, garbage, text)) &&
                  ks_failed(ks_x509_verify(ks_bytes_of(vector_leaf),
                                           ks_bytes_of(vector_ca_other_key_same_name),
                                           VECTOR_FROM_S, KS_X509_ANY, &info));
    return failed && ERR_peek_error() == 0;
}

static void failures_leave_no_error_in_the_queue(void **state)
{
    (void)state;
    assert_true(holds_in_child(failures_leave_no_error));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_start_has_the_same_options),
        cmocka_unit_test(the_wiping_allocator_comes_first_or_not_at_all),
        cmocka_unit_test(the_wiping_allocator_leaves_nothing_behind),
        cmocka_unit_test(known_answers_are_met_with_either_allocator),
        cmocka_unit_test(fips_mode_is_whole_or_refused),
        cmocka_unit_test(failures_leave_no_error_in_the_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
