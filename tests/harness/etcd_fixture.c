#include "tests/harness/etcd_fixture.h"

#include <arpa/inet.h>
#include <assert.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pkg/base/mem.h"
#include "tests/harness/etcd_certs.h"

#define PORT_FIRST   20000U
#define PORT_COUNT   12000U /* up to 31999: below the range that the kernel gives to clients */
#define PORT_TRIES   200U
#define TEXT_MAX     512U
#define ARGS_MAX     64U
#define READY_MAX_MS 30000 /* a busy machine may take long; a quiet one takes half a second */
#define POLL_NS      20000000L
#define CALL_MS      1000
#define REMOVE_FDS   16

struct text {
    char chars[TEXT_MAX];
};

struct member {
    pid_t pid; /* 0: not running */
    bool is_paused;
    unsigned client_port;
    unsigned peer_port;
    struct text url;
};

struct etcd_fixture {
    struct etcd_fixture_options options;
    struct text folder;
    struct text ca_file;
    struct text cert_file;
    struct text key_file;
    struct text foreign_cert_file;
    struct text foreign_key_file;
    struct member members[ETCD_FIXTURE_MEMBERS_MAX];
    /* urls[n]: all members' in a ring that begins with the n-th. */
    const char *urls[ETCD_FIXTURE_MEMBERS_MAX][ETCD_FIXTURE_MEMBERS_MAX];
};

__attribute__((format(printf, 1, 2))) _Noreturn static void give_up(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("etcd_fixture: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    abort();
}

__attribute__((format(printf, 1, 2))) static struct text text_of(const char *format, ...)
{
    struct text text;
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text.chars, sizeof(text.chars), format, args);
    va_end(args);
    if (len < 0 || (size_t)len >= sizeof(text.chars)) {
        give_up("a path is too long");
    }
    return text;
}

/* A socket that holds the port; -1 if somebody else does. */
static int hold_port(unsigned port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    if (fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static unsigned pick_port(int *ret_fd)
{
    for (unsigned i = 0; i < PORT_TRIES; i++) {
        unsigned random = 0;
        if (getrandom(&random, sizeof(random), 0) != sizeof(random)) {
            give_up("getrandom failed");
        }
        unsigned port = PORT_FIRST + random % PORT_COUNT;
        *ret_fd = hold_port(port);
        if (*ret_fd >= 0) {
            return port;
        }
    }
    give_up("no free port");
}

/* All ports are held until all are picked, so that they differ. */
static void pick_ports(struct etcd_fixture *cell)
{
    int fds[2 * ETCD_FIXTURE_MEMBERS_MAX];
    size_t count = cell->options.member_count;
    for (size_t i = 0; i < count; i++) {
        struct member *member = &cell->members[i];
        member->client_port = pick_port(&fds[2 * i]);
        member->peer_port = pick_port(&fds[2 * i + 1]);
        member->url = text_of("https://127.0.0.1:%u", member->client_port);
    }
    for (size_t i = 0; i < 2 * count; i++) {
        close(fds[i]);
    }
    for (size_t first = 0; first < count; first++) {
        for (size_t i = 0; i < count; i++) {
            cell->urls[first][i] = cell->members[(first + i) % count].url.chars;
        }
    }
}

struct args {
    struct text texts[ARGS_MAX];
    char *argv[ARGS_MAX + 1];
    size_t count;
};

static void add_arg(struct args *args, struct text text)
{
    assert(args->count < ARGS_MAX);
    args->texts[args->count] = text;
    args->argv[args->count] = args->texts[args->count].chars;
    args->count++;
}

static void add_cluster_args(const struct etcd_fixture *cell, size_t index, struct args *args)
{
    const struct member *self = &cell->members[index];
    struct text cluster = text_of("--initial-cluster=");
    for (size_t i = 0; i < cell->options.member_count; i++) {
        cluster = text_of("%.400s%sm%zu=https://127.0.0.1:%u", cluster.chars, i > 0 ? "," : "", i,
                          cell->members[i].peer_port);
    }
    add_arg(args, cluster);
    add_arg(args, text_of("--name=m%zu", index));
    add_arg(args, text_of("--data-dir=%s/m%zu", cell->folder.chars, index));
    add_arg(args, text_of("--listen-client-urls=%s", self->url.chars));
    add_arg(args, text_of("--advertise-client-urls=%s", self->url.chars));
    add_arg(args, text_of("--listen-peer-urls=https://127.0.0.1:%u", self->peer_port));
    add_arg(args, text_of("--initial-advertise-peer-urls=https://127.0.0.1:%u", self->peer_port));
}

static void add_tls_args(const struct etcd_fixture *cell, struct args *args)
{
    static const char *const prefixes[] = {"", "peer-"};
    for (size_t i = 0; i < KS_COUNT(prefixes); i++) {
        const char *prefix = prefixes[i];
        add_arg(args, text_of("--%scert-file=%s/member.pem", prefix, cell->folder.chars));
        add_arg(args, text_of("--%skey-file=%s/member.key", prefix, cell->folder.chars));
        add_arg(args, text_of("--%strusted-ca-file=%s/ca.pem", prefix, cell->folder.chars));
        add_arg(args, text_of("--%sclient-cert-auth", prefix));
    }
}

static void add_tuning_args(const struct etcd_fixture *cell, struct args *args)
{
    const struct etcd_fixture_options *options = &cell->options;
    add_arg(args, text_of("--heartbeat-interval=50"));
    add_arg(args, text_of("--election-timeout=300"));
    add_arg(args, text_of("--log-level=error"));
    add_arg(args, text_of("--logger=zap"));
    add_arg(args, text_of("--max-txn-ops=%u", options->txn_ops_max));
    if (options->quota_bytes > 0) {
        add_arg(args, text_of("--quota-backend-bytes=%ld", options->quota_bytes));
    }
    if (options->progress_ms > 0) {
        add_arg(args, text_of("--experimental-watch-progress-notify-interval=%ums",
                              options->progress_ms));
    }
}

/* In the child: its output goes to a file, and it ends with the test program, however that ends. */
_Noreturn static void become_etcd(struct args *args, const char *log_file, pid_t parent)
{
    int log = open(log_file, O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    setenv("GOMAXPROCS", "1", 1);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent) {
        execvp(args->argv[0], args->argv);
    }
    _exit(127);
}

/* extra is one more argument; NULL: none. */
static void spawn(struct etcd_fixture *cell, size_t index, const char *extra)
{
    struct args *args = ks_alloc(1, sizeof(*args));
    add_arg(args, text_of("etcd"));
    add_cluster_args(cell, index, args);
    add_tls_args(cell, args);
    add_tuning_args(cell, args);
    if (extra) {
        add_arg(args, text_of("%s", extra));
    }
    struct text log_file = text_of("%s/m%zu.log", cell->folder.chars, index);
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        become_etcd(args, log_file.chars, parent);
    }
    if (pid < 0) {
        give_up("fork failed");
    }
    cell->members[index].pid = pid;
    cell->members[index].is_paused = false;
    ks_free(args);
}

static void print_log(const struct etcd_fixture *cell, size_t index)
{
    char line[1024];
    struct text name = text_of("%s/m%zu.log", cell->folder.chars, index);
    FILE *file = fopen(name.chars, "r");
    while (file && fgets(line, sizeof(line), file)) {
        fputs(line, stderr);
    }
    if (file) {
        fclose(file);
    }
}

static void check_is_alive(const struct etcd_fixture *cell, size_t index)
{
    int status;
    if (waitpid(cell->members[index].pid, &status, WNOHANG) != 0) {
        print_log(cell, index);
        give_up("etcd member %zu has ended by itself", index);
    }
}

static bool is_answering(const struct member *member)
{
    return member->pid > 0 && !member->is_paused;
}

static struct ks_etcd *new_client(const struct etcd_fixture *cell)
{
    struct ks_etcd_options options = etcd_fixture_client(cell, 0);
    struct ks_etcd *client;
    if (ks_failed(ks_etcd_new(&options, &client))) {
        give_up("no etcd client");
    }
    return client;
}

static int64_t deadline_ns(void)
{
    return ks_clock_boot_ns(&ks_clock_system) + READY_MAX_MS * KS_NS_PER_MS;
}

static void pause_before(int64_t deadline)
{
    if (ks_clock_boot_ns(&ks_clock_system) > deadline) {
        give_up("the cell is not ready after %d ms", READY_MAX_MS);
    }
    nanosleep(&(struct timespec){.tv_nsec = POLL_NS}, NULL);
}

/* A linearizable read shows that the member has a leader and that a majority follows it. */
static bool serves(struct ks_etcd *client, size_t member)
{
    struct ks_etcd_op op = {.kind = KS_ETCD_RANGE, .key = KS_LITERAL("ready")};
    struct ks_etcd_call call = {.pin = (unsigned)member + 1, .timeout_ms = CALL_MS};
    KS_ETCD_ANSWER_AUTO *answer = ks_etcd_range_wait(client, &op, &call);
    return answer->cause == KS_ETCD_DONE;
}

static void wait_for_member(const struct etcd_fixture *cell, struct ks_etcd *client, size_t index)
{
    int64_t deadline = deadline_ns();
    while (!serves(client, index)) {
        check_is_alive(cell, index);
        pause_before(deadline);
    }
}

void etcd_fixture_wait_ready(struct etcd_fixture *cell)
{
    KS_ETCD_AUTO *client = new_client(cell);
    for (size_t i = 0; i < cell->options.member_count; i++) {
        if (is_answering(&cell->members[i])) {
            wait_for_member(cell, client, i);
        }
    }
}

static void make_folder(struct etcd_fixture *cell)
{
    const char *base = getenv("TEST_TMPDIR");
    cell->folder = text_of("%s/etcd-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(cell->folder.chars)) {
        give_up("mkdtemp %s failed", cell->folder.chars);
    }
    const char *folder = cell->folder.chars;
    cell->ca_file = text_of("%.480s/ca.pem", folder);
    cell->cert_file = text_of("%.480s/client.pem", folder);
    cell->key_file = text_of("%.480s/client.key", folder);
    cell->foreign_cert_file = text_of("%.480s/foreign.pem", folder);
    cell->foreign_key_file = text_of("%.480s/foreign.key", folder);
}

struct etcd_fixture *etcd_fixture_start(const struct etcd_fixture_options *options)
{
    struct etcd_fixture *cell = ks_alloc(1, sizeof(*cell));
    cell->options = *options;
    cell->options.member_count = options->member_count ? options->member_count : 1;
    cell->options.txn_ops_max = options->txn_ops_max ? options->txn_ops_max : KS_ETCD_OPS_MAX;
    assert(cell->options.member_count <= ETCD_FIXTURE_MEMBERS_MAX);
    make_folder(cell);
    etcd_certs_make(cell->folder.chars);
    pick_ports(cell);
    for (size_t i = 0; i < cell->options.member_count; i++) {
        spawn(cell, i, NULL);
    }
    etcd_fixture_wait_ready(cell);
    return cell;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

void etcd_fixture_stop(struct etcd_fixture *cell)
{
    if (!cell) {
        return;
    }
    for (size_t i = 0; i < cell->options.member_count; i++) {
        etcd_fixture_kill(cell, i);
    }
    (void)nftw(cell->folder.chars, remove_entry, REMOVE_FDS, FTW_DEPTH | FTW_PHYS);
    ks_free(cell);
}

struct ks_etcd_options etcd_fixture_client(const struct etcd_fixture *cell, size_t first_member)
{
    assert(first_member < cell->options.member_count);

    return (struct ks_etcd_options){
        .endpoints = cell->urls[first_member],
        .endpoint_count = cell->options.member_count,
        .ca_file = cell->ca_file.chars,
        .cert_file = cell->cert_file.chars,
        .key_file = cell->key_file.chars,
    };
}

const char *etcd_fixture_folder(const struct etcd_fixture *cell)
{
    return cell->folder.chars;
}

void etcd_fixture_kill(struct etcd_fixture *cell, size_t member)
{
    assert(member < cell->options.member_count);

    struct member *killed = &cell->members[member];
    if (killed->pid > 0) {
        kill(killed->pid, SIGKILL);
        waitpid(killed->pid, NULL, 0);
        killed->pid = 0;
    }
}

void etcd_fixture_restart(struct etcd_fixture *cell, size_t member, bool wait)
{
    assert(cell->members[member].pid == 0);

    spawn(cell, member, NULL);
    if (wait) {
        KS_ETCD_AUTO *client = new_client(cell);
        wait_for_member(cell, client, member);
    }
}

void etcd_fixture_force_new_cluster(struct etcd_fixture *cell, size_t member)
{
    assert(cell->members[member].pid == 0);

    spawn(cell, member, "--force-new-cluster");
    KS_ETCD_AUTO *client = new_client(cell);
    wait_for_member(cell, client, member);
}

/* ---- Snapshots ---- */

_Noreturn static void become_etcdctl(struct args *args)
{
    setenv("ETCDCTL_API", "3", 1);
    execvp(args->argv[0], args->argv);
    _exit(127);
}

static void run_etcdctl(struct args *args)
{
    int status = 0;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        become_etcdctl(args);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        give_up("etcdctl failed");
    }
}

void etcd_fixture_save(struct etcd_fixture *cell)
{
    struct args *args = ks_alloc(1, sizeof(*args));
    add_arg(args, text_of("etcdctl"));
    add_arg(args, text_of("--endpoints=%s", cell->members[0].url.chars));
    add_arg(args, text_of("--cacert=%s", cell->ca_file.chars));
    add_arg(args, text_of("--cert=%s", cell->cert_file.chars));
    add_arg(args, text_of("--key=%s", cell->key_file.chars));
    add_arg(args, text_of("snapshot"));
    add_arg(args, text_of("save"));
    add_arg(args, text_of("%.400s/snapshot", cell->folder.chars));
    run_etcdctl(args);
    ks_free(args);
}

static void rename_data(const struct etcd_fixture *cell, const char *from, const char *to)
{
    struct text old_name = text_of("%.400s/%s", cell->folder.chars, from);
    struct text new_name = text_of("%.400s/%s", cell->folder.chars, to);
    if (rename(old_name.chars, new_name.chars) != 0) {
        give_up("%s can't be renamed", old_name.chars);
    }
}

void etcd_fixture_restore(struct etcd_fixture *cell)
{
    assert(cell->options.member_count == 1);

    struct text peer = text_of("https://127.0.0.1:%u", cell->members[0].peer_port);
    struct args *args = ks_alloc(1, sizeof(*args));
    add_arg(args, text_of("etcdctl"));
    add_arg(args, text_of("snapshot"));
    add_arg(args, text_of("restore"));
    add_arg(args, text_of("%.400s/snapshot", cell->folder.chars));
    add_arg(args, text_of("--name=m0"));
    add_arg(args, text_of("--data-dir=%.400s/restored", cell->folder.chars));
    add_arg(args, text_of("--initial-cluster=m0=%.400s", peer.chars));
    add_arg(args, text_of("--initial-advertise-peer-urls=%.400s", peer.chars));
    etcd_fixture_kill(cell, 0);
    run_etcdctl(args);
    ks_free(args);
    rename_data(cell, "m0", "before");
    rename_data(cell, "restored", "m0");
    etcd_fixture_restart(cell, 0, true);
}

void etcd_fixture_undo_restore(struct etcd_fixture *cell)
{
    etcd_fixture_kill(cell, 0);
    rename_data(cell, "m0", "restored-once");
    rename_data(cell, "before", "m0");
    etcd_fixture_restart(cell, 0, true);
}

static void signal_member(struct etcd_fixture *cell, size_t index, int signal_number)
{
    assert(index < cell->options.member_count && cell->members[index].pid > 0);

    kill(cell->members[index].pid, signal_number);
    cell->members[index].is_paused = signal_number == SIGSTOP;
}

/* The signal alone returns while threads of the member may still run on another processor. */
void etcd_fixture_pause(struct etcd_fixture *cell, size_t member)
{
    int status;
    signal_member(cell, member, SIGSTOP);
    if (waitpid(cell->members[member].pid, &status, WUNTRACED) < 0 || !WIFSTOPPED(status)) {
        give_up("etcd member %zu did not stop", member);
    }
}

void etcd_fixture_resume(struct etcd_fixture *cell, size_t member)
{
    signal_member(cell, member, SIGCONT);
}

static bool is_leader(struct ks_etcd *client, size_t member)
{
    struct ks_etcd_call call = {.pin = (unsigned)member + 1, .timeout_ms = CALL_MS};
    KS_ETCD_ANSWER_AUTO *answer = ks_etcd_wait(client, ks_etcd_status, &call);
    /* A deposed leader that does not know it yet would say so of itself, but serves nothing. */
    return answer->cause == KS_ETCD_DONE && answer->status.is_leader && serves(client, member);
}

size_t etcd_fixture_leader(struct etcd_fixture *cell)
{
    KS_ETCD_AUTO *client = new_client(cell);
    int64_t deadline = deadline_ns();
    for (;;) {
        for (size_t i = 0; i < cell->options.member_count; i++) {
            if (is_answering(&cell->members[i]) && is_leader(client, i)) {
                return i;
            }
        }
        pause_before(deadline);
    }
}

void etcd_fixture_foreign_files(const struct etcd_fixture *cell, const char **ret_cert_file,
                                const char **ret_key_file)
{
    *ret_cert_file = cell->foreign_cert_file.chars;
    *ret_key_file = cell->foreign_key_file.chars;
}
