#include "pkg/etcd/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "pkg/etcd/endpoints.h"
#include "pkg/etcd/lines.h"

/* KS_LITERAL is no constant; this can stand in an initializer. */
#define BYTES(text)                                                                                \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }

#define HEADER                                                                                     \
    "\"header\":{\"cluster_id\":\"17237436991929493444\",\"member_id\":\"9372538179322589801\","   \
    "\"revision\":\"7\",\"raft_term\":\"2\"}"

static void assert_text(ks_bytes bytes, const char *expected)
{
    char *copy = ks_bytes_dup(bytes);
    assert_string_equal(copy, expected);
    ks_free(copy);
}

static struct ks_etcd_answer *read_answer(enum ks_etcd_wire_kind kind, const char *body)
{
    struct ks_etcd_answer *answer = NULL;
    assert_int_equal(ks_etcd_wire_answer(kind, ks_bytes_of(body), &answer).code, KS_OK);
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
    assert_text(
        ks_buffer_bytes(&buffer),
        "{\"compare\":[{\"target\":\"MOD\",\"result\":\"EQUAL\",\"key\":\"YQ==\","
        "\"mod_revision\":\"5\"},{\"target\":\"MOD\",\"result\":\"EQUAL\",\"key\":\"Yg==\","
        "\"mod_revision\":\"0\"}],"
        "\"success\":[{\"request_put\":{\"key\":\"YQ==\",\"value\":\"AP8=\"}},"
        "{\"request_delete_range\":{\"key\":\"Yg==\"}}],"
        "\"failure\":[{\"request_txn\":{\"compare\":[{\"target\":\"MOD\",\"result\":\"EQUAL\","
        "\"key\":\"YQ==\",\"mod_revision\":\"5\"}],"
        "\"success\":[{\"request_put\":{\"key\":\"YQ==\",\"value\":\"AP8=\"}}],"
        "\"failure\":[{\"request_range\":{\"key\":\"YQ==\",\"range_end\":\"Yg==\",\"limit\":\"3\","
        "\"revision\":\"9\",\"keys_only\":true,\"serializable\":true}}]}}]}");
}

static void writes_a_watch_and_a_compaction(void **state)
{
    (void)state;
    KS_BUFFER_AUTO watch = {.len_max = 4096};
    KS_BUFFER_AUTO compaction = {.len_max = 4096};
    assert_int_equal(ks_etcd_wire_watch(&watch, KS_LITERAL("a"), KS_LITERAL("b"), INT64_MAX).code,
                     KS_OK);
    assert_int_equal(ks_etcd_wire_compact(&compaction, 12).code, KS_OK);
    assert_text(ks_buffer_bytes(&watch),
                "{\"create_request\":{\"key\":\"YQ==\",\"range_end\":\"Yg==\","
                "\"start_revision\":\"9223372036854775807\",\"progress_notify\":true}}");
    assert_text(ks_buffer_bytes(&compaction), "{\"revision\":\"12\"}");
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

    KS_BUFFER_AUTO small = {.len_max = 100};
    txn.success_count = 3;
    assert_int_equal(ks_etcd_wire_txn(&small, &txn).code, KS_LIMIT_EXCEEDED);
}

#define KV                                                                                         \
    "{\"key\":\"YQ==\",\"create_revision\":\"2\",\"mod_revision\":\"7\",\"version\":\"3\","        \
    "\"value\":\"AP8=\"}"

static const char txn_body[] =
    "{" HEADER ",\"succeeded\":true,\"responses\":["
    "{\"response_put\":{\"header\":{\"revision\":\"7\"}}},"
    "{\"response_range\":{" HEADER ",\"kvs\":[" KV "],\"more\":true,\"count\":\"4\"}},"
    "{\"response_delete_range\":{\"deleted\":\"2\"}},"
    "{\"response_txn\":{\"responses\":[{\"response_range\":{\"kvs\":[" KV "]}}]}},"
    "{\"response_txn\":{\"succeeded\":true}}]}";

static void reads_a_transaction(void **state)
{
    (void)state;
    KS_ETCD_ANSWER_AUTO *answer = read_answer(KS_ETCD_WIRE_TXN, txn_body);
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
    KS_ETCD_ANSWER_AUTO *txn = read_answer(KS_ETCD_WIRE_TXN, "{}");
    KS_ETCD_ANSWER_AUTO *range = read_answer(KS_ETCD_WIRE_RANGE, "{" HEADER "}");
    KS_ETCD_ANSWER_AUTO *alarms = read_answer(KS_ETCD_WIRE_ALARMS, "{" HEADER "}");
    assert_false(txn->succeeded);
    assert_int_equal(txn->op_count, 0);
    assert_int_equal(range->op_count, 1);
    assert_int_equal(range->ops[0].kv_count, 0);
    assert_int_equal(alarms->alarm_count, 0);
}

static void reads_status_alarms_and_members(void **state)
{
    (void)state;
    KS_ETCD_ANSWER_AUTO *status = read_answer(
        KS_ETCD_WIRE_STATUS,
        "{" HEADER
        ",\"version\":\"3.4.23\",\"dbSize\":\"32768\",\"leader\":\"9372538179322589801\","
        "\"raftIndex\":\"9\",\"raftTerm\":\"2\",\"raftAppliedIndex\":\"8\",\"dbSizeInUse\":\"5\"}");
    KS_ETCD_ANSWER_AUTO *alarms =
        read_answer(KS_ETCD_WIRE_ALARMS, "{" HEADER ",\"alarms\":[{\"memberID\":\"5\",\"alarm\":"
                                         "\"NOSPACE\"},{\"alarm\":\"CORRUPT\"},{}]}");
    KS_ETCD_ANSWER_AUTO *members =
        read_answer(KS_ETCD_WIRE_MEMBERS,
                    "{\"members\":[{\"ID\":\"5\",\"name\":\"m0\",\"peerURLs\":[\"https://p\"],"
                    "\"clientURLs\":[\"https://c\"]},{\"ID\":\"6\",\"isLearner\":true}]}");
    assert_text(status->status.version, "3.4.23");
    assert_int_equal(status->status.db_len, 32768);
    assert_int_equal(status->status.db_used_len, 5);
    assert_int_equal(status->status.raft_applied_index, 8);
    assert_true(status->status.is_leader);
    assert_int_equal(alarms->alarm_count, 3);
    assert_int_equal(alarms->alarms[0].kind, KS_ETCD_ALARM_NO_SPACE);
    assert_int_equal(alarms->alarms[0].member_id, 5);
    assert_int_equal(alarms->alarms[1].kind, KS_ETCD_ALARM_CORRUPT);
    assert_int_equal(alarms->alarms[2].kind, KS_ETCD_ALARM_NONE);
    assert_int_equal(members->member_count, 2);
    assert_text(members->members[0].name, "m0");
    assert_text(members->members[0].client_url, "https://c");
    assert_int_equal(members->members[1].peer_url.len, 0);
    assert_true(members->members[1].is_learner);
}

static void refuses_answers_of_another_form(void **state)
{
    (void)state;
    static const struct {
        enum ks_etcd_wire_kind kind;
        const char *body;
    } cases[] = {
        {KS_ETCD_WIRE_HEADER, ""},
        {KS_ETCD_WIRE_HEADER, "[]"},
        {KS_ETCD_WIRE_HEADER, "{\"header\":{\"revision\":\"x\"}}"},
        {KS_ETCD_WIRE_TXN, "{\"succeeded\":1}"},
        {KS_ETCD_WIRE_TXN, "{\"responses\":{}}"},
        {KS_ETCD_WIRE_TXN, "{\"responses\":[{}]}"},
        {KS_ETCD_WIRE_TXN, "{\"responses\":[null]}"},
        {KS_ETCD_WIRE_TXN, "{\"responses\":[{\"response_txn\":{\"responses\":"
                           "[{\"response_txn\":{}}]}}]}"},
        {KS_ETCD_WIRE_RANGE, "{\"kvs\":[{\"key\":\"YQ=\"}]}"},
        {KS_ETCD_WIRE_RANGE, "{\"kvs\":[{\"key\":5}]}"},
        {KS_ETCD_WIRE_RANGE, "{\"kvs\":\"\"}"},
        {KS_ETCD_WIRE_RANGE, "{\"a\":[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]}"},
    };
    for (size_t i = 0; i < KS_COUNT(cases); i++) {
        struct ks_etcd_answer *answer = NULL;
        assert_true(
            ks_failed(ks_etcd_wire_answer(cases[i].kind, ks_bytes_of(cases[i].body), &answer)));
        assert_null(answer);
    }
}

static void tells_errors_apart(void **state)
{
    (void)state;
    static const struct {
        long http_status;
        const char *body;
        enum ks_etcd_cause cause;
    } cases[] = {
        {503, "{\"error\":\"etcdserver: leader changed\",\"code\":14}", KS_ETCD_NO_LEADER},
        {503, "{\"error\":\"etcdserver: request timed out\",\"code\":14}", KS_ETCD_NO_LEADER},
        {429, "{\"error\":\"etcdserver: too many requests\",\"code\":8}", KS_ETCD_TOO_MANY},
        {429, "{\"error\":\"etcdserver: mvcc: database space exceeded\",\"code\":8}",
         KS_ETCD_NO_SPACE},
        {400, "{\"error\":\"etcdserver: mvcc: required revision has been compacted\",\"code\":11}",
         KS_ETCD_COMPACTED},
        {400, "{\"error\":\"etcdserver: mvcc: required revision is a future revision\"}",
         KS_ETCD_FUTURE},
        {400, "{\"error\":\"etcdserver: request is too large\",\"code\":3}", KS_ETCD_TOO_LARGE},
        {400, "{\"error\":\"etcdserver: too many operations in txn request\",\"code\":3}",
         KS_ETCD_TOO_LARGE},
        {400, "{\"error\":\"etcdserver: duplicate key given in txn request\",\"code\":3}",
         KS_ETCD_INVALID},
        {403, "{\"error\":\"etcdserver: permission denied\",\"code\":7}", KS_ETCD_REFUSED},
        {401, "not json", KS_ETCD_REFUSED},
        {500, "{\"error\":\"etcdserver: corrupt cluster\",\"code\":15}", KS_ETCD_DAMAGED},
        {500, "{\"error\":{\"grpc_code\":14,\"message\":\"x\"}}", KS_ETCD_NO_LEADER},
        {500, "", KS_ETCD_UNKNOWN},
        {502, "<html>", KS_ETCD_UNKNOWN},
        {500, "{\"error\":\"?\",\"code\":2}", KS_ETCD_UNKNOWN},
    };
    for (size_t i = 0; i < KS_COUNT(cases); i++) {
        KS_ARENA_AUTO arena = {.len_max = 65536};
        ks_bytes words;
        assert_int_equal(
            ks_etcd_wire_error(cases[i].http_status, ks_bytes_of(cases[i].body), &arena, &words),
            cases[i].cause);
    }
}

/* What a caller rests on: whether a failure leaves the change certainly undone. */
static void each_cause_has_a_result_and_words(void **state)
{
    (void)state;
    static const bool may_be_applied[KS_ETCD_CAUSE_COUNT] = {
        [KS_ETCD_UNKNOWN] = true,
        [KS_ETCD_NO_LEADER] = true,
        [KS_ETCD_BAD_ANSWER] = true,
        [KS_ETCD_CLOSED] = true,
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

static ks_result read_line(const char *text, struct ks_arena *arena, struct ks_etcd_wire_line *ret)
{
    arena->len_max = ks_etcd_wire_arena_max(strlen(text));
    return ks_etcd_wire_watch_line(ks_bytes_of(text), arena, ret);
}

static const char events_line[] =
    "{\"result\":{" HEADER ",\"events\":[{\"kv\":" KV "},"
    "{\"type\":\"DELETE\",\"kv\":{\"key\":\"Yg==\",\"mod_revision\":\"7\"}},"
    "{\"type\":\"PUT\",\"kv\":{\"key\":\"Yw==\",\"mod_revision\":\"8\"}}]}}";

static void reads_watch_lines(void **state)
{
    (void)state;
    KS_ARENA_AUTO arena = {0};
    struct ks_etcd_wire_line line;
    assert_int_equal(read_line(events_line, &arena, &line).code, KS_OK);
    assert_false(line.is_end);
    assert_int_equal(line.message.header.revision, 7);
    assert_int_equal(line.message.event_count, 3);
    assert_false(line.message.events[0].is_delete);
    assert_int_equal(line.message.events[0].kv.version, 3);
    assert_true(line.message.events[1].is_delete);
    assert_text(line.message.events[1].kv.key, "b");
    assert_int_equal(line.message.events[1].kv.mod_revision, 7);
    assert_false(line.message.events[2].is_delete);

    ks_arena_done(&arena);
    assert_int_equal(read_line("{\"result\":{" HEADER ",\"created\":true}}", &arena, &line).code,
                     KS_OK);
    assert_true(line.message.created);
    assert_int_equal(line.message.event_count, 0);

    ks_arena_done(&arena);
    assert_int_equal(
        read_line("{\"result\":{\"canceled\":true,\"compact_revision\":\"2\"}}", &arena, &line)
            .code,
        KS_OK);
    assert_true(line.is_end);
    assert_int_equal(line.cause, KS_ETCD_COMPACTED);
    assert_int_equal(line.compact_revision, 2);

    ks_arena_done(&arena);
    assert_int_equal(
        read_line("{\"result\":{\"canceled\":true,\"cancel_reason\":\"because\"}}", &arena, &line)
            .code,
        KS_OK);
    assert_int_equal(line.cause, KS_ETCD_ENDED);
    assert_text(line.detail, "because");

    ks_arena_done(&arena);
    assert_int_equal(
        read_line("{\"error\":{\"grpc_code\":14,\"message\":\"no leader\"}}", &arena, &line).code,
        KS_OK);
    assert_true(line.is_end);
    assert_int_equal(line.cause, KS_ETCD_NO_LEADER);
}

static void refuses_watch_lines_that_cannot_be_whole(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "{}",
        "{\"result\":5}",
        "{\"result\":{},\"error\":{}}",
        "{\"result\":{\"fragment\":true}}",
        "{\"result\":{\"events\":[{}]}}",
        "{\"result\":{\"events\":[{\"kv\":{\"key\":\"YQ==\"}}]}}",
        "{\"result\":{\"events\":[{\"kv\":{\"mod_revision\":\"1\"}}]}}",
        "{\"result\":{\"events\":[{\"type\":\"OTHER\",\"kv\":" KV "}]}}",
        "{\"result\":{\"events\":[{\"kv\":" KV "},{\"kv\":{\"key\":\"Yg==\","
        "\"mod_revision\":\"6\"}}]}}",
    };
    for (size_t i = 0; i < KS_COUNT(lines); i++) {
        KS_ARENA_AUTO arena = {0};
        struct ks_etcd_wire_line line;
        assert_int_equal(read_line(lines[i], &arena, &line).code, KS_VALIDATION);
    }
}

/* Every cut is refused; no flipped bit does more than fail or give other values. */
static void survives_every_damage(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof(events_line) - 1; len++) {
        KS_ARENA_AUTO arena = {.len_max = 1U << 20};
        struct ks_etcd_wire_line line;
        ks_bytes cut = {(const uint8_t *)events_line, len};
        assert_int_equal(ks_etcd_wire_watch_line(cut, &arena, &line).code, KS_VALIDATION);
    }
    for (size_t len = 0; len < sizeof(txn_body) - 1; len++) {
        struct ks_etcd_answer *answer;
        ks_bytes cut = {(const uint8_t *)txn_body, len};
        assert_int_equal(ks_etcd_wire_answer(KS_ETCD_WIRE_TXN, cut, &answer).code, KS_VALIDATION);
    }
    for (size_t bit = 0; bit < 8 * (sizeof(events_line) - 1); bit++) {
        KS_ARENA_AUTO arena = {.len_max = 1U << 20};
        struct ks_etcd_wire_line line;
        uint8_t bad[sizeof(events_line)];
        memcpy(bad, events_line, sizeof(bad));
        bad[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        (void)!ks_failed(ks_etcd_wire_watch_line((ks_bytes){bad, sizeof(bad) - 1}, &arena, &line));
    }
    for (size_t bit = 0; bit < 8 * (sizeof(txn_body) - 1); bit++) {
        uint8_t bad[sizeof(txn_body)];
        KS_ETCD_ANSWER_AUTO *answer = NULL;
        memcpy(bad, txn_body, sizeof(bad));
        bad[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        (void)!ks_failed(
            ks_etcd_wire_answer(KS_ETCD_WIRE_TXN, (ks_bytes){bad, sizeof(bad) - 1}, &answer));
    }
}

struct seen {
    char text[64];
    size_t len;
    size_t count;
    size_t stop_at;
};

static bool on_line(void *user, ks_bytes line)
{
    struct seen *seen = user;
    seen->len += (size_t)snprintf(seen->text + seen->len, sizeof(seen->text) - seen->len, "%.*s|",
                                  (int)line.len, (const char *)line.ptr);
    return ++seen->count != seen->stop_at;
}

static void lines_come_whole_however_the_stream_is_cut(void **state)
{
    (void)state;
    static const char stream[] = "one\n\ntwo two\nx\nrest";
    for (size_t step = 1; step < sizeof(stream); step++) {
        struct seen seen = {0};
        struct ks_etcd_lines lines = {.rest.len_max = 7};
        for (size_t at = 0; at < sizeof(stream) - 1; at += step) {
            size_t left = sizeof(stream) - 1 - at;
            ks_bytes piece = {(const uint8_t *)stream + at, left < step ? left : step};
            assert_true(ks_etcd_lines_feed(&lines, piece, on_line, &seen));
        }
        assert_string_equal(seen.text, "one|two two|x|");
        ks_etcd_lines_done(&lines);
    }
}

static void a_line_over_the_bound_ends_the_stream(void **state)
{
    (void)state;
    static const char *const streams[] = {"12345678\n", "1234567812"};
    for (size_t i = 0; i < KS_COUNT(streams); i++) {
        for (size_t step = 1; step <= 10; step += 9) {
            struct seen seen = {0};
            struct ks_etcd_lines lines = {.rest.len_max = 7};
            bool is_fine = true;
            for (size_t at = 0; at < strlen(streams[i]) && is_fine; at += step) {
                size_t left = strlen(streams[i]) - at;
                ks_bytes piece = {(const uint8_t *)streams[i] + at, left < step ? left : step};
                is_fine = ks_etcd_lines_feed(&lines, piece, on_line, &seen);
            }
            assert_false(is_fine);
            assert_int_equal(seen.count, 0);
            ks_etcd_lines_done(&lines);
        }
    }
}

static void a_line_may_end_the_stream(void **state)
{
    (void)state;
    struct seen seen = {.stop_at = 2};
    struct ks_etcd_lines lines = {.rest.len_max = 7};
    assert_false(ks_etcd_lines_feed(&lines, KS_LITERAL("a\nb\nc\n"), on_line, &seen));
    assert_string_equal(seen.text, "a|b|");
    ks_etcd_lines_done(&lines);
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
        cmocka_unit_test(writes_a_watch_and_a_compaction),
        cmocka_unit_test(refuses_a_request_over_its_bounds),
        cmocka_unit_test(reads_a_transaction),
        cmocka_unit_test(absent_fields_are_false_zero_and_empty),
        cmocka_unit_test(reads_status_alarms_and_members),
        cmocka_unit_test(refuses_answers_of_another_form),
        cmocka_unit_test(tells_errors_apart),
        cmocka_unit_test(each_cause_has_a_result_and_words),
        cmocka_unit_test(reads_watch_lines),
        cmocka_unit_test(refuses_watch_lines_that_cannot_be_whole),
        cmocka_unit_test(survives_every_damage),
        cmocka_unit_test(lines_come_whole_however_the_stream_is_cut),
        cmocka_unit_test(a_line_over_the_bound_ends_the_stream),
        cmocka_unit_test(a_line_may_end_the_stream),
        cmocka_unit_test(failures_of_one_member_move_on_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
