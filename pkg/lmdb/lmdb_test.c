#include "pkg/lmdb/lmdb.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pkg/base/mem.h"
#include "tests/harness/skip.h"

#define MAP_LEN ((size_t)1 << 20)

static char folder[256];
static struct ks_lmdb *env;
static ks_lmdb_db db;

static struct ks_lmdb_options options(void)
{
    return (struct ks_lmdb_options){.folder = folder, .map_len_max = MAP_LEN, .readers_max = 4};
}

static int open_env(void **state)
{
    (void)state;
    const char *base = getenv("TEST_TMPDIR");
    struct ks_lmdb_options opts = options();
    snprintf(folder, sizeof(folder), "%s/lmdb-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(folder) || ks_failed(ks_lmdb_open(&opts, &env))) {
        return -1;
    }
    return ks_failed(ks_lmdb_database(env, "keys", &db)) ? -1 : 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static int close_env(void **state)
{
    (void)state;
    ks_lmdb_close(env);
    env = NULL;
    return nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void assert_ok(ks_result r)
{
    if (ks_failed(r)) {
        print_error("%s\n", ks_lmdb_last_error());
    }
    assert_string_equal(ks_code_name(r.code), "OK");
}

static void reopen(void)
{
    struct ks_lmdb_options opts = options();
    ks_lmdb_close(env);
    env = NULL;
    assert_ok(ks_lmdb_open(&opts, &env));
    assert_ok(ks_lmdb_database(env, "keys", &db));
}

/* One key and value in a transaction of its own. */
static void put(const char *key, const char *value)
{
    struct ks_lmdb_write *write;
    assert_ok(ks_lmdb_write_begin(env, &write));
    assert_ok(ks_lmdb_put(write, db, ks_bytes_of(key), ks_bytes_of(value)));
    assert_ok(ks_lmdb_commit(write));
}

static void assert_value(struct ks_lmdb_read *read, const char *key, const char *expected)
{
    ks_bytes value;
    assert_ok(ks_lmdb_get(read, db, ks_bytes_of(key), &value));
    assert_true(ks_bytes_equal(value, ks_bytes_of(expected)));
}

static void assert_absent(struct ks_lmdb_read *read, const char *key)
{
    ks_bytes value;
    assert_int_equal(ks_lmdb_get(read, db, ks_bytes_of(key), &value).code, KS_NOT_FOUND);
}

static void keeps_what_was_committed_across_opens(void **state)
{
    (void)state;
    put("a", "1");

    reopen();

    KS_LMDB_READ_AUTO *read = NULL;
    assert_ok(ks_lmdb_read_begin(env, &read));
    assert_value(read, "a", "1");
}

static void keeps_nothing_of_an_aborted_transaction(void **state)
{
    (void)state;
    struct ks_lmdb_write *write;
    assert_ok(ks_lmdb_write_begin(env, &write));
    assert_ok(ks_lmdb_put(write, db, KS_LITERAL("a"), KS_LITERAL("1")));
    ks_bytes own;
    assert_ok(ks_lmdb_write_get(write, db, KS_LITERAL("a"), &own));
    assert_int_equal(own.len, 1);

    ks_lmdb_abort(write);

    KS_LMDB_READ_AUTO *read = NULL;
    assert_ok(ks_lmdb_read_begin(env, &read));
    assert_absent(read, "a");
}

static void deletes_and_clears(void **state)
{
    (void)state;
    put("a", "1");
    put("b", "2");
    struct ks_lmdb_write *write;
    assert_ok(ks_lmdb_write_begin(env, &write));
    assert_ok(ks_lmdb_delete(write, db, KS_LITERAL("a")));
    assert_int_equal(ks_lmdb_delete(write, db, KS_LITERAL("a")).code, KS_NOT_FOUND);
    assert_ok(ks_lmdb_commit(write));

    size_t count;
    struct ks_lmdb_read *read;
    assert_ok(ks_lmdb_read_begin(env, &read));
    assert_absent(read, "a");
    assert_value(read, "b", "2");
    ks_lmdb_read_end(read);
    assert_ok(ks_lmdb_write_begin(env, &write));
    assert_ok(ks_lmdb_clear(write, db));
    assert_ok(ks_lmdb_commit(write));

    assert_ok(ks_lmdb_read_begin(env, &read));
    assert_ok(ks_lmdb_count(read, db, &count));
    assert_int_equal(count, 0);
    ks_lmdb_read_end(read);
}

static void a_snapshot_does_not_see_later_commits(void **state)
{
    (void)state;
    put("a", "old");
    KS_LMDB_READ_AUTO *read = NULL;
    assert_ok(ks_lmdb_read_begin(env, &read));

    put("a", "new");

    assert_value(read, "a", "old");
}

static void databases_do_not_share_keys(void **state)
{
    (void)state;
    ks_lmdb_db other;
    assert_ok(ks_lmdb_database(env, "other", &other));
    put("a", "1");

    KS_LMDB_READ_AUTO *read = NULL;
    ks_bytes value;
    assert_ok(ks_lmdb_read_begin(env, &read));
    assert_int_equal(ks_lmdb_get(read, other, KS_LITERAL("a"), &value).code, KS_NOT_FOUND);
}

static void keys_and_values_are_any_bytes(void **state)
{
    (void)state;
    uint8_t key[KS_LMDB_KEY_MAX];
    memset(key, 0xFF, sizeof(key));
    key[0] = 0;
    struct ks_lmdb_write *write;
    assert_ok(ks_lmdb_write_begin(env, &write));
    assert_ok(ks_lmdb_put(write, db, (ks_bytes){key, sizeof(key)}, KS_LITERAL("\0\xFF\n")));
    assert_ok(ks_lmdb_put(write, db, KS_LITERAL("\0"), (ks_bytes){0}));
    assert_ok(ks_lmdb_commit(write));

    KS_LMDB_READ_AUTO *read = NULL;
    ks_bytes value;
    assert_ok(ks_lmdb_read_begin(env, &read));
    assert_ok(ks_lmdb_get(read, db, (ks_bytes){key, sizeof(key)}, &value));
    assert_true(ks_bytes_equal(value, KS_LITERAL("\0\xFF\n")));
    assert_ok(ks_lmdb_get(read, db, KS_LITERAL("\0"), &value));
    assert_int_equal(value.len, 0);
}

static void refuses_keys_that_are_empty_or_too_long(void **state)
{
    (void)state;
    static const uint8_t key[KS_LMDB_KEY_MAX + 1];
    static const ks_bytes keys[] = {{key, 0}, {key, sizeof(key)}};
    for (size_t i = 0; i < KS_COUNT(keys); i++) {
        KS_LMDB_WRITE_AUTO *write = NULL;
        KS_LMDB_READ_AUTO *read = NULL;
        ks_bytes value;
        assert_ok(ks_lmdb_read_begin(env, &read));
        assert_ok(ks_lmdb_write_begin(env, &write));
        assert_int_equal(ks_lmdb_put(write, db, keys[i], keys[0]).code, KS_VALIDATION);
        assert_int_equal(ks_lmdb_delete(write, db, keys[i]).code, KS_VALIDATION);
        assert_int_equal(ks_lmdb_get(read, db, keys[i], &value).code, KS_VALIDATION);
    }
}

#define KEYS_MAX 64U

/* Walks the span; gives the keys met, each with a space behind it. */
static void walk(const struct ks_lmdb_span *span, char ret_keys[KEYS_MAX])
{
    KS_LMDB_READ_AUTO *read = NULL;
    assert_ok(ks_lmdb_read_begin(env, &read));
    KS_LMDB_WALK_AUTO *steps = NULL;
    assert_ok(ks_lmdb_walk_begin(read, db, span, &steps));
    ks_bytes key;
    ks_bytes value;
    ks_result step;
    size_t len = 0;
    ret_keys[0] = '\0';
    while (!ks_failed(step = ks_lmdb_walk_next(steps, &key, &value))) {
        len += (size_t)snprintf(ret_keys + len, KEYS_MAX - len, "%.*s ", (int)key.len,
                                (const char *)key.ptr);
    }
    assert_int_equal(step.code, KS_NOT_FOUND);
    assert_int_equal(ks_lmdb_walk_next(steps, &key, &value).code, KS_NOT_FOUND);
}

static void walks_a_span_in_order(void **state)
{
    (void)state;
    static const struct {
        const char *prefix;
        const char *start;
        bool after_start;
        const char *expected;
    } cases[] = {
        {"", "", false, "a b1 b2 b3 c "},
        {"b", "", false, "b1 b2 b3 "},
        {"b", "", true, "b1 b2 b3 "},
        {"b", "b2", false, "b2 b3 "},
        {"b", "b2", true, "b3 "},
        {"b", "b20", true, "b3 "},
        {"b", "b3", true, ""},
        {"b", "a", true, "b1 b2 b3 "},
        {"b", "c", false, ""},
        {"", "b3", true, "c "},
        {"c", "c", true, ""},
        {"d", "", false, ""},
        {"", "d", false, ""},
        {"", "a", true, "b1 b2 b3 c "},
    };
    put("b2", "");
    put("c", "");
    put("a", "");
    put("b3", "");
    put("b1", "");

    for (size_t i = 0; i < KS_COUNT(cases); i++) {
        struct ks_lmdb_span span = {.prefix = ks_bytes_of(cases[i].prefix),
                                    .start = ks_bytes_of(cases[i].start),
                                    .after_start = cases[i].after_start};
        char keys[KEYS_MAX];
        walk(&span, keys);
        assert_string_equal(keys, cases[i].expected);
    }
}

static void an_empty_database_has_nothing_to_walk(void **state)
{
    (void)state;
    char keys[KEYS_MAX];
    walk(&(struct ks_lmdb_span){0}, keys);
    assert_string_equal(keys, "");
}

/* In another process, as a second open in this one meets the same lock by the same path. */
static void refuses_a_folder_that_is_open_elsewhere(void **state)
{
    (void)state;
    struct ks_lmdb_options opts = options();
    struct ks_lmdb *second;
    assert_int_equal(ks_lmdb_open(&opts, &second).code, KS_CONFLICT);
    assert_string_equal(ks_lmdb_last_error(), "another process has the folder open");

    pid_t pid = fork();
    if (pid == 0) {
        _exit(ks_lmdb_open(&opts, &second).code == KS_CONFLICT ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void refuses_a_folder_that_is_absent(void **state)
{
    (void)state;
    struct ks_lmdb *other;
    struct ks_lmdb_options opts = {.folder = "/nonexistent/lmdb", .map_len_max = MAP_LEN};
    assert_int_equal(ks_lmdb_open(&opts, &other).code, KS_NOT_FOUND);
}

/* What was committed before stays readable, and there is room again after a clear. */
static void a_full_map_is_a_clear_failure_that_loses_nothing(void **state)
{
    (void)state;
    static const uint8_t block[100000];
    put("kept", "1");
    struct ks_lmdb_write *write;
    assert_ok(ks_lmdb_write_begin(env, &write));
    ks_result r = KS_RES(OK);
    for (uint8_t i = 0; i < 20 && !ks_failed(r); i++) {
        r = ks_lmdb_put(write, db, (ks_bytes){&i, 1}, (ks_bytes){block, sizeof(block)});
    }
    assert_int_equal(r.code, KS_LIMIT_EXCEEDED);
    assert_true(ks_failed(ks_lmdb_commit(write)));

    put("more", "2");
    KS_LMDB_READ_AUTO *read = NULL;
    assert_ok(ks_lmdb_read_begin(env, &read));
    assert_value(read, "kept", "1");
    assert_value(read, "more", "2");
    assert_absent(read, "\x01");
    assert_true(ks_lmdb_used_len(env) <= MAP_LEN);
}

static bool write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool is_written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    close(fd);
    return is_written;
}

/* A small disk of our own: a file system in memory, in a mount namespace that ends with us. */
static bool mount_small_disk(void)
{
    char user[32];
    char group[32];
    snprintf(user, sizeof(user), "0 %u 1", getuid());
    snprintf(group, sizeof(group), "0 %u 1", getgid());
    return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 &&
           write_text("/proc/self/setgroups", "deny") && write_text("/proc/self/uid_map", user) &&
           write_text("/proc/self/gid_map", group) &&
           mount("small", folder, "tmpfs", 0, "size=256k,mode=0777") == 0;
}

static int fill_small_disk(void)
{
    static const uint8_t block[300000];
    struct ks_lmdb_options opts = options();
    if (!mount_small_disk()) {
        return 77;
    }
    assert_ok(ks_lmdb_open(&opts, &env));
    assert_ok(ks_lmdb_database(env, "keys", &db));
    put("kept", "1");
    struct ks_lmdb_write *write;
    assert_ok(ks_lmdb_write_begin(env, &write));
    assert_ok(ks_lmdb_put(write, db, KS_LITERAL("big"), (ks_bytes){block, sizeof(block)}));
    assert_int_equal(ks_lmdb_commit(write).code, KS_LIMIT_EXCEEDED);

    reopen();
    KS_LMDB_READ_AUTO *read = NULL;
    assert_ok(ks_lmdb_read_begin(env, &read));
    assert_value(read, "kept", "1");
    assert_absent(read, "big");
    return 0;
}

static void a_full_disk_is_a_clear_failure_that_loses_nothing(void **state)
{
    (void)state;
    ks_lmdb_close(env);
    env = NULL;
    pid_t pid = fork();
    if (pid == 0) {
        _exit(fill_small_disk());
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        skip_because("nobody may mount a small disk here");
    }
    assert_int_equal(status, 0);
}

static void refuses_more_readers_than_it_was_opened_for(void **state)
{
    (void)state;
    struct ks_lmdb_read *reads[5] = {0};
    for (size_t i = 0; i < 4; i++) {
        assert_ok(ks_lmdb_read_begin(env, &reads[i]));
    }
    assert_int_equal(ks_lmdb_read_begin(env, &reads[4]).code, KS_LIMIT_EXCEEDED);
    for (size_t i = 0; i < 4; i++) {
        ks_lmdb_read_end(reads[i]);
    }
}

static void data_path(char ret_path[300])
{
    snprintf(ret_path, 300, "%s/data.mdb", folder);
}

/* A data file cut anywhere is refused, and never ends the process. */
static void refuses_a_data_file_cut_short(void **state)
{
    (void)state;
    put("a", "1");
    char path[300];
    data_path(path);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    struct ks_lmdb_options opts = options();
    ks_lmdb_close(env);
    env = NULL;
    for (off_t len = st.st_size - 1; len > 0; len -= 997) {
        assert_int_equal(truncate(path, len), 0);
        struct ks_lmdb *cut = NULL;
        ks_result r = ks_lmdb_open(&opts, &cut);
        ks_lmdb_close(cut);
        assert_int_equal(r.code, KS_CORRUPT);
    }
}

static void refuses_a_file_that_is_not_lmdb(void **state)
{
    (void)state;
    char path[300];
    data_path(path);
    ks_lmdb_close(env);
    env = NULL;
    int fd = open(path, O_WRONLY | O_TRUNC);
    static const uint8_t zeros[8192] = {1};
    assert_int_equal(write(fd, zeros, sizeof(zeros)), sizeof(zeros));
    close(fd);
    struct ks_lmdb_options opts = options();
    struct ks_lmdb *damaged;
    assert_int_equal(ks_lmdb_open(&opts, &damaged).code, KS_CORRUPT);
}

static void *read_in_thread(void *user)
{
    struct ks_lmdb_read *read = user;
    ks_bytes value;
    bool is_right = !ks_failed(ks_lmdb_get(read, db, KS_LITERAL("a"), &value)) &&
                    ks_bytes_equal(value, KS_LITERAL("1"));
    ks_lmdb_read_end(read);
    return is_right ? user : NULL;
}

/* MDB_NOTLS: begun here, used and ended there, while another one is open here. */
static void a_snapshot_may_wander_between_threads(void **state)
{
    (void)state;
    put("a", "1");
    struct ks_lmdb_read *reads[2];
    assert_ok(ks_lmdb_read_begin(env, &reads[0]));
    assert_ok(ks_lmdb_read_begin(env, &reads[1]));
    pthread_t thread;
    void *result = NULL;
    assert_int_equal(pthread_create(&thread, NULL, read_in_thread, reads[0]), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_non_null(result);
    assert_value(reads[1], "a", "1");
    ks_lmdb_read_end(reads[1]);
}

static void no_sync_commits_and_syncs_on_demand(void **state)
{
    (void)state;
    struct ks_lmdb_options opts = options();
    opts.no_sync = true;
    ks_lmdb_close(env);
    env = NULL;
    assert_ok(ks_lmdb_open(&opts, &env));
    assert_ok(ks_lmdb_database(env, "keys", &db));
    put("a", "1");
    assert_ok(ks_lmdb_sync(env));
    reopen();
    KS_LMDB_READ_AUTO *read = NULL;
    assert_ok(ks_lmdb_read_begin(env, &read));
    assert_value(read, "a", "1");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_env, close_env)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(keeps_what_was_committed_across_opens),
        TEST(keeps_nothing_of_an_aborted_transaction),
        TEST(deletes_and_clears),
        TEST(a_snapshot_does_not_see_later_commits),
        TEST(databases_do_not_share_keys),
        TEST(keys_and_values_are_any_bytes),
        TEST(refuses_keys_that_are_empty_or_too_long),
        TEST(walks_a_span_in_order),
        TEST(an_empty_database_has_nothing_to_walk),
        TEST(refuses_a_folder_that_is_open_elsewhere),
        TEST(refuses_a_folder_that_is_absent),
        TEST(a_full_map_is_a_clear_failure_that_loses_nothing),
        TEST(a_full_disk_is_a_clear_failure_that_loses_nothing),
        TEST(refuses_more_readers_than_it_was_opened_for),
        TEST(refuses_a_data_file_cut_short),
        TEST(refuses_a_file_that_is_not_lmdb),
        TEST(a_snapshot_may_wander_between_threads),
        TEST(no_sync_commits_and_syncs_on_demand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
