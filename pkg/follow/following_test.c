/* What senders may send, in every order that makes sense and in those that do not. */
#include "pkg/follow/following.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "keystead/internal/v1/internal.pb-c.h"
#include "pkg/base/mem.h"
#include "pkg/codec/codec.h"

#define MESSAGE_MAX 4096U
#define ARENA_MAX   (1U << 20)
#define LONGEST     "0123456789012345678901234567890123456789012345678901234567890123"
#define REPEATS_MAX 10

typedef Keystead__Internal__V1__WatchIdentitiesRequest watch_request;
typedef Keystead__Internal__V1__WatchIdentitiesResponse watch_response;
typedef Keystead__Internal__V1__IdentityRecord identity_record;

static struct ks_following following;
static struct ks_arena arena;
static struct ks_follow_part part;

static void open_stream(void)
{
    const struct ks_follow_position had = {.epoch = "e", .revision = 5};
    KS_BUFFER_AUTO request = {.len_max = KS_FOLLOWING_REQUEST_MAX};
    ks_following_open(&following, &had, &request);
}

static int set_up(void **state)
{
    (void)state;
    following = (struct ks_following){.reopen_ms = 0};
    arena = (struct ks_arena){.len_max = ARENA_MAX};
    memset(&part, 0, sizeof(part));
    open_stream();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ks_arena_done(&arena);
    return 0;
}

/* Of changes or of a snapshot: the first message, one in between, the last, or all in one. */
enum kind { FIRST = 1, LAST = 2, SNAPSHOT = 4 };

/* The bytes of a message with one record, account/1: "one", and a deletion of account/2. */
static void pack(unsigned kind, struct ks_buffer *bytes)
{
    static char keys[2][16] = {"account/1", "account/2"};
    static uint8_t value[] = "one";
    static uint8_t head[] = "head";
    identity_record one = KEYSTEAD__INTERNAL__V1__IDENTITY_RECORD__INIT;
    identity_record two = KEYSTEAD__INTERNAL__V1__IDENTITY_RECORD__INIT;
    identity_record *records[] = {&one, &two};
    watch_response message = KEYSTEAD__INTERNAL__V1__WATCH_IDENTITIES_RESPONSE__INIT;
    one.key = keys[0];
    one.value = (ProtobufCBinaryData){3, value};
    one.mod_revision = 7;
    two.key = keys[1];
    two.deleted = true;
    two.mod_revision = 8;
    message.begin = (kind & FIRST) != 0;
    message.snapshot = (kind & SNAPSHOT) != 0;
    if (kind & LAST) {
        message.head = (ProtobufCBinaryData){4, head};
    }
    message.records = records;
    message.n_records = KS_COUNT(records);
    assert_int_equal(ks_codec_pack(&message.base, bytes).code, KS_OK);
}

static ks_code receive(unsigned kind)
{
    KS_BUFFER_AUTO bytes = {.len_max = MESSAGE_MAX};
    pack(kind, &bytes);
    return ks_following_read(&following, ks_buffer_bytes(&bytes), &arena, &part).code;
}

static void asks_for_what_comes_after_its_copy(void **state)
{
    (void)state;
    struct ks_following other = {.reopen_ms = 0};
    struct ks_follow_position had = {.epoch = LONGEST, .revision = INT64_MAX, .number = UINT64_MAX};
    KS_BUFFER_AUTO request = {.len_max = KS_FOLLOWING_REQUEST_MAX};
    ProtobufCMessage *unpacked = NULL;

    ks_following_open(&other, &had, &request);

    assert_int_equal(ks_codec_unpack(&keystead__internal__v1__watch_identities_request__descriptor,
                                     ks_buffer_bytes(&request), NULL, &arena, &unpacked)
                         .code,
                     KS_OK);
    const watch_request *asked = (const watch_request *)unpacked;
    assert_string_equal(asked->epoch, LONGEST);
    assert_true(asked->revision == INT64_MAX);
    assert_true(asked->number == UINT64_MAX);
}

static void reads_a_snapshot_in_parts_and_then_changes(void **state)
{
    (void)state;

    assert_int_equal(receive(SNAPSHOT | FIRST), KS_OK);
    assert_true(part.snapshot);
    assert_true(part.begin);
    assert_false(part.whole);
    assert_int_equal(part.head.len, 0);
    assert_int_equal(part.record_count, 2);
    assert_true(ks_bytes_equal(part.records[0].key, KS_LITERAL("account/1")));
    assert_true(ks_bytes_equal(part.records[0].value, KS_LITERAL("one")));
    assert_int_equal(part.records[0].revision, 7);
    assert_null(part.records[1].value.ptr);
    assert_int_equal(part.records[1].revision, 8);

    assert_int_equal(receive(SNAPSHOT), KS_OK);
    assert_false(part.begin);
    assert_int_equal(receive(SNAPSHOT | LAST), KS_OK);
    assert_true(part.whole);
    assert_true(ks_bytes_equal(part.head, KS_LITERAL("head")));

    assert_int_equal(receive(FIRST | LAST), KS_OK);
    assert_false(part.snapshot);
    assert_true(part.whole);
    assert_int_equal(receive(FIRST), KS_OK);
    assert_int_equal(receive(LAST), KS_OK);
}

/* A value of no bytes is a value: taken for a deletion it would remove the record. */
static void an_empty_value_is_no_deletion(void **state)
{
    (void)state;
    static char key[] = "account/1";
    identity_record record = KEYSTEAD__INTERNAL__V1__IDENTITY_RECORD__INIT;
    identity_record *records[] = {&record};
    watch_response message = KEYSTEAD__INTERNAL__V1__WATCH_IDENTITIES_RESPONSE__INIT;
    KS_BUFFER_AUTO bytes = {.len_max = MESSAGE_MAX};
    record.key = key;
    record.mod_revision = 1;
    message.begin = true;
    message.records = records;
    message.n_records = 1;
    assert_int_equal(ks_codec_pack(&message.base, &bytes).code, KS_OK);

    assert_int_equal(ks_following_read(&following, ks_buffer_bytes(&bytes), &arena, &part).code,
                     KS_OK);

    assert_non_null(part.records[0].value.ptr);
    assert_int_equal(part.records[0].value.len, 0);
}

/* A sender whose history was replaced meanwhile begins anew. */
static void a_transfer_may_begin_anew(void **state)
{
    (void)state;

    assert_int_equal(receive(FIRST), KS_OK);
    assert_int_equal(receive(SNAPSHOT | FIRST), KS_OK);
    assert_true(part.begin);
    assert_int_equal(receive(SNAPSHOT | LAST), KS_OK);
}

/* Each is sent to a stream of its own, after the message before it. */
static void refuses_what_makes_no_sense(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        unsigned good;
        unsigned bad;
    } cases[] = {
        {"a transfer that does not begin", FIRST | LAST, 0},
        {"an end without a beginning", FIRST | LAST, LAST},
        {"changes within a snapshot", SNAPSHOT | FIRST, LAST},
        {"a snapshot within changes", FIRST, SNAPSHOT | LAST},
    };
    for (size_t i = 0; i < KS_COUNT(cases); i++) {
        print_message("%s\n", cases[i].what);
        (void)ks_following_close(&following);
        open_stream();
        assert_int_equal(receive(cases[i].good), KS_OK);
        const struct ks_follow_part before = part;

        assert_int_equal(receive(cases[i].bad), KS_VALIDATION);

        assert_memory_equal(&part, &before, sizeof(part));
        /* The stream is to be closed: nothing that comes on it counts any more. */
        assert_int_equal(receive(FIRST | LAST), KS_VALIDATION);
    }
}

static void half_a_transfer_goes_with_its_stream(void **state)
{
    (void)state;
    assert_int_equal(receive(SNAPSHOT | FIRST), KS_OK);
    (void)ks_following_close(&following);
    assert_int_equal(receive(SNAPSHOT | LAST), KS_VALIDATION); /* no stream is open */

    open_stream();

    assert_int_equal(receive(SNAPSHOT | LAST), KS_VALIDATION);
}

/* Every single-bit change and every truncation is refused or read, and never overruns. */
static void survives_every_damage(void **state)
{
    (void)state;
    KS_BUFFER_AUTO bytes = {.len_max = MESSAGE_MAX};
    pack(FIRST | LAST, &bytes);
    for (size_t i = 0; i < 8 * bytes.len; i++) {
        KS_ARENA_AUTO damaged = {.len_max = ARENA_MAX};
        (void)ks_following_close(&following);
        open_stream();
        bytes.ptr[i / 8] ^= (uint8_t)(1U << (i % 8));
        ks_result read = ks_following_read(&following, ks_buffer_bytes(&bytes), &damaged, &part);
        assert_true(!ks_failed(read) || read.code == KS_VALIDATION);
        bytes.ptr[i / 8] ^= (uint8_t)(1U << (i % 8));
    }
    for (size_t len = 0; len < bytes.len; len++) {
        KS_ARENA_AUTO damaged = {.len_max = ARENA_MAX};
        (void)ks_following_close(&following);
        open_stream();
        ks_result read = ks_following_read(&following, (ks_bytes){bytes.ptr, len}, &damaged, &part);
        assert_true(!ks_failed(read) || read.code == KS_VALIDATION);
    }
}

static void a_full_arena_is_a_limit(void **state)
{
    (void)state;
    KS_BUFFER_AUTO bytes = {.len_max = MESSAGE_MAX};
    struct ks_arena small = {.len_max = 64};
    pack(FIRST | LAST, &bytes);

    assert_int_equal(ks_following_read(&following, ks_buffer_bytes(&bytes), &small, &part).code,
                     KS_LIMIT_EXCEEDED);
    ks_arena_done(&small);
}

/* One that fails at once would otherwise be asked as fast as it answers. */
static void waits_twice_as_long_each_time_until_something_was_applied(void **state)
{
    (void)state;
    int64_t expected_ms = KS_FOLLOWING_REOPEN_FIRST_MS;
    for (int i = 0; i < REPEATS_MAX; i++) {
        assert_int_equal(ks_following_close(&following), expected_ms);
        expected_ms = 2 * expected_ms < KS_FOLLOWING_REOPEN_MAX_MS ? 2 * expected_ms
                                                                   : KS_FOLLOWING_REOPEN_MAX_MS;
        open_stream();
    }
    assert_int_equal(expected_ms, KS_FOLLOWING_REOPEN_MAX_MS);

    assert_int_equal(receive(FIRST | LAST), KS_OK);
    assert_int_equal(ks_following_close(&following), KS_FOLLOWING_REOPEN_MAX_MS);
    open_stream();
    ks_following_applied(&following);

    assert_int_equal(ks_following_close(&following), KS_FOLLOWING_REOPEN_FIRST_MS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(asks_for_what_comes_after_its_copy),
        TEST(reads_a_snapshot_in_parts_and_then_changes),
        TEST(an_empty_value_is_no_deletion),
        TEST(a_transfer_may_begin_anew),
        TEST(refuses_what_makes_no_sense),
        TEST(half_a_transfer_goes_with_its_stream),
        TEST(survives_every_damage),
        TEST(a_full_arena_is_a_limit),
        TEST(waits_twice_as_long_each_time_until_something_was_applied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
