#include "pkg/pkcs11/token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "pkg/crypto/crypto.h"
#include "pkg/pkcs11/softhsm_fixture.h"

static struct softhsm softhsm;

static int set_up(void **state)
{
    (void)state;
    softhsm_init(&softhsm);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    softhsm_done(&softhsm);
    return 0;
}

static void opens_and_closes_again_and_again(void **state)
{
    (void)state;
    const struct ks_token_options options = softhsm_options(&softhsm);
    for (int i = 0; i < 3; i++) {
        KS_TOKEN_AUTO *token = NULL;
        const char *hint = NULL;

        assert_int_equal(ks_token_open(&options, &token, &hint).code, KS_OK);

        assert_non_null(token);
        assert_null(hint);
    }
}

static void assert_refused(const struct ks_token_options *options, ks_code wanted,
                           const char *wanted_hint)
{
    struct ks_token *token = NULL;
    const char *hint = NULL;

    assert_int_equal(ks_token_open(options, &token, &hint).code, wanted);

    assert_null(token);
    assert_non_null(hint);
    if (!strstr(hint, wanted_hint)) {
        assert_string_equal(hint, wanted_hint);
    }
}

static void says_what_is_wrong_with_the_module(void **state)
{
    (void)state;
    struct ks_token_options options = softhsm_options(&softhsm);

    options.module_path = "/nowhere/module.so";
    assert_refused(&options, KS_NOT_FOUND, "cannot be loaded");
    options.module_path = softhsm.pin_path;
    assert_refused(&options, KS_NOT_FOUND, "cannot be loaded");
    options.module_path = "libdl.so.2";
    assert_refused(&options, KS_NOT_FOUND, "no PKCS#11 module");
}

static void says_what_is_wrong_with_the_label(void **state)
{
    (void)state;
    struct ks_token_options options = softhsm_options(&softhsm);
    const char *const absent[] = {"zone-b", "zone-", "zone-aa", "12345678901234567890123456789012"};
    const char *const malformed[] = {"", "123456789012345678901234567890123"};
    for (size_t i = 0; i < KS_COUNT(absent); i++) {
        options.token_label = absent[i];
        assert_refused(&options, KS_NOT_FOUND, "no token has that label");
    }
    for (size_t i = 0; i < KS_COUNT(malformed); i++) {
        options.token_label = malformed[i];
        assert_refused(&options, KS_VALIDATION, "1 to 32 bytes");
    }
}

static void two_tokens_of_one_label_are_refused(void **state)
{
    (void)state;
    struct ks_token_options options = softhsm_options(&softhsm);
    softhsm_add_token("twice");
    options.token_label = "twice";
    struct ks_token *token = NULL;
    const char *hint = NULL;
    assert_int_equal(ks_token_open(&options, &token, &hint).code, KS_OK);
    ks_token_close(token);

    softhsm_add_token("twice");

    assert_refused(&options, KS_ALREADY_EXISTS, "two tokens");
}

static void a_wrong_pin_is_refused(void **state)
{
    (void)state;
    struct ks_token_options options = softhsm_options(&softhsm);
    const ks_bytes others[] = {
        KS_LITERAL("4711-incorrect"),
        KS_LITERAL("4711-correct\n\n"),
        KS_LITERAL(" 4711-correct"),
        KS_LITERAL("4711-correct\r\n"),
        KS_LITERAL("4"),
    };
    for (size_t i = 0; i < KS_COUNT(others); i++) {
        options.pin_path = softhsm_write_file(&softhsm, "other-pin", others[i]);
        assert_refused(&options, KS_ACCESS_DENIED, "refuses the PIN");
    }
    options.pin_path = softhsm_write_file(&softhsm, "other-pin", KS_LITERAL(SOFTHSM_PIN));
    struct ks_token *token = NULL;
    const char *hint = NULL;
    assert_int_equal(ks_token_open(&options, &token, &hint).code, KS_OK);
    ks_token_close(token);
}

static void says_what_is_wrong_with_the_pin_file(void **state)
{
    (void)state;
    struct ks_token_options options = softhsm_options(&softhsm);
    static const uint8_t long_pin[KS_TOKEN_PIN_MAX + 2] = {'1'};

    options.pin_path = "/nowhere/pin";
    assert_refused(&options, KS_NOT_FOUND, "absent");
    options.pin_path = softhsm.folder;
    assert_refused(&options, KS_NOT_FOUND, "absent");
    options.pin_path = softhsm_write_file(&softhsm, "other-pin", KS_LITERAL("\n"));
    assert_refused(&options, KS_VALIDATION, "1 to 255 bytes");
    options.pin_path =
        softhsm_write_file(&softhsm, "other-pin", (ks_bytes){long_pin, KS_TOKEN_PIN_MAX});
    assert_refused(&options, KS_ACCESS_DENIED, "refuses the PIN");
    options.pin_path =
        softhsm_write_file(&softhsm, "other-pin", (ks_bytes){long_pin, KS_TOKEN_PIN_MAX + 1});
    assert_refused(&options, KS_VALIDATION, "1 to 255 bytes");
    options.pin_path = softhsm_write_file(&softhsm, "other-pin", KS_LITERAL(SOFTHSM_PIN));
    static const mode_t open_to_others[] = {0604, 0602, 0640, 0620};
    for (size_t i = 0; i < KS_COUNT(open_to_others); i++) {
        assert_int_equal(chmod(options.pin_path, open_to_others[i]), 0);
        assert_refused(&options, KS_ACCESS_DENIED, "chmod");
    }
    assert_int_equal(chmod(options.pin_path, 0600), 0);
}

/* systemd shows its one reader as the group's permission. */
static void takes_a_credential_of_systemd(void **state)
{
    (void)state;
    struct ks_token_options options = softhsm_options(&softhsm);
    options.pin_path = softhsm_write_file(&softhsm, "credential", KS_LITERAL(SOFTHSM_PIN));
    assert_int_equal(chmod(options.pin_path, 0440), 0);
    assert_refused(&options, KS_ACCESS_DENIED, "chmod");
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", softhsm.folder, 1), 0);

    struct ks_token *token = NULL;
    const char *hint = NULL;
    assert_int_equal(ks_token_open(&options, &token, &hint).code, KS_OK);

    ks_token_close(token);
    assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
}

static void a_token_that_was_created_opens_with_its_pin_and_no_other(void **state)
{
    (void)state;
    struct ks_token_options options = softhsm_options(&softhsm);
    const char *hint = NULL;
    assert_int_equal(ks_token_create(&options, &hint).code, KS_ALREADY_EXISTS);
    options.token_label = "created";
    options.pin_path = softhsm_write_file(&softhsm, "new-pin", KS_LITERAL("a-pin-of-its-own\n"));

    assert_int_equal(ks_token_create(&options, &hint).code, KS_OK);

    struct ks_token *token = NULL;
    assert_int_equal(ks_token_open(&options, &token, &hint).code, KS_OK);
    ks_token_close(token);
    assert_int_equal(ks_token_create(&options, &hint).code, KS_ALREADY_EXISTS);
    options.pin_path = softhsm.pin_path;
    assert_refused(&options, KS_ACCESS_DENIED, "refuses the PIN");
}

static void a_module_without_its_configuration_says_so(void **state)
{
    (void)state;
    const struct ks_token_options options = softhsm_options(&softhsm);
    char *kept = ks_strdup(getenv("SOFTHSM2_CONF"));
    assert_int_equal(setenv("SOFTHSM2_CONF", "/nowhere/softhsm2.conf", 1), 0);

    assert_refused(&options, KS_INTERNAL, "SOFTHSM2_CONF");

    assert_int_equal(setenv("SOFTHSM2_CONF", kept, 1), 0);
    ks_free(kept);
}

static void a_second_token_at_a_time_is_refused(void **state)
{
    (void)state;
    const struct ks_token_options options = softhsm_options(&softhsm);
    KS_TOKEN_AUTO *token = NULL;
    const char *hint = NULL;
    assert_int_equal(ks_token_open(&options, &token, &hint).code, KS_OK);

    assert_refused(&options, KS_INTERNAL, "in use");

    /* The refusal did not finalize the module under the first one. */
    assert_int_equal(ks_token_put(token, "still here", KS_LITERAL("x")).code, KS_OK);
    assert_int_equal(ks_token_delete(token, "still here").code, KS_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_and_closes_again_and_again),
        cmocka_unit_test(says_what_is_wrong_with_the_module),
        cmocka_unit_test(says_what_is_wrong_with_the_label),
        cmocka_unit_test(two_tokens_of_one_label_are_refused),
        cmocka_unit_test(a_wrong_pin_is_refused),
        cmocka_unit_test(says_what_is_wrong_with_the_pin_file),
        cmocka_unit_test(takes_a_credential_of_systemd),
        cmocka_unit_test(a_token_that_was_created_opens_with_its_pin_and_no_other),
        cmocka_unit_test(a_module_without_its_configuration_says_so),
        cmocka_unit_test(a_second_token_at_a_time_is_refused),
    };
    if (ks_failed(ks_crypto_init(&(struct ks_crypto_options){.wipe_allocator = true}))) {
        return 1;
    }
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
