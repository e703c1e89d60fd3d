/* The fake hsm refuses what the real one refuses, and its faults are those that were asked for. */
#include "tests/fakes/hsm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "services/hsm/fixture/hsm_fixture.h"
#include "services/hsm/fixture/refusal_suite.h"

#define REGION "ap-seoul-1"

static struct ks_fake_hsm *hsm;
static char socket_path[64];
static struct hsm_node node; /* what asks it */

static int connect_to_it(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, socket_path, sizeof(socket_path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void reconnect(void)
{
    close(node.fd);
    node.fd = connect_to_it();
}

static int set_up(void **state)
{
    (void)state;
    snprintf(socket_path, sizeof(socket_path), "/tmp/keystead-%d-f.sock", (int)getpid());
    hsm = ks_fake_hsm_new(NULL, socket_path, REGION, REGION "a");
    node = hsm_node_behind(connect_to_it(), REGION);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    close(node.fd);
    hsm_node_done(&node);
    ks_fake_hsm_free(hsm);
    unlink(socket_path);
    return 0;
}

static void refuses_what_every_hsm_refuses(void **state)
{
    (void)state;
    refusal_suite_run(&node);
}

static ks_code encrypt(const struct hsm_key *key)
{
    return (ks_code)hsm_encrypt(&node, key, KS_LITERAL("x"))->code;
}

static void fails_as_many_of_a_clients_requests_as_it_was_told_to(void **state)
{
    (void)state;
    assert_int_equal(hsm_make_domain_key(&node, 1)->code, KS_OK);
    const struct hsm_key key = hsm_new_key(&node, 1);
    size_t before = ks_fake_hsm_request_count(hsm);

    ks_fake_hsm_fail(hsm, 1, 2, KS_INTERNAL);

    assert_int_equal(encrypt(&key), KS_OK);
    assert_int_equal(encrypt(&key), KS_INTERNAL);
    assert_int_equal(hsm_ask_status(&node)->code, KS_OK);
    assert_int_equal(encrypt(&key), KS_INTERNAL);
    assert_int_equal(encrypt(&key), KS_OK);
    assert_int_equal(ks_fake_hsm_request_count(hsm), before + 5);
    assert_int_equal(ks_fake_hsm_batch_count(hsm), before + 5);
}

/* One that was made to fail has done nothing. */
static void a_failed_request_has_no_effect(void **state)
{
    (void)state;
    assert_int_equal(hsm_make_domain_key(&node, 1)->code, KS_OK);
    ks_fake_hsm_fail(hsm, 0, 1, KS_UNAVAILABLE);

    const HsmReply *reply = hsm_create_key(&node, 1);

    assert_int_equal(reply->code, KS_UNAVAILABLE);
    assert_int_equal(reply->n_records, 0);
}

static void a_restart_keeps_the_node_key_and_a_replacement_does_not(void **state)
{
    (void)state;
    const HsmReply *made = hsm_make_domain_key(&node, 1);
    assert_int_equal(made->code, KS_OK);
    assert_true(ks_fake_hsm_holds(hsm, 1));

    ks_fake_hsm_restart(hsm);
    reconnect();
    assert_false(ks_fake_hsm_holds(hsm, 1));
    assert_int_equal(hsm_load_domain_key(&node, 1, made->wrapped)->code, KS_OK);
    assert_true(ks_fake_hsm_holds(hsm, 1));

    ks_fake_hsm_replace(hsm);
    reconnect();
    assert_int_equal(hsm_load_domain_key(&node, 1, made->wrapped)->code, KS_INVALID_CIPHERTEXT);
    assert_false(ks_fake_hsm_holds(hsm, 1));
}

/* The real program reads it in its last life; no later one answers it. */
static void what_came_before_a_restart_is_not_answered_after_it(void **state)
{
    (void)state;
    char byte;
    const uint8_t status[] = {0, 0, 0, 4, 0x0a, 2, 0x0a, 0};
    assert_int_equal(hsm_ask_status(&node)->code, KS_OK);
    size_t before = ks_fake_hsm_request_count(hsm);
    ks_fake_hsm_hang(hsm, true);
    assert_int_equal(send(node.fd, status, sizeof(status), MSG_NOSIGNAL), sizeof(status));

    ks_fake_hsm_restart(hsm);
    ks_fake_hsm_hang(hsm, false);

    assert_int_equal(recv(node.fd, &byte, 1, 0), 0);
    assert_int_equal(ks_fake_hsm_request_count(hsm), before);
    reconnect();
    assert_int_equal(hsm_ask_status(&node)->code, KS_OK);
}

static void what_is_no_batch_closes_the_connection(void **state)
{
    (void)state;
    char byte;
    assert_int_equal(send(node.fd, "\0\0\0\4\xff\xff\xff\xff", 8, MSG_NOSIGNAL), 8);
    assert_int_equal(recv(node.fd, &byte, 1, 0), 0);
    reconnect();
    assert_int_equal(send(node.fd, "\xff\xff\xff\xff", 4, MSG_NOSIGNAL), 4);
    assert_int_equal(recv(node.fd, &byte, 1, 0), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(refuses_what_every_hsm_refuses),
        TEST(fails_as_many_of_a_clients_requests_as_it_was_told_to),
        TEST(a_failed_request_has_no_effect),
        TEST(a_restart_keeps_the_node_key_and_a_replacement_does_not),
        TEST(what_came_before_a_restart_is_not_answered_after_it),
        TEST(what_is_no_batch_closes_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
