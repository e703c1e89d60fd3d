/* Who may connect to whom, and how a changed file comes into use. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "pkg/base/mem.h"
#include "pkg/rpc/rpc_fixture.h"

#define RESPONSE_MAX 1000U
#define COMMAND_MAX  1000U
#define POLL_MS      50

static struct gauge handled = GAUGE_INIT;
static struct gauge admitted = GAUGE_INIT;

static void who(void *user, struct ks_rpc_call *call)
{
    (void)user;
    gauge_raise(&handled);
    ks_rpc_call_reply(call, ks_bytes_of(ks_rpc_call_peer(call)->spiffe));
}

static const struct ks_rpc_method methods[] = {{.path = "/test.Service/Who", .unary = who}};

static ks_result admit(void *user, const struct ks_rpc_peer *peer, void **ret_session)
{
    (void)user;
    (void)peer;
    (void)ret_session;
    gauge_raise(&admitted);
    return KS_RES(OK);
}

static int start(void **state)
{
    (void)state;
    gauge_reset(&handled);
    gauge_reset(&admitted);
    return 0;
}

static struct ks_rpc_server *serve(struct ks_rpc_tls tls)
{
    return fixture_server((struct ks_rpc_server_options){
        .tls = tls, .methods = methods, .method_count = KS_COUNT(methods), .admit = admit});
}

/* What one call on a channel of its own ends with. */
static ks_code connect_with(const struct ks_rpc_server *server, struct ks_rpc_tls tls,
                            const char *spiffe)
{
    KS_BUFFER_AUTO response = {.len_max = RESPONSE_MAX};
    struct ks_rpc_channel *channel = fixture_channel_to(ks_rpc_server_port(server), tls, spiffe);
    ks_result r = fixture_call(channel, "/test.Service/Who", (ks_bytes){0}, &response, NULL);
    ks_rpc_channel_free(channel);
    return r.code;
}

static void a_client_of_another_root_gets_nowhere(void **state)
{
    (void)state;
    struct ks_rpc_server *server = serve(fixture_tls("root", "server"));

    assert_int_equal(
        connect_with(server, fixture_tls("root", "outsider"), "spiffe://test/server/a"),
        KS_UNAVAILABLE);
    assert_int_equal(gauge_read(&admitted), 0);
    assert_int_equal(connect_with(server, fixture_tls("root", "client"), "spiffe://test/server/a"),
                     KS_OK);
    ks_rpc_server_free(server);
}

static void a_server_of_another_root_hears_no_request(void **state)
{
    (void)state;
    struct ks_rpc_server *server = serve(fixture_tls("root", "server"));

    assert_int_equal(
        connect_with(server, fixture_tls("other_root", "client"), "spiffe://test/server/a"),
        KS_UNAVAILABLE);
    assert_int_equal(gauge_read(&admitted), 0);
    ks_rpc_server_free(server);
}

static void a_server_of_another_name_hears_no_request(void **state)
{
    (void)state;
    const char *const wrong[] = {"server_elsewhere", "server_two_names", "nameless"};

    for (size_t i = 0; i < KS_COUNT(wrong); i++) {
        struct ks_rpc_server *server = serve(fixture_tls("root", wrong[i]));
        assert_int_equal(
            connect_with(server, fixture_tls("root", "client"), "spiffe://test/server/"),
            KS_UNAVAILABLE);
        assert_int_equal(gauge_read(&admitted), 0);
        ks_rpc_server_free(server);
    }
}

static void the_expected_name_is_whole_or_ends_in_a_slash(void **state)
{
    (void)state;
    struct ks_rpc_server *server = serve(fixture_tls("root", "server"));
    static const struct {
        const char *expected;
        ks_code code;
    } rows[] = {
        {"spiffe://test/server/a", KS_OK},
        {"spiffe://test/server/", KS_OK},
        {"spiffe://test/", KS_OK},
        {"spiffe://test/server/a/", KS_UNAVAILABLE},
        {"spiffe://test/server/b", KS_UNAVAILABLE},
        {"spiffe://test/server", KS_UNAVAILABLE},
        {"spiffe://test/serve", KS_UNAVAILABLE},
        {"spiffe://test/server/aa", KS_UNAVAILABLE},
    };

    for (size_t i = 0; i < KS_COUNT(rows); i++) {
        assert_int_equal(connect_with(server, fixture_tls("root", "client"), rows[i].expected),
                         rows[i].code);
    }
    ks_rpc_server_free(server);
}

/* Whether openssl's own client gets a handshake done with these flags. */
static bool openssl_connects(const struct ks_rpc_server *server, const char *flags)
{
    struct ks_rpc_tls tls = fixture_tls("root", "client");
    const char *out = fixture_path("s_client.out");
    char command[COMMAND_MAX];
    snprintf(command, sizeof(command),
             "echo | openssl s_client -connect 127.0.0.1:%d -CAfile %s -cert %s -key %s "
             "-alpn h2 -verify_return_error %s > %s 2>&1; grep -q '^New, TLSv1' %s",
             ks_rpc_server_port(server), tls.ca_file, tls.cert_file, tls.key_file, flags, out, out);
    return system(command) == 0;
}

static void tls_1_2_is_refused(void **state)
{
    (void)state;
    struct ks_rpc_server *server = serve(fixture_tls("root", "server"));

    assert_true(openssl_connects(server, "-tls1_3"));
    assert_false(openssl_connects(server, "-tls1_2"));
    assert_false(openssl_connects(server, "-tls1_2 -cipher ALL:@SECLEVEL=0"));
    ks_rpc_server_free(server);
}

/* Whether a connection made now is shown the certificate of that name, by its serial number. */
static bool shows(const struct ks_rpc_server *server, const char *name)
{
    assert_true(openssl_connects(server, "-tls1_3"));
    char command[COMMAND_MAX];
    snprintf(command, sizeof(command),
             "test $(openssl x509 -in %s -noout -serial) = $(openssl x509 -in %s -noout -serial)",
             fixture_path("s_client.out"), fixture_tls("root", name).cert_file);
    return system(command) == 0;
}

static void put_live(const char *key, const char *certificate)
{
    char file[64];
    snprintf(file, sizeof(file), "%s.key", key);
    fixture_replace("live.key", file);
    snprintf(file, sizeof(file), "%s.pem", certificate);
    fixture_replace("live.pem", file);
}

static void a_server_takes_new_files_up_and_survives_a_bad_pair(void **state)
{
    (void)state;
    put_live("server", "server");
    struct ks_rpc_server *server = serve(fixture_tls("root", "live"));

    assert_true(shows(server, "server"));
    put_live("server_renewed", "server_renewed");
    assert_true(shows(server, "server_renewed"));
    put_live("client", "server"); /* The key does not fit. */
    assert_true(shows(server, "server_renewed"));
    fixture_replace("live.pem", "root.key"); /* No certificate at all. */
    assert_true(shows(server, "server_renewed"));
    put_live("server", "server");
    assert_true(shows(server, "server"));
    ks_rpc_server_free(server);
}

/* Asks for the name under which the server knows this channel, until it is the wanted one. */
static bool becomes(struct ks_rpc_channel *channel, const char *name, int64_t within_ms)
{
    for (int64_t waited = 0; waited < within_ms; waited += POLL_MS) {
        KS_BUFFER_AUTO response = {.len_max = RESPONSE_MAX};
        assert_int_equal(
            fixture_call(channel, "/test.Service/Who", (ks_bytes){0}, &response, NULL).code, KS_OK);
        if (ks_bytes_equal(ks_buffer_bytes(&response), ks_bytes_of(name))) {
            return true;
        }
        nanosleep(&(struct timespec){0, POLL_MS * 1000000L}, NULL);
    }
    return false;
}

static void a_channel_takes_new_files_up_and_survives_a_bad_pair(void **state)
{
    (void)state;
    struct ks_rpc_server *server = serve(fixture_tls("root", "server"));
    put_live("client", "client");
    struct ks_rpc_channel *channel = fixture_channel(server, "live");

    assert_true(becomes(channel, "spiffe://test/client/a", FIXTURE_WAIT_MS));
    put_live("root", "client_renewed"); /* The key does not fit. */
    assert_false(becomes(channel, "spiffe://test/client/renewed", 2 * KS_RPC_RENEW_MS));
    fixture_replace("live.key", "client_renewed.key");
    assert_true(becomes(channel, "spiffe://test/client/renewed", FIXTURE_WAIT_MS));
    ks_rpc_channel_free(channel);
    ks_rpc_server_free(server);
}

static void a_channel_without_its_files_is_not_made(void **state)
{
    (void)state;
    const struct ks_rpc_channel_options options = {.address = "127.0.0.1:1",
                                                   .tls = fixture_tls("root", "nobody"),
                                                   .server_spiffe = "spiffe://test/",
                                                   .loop = fixture_client_loop};
    struct ks_rpc_channel *channel = NULL;

    assert_int_equal(ks_rpc_channel_new(&options, &channel).code, KS_VALIDATION);
    assert_null(channel);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_client_of_another_root_gets_nowhere, start),
        cmocka_unit_test_setup(a_server_of_another_root_hears_no_request, start),
        cmocka_unit_test_setup(a_server_of_another_name_hears_no_request, start),
        cmocka_unit_test_setup(the_expected_name_is_whole_or_ends_in_a_slash, start),
        cmocka_unit_test_setup(tls_1_2_is_refused, start),
        cmocka_unit_test_setup(a_server_takes_new_files_up_and_survives_a_bad_pair, start),
        cmocka_unit_test_setup(a_channel_takes_new_files_up_and_survives_a_bad_pair, start),
        cmocka_unit_test_setup(a_channel_without_its_files_is_not_made, start),
    };
    return cmocka_run_group_tests_name("tls", tests, fixture_setup, fixture_teardown);
}
