#include "services/hsm/process/offline_files.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "pkg/crypto/crypto.h"
#include "pkg/crypto/ec.h"
#include "pkg/crypto/x509.h"
#include "services/hsm/process/commands.h"
#include "services/hsm/process/confine.h"
#include "services/hsm/process/new_file.h"

#define LOCKED_BYTES                                                                               \
    (48ULL * 1024 * 1024) /* the program with its libraries, and some KiB of keys */

__attribute__((format(printf, 1, 0))) static void say(const char *format, va_list arguments)
{
    fputs("keystead-hsm: ", stderr);
    vfprintf(stderr, format, arguments);
    fputs("\n", stderr);
}

int ks_complain(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
    return KS_EXIT_FAILED;
}

int ks_complain_usage(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
    return KS_EXIT_USAGE;
}

ks_result ks_offline_read(const char *path, struct ks_buffer *out)
{
    errno = 0;
    ks_result r = ks_file_read(path, out);
    if (ks_failed(r)) {
        (void)ks_complain("cannot read %s: %s", path,
                          r.code == KS_VALIDATION ? "it is empty, or too long to be what is wanted"
                                                  : strerror(errno));
        return KS_RES(VALIDATION);
    }
    return r;
}

ks_result ks_offline_make(const char *path, ks_bytes bytes, bool is_public)
{
    errno = 0;
    ks_result r = ks_file_make(path, bytes, is_public ? 0644 : 0600);
    if (ks_failed(r)) {
        (void)ks_complain("cannot make %s: %s", path,
                          r.code == KS_ALREADY_EXISTS
                              ? "it is there already, and no file is ever written over"
                              : strerror(errno));
        return KS_RES(VALIDATION);
    }
    return r;
}

ks_result ks_offline_read_key(const char *path, struct ks_ec_key **ret_key)
{
    KS_BUFFER_AUTO pem = {.len_max = KS_EC_PRIVATE_PEM_MAX + 1};
    KS_EC_AUTO *key = NULL;
    KS_TRY(ks_offline_read(path, &pem));
    if (ks_failed(ks_ec_read_private(ks_buffer_bytes(&pem), &key)) ||
        ks_ec_curve_of(key) != KS_EC_P384) {
        (void)ks_complain("%s is no private P-384 key in PEM", path);
        return KS_RES(VALIDATION);
    }
    *ret_key = key;
    key = NULL;
    return KS_RES(OK);
}

/* Whether the certificate is of this key. */
static bool belongs_to(ks_bytes certificate, const struct ks_ec_key *key)
{
    struct ks_x509_info info;
    KS_BUFFER_AUTO spki = {.len_max = KS_EC_PUBLIC_DER_MAX};
    return !ks_failed(ks_x509_read(certificate, &info)) &&
           !ks_failed(ks_ec_write_public_der(key, &spki)) &&
           ks_bytes_equal((ks_bytes){info.spki, info.spki_len}, ks_buffer_bytes(&spki));
}

ks_result ks_offline_read_root(const char *folder, struct ks_buffer *certificate,
                               struct ks_ec_key **ret_key)
{
    char path[PATH_MAX];
    KS_BUFFER_AUTO pem = {.len_max = KS_X509_PEM_MAX};
    KS_EC_AUTO *key = NULL;
    int len = snprintf(path, sizeof(path), "%s/ca.key", folder);
    if (len < 0 || (size_t)len >= sizeof(path)) {
        (void)ks_complain("the path %.200s... is too long", folder);
        return KS_RES(VALIDATION);
    }
    KS_TRY(ks_offline_read_key(path, &key));
    snprintf(path, sizeof(path), "%s/ca.pem", folder);
    KS_TRY(ks_offline_read(path, &pem));
    if (ks_failed(ks_x509_to_der(ks_buffer_bytes(&pem), certificate)) ||
        !belongs_to(ks_buffer_bytes(certificate), key)) {
        (void)ks_complain("%s is no certificate of the key beside it", path);
        return KS_RES(VALIDATION);
    }
    *ret_key = key;
    key = NULL;
    return KS_RES(OK);
}

ks_result ks_offline_begin(void)
{
    bool locked = false;
    ks_result r = ks_crypto_init(&(struct ks_crypto_options){.wipe_allocator = true});
    if (!ks_failed(r)) {
        r = ks_confine_memory(LOCKED_BYTES, true, &locked);
    }
    if (ks_failed(r)) {
        (void)ks_complain("OpenSSL or the kernel does not do what keeps keys from being seen");
    }
    return r;
}
