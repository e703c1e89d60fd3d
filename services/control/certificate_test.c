#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/crypto/x509.h"
#include "services/control/control_fixture.h"
#include "services/control/records.h"

#define ACCOUNT   "111122223333"
#define DAY_S     86400LL
#define YEAR_S    (365 * DAY_S)
#define DAYS_30_S (30 * DAY_S)
#define ROOT_S    (CONTROL_ROOT_LIFE_DAYS * DAY_S)
#define CSR_MAX   8192U

typedef Keystead__Admin__V1__IssueCertificateResponse issued;

static int setup(void **state)
{
    if (control_setup(state) != 0) {
        return -1;
    }
    assert_int_equal(control_create_account(*state, ACCOUNT), KS_OK);
    assert_int_equal(control_create_user(*state, ACCOUNT, "alice"), KS_OK);
    return 0;
}

static int64_t now_s(const struct control_fixture *fixture)
{
    return atomic_load(&fixture->wall_ms) / 1000;
}

static const issued *issue(struct control_fixture *fixture, char *user, char *csr,
                           int64_t lifetime_s)
{
    return control_ask(fixture, "IssueCertificate",
                       ADMIN_REQUEST(IssueCertificate, issue_certificate, .account_id = ACCOUNT,
                                     .user_name = user, .csr_pem = csr,
                                     .lifetime_seconds = lifetime_s));
}

static ks_code revoke(struct control_fixture *fixture, char *serial)
{
    (void)control_ask(fixture, "RevokeCertificate",
                      ADMIN_REQUEST(RevokeCertificate, revoke_certificate, .serial = serial));
    return fixture->error.code;
}

/* What stands in the store of a certificate, and of a user. */
static struct looked {
    const char *serial;
    const char *user;
    Keystead__Storage__V1__CertificateRecord *certificate;
    Keystead__Storage__V1__UserRecord *user_record;
} looked;

static void look(struct control_fixture *fixture, struct ks_store *store)
{
    KS_STORE_VIEW_AUTO view = {0};
    int64_t revision;
    assert_int_equal(ks_store_peek(store, &view).code, KS_OK);
    ks_result r =
        ks_certificate_load(&view, looked.serial, &fixture->arena, &looked.certificate, &revision);
    assert_int_equal(r.code, KS_OK);
    r = ks_user_load(&view, ACCOUNT, looked.user, &fixture->arena, &looked.user_record, &revision);
    assert_int_equal(r.code, KS_OK);
}

static void look_at(struct control_fixture *fixture, const char *serial, const char *user)
{
    looked.serial = serial;
    looked.user = user;
    control_look(fixture, look);
}

/* ---- Issuing ---- */

static void a_certificate_is_of_the_root_and_names_its_user(void **state)
{
    struct control_fixture *fixture = *state;

    const issued *response = issue(fixture, "alice", control_csr(fixture), 0);

    assert_non_null(response);
    struct ks_x509_info info;
    ks_result r =
        ks_x509_verify(ks_bytes_of(response->certificate_pem), ks_bytes_of(response->ca_pem),
                       now_s(fixture), KS_X509_CLIENT, &info);
    assert_int_equal(r.code, KS_OK);
    assert_string_equal(info.uri, "spiffe://keystead/account/" ACCOUNT "/user/alice");
    assert_string_equal(info.serial_hex, response->serial);
    assert_int_equal(info.not_before_s, now_s(fixture) - 60);
    assert_int_equal(info.not_after_s, now_s(fixture) + DAYS_30_S);
    assert_int_equal(response->expire_time->seconds, info.not_after_s);
}

/* What is not in a record is not admitted: the record says what the certificate says. */
static void a_certificate_has_a_record(void **state)
{
    struct control_fixture *fixture = *state;
    const issued *response = issue(fixture, "alice", control_csr(fixture), 3600);

    look_at(fixture, response->serial, "alice");

    assert_string_equal(looked.certificate->serial, response->serial);
    assert_string_equal(looked.certificate->account, ACCOUNT);
    assert_string_equal(looked.certificate->user, "alice");
    assert_string_equal(looked.certificate->user_id, looked.user_record->user_id);
    assert_string_not_equal(looked.certificate->user_id, "");
    assert_int_equal(looked.certificate->not_after_ms, (now_s(fixture) + 3600) * 1000);
    assert_int_equal(looked.certificate->revoked_at_ms, 0);
}

static void a_life_is_a_minute_to_a_year(void **state)
{
    struct control_fixture *fixture = *state;
    char *csr = control_csr(fixture);
    static const int64_t refused[] = {59, 1, -1, INT64_MIN, YEAR_S + 1, INT64_MAX};
    for (size_t i = 0; i < KS_COUNT(refused); i++) {
        assert_null(issue(fixture, "alice", csr, refused[i]));
        control_assert_violated(fixture, "lifetime_seconds");
    }

    assert_int_equal(issue(fixture, "alice", csr, 60)->expire_time->seconds, now_s(fixture) + 60);
    assert_int_equal(issue(fixture, "alice", csr, YEAR_S)->expire_time->seconds,
                     now_s(fixture) + YEAR_S);
}

/*
 * The request is good then, and the answer must not say that it is not. It is the last test: time
 * never goes back.
 */
static void a_life_beyond_the_roots_is_refused_as_such(void **state)
{
    struct control_fixture *fixture = *state;
    char *csr = control_csr(fixture);
    atomic_fetch_add(&fixture->wall_ms, (ROOT_S - 7 * DAY_S) * 1000);

    assert_null(issue(fixture, "alice", csr, 0));
    control_assert_violated(fixture, "lifetime_seconds");
    assert_non_null(issue(fixture, "alice", csr, 3600));
}

static void a_request_that_is_none_is_refused(void **state)
{
    struct control_fixture *fixture = *state;
    char *large = ks_arena_alloc(&fixture->arena, CSR_MAX + 2);
    memset(large, 'A', CSR_MAX + 1);
    char *largest = large + 1;

    assert_null(issue(fixture, "alice", "", 0));
    control_assert_violated(fixture, "csr_pem");
    assert_null(issue(fixture, "alice", "garbage", 0));
    control_assert_violated(fixture, "csr_pem");
    assert_null(issue(fixture, "alice", largest, 0));
    control_assert_violated(fixture, "csr_pem");
    assert_null(strstr(fixture->error.violation, "8192"));
    assert_null(issue(fixture, "alice", large, 0));
    control_assert_violated(fixture, "csr_pem");
    assert_non_null(strstr(fixture->error.violation, "8192"));
}

static void only_a_user_that_stands_gets_a_certificate(void **state)
{
    struct control_fixture *fixture = *state;
    char *csr = control_csr(fixture);

    assert_null(issue(fixture, "nobody", csr, 0));
    assert_int_equal(fixture->error.code, KS_NOT_FOUND);
    assert_null(issue(fixture, "a/b", csr, 0));
    control_assert_violated(fixture, "user_name");
    assert_null(control_ask(fixture, "IssueCertificate",
                            ADMIN_REQUEST(IssueCertificate, issue_certificate, .account_id = "1",
                                          .user_name = "alice", .csr_pem = csr)));
    control_assert_violated(fixture, "account_id");
}

/* ---- Ending ---- */

static void a_revoked_certificate_says_since_when(void **state)
{
    struct control_fixture *fixture = *state;
    const issued *response = control_issue(fixture, ACCOUNT, "alice");
    atomic_fetch_add(&fixture->wall_ms, 5000);
    int64_t revoked_ms = atomic_load(&fixture->wall_ms);

    assert_int_equal(revoke(fixture, response->serial), KS_OK);

    look_at(fixture, response->serial, "alice");
    assert_int_equal(looked.certificate->revoked_at_ms, revoked_ms);
    assert_string_equal(looked.certificate->user, "alice");
    atomic_fetch_add(&fixture->wall_ms, 5000);
    assert_int_equal(revoke(fixture, response->serial), KS_OK);
    look_at(fixture, response->serial, "alice");
    assert_int_equal(looked.certificate->revoked_at_ms, revoked_ms);
}

/* What finds everything as it wants it is recorded, too: its request_id is used up. */
static void a_revocation_that_changed_nothing_is_recorded(void **state)
{
    struct control_fixture *fixture = *state;
    const issued *response = control_issue(fixture, ACCOUNT, "alice");
    const issued *other = control_issue(fixture, ACCOUNT, "alice");
    assert_int_equal(revoke(fixture, response->serial), KS_OK);
    char *const serials[] = {response->serial, response->serial, other->serial};
    const ks_code codes[] = {KS_OK, KS_OK, KS_CONFLICT};
    for (size_t i = 0; i < KS_COUNT(serials); i++) {
        (void)control_ask(fixture, "RevokeCertificate",
                          ADMIN_REQUEST(RevokeCertificate, revoke_certificate,
                                        .request_id = "nothing-to-do", .serial = serials[i]));
        assert_int_equal(fixture->error.code, codes[i]);
    }
}

static void only_a_certificate_that_stands_is_revoked(void **state)
{
    static char *const malformed[] = {
        "", "a", "A0", "a0/", "certificate/a0", "0123456789abcdef0123456789abcdef012345678"};
    for (size_t i = 0; i < KS_COUNT(malformed); i++) {
        assert_int_equal(revoke(*state, malformed[i]), KS_VALIDATION);
        control_assert_violated(*state, "serial");
    }
    assert_int_equal(revoke(*state, "a0"), KS_NOT_FOUND);
    assert_int_equal(revoke(*state, "0123456789abcdef0123456789abcdef01234567"), KS_NOT_FOUND);
}

/* Who leaves and whoever comes under the same name later are not the same: the old key stays out. */
static void a_certificate_ends_with_its_user_also_for_a_later_one_of_that_name(void **state)
{
    struct control_fixture *fixture = *state;
    assert_int_equal(control_create_user(fixture, ACCOUNT, "bob"), KS_OK);
    const issued *before = control_issue(fixture, ACCOUNT, "bob");
    assert_int_equal(control_delete_user(fixture, ACCOUNT, "bob"), KS_OK);
    assert_int_equal(control_create_user(fixture, ACCOUNT, "bob"), KS_OK);
    const issued *after = control_issue(fixture, ACCOUNT, "bob");

    look_at(fixture, before->serial, "bob");
    assert_string_not_equal(looked.certificate->user_id, looked.user_record->user_id);
    look_at(fixture, after->serial, "bob");
    assert_string_equal(looked.certificate->user_id, looked.user_record->user_id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_certificate_is_of_the_root_and_names_its_user),
        cmocka_unit_test(a_certificate_has_a_record),
        cmocka_unit_test(a_life_is_a_minute_to_a_year),
        cmocka_unit_test(a_request_that_is_none_is_refused),
        cmocka_unit_test(only_a_user_that_stands_gets_a_certificate),
        cmocka_unit_test(a_revoked_certificate_says_since_when),
        cmocka_unit_test(a_revocation_that_changed_nothing_is_recorded),
        cmocka_unit_test(only_a_certificate_that_stands_is_revoked),
        cmocka_unit_test(a_certificate_ends_with_its_user_also_for_a_later_one_of_that_name),
        cmocka_unit_test(a_life_beyond_the_roots_is_refused_as_such),
    };
    return cmocka_run_group_tests(tests, setup, control_teardown);
}
