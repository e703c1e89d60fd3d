#include "pkg/base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The key 00 01 02 … 0f, as the vectors have it. */
static const struct ks_hash_key key = {0x0706050403020100U, 0x0f0e0d0c0b0a0908U};

/* SipHash: a fast short-input PRF, appendix A; and vectors.h of the authors' reference code. */
static void agrees_with_the_published_vectors(void **state)
{
    (void)state;
    static const struct {
        size_t len;
        uint64_t hash;
    } vectors[] = {
        {0, 0x726fdb47dd0e0e31U}, {1, 0x74f839c593dc67fdU},  {7, 0xab0200f58b01d137U},
        {8, 0x93f5f5799a932462U}, {15, 0xa129ca6149be45e5U}, {16, 0x3f2acc7f57c29bdbU},
    };
    uint8_t text[16];
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] = (uint8_t)i;
    }
    for (size_t i = 0; i < KS_COUNT(vectors); i++) {
        assert_true(ks_hash(&key, &(ks_bytes){text, vectors[i].len}, 1) == vectors[i].hash);
    }
}

static void parts_are_one_text_wherever_they_are_cut(void **state)
{
    (void)state;
    const ks_bytes text = KS_LITERAL("111122223333alias/application/main");
    uint64_t whole = ks_hash(&key, &text, 1);
    for (size_t cut = 0; cut <= text.len; cut++) {
        const ks_bytes parts[] = {{text.ptr, cut}, {text.ptr + cut, text.len - cut}};
        assert_true(ks_hash(&key, parts, 2) == whole);
    }
}

static void another_key_gives_another_hash(void **state)
{
    (void)state;
    const ks_bytes text = KS_LITERAL("alias/a");
    for (unsigned bit = 0; bit < 64; bit++) {
        const struct ks_hash_key low = {key.low ^ 1ULL << bit, key.high};
        const struct ks_hash_key high = {key.low, key.high ^ 1ULL << bit};
        assert_true(ks_hash(&low, &text, 1) != ks_hash(&key, &text, 1));
        assert_true(ks_hash(&high, &text, 1) != ks_hash(&key, &text, 1));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_published_vectors),
        cmocka_unit_test(parts_are_one_text_wherever_they_are_cut),
        cmocka_unit_test(another_key_gives_another_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
