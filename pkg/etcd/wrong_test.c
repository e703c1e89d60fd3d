/*
 * What a client makes of answers that no etcd member gives, or gives at its worst moment: above
 * all, whether a change may be done. tests/harness/fake_etcd.py answers; the key names the case.
 */
#include "pkg/etcd/etcd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pkg/base/mem.h"
#include "tests/harness/etcd_certs.h"

#define FAKE       "tests/harness/fake_etcd.py"
#define PATIENT_MS 5000
#define SHORT_MS   200
#define ANSWER_MAX 1000U

/* A fake member, and what lets us reach it. */
struct fake {
    pid_t pid;
    int stdin_fd; /* it ends when this is closed */
    char url[64];
};

static char folder[256];
static struct fake h2;
static struct fake http1;
static struct ks_etcd *client;

/* The child of start_fake. Does not return. */
static void run_fake(const char *protocol, const int *to, const int *from)
{
    dup2(to[0], STDIN_FILENO);
    dup2(from[1], STDOUT_FILENO);
    close(to[1]);
    close(from[0]);
    execlp("python3", "python3", FAKE, "--folder", folder, "--protocol", protocol, (char *)NULL);
    _exit(127);
}

static struct fake start_fake(const char *protocol)
{
    int to[2];
    int from[2];
    char port[16] = "";
    struct fake fake = {0};
    assert_int_equal(pipe2(to, O_CLOEXEC) | pipe2(from, O_CLOEXEC), 0);
    fake.pid = fork();
    assert_true(fake.pid >= 0);
    if (fake.pid == 0) {
        run_fake(protocol, to, from);
    }
    close(to[0]);
    close(from[1]);
    assert_true(read(from[0], port, sizeof(port) - 1) > 1);
    close(from[0]);
    fake.stdin_fd = to[1];
    snprintf(fake.url, sizeof(fake.url), "https://127.0.0.1:%ld", strtol(port, NULL, 10));
    return fake;
}

static void stop_fake(const struct fake *fake)
{
    close(fake->stdin_fd);
    waitpid(fake->pid, NULL, 0);
}

static int start_fakes(void **state)
{
    (void)state;
    const char *base = getenv("TEST_TMPDIR");
    signal(SIGPIPE, SIG_IGN);
    snprintf(folder, sizeof(folder), "%s/fake-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(folder));
    etcd_certs_make(folder);
    h2 = start_fake("h2");
    http1 = start_fake("http/1.1");
    return 0;
}

static int stop_fakes(void **state)
{
    (void)state;
    stop_fake(&h2);
    stop_fake(&http1);
    return 0;
}

static struct ks_etcd *client_of(const struct fake *fake)
{
    char files[3][300];
    const char *const names[] = {"ca.pem", "client.pem", "client.key"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(files[i], sizeof(files[i]), "%s/%s", folder, names[i]);
    }
    const char *endpoint = fake->url;
    struct ks_etcd_options options = {
        .endpoints = &endpoint,
        .endpoint_count = 1,
        .ca_file = files[0],
        .cert_file = files[1],
        .key_file = files[2],
        .call_ms = PATIENT_MS,
        .answer_len_max = ANSWER_MAX,
    };
    struct ks_etcd *made;
    assert_int_equal(ks_etcd_new(&options, &made).code, KS_OK);
    return made;
}

static int open_client(void **state)
{
    (void)state;
    client = client_of(&h2);
    return 0;
}

static int close_client(void **state)
{
    (void)state;
    ks_etcd_free(client);
    return 0;
}

static struct ks_etcd_answer *change(const char *name, int64_t timeout_ms)
{
    char key[64];
    snprintf(key, sizeof(key), "case:%s;", name);
    struct ks_etcd_op op = {
        .kind = KS_ETCD_PUT, .key = ks_bytes_of(key), .value = KS_LITERAL("value")};
    struct ks_etcd_txn txn = {.success = &op, .success_count = 1};
    return ks_etcd_txn_wait(client, &txn, &(struct ks_etcd_call){.timeout_ms = timeout_ms});
}

static struct ks_etcd_answer *look(const char *name)
{
    char key[64];
    snprintf(key, sizeof(key), "case:%s;", name);
    struct ks_etcd_op op = {.kind = KS_ETCD_RANGE, .key = ks_bytes_of(key)};
    return ks_etcd_range_wait(client, &op, NULL);
}

/* The promise: a change that may be done is never said to be undone. */
static void says_of_each_end_whether_the_change_may_be_done(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum ks_etcd_cause cause;
    } cases[] = {
        {"ok", KS_ETCD_DONE},
        {"in_pieces", KS_ETCD_DONE},
        {"no_space", KS_ETCD_NO_SPACE},
        {"leader_changed", KS_ETCD_NO_LEADER},
        {"status_after_answer", KS_ETCD_UNKNOWN},
        {"no_status", KS_ETCD_UNKNOWN},
        {"no_message", KS_ETCD_BAD_ANSWER},
        {"two_messages", KS_ETCD_BAD_ANSWER},
        {"part_of_message", KS_ETCD_BAD_ANSWER},
        {"compressed", KS_ETCD_BAD_ANSWER},
        {"empty_message", KS_ETCD_BAD_ANSWER},
        {"not_a_message", KS_ETCD_BAD_ANSWER},
        {"too_long", KS_ETCD_BAD_ANSWER},
        {"long_frame", KS_ETCD_UNKNOWN},
        {"reset", KS_ETCD_UNKNOWN},
        {"reset_after_answer", KS_ETCD_UNKNOWN},
        {"goaway", KS_ETCD_UNKNOWN},
        {"closed", KS_ETCD_UNKNOWN},
        {"half", KS_ETCD_UNKNOWN},
        {"http_503", KS_ETCD_UNKNOWN},
        {"http_401", KS_ETCD_REFUSED},
    };
    for (size_t i = 0; i < KS_COUNT(cases); i++) {
        KS_ETCD_ANSWER_AUTO *answer = change(cases[i].name, 0);
        assert_int_equal(answer->cause, cases[i].cause);
        assert_int_equal(answer->may_be_applied, ks_etcd_cause_may_be_applied(cases[i].cause));
    }
}

/* What only reads is never "perhaps done", however it ends. */
static void a_read_is_never_perhaps_done(void **state)
{
    (void)state;
    static const char *const names[] = {"no_status", "reset", "compressed", "half"};
    for (size_t i = 0; i < KS_COUNT(names); i++) {
        KS_ETCD_ANSWER_AUTO *answer = look(names[i]);
        assert_int_not_equal(answer->cause, KS_ETCD_DONE);
        assert_false(answer->may_be_applied);
    }
}

/* A member that refuses a stream says that it did nothing, and curl sends the call once more. Our
   rule is simpler, and holds whatever a member says: a change is not sent twice. */
static void only_a_read_is_sent_again(void **state)
{
    (void)state;
    KS_ETCD_ANSWER_AUTO *before = look("ok");
    KS_ETCD_ANSWER_AUTO *changed = change("refused_once", 0);
    KS_ETCD_ANSWER_AUTO *between = look("ok");
    KS_ETCD_ANSWER_AUTO *read = look("refused_read");
    assert_int_equal(changed->cause, KS_ETCD_UNKNOWN);
    assert_true(changed->may_be_applied);
    assert_int_equal(read->cause, KS_ETCD_DONE);
    /* The raft term counts the calls that have come: the change once, the read twice. */
    assert_int_equal(between->header.raft_term, before->header.raft_term + 2);
    assert_int_equal(read->header.raft_term, between->header.raft_term + 2);
}

/* The header's revision is the connection's number. */
static void a_connection_is_used_again_after_a_whole_answer_only(void **state)
{
    (void)state;
    static const char *const bad[] = {"no_status", "reset", "silent", "http_503"};
    KS_ETCD_ANSWER_AUTO *first = look("ok");
    KS_ETCD_ANSWER_AUTO *second = look("ok");
    KS_ETCD_ANSWER_AUTO *refused = change("no_space", 0);
    KS_ETCD_ANSWER_AUTO *third = look("ok");
    assert_int_equal(refused->cause, KS_ETCD_NO_SPACE);
    assert_int_equal(second->header.revision, first->header.revision);
    assert_int_equal(third->header.revision, first->header.revision);

    int64_t connection = third->header.revision;
    for (size_t i = 0; i < KS_COUNT(bad); i++) {
        KS_ETCD_ANSWER_AUTO *failed = change(bad[i], SHORT_MS);
        KS_ETCD_ANSWER_AUTO *after = look("ok");
        assert_int_equal(failed->cause, KS_ETCD_UNKNOWN);
        assert_true(after->header.revision > connection);
        connection = after->header.revision;
    }
}

/* The call went out on a connection that was used before and broke. What curl finds when it connects
   anew says nothing of that call. */
static void a_stranger_on_the_next_connection_undoes_nothing(void **state)
{
    (void)state;
    KS_ETCD_ANSWER_AUTO *before = look("ok");
    KS_ETCD_ANSWER_AUTO *answer = change("swapped", 0);
    KS_ETCD_ANSWER_AUTO *after = look("ok");
    assert_int_equal(before->cause, KS_ETCD_DONE);
    assert_int_equal(answer->cause, KS_ETCD_UNKNOWN);
    assert_true(answer->may_be_applied);
    assert_int_equal(after->header.raft_term, before->header.raft_term + 2);
}

static void a_silent_member_means_unknown_in_time(void **state)
{
    (void)state;
    int64_t start_ns = ks_clock_boot_ns(&ks_clock_system);
    KS_ETCD_ANSWER_AUTO *answer = change("silent", SHORT_MS);
    int64_t took_ms = (ks_clock_boot_ns(&ks_clock_system) - start_ns) / KS_NS_PER_MS;
    assert_int_equal(answer->cause, KS_ETCD_UNKNOWN);
    assert_true(answer->may_be_applied);
    assert_true(took_ms >= SHORT_MS - 10 && took_ms < SHORT_MS + 800);
}

/* A member need not go on with what nobody waits for. gRPC takes eight digits: a day, here. */
static void tells_the_member_how_long_it_waits(void **state)
{
    (void)state;
    KS_ETCD_ANSWER_AUTO *answer = change("deadline", (int64_t)3 * 86400 * 1000);
    assert_int_equal(answer->cause, KS_ETCD_DONE);
}

/* The request went out before the first line of the answer showed it. */
static void refuses_a_server_of_another_http(void **state)
{
    (void)state;
    struct ks_etcd *good = client;
    client = client_of(&http1);
    KS_ETCD_ANSWER_AUTO *answer = change("ok", 0);
    assert_int_equal(answer->cause, KS_ETCD_UNKNOWN);
    assert_non_null(strstr(answer->detail, "HTTP/2"));
    ks_etcd_free(client);
    client = good;
}

/* ---- Watches ---- */

struct watching {
    size_t messages;
    size_t events;
    bool has_ended;
    enum ks_etcd_cause cause;
    int64_t compact_revision;
    char detail[64];
};

static void on_message(void *user, const struct ks_etcd_watch_message *message)
{
    struct watching *w = user;
    w->messages++;
    w->events += message->event_count;
}

static void on_end(void *user, const struct ks_etcd_watch_end *end)
{
    struct watching *w = user;
    w->has_ended = true;
    w->cause = end->cause;
    w->compact_revision = end->compact_revision;
    snprintf(w->detail, sizeof(w->detail), "%s", end->detail);
}

static struct watching watch(const char *name)
{
    char key[64];
    snprintf(key, sizeof(key), "case:%s;", name);
    struct watching w = {0};
    struct ks_etcd_watch *started;
    const struct ks_etcd_watch_options options = {
        .from = ks_bytes_of(key),
        .idle_ms = SHORT_MS * 2,
        .on_message = on_message,
        .on_end = on_end,
        .user = &w,
    };
    assert_int_equal(ks_etcd_watch_start(client, &options, &started).code, KS_OK);
    for (size_t i = 0; i < 200 && !w.has_ended; i++) {
        ks_etcd_run(client, 50);
    }
    assert_true(w.has_ended);
    return w;
}

static void says_why_a_watch_ended(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t messages;
        size_t events;
        enum ks_etcd_cause cause;
        const char *detail;
    } cases[] = {
        {"watch", 3, 3, KS_ETCD_NO_LEADER, "no leader"},
        {"watch_pieces", 3, 3, KS_ETCD_ENDED, ""},
        {"watch_no_status", 3, 3, KS_ETCD_ENDED, ""},
        {"watch_alone", 0, 0, KS_ETCD_NO_LEADER, "no leader"},
        {"watch_open", 3, 3, KS_ETCD_ENDED, "silent"},
        {"watch_compressed", 1, 0, KS_ETCD_BAD_ANSWER, ""},
        {"watch_long", 1, 0, KS_ETCD_BAD_ANSWER, "too long"},
        {"watch_back", 3, 3, KS_ETCD_BAD_ANSWER, "do not rise"},
        {"watch_part", 2, 1, KS_ETCD_ENDED, "silent"}, /* 5 may not be whole */
        {"watch_parts", 3, 5, KS_ETCD_ENDED, ""},
        {"watch_part_back", 1, 0, KS_ETCD_BAD_ANSWER, "malformed"},
        {"watch_part_empty", 1, 0, KS_ETCD_BAD_ANSWER, "malformed"},
        {"watch_empty", 1, 0, KS_ETCD_BAD_ANSWER, "malformed"},
        {"watch_compacted", 1, 0, KS_ETCD_COMPACTED, ""},
        {"watch_cancelled", 0, 0, KS_ETCD_ENDED, "why"},
        {"watch_closed", 3, 3, KS_ETCD_ENDED, ""},
        {"watch_503", 0, 0, KS_ETCD_UNKNOWN, ""},
        {"watch_trickle", 0, 0, KS_ETCD_ENDED, "silent"},
    };
    for (size_t i = 0; i < KS_COUNT(cases); i++) {
        struct watching w = watch(cases[i].name);
        assert_int_equal(w.cause, cases[i].cause);
        assert_int_equal(w.messages, cases[i].messages);
        assert_int_equal(w.events, cases[i].events);
        assert_non_null(strstr(w.detail, cases[i].detail));
        assert_int_equal(w.compact_revision, w.cause == KS_ETCD_COMPACTED ? 9 : 0);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_client, close_client)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(says_of_each_end_whether_the_change_may_be_done),
        TEST(a_read_is_never_perhaps_done),
        TEST(only_a_read_is_sent_again),
        TEST(a_connection_is_used_again_after_a_whole_answer_only),
        TEST(a_stranger_on_the_next_connection_undoes_nothing),
        TEST(a_silent_member_means_unknown_in_time),
        TEST(tells_the_member_how_long_it_waits),
        TEST(refuses_a_server_of_another_http),
        TEST(says_why_a_watch_ended),
    };
    return cmocka_run_group_tests(tests, start_fakes, stop_fakes);
}
