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

/* A stream that asked for what comes after (epoch, revision). */
static void open_at(const char *epoch, int64_t revision)
{
    struct ks_follow_position had = {.revision = revision};
    KS_BUFFER_AUTO request = {.len_max = KS_FOLLOWING_REQUEST_MAX};
    snprintf(had.epoch, sizeof(had.epoch), "%s", epoch);
    ks_following_open(&following, &had, &request);
}

static int set_up(void **state)
{
    (void)state;
    following = (struct ks_following){.reopen_ms = 0};
    arena = (struct ks_arena){.len_max = ARENA_MAX};
    memset(&part, 0, sizeof(part));
    open_at("e", 5);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ks_arena_done(&arena);
    return 0;
}

enum kind { CHANGE, PART, END };

/* The bytes of a message with one record, account/1: "one", and a deletion of account/2. */
static void pack(enum kind kind, const char *epoch, int64_t revision, struct ks_buffer *bytes)
{
    static char keys[2][16] = {"account/1", "account/2"};
    static char name[128];
    static uint8_t value[] = "one";
    identity_record one = KEYSTEAD__INTERNAL__V1__IDENTITY_RECORD__INIT;
    identity_record two = KEYSTEAD__INTERNAL__V1__IDENTITY_RECORD__INIT;
    identity_record *records[] = {&one, &two};
    watch_response message = KEYSTEAD__INTERNAL__V1__WATCH_IDENTITIES_RESPONSE__INIT;
    one.key = keys[0];
    one.value = (ProtobufCBinaryData){3, value};
    two.key = keys[1];
    two.deleted = true;
    snprintf(name, sizeof(name), "%s", epoch);
    message.epoch = name;
    message.revision = revision;
    message.snapshot = kind != CHANGE;
    message.snapshot_end = kind == END;
    message.records = records;
    message.n_records = KS_COUNT(records);
    assert_int_equal(ks_codec_pack(&message.base, bytes).code, KS_OK);
}

static ks_code receive(enum kind kind, const char *epoch, int64_t revision)
{
    KS_BUFFER_AUTO bytes = {.len_max = MESSAGE_MAX};
    pack(kind, epoch, revision, &bytes);
    return ks_following_read(&following, ks_buffer_bytes(&bytes), &arena, &part).code;
}

static void asks_for_what_comes_after_its_copy(void **state)
{
    (void)state;
    struct ks_following other = {.reopen_ms = 0};
    struct ks_follow_position had = {.epoch = LONGEST, .revision = INT64_MAX};
    KS_BUFFER_AUTO request = {.len_max = KS_FOLLOWING_REQUEST_MAX};
    ProtobufCMessage *unpacked = NULL;

    ks_following_open(&other, &had, &request);

    assert_int_equal(ks_codec_unpack(&keystead__internal__v1__watch_identities_request__descriptor,
                                     ks_buffer_bytes(&request), NULL, &arena, &unpacked)
                         .code,
                     KS_OK);
    assert_string_equal(((const watch_request *)unpacked)->epoch, LONGEST);
    assert_true(((const watch_request *)unpacked)->revision == INT64_MAX);
}

static void reads_a_snapshot_in_parts_and_then_changes(void **state)
{
    (void)state;

    assert_int_equal(receive(PART, "f", 3), KS_OK);
    assert_true(part.snapshot);
    assert_false(part.whole);
    assert_int_equal(part.record_count, 2);
    assert_true(ks_bytes_equal(part.records[0].key, KS_LITERAL("account/1")));
    assert_true(ks_bytes_equal(part.records[0].value, KS_LITERAL("one")));
    assert_null(part.records[1].value.ptr);

    assert_int_equal(receive(END, "f", 3), KS_OK);
    assert_true(part.snapshot);
    assert_true(part.whole);
    assert_string_equal(part.position.epoch, "f");
    assert_int_equal(part.position.revision, 3);

    assert_int_equal(receive(CHANGE, "f", 4), KS_OK);
    assert_false(part.snapshot);
    assert_true(part.whole);
    assert_int_equal(part.position.revision, 4);
    assert_int_equal(receive(CHANGE, "f", 9), KS_OK);
}

/* A value of no bytes is a value: taken for a deletion it would remove the record. */
static void an_empty_value_is_no_deletion(void **state)
{
    (void)state;
    static char key[] = "account/1";
    static char epoch[] = "e";
    identity_record record = KEYSTEAD__INTERNAL__V1__IDENTITY_RECORD__INIT;
    identity_record *records[] = {&record};
    watch_response message = KEYSTEAD__INTERNAL__V1__WATCH_IDENTITIES_RESPONSE__INIT;
    KS_BUFFER_AUTO bytes = {.len_max = MESSAGE_MAX};
    record.key = key;
    message.epoch = epoch;
    message.revision = 6;
    message.records = records;
    message.n_records = 1;
    assert_int_equal(ks_codec_pack(&message.base, &bytes).code, KS_OK);

    assert_int_equal(ks_following_read(&following, ks_buffer_bytes(&bytes), &arena, &part).code,
                     KS_OK);

    assert_non_null(part.records[0].value.ptr);
    assert_int_equal(part.records[0].value.len, 0);
}

/* Nothing was missed since, so no snapshot comes first. */
static void goes_on_from_what_it_asked_for(void **state)
{
    (void)state;

    assert_int_equal(receive(CHANGE, "e", 6), KS_OK);
    assert_int_equal(receive(CHANGE, "e", 7), KS_OK);
}

/* The control plane was restored: another epoch, whose revisions may be lower. */
static void another_epoch_comes_with_a_snapshot_only(void **state)
{
    (void)state;
    assert_int_equal(receive(CHANGE, "e", 50), KS_OK);
    assert_int_equal(receive(END, "f", 2), KS_OK);
    assert_int_equal(receive(CHANGE, "f", 3), KS_OK);
    assert_int_equal(receive(END, "f", 3), KS_OK); /* a sender may start over */

    assert_int_equal(receive(CHANGE, "g", 51), KS_VALIDATION);
}

/* Each is sent to a stream of its own that asked at (e, 5), after the messages before it. */
static void refuses_what_makes_no_sense(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        struct {
            enum kind kind;
            const char *epoch;
            int64_t revision;
        } good, bad;
    } cases[] = {
        {"a change that it has", {END, "e", 5}, {CHANGE, "e", 5}},
        {"a revision that goes back", {CHANGE, "e", 9}, {CHANGE, "e", 8}},
        {"a change that comes twice", {CHANGE, "e", 9}, {CHANGE, "e", 9}},
        {"a change within a snapshot", {PART, "e", 9}, {CHANGE, "e", 10}},
        {"parts of two epochs", {PART, "e", 9}, {PART, "f", 9}},
        {"parts of two revisions", {PART, "e", 9}, {END, "e", 10}},
        {"another epoch without a snapshot", {END, "e", 9}, {CHANGE, "f", 10}},
        {"no epoch", {END, "e", 9}, {END, "", 10}},
        {"an epoch that is too long", {END, LONGEST, 9}, {END, LONGEST "4", 10}},
        {"a revision below 0", {END, "e", 9}, {END, "e", -1}},
    };
    for (size_t i = 0; i < KS_COUNT(cases); i++) {
        print_message("%s\n", cases[i].what);
        (void)ks_following_close(&following);
        open_at("e", 5);
        assert_int_equal(receive(cases[i].good.kind, cases[i].good.epoch, cases[i].good.revision),
                         KS_OK);
        const struct ks_follow_part before = part;

        assert_int_equal(receive(cases[i].bad.kind, cases[i].bad.epoch, cases[i].bad.revision),
                         KS_VALIDATION);

        assert_memory_equal(&part, &before, sizeof(part));
        /* The stream is to be closed: nothing that comes on it counts any more. */
        assert_int_equal(receive(END, "e", 100), KS_VALIDATION);
    }
}

static void refuses_a_change_before_any_snapshot(void **state)
{
    (void)state;
    (void)ks_following_close(&following);
    open_at("", 0);

    assert_int_equal(receive(CHANGE, "e", 6), KS_VALIDATION);
}

static void half_a_snapshot_goes_with_its_stream(void **state)
{
    (void)state;
    assert_int_equal(receive(PART, "f", 9), KS_OK);
    (void)ks_following_close(&following);
    assert_int_equal(receive(END, "f", 9), KS_VALIDATION); /* no stream is open */

    open_at("e", 5);

    assert_int_equal(receive(CHANGE, "e", 6), KS_OK);
}

/* Every single-bit change and every truncation is refused or read, and never overruns. */
static void survives_every_damage(void **state)
{
    (void)state;
    KS_BUFFER_AUTO bytes = {.len_max = MESSAGE_MAX};
    pack(CHANGE, "e", 6, &bytes);
    for (size_t i = 0; i < 8 * bytes.len; i++) {
        KS_ARENA_AUTO damaged = {.len_max = ARENA_MAX};
        (void)ks_following_close(&following);
        open_at("e", 5);
        bytes.ptr[i / 8] ^= (uint8_t)(1U << (i % 8));
        ks_result read = ks_following_read(&following, ks_buffer_bytes(&bytes), &damaged, &part);
        assert_true(!ks_failed(read) || read.code == KS_VALIDATION);
        bytes.ptr[i / 8] ^= (uint8_t)(1U << (i % 8));
    }
    for (size_t len = 0; len < bytes.len; len++) {
        KS_ARENA_AUTO damaged = {.len_max = ARENA_MAX};
        (void)ks_following_close(&following);
        open_at("e", 5);
        ks_result read = ks_following_read(&following, (ks_bytes){bytes.ptr, len}, &damaged, &part);
        assert_true(!ks_failed(read) || read.code == KS_VALIDATION);
    }
}

static void a_full_arena_is_a_limit(void **state)
{
    (void)state;
    KS_BUFFER_AUTO bytes = {.len_max = MESSAGE_MAX};
    struct ks_arena small = {.len_max = 64};
    pack(CHANGE, "e", 6, &bytes);

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
        open_at("e", 5);
    }
    assert_int_equal(expected_ms, KS_FOLLOWING_REOPEN_MAX_MS);

    assert_int_equal(receive(CHANGE, "e", 6), KS_OK);
    assert_int_equal(ks_following_close(&following), KS_FOLLOWING_REOPEN_MAX_MS);
    open_at("e", 5);
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
        TEST(goes_on_from_what_it_asked_for),
        TEST(another_epoch_comes_with_a_snapshot_only),
        TEST(refuses_what_makes_no_sense),
        TEST(refuses_a_change_before_any_snapshot),
        TEST(half_a_snapshot_goes_with_its_stream),
        TEST(survives_every_damage),
        TEST(a_full_arena_is_a_limit),
        TEST(waits_twice_as_long_each_time_until_something_was_applied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
