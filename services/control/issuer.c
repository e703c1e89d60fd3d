#include "services/control/issuer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pkg/base/mem.h"
#include "pkg/crypto/csr.h"
#include "pkg/crypto/ec.h"

struct ks_issuer {
    struct ks_buffer ca;
    struct ks_ec_key *key;
    int64_t not_after_s;
};

static void close_at(int *descriptor)
{
    if (*descriptor >= 0) {
        close(*descriptor);
    }
}

/* forbidden: bits that the file's mode must not have. */
static ks_result read_file(const char *path, mode_t forbidden, struct ks_buffer *out)
{
    KS_CLEANUP(close_at) int file = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (file < 0 || fstat(file, &status) != 0) {
        return KS_RES(NOT_FOUND);
    }
    if ((status.st_mode & forbidden) != 0) {
        return KS_RES(VALIDATION);
    }
    for (;;) {
        uint8_t part[1024];
        ssize_t count = read(file, part, sizeof(part));
        if (count < 0) {
            return KS_RES(NOT_FOUND);
        }
        if (count == 0) {
            return KS_RES(OK);
        }
        ks_result r = ks_buffer_append(out, (ks_bytes){part, (size_t)count});
        ks_wipe(part, sizeof(part));
        if (ks_failed(r)) {
            return KS_RES(VALIDATION);
        }
    }
}

static ks_result read_pair(const char *ca_file, const char *key_file, struct ks_issuer *issuer)
{
    KS_TRY(read_file(ca_file, 0, &issuer->ca));
    KS_BUFFER_AUTO key_pem = {.len_max = KS_EC_PRIVATE_PEM_MAX};
    KS_TRY(read_file(key_file, S_IRWXG | S_IRWXO, &key_pem));
    KS_TRY(ks_ec_read_private(ks_buffer_bytes(&key_pem), &issuer->key));

    struct ks_x509_info info;
    KS_TRY(ks_x509_read(ks_buffer_bytes(&issuer->ca), &info));
    KS_BUFFER_AUTO public_key = {.len_max = KS_EC_PUBLIC_DER_MAX};
    KS_TRY(ks_ec_write_public_der(issuer->key, &public_key));
    issuer->not_after_s = info.not_after_s;
    bool fits = info.is_ca &&
                ks_bytes_equal(ks_buffer_bytes(&public_key), (ks_bytes){info.spki, info.spki_len});
    return fits ? KS_RES(OK) : KS_RES(VALIDATION);
}

ks_result ks_issuer_new(const char *ca_file, const char *key_file, struct ks_issuer **ret_issuer)
{
    struct ks_issuer *issuer = ks_alloc(1, sizeof(*issuer));
    issuer->ca.len_max = KS_X509_PEM_MAX;
    ks_result r = read_pair(ca_file, key_file, issuer);
    if (ks_failed(r)) {
        ks_issuer_free(issuer);
        return r;
    }
    *ret_issuer = issuer;
    return KS_RES(OK);
}

void ks_issuer_free(struct ks_issuer *issuer)
{
    if (!issuer) {
        return;
    }
    ks_buffer_done(&issuer->ca);
    ks_ec_free(issuer->key);
    ks_free(issuer);
}

ks_bytes ks_issuer_ca(const struct ks_issuer *issuer)
{
    return ks_buffer_bytes(&issuer->ca);
}

int64_t ks_issuer_not_after_s(const struct ks_issuer *issuer)
{
    return issuer->not_after_s;
}

ks_result ks_issuer_issue(const struct ks_issuer *issuer, const struct ks_issue_spec *spec,
                          struct ks_buffer *out, char *ret_serial_hex)
{
    KS_BUFFER_AUTO public_key = {.len_max = KS_EC_PUBLIC_DER_MAX};
    KS_TRY(ks_csr_read(spec->csr, &public_key));

    struct ks_x509_issuer root = {ks_issuer_ca(issuer), issuer->key};
    struct ks_x509_leaf_spec leaf = {.subject = {.organization = "Keystead"},
                                     .names = {.uri = spec->spiffe_uri},
                                     .not_before_s = spec->not_before_s,
                                     .not_after_s = spec->not_after_s,
                                     .client = true};
    return ks_x509_issue(&root, ks_buffer_bytes(&public_key), &leaf, out, ret_serial_hex);
}

ks_result ks_issuer_certify(const struct ks_issuer *issuer, ks_bytes spki, const char *uri,
                            int64_t not_before_s, int64_t not_after_s, struct ks_buffer *out)
{
    struct ks_x509_issuer root = {ks_issuer_ca(issuer), issuer->key};
    struct ks_x509_leaf_spec leaf = {.subject = {.organization = "Keystead"},
                                     .names = {.uri = uri},
                                     .not_before_s = not_before_s,
                                     .not_after_s = not_after_s};
    return ks_x509_issue(&root, spki, &leaf, out, NULL);
}
