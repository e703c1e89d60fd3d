#include "pkg/store/log/queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/base/mem.h"

#define EPOCH     5
#define RECORDS   4096U
#define UPDATES   1000U
#define OTHERS    300U
#define TRIES_MAX 8U /* as pkg/attempt has */

/* ---- A model of etcd: records by key, transactions that wait, and a copy that is behind ---- */

struct record {
    char key[48];
    int64_t revision;
};

struct model {
    struct record records[RECORDS];
    size_t record_count;
    int64_t revision;
    int64_t applied; /* by the copy */
    size_t transactions;
    size_t conflicts_by_etcd;
};

static struct ks_layout layout;
static struct ks_queue *queue;
static struct model *model;

static int setup(void **state)
{
    (void)state;
    assert_int_equal(ks_layout_init(&layout, "/t/").code, KS_OK);
    queue = ks_queue_new();
    model = ks_alloc(1, sizeof(*model));
    model->revision = 10;
    model->applied = 10;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ks_queue_free(queue);
    ks_free(model);
    return 0;
}

static struct record *record_of(ks_bytes key)
{
    for (size_t i = 0; i < model->record_count; i++) {
        if (ks_bytes_equal(ks_bytes_of(model->records[i].key), key)) {
            return &model->records[i];
        }
    }
    return NULL;
}

static void put_record(ks_bytes key)
{
    struct record *record = record_of(key);
    if (!record) {
        assert_true(model->record_count < RECORDS && key.len < sizeof(record->key));
        record = &model->records[model->record_count++];
        memcpy(record->key, key.ptr, key.len);
    }
    record->revision = model->revision;
}

/* As the copy has it: what came after it has applied is as if it were not there yet. */
static int64_t copy_revision_of(void *user, ks_bytes key)
{
    (void)user;
    const struct record *record = record_of(key);
    return record && record->revision <= model->applied ? record->revision : 0;
}

static bool holds(const struct ks_store_mutation *mutation)
{
    for (size_t i = 0; i < mutation->compare_count; i++) {
        const struct record *record = record_of(mutation->compares[i].key);
        if ((record ? record->revision : 0) != mutation->compares[i].revision) {
            return false;
        }
    }
    return true;
}

/* ---- Clients ---- */

struct client {
    char key[48];
    unsigned tries;
    ks_code ended; /* NEW until then */
    size_t at;     /* transactions that were made by then */
};

#define NEW KS_CODE_COUNT

static void ignore(void *user, const struct ks_store_outcome *outcome)
{
    (void)user;
    (void)outcome;
}

/* Decides on what the copy has, as a handler does on its view. */
static void ask(struct client *client)
{
    const struct ks_store_mutation mutation = {
        .compares = {{ks_bytes_of(client->key), copy_revision_of(NULL, ks_bytes_of(client->key))}},
        .compare_count = 1,
        .ops = {{ks_bytes_of(client->key), KS_LITERAL("x")}},
        .op_count = 1,
    };
    struct ks_pending *pending = ks_pending_new(&mutation);
    pending->done = ignore;
    pending->user = client;
    pending->deadline_ns = 1000;
    client->ended = NEW;
    ks_queue_push(queue, pending);
}

/* Takes the answer; a conflict is decided on anew in the next round, some times. */
static void answer(struct ks_pending *pending, ks_code code)
{
    struct client *client = pending->user;
    const struct ks_store_outcome outcome = {.result = {code}};
    client->ended = code;
    client->at = model->transactions;
    ks_pending_answer(pending, &outcome);
}

static void refuse(void *user, struct ks_pending *pending, ks_code code)
{
    (void)user;
    answer(pending, code);
}

static void ask_again(struct client *clients, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (clients[i].ended == KS_CONFLICT && ++clients[i].tries < TRIES_MAX) {
            ask(&clients[i]);
        }
    }
}

/* Their keys begin with head, and have a number behind it unless tail is NULL. */
static struct client *new_clients(size_t count, const char *head, const char *tail)
{
    struct client *clients = ks_alloc(count, sizeof(*clients));
    for (size_t i = 0; i < count; i++) {
        char number[24] = "";
        if (tail) {
            snprintf(number, sizeof(number), "%zu", i);
        }
        snprintf(clients[i].key, sizeof(clients[i].key), "%s%s%s", head, number, tail ? tail : "");
        ask(&clients[i]);
    }
    return clients;
}

static size_t count_ended(const struct client *clients, size_t count, ks_code code)
{
    size_t ended = 0;
    for (size_t i = 0; i < count; i++) {
        ended += clients[i].ended == code;
    }
    return ended;
}

/* ---- Transactions ---- */

static struct ks_group *fill(uint64_t *ret_number)
{
    const struct ks_queue_copy copy = {model->applied, copy_revision_of, NULL};
    struct ks_group *group = ks_group_new(&layout, EPOCH);
    *ret_number = ks_queue_fill(queue, &copy, group, refuse, NULL);
    return group;
}

static void drop(struct ks_group *group, uint64_t number)
{
    for (size_t i = 0; i < ks_group_count(group); i++) {
        answer(ks_group_take(group, i), KS_UNAVAILABLE);
    }
    ks_group_free(group);
    ks_queue_done(queue, number, 0);
}

static bool all_hold(const struct ks_group *group)
{
    for (size_t i = 0; i < ks_group_count(group); i++) {
        if (!holds(&ks_group_member(group, i)->mutation)) {
            return false;
        }
    }
    return true;
}

/* A plain transaction, and a careful one if it fails. The copy does not have it yet. */
static void commit(struct ks_group *group, uint64_t number)
{
    model->transactions++;
    if (!ks_group_is_careful(group) && !all_hold(group)) {
        model->transactions++;
    }
    model->revision++;
    for (size_t i = 0; i < ks_group_count(group); i++) {
        struct ks_pending *pending = ks_group_take(group, i);
        bool done = holds(&pending->mutation);
        model->conflicts_by_etcd += !done;
        if (done) {
            put_record(pending->mutation.ops[0].key);
        }
        answer(pending, done ? KS_OK : KS_CONFLICT);
    }
    ks_group_free(group);
    ks_queue_done(queue, number, model->revision);
}

/* Two flights at a time; the copy follows after a while. Returns whether something was done. */
static bool step(unsigned number)
{
    uint64_t numbers[2];
    struct ks_group *groups[2] = {fill(&numbers[0]), fill(&numbers[1])};
    bool any = false;
    for (size_t i = 0; i < 2; i++) {
        any = any || ks_group_count(groups[i]) > 0;
        if (ks_group_count(groups[i]) > 0) {
            commit(groups[i], numbers[i]);
        } else {
            ks_group_free(groups[i]);
        }
    }
    if (number % 3 == 2) {
        model->applied = model->revision;
    }
    return any;
}

/*
 * Finding 5 of the store's review: 1000 updates of one key at once, decided on one revision, while
 * another tenant's mutations go on. They cost as many transactions as succeed, and the other tenant
 * waits for none of them.
 */
static void a_hot_key_costs_little_and_keeps_nobody_waiting(void **state)
{
    (void)state;
    put_record(KS_LITERAL("key/A/hot"));
    struct client *hot = new_clients(UPDATES, "key/A/hot", NULL);
    struct client *others = new_clients(OTHERS, "key/B/", "");
    size_t others_done_at = 0;
    for (unsigned i = 0; i < 200; i++) {
        step(i);
        ask_again(hot, UPDATES);
        if (others_done_at == 0 && count_ended(others, OTHERS, KS_OK) == OTHERS) {
            others_done_at = model->transactions;
        }
    }

    assert_int_equal(ks_queue_count(queue), 0);
    assert_int_equal(count_ended(others, OTHERS, KS_OK), OTHERS);
    assert_in_range(others_done_at, 1,
                    4); /* 300 are three groups; the hot key has a place in one */
    assert_in_range(count_ended(hot, UPDATES, KS_OK), 1, TRIES_MAX);
    assert_int_equal(model->conflicts_by_etcd, 0);
    assert_in_range(model->transactions, 3, 3 + TRIES_MAX);
    ks_free(hot);
    ks_free(others);
}

/* Two keystores: what the other one has changed, the copy does not have yet. */
static void a_change_that_the_copy_lacks_is_told_by_etcd(void **state)
{
    (void)state;
    put_record(KS_LITERAL("key/A/hot"));
    struct client *hot = new_clients(3, "key/A/hot", NULL);
    model->revision++;
    put_record(KS_LITERAL("key/A/hot"));

    assert_true(step(0));
    assert_int_equal(model->conflicts_by_etcd, 1);
    model->applied = model->revision;
    step(0);
    assert_int_equal(model->conflicts_by_etcd, 1);
    assert_int_equal(count_ended(hot, 3, KS_CONFLICT), 3);
    assert_int_equal(ks_queue_count(queue), 0);
    ks_free(hot);
}

static void accounts_take_turns(void **state)
{
    (void)state;
    struct client *many = new_clients(UPDATES, "key/A/", "");
    struct client *few = new_clients(3, "key/B/", "");
    uint64_t number;

    struct ks_group *group = fill(&number);

    assert_int_equal(ks_group_count(group), KS_GROUP_MEMBERS_MAX);
    size_t of_few = 0;
    for (size_t i = 0; i < 6; i++) {
        const struct client *client = ks_group_member(group, i)->user;
        of_few += client >= few && client < few + 3;
    }
    assert_int_equal(of_few, 3);
    commit(group, number);
    assert_int_equal(count_ended(few, 3, KS_OK), 3);
    ks_queue_expire(queue, INT64_MAX, refuse, NULL);
    ks_free(many);
    ks_free(few);
}

/* More accounts than a group has places: those that had no turn come first in the next one. */
static void no_account_is_forgotten(void **state)
{
    (void)state;
    struct client *first = new_clients(200, "key/", "/a");
    struct client *second = new_clients(200, "key/", "/b");
    for (unsigned i = 0; i < 2; i++) {
        uint64_t number;
        struct ks_group *group = fill(&number);
        commit(group, number);
    }
    assert_int_equal(count_ended(first, 200, KS_OK), 200);
    ks_queue_expire(queue, INT64_MAX, refuse, NULL);
    ks_free(first);
    ks_free(second);
}

/* A key is busy until its group is known and the copy has it; and no longer when it is given up. */
static void a_key_is_busy_until_the_copy_has_its_change(void **state)
{
    (void)state;
    struct client *clients = new_clients(2, "key/A/one", NULL);
    uint64_t first;
    uint64_t number;
    struct ks_group *group = fill(&first);
    assert_int_equal(ks_group_count(group), 1);
    for (unsigned i = 0; i < 200; i++) { /* however often it is looked for */
        struct ks_group *none = fill(&number);
        assert_int_equal(ks_group_count(none), 0);
        ks_group_free(none);
    }

    drop(group, first); /* given up: its deadline has passed */
    group = fill(&number);
    assert_int_equal(ks_group_count(group), 1);
    commit(group, number);
    assert_int_equal(clients[1].ended, KS_OK);
    ks_free(clients);
}

/* Another history has lower revisions: what was waited for does not come. */
static void a_copy_that_went_back_blocks_nothing(void **state)
{
    (void)state;
    struct client *clients = new_clients(1, "key/A/one", NULL);
    step(0);
    assert_int_equal(clients[0].ended, KS_OK);
    struct client *later = new_clients(1, "key/A/one", NULL);
    uint64_t number;
    struct ks_group *none = fill(&number);
    assert_int_equal(ks_group_count(none), 0);
    ks_group_free(none);

    model->applied = 3;
    struct ks_group *group = fill(&number);
    assert_int_equal(ks_group_count(group), 1);
    drop(group, number);
    ks_free(clients);
    ks_free(later);
}

static void only_those_whose_time_is_up_expire(void **state)
{
    (void)state;
    struct client *clients = new_clients(2, "key/A/", "");
    ks_queue_expire(queue, 999, refuse, NULL);
    assert_int_equal(ks_queue_count(queue), 2);
    ks_queue_expire(queue, 1000, refuse, NULL);
    assert_int_equal(ks_queue_count(queue), 0);
    assert_int_equal(count_ended(clients, 2, KS_UNAVAILABLE), 2);
    ks_free(clients);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_hot_key_costs_little_and_keeps_nobody_waiting),
        TEST(a_change_that_the_copy_lacks_is_told_by_etcd),
        TEST(accounts_take_turns),
        TEST(no_account_is_forgotten),
        TEST(a_key_is_busy_until_the_copy_has_its_change),
        TEST(a_copy_that_went_back_blocks_nothing),
        TEST(only_those_whose_time_is_up_expire),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
