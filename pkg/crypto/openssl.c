#include "pkg/crypto/openssl.h"

#include <assert.h>
#include <openssl/err.h>

struct ks_fetched ks_fetched;

ks_result ks_openssl_fail(ks_code code)
{
    assert(code != KS_OK);

    ERR_clear_error();
    return (ks_result){code};
}

ks_result ks_openssl_check(int returned)
{
    return returned == 1 ? KS_RES(OK) : ks_openssl_fail(KS_INTERNAL);
}

ks_result ks_openssl_take(unsigned char *der, int len, struct ks_buffer *out)
{
    if (len < 0) {
        return ks_openssl_fail(KS_INTERNAL);
    }
    ks_result appended = ks_buffer_append(out, (ks_bytes){der, (size_t)len});
    OPENSSL_clear_free(der, (size_t)len);
    return appended;
}
