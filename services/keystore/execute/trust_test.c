#include "services/keystore/execute/trust.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/crypto/crypto.h"

#define NAME   KS_LITERAL("key/a/b")
#define RECORD KS_LITERAL("bytes")

static struct ks_trust *trust;

static int set_up(void **state)
{
    (void)state;
    trust = ks_trust_new();
    return ks_failed(ks_crypto_init(&(struct ks_crypto_options){0})) ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    ks_trust_free(trust);
    return 0;
}

static void trusts_the_very_name_and_bytes_only(void **state)
{
    (void)state;
    assert_false(ks_trust_knows(trust, NAME, RECORD));
    ks_trust_note(trust, NAME, RECORD);

    assert_true(ks_trust_knows(trust, NAME, RECORD));
    assert_false(ks_trust_knows(trust, NAME, KS_LITERAL("byteS")));
    assert_false(ks_trust_knows(trust, KS_LITERAL("key/a/c"), RECORD));
    assert_false(ks_trust_knows(trust, KS_LITERAL("key/a/bb"), KS_LITERAL("ytes")));
}

/* However many there are, its memory does not grow, and what came last is known. */
static void forgets_rather_than_grows(void **state)
{
    (void)state;
    char name[32];
    for (unsigned i = 0; i < 2 * KS_TRUST_RECORDS; i++) {
        snprintf(name, sizeof(name), "key/%u", i);
        ks_trust_note(trust, ks_bytes_of(name), RECORD);
        assert_true(ks_trust_knows(trust, ks_bytes_of(name), RECORD));
    }
    size_t known = 0;
    for (unsigned i = 0; i < 2 * KS_TRUST_RECORDS; i++) {
        snprintf(name, sizeof(name), "key/%u", i);
        known += ks_trust_knows(trust, ks_bytes_of(name), RECORD);
    }
    assert_true(known <= KS_TRUST_RECORDS && known > KS_TRUST_RECORDS / 2);
}

static void an_alarm_says_what_and_how_often(void **state)
{
    (void)state;
    char text[KS_TRUST_TEXT_MAX];
    assert_int_equal(ks_trust_alarms(trust, text), 0);
    assert_string_equal(text, "");

    ks_trust_alarm(trust, NAME);
    ks_trust_alarm(trust, KS_LITERAL("key/a/c"));

    assert_int_equal(ks_trust_alarms(trust, text), 2);
    assert_non_null(strstr(text, "2 times, last key/a/c"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(trusts_the_very_name_and_bytes_only),
        TEST(forgets_rather_than_grows),
        TEST(an_alarm_says_what_and_how_often),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
