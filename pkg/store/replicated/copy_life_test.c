/*
 * What happens to a copy: it goes on after a restart, is loaded anew when it can't, and is never
 * served when it is wrong. On real etcd members.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/store/copy/copy.h"
#include "pkg/store/log/layout.h"
#include "pkg/store/replicated/node_fixture.h"

#define LOAD_COUNT 10000U

static struct etcd_fixture *cell;
static struct etcd_fixture *other_cell;

static int setup(void **state)
{
    static unsigned test_number;
    char prefix[32];
    snprintf(prefix, sizeof(prefix), "/life/%u/", ++test_number);
    struct nodes *nodes = nodes_new(cell, prefix);
    nodes->window_ms = 500; /* shortens the waits for who was stopped */
    node_start(nodes, 0);
    *state = nodes;
    return 0;
}

static int teardown(void **state)
{
    nodes_free(*state);
    return 0;
}

/* Puts, and waits until the copy has it: who is not listed yet is not waited for. */
static void put(struct nodes *nodes, const char *key, const char *value)
{
    struct ks_store_mutation mutation = {.ops = {{ks_bytes_of(key), ks_bytes_of(value)}},
                                         .op_count = 1};
    assert_int_equal(fixture_commit(nodes->at[0].store, &mutation).code, KS_OK);
    assert_string_equal(fixture_read(nodes->at[0].store, key), value);
}

/* Something done to the stopped node's copy behind its back. */
static void change_copy(struct nodes *nodes, void (*change)(struct ks_copy_write *write))
{
    char path[600];
    snprintf(path, sizeof(path), "%s/copy", nodes->at[0].folder);
    struct ks_copy_options options = {.folder = path, .bytes_max = 1U << 30};
    struct ks_copy *copy = NULL;
    struct ks_copy_write write;
    assert_int_equal(ks_copy_open(&options, &copy).code, KS_OK);
    assert_int_equal(ks_copy_write_begin(copy, &write).code, KS_OK);
    change(&write);
    assert_int_equal(ks_copy_commit(&write).code, KS_OK);
    ks_copy_close(copy);
}

static void write_marker(struct nodes *nodes, const char *text)
{
    char path[600];
    snprintf(path, sizeof(path), "%s/marker", nodes->at[0].folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* A client of its own, to do to etcd what no keystore does. */
static struct ks_etcd *tool(struct etcd_fixture *which)
{
    struct ks_etcd_options options = etcd_fixture_client(which, 0);
    struct ks_etcd *client = NULL;
    options.call_ms = 5000;
    assert_int_equal(ks_etcd_new(&options, &client).code, KS_OK);
    return client;
}

static int64_t etcd_put(struct ks_etcd *client, const char *key, const char *value)
{
    struct ks_etcd_op op = {
        .kind = KS_ETCD_PUT, .key = ks_bytes_of(key), .value = ks_bytes_of(value)};
    struct ks_etcd_txn txn = {.success = &op, .success_count = 1};
    KS_ETCD_ANSWER_AUTO *answer = ks_etcd_txn_wait(client, &txn, NULL);
    assert_int_equal(answer->cause, KS_ETCD_DONE);
    return answer->header.revision;
}

static size_t reloads(struct nodes *nodes)
{
    pthread_mutex_lock(&nodes->lock);
    size_t count = nodes->at[0].reload_count;
    pthread_mutex_unlock(&nodes->lock);
    return count;
}

static bool is_refused(const struct ks_store_status *status)
{
    return status->state == KS_STORE_REFUSED;
}

static bool has_window(const struct ks_store_status *status)
{
    return status->window_left_ms > 0;
}

/* ---- Restarts ---- */

static void a_restart_goes_on_from_the_disk(void **state)
{
    struct nodes *nodes = *state;
    put(nodes, "key/a", "one");
    assert_int_equal(reloads(nodes), 1);

    node_stop(nodes, 0);
    node_start(nodes, 0);

    assert_string_equal(fixture_read(nodes->at[0].store, "key/a"), "one");
    assert_int_equal(reloads(nodes), 1);
}

static void assert_prefix(struct nodes *nodes, const char *prefix, int64_t newest, uint64_t count)
{
    KS_STORE_VIEW_AUTO view = fixture_serve(nodes->at[0].store);
    int64_t got_newest = 0;
    uint64_t got_count = 0;
    assert_int_equal(ks_store_prefix(&view, ks_bytes_of(prefix), &got_newest, &got_count).code,
                     KS_OK);
    assert_int_equal(got_count, count);
    assert_int_equal(got_newest, newest);
}

static int64_t floor_of(struct nodes *nodes)
{
    int64_t newest = 0;
    uint64_t count;
    KS_STORE_VIEW_AUTO view = fixture_serve(nodes->at[0].store);
    assert_int_equal(ks_store_prefix(&view, KS_LITERAL("alias/none/"), &newest, &count).code,
                     KS_OK);
    return newest;
}

/* After a load nobody knows what was deleted before, so everything rests on the load's revision. */
static void a_load_counts_anew_and_sets_a_floor(void **state)
{
    struct nodes *nodes = *state;
    int64_t first_floor = floor_of(nodes);
    put(nodes, "key/A/1", "one");
    put(nodes, "key/B/1", "one");
    struct fixture_outcome two = fixture_put(nodes->at[0].store, "key/A/2", "two", 0);
    struct fixture_outcome gone = fixture_put(nodes->at[0].store, "key/A/2", NULL, two.revision);
    assert_prefix(nodes, "key/A/", gone.revision, 1);
    assert_int_equal(floor_of(nodes), first_floor);
    node_stop(nodes, 0);
    node_start(nodes, 0);
    assert_prefix(nodes, "key/A/", gone.revision, 1); /* a restart forgets nothing */

    node_stop(nodes, 0);
    write_marker(nodes, "00000000-0000-0000-0000-000000000000\n");
    node_start(nodes, 0);

    int64_t floor = floor_of(nodes);
    assert_true(floor >= gone.revision);
    assert_prefix(nodes, "key/A/", floor, 1);
    assert_prefix(nodes, "key/", floor, 2);
    struct fixture_outcome three = fixture_put(nodes->at[0].store, "key/A/3", "three", 0);
    assert_prefix(nodes, "key/A/", three.revision, 2);
    assert_prefix(nodes, "key/B/", floor, 1);
}

/* A process that is killed leaves the marker of its boot: its copy was written by this kernel. */
static void a_copy_of_this_boot_is_kept(void **state)
{
    struct nodes *nodes = *state;
    put(nodes, "key/a", "one");
    node_stop(nodes, 0);
    char boot_id[64] = "";
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "r");
    assert_non_null(fgets(boot_id, sizeof(boot_id), file));
    fclose(file);
    write_marker(nodes, boot_id);

    node_start(nodes, 0);

    assert_string_equal(fixture_read(nodes->at[0].store, "key/a"), "one");
    assert_int_equal(reloads(nodes), 1);
}

static void a_copy_of_another_boot_is_thrown_away(void **state)
{
    struct nodes *nodes = *state;
    put(nodes, "key/a", "one");
    node_stop(nodes, 0);
    write_marker(nodes, "00000000-0000-0000-0000-000000000000\n");

    node_start(nodes, 0);

    assert_string_equal(fixture_read(nodes->at[0].store, "key/a"), "one");
    assert_int_equal(reloads(nodes), 2);
}

static void a_damaged_file_is_thrown_away(void **state)
{
    struct nodes *nodes = *state;
    put(nodes, "key/a", "one");
    node_stop(nodes, 0);
    char path[600];
    snprintf(path, sizeof(path), "%s/copy/data.mdb", nodes->at[0].folder);
    FILE *file = fopen(path, "r+");
    for (int i = 0; i < 8192; i++) {
        fputc(0x5a, file);
    }
    fclose(file);

    node_start(nodes, 0);

    assert_string_equal(fixture_read(nodes->at[0].store, "key/a"), "one");
    assert_int_equal(reloads(nodes), 2);
}

/* ---- What etcd no longer has ---- */

static void compaction_past_the_copy_loads_it_anew(void **state)
{
    struct nodes *nodes = *state;
    put(nodes, "key/a", "one");
    node_stop(nodes, 0);
    KS_ETCD_AUTO *client = tool(cell);
    etcd_put(client, "/elsewhere", "x");
    int64_t now = etcd_put(client, "/elsewhere", "x");
    KS_ETCD_ANSWER_AUTO *answer = ks_etcd_compact_wait(client, now, NULL);
    assert_int_equal(answer->cause, KS_ETCD_DONE);

    node_start(nodes, 0);

    assert_string_equal(fixture_read(nodes->at[0].store, "key/a"), "one");
    assert_int_equal(reloads(nodes), 2);
}

/* ---- Lost events ---- */

static void forget_one_mutation(struct ks_copy_write *write)
{
    write->position.rev_version--;
}

/* The copy has missed a mutation without a sign: the next one, or a heartbeat, shows it. */
static void a_lost_mutation_is_noticed_before_anything_is_served(void **state)
{
    struct nodes *nodes = *state;
    put(nodes, "key/a", "one");
    put(nodes, "key/a", "two");
    node_stop(nodes, 0);
    change_copy(nodes, forget_one_mutation);

    node_start(nodes, 0);

    assert_string_equal(fixture_read(nodes->at[0].store, "key/a"), "two");
    assert_int_equal(reloads(nodes), 2);
    assert_non_null(strstr(nodes->at[0].notice, "anew"));
}

static void damage_a_record(struct nodes *nodes, const char *needle)
{
    char path[600];
    static uint8_t bytes[1 << 20];
    size_t hits = 0;
    snprintf(path, sizeof(path), "%s/copy/data.mdb", nodes->at[0].folder);
    FILE *file = fopen(path, "r+");
    size_t len = fread(bytes, 1, sizeof(bytes), file);
    for (size_t i = 0; i < len; i++) {
        if (ks_bytes_starts_with((ks_bytes){bytes + i, len - i}, ks_bytes_of(needle))) {
            fseek(file, (long)i, SEEK_SET);
            fputc('#', file);
            hits++;
        }
    }
    fclose(file);
    assert_true(hits > 0);
}

static void a_damaged_record_is_never_served_and_the_copy_heals(void **state)
{
    struct nodes *nodes = *state;
    put(nodes, "key/a", "needle-in-page");
    node_stop(nodes, 0);
    damage_a_record(nodes, "needle-in-page");
    node_start(nodes, 0);

    int64_t give_up_ms = fixture_now_ms() + 10000;
    ks_code code = KS_CORRUPT;
    while (code != KS_OK && fixture_now_ms() < give_up_ms) {
        KS_STORE_VIEW_AUTO view = fixture_serve(nodes->at[0].store);
        struct ks_store_record record;
        code = ks_store_get(&view, KS_LITERAL("key/a"), &record).code;
        assert_true(code != KS_OK || ks_bytes_equal(record.value, KS_LITERAL("needle-in-page")));
    }

    assert_int_equal(code, KS_OK);
    assert_int_equal(reloads(nodes), 2);
}

/* ---- Another store ---- */

/* A restore changes the epoch: everything is loaded anew, under a new identity. */
static void another_epoch_throws_the_copy_away(void **state)
{
    struct nodes *nodes = *state;
    put(nodes, "key/a", "one");
    assert_false(nodes->at[0].was_silenced);
    struct ks_store_status before;
    ks_store_get_status(nodes->at[0].store, &before);

    KS_ETCD_AUTO *client = tool(cell);
    char epoch_key[80];
    snprintf(epoch_key, sizeof(epoch_key), "%sepoch", nodes->prefix);
    etcd_put(client, epoch_key, "put-by-a-restore");

    int64_t give_up_ms = fixture_now_ms() + 10000;
    while (reloads(nodes) < 2 && fixture_now_ms() < give_up_ms) {
        fixture_sleep_ms(5);
    }
    assert_string_equal(fixture_read(nodes->at[0].store, "key/a"), "one");
    struct ks_store_status after;
    node_wait(nodes, 0, has_window);
    ks_store_get_status(nodes->at[0].store, &after);
    assert_string_equal(after.epoch, "put-by-a-restore");
    assert_string_not_equal(after.keystore_id, before.keystore_id);
    assert_true(nodes->at[0].was_silenced);
}

static void another_cluster_throws_the_copy_away(void **state)
{
    struct nodes *nodes = *state;
    put(nodes, "key/a", "one");
    node_stop(nodes, 0);
    KS_ETCD_AUTO *client = tool(other_cell);
    char key[80];
    snprintf(key, sizeof(key), "%sepoch", nodes->prefix);
    etcd_put(client, key, "of-the-other-cell");
    snprintf(key, sizeof(key), "%srev", nodes->prefix);
    etcd_put(client, key, "");
    nodes->cell = other_cell;

    node_start(nodes, 0);

    assert_string_equal(fixture_read(nodes->at[0].store, "key/a"), "");
    assert_int_equal(reloads(nodes), 2);
    nodes->cell = cell;
}

/* The copy may be all that is left of the cell: it is kept until somebody decides. */
static void an_empty_etcd_does_not_empty_the_copy(void **state)
{
    struct nodes *nodes = *state;
    put(nodes, "key/a", "one");
    node_stop(nodes, 0);
    nodes->cell = other_cell;

    node_start(nodes, 0);

    node_wait(nodes, 0, is_refused);
    struct ks_store_status status;
    KS_STORE_VIEW_AUTO view = {0};
    struct ks_store_record record;
    ks_store_get_status(nodes->at[0].store, &status);
    assert_non_null(strstr(status.alarm, "restore etcd"));
    assert_int_equal(ks_store_serve(nodes->at[0].store, &view).code, KS_UNAVAILABLE);
    assert_int_equal(ks_store_peek(nodes->at[0].store, &view).code, KS_OK);
    assert_int_equal(ks_store_get(&view, KS_LITERAL("key/a"), &record).code, KS_OK);
    nodes->cell = cell;
}

/* ---- Size ---- */

struct crowd {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t under_way;
    size_t by_code[KS_CODE_COUNT];
};

static void count_answer(void *user, const struct ks_store_outcome *outcome)
{
    struct crowd *crowd = user;
    pthread_mutex_lock(&crowd->lock);
    crowd->under_way--;
    crowd->by_code[outcome->result.code]++;
    pthread_cond_signal(&crowd->changed);
    pthread_mutex_unlock(&crowd->lock);
}

static void fill(struct ks_store *store, unsigned count)
{
    struct crowd crowd = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    int64_t deadline_ns = ks_clock_boot_ns(&ks_clock_system) + 120 * KS_NS_PER_S;
    for (unsigned i = 0; i < count; i++) {
        char key[32];
        snprintf(key, sizeof(key), "key/%u", i);
        struct ks_store_mutation mutation = {
            .compares = {{ks_bytes_of(key), 0}},
            .compare_count = 1,
            .ops = {{ks_bytes_of(key), KS_LITERAL("a value of some length, as records have it")}},
            .op_count = 1,
        };
        pthread_mutex_lock(&crowd.lock);
        while (crowd.under_way >= KS_STORE_PENDING_MAX / 2) {
            pthread_cond_wait(&crowd.changed, &crowd.lock);
        }
        crowd.under_way++;
        pthread_mutex_unlock(&crowd.lock);
        ks_store_commit(store, &mutation, deadline_ns, count_answer, &crowd);
    }
    pthread_mutex_lock(&crowd.lock);
    while (crowd.under_way > 0) {
        pthread_cond_wait(&crowd.changed, &crowd.lock);
    }
    pthread_mutex_unlock(&crowd.lock);
    for (unsigned code = KS_OK + 1; code < KS_CODE_COUNT; code++) {
        if (crowd.by_code[code] > 0) {
            fail_msg("%zu of %u: %s", crowd.by_code[code], count, ks_code_name((ks_code)code));
        }
    }
}

static bool count_record(void *user, const struct ks_store_record *record)
{
    (void)record;
    ++*(size_t *)user;
    return true;
}

static void ten_thousand_records_are_loaded(void **state)
{
    struct nodes *nodes = *state;
    fixture_read(nodes->at[0].store, "x");
    int64_t begun_ms = fixture_now_ms();
    fill(nodes->at[0].store, LOAD_COUNT);
    print_message("%u commits: %lld ms\n", LOAD_COUNT, (long long)(fixture_now_ms() - begun_ms));

    begun_ms = fixture_now_ms();
    struct ks_store_options options = node_options(nodes, 0);
    options.folder = nodes->at[1].folder;
    options.on_applied = NULL;
    options.on_reload = NULL;
    struct ks_store *fresh = NULL;
    assert_int_equal(ks_store_new(&options, &fresh).code, KS_OK);
    KS_STORE_VIEW_AUTO view = fixture_serve(fresh);
    print_message("first load and window: %lld ms\n", (long long)(fixture_now_ms() - begun_ms));

    size_t count = 0;
    assert_int_equal(
        ks_store_scan(&view, KS_LITERAL("key/"), (ks_bytes){0}, count_record, &count).code, KS_OK);
    assert_int_equal(count, LOAD_COUNT);
    ks_store_view_close(&view);
    ks_store_free(fresh);
}

static bool has_alarm(const struct ks_store_status *status)
{
    return status->alarm[0] != 0;
}

/* A copy that can't be written stops serving, says why, and goes on when there is room. */
static void a_full_copy_stops_serving(void **state)
{
    struct nodes *nodes = *state;
    node_stop(nodes, 0);
    nodes->database_bytes_max = 256U << 10;
    node_start(nodes, 0);
    fixture_read(nodes->at[0].store, "x");
    KS_AUTO_FREE uint8_t *bytes = ks_alloc(200000, 1);
    memset(bytes, 'x', 200000);
    struct ks_store_mutation mutation = {.ops = {{KS_LITERAL("key/a"), {bytes, 200000}}},
                                         .op_count = 1};

    fixture_commit(nodes->at[0].store, &mutation);

    node_wait(nodes, 0, has_alarm);
    struct ks_store_status status;
    struct ks_store_view view = {0};
    ks_store_get_status(nodes->at[0].store, &status);
    assert_non_null(strstr(status.alarm, "limit"));
    fixture_sleep_ms(nodes->window_ms);
    assert_int_equal(ks_store_serve(nodes->at[0].store, &view).code, KS_UNAVAILABLE);

    node_stop(nodes, 0);
    nodes->database_bytes_max = 0;
    node_start(nodes, 0);
    KS_STORE_VIEW_AUTO healed = fixture_serve(nodes->at[0].store);
    struct ks_store_record record;
    assert_int_equal(ks_store_get(&healed, KS_LITERAL("key/a"), &record).code, KS_OK);
}

#define SMALL_QUOTA   (32L << 20)
#define WIDE_QUOTA    (128L << 20) /* its 20 % between the limits take longer than a look at etcd */
#define BIG_VALUE_LEN 200000U

/* Puts records until it gets another answer than OK, which it returns; gives how many were put. */
static ks_code fill_etcd(struct nodes *nodes, enum ks_store_room room, unsigned *ret_count)
{
    KS_AUTO_FREE uint8_t *bytes = ks_alloc(BIG_VALUE_LEN, 1);
    struct fixture_outcome last = {.code = KS_OK};
    unsigned count = 0;
    struct ks_store_status status;
    for (; count < 1000 && last.code == KS_OK; count++) {
        char key[24];
        snprintf(key, sizeof(key), "key/%u", count);
        struct ks_store_mutation mutation = {
            .ops = {{ks_bytes_of(key), {bytes, BIG_VALUE_LEN}}}, .op_count = 1, .room = room};
        last = fixture_commit(nodes->at[0].store, &mutation);
        ks_store_get_status(nodes->at[0].store, &status); /* who looks has the sizes asked for */
        fixture_sleep_ms(15);
    }
    *ret_count = count;
    return last.code;
}

static ks_code withdraw(struct nodes *nodes, const char *key, ks_bytes value)
{
    struct ks_store_mutation mutation = {
        .ops = {{ks_bytes_of(key), value}}, .op_count = 1, .room = KS_STORE_WITHDRAWS};
    ks_code code = fixture_commit(nodes->at[0].store, &mutation).code;
    while (code == KS_UNAVAILABLE) { /* harmless to repeat */
        code = fixture_commit(nodes->at[0].store, &mutation).code;
    }
    return code;
}

static bool is_nearly_full(const struct ks_store_status *status)
{
    return strstr(status->alarm, "nearly full") != NULL;
}

static bool has_no_alarm(const struct ks_store_status *status)
{
    return status->alarm[0] == '\0';
}

/* Who writes as fast as he can does not fill etcd, and what he made can be taken away. */
static void growth_is_refused_before_etcd_is_full(void **state)
{
    (void)state;
    const struct etcd_fixture_options wide = {.member_count = 1, .quota_bytes = WIDE_QUOTA};
    struct etcd_fixture *etcd = etcd_fixture_start(&wide);
    struct nodes *nodes = nodes_new(etcd, "/grow/");
    nodes->etcd_quota_bytes = WIDE_QUOTA;
    node_start(nodes, 0);
    unsigned count = 0;

    node_wait(nodes, 0, has_no_alarm); /* from now on the members are asked each second */
    assert_int_equal(fill_etcd(nodes, KS_STORE_GROWS, &count), KS_LIMIT_EXCEEDED);
    node_wait(nodes, 0, is_nearly_full);
    assert_int_equal(fixture_put(nodes->at[0].store, "tiny", "x", 0).code, KS_OK);

    for (unsigned i = 0; i < count; i++) {
        char key[24];
        snprintf(key, sizeof(key), "key/%u", i);
        assert_int_equal(withdraw(nodes, key, (ks_bytes){0}), KS_OK);
    }
    node_wait(nodes, 0, has_no_alarm);
    nodes_free(nodes);
    etcd_fixture_stop(etcd);
}

/* It is full all the same: what takes away is done, and then etcd gets well by itself. */
static void a_full_etcd_still_withdraws_and_recovers(void **state)
{
    (void)state;
    const struct etcd_fixture_options small = {.member_count = 1, .quota_bytes = SMALL_QUOTA};
    struct etcd_fixture *etcd = etcd_fixture_start(&small);
    struct nodes *nodes = nodes_new(etcd, "/drown/");
    nodes->etcd_quota_bytes = 64 * SMALL_QUOTA; /* the keystore is told of more than there is */
    node_start(nodes, 0);
    put(nodes, "revoked", "no");
    unsigned count = 0;

    ks_code last = fill_etcd(nodes, KS_STORE_CHANGES, &count);
    assert_int_equal(last, KS_LIMIT_EXCEEDED);
    assert_int_equal(withdraw(nodes, "revoked", KS_LITERAL("yes")), KS_OK);
    assert_string_equal(fixture_read(nodes->at[0].store, "revoked"), "yes");
    assert_int_equal(fixture_put(nodes->at[0].store, "tiny", "x", 0).code, KS_LIMIT_EXCEEDED);
    for (unsigned i = 0; i < count; i++) {
        char key[24];
        snprintf(key, sizeof(key), "key/%u", i);
        assert_int_equal(withdraw(nodes, key, (ks_bytes){0}), KS_OK);
    }

    node_stop(nodes, 0);
    nodes->etcd_quota_bytes = SMALL_QUOTA;
    node_start(nodes, 0);
    assert_int_equal(withdraw(nodes, "revoked", KS_LITERAL("still")), KS_OK);
    node_wait(nodes, 0, has_alarm); /* the members have been asked */
    node_wait(nodes, 0, has_no_alarm);
    assert_int_equal(fixture_put(nodes->at[0].store, "tiny", "x", 0).code, KS_OK);
    nodes_free(nodes);
    etcd_fixture_stop(etcd);
}

static ks_code put_until_refused(struct nodes *nodes, const char *name, ks_bytes value)
{
    struct fixture_outcome last = {.code = KS_OK};
    for (unsigned i = 0; i < 60 && last.code == KS_OK; i++) {
        char key[24];
        snprintf(key, sizeof(key), "key/%s/%u", name, i);
        struct ks_store_mutation mutation = {.ops = {{ks_bytes_of(key), value}}, .op_count = 1};
        last = fixture_commit(nodes->at[0].store, &mutation);
    }
    return last.code;
}

/* etcd's quota: changes are refused with a sentence, what is there is served, also after a restart. */
static void a_full_etcd_refuses_with_a_sentence(void **state)
{
    (void)state;
    const struct etcd_fixture_options small = {.member_count = 1, .quota_bytes = 2L << 20};
    struct etcd_fixture *full = etcd_fixture_start(&small);
    struct nodes *nodes = nodes_new(full, "/full/");
    nodes->etcd_quota_bytes = 2U << 20;
    nodes->window_ms = 500;
    node_start(nodes, 0);
    put(nodes, "small", "kept");
    KS_AUTO_FREE uint8_t *bytes = ks_alloc(200000, 1);
    const ks_bytes value = {bytes, 200000};

    assert_int_equal(put_until_refused(nodes, "before", value), KS_LIMIT_EXCEEDED);
    node_wait(nodes, 0, has_alarm);
    struct ks_store_status status;
    ks_store_get_status(nodes->at[0].store, &status);
    assert_non_null(strstr(status.alarm, "full"));
    fixture_sleep_ms(nodes->window_ms);
    assert_string_equal(fixture_read(nodes->at[0].store, "small"), "kept");
    node_stop(nodes, 0);
    node_start(nodes, 0);
    assert_string_equal(fixture_read(nodes->at[0].store, "small"), "kept");
    /* Defragmented meanwhile, it may have room for a few again. */
    assert_int_equal(put_until_refused(nodes, "after", value), KS_LIMIT_EXCEEDED);
    node_wait(nodes, 0, has_alarm);
    nodes_free(nodes);
    etcd_fixture_stop(full);
}

static int start_cells(void **state)
{
    (void)state;
    const struct etcd_fixture_options options = {.member_count = 1};
    cell = etcd_fixture_start(&options);
    other_cell = etcd_fixture_start(&options);
    return 0;
}

static int stop_cells(void **state)
{
    (void)state;
    etcd_fixture_stop(cell);
    etcd_fixture_stop(other_cell);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_restart_goes_on_from_the_disk),
        TEST(a_load_counts_anew_and_sets_a_floor),
        TEST(a_copy_of_this_boot_is_kept),
        TEST(a_copy_of_another_boot_is_thrown_away),
        TEST(a_damaged_file_is_thrown_away),
        TEST(compaction_past_the_copy_loads_it_anew),
        TEST(a_lost_mutation_is_noticed_before_anything_is_served),
        TEST(a_damaged_record_is_never_served_and_the_copy_heals),
        TEST(another_epoch_throws_the_copy_away),
        TEST(another_cluster_throws_the_copy_away),
        TEST(an_empty_etcd_does_not_empty_the_copy),
        TEST(ten_thousand_records_are_loaded),
        TEST(a_full_copy_stops_serving),
        TEST(growth_is_refused_before_etcd_is_full),
        TEST(a_full_etcd_still_withdraws_and_recovers),
        cmocka_unit_test(a_full_etcd_refuses_with_a_sentence),
    };
    return cmocka_run_group_tests(tests, start_cells, stop_cells);
}
