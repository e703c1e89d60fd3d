/*
 * Any bytes as a certificate, PEM or DER. What is read keeps its bounds, reads the same again from
 * the DER that is written, and is never its own issuer.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "pkg/crypto/crypto.h"
#include "pkg/crypto/x509.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ks_result started = ks_crypto_init(&(struct ks_crypto_options){0});
    assert(!ks_failed(started));

    ks_bytes bytes = {data, size};
    struct ks_x509_info info;
    if (ks_failed(ks_x509_read(bytes, &info))) {
        return 0;
    }
    assert(strnlen(info.uri, sizeof(info.uri)) <= KS_X509_URI_MAX);
    assert(strnlen(info.serial_hex, sizeof(info.serial_hex)) <= KS_X509_SERIAL_HEX);
    assert(info.spki_len > 0 && info.spki_len <= sizeof(info.spki));

    KS_BUFFER_AUTO der = {.len_max = 2 * KS_X509_DER_MAX};
    struct ks_x509_info again;
    ks_result written = ks_x509_to_der(bytes, &der);
    assert(!ks_failed(written));
    ks_result read = ks_x509_read(ks_buffer_bytes(&der), &again);
    assert(!ks_failed(read));
    assert(strcmp(info.serial_hex, again.serial_hex) == 0 && strcmp(info.uri, again.uri) == 0);

    ks_result verified = ks_x509_verify(bytes, bytes, info.not_before_s, KS_X509_ANY, NULL);
    assert(ks_failed(verified));
    return 0;
}
