/* One connection over a socket pair: pieces, garbage, and a client that does not read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "pkg/base/mem.h"
#include "pkg/frame/frame.h"
#include "services/hsm/fixture/hsm_fixture.h"
#include "services/hsm/socket/connection.h"

#define PLAINTEXT_LEN 4096U

static struct hsm_root root;
static struct hsm_node node;
static struct ks_connection connection;
static int client;

/* A frame with one request for that many random bytes. */
static void pack(uint32_t random_len, size_t count, struct ks_buffer *out)
{
    Keystead__Internal__V1__HsmGenerateRandom wish =
        KEYSTEAD__INTERNAL__V1__HSM_GENERATE_RANDOM__INIT;
    HsmRequest request = HSM_REQUEST(GENERATE_RANDOM, generate_random, &wish);
    HsmRequest *requests[KS_HSM_BATCH_MAX];
    HsmBatch batch = KEYSTEAD__INTERNAL__V1__HSM_BATCH__INIT;
    uint8_t *place = NULL;
    wish.number_of_bytes = random_len;
    for (size_t i = 0; i < count; i++) {
        requests[i] = &request;
    }
    batch.n_requests = count;
    batch.requests = requests;
    size_t len = protobuf_c_message_get_packed_size(&batch.base);
    assert_int_equal(ks_frame_begin(out, len).code, KS_OK);
    assert_int_equal(ks_buffer_extend(out, len, &place).code, KS_OK);
    protobuf_c_message_pack(&batch.base, place);
}

static void send_bytes(ks_bytes bytes)
{
    assert_int_equal(send(client, bytes.ptr, bytes.len, MSG_DONTWAIT), (ssize_t)bytes.len);
}

/* Everything that has come to the client by now. */
static void receive(struct ks_buffer *in)
{
    for (;;) {
        uint8_t *place = NULL;
        assert_int_equal(ks_buffer_extend(in, 65536, &place).code, KS_OK);
        ssize_t got = recv(client, place, 65536, MSG_DONTWAIT);
        in->len -= 65536 - (got > 0 ? (size_t)got : 0);
        if (got <= 0) {
            return;
        }
    }
}

static size_t frames_in(const struct ks_buffer *in)
{
    ks_bytes rest = ks_buffer_bytes(in);
    size_t count = 0;
    for (;; count++) {
        ks_bytes frame;
        assert_int_equal(ks_frame_next(rest, &frame).code, KS_OK);
        if (!frame.ptr) {
            return count;
        }
        rest = (ks_bytes){frame.ptr + frame.len, rest.len - KS_FRAME_HEAD_LEN - frame.len};
    }
}

static void answers_a_frame_that_comes_byte_by_byte(void **state)
{
    (void)state;
    KS_BUFFER_AUTO out = {.len_max = 4096};
    KS_BUFFER_AUTO in = {.len_max = 1 << 20};
    pack(16, 1, &out);

    for (size_t i = 0; i < out.len; i++) {
        assert_int_equal(frames_in(&in), 0);
        send_bytes((ks_bytes){out.ptr + i, 1});
        assert_int_equal(ks_connection_serve(&connection, node.hsm).code, KS_OK);
        receive(&in);
    }

    assert_int_equal(frames_in(&in), 1);
}

static void answers_all_frames_that_come_at_once(void **state)
{
    (void)state;
    KS_BUFFER_AUTO out = {.len_max = 65536};
    KS_BUFFER_AUTO in = {.len_max = 1 << 20};
    for (size_t i = 0; i < 100; i++) {
        pack(16, 1, &out);
    }
    send_bytes(ks_buffer_bytes(&out));

    assert_int_equal(ks_connection_serve(&connection, node.hsm).code, KS_OK);

    receive(&in);
    assert_int_equal(frames_in(&in), 100);
}

/* A request for the longest plaintext under the record at place 0 of the batch. */
static void pack_encrypts(const struct hsm_key *key, size_t count, struct ks_buffer *out)
{
    static uint8_t plaintext[PLAINTEXT_LEN];
    uint32_t places[] = {0};
    KeyUse use = hsm_use(key, 1);
    HsmEncrypt encrypt = KEYSTEAD__INTERNAL__V1__HSM_ENCRYPT__INIT;
    HsmRequest request = HSM_REQUEST(ENCRYPT, encrypt, &encrypt);
    HsmRequest *requests[KS_HSM_BATCH_MAX];
    HsmRecord record = KEYSTEAD__INTERNAL__V1__HSM_RECORD__INIT;
    HsmRecord *records[] = {&record};
    HsmBatch batch = KEYSTEAD__INTERNAL__V1__HSM_BATCH__INIT;
    encrypt.key = &use;
    encrypt.plaintext = (ProtobufCBinaryData){sizeof(plaintext), plaintext};
    request.records = places;
    request.n_records = 1;
    record.name = (char *)(uintptr_t)key->name;
    record.record = key->record;
    for (size_t i = 0; i < count; i++) {
        requests[i] = &request;
    }
    batch.n_requests = count;
    batch.requests = requests;
    batch.n_records = 1;
    batch.records = records;
    size_t len = protobuf_c_message_get_packed_size(&batch.base);
    uint8_t *place = NULL;
    assert_int_equal(ks_frame_begin(out, len).code, KS_OK);
    assert_int_equal(ks_buffer_extend(out, len, &place).code, KS_OK);
    protobuf_c_message_pack(&batch.base, place);
}

/*
 * Each blob is longer than its plaintext: a frame of requests that is nearly full has more replies
 * than a frame takes. Each request is answered all the same, and the others of the batch with it.
 */
static void answers_every_request_of_a_batch_whose_replies_do_not_fit_a_frame(void **state)
{
    (void)state;
    enum { COUNT = 253 };
    KS_BUFFER_AUTO out = {.len_max = KS_FRAME_MAX};
    KS_BUFFER_AUTO in = {.len_max = 4 << 20};
    const struct hsm_key key = hsm_new_key(&node, 1);
    pack_encrypts(&key, COUNT, &out);
    size_t sent = 0;

    for (unsigned turn = 0; turn < 2000 && frames_in(&in) == 0; turn++) {
        ssize_t n = send(client, out.ptr + sent, out.len - sent, MSG_DONTWAIT);
        sent += n > 0 ? (size_t)n : 0;
        assert_int_equal(ks_connection_serve(&connection, node.hsm).code, KS_OK);
        receive(&in);
    }

    ks_bytes frame;
    assert_int_equal(ks_frame_next(ks_buffer_bytes(&in), &frame).code, KS_OK);
    assert_non_null(frame.ptr);
    Keystead__Internal__V1__HsmBatchReply *reply =
        keystead__internal__v1__hsm_batch_reply__unpack(NULL, frame.len, frame.ptr);
    assert_non_null(reply);
    assert_int_equal(reply->n_replies, COUNT);
    size_t good = 0;
    for (size_t i = 0; i < COUNT; i++) {
        uint32_t code = reply->replies[i]->code;
        assert_true(code == KS_OK || code == KS_LIMIT_EXCEEDED);
        good += code == KS_OK;
    }
    assert_true(good > COUNT * 9 / 10);
    assert_true(good < COUNT);
    keystead__internal__v1__hsm_batch_reply__free_unpacked(reply, NULL);
}

static void cuts_off_who_sends_garbage(void **state)
{
    (void)state;
    static const ks_bytes garbage[] = {
        {(const uint8_t *)"GET / HTTP/1.1\r\n\r\n", 18},
        {(const uint8_t *)"\0\0\0\0", 4},
        {(const uint8_t *)"\0\x10\0\1", 4},
        {(const uint8_t *)"\0\0\0\3\xff\xff\xff", 7},
        {(const uint8_t *)"\0\0\0\2\x12\0", 6},
    };
    for (size_t i = 0; i < KS_COUNT(garbage); i++) {
        struct ks_connection other;
        int pair[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
        ks_connection_init(&other, pair[0]);
        assert_int_equal(send(pair[1], garbage[i].ptr, garbage[i].len, 0), garbage[i].len);

        assert_int_equal(ks_connection_serve(&other, node.hsm).code, KS_VALIDATION);

        ks_connection_done(&other);
        close(pair[1]);
    }
}

static void says_when_the_client_has_gone(void **state)
{
    (void)state;
    close(client);
    client = -1;

    assert_int_equal(ks_connection_serve(&connection, node.hsm).code, KS_CANCELLED);
}

/*
 * A client that asks and does not read must not make the hsm hold more and more; once it reads, all
 * of its answers are there.
 */
static void takes_nothing_more_from_who_does_not_read(void **state)
{
    (void)state;
    KS_BUFFER_AUTO out = {.len_max = 1 << 20};
    KS_BUFFER_AUTO in = {.len_max = 64 << 20};
    for (size_t i = 0; i < 100; i++) {
        pack(1024, KS_HSM_BATCH_MAX, &out);
    }
    size_t sent = 0;
    size_t most = 0;

    for (unsigned turn = 0; turn < 100; turn++) {
        ssize_t n = send(client, out.ptr + sent, out.len - sent, MSG_DONTWAIT);
        sent += n > 0 ? (size_t)n : 0;
        assert_int_equal(ks_connection_serve(&connection, node.hsm).code, KS_OK);
        most = connection.out.len > most ? connection.out.len : most;
    }

    assert_true(ks_connection_waits_to_write(&connection));
    assert_true(most <= 2 * KS_FRAME_MAX);
    assert_true(connection.in.len <= 65536);
    for (unsigned turn = 0; turn < 2000 && frames_in(&in) < 100; turn++) {
        receive(&in);
        ssize_t n = send(client, out.ptr + sent, out.len - sent, MSG_DONTWAIT);
        sent += n > 0 ? (size_t)n : 0;
        assert_int_equal(ks_connection_serve(&connection, node.hsm).code, KS_OK);
    }
    receive(&in);
    assert_int_equal(frames_in(&in), 100);
}

static void gives_back_the_memory_of_a_large_frame(void **state)
{
    (void)state;
    KS_BUFFER_AUTO out = {.len_max = 1 << 20};
    KS_BUFFER_AUTO in = {.len_max = 8 << 20};
    pack(1024, KS_HSM_BATCH_MAX, &out);
    send_bytes(ks_buffer_bytes(&out));

    for (unsigned turn = 0; turn < 100; turn++) {
        assert_int_equal(ks_connection_serve(&connection, node.hsm).code, KS_OK);
        receive(&in);
    }

    assert_int_equal(frames_in(&in), 1);
    assert_true(connection.out.capacity <= 256 * 1024);
}

static int connect_pair(void **state)
{
    (void)state;
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) != 0) {
        return -1;
    }
    ks_connection_init(&connection, pair[0]);
    client = pair[1];
    return 0;
}

static int disconnect(void **state)
{
    (void)state;
    ks_connection_done(&connection);
    if (client >= 0) {
        close(client);
    }
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    hsm_root_init(&root, FIXTURE_NOW_S);
    hsm_node_init(&node, &root, "ap-seoul-1", "ap-seoul-1a");
    assert_int_equal(hsm_make_domain_key(&node, 1)->code, KS_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hsm_node_done(&node);
    hsm_root_done(&root);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, connect_pair, disconnect)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(answers_a_frame_that_comes_byte_by_byte),
        TEST(answers_all_frames_that_come_at_once),
        TEST(answers_every_request_of_a_batch_whose_replies_do_not_fit_a_frame),
        TEST(cuts_off_who_sends_garbage),
        TEST(says_when_the_client_has_gone),
        TEST(takes_nothing_more_from_who_does_not_read),
        TEST(gives_back_the_memory_of_a_large_frame),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
