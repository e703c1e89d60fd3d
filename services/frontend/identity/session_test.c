#include "services/frontend/identity/session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/base/mem.h"
#include "pkg/crypto/crypto.h"
#include "pkg/crypto/ec.h"
#include "pkg/crypto/x509.h"
#include "pkg/rpc/server.h"
#include "services/frontend/identity/identity_fixture.h"

#define OWN    "111122223333"
#define SPIFFE "spiffe://keystead/account/" OWN "/user/alice"
#define NOW_MS 1000000LL

static char *pem;                                     /* a user's certificate */
static char certificate_key[KS_IDENTITY_KEY_MAX + 1]; /* certificate/<its serial> */
static struct ks_rcu *rcu;
static struct ks_session *session;

static struct ks_crypto *crypto;

static void fixture_pem(void)
{
    struct ks_ec_key *key = NULL;
    assert_int_equal(ks_ec_generate(KS_EC_P256, &key).code, KS_OK);
    struct ks_x509_ca_spec ca = {.subject = {.common_name = "test"}, .not_after_s = 4000000000};
    KS_BUFFER_AUTO ca_pem = {.len_max = KS_X509_PEM_MAX};
    KS_BUFFER_AUTO leaf = {.len_max = KS_X509_PEM_MAX};
    assert_int_equal(ks_x509_make_ca(key, &ca, &ca_pem).code, KS_OK);
    struct ks_x509_info info;
    assert_int_equal(ks_x509_read(ks_buffer_bytes(&ca_pem), &info).code, KS_OK);
    struct ks_x509_issuer issuer = {ks_buffer_bytes(&ca_pem), key};
    struct ks_x509_leaf_spec spec = {
        .names = {.uri = SPIFFE}, .not_after_s = 4000000000, .client = true};
    char serial[KS_X509_SERIAL_HEX + 1];
    assert_int_equal(
        ks_x509_issue(&issuer, (ks_bytes){info.spki, info.spki_len}, &spec, &leaf, serial).code,
        KS_OK);
    pem = ks_bytes_dup(ks_buffer_bytes(&leaf));
    (void)snprintf(certificate_key, sizeof(certificate_key), "certificate/%s", serial);
    ks_ec_free(key);
}

static int group_setup(void **state)
{
    (void)state;
    assert_int_equal(ks_crypto_init(&(struct ks_crypto_options){0}).code, KS_OK);
    crypto = ks_crypto_new();
    fixture_pem();
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    ks_free(pem);
    ks_crypto_free(crypto);
    return 0;
}

static ks_code admit(const char *spiffe, const char *certificate)
{
    struct ks_rpc_peer peer = {.spiffe = spiffe, .certificate_pem = certificate, .address = ""};
    void *admitted = NULL;
    ks_result r = ks_session_admit((void *)(uintptr_t) "aws", &peer, &admitted);
    assert_int_equal(admitted != NULL, r.code == KS_OK);
    session = admitted;
    return r.code;
}

static int setup(void **state)
{
    (void)state;
    rcu = ks_rcu_new(ks_identities_free);
    assert_int_equal(admit(SPIFFE, pem), KS_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ks_session_forget(NULL, session);
    ks_rcu_free(rcu);
    return 0;
}

/* The records of the world, each of which may be left out or be another. */
struct world {
    bool no_account;
    bool no_user;
    bool no_certificate;
    const char *user_id; /* of the user; NULL: the certificate's */
    const char *certificate_user;
    const char *certificate_account;
    int64_t revoked_at_ms;
};

static bool accept_all(void *user, const struct ks_set_sum *sum)
{
    (void)user;
    (void)sum;
    return true;
}

static void add(struct ks_identity_draft *draft, const char *key, const struct ks_buffer *value)
{
    assert_int_equal(
        ks_identity_draft_add(draft, crypto, ks_bytes_of(key), ks_buffer_bytes(value), 1).code,
        KS_OK);
}

static void publish(const struct world *world)
{
    struct ks_identity_draft *draft = ks_identity_draft_new();
    KS_BUFFER_AUTO account = {.len_max = 4096};
    KS_BUFFER_AUTO user = {.len_max = 4096};
    KS_BUFFER_AUTO certificate = {.len_max = 4096};
    fixture_account(OWN, &account);
    fixture_user(OWN, "alice", world->user_id ? world->user_id : "u-1", &user);
    fixture_certificate(world->certificate_account ? world->certificate_account : OWN,
                        world->certificate_user ? world->certificate_user : "alice", "u-1",
                        world->revoked_at_ms, &certificate);
    if (!world->no_account) {
        add(draft, "account/" OWN, &account);
    }
    if (!world->no_user) {
        add(draft, "user/" OWN "/alice", &user);
    }
    if (!world->no_certificate) {
        add(draft, certificate_key, &certificate);
    }
    struct ks_identities *old = (struct ks_identities *)(uintptr_t)ks_rcu_current(rcu);
    const struct ks_identity_judge judge = {.crypto = crypto, .accepts = accept_all};
    ks_rcu_publish(rcu, ks_identities_next(old, draft, true, &judge));
    ks_identity_draft_free(draft);
}

static ks_code check(void)
{
    return ks_session_check(session, rcu, NOW_MS).code;
}

static void knows_account_user_and_principal(void **state)
{
    (void)state;
    assert_string_equal(session->account, OWN);
    assert_string_equal(session->user, "alice");
    assert_string_equal(session->principal.text, "arn:aws:iam::" OWN ":user/alice");
    assert_string_equal(session->certificate_key.text, certificate_key);
}

static void admits_users_only(void **state)
{
    (void)state;
    static const char *const others[] = {
        "",
        "spiffe://keystead/operator/ops",
        "spiffe://keystead/control",
        "spiffe://keystead/region/ap-seoul-1/keystore/ap-seoul-1a",
        "spiffe://keystead/account/" OWN "/user/",
        "spiffe://other/account/" OWN "/user/alice",
    };
    struct ks_session *kept = session;
    for (size_t i = 0; i < KS_COUNT(others); i++) {
        assert_int_equal(admit(others[i], pem), KS_ACCESS_DENIED);
    }
    assert_int_equal(admit(SPIFFE, "no certificate"), KS_UNAUTHENTICATED);
    session = kept;
}

static void lets_nobody_in_before_identities_are_known(void **state)
{
    (void)state;
    assert_int_equal(check(), KS_UNAVAILABLE);
}

static void lets_a_user_in_whose_records_stand(void **state)
{
    (void)state;
    publish(&(struct world){0});

    assert_int_equal(check(), KS_OK);
    assert_int_equal(check(), KS_OK);
}

static void lets_nobody_in_whose_records_do_not_stand(void **state)
{
    (void)state;
    static const struct world worlds[] = {
        {.no_account = true}, {.no_user = true},           {.no_certificate = true},
        {.user_id = "u-2"}, /* another user of the same name */
        {.user_id = ""},      {.certificate_user = "bob"}, {.certificate_account = "999988887777"},
        {.revoked_at_ms = 1},
    };
    for (size_t i = 0; i < KS_COUNT(worlds); i++) {
        publish(&worlds[i]);
        if (check() != KS_UNAUTHENTICATED) {
            fail_msg("world %zu", i);
        }
    }
}

/* On a connection that stands: the next call is refused. */
static void a_revocation_counts_at_once(void **state)
{
    (void)state;
    publish(&(struct world){0});
    assert_int_equal(check(), KS_OK);

    publish(&(struct world){.revoked_at_ms = 1});
    assert_int_equal(check(), KS_UNAUTHENTICATED);
    assert_int_equal(check(), KS_UNAUTHENTICATED);

    publish(&(struct world){0});
    assert_int_equal(check(), KS_OK);
}

/* TLS looks at the validity once, when the connection is made. */
static void a_certificate_ends_on_a_connection_that_stands(void **state)
{
    (void)state;
    publish(&(struct world){0});

    assert_int_equal(ks_session_check(session, rcu, FIXTURE_NOT_AFTER_MS - 1).code, KS_OK);
    assert_int_equal(ks_session_check(session, rcu, FIXTURE_NOT_AFTER_MS).code, KS_UNAUTHENTICATED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(knows_account_user_and_principal),
        TEST(admits_users_only),
        TEST(lets_nobody_in_before_identities_are_known),
        TEST(lets_a_user_in_whose_records_stand),
        TEST(lets_nobody_in_whose_records_do_not_stand),
        TEST(a_revocation_counts_at_once),
        TEST(a_certificate_ends_on_a_connection_that_stands),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
