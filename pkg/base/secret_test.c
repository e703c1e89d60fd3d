#include "pkg/base/secret.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/witness/witness.h"

static const ks_secret zero;

static ks_secret secret_of(ks_bytes bytes)
{
    ks_secret secret = {.len = bytes.len};
    memcpy(secret.bytes, bytes.ptr, bytes.len);
    return secret;
}

static void wipe_leaves_nothing(void **state)
{
    (void)state;
    ks_secret secret = secret_of(KS_LITERAL("0123456789abcdef"));

    ks_secret_wipe(&secret);

    assert_memory_equal(&secret, &zero, sizeof(secret));
}

static void move_hands_over_and_empties_the_source(void **state)
{
    (void)state;
    ks_secret from = secret_of(KS_LITERAL("new"));
    ks_secret to = secret_of(KS_LITERAL("a longer old one"));

    ks_secret_move(&to, &from);

    assert_true(ks_bytes_equal(ks_secret_bytes(&to), KS_LITERAL("new")));
    assert_memory_equal(to.bytes + 3, zero.bytes, KS_SECRET_MAX - 3);
    assert_memory_equal(&from, &zero, sizeof(from));
}

static void equal_sees_every_single_bit(void **state)
{
    (void)state;
    uint8_t a[32];
    for (size_t i = 0; i < sizeof(a); i++) {
        a[i] = (uint8_t)(i * 7);
    }

    for (size_t bit = 0; bit < 8 * sizeof(a); bit++) {
        uint8_t b[sizeof(a)];
        memcpy(b, a, sizeof(a));
        assert_true(ks_secret_equal((ks_bytes){a, sizeof(a)}, (ks_bytes){b, sizeof(b)}));
        b[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        assert_false(ks_secret_equal((ks_bytes){a, sizeof(a)}, (ks_bytes){b, sizeof(b)}));
    }
}

static void equal_refuses_another_length(void **state)
{
    (void)state;

    assert_false(ks_secret_equal(KS_LITERAL("abc"), KS_LITERAL("ab")));
    assert_false(ks_secret_equal(KS_LITERAL(""), KS_LITERAL("\0")));
    assert_true(ks_secret_equal((ks_bytes){0}, KS_LITERAL("")));
}

static void move_onto_itself(void)
{
    ks_secret secret = secret_of(KS_LITERAL("abc"));
    ks_secret_move(&secret, &secret);
}

static void read_past_its_end(void)
{
    ks_secret secret = {.len = KS_SECRET_MAX + 1};
    (void)ks_secret_bytes(&secret);
}

static void wrong_use_aborts(void **state)
{
    (void)state;

    assert_true(ks_witness_aborts(move_onto_itself));
    assert_true(ks_witness_aborts(read_past_its_end));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wipe_leaves_nothing),
        cmocka_unit_test(move_hands_over_and_empties_the_source),
        cmocka_unit_test(equal_sees_every_single_bit),
        cmocka_unit_test(equal_refuses_another_length),
        cmocka_unit_test(wrong_use_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
