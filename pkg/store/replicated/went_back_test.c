/*
 * etcd goes back, with the same cluster id and epoch: it is not followed, however far its counter
 * gets. On real members.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/store/copy/copy.h"
#include "pkg/store/replicated/node_fixture.h"

static void put(struct nodes *nodes, size_t node, const char *key, const char *value)
{
    struct ks_store_mutation mutation = {.ops = {{ks_bytes_of(key), ks_bytes_of(value)}},
                                         .op_count = 1};
    struct fixture_outcome outcome = fixture_commit(nodes->at[node].store, &mutation);
    while (outcome.code == KS_UNAVAILABLE) { /* harmless to repeat */
        outcome = fixture_commit(nodes->at[node].store, &mutation);
    }
    assert_int_equal(outcome.code, KS_OK);
}

static bool is_refused(const struct ks_store_status *status)
{
    return status->state == KS_STORE_REFUSED;
}

static bool is_following(const struct ks_store_status *status)
{
    return status->state == KS_STORE_FOLLOWING;
}

static bool has_window(const struct ks_store_status *status)
{
    return status->window_left_ms > 0;
}

static void assert_serves_nothing(struct nodes *nodes, size_t node)
{
    struct ks_store_view view = {0};
    struct ks_store_status status;
    ks_store_get_status(nodes->at[node].store, &status);
    assert_int_equal(status.state, KS_STORE_REFUSED);
    assert_non_null(strstr(status.alarm, "gone back"));
    assert_non_null(strstr(status.alarm, "epoch key"));
    assert_non_null(strstr(status.alarm, "docs/operations/"));
    assert_int_equal(ks_store_serve(nodes->at[node].store, &view).code, KS_UNAVAILABLE);
}

static int64_t applied_by(struct nodes *nodes, size_t node)
{
    struct ks_store_status status;
    ks_store_get_status(nodes->at[node].store, &status);
    return status.applied_revision;
}

static struct ks_etcd *tool(struct etcd_fixture *cell, size_t member)
{
    struct ks_etcd_options options = etcd_fixture_client(cell, member);
    struct ks_etcd *client = NULL;
    options.call_ms = 5000;
    assert_int_equal(ks_etcd_new(&options, &client).code, KS_OK);
    return client;
}

/* A transaction as every keystore's: it puts the revision record. Returns its revision. */
static int64_t put_at(struct ks_etcd *client, const struct nodes *nodes, const char *name,
                      const char *value)
{
    char key[80];
    snprintf(key, sizeof(key), "%s%s", nodes->prefix, name);
    struct ks_etcd_op op = {
        .kind = KS_ETCD_PUT, .key = ks_bytes_of(key), .value = ks_bytes_of(value)};
    struct ks_etcd_txn txn = {.success = &op, .success_count = 1};
    KS_ETCD_ANSWER_AUTO *answer = ks_etcd_txn_wait(client, &txn, NULL);
    assert_int_equal(answer->cause, KS_ETCD_DONE);
    return answer->header.revision;
}

/* As a keystore that was not ahead would do with its heartbeats. */
static void catch_up(struct ks_etcd *client, const struct nodes *nodes, int64_t revision)
{
    char nonce[KS_NONCE_LEN + 1];
    int64_t reached = 0;
    for (unsigned i = 0; reached < revision; i++) {
        snprintf(nonce, sizeof(nonce), "%016u", i);
        reached = put_at(client, nodes, "rev", nonce);
    }
}

static int64_t revision_of(struct ks_etcd *client)
{
    const struct ks_etcd_op op = {.kind = KS_ETCD_RANGE, .key = KS_LITERAL("x")};
    KS_ETCD_ANSWER_AUTO *answer = ks_etcd_range_wait(client, &op, NULL);
    assert_int_equal(answer->cause, KS_ETCD_DONE);
    return answer->header.revision;
}

static void compact(struct ks_etcd *client, int64_t revision)
{
    KS_ETCD_ANSWER_AUTO *answer = ks_etcd_compact_wait(client, revision, NULL);
    assert_int_equal(answer->cause, KS_ETCD_DONE);
}

/* The next start finds the marker of another boot, and throws the copy away: a power loss. */
static void lose_power(struct nodes *nodes, size_t node)
{
    char path[600];
    snprintf(path, sizeof(path), "%s/marker", nodes->at[node].folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("00000000-0000-0000-0000-000000000000\n", file);
    fclose(file);
}

/*
 * Two of three members are lost, and the survivor, which misses the newest changes, is made a cell
 * of its own. Node 0 runs on meanwhile; node 1 was stopped, and comes back when the counter has
 * passed what it had applied.
 */
static void a_survivor_that_was_behind_is_refused_also_when_it_has_caught_up(void **state)
{
    (void)state;
    const struct etcd_fixture_options options = {.member_count = 3};
    struct etcd_fixture *cell = etcd_fixture_start(&options);
    struct nodes *nodes = nodes_new(cell, "/back/");
    node_start(nodes, 0);
    node_start(nodes, 1);
    put(nodes, 0, "key/a", "kept");
    size_t leader = etcd_fixture_leader(cell);
    size_t survivor = (leader + 1) % 3;
    /* A member writes what it knows to be committed with the next entry: what comes after has it. */
    for (unsigned i = 0; i < 10; i++) {
        put(nodes, 0, "key/later", "x");
    }
    etcd_fixture_wait_ready(cell); /* a read at each member: the survivor has what was put so far */
    etcd_fixture_pause(cell, survivor);
    put(nodes, 0, "key/a", "lost 1");
    put(nodes, 0, "key/a", "lost 2");
    put(nodes, 0, "key/a", "lost 3");
    node_stop(nodes, 1);

    for (size_t i = 0; i < 3; i++) {
        etcd_fixture_kill(cell, i);
    }
    int64_t had = applied_by(nodes, 0);
    etcd_fixture_force_new_cluster(cell, survivor);
    KS_ETCD_AUTO *client = tool(cell, survivor);
    catch_up(client, nodes, had + 10);

    node_wait(nodes, 0, is_refused);
    assert_serves_nothing(nodes, 0);
    node_start(nodes, 1);
    node_wait(nodes, 1, is_refused);
    assert_serves_nothing(nodes, 1);

    put_at(client, nodes, "epoch", "the operator's decision");
    node_wait(nodes, 0, has_window);
    node_wait(nodes, 1, has_window);
    assert_string_equal(fixture_read(nodes->at[0].store, "key/a"), "kept");
    assert_string_equal(fixture_read(nodes->at[1].store, "key/a"), "kept");
    nodes_free(nodes);
    etcd_fixture_stop(cell);
}

/* A cell of one member with a node that has applied more than what was restored. */
static struct nodes *restored(void)
{
    const struct etcd_fixture_options options = {.member_count = 1};
    struct etcd_fixture *cell = etcd_fixture_start(&options);
    struct nodes *nodes = nodes_new(cell, "/restored/");
    node_start(nodes, 0);
    put(nodes, 0, "key/a", "kept");
    etcd_fixture_save(cell);
    put(nodes, 0, "key/a", "lost");
    etcd_fixture_restore(cell);
    node_wait(nodes, 0, is_refused);
    return nodes;
}

static void discard(struct nodes *nodes)
{
    struct etcd_fixture *cell = nodes->cell;
    nodes_free(nodes);
    etcd_fixture_stop(cell);
}

/* Nor over a restart, when the counter has caught up, history is gone, and the copy, too. */
static void a_snapshot_restored_with_the_same_token_is_refused_for_good(void **state)
{
    (void)state;
    struct nodes *nodes = restored();
    KS_ETCD_AUTO *client = tool(nodes->cell, 0);
    assert_serves_nothing(nodes, 0);

    catch_up(client, nodes, applied_by(nodes, 0) + 10);
    compact(client, revision_of(client));
    int64_t before = revision_of(client);
    fixture_sleep_ms(6000); /* it asks again, and writes nothing */
    assert_serves_nothing(nodes, 0);
    assert_int_equal(revision_of(client), before);

    node_stop(nodes, 0);
    lose_power(nodes, 0);
    node_start(nodes, 0);
    fixture_sleep_ms(1000);
    assert_serves_nothing(nodes, 0);
    assert_int_equal(revision_of(client), before);

    put_at(client, nodes, "epoch", "the operator's decision");
    node_wait(nodes, 0, has_window);
    assert_string_equal(fixture_read(nodes->at[0].store, "key/a"), "kept");
    node_stop(nodes, 0);
    node_start(nodes, 0);
    assert_string_equal(fixture_read(nodes->at[0].store, "key/a"), "kept");
    discard(nodes);
}

/* The other way out: what was lost comes back. The copy is good, and nothing is loaded. */
static void members_that_come_back_end_the_refusal(void **state)
{
    (void)state;
    struct nodes *nodes = restored();

    etcd_fixture_undo_restore(nodes->cell);

    node_wait(nodes, 0, is_following);
    assert_string_equal(fixture_read(nodes->at[0].store, "key/a"), "lost");
    assert_int_equal(nodes->at[0].reload_count, 1);
    node_stop(nodes, 0);
    node_start(nodes, 0);
    assert_string_equal(fixture_read(nodes->at[0].store, "key/a"), "lost");
    discard(nodes);
}

/* Nobody knows then what was refused: to follow any etcd could be the mistake. */
static void a_marker_that_cannot_be_read_stops_the_start(void **state)
{
    (void)state;
    struct nodes *nodes = restored();
    char path[600];
    node_stop(nodes, 0);
    snprintf(path, sizeof(path), "%s/refused", nodes->at[0].folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);

    struct ks_store_options options = node_options(nodes, 0);
    struct ks_store *store = NULL;
    assert_int_equal(ks_store_new(&options, &store).code, KS_CORRUPT);
    discard(nodes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_survivor_that_was_behind_is_refused_also_when_it_has_caught_up),
        cmocka_unit_test(a_snapshot_restored_with_the_same_token_is_refused_for_good),
        cmocka_unit_test(members_that_come_back_end_the_refusal),
        cmocka_unit_test(a_marker_that_cannot_be_read_stops_the_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
