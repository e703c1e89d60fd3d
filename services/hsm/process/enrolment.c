/* The commands token, init, enrol and renew, which write to the token. */
#include <stdio.h>
#include <string.h>

#include "pkg/base/clock.h"
#include "pkg/base/log.h"
#include "pkg/base/mem.h"
#include "pkg/crypto/crypto.h"
#include "pkg/crypto/csr.h"
#include "pkg/crypto/ec.h"
#include "pkg/crypto/x509.h"
#include "pkg/transit/peer.h"
#include "services/hsm/process/commands.h"
#include "services/hsm/process/safe.h"

static int complain(const char *what, ks_result r, const char *hint)
{
    ks_log(ERROR, what, KS_TEXT("cause", ks_code_name(r.code)), KS_TEXT("hint", hint));
    return KS_EXIT_FAILED;
}

static void close_file(FILE **file)
{
    if (*file) {
        fclose(*file);
    }
}

static ks_result write_file(const char *path, ks_bytes bytes)
{
    FILE *file = fopen(path, "we");
    if (!file) {
        return KS_RES(NOT_FOUND);
    }
    bool written = fwrite(bytes.ptr, 1, bytes.len, file) == bytes.len;
    written = fclose(file) == 0 && written;
    return written ? KS_RES(OK) : KS_RES(INTERNAL);
}

static ks_result read_file(const char *path, struct ks_buffer *out)
{
    KS_CLEANUP(close_file) FILE *file = fopen(path, "re");
    uint8_t *place = NULL;
    if (!file) {
        return KS_RES(NOT_FOUND);
    }
    KS_TRY(ks_buffer_extend(out, KS_X509_PEM_MAX, &place));
    out->len = fread(place, 1, KS_X509_PEM_MAX, file);
    return out->len > 0 && feof(file) ? KS_RES(OK) : KS_RES(VALIDATION);
}

static ks_result write_request(const struct ks_hsm_settings *settings,
                               const struct ks_ec_key *identity)
{
    KS_BUFFER_AUTO request = {.len_max = KS_X509_PEM_MAX};
    KS_AUTO_FREE char *uri = ks_peer_uri(settings->trust_domain, settings->region, settings->zone);
    const struct ks_x509_subject subject = {.organization = "keystead"};
    const struct ks_x509_names names = {.uri = uri};
    KS_TRY(ks_csr_make(identity, &subject, &names, &request));
    return write_file(settings->csr_file, ks_buffer_bytes(&request));
}

static ks_result start_crypto(const struct ks_hsm_settings *settings)
{
    return ks_crypto_init(
        &(struct ks_crypto_options){.wipe_allocator = true, .fips = settings->fips});
}

int ks_hsm_command_token(const struct ks_hsm_settings *settings)
{
    const char *hint = "";
    ks_result r = start_crypto(settings);
    if (!ks_failed(r)) {
        r = ks_safe_make_token(settings, &hint);
    }
    if (r.code == KS_ALREADY_EXISTS) {
        ks_log(INFO, "the token is there already", KS_TEXT("zone", settings->zone));
        return KS_EXIT_OK;
    }
    if (ks_failed(r)) {
        return complain("no token made", r, hint);
    }
    ks_log(INFO, "token made", KS_TEXT("zone", settings->zone));
    return KS_EXIT_OK;
}

int ks_hsm_command_init(const struct ks_hsm_settings *settings)
{
    const char *hint = "";
    KS_EC_AUTO *identity = NULL;
    if (settings->csr_file[0] == '\0') {
        return complain("not initialised", KS_RES(VALIDATION), "set csr_file in the configuration");
    }
    ks_result r = start_crypto(settings);
    if (!ks_failed(r)) {
        r = ks_safe_init(settings, &identity, &hint);
    }
    if (ks_failed(r)) {
        return complain("not initialised", r, hint);
    }
    r = write_request(settings, identity);
    if (ks_failed(r)) {
        return complain("not initialised", r, "csr_file cannot be written");
    }
    ks_log(INFO, "initialised", KS_TEXT("zone", settings->zone),
           KS_TEXT("file", settings->csr_file));
    return KS_EXIT_OK;
}

int ks_hsm_command_enrol(const struct ks_hsm_settings *settings, const char *certificate_path,
                         const char *root_path)
{
    const char *hint = "";
    KS_BUFFER_AUTO certificate = {.len_max = KS_X509_PEM_MAX};
    KS_BUFFER_AUTO root = {.len_max = KS_X509_PEM_MAX};
    ks_result r = start_crypto(settings);
    if (ks_failed(r)) {
        return complain("not enrolled", r, hint);
    }
    if (ks_failed(read_file(certificate_path, &certificate)) ||
        ks_failed(read_file(root_path, &root))) {
        return complain("not enrolled", KS_RES(NOT_FOUND), "a certificate file cannot be read");
    }
    r = ks_safe_enrol(settings, ks_buffer_bytes(&certificate), ks_buffer_bytes(&root),
                      ks_clock_wall_ms(&ks_clock_system) / 1000, &hint);
    if (ks_failed(r)) {
        return complain("not enrolled", r, hint);
    }
    ks_log(INFO, "enrolled", KS_TEXT("zone", settings->zone));
    return KS_EXIT_OK;
}

int ks_hsm_command_renew(const struct ks_hsm_settings *settings, const char *token_label,
                         const char *pin_file, const char *roster_path)
{
    const char *hint = "";
    KS_BUFFER_AUTO roster = {.len_max = KS_X509_PEM_MAX};
    ks_result r = start_crypto(settings);
    if (ks_failed(r)) {
        return complain("not renewed", r, hint);
    }
    if (ks_failed(read_file(roster_path, &roster))) {
        return complain("not renewed", KS_RES(NOT_FOUND), "the roster cannot be read");
    }
    const struct ks_safe_renewal to = {token_label, pin_file, ks_buffer_bytes(&roster)};
    r = ks_safe_renew(settings, &to, &hint);
    if (ks_failed(r)) {
        return complain("not renewed", r, hint);
    }
    ks_log(INFO, "renewed: set token_label and pin_file to the new ones, and destroy the old PIN",
           KS_TEXT("zone", settings->zone));
    return KS_EXIT_OK;
}
