#include "pkg/etcd/client_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct etcd_fixture *cell;
struct ks_etcd *client;

int start_cell(void **state)
{
    (void)state;
    cell = etcd_fixture_start(&(struct etcd_fixture_options){.progress_ms = 200});
    return 0;
}

int stop_cell(void **state)
{
    (void)state;
    etcd_fixture_stop(cell);
    return 0;
}

struct ks_etcd_options patient_options(const struct etcd_fixture *of)
{
    struct ks_etcd_options options = etcd_fixture_client(of, 0);
    options.call_ms = PATIENT_MS;
    return options;
}

int open_client(void **state)
{
    (void)state;
    struct ks_etcd_options options = patient_options(cell);
    return ks_failed(ks_etcd_new(&options, &client)) ? -1 : 0;
}

int close_client(void **state)
{
    (void)state;
    ks_etcd_free(client);
    client = NULL;
    return 0;
}

int64_t now_ms(void)
{
    return ks_clock_boot_ns(&ks_clock_system) / KS_NS_PER_MS;
}

struct ks_etcd_op put_op(const char *key, const char *value)
{
    return (struct ks_etcd_op){
        .kind = KS_ETCD_PUT, .key = ks_bytes_of(key), .value = ks_bytes_of(value)};
}

struct ks_etcd_op range_op(const char *key)
{
    return (struct ks_etcd_op){.kind = KS_ETCD_RANGE, .key = ks_bytes_of(key)};
}

int64_t put(const char *key, const char *value)
{
    struct ks_etcd_op op = put_op(key, value);
    struct ks_etcd_txn txn = {.success = &op, .success_count = 1};
    KS_ETCD_ANSWER_AUTO *answer = ks_etcd_txn_wait(client, &txn, NULL);
    assert_int_equal(answer->cause, KS_ETCD_DONE);
    return answer->header.revision;
}

void assert_value(const char *key, const char *expected)
{
    struct ks_etcd_op op = range_op(key);
    KS_ETCD_ANSWER_AUTO *answer = ks_etcd_range_wait(client, &op, NULL);
    assert_int_equal(answer->cause, KS_ETCD_DONE);
    assert_int_equal(answer->ops[0].kv_count, expected ? 1 : 0);
    if (expected) {
        assert_true(ks_bytes_equal(answer->ops[0].kvs[0].value, ks_bytes_of(expected)));
    }
}

void run_until(const size_t *value, size_t count)
{
    int64_t end_ms = now_ms() + PATIENT_MS;
    while (*value < count && now_ms() < end_ms) {
        ks_etcd_run(client, 50);
    }
    assert_true(*value >= count);
}

void count_done(void *user, const struct ks_etcd_answer *answer)
{
    size_t *done = user;
    assert_int_equal(answer->cause, KS_ETCD_DONE);
    (*done)++;
}

void note_end(void *user, const struct ks_etcd_answer *answer)
{
    struct ended *ended = user;
    ended->count++;
    ended->cause = answer->cause;
    ended->may_be_applied = answer->may_be_applied;
    ended->at_ms = now_ms();
}

void start_put(struct ended *ended, int64_t timeout_ms)
{
    struct ks_etcd_op op = put_op("t17/a", "1");
    struct ks_etcd_txn txn = {.success = &op, .success_count = 1};
    struct ks_etcd_call call = {.done = note_end, .user = ended, .timeout_ms = timeout_ms};
    assert_int_equal(ks_etcd_txn(client, &txn, &call).code, KS_OK);
}
