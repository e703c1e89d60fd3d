#include <stdio.h>
#include <string.h>

#include "keystead/admin/v1/admin.pb-c.h"
#include "pkg/arn/spiffe.h"
#include "services/control/admin.h"
#include "services/control/issuer.h"
#include "services/control/listing.h"

#define LIFETIME_MIN_S     60
#define LIFETIME_MAX_S     31536000 /* a year */
#define LIFETIME_DEFAULT_S 2592000  /* 30 days */
/* A client whose clock is behind ours by less than this can use its certificate at once. */
#define CLOCK_SKEW_S 60
#define CSR_LEN_MAX  8192U

static ks_result check_lifetime(struct ks_admin_try *attempt, int64_t asked_s,
                                struct ks_issue_spec *spec)
{
    int64_t lifetime_s = asked_s == 0 ? LIFETIME_DEFAULT_S : asked_s;
    if (lifetime_s < LIFETIME_MIN_S || lifetime_s > LIFETIME_MAX_S) {
        return ks_admin_refuse(attempt, "lifetime_seconds",
                               "lifetime_seconds must be between 60 and 31536000");
    }
    int64_t now_s = ks_clock_wall_ms(attempt->admin->clock) / 1000;
    spec->not_before_s = now_s - CLOCK_SKEW_S;
    spec->not_after_s = now_s + lifetime_s;
    if (spec->not_after_s > ks_issuer_not_after_s(attempt->admin->issuer)) {
        return ks_admin_refuse(attempt, "lifetime_seconds",
                               "the certificate would outlive the client root: ask for less, or "
                               "renew the root");
    }
    return KS_RES(OK);
}

/* The certificate for the user of the record, whose other fields it fills in. */
static ks_result issue(struct ks_admin_try *attempt, const struct ks_issue_spec *asked,
                       Keystead__Storage__V1__CertificateRecord *record, struct ks_buffer *out)
{
    char uri[KS_SPIFFE_LEN_MAX + 1];
    struct ks_spiffe spiffe = {.kind = KS_SPIFFE_ACCOUNT_USER};
    snprintf(spiffe.account, sizeof(spiffe.account), "%s", record->account);
    snprintf(spiffe.name, sizeof(spiffe.name), "%s", record->user);
    KS_TRY(ks_spiffe_format(&spiffe, uri));
    char *serial = ks_arena_alloc(attempt->arena, KS_X509_SERIAL_HEX + 1);
    if (!serial) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    struct ks_issue_spec spec = *asked;
    spec.spiffe_uri = uri;
    ks_result r = ks_issuer_issue(attempt->admin->issuer, &spec, out, serial);
    if (r.code == KS_VALIDATION) {
        return ks_admin_refuse(attempt, "csr_pem",
                               "csr_pem must be a PKCS#10 request for a P-256 or P-384 key, signed "
                               "by that key");
    }
    KS_TRY(r);
    record->serial = serial;
    record->not_before_ms = spec.not_before_s * 1000;
    record->not_after_ms = spec.not_after_s * 1000;
    return KS_RES(OK);
}

static ks_result answer_issued(struct ks_admin_try *attempt,
                               const Keystead__Storage__V1__CertificateRecord *record,
                               ks_bytes certificate)
{
    Google__Protobuf__Timestamp expires = ks_timestamp(record->not_after_ms);
    Keystead__Admin__V1__IssueCertificateResponse response =
        KEYSTEAD__ADMIN__V1__ISSUE_CERTIFICATE_RESPONSE__INIT;
    response.certificate_pem = ks_arena_dup(attempt->arena, certificate);
    response.ca_pem = ks_arena_dup(attempt->arena, ks_issuer_ca(attempt->admin->issuer));
    response.serial = record->serial;
    response.expire_time = &expires;
    if (!response.certificate_pem || !response.ca_pem) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    return ks_admin_answer(attempt, &response.base);
}

ks_result ks_admin_issue_certificate(struct ks_admin_try *attempt)
{
    const Keystead__Admin__V1__IssueCertificateRequest *request =
        (const Keystead__Admin__V1__IssueCertificateRequest *)attempt->request;
    if (strlen(request->csr_pem) > CSR_LEN_MAX) {
        return ks_admin_refuse(attempt, "csr_pem", "csr_pem must have at most 8192 bytes");
    }
    struct ks_issue_spec spec = {.csr = ks_bytes_of(request->csr_pem)};
    KS_TRY(check_lifetime(attempt, request->lifetime_seconds, &spec));
    Keystead__Storage__V1__UserRecord *user;
    int64_t user_revision;
    KS_TRY(ks_admin_find_user(attempt, request->account_id, request->user_name, &user,
                              &user_revision));
    struct ks_record_key user_key = ks_user_key(request->account_id, request->user_name);
    ks_admin_rests_on(attempt, &user_key, user_revision);

    Keystead__Storage__V1__CertificateRecord record =
        KEYSTEAD__STORAGE__V1__CERTIFICATE_RECORD__INIT;
    record.format = KS_RECORD_FORMAT;
    record.account = request->account_id;
    record.user = request->user_name;
    record.user_id = user->user_id;
    KS_BUFFER_AUTO certificate = {.len_max = KS_X509_PEM_MAX};
    KS_TRY(issue(attempt, &spec, &record, &certificate));

    struct ks_record_key key = ks_certificate_key(record.serial);
    ks_admin_rests_on(attempt, &key, 0);
    ks_admin_put(attempt, &key, &record.base);
    return answer_issued(attempt, &record, ks_buffer_bytes(&certificate));
}

ks_result ks_admin_revoke_certificate(struct ks_admin_try *attempt)
{
    const Keystead__Admin__V1__RevokeCertificateRequest *request =
        (const Keystead__Admin__V1__RevokeCertificateRequest *)attempt->request;
    if (!ks_serial_is_valid(request->serial)) {
        return ks_admin_refuse(attempt, "serial", "serial must be 2 to 40 lower-case hex digits");
    }
    Keystead__Storage__V1__CertificateRecord *record;
    int64_t revision;
    ks_result r =
        ks_certificate_load(attempt->view, request->serial, attempt->arena, &record, &revision);
    if (r.code == KS_NOT_FOUND) {
        return ks_admin_fail(attempt, KS_NOT_FOUND, "no such certificate");
    }
    KS_TRY(r);

    Keystead__Admin__V1__RevokeCertificateResponse response =
        KEYSTEAD__ADMIN__V1__REVOKE_CERTIFICATE_RESPONSE__INIT;
    KS_TRY(ks_admin_answer(attempt, &response.base));
    struct ks_record_key key = ks_certificate_key(request->serial);
    ks_admin_rests_on(attempt, &key, revision);
    if (record->revoked_at_ms != 0) {
        return KS_RES(OK); /* revoked before: nothing to change */
    }
    record->revoked_at_ms = ks_clock_wall_ms(attempt->admin->clock);
    ks_admin_put(attempt, &key, &record->base);
    return KS_RES(OK);
}
