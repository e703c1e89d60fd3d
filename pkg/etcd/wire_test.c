#include "pkg/etcd/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pkg/codec/wire.h"
#include "pkg/etcd/endpoints.h"
#include "pkg/etcd/frames.h"
#include "pkg/etcd/trailer.h"

/* KS_LITERAL is no constant; this can stand in an initializer. */
#define BYTES(text)                                                                                \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }

/*
 * Messages in hex, as etcd's own rpc.proto says them: each was made by protoc --encode from the
 * text that stands above it.
 */

/* header { cluster_id: 17237436991929493444 member_id: 9372538179322589801 revision: 7
   raft_term: 2 } */
#define HEADER     "0a1a08c4cf8ab1dcb3eb9bef0110e9e4bcb28fbafc88820118072002"
#define HEADER_LEN 28U /* bytes */

/* { key: "a" create_revision: 2 mod_revision: 7 version: 3 value: "\000\377" }, with its length */
#define KV "0d0a01611002180720032a0200ff"

struct bytes {
    uint8_t bytes[1024];
    size_t len;
};

static struct bytes from_hex(const char *hex)
{
    struct bytes out = {.len = strlen(hex) / 2};
    assert_true(strlen(hex) % 2 == 0 && out.len <= sizeof(out.bytes));
    for (size_t i = 0; i < out.len; i++) {
        const char digits[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        char *end;
        out.bytes[i] = (uint8_t)strtoul(digits, &end, 16);
        assert_true(end == digits + 2);
    }
    return out;
}

static void assert_hex(ks_bytes bytes, const char *hex)
{
    struct bytes expected = from_hex(hex);
    assert_int_equal(bytes.len, expected.len);
    assert_memory_equal(bytes.ptr, expected.bytes, expected.len);
}

static void assert_text(ks_bytes bytes, const char *expected)
{
    char *copy = ks_bytes_dup(bytes);
    assert_string_equal(copy, expected);
    ks_free(copy);
}

static ks_result try_answer(enum ks_etcd_wire_kind kind, const char *hex,
                            struct ks_etcd_answer **ret_answer)
{
    struct bytes message = from_hex(hex);
    return ks_etcd_wire_answer(kind, (ks_bytes){message.bytes, message.len}, ret_answer);
}

static struct ks_etcd_answer *read_answer(enum ks_etcd_wire_kind kind, const char *hex)
{
    struct ks_etcd_answer *answer = NULL;
    assert_int_equal(try_answer(kind, hex, &answer).code, KS_OK);
    assert_int_equal(answer->cause, KS_ETCD_DONE);
    return answer;
}

static const struct ks_etcd_compare compares[] = {{BYTES("a"), 5}, {BYTES("b"), 0}};
static const struct ks_etcd_op ops[] = {
    {.kind = KS_ETCD_PUT, .key = BYTES("a"), .value = BYTES("\0\xFF")},
    {.kind = KS_ETCD_DELETE, .key = BYTES("b")},
    {.kind = KS_ETCD_RANGE,
     .key = BYTES("a"),
     .range_end = BYTES("b"),
     .limit = 3,
     .revision = 9,
     .keys_only = true,
     .serializable = true},
};

/*
 * compare { target: MOD key: "a" mod_revision: 5 } compare { target: MOD key: "b" mod_revision: 0 }
 * success { request_put { key: "a" value: "\000\377" } }
 * success { request_delete_range { key: "b" } }
 * failure { request_txn { compare { target: MOD key: "a" mod_revision: 5 }
 *   success { request_put { key: "a" value: "\000\377" } }
 *   failure { request_range { key: "a" range_end: "b" limit: 3 revision: 9 keys_only: true
 *     serializable: true } } } }
 */
static const char txn_request[] =
    "0a0710021a016130050a0710021a01623000120912070a0161120200ff12051a030a01621a2822260a0710021a"
    "01613005120912070a0161120200ff1a100a0e0a01611201621803200938014001";

static void writes_a_transaction(void **state)
{
    (void)state;
    struct ks_etcd_txn inner = {.compares = compares,
                                .compare_count = 1,
                                .success = ops,
                                .success_count = 1,
                                .failure = &ops[2],
                                .failure_count = 1};
    struct ks_etcd_op nested = {.kind = KS_ETCD_TXN, .txn = &inner};
    struct ks_etcd_txn txn = {.compares = compares,
                              .compare_count = 2,
                              .success = ops,
                              .success_count = 2,
                              .failure = &nested,
                              .failure_count = 1};
    KS_BUFFER_AUTO buffer = {.len_max = 4096};
    assert_int_equal(ks_etcd_wire_txn(&buffer, &txn).code, KS_OK);
    assert_hex(ks_buffer_bytes(&buffer), txn_request);
}

/* Lengths of one, two and three bytes before a message within a message. */
static void writes_long_messages(void **state)
{
    (void)state;
    static uint8_t value[70000];
    static const size_t lens[] = {0, 100, 115, 116, 127, 128, 1000, 16370, 16383, 16384, 70000};
    for (size_t i = 0; i < KS_COUNT(lens); i++) {
        struct ks_etcd_op op = {.kind = KS_ETCD_PUT, .key = BYTES("k"), .value = {value, lens[i]}};
        struct ks_etcd_txn txn = {.success = &op, .success_count = 1};
        KS_BUFFER_AUTO buffer = {.len_max = 1U << 20};
        struct ks_wire_field outer;
        struct ks_wire_field kind;
        struct ks_wire_field key;
        struct ks_wire_field last = {0};
        assert_int_equal(ks_etcd_wire_txn(&buffer, &txn).code, KS_OK);
        ks_bytes rest = ks_buffer_bytes(&buffer);
        assert_int_equal(ks_wire_next(&rest, &outer).code, KS_OK);
        assert_int_equal(rest.len, 0);
        assert_int_equal(ks_wire_next(&outer.bytes, &kind).code, KS_OK);
        assert_int_equal(outer.bytes.len, 0);
        assert_int_equal(ks_wire_next(&kind.bytes, &key).code, KS_OK);
        if (lens[i] > 0) {
            assert_int_equal(ks_wire_next(&kind.bytes, &last).code, KS_OK);
        }
        assert_int_equal(kind.bytes.len, 0);
        assert_int_equal(last.bytes.len, lens[i]);
    }
}

/* create_request { key: "a" range_end: "b" start_revision: 9223372036854775807
   progress_notify: true }; revision: 12; action: DEACTIVATE memberID: 5 alarm: NOSPACE */
static void writes_a_watch_a_compaction_and_a_disarming(void **state)
{
    (void)state;
    KS_BUFFER_AUTO watch = {.len_max = 4096};
    KS_BUFFER_AUTO compaction = {.len_max = 4096};
    KS_BUFFER_AUTO disarming = {.len_max = 4096};
    struct ks_etcd_alarm alarm = {5, KS_ETCD_ALARM_NO_SPACE};
    assert_int_equal(ks_etcd_wire_watch(&watch, KS_LITERAL("a"), KS_LITERAL("b"), INT64_MAX).code,
                     KS_OK);
    assert_int_equal(ks_etcd_wire_compact(&compaction, 12).code, KS_OK);
    assert_int_equal(ks_etcd_wire_disarm(&disarming, &alarm).code, KS_OK);
    assert_hex(ks_buffer_bytes(&watch), "0a140a016112016218ffffffffffffffff7f20014001");
    assert_hex(ks_buffer_bytes(&compaction), "080c");
    assert_hex(ks_buffer_bytes(&disarming), "080210051801");
}

static void refuses_a_request_over_its_bounds(void **state)
{
    (void)state;
    static struct ks_etcd_op many[KS_ETCD_OPS_MAX + 1];
    for (size_t i = 0; i < KS_COUNT(many); i++) {
        many[i] = ops[1];
    }
    struct ks_etcd_txn txn = {.success = many, .success_count = KS_ETCD_OPS_MAX};
    KS_BUFFER_AUTO buffer = {.len_max = 1U << 20};
    assert_int_equal(ks_etcd_wire_txn(&buffer, &txn).code, KS_OK);
    txn.success_count++;
    assert_int_equal(ks_etcd_wire_txn(&buffer, &txn).code, KS_LIMIT_EXCEEDED);

    KS_BUFFER_AUTO small = {.len_max = 10};
    txn.success_count = 3;
    assert_int_equal(ks_etcd_wire_txn(&small, &txn).code, KS_LIMIT_EXCEEDED);
}

/*
 * header {...} succeeded: true
 * responses { response_put { header { revision: 7 } } }
 * responses { response_range { header {...} kvs {...} more: true count: 4 } }
 * responses { response_delete_range { deleted: 2 } }
 * responses { response_txn { responses { response_range { kvs {...} } } } }
 * responses { response_txn { succeeded: true } }
 */
static const char txn_answer[] = HEADER "10011a0612040a0218071a310a2f" HEADER "12" KV
                                        "180120041a041a0210021a1522131a110a0f12" KV "1a0422021001";

static void reads_a_transaction(void **state)
{
    (void)state;
    KS_ETCD_ANSWER_AUTO *answer = read_answer(KS_ETCD_WIRE_TXN, txn_answer);
    assert_true(answer->header.cluster_id == 17237436991929493444U);
    assert_true(answer->header.member_id == 9372538179322589801U);
    assert_int_equal(answer->header.revision, 7);
    assert_int_equal(answer->header.raft_term, 2);
    assert_true(answer->succeeded);
    assert_int_equal(answer->op_count, 5);
    assert_int_equal(answer->ops[0].kind, KS_ETCD_PUT);

    const struct ks_etcd_op_answer *range = &answer->ops[1];
    assert_int_equal(range->kind, KS_ETCD_RANGE);
    assert_true(range->more);
    assert_int_equal(range->count, 4);
    assert_int_equal(range->kv_count, 1);
    assert_text(range->kvs[0].key, "a");
    assert_true(ks_bytes_equal(range->kvs[0].value, KS_LITERAL("\0\xFF")));
    assert_int_equal(range->kvs[0].create_revision, 2);
    assert_int_equal(range->kvs[0].mod_revision, 7);
    assert_int_equal(range->kvs[0].version, 3);

    assert_int_equal(answer->ops[2].kind, KS_ETCD_DELETE);
    assert_int_equal(answer->ops[2].count, 2);
    assert_int_equal(answer->ops[3].kind, KS_ETCD_TXN);
    assert_false(answer->ops[3].succeeded);
    assert_int_equal(answer->ops[3].op_count, 1);
    assert_int_equal(answer->ops[3].ops[0].kv_count, 1);
    assert_true(answer->ops[4].succeeded);
    assert_int_equal(answer->ops[4].op_count, 0);
}

/* Everything that is false, 0 or empty is left out. */
static void absent_fields_are_false_zero_and_empty(void **state)
{
    (void)state;
    KS_ETCD_ANSWER_AUTO *txn = read_answer(KS_ETCD_WIRE_TXN, HEADER);
    KS_ETCD_ANSWER_AUTO *range = read_answer(KS_ETCD_WIRE_RANGE, HEADER);
    KS_ETCD_ANSWER_AUTO *alarms = read_answer(KS_ETCD_WIRE_ALARMS, HEADER);
    assert_false(txn->succeeded);
    assert_int_equal(txn->op_count, 0);
    assert_int_equal(range->header.revision, 7);
    assert_int_equal(range->op_count, 1);
    assert_int_equal(range->ops[0].kv_count, 0);
    assert_int_equal(alarms->alarm_count, 0);
}

/* header {...} version: "3.4.23" dbSize: 32768 leader: 9372538179322589801 raftIndex: 9 raftTerm: 2
   raftAppliedIndex: 8 errors: "etcdserver: no leader" errors: "memberID:5 alarm:NOSPACE "
   dbSizeInUse: 5 */
static void reads_a_status(void **state)
{
    (void)state;
    KS_ETCD_ANSWER_AUTO *status = read_answer(
        KS_ETCD_WIRE_STATUS, HEADER
        "1206332e342e32331880800220e9e4bcb28fbafc8882012809300238084215657463647365727665723a"
        "206e6f206c656164657242196d656d62657249443a3520616c61726d3a4e4f5350414345204805");
    assert_text(status->status.version, "3.4.23");
    assert_int_equal(status->status.db_len, 32768);
    assert_int_equal(status->status.db_used_len, 5);
    assert_int_equal(status->status.raft_index, 9);
    assert_int_equal(status->status.raft_applied_index, 8);
    assert_true(status->status.is_leader);
    assert_true(status->status.has_no_space);
    assert_false(status->status.has_corrupt);
}

/* alarms { memberID: 5 alarm: NOSPACE } alarms { alarm: CORRUPT } alarms { }
   members { ID: 5 name: "m0" peerURLs: "https://p" peerURLs: "https://q" clientURLs: "https://c" }
   members { ID: 6 isLearner: true } */
static void reads_alarms_and_members(void **state)
{
    (void)state;
    KS_ETCD_ANSWER_AUTO *alarms =
        read_answer(KS_ETCD_WIRE_ALARMS, HEADER "120408051001120210021200");
    KS_ETCD_ANSWER_AUTO *members =
        read_answer(KS_ETCD_WIRE_MEMBERS, HEADER
                    "1227080512026d301a0968747470733a2f2f701a0968747470733a2f2f71220968747470733a2f"
                    "2f63120408062801");
    assert_int_equal(alarms->alarm_count, 3);
    assert_int_equal(alarms->alarms[0].kind, KS_ETCD_ALARM_NO_SPACE);
    assert_int_equal(alarms->alarms[0].member_id, 5);
    assert_int_equal(alarms->alarms[1].kind, KS_ETCD_ALARM_CORRUPT);
    assert_int_equal(alarms->alarms[2].kind, KS_ETCD_ALARM_NONE);
    assert_int_equal(members->member_count, 2);
    assert_text(members->members[0].name, "m0");
    assert_text(members->members[0].peer_url, "https://p");
    assert_text(members->members[0].client_url, "https://c");
    assert_int_equal(members->members[1].peer_url.len, 0);
    assert_true(members->members[1].is_learner);
}

static void refuses_answers_of_another_form(void **state)
{
    (void)state;
    static const struct {
        enum ks_etcd_wire_kind kind;
        const char *hex;
    } cases[] = {
        {KS_ETCD_WIRE_HEADER, "0a05"},                 /* cut short */
        {KS_ETCD_WIRE_HEADER, "0801"},                 /* the header is a number */
        {KS_ETCD_WIRE_HEADER, "0a021a00"},             /* its revision is bytes */
        {KS_ETCD_WIRE_HEADER, "00"},                   /* a field of number 0 */
        {KS_ETCD_WIRE_TXN, HEADER "1200"},             /* succeeded is bytes */
        {KS_ETCD_WIRE_TXN, HEADER "1801"},             /* a response is a number */
        {KS_ETCD_WIRE_TXN, HEADER "1a00"},             /* a response of no kind */
        {KS_ETCD_WIRE_TXN, HEADER "1a022a00"},         /* of a kind that nobody asked for */
        {KS_ETCD_WIRE_TXN, HEADER "1a061a0412021800"}, /* deleted is bytes, within */
        {KS_ETCD_WIRE_TXN, HEADER "1a0622041a022200"}, /* nested twice */
        {KS_ETCD_WIRE_RANGE, HEADER "1202080a"},       /* a key is a number */
        {KS_ETCD_WIRE_RANGE, HEADER "120308"},         /* cut within */
        {KS_ETCD_WIRE_RANGE, HEADER "1002"},           /* kvs is a number */
        {KS_ETCD_WIRE_RANGE, HEADER "12021807"},       /* a record without a key */
        {KS_ETCD_WIRE_RANGE, HEADER "12030a0161"},     /* one that was never written */
        {KS_ETCD_WIRE_RANGE, HEADER "120e0a016118ffffffffffffffffff01"}, /* written before time */
        {KS_ETCD_WIRE_STATUS, HEADER "1201ff"},                          /* version is not UTF-8 */
        {KS_ETCD_WIRE_MEMBERS, HEADER "1203120100"},                     /* a name with a NUL */
        {KS_ETCD_WIRE_RANGE, HEADER "0b0c"},                             /* a group */
    };
    for (size_t i = 0; i < KS_COUNT(cases); i++) {
        struct ks_etcd_answer *answer = NULL;
        assert_int_equal(try_answer(cases[i].kind, cases[i].hex, &answer).code, KS_VALIDATION);
        assert_null(answer);
    }
}

/*
 * An empty message with status 0, from a proxy or from a member that is broken, would be a
 * transaction whose compares did not hold, at revision 0.
 */
static void refuses_answers_that_say_no_revision(void **state)
{
    (void)state;
    static const char *const answers[] = {
        "",             /* nothing */
        "1001",         /* a transaction that succeeded, or another field of the other kinds */
        "0a00",         /* a header that says nothing */
        "0a0208050a00", /* all but the revision */
    };
    for (size_t kind = 0; kind < KS_ETCD_WIRE_KIND_COUNT; kind++) {
        for (size_t i = 0; i < KS_COUNT(answers); i++) {
            bool header = i >= 2;
            bool bare = kind == KS_ETCD_WIRE_NOTHING || (kind == KS_ETCD_WIRE_ALARMS && i != 1);
            bool good = bare || (kind == KS_ETCD_WIRE_MEMBERS && header);
            KS_ETCD_ANSWER_AUTO *answer = NULL;
            ks_code code = try_answer((enum ks_etcd_wire_kind)kind, answers[i], &answer).code;
            assert_int_equal(code, good ? KS_OK : KS_VALIDATION);
            assert_int_equal(answer != NULL, good);
        }
    }
}

/* What a caller rests on: whether a failure leaves the change certainly undone. */
static void each_cause_has_a_result_and_words(void **state)
{
    (void)state;
    static const bool may_be_applied[KS_ETCD_CAUSE_COUNT] = {
        [KS_ETCD_UNKNOWN] = true,    [KS_ETCD_NO_LEADER] = true, [KS_ETCD_NO_SPACE] = true,
        [KS_ETCD_BAD_ANSWER] = true, [KS_ETCD_CLOSED] = true,
    };
    for (size_t i = 0; i < KS_ETCD_CAUSE_COUNT; i++) {
        enum ks_etcd_cause cause = (enum ks_etcd_cause)i;
        KS_ETCD_ANSWER_AUTO *answer = ks_etcd_answer_new(cause, KS_LITERAL("a\nb"));
        assert_int_equal(ks_etcd_cause_may_be_applied(cause), may_be_applied[i]);
        assert_int_equal(answer->may_be_applied, may_be_applied[i]);
        assert_true(strlen(ks_etcd_cause_text(cause)) > 0);
        assert_int_equal(ks_failed(ks_etcd_answer_result(answer)), cause != KS_ETCD_DONE);
        assert_string_equal(answer->detail, "a.b");
    }
}

static ks_result read_watched(const char *hex, struct bytes *message, struct ks_arena *arena,
                              struct ks_etcd_wire_watched *ret)
{
    ks_arena_done(arena);
    *message = from_hex(hex);
    arena->len_max = ks_etcd_wire_arena_max(message->len);
    return ks_etcd_wire_watch_message((ks_bytes){message->bytes, message->len}, arena, ret);
}

/* header {...} events { kv {...} } events { type: DELETE kv { key: "b" mod_revision: 7 } }
   events { kv { key: "c" mod_revision: 8 } } */
static const char events_message[] = HEADER "5a0f12" KV "5a09080112050a016218075a0712050a01631808";

static void reads_what_a_watch_brings(void **state)
{
    (void)state;
    struct bytes message;
    struct ks_etcd_wire_watched got;
    KS_ARENA_AUTO arena = {0};
    assert_int_equal(read_watched(events_message, &message, &arena, &got).code, KS_OK);
    assert_false(got.is_end);
    assert_int_equal(got.message.header.revision, 7);
    assert_int_equal(got.message.event_count, 3);
    assert_false(got.message.events[0].is_delete);
    assert_int_equal(got.message.events[0].kv.version, 3);
    assert_true(got.message.events[1].is_delete);
    assert_text(got.message.events[1].kv.key, "b");
    assert_int_equal(got.message.events[1].kv.mod_revision, 7);
    assert_false(got.message.events[2].is_delete);

    assert_int_equal(read_watched(HEADER "1801", &message, &arena, &got).code, KS_OK);
    assert_true(got.message.created);
    assert_int_equal(got.message.event_count, 0);
}

/* The last revision of a part is held back, and makes one message with the next part. */
static void a_part_and_the_next_message_join(void **state)
{
    (void)state;
    struct bytes message;
    struct ks_etcd_wire_watched got;
    KS_ARENA_AUTO arena = {0};
    KS_BUFFER_AUTO joined = {.len_max = 4096};
    const char part[] = HEADER "38015a0712050a016118065a0712050a016218075a0712050a01631807";
    assert_int_equal(read_watched(part, &message, &arena, &got).code, KS_OK);
    assert_true(got.is_part);
    assert_int_equal(got.message.event_count, 3);

    ks_bytes whole = {message.bytes, message.len};
    assert_int_equal(ks_etcd_wire_watch_rest(whole, 7, &joined).code, KS_OK);
    assert_hex(ks_buffer_bytes(&joined), "5a0712050a016218075a0712050a01631807");
    struct bytes next = from_hex(HEADER "5a0712050a01641807");
    assert_int_equal(ks_buffer_append(&joined, (ks_bytes){next.bytes, next.len}).code, KS_OK);
    assert_int_equal(ks_etcd_wire_watch_message(ks_buffer_bytes(&joined), &arena, &got).code,
                     KS_OK);
    assert_false(got.is_part);
    assert_int_equal(got.message.event_count, 3);
    assert_text(got.message.events[0].kv.key, "b");
    assert_text(got.message.events[2].kv.key, "d");

    KS_BUFFER_AUTO small = {.len_max = 17};
    assert_int_equal(ks_etcd_wire_watch_rest(whole, 7, &small).code, KS_LIMIT_EXCEEDED);
}

/* canceled: true compact_revision: 2; canceled: true cancel_reason: "because" */
static void reads_how_a_watch_ends(void **state)
{
    (void)state;
    struct bytes message;
    struct ks_etcd_wire_watched got;
    KS_ARENA_AUTO arena = {0};
    assert_int_equal(read_watched(HEADER "20012802", &message, &arena, &got).code, KS_OK);
    assert_true(got.is_end);
    assert_int_equal(got.cause, KS_ETCD_COMPACTED);
    assert_int_equal(got.compact_revision, 2);

    assert_int_equal(read_watched(HEADER "2001320762656361757365", &message, &arena, &got).code,
                     KS_OK);
    assert_true(got.is_end);
    assert_int_equal(got.cause, KS_ETCD_ENDED);
    assert_text(got.detail, "because");
}

static void refuses_watch_messages_that_cannot_be_whole(void **state)
{
    (void)state;
    static const char *const messages[] = {
        HEADER "3801",                           /* a part without events */
        "",                                      /* nothing: not even etcd's revision */
        "1801",                                  /* made, at no revision */
        "5a0f12" KV,                             /* an event, at no revision */
        HEADER "5a00",                           /* an event without a kv */
        HEADER "5a0512030a0161",                 /* without a revision */
        HEADER "5a0412021801",                   /* without a key */
        HEADER "5a11080212" KV,                  /* of an unknown type */
        HEADER "5a0f12" KV "5a0712050a01621806", /* the revisions go back */
        HEADER "5801",                           /* events is a number */
        HEADER "1a00",                           /* created is bytes */
    };
    for (size_t i = 0; i < KS_COUNT(messages); i++) {
        struct bytes message;
        KS_ARENA_AUTO arena = {0};
        struct ks_etcd_wire_watched got;
        assert_int_equal(read_watched(messages[i], &message, &arena, &got).code, KS_VALIDATION);
    }
}

/* That a message is whole is known from the length before it; a cut or a flipped bit does no more
   than fail or give other values. */
static void survives_every_damage(void **state)
{
    (void)state;
    static const char *const messages[] = {events_message, txn_answer};
    for (size_t i = 0; i < KS_COUNT(messages); i++) {
        struct bytes whole = from_hex(messages[i]);
        for (size_t bit = 0; bit < 8 * whole.len; bit++) {
            for (size_t cuts = 0; cuts < 2; cuts++) {
                struct bytes bad = whole;
                unsigned flip = cuts ? 0 : 1U << (bit % 8);
                bad.bytes[bit / 8] = (uint8_t)(bad.bytes[bit / 8] ^ flip);
                ks_bytes message = {bad.bytes, cuts ? bit / 8 : bad.len};
                KS_ARENA_AUTO arena = {.len_max = ks_etcd_wire_arena_max(message.len)};
                struct ks_etcd_wire_watched got;
                KS_ETCD_ANSWER_AUTO *answer = NULL;
                (void)!ks_failed(ks_etcd_wire_watch_message(message, &arena, &got));
                (void)!ks_failed(ks_etcd_wire_answer(KS_ETCD_WIRE_TXN, message, &answer));
            }
        }
    }
}

/*
 * The arena takes whatever a message of that length can say: the shortest elements, many times. A
 * record without a key is refused, but only when all have their place in the arena.
 */
static void the_arena_is_large_enough(void **state)
{
    (void)state;
    static const struct {
        enum ks_etcd_wire_kind kind;
        uint8_t tag;
        ks_code code;
    } lists[] = {{KS_ETCD_WIRE_RANGE, 0x12, KS_VALIDATION},
                 {KS_ETCD_WIRE_MEMBERS, 0x12, KS_OK},
                 {KS_ETCD_WIRE_ALARMS, 0x12, KS_OK}};
    const struct bytes header = from_hex(HEADER);
    static uint8_t many[HEADER_LEN + 100000];
    assert_int_equal(header.len, HEADER_LEN);
    memcpy(many, header.bytes, HEADER_LEN);
    for (size_t i = 0; i < KS_COUNT(lists); i++) {
        for (size_t at = HEADER_LEN; at < sizeof(many); at += 2) {
            many[at] = lists[i].tag;
            many[at + 1] = 0;
        }
        KS_ETCD_ANSWER_AUTO *answer = NULL;
        ks_bytes message = {many, sizeof(many)};
        assert_int_equal(ks_etcd_wire_answer(lists[i].kind, message, &answer).code, lists[i].code);
    }
    for (size_t at = HEADER_LEN; at < sizeof(many); at += 4) { /* responses { response_put { } } */
        memcpy(many + at, "\x1a\x02\x12\x00", 4);
    }
    KS_ETCD_ANSWER_AUTO *txn = NULL;
    ks_bytes message = {many, sizeof(many)};
    assert_int_equal(ks_etcd_wire_answer(KS_ETCD_WIRE_TXN, message, &txn).code, KS_OK);
    assert_int_equal(txn->op_count, (sizeof(many) - HEADER_LEN) / 4);
}

/* ---- How calls end ---- */

static enum ks_etcd_cause cause_of(long http_status, const char *const *lines, size_t count)
{
    struct ks_etcd_trailer trailer = {0};
    for (size_t i = 0; i < count; i++) {
        ks_etcd_trailer_line(&trailer, ks_bytes_of(lines[i]));
    }
    return ks_etcd_trailer_cause(&trailer, http_status);
}

static void tells_errors_apart(void **state)
{
    (void)state;
    static const struct {
        long http_status;
        const char *lines[2];
        enum ks_etcd_cause cause;
    } cases[] = {
        {200, {"grpc-status: 0\r\n", "grpc-message: \r\n"}, KS_ETCD_DONE},
        {200, {"Grpc-Status:14", "grpc-message: etcdserver: leader changed"}, KS_ETCD_NO_LEADER},
        {200,
         {"grpc-status: 14", "grpc-message: etcdserver: request timed out"},
         KS_ETCD_NO_LEADER},
        {200, {"grpc-status: 8", "grpc-message: etcdserver: too many requests"}, KS_ETCD_TOO_MANY},
        {200,
         {"grpc-message: etcdserver: mvcc: database space exceeded", "grpc-status: 8"},
         KS_ETCD_NO_SPACE},
        {200,
         {"grpc-status: 11", "grpc-message: etcdserver%3A mvcc: required revision has been "
                             "compacted"},
         KS_ETCD_COMPACTED},
        {200,
         {"grpc-status: 11", "grpc-message: required%20revision is a%20future revision"},
         KS_ETCD_FUTURE},
        {200,
         {"grpc-status: 3", "grpc-message: etcdserver: request is too large"},
         KS_ETCD_TOO_LARGE},
        {200,
         {"grpc-status: 3", "grpc-message: etcdserver: too many operations in txn request"},
         KS_ETCD_TOO_LARGE},
        {200,
         {"grpc-status: 8", "grpc-message: grpc: received message larger than max (2 vs. 1)"},
         KS_ETCD_TOO_LARGE},
        /* Of the answer: the change is done. */
        {200,
         {"grpc-status: 8", "grpc-message: grpc: trying to send message larger than max"},
         KS_ETCD_UNKNOWN},
        {200,
         {"grpc-status: 3", "grpc-message: etcdserver: duplicate key given in txn request"},
         KS_ETCD_INVALID},
        {200, {"grpc-status: 7", "grpc-message: etcdserver: permission denied"}, KS_ETCD_REFUSED},
        {200, {"grpc-status: 15", "grpc-message: etcdserver: corrupt cluster"}, KS_ETCD_DAMAGED},
        {200, {"grpc-status: 1", "x"}, KS_ETCD_UNKNOWN},
        {200, {"grpc-status: 4", "grpc-message: context deadline exceeded"}, KS_ETCD_UNKNOWN},
        {200, {"grpc-status: 13", "x"}, KS_ETCD_UNKNOWN},
        {200, {"grpc-message: no status", "content-type: application/grpc"}, KS_ETCD_UNKNOWN},
        {200, {"grpc-status: 0x", "x"}, KS_ETCD_UNKNOWN},
        {200, {"grpc-status: ", "x"}, KS_ETCD_UNKNOWN},
        {200, {"grpc-status: 4294967296", "x"}, KS_ETCD_UNKNOWN},
        {200, {"grpc-status: 3", "grpc-status: 0"}, KS_ETCD_UNKNOWN},
        {200, {"grpc-status: 0", "grpc-status: 0"}, KS_ETCD_DONE},
        {401, {"grpc-status: 0", "x"}, KS_ETCD_REFUSED},
        {403, {"", "x"}, KS_ETCD_REFUSED},
        {503, {"grpc-status: 0", "x"}, KS_ETCD_UNKNOWN},
        {404, {"grpc-status: 3", "x"}, KS_ETCD_UNKNOWN},
        {0, {"", ""}, KS_ETCD_UNKNOWN},
    };
    for (size_t i = 0; i < KS_COUNT(cases); i++) {
        assert_int_equal(cause_of(cases[i].http_status, cases[i].lines, 2), cases[i].cause);
    }
}

static void words_are_decoded_and_bounded(void **state)
{
    (void)state;
    struct ks_etcd_trailer trailer = {0};
    char line[2000] = "grpc-message: ";
    ks_etcd_trailer_line(&trailer, KS_LITERAL("grpc-message: a%20b%C3%a9%zz%4"));
    assert_text(ks_etcd_trailer_words(&trailer), "a b\xC3\xA9%zz%4");

    memset(line + strlen(line), 'x', sizeof(line) - strlen(line));
    ks_etcd_trailer_line(&trailer, (ks_bytes){(const uint8_t *)line, sizeof(line)});
    assert_int_equal(ks_etcd_trailer_words(&trailer).len, KS_ETCD_WORDS_MAX);
}

/* ---- Frames ---- */

struct seen {
    char text[64];
    size_t len;
    size_t count;
    size_t stop_at;
};

static bool on_message(void *user, ks_bytes message)
{
    struct seen *seen = user;
    seen->len += (size_t)snprintf(seen->text + seen->len, sizeof(seen->text) - seen->len, "%.*s|",
                                  (int)message.len, (const char *)message.ptr);
    return ++seen->count != seen->stop_at;
}

/* Feeds the stream in pieces of step bytes; false: the stream was refused. */
static bool feed(struct ks_etcd_frames *frames, ks_bytes stream, size_t step, struct seen *seen)
{
    for (size_t at = 0; at < stream.len; at += step) {
        size_t left = stream.len - at;
        ks_bytes piece = {stream.ptr + at, left < step ? left : step};
        if (!ks_etcd_frames_feed(frames, piece, on_message, seen)) {
            return false;
        }
    }
    return true;
}

#define BOUND 7

static const char stream[] = "\0\0\0\0\3one\0\0\0\0\0\0\0\0\0\7two two\0\0\0\0\1x\0\0\0\0\4res";

static void messages_come_whole_however_the_stream_is_cut(void **state)
{
    (void)state;
    for (size_t step = 1; step < sizeof(stream); step++) {
        struct seen seen = {0};
        struct ks_etcd_frames frames = {.rest.len_max = BOUND + KS_ETCD_FRAME_HEAD_LEN};
        assert_true(feed(&frames, KS_LITERAL(stream), step, &seen));
        assert_string_equal(seen.text, "one||two two|x|");
        ks_etcd_frames_done(&frames);
    }
}

/* The head alone is enough to refuse: a length of 4 GiB is not waited for. */
static void a_message_over_the_bound_or_compressed_ends_the_stream(void **state)
{
    (void)state;
    static const char *const streams[] = {"\0\0\0\0\x08", "\0\xff\xff\xff\xff", "\1\0\0\0\1"};
    for (size_t i = 0; i < KS_COUNT(streams); i++) {
        for (size_t step = 1; step <= 5; step += 4) {
            struct seen seen = {0};
            struct ks_etcd_frames frames = {.rest.len_max = BOUND + KS_ETCD_FRAME_HEAD_LEN};
            assert_false(feed(&frames, (ks_bytes){(const uint8_t *)streams[i], 5}, step, &seen));
            assert_int_equal(seen.count, 0);
            ks_etcd_frames_done(&frames);
        }
    }
}

static void a_message_may_end_the_stream(void **state)
{
    (void)state;
    for (size_t step = 1; step < sizeof(stream); step++) {
        struct seen seen = {.stop_at = 3};
        struct ks_etcd_frames frames = {.rest.len_max = BOUND + KS_ETCD_FRAME_HEAD_LEN};
        assert_false(feed(&frames, KS_LITERAL(stream), step, &seen));
        assert_string_equal(seen.text, "one||two two|");
        ks_etcd_frames_done(&frames);
    }
}

static void an_answer_is_one_whole_message(void **state)
{
    (void)state;
    ks_bytes message;
    KS_BUFFER_AUTO buffer = {.len_max = 1000};
    assert_int_equal(ks_etcd_frame_open(&buffer).code, KS_OK);
    for (size_t i = 0; i < 300; i++) {
        assert_int_equal(ks_buffer_append(&buffer, KS_LITERAL("x")).code, KS_OK);
    }
    ks_etcd_frame_close(&buffer);
    assert_memory_equal(buffer.ptr, "\0\0\0\1\x2c", KS_ETCD_FRAME_HEAD_LEN);
    ks_bytes whole = ks_buffer_bytes(&buffer);
    assert_int_equal(ks_etcd_frame_only(whole, &message).code, KS_OK);
    assert_int_equal(message.len, 300);

    for (size_t len = 0; len < whole.len; len++) {
        ks_bytes cut = {whole.ptr, len};
        assert_int_equal(ks_etcd_frame_only(cut, &message).code, KS_VALIDATION);
    }
    assert_int_equal(ks_buffer_append(&buffer, KS_LITERAL("x")).code, KS_OK);
    assert_int_equal(ks_etcd_frame_only(ks_buffer_bytes(&buffer), &message).code, KS_VALIDATION);
    assert_int_equal(ks_etcd_frame_only(KS_LITERAL("\1\0\0\0\0"), &message).code, KS_VALIDATION);
}

/* Ten calls that fail together at one member are one reason to leave it, not ten. */
static void failures_of_one_member_move_on_once(void **state)
{
    (void)state;
    struct ks_etcd_endpoints endpoints = {.count = 3};
    for (size_t i = 0; i < 10; i++) {
        ks_etcd_endpoints_failed(&endpoints, 0);
    }
    assert_int_equal(ks_etcd_endpoints_choose(&endpoints, 0), 1);
    assert_int_equal(ks_etcd_endpoints_choose(&endpoints, 3), 2);
    ks_etcd_endpoints_failed(&endpoints, 1);
    ks_etcd_endpoints_failed(&endpoints, 2);
    assert_int_equal(ks_etcd_endpoints_choose(&endpoints, 0), 0);
    ks_etcd_endpoints_worked(&endpoints, 2);
    assert_int_equal(ks_etcd_endpoints_choose(&endpoints, 0), 2);
    assert_int_equal(ks_etcd_endpoints_after(&endpoints, 2), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_a_transaction),
        cmocka_unit_test(writes_long_messages),
        cmocka_unit_test(writes_a_watch_a_compaction_and_a_disarming),
        cmocka_unit_test(refuses_a_request_over_its_bounds),
        cmocka_unit_test(reads_a_transaction),
        cmocka_unit_test(absent_fields_are_false_zero_and_empty),
        cmocka_unit_test(reads_a_status),
        cmocka_unit_test(reads_alarms_and_members),
        cmocka_unit_test(refuses_answers_of_another_form),
        cmocka_unit_test(refuses_answers_that_say_no_revision),
        cmocka_unit_test(each_cause_has_a_result_and_words),
        cmocka_unit_test(reads_what_a_watch_brings),
        cmocka_unit_test(a_part_and_the_next_message_join),
        cmocka_unit_test(reads_how_a_watch_ends),
        cmocka_unit_test(refuses_watch_messages_that_cannot_be_whole),
        cmocka_unit_test(survives_every_damage),
        cmocka_unit_test(the_arena_is_large_enough),
        cmocka_unit_test(tells_errors_apart),
        cmocka_unit_test(words_are_decoded_and_bounded),
        cmocka_unit_test(messages_come_whole_however_the_stream_is_cut),
        cmocka_unit_test(a_message_over_the_bound_or_compressed_ends_the_stream),
        cmocka_unit_test(a_message_may_end_the_stream),
        cmocka_unit_test(an_answer_is_one_whole_message),
        cmocka_unit_test(failures_of_one_member_move_on_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
