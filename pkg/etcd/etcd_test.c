/* Calls to one real member; watches are in watch_test.c, what takes several in cell_test.c. */
#include "pkg/etcd/etcd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pkg/etcd/client_fixture.h"
#include "tests/harness/etcd_certs.h"

#define BYTES(text)                                                                                \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }

static void does_success_if_all_compares_hold_else_failure(void **state)
{
    (void)state;
    struct ks_etcd_compare compares[] = {{BYTES("t1/a"), 0}, {BYTES("t1/b"), 0}};
    struct ks_etcd_op success[] = {put_op("t1/a", "1"), put_op("t1/b", "2")};
    struct ks_etcd_op failure[] = {range_op("t1/a")};
    struct ks_etcd_txn txn = {.compares = compares,
                              .compare_count = 2,
                              .success = success,
                              .success_count = 2,
                              .failure = failure,
                              .failure_count = 1};

    KS_ETCD_ANSWER_AUTO *first = ks_etcd_txn_wait(client, &txn, NULL);
    KS_ETCD_ANSWER_AUTO *second = ks_etcd_txn_wait(client, &txn, NULL);
    compares[0].mod_revision = first->header.revision;
    compares[1].mod_revision = first->header.revision;
    KS_ETCD_ANSWER_AUTO *third = ks_etcd_txn_wait(client, &txn, NULL);

    assert_int_equal(first->cause, KS_ETCD_DONE);
    assert_true(first->succeeded);
    assert_int_equal(first->op_count, 2);
    assert_true(first->header.cluster_id != 0 && first->header.member_id != 0);
    assert_int_equal(second->cause, KS_ETCD_DONE);
    assert_false(second->succeeded);
    assert_int_equal(second->ops[0].kind, KS_ETCD_RANGE);
    assert_int_equal(second->ops[0].kv_count, 1);
    assert_int_equal(second->ops[0].kvs[0].mod_revision, first->header.revision);
    assert_int_equal(second->ops[0].kvs[0].version, 1);
    assert_true(third->succeeded);
    assert_int_equal(third->header.revision, first->header.revision + 1);
}

/* Group commit rests on this: one of several mutations conflicts, and the others are done. */
static void nested_transactions_succeed_and_fail_by_themselves(void **state)
{
    (void)state;
    put("t2/taken", "old");
    struct ks_etcd_compare compares[] = {{BYTES("t2/free"), 0}, {BYTES("t2/taken"), 0}};
    struct ks_etcd_op puts[] = {put_op("t2/free", "new"), put_op("t2/taken", "new")};
    struct ks_etcd_op look = range_op("t2/taken");
    struct ks_etcd_txn inner[2];
    struct ks_etcd_op ops[3];
    for (size_t i = 0; i < 2; i++) {
        inner[i] = (struct ks_etcd_txn){.compares = &compares[i],
                                        .compare_count = 1,
                                        .success = &puts[i],
                                        .success_count = 1,
                                        .failure = &look,
                                        .failure_count = 1};
        ops[i] = (struct ks_etcd_op){.kind = KS_ETCD_TXN, .txn = &inner[i]};
    }
    ops[2] = put_op("t2/revision", "");
    struct ks_etcd_txn txn = {.success = ops, .success_count = 3};

    KS_ETCD_ANSWER_AUTO *answer = ks_etcd_txn_wait(client, &txn, NULL);

    assert_int_equal(answer->cause, KS_ETCD_DONE);
    assert_true(answer->succeeded);
    assert_int_equal(answer->op_count, 3);
    assert_true(answer->ops[0].succeeded);
    assert_int_equal(answer->ops[0].op_count, 1);
    assert_false(answer->ops[1].succeeded);
    assert_int_equal(answer->ops[1].ops[0].kv_count, 1);
    assert_true(ks_bytes_equal(answer->ops[1].ops[0].kvs[0].value, KS_LITERAL("old")));
    assert_int_equal(answer->ops[2].kind, KS_ETCD_PUT);
    assert_value("t2/free", "new");
    assert_value("t2/taken", "old");
}

static void keys_and_values_are_any_bytes(void **state)
{
    (void)state;
    uint8_t all[256];
    for (size_t i = 0; i < sizeof(all); i++) {
        all[i] = (uint8_t)i;
    }
    for (size_t len = sizeof(all) - 3; len <= sizeof(all); len++) {
        ks_bytes bytes = {all, len};
        struct ks_etcd_op ops[] = {
            {.kind = KS_ETCD_PUT, .key = bytes, .value = bytes},
            {.kind = KS_ETCD_RANGE, .key = bytes},
        };
        struct ks_etcd_txn txn = {.success = ops, .success_count = 2};
        KS_ETCD_ANSWER_AUTO *answer = ks_etcd_txn_wait(client, &txn, NULL);
        assert_int_equal(answer->cause, KS_ETCD_DONE);
        assert_int_equal(answer->ops[1].kv_count, 1);
        assert_true(ks_bytes_equal(answer->ops[1].kvs[0].key, bytes));
        assert_true(ks_bytes_equal(answer->ops[1].kvs[0].value, bytes));
    }
}

static void deletes_one_key_and_ranges(void **state)
{
    (void)state;
    put("t4/a", "1");
    put("t4/b", "2");
    put("t4/c", "3");
    struct ks_etcd_op one = {.kind = KS_ETCD_DELETE, .key = KS_LITERAL("t4/a")};
    struct ks_etcd_op rest = {
        .kind = KS_ETCD_DELETE, .key = KS_LITERAL("t4/"), .range_end = KS_LITERAL("t40")};
    struct ks_etcd_op ops[] = {one, rest};
    for (int64_t i = 0; i < 2; i++) {
        struct ks_etcd_txn txn = {.success = &ops[i], .success_count = 1};
        KS_ETCD_ANSWER_AUTO *answer = ks_etcd_txn_wait(client, &txn, NULL);
        assert_int_equal(answer->cause, KS_ETCD_DONE);
        assert_int_equal(answer->ops[0].count, i + 1);
    }
    assert_value("t4/c", NULL);
}

/* Pages stay those of the first one's revision, whatever is written meanwhile. */
static void pages_show_one_revision(void **state)
{
    (void)state;
    char key[32];
    for (int i = 0; i < 10; i++) {
        snprintf(key, sizeof(key), "t5/%d", i);
        put(key, "x");
    }
    struct ks_etcd_op op = {.kind = KS_ETCD_RANGE,
                            .key = KS_LITERAL("t5/"),
                            .range_end = KS_LITERAL("t50"),
                            .limit = 4,
                            .keys_only = true};
    char next[32];
    size_t seen = 0;
    bool more = true;
    for (size_t page = 0; page < 5 && more; page++) {
        KS_ETCD_ANSWER_AUTO *answer = ks_etcd_range_wait(client, &op, NULL);
        assert_int_equal(answer->cause, KS_ETCD_DONE);
        const struct ks_etcd_op_answer *range = &answer->ops[0];
        const struct ks_etcd_kv *last = &range->kvs[range->kv_count - 1];
        seen += range->kv_count;
        more = range->more;
        assert_int_equal(last->value.len, 0);
        op.revision = op.revision ? op.revision : answer->header.revision;
        memcpy(next, last->key.ptr, last->key.len);
        next[last->key.len] = '\0';
        op.key = (ks_bytes){(uint8_t *)next, last->key.len + 1};
        put("t5/zz", "later");
    }
    assert_false(more);
    assert_int_equal(seen, 10);
}

static void maps_what_etcd_refuses(void **state)
{
    (void)state;
    struct ks_etcd_op twice[] = {put_op("t6/a", "1"), put_op("t6/a", "2")};
    struct ks_etcd_txn same_key = {.success = twice, .success_count = 2};
    KS_ETCD_ANSWER_AUTO *invalid = ks_etcd_txn_wait(client, &same_key, NULL);
    assert_int_equal(invalid->cause, KS_ETCD_INVALID);
    assert_false(invalid->may_be_applied);
    assert_non_null(strstr(invalid->detail, "duplicate key"));

    struct ks_etcd_op future = range_op("t6/a");
    future.revision = INT64_MAX;
    KS_ETCD_ANSWER_AUTO *not_yet = ks_etcd_range_wait(client, &future, NULL);
    assert_int_equal(not_yet->cause, KS_ETCD_FUTURE);

    static uint8_t large[KS_ETCD_REQUEST_BINARY_MAX + 1];
    struct ks_etcd_op op = {
        .kind = KS_ETCD_PUT, .key = KS_LITERAL("t6/b"), .value = {large, sizeof(large)}};
    struct ks_etcd_txn txn = {.success = &op, .success_count = 1};
    KS_ETCD_ANSWER_AUTO *too_large = ks_etcd_txn_wait(client, &txn, NULL);
    assert_int_equal(too_large->cause, KS_ETCD_TOO_LARGE);
    assert_false(too_large->may_be_applied);
}

static void compaction_forgets_what_is_older(void **state)
{
    (void)state;
    int64_t old = put("t7/a", "1");
    int64_t revision = put("t7/a", "2");
    struct ks_etcd_op op = range_op("t7/a");
    op.revision = old;

    KS_ETCD_ANSWER_AUTO *done = ks_etcd_compact_wait(client, revision, NULL);
    KS_ETCD_ANSWER_AUTO *again = ks_etcd_compact_wait(client, revision, NULL);
    KS_ETCD_ANSWER_AUTO *forgotten = ks_etcd_range_wait(client, &op, NULL);

    assert_int_equal(done->cause, KS_ETCD_DONE);
    assert_int_equal(again->cause, KS_ETCD_COMPACTED);
    assert_int_equal(forgotten->cause, KS_ETCD_COMPACTED);
}

static void tells_status_members_and_alarms(void **state)
{
    (void)state;
    KS_ETCD_ANSWER_AUTO *status =
        ks_etcd_wait(client, ks_etcd_status, &(struct ks_etcd_call){.pin = 1});
    KS_ETCD_ANSWER_AUTO *members = ks_etcd_wait(client, ks_etcd_members, NULL);
    KS_ETCD_ANSWER_AUTO *alarms = ks_etcd_wait(client, ks_etcd_alarms, NULL);
    assert_true(status->status.is_leader);
    assert_true(status->status.db_len > 0 && status->status.db_used_len > 0);
    assert_true(ks_bytes_starts_with(status->status.version, KS_LITERAL("3.")));
    assert_int_equal(members->member_count, 1);
    assert_true(members->members[0].id == status->header.member_id);
    assert_int_equal(alarms->cause, KS_ETCD_DONE);
    assert_int_equal(alarms->alarm_count, 0);
}

/* The request lies in the paused member's socket: it may be applied when it goes on. */
static void a_paused_member_means_unknown_in_about_the_timeout(void **state)
{
    (void)state;
    put("t17/a", "0");
    struct ended ended = {0};
    etcd_fixture_pause(cell, 0);
    int64_t start_ms = now_ms();
    start_put(&ended, 250);
    assert_int_equal(ended.count, 0);
    run_until(&ended.count, 1);
    etcd_fixture_resume(cell, 0);

    assert_int_equal(ended.cause, KS_ETCD_UNKNOWN);
    assert_true(ended.may_be_applied);
    assert_true(ended.at_ms - start_ms >= 240 && ended.at_ms - start_ms < 1000);
}

/* A new connection finds nobody who shakes hands: nothing was sent. */
static void a_paused_member_without_connection_means_not_applied(void **state)
{
    (void)state;
    struct ended ended = {0};
    etcd_fixture_pause(cell, 0);
    start_put(&ended, 250);
    run_until(&ended.count, 1);
    etcd_fixture_resume(cell, 0);

    assert_int_equal(ended.cause, KS_ETCD_UNSENT);
    assert_false(ended.may_be_applied);
}

static void a_member_killed_during_the_call_means_unknown(void **state)
{
    (void)state;
    put("t17/a", "0");
    struct ended ended = {0};
    etcd_fixture_pause(cell, 0);
    start_put(&ended, 2000);
    for (size_t i = 0; i < 5; i++) {
        ks_etcd_run(client, 20);
    }
    assert_int_equal(ended.count, 0);
    etcd_fixture_kill(cell, 0);
    run_until(&ended.count, 1);
    etcd_fixture_restart(cell, 0, true);

    assert_int_equal(ended.cause, KS_ETCD_UNKNOWN);
    assert_true(ended.may_be_applied);
}

/* curl repeats a request by itself when an old connection breaks before the first byte of an
   answer. A change must not be repeated so: the first one may have been applied. */
static void a_change_is_never_sent_twice(void **state)
{
    (void)state;
    put("t18/n", "0");
    struct ended ended = {0};
    etcd_fixture_pause(cell, 0);
    start_put(&ended, PATIENT_MS);
    for (size_t i = 0; i < 5; i++) {
        ks_etcd_run(client, 20);
    }
    etcd_fixture_kill(cell, 0);
    etcd_fixture_restart(cell, 0, true);
    run_until(&ended.count, 1);

    assert_int_equal(ended.cause, KS_ETCD_UNKNOWN);
    assert_true(ended.may_be_applied);
}

static void an_absent_member_means_not_applied(void **state)
{
    (void)state;
    put("t17/a", "0");
    struct ended ended = {0};
    etcd_fixture_kill(cell, 0);
    int64_t start_ms = now_ms();
    start_put(&ended, PATIENT_MS);
    run_until(&ended.count, 1);
    etcd_fixture_restart(cell, 0, true);

    assert_int_equal(ended.cause, KS_ETCD_UNSENT);
    assert_false(ended.may_be_applied);
    assert_true(ended.at_ms - start_ms < 1000);
}

/* A callback starts the next call, as group commit does. */
struct chain {
    struct ks_etcd_op op;
    struct ks_etcd_txn txn;
    size_t left;
    size_t done;
};

static void next_in_chain(void *user, const struct ks_etcd_answer *answer)
{
    struct chain *chain = user;
    assert_int_equal(answer->cause, KS_ETCD_DONE);
    chain->done++;
    if (chain->left > 0) {
        chain->left--;
        struct ks_etcd_call call = {.done = next_in_chain, .user = chain};
        assert_int_equal(ks_etcd_txn(client, &chain->txn, &call).code, KS_OK);
    }
}

static void a_callback_may_start_calls(void **state)
{
    (void)state;
    struct chain chain = {.op = put_op("t20/a", "1"), .left = 20};
    chain.txn = (struct ks_etcd_txn){.success = &chain.op, .success_count = 1};
    struct ks_etcd_call call = {.done = next_in_chain, .user = &chain};
    assert_int_equal(ks_etcd_txn(client, &chain.txn, &call).code, KS_OK);
    run_until(&chain.done, 21);
    assert_int_equal(ks_etcd_pending(client), 0);
}

static void takes_no_more_calls_than_it_says(void **state)
{
    (void)state;
    size_t done = 0;
    struct ks_etcd_call call = {.done = count_done, .user = &done};
    for (size_t i = 0; i < KS_ETCD_CALLS_MAX; i++) {
        assert_int_equal(ks_etcd_status(client, &call).code, KS_OK);
    }
    assert_int_equal(ks_etcd_status(client, &call).code, KS_THROTTLED);
    run_until(&done, KS_ETCD_CALLS_MAX);
}

static void refuses_an_answer_over_the_bound(void **state)
{
    (void)state;
    put("t21/a", "a value that is longer than the bound of the client that asks for it, by far");
    struct ks_etcd_options options = patient_options(cell);
    options.answer_len_max = 64;
    KS_ETCD_AUTO *narrow = NULL;
    assert_int_equal(ks_etcd_new(&options, &narrow).code, KS_OK);
    struct ks_etcd_op op = range_op("t21/a");
    KS_ETCD_ANSWER_AUTO *answer = ks_etcd_range_wait(narrow, &op, NULL);
    assert_int_equal(answer->cause, KS_ETCD_BAD_ANSWER);
}

static void *wake_later(void *user)
{
    (void)user;
    nanosleep(&(struct timespec){.tv_nsec = 50000000L}, NULL);
    ks_etcd_wake(client);
    return NULL;
}

static void wake_ends_a_turn_early(void **state)
{
    (void)state;
    pthread_t thread;
    int64_t start_ms = now_ms();
    assert_int_equal(pthread_create(&thread, NULL, wake_later, NULL), 0);
    ks_etcd_run(client, 20000);
    assert_true(now_ms() - start_ms < 10000);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static bool is_refused(const char *cert_file, const char *key_file, const char *ca_file)
{
    struct ks_etcd_options options = patient_options(cell);
    options.cert_file = cert_file ? cert_file : options.cert_file;
    options.key_file = key_file ? key_file : options.key_file;
    options.ca_file = ca_file ? ca_file : options.ca_file;
    KS_ETCD_AUTO *stranger = NULL;
    assert_int_equal(ks_etcd_new(&options, &stranger).code, KS_OK);
    struct ks_etcd_op op = range_op("t22/a");
    KS_ETCD_ANSWER_AUTO *answer = ks_etcd_range_wait(stranger, &op, NULL);
    /* The alert may be lost with the connection: then all we know is that it broke, or that it was
       closed before the request was sent. Whoever is no stranger gets an answer here. */
    return answer->cause == KS_ETCD_REFUSED || answer->cause == KS_ETCD_UNKNOWN ||
           answer->cause == KS_ETCD_UNSENT;
}

static void strangers_are_refused_on_both_sides(void **state)
{
    (void)state;
    const char *cert;
    const char *key;
    char foreign_ca[512];
    etcd_fixture_foreign_files(cell, &cert, &key);
    snprintf(foreign_ca, sizeof(foreign_ca), "%s/foreign-ca.pem", etcd_fixture_folder(cell));
    assert_false(is_refused(NULL, NULL, NULL));
    assert_true(is_refused(cert, key, NULL));
    assert_true(is_refused(NULL, NULL, foreign_ca));
    assert_true(is_refused("/nonexistent", NULL, NULL));
    assert_true(is_refused(cert, NULL, NULL));
}

/* The next call uses the new certificate, though the old connection is still there. curl counts the
   age of a connection in whole seconds of real time, so this one has to wait. */
static void renewed_certificates_are_used_by_the_next_calls(void **state)
{
    (void)state;
    struct ks_etcd_options options = patient_options(cell);
    struct ks_etcd_op op = range_op("t23/a");
    const char *folder = etcd_fixture_folder(cell);
    char own_cert[512];
    char own_key[512];
    char command[4096];
    snprintf(own_cert, sizeof(own_cert), "%s/own.pem", folder);
    snprintf(own_key, sizeof(own_key), "%s/own.key", folder);
    snprintf(command, sizeof(command), "cd %s && cp client.pem own.pem && cp client.key own.key",
             folder);
    assert_int_equal(system(command), 0);
    options.cert_file = own_cert;
    options.key_file = own_key;
    KS_ETCD_AUTO *own = NULL;
    assert_int_equal(ks_etcd_new(&options, &own).code, KS_OK);
    KS_ETCD_ANSWER_AUTO *before = ks_etcd_range_wait(own, &op, NULL);
    assert_int_equal(before->cause, KS_ETCD_DONE);

    snprintf(command, sizeof(command), "cd %s && cp foreign.pem own.pem && cp foreign.key own.key",
             folder);
    assert_int_equal(system(command), 0);
    nanosleep(&(struct timespec){.tv_sec = 2, .tv_nsec = 100000000L}, NULL);

    KS_ETCD_ANSWER_AUTO *after = ks_etcd_range_wait(own, &op, NULL);
    assert_true(after->cause == KS_ETCD_REFUSED || after->cause == KS_ETCD_UNKNOWN ||
                after->cause == KS_ETCD_UNSENT);
    etcd_certs_renew_client(folder);
    assert_value("t23/a", NULL);
}

static void refuses_options_that_make_no_client(void **state)
{
    (void)state;
    static const char *const plain[] = {"http://127.0.0.1:1"};
    struct ks_etcd *none = NULL;
    struct ks_etcd_options good = patient_options(cell);
    struct ks_etcd_options bad[] = {good, good, good, good};
    bad[0].endpoint_count = 0;
    bad[1].endpoint_count = KS_ETCD_ENDPOINTS_MAX + 1;
    bad[2].key_file = NULL;
    bad[3].endpoints = plain;
    for (size_t i = 0; i < KS_COUNT(bad); i++) {
        assert_int_equal(ks_etcd_new(&bad[i], &none).code, KS_VALIDATION);
        assert_null(none);
    }
}

#define QUOTA (4L << 20)

/* Fills a cell of its own beyond its quota; gives the answer that says so. */
static struct ks_etcd_answer *fill(struct ks_etcd *full)
{
    static uint8_t block[1U << 20];
    for (uint8_t i = 1; i < 20; i++) {
        struct ks_etcd_op op = {
            .kind = KS_ETCD_PUT, .key = {&i, 1}, .value = {block, sizeof(block)}};
        struct ks_etcd_txn txn = {.success = &op, .success_count = 1};
        struct ks_etcd_answer *answer = ks_etcd_txn_wait(full, &txn, NULL);
        if (answer->cause != KS_ETCD_DONE) {
            return answer;
        }
        ks_etcd_answer_unref(answer);
    }
    fail_msg("the quota has not been reached");
    return NULL;
}

/* Compaction goes on in the background after its answer, so that the first defragmentation may
   come too early. */
static bool writes_again(struct ks_etcd *full, const struct ks_etcd_alarm *alarm)
{
    struct ks_etcd_call first = {.pin = 1, .timeout_ms = PATIENT_MS};
    struct ks_etcd_op op = put_op("again", "1");
    struct ks_etcd_txn txn = {.success = &op, .success_count = 1};
    for (size_t i = 0; i < 50; i++) {
        KS_ETCD_ANSWER_AUTO *defragmented = ks_etcd_wait(full, ks_etcd_defragment, &first);
        assert_int_equal(defragmented->cause, KS_ETCD_DONE);
        KS_ETCD_ANSWER_AUTO *disarmed = ks_etcd_disarm_wait(full, alarm, NULL);
        assert_int_equal(disarmed->cause, KS_ETCD_DONE);
        KS_ETCD_ANSWER_AUTO *again = ks_etcd_txn_wait(full, &txn, NULL);
        if (again->cause == KS_ETCD_DONE) {
            return true;
        }
        assert_int_equal(again->cause, KS_ETCD_NO_SPACE);
    }
    return false;
}

/* The whole way out, as the text of the cause tells it. */
static void a_full_database_is_said_and_can_be_left(void **state)
{
    (void)state;
    struct etcd_fixture *small =
        etcd_fixture_start(&(struct etcd_fixture_options){.quota_bytes = QUOTA});
    struct ks_etcd_options options = patient_options(small);
    struct ks_etcd *full;
    assert_int_equal(ks_etcd_new(&options, &full).code, KS_OK);

    KS_ETCD_ANSWER_AUTO *answer = fill(full);
    assert_int_equal(answer->cause, KS_ETCD_NO_SPACE);
    assert_true(answer->may_be_applied); /* what crosses the quota is applied all the same */
    assert_int_equal(ks_etcd_answer_result(answer).code, KS_LIMIT_EXCEEDED);
    KS_ETCD_ANSWER_AUTO *alarms = ks_etcd_wait(full, ks_etcd_alarms, NULL);
    assert_int_equal(alarms->alarm_count, 1);
    assert_int_equal(alarms->alarms[0].kind, KS_ETCD_ALARM_NO_SPACE);
    struct ks_etcd_call first = {.pin = 1};
    KS_ETCD_ANSWER_AUTO *status = ks_etcd_wait(full, ks_etcd_status, &first);
    assert_true(status->status.has_no_space);
    assert_false(status->status.has_corrupt);

    struct ks_etcd_op all = {
        .kind = KS_ETCD_DELETE, .key = KS_ETCD_FIRST, .range_end = KS_ETCD_LAST};
    struct ks_etcd_txn clear = {.success = &all, .success_count = 1};
    KS_ETCD_ANSWER_AUTO *cleared = ks_etcd_txn_wait(full, &clear, NULL);
    assert_int_equal(cleared->cause, KS_ETCD_DONE);
    KS_ETCD_ANSWER_AUTO *compacted = ks_etcd_compact_wait(full, cleared->header.revision, NULL);
    assert_int_equal(compacted->cause, KS_ETCD_DONE);
    assert_true(writes_again(full, &alarms->alarms[0]));
    KS_ETCD_ANSWER_AUTO *later = ks_etcd_wait(full, ks_etcd_status, &first);
    assert_int_equal(later->cause, KS_ETCD_DONE);
    assert_false(later->status.has_no_space);
    ks_etcd_free(full);
    etcd_fixture_stop(small);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_client, close_client)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(does_success_if_all_compares_hold_else_failure),
        TEST(nested_transactions_succeed_and_fail_by_themselves),
        TEST(keys_and_values_are_any_bytes),
        TEST(deletes_one_key_and_ranges),
        TEST(pages_show_one_revision),
        TEST(maps_what_etcd_refuses),
        TEST(compaction_forgets_what_is_older),
        TEST(tells_status_members_and_alarms),
        TEST(a_paused_member_means_unknown_in_about_the_timeout),
        TEST(a_paused_member_without_connection_means_not_applied),
        TEST(a_member_killed_during_the_call_means_unknown),
        TEST(a_change_is_never_sent_twice),
        TEST(an_absent_member_means_not_applied),
        TEST(a_callback_may_start_calls),
        TEST(takes_no_more_calls_than_it_says),
        TEST(refuses_an_answer_over_the_bound),
        TEST(wake_ends_a_turn_early),
        TEST(strangers_are_refused_on_both_sides),
        TEST(renewed_certificates_are_used_by_the_next_calls),
        TEST(refuses_options_that_make_no_client),
        TEST(a_full_database_is_said_and_can_be_left),
    };
    return cmocka_run_group_tests(tests, start_cell, stop_cell);
}
