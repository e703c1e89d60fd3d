#include "pkg/store/log/group.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/base/mem.h"

#define EPOCH 3
#define NOW   500

static const struct ks_nonce nonce = {{1}};
static struct ks_layout layout;
static struct ks_group *group;

static void ignore(void *user, const struct ks_store_outcome *outcome)
{
    (void)user;
    (void)outcome;
}

static int setup(void **state)
{
    (void)state;
    assert_int_equal(ks_layout_init(&layout, "/t/").code, KS_OK);
    group = ks_group_new(&layout, EPOCH);
    return 0;
}

static void drop(struct ks_pending *pending)
{
    const struct ks_store_outcome outcome = {.revision = 0};
    if (pending) {
        ks_pending_answer(pending, &outcome);
    }
}

static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < ks_group_count(group); i++) {
        drop(ks_group_take(group, i));
    }
    ks_group_free(group);
    return 0;
}

/* Compares `compared` (NULL: nothing), puts `put` to "value" and the request (NULL: none). */
static struct ks_pending *mutation(const char *compared, const char *put, const char *request)
{
    struct ks_store_mutation mutation = {
        .compares = {{ks_bytes_of(compared), 7}},
        .compare_count = compared != NULL,
        .ops = {{ks_bytes_of(put), KS_LITERAL("value")}},
        .op_count = put != NULL,
        .request_key = ks_bytes_of(request),
        .request_value = KS_LITERAL("answer"),
    };
    struct ks_pending *pending = ks_pending_new(&mutation);
    pending->done = ignore;
    return pending;
}

static enum ks_group_add add(struct ks_pending *pending)
{
    enum ks_group_add added = ks_group_add(group, pending);
    if (added != KS_GROUP_ADDED) {
        drop(pending);
    }
    return added;
}

static void nobody_joins_who_touches_what_another_changes(void **state)
{
    (void)state;
    assert_int_equal(add(mutation("looked", "changed", "request")), KS_GROUP_ADDED);

    assert_int_equal(add(mutation(NULL, "changed", NULL)), KS_GROUP_NOT_NOW);
    assert_int_equal(add(mutation(NULL, "looked", NULL)), KS_GROUP_NOT_NOW);
    assert_int_equal(add(mutation("changed", "other", NULL)), KS_GROUP_NOT_NOW);
    assert_int_equal(add(mutation(NULL, "other", "request")), KS_GROUP_NOT_NOW);
    assert_int_equal(add(mutation("request", "other", NULL)), KS_GROUP_NOT_NOW);
    assert_int_equal(add(mutation("looked", "other", "second")), KS_GROUP_ADDED);
    assert_int_equal(ks_group_count(group), 2);
}

static struct ks_pending *prefix_deletion(const char *prefix)
{
    struct ks_store_mutation mutation = {.prefixes = {ks_bytes_of(prefix)}, .prefix_count = 1};
    struct ks_pending *pending = ks_pending_new(&mutation);
    pending->done = ignore;
    return pending;
}

/* etcd refuses a transaction that puts a key and deletes a range with it. */
static void nobody_joins_who_touches_what_a_prefix_deletes(void **state)
{
    (void)state;
    assert_int_equal(add(prefix_deletion("grant/A/k/")), KS_GROUP_ADDED);

    assert_int_equal(add(mutation(NULL, "grant/A/k/1", NULL)), KS_GROUP_NOT_NOW);
    assert_int_equal(add(mutation("grant/A/k/1", "other", NULL)), KS_GROUP_NOT_NOW);
    assert_int_equal(add(prefix_deletion("grant/A/k/1")), KS_GROUP_NOT_NOW);
    assert_int_equal(add(prefix_deletion("grant/A/k/")), KS_GROUP_NOT_NOW);
    assert_int_equal(add(mutation(NULL, "grant/A/k1/1", NULL)), KS_GROUP_ADDED);
    assert_int_equal(add(prefix_deletion("grant/A/k1/")), KS_GROUP_NOT_NOW);
    assert_int_equal(add(prefix_deletion("grant/A/k2/")), KS_GROUP_ADDED);
}

/* Repeated without a request's record, it is done if nothing is there: one record would show. */
static void a_prefix_is_deleted_as_a_range(void **state)
{
    (void)state;
    assert_int_equal(add(prefix_deletion("grant/A/k/")), KS_GROUP_ADDED);
    const struct ks_etcd_op *op = &ks_group_txn(group, &nonce)->success[2];
    assert_int_equal(op->kind, KS_ETCD_DELETE);
    assert_true(ks_bytes_compare(op->key, op->range_end) < 0);
    assert_int_equal(op->key.len, op->range_end.len);

    ks_group_make_careful(group);
    const struct ks_etcd_txn *txn = ks_group_txn(group, &nonce)->success[2].txn;
    assert_int_equal(txn->success[0].kind, KS_ETCD_DELETE);
    assert_true(txn->success[0].range_end.len > 0);
    assert_int_equal(txn->failure[0].kind, KS_ETCD_RANGE);
    assert_true(txn->failure[0].range_end.len > 0);
    assert_int_equal(txn->failure[0].limit, 1);
}

static void holds_so_many_members(void **state)
{
    (void)state;
    for (unsigned i = 0; i <= KS_GROUP_MEMBERS_MAX; i++) {
        char key[16];
        snprintf(key, sizeof(key), "%u", i);
        assert_int_equal(add(mutation(NULL, key, NULL)),
                         i < KS_GROUP_MEMBERS_MAX ? KS_GROUP_ADDED : KS_GROUP_NOT_NOW);
    }
}

/* What etcd counts on each list stays below --max-txn-ops, however many compares members have. */
static void holds_so_many_compares_and_changes(void **state)
{
    (void)state;
    unsigned added = 0;
    for (unsigned i = 0; i < KS_GROUP_MEMBERS_MAX; i++) {
        char keys[16][24];
        struct ks_store_mutation wide = {.compare_count = 8, .op_count = 8};
        for (unsigned j = 0; j < 8; j++) {
            snprintf(keys[j], sizeof(keys[j]), "c%u/%u", i, j);
            snprintf(keys[j + 8], sizeof(keys[j]), "o%u/%u", i, j);
            wide.compares[j].key = ks_bytes_of(keys[j]);
            wide.ops[j] = (struct ks_store_op){ks_bytes_of(keys[j + 8]), KS_LITERAL("x")};
        }
        added += add(ks_pending_new(&wide)) == KS_GROUP_ADDED;
    }

    assert_in_range(added, 10, KS_GROUP_MEMBERS_MAX - 1);
    const struct ks_etcd_txn *txn = ks_group_txn(group, &nonce);
    assert_true(txn->compare_count <= 1024);
    assert_true(txn->success_count <= 1024);
}

static void holds_so_many_bytes(void **state)
{
    (void)state;
    KS_AUTO_FREE uint8_t *bytes = ks_alloc(KS_STORE_VALUE_LEN_MAX, 1);
    unsigned added = 0;
    for (unsigned i = 0; i < 8; i++) {
        char key[8];
        snprintf(key, sizeof(key), "%u", i);
        struct ks_store_mutation large = {
            .ops = {{ks_bytes_of(key), {bytes, KS_STORE_VALUE_LEN_MAX}}}, .op_count = 1};
        added += add(ks_pending_new(&large)) == KS_GROUP_ADDED;
    }
    assert_int_equal(added, 5);

    struct ks_store_mutation huge = {.op_count = 8};
    char keys[8][8];
    for (unsigned i = 0; i < 8; i++) {
        snprintf(keys[i], sizeof(keys[i]), "h%u", i);
        huge.ops[i] = (struct ks_store_op){ks_bytes_of(keys[i]), {bytes, KS_STORE_VALUE_LEN_MAX}};
    }
    assert_int_equal(add(ks_pending_new(&huge)), KS_GROUP_NEVER);
}

static void a_plain_group_has_every_compare_on_top(void **state)
{
    (void)state;
    add(mutation("a", "b", "r"));
    add(mutation("a", "c", NULL));

    const struct ks_etcd_txn *txn = ks_group_txn(group, &nonce);

    assert_int_equal(txn->compare_count, 4); /* epoch, a, r, a */
    assert_true(ks_bytes_equal(txn->compares[0].key, KS_LITERAL("/t/epoch")));
    assert_int_equal(txn->compares[0].mod_revision, EPOCH);
    assert_int_equal(txn->compares[1].mod_revision, 7);
    assert_int_equal(txn->compares[2].mod_revision, 0);
    assert_int_equal(txn->success_count, 5); /* rev, list, b, r, c */
    assert_int_equal(txn->success[0].kind, KS_ETCD_PUT);
    assert_true(ks_bytes_equal(txn->success[0].key, KS_LITERAL("/t/rev")));
    assert_ptr_equal(ks_group_txn(group, &nonce), txn);
}

/* What is sent again may be done in another history of etcd, and must be told apart there. */
static void a_repetition_differs_in_its_nonce_alone(void **state)
{
    (void)state;
    const struct ks_nonce second = {{2}};
    add(mutation("a", "b", "r"));

    const struct ks_etcd_txn *txn = ks_group_txn(group, &nonce);
    assert_int_equal(txn->success[0].value.len, KS_NONCE_LEN);
    assert_memory_equal(txn->success[0].value.ptr, nonce.bytes, KS_NONCE_LEN);
    assert_ptr_equal(ks_group_txn(group, &second), txn);
    assert_memory_equal(txn->success[0].value.ptr, second.bytes, KS_NONCE_LEN);

    ks_group_make_careful(group);
    txn = ks_group_txn(group, &nonce);
    assert_memory_equal(txn->success[0].value.ptr, nonce.bytes, KS_NONCE_LEN);
}

static void a_careful_group_nests_its_members(void **state)
{
    (void)state;
    add(mutation("a", "b", "r"));
    add(mutation("a", "c", NULL));
    ks_group_txn(group, &nonce);

    ks_group_make_careful(group);
    const struct ks_etcd_txn *txn = ks_group_txn(group, &nonce);

    assert_int_equal(txn->compare_count, 1);
    assert_int_equal(txn->success_count, 4);
    const struct ks_etcd_txn *first = txn->success[2].txn;
    assert_int_equal(first->compare_count, 2);
    assert_int_equal(first->success_count, 2);
    assert_int_equal(first->failure_count, 1);
    assert_int_equal(first->failure[0].kind, KS_ETCD_RANGE);
    assert_int_equal(txn->success[3].txn->failure_count, 1);
}

/* An answer to a careful group of one whose compares failed, where kv stands (NULL: nothing). */
static struct ks_store_outcome failed_outcome(const struct ks_etcd_kv *kv, bool is_repeated)
{
    ks_group_make_careful(group);
    ks_group_txn(group, &nonce);
    const struct ks_etcd_op_answer range = {
        .kind = KS_ETCD_RANGE, .kvs = kv, .kv_count = kv != NULL};
    const struct ks_etcd_op_answer ops[] = {
        {.kind = KS_ETCD_PUT},
        {.kind = KS_ETCD_RANGE},
        {.kind = KS_ETCD_TXN, .ops = &range, .op_count = 1},
    };
    const struct ks_etcd_answer answer = {
        .header.revision = NOW, .succeeded = true, .ops = ops, .op_count = 3};
    assert_true(ks_group_is_answered(group, &answer));
    return ks_group_outcome(group, 0, &answer, is_repeated);
}

static void a_failed_compare_is_a_conflict_unless_it_may_come_late(void **state)
{
    (void)state;
    add(mutation("a", "b", "r"));

    assert_int_equal(failed_outcome(NULL, false).result.code, KS_CONFLICT);
    assert_int_equal(failed_outcome(NULL, true).result.code, KS_UNAVAILABLE);
}

static void a_request_that_stands_is_the_answer(void **state)
{
    (void)state;
    add(mutation("a", "b", "r"));
    const struct ks_etcd_kv kv = {.value = KS_LITERAL("another"), .mod_revision = 40};

    struct ks_store_outcome outcome = failed_outcome(&kv, true);

    assert_int_equal(outcome.result.code, KS_ALREADY_EXISTS);
    assert_int_equal(outcome.revision, 40);
    assert_true(ks_bytes_equal(outcome.stored, KS_LITERAL("another")));
}

/* The first attempt was done after all: its record equals ours byte for byte. */
static void a_repeated_mutation_knows_its_own_record(void **state)
{
    (void)state;
    add(mutation("a", "b", "r"));
    const struct ks_etcd_kv kv = {.value = KS_LITERAL("answer"), .mod_revision = 40};

    struct ks_store_outcome repeated = failed_outcome(&kv, true);
    assert_int_equal(repeated.result.code, KS_OK);
    assert_int_equal(repeated.revision, 40);
    assert_int_equal(failed_outcome(&kv, false).result.code, KS_ALREADY_EXISTS);
}

static void a_repeated_mutation_without_record_looks_at_its_keys(void **state)
{
    (void)state;
    add(mutation("a", "b", NULL));
    const struct ks_etcd_kv ours = {.value = KS_LITERAL("value"), .mod_revision = 40};
    const struct ks_etcd_kv theirs = {.value = KS_LITERAL("other"), .mod_revision = 40};

    assert_int_equal(failed_outcome(&ours, true).result.code, KS_OK);
    assert_int_equal(failed_outcome(&ours, true).revision, 40);
    assert_int_equal(failed_outcome(&ours, false).result.code, KS_CONFLICT);
    assert_int_equal(failed_outcome(&theirs, true).result.code, KS_UNAVAILABLE);
    assert_int_equal(failed_outcome(NULL, true).result.code, KS_UNAVAILABLE);
}

/* A member that was answered meanwhile leaves the others' places as they are. */
static void goes_on_without_a_member_that_was_taken(void **state)
{
    (void)state;
    add(mutation("a", "b", NULL));
    add(mutation("a", "c", NULL));
    ks_group_txn(group, &nonce);
    drop(ks_group_take(group, 0));

    ks_group_make_careful(group);
    const struct ks_etcd_txn *txn = ks_group_txn(group, &nonce);

    assert_int_equal(txn->success_count, 4);
    assert_int_equal(txn->success[2].kind, KS_ETCD_RANGE);
    assert_int_equal(txn->success[3].kind, KS_ETCD_TXN);
    assert_null(ks_group_member(group, 0));
    assert_non_null(ks_group_member(group, 1));
}

static void tells_a_failed_member_from_another_epoch(void **state)
{
    (void)state;
    add(mutation("a", "b", NULL));
    ks_group_txn(group, &nonce);
    struct ks_etcd_kv epoch = {.mod_revision = EPOCH};
    const struct ks_etcd_op_answer range = {.kind = KS_ETCD_RANGE, .kvs = &epoch, .kv_count = 1};
    const struct ks_etcd_answer answer = {.ops = &range, .op_count = 1};

    assert_false(ks_group_is_answered(group, &answer));
    assert_true(ks_group_needs_care(group, &answer));
    epoch.mod_revision = EPOCH + 1;
    assert_false(ks_group_needs_care(group, &answer));
    epoch.mod_revision = EPOCH;
    ks_group_make_careful(group);
    assert_false(ks_group_needs_care(group, &answer));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nobody_joins_who_touches_what_another_changes),
        TEST(nobody_joins_who_touches_what_a_prefix_deletes),
        TEST(a_prefix_is_deleted_as_a_range),
        TEST(holds_so_many_members),
        TEST(holds_so_many_compares_and_changes),
        TEST(holds_so_many_bytes),
        TEST(a_plain_group_has_every_compare_on_top),
        TEST(a_repetition_differs_in_its_nonce_alone),
        TEST(a_careful_group_nests_its_members),
        TEST(a_failed_compare_is_a_conflict_unless_it_may_come_late),
        TEST(a_request_that_stands_is_the_answer),
        TEST(a_repeated_mutation_knows_its_own_record),
        TEST(a_repeated_mutation_without_record_looks_at_its_keys),
        TEST(goes_on_without_a_member_that_was_taken),
        TEST(tells_a_failed_member_from_another_epoch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
