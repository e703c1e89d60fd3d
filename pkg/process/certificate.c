#include "pkg/process/certificate.h"

#include "pkg/crypto/x509.h"

int64_t ks_process_not_after_s(const char *certificate_pem)
{
    struct ks_x509_info info;
    bool read = !ks_failed(ks_x509_read(ks_bytes_of(certificate_pem), &info));
    return read ? info.not_after_s : 0;
}
