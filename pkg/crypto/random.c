#include "pkg/crypto/random.h"

#include <assert.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <string.h>

#include "pkg/crypto/context.h"
#include "pkg/crypto/openssl.h"

/* A child process changes it while it has one thread. */
static unsigned fork_count;

static void count_fork(void)
{
    fork_count++;
}

ks_result ks_random_private(uint8_t *ret_bytes, size_t len)
{
    assert(ret_bytes);
    assert(len <= KS_RANDOM_MAX);

    return ks_openssl_check(RAND_priv_bytes(ret_bytes, (int)len));
}

ks_result ks_random_public(uint8_t *ret_bytes, size_t len)
{
    assert(ret_bytes);
    assert(len <= KS_RANDOM_MAX);

    return ks_openssl_check(RAND_bytes(ret_bytes, (int)len));
}

/*
 * The first draw decides which generator OpenSSL uses. If it came later, a module that was loaded
 * before could put in its own generator: SoftHSM2 puts in the processor's where it can.
 */
ks_result ks_random_init(void)
{
    uint8_t drawn[2];
    KS_TRY(ks_random_public(drawn, 1));
    KS_TRY(ks_random_private(drawn, 1));
    return pthread_atfork(NULL, NULL, count_fork) == 0 ? KS_RES(OK) : KS_RES(INTERNAL);
}

ks_result ks_random_secret(size_t len, ks_secret *ret_secret)
{
    assert(ret_secret);
    assert(len > 0 && len <= KS_SECRET_MAX);

    KS_SECRET_AUTO drawn = {.len = len};
    KS_TRY(ks_random_private(drawn.bytes, len));
    ks_secret_move(ret_secret, &drawn);
    return KS_RES(OK);
}

ks_result ks_random_nonce(struct ks_crypto *crypto, uint8_t *ret_bytes, size_t len)
{
    static_assert(KS_RANDOM_BLOCK <= KS_RANDOM_MAX, "a block is one draw");
    assert(crypto && ret_bytes);
    assert(len <= KS_RANDOM_NONCE_MAX);

    if (len > KS_RANDOM_BLOCK - crypto->nonce_at || crypto->nonce_forks != fork_count) {
        crypto->nonce_at = KS_RANDOM_BLOCK;
        KS_TRY(ks_random_public(crypto->nonces, KS_RANDOM_BLOCK));
        crypto->nonce_at = 0;
        crypto->nonce_forks = fork_count;
    }
    uint8_t *drawn = crypto->nonces + crypto->nonce_at;
    memcpy(ret_bytes, drawn, len);
    ks_wipe(drawn, len);
    crypto->nonce_at += len;
    return KS_RES(OK);
}
