#include "pkg/crypto/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define NONCE_LEN 32U

/* Two draws of 32 bytes are alike once in 2^256: a repetition is a fault, not bad luck. */
static void draws_differ(void **state)
{
    (void)state;
    uint8_t drawn[4][NONCE_LEN];
    ks_secret secret = {0};
    assert_int_equal(ks_random_private(drawn[0], NONCE_LEN).code, KS_OK);
    assert_int_equal(ks_random_private(drawn[1], NONCE_LEN).code, KS_OK);
    assert_int_equal(ks_random_public(drawn[2], NONCE_LEN).code, KS_OK);
    assert_int_equal(ks_random_secret(NONCE_LEN, &secret).code, KS_OK);
    assert_int_equal(secret.len, NONCE_LEN);
    memcpy(drawn[3], secret.bytes, NONCE_LEN);

    for (size_t i = 0; i < KS_COUNT(drawn); i++) {
        for (size_t j = 0; j < i; j++) {
            assert_memory_not_equal(drawn[i], drawn[j], NONCE_LEN);
        }
    }
}

/* Across the ends of the blocks drawn ahead: 4,096 bytes are no multiple of 60. */
static void nonces_never_repeat(void **state)
{
    (void)state;
    static uint8_t drawn[300][60];
    KS_CRYPTO_AUTO *crypto = ks_crypto_new();
    for (size_t i = 0; i < KS_COUNT(drawn); i++) {
        assert_int_equal(ks_random_nonce(crypto, drawn[i], sizeof(drawn[i])).code, KS_OK);
        for (size_t j = 0; j < i; j++) {
            assert_memory_not_equal(drawn[i], drawn[j], sizeof(drawn[i]));
        }
    }
}

static void a_child_repeats_no_nonce_of_its_parent(void **state)
{
    (void)state;
    KS_CRYPTO_AUTO *crypto = ks_crypto_new();
    uint8_t ours[NONCE_LEN];
    uint8_t theirs[NONCE_LEN] = {0};
    int ends[2];
    assert_int_equal(ks_random_nonce(crypto, ours, NONCE_LEN).code, KS_OK);
    assert_int_equal(pipe(ends), 0);

    pid_t child = fork();
    assert_int_not_equal(child, -1);
    if (child == 0) {
        bool drawn = !ks_failed(ks_random_nonce(crypto, theirs, NONCE_LEN)) &&
                     write(ends[1], theirs, NONCE_LEN) == NONCE_LEN;
        _exit(drawn ? 0 : 1);
    }
    assert_int_equal(read(ends[0], theirs, NONCE_LEN), NONCE_LEN);
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(ks_random_nonce(crypto, ours, NONCE_LEN).code, KS_OK);

    assert_memory_not_equal(ours, theirs, NONCE_LEN);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_differ),
        cmocka_unit_test(nonces_never_repeat),
        cmocka_unit_test(a_child_repeats_no_nonce_of_its_parent),
    };
    if (ks_failed(ks_crypto_init(&(struct ks_crypto_options){0}))) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
