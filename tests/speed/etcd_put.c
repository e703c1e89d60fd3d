/*
 * etcd_put: how many puts a second an etcd cluster takes, one put a call: through its JSON gateway
 * (json_put.h), which is the yardstick, or with `--api grpc` through the client that the keystores
 * use (pkg/etcd). Prints "begin" when the measured time begins and one line of JSON (score.h) when
 * it has ended; failures are by cause (pkg/etcd/message.h), or by json_put's codes.
 *
 * Each put makes a new key below /keystead-speed/, which no process of Keystead reads.
 */
#include <assert.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pkg/base/clock.h"
#include "pkg/base/mem.h"
#include "pkg/etcd/etcd.h"
#include "tests/speed/json_put.h"
#include "tests/speed/options.h"
#include "tests/speed/score.h"

#define KEY_LEN_MIN   40 /* prefix, process and number */
#define KEY_LEN_MAX   512
#define VALUE_LEN_MAX 65536
#define TURN_MS       100
#define CALL_MS       5000 /* a queue of 256 on a busy machine takes longer than the usual 250 ms */

struct bench {
    struct ks_etcd *client; /* one of these two; the other is NULL */
    struct json_puts *json;
    struct score score;
    uint64_t number; /* of the next key */
    char run[17];    /* keys of another run are other keys */
    size_t key_len;
    ks_bytes value;
    int64_t end_ns;
};

/* One of the calls that are always under way. */
struct slot {
    struct bench *bench;
    int64_t start_ns;
};

struct settings {
    const char *api;
    const char *endpoints;
    const char *ca_file;
    const char *cert_file;
    const char *key_file;
    long key_len;
    long value_len;
    long outstanding;
    long warmup_ms;
    long run_ms;
};

static void put(struct slot *slot);

static int64_t now_ns(void)
{
    return ks_clock_boot_ns(&ks_clock_system);
}

static void on_ended(struct slot *slot, unsigned code)
{
    int64_t now = now_ns();
    score_add(&slot->bench->score, code, slot->start_ns, now);
    if (now < slot->bench->end_ns) {
        put(slot);
    }
}

static void on_done(void *user, const struct ks_etcd_answer *answer)
{
    on_ended(user, (unsigned)answer->cause);
}

static void on_json_done(void *user, unsigned code)
{
    on_ended(user, code);
}

static void put_by_grpc(struct slot *slot, ks_bytes key)
{
    struct bench *bench = slot->bench;
    const struct ks_etcd_op op = {.kind = KS_ETCD_PUT, .key = key, .value = bench->value};
    const struct ks_etcd_txn txn = {.success = &op, .success_count = 1};
    const struct ks_etcd_call call = {.done = on_done, .user = slot, .timeout_ms = CALL_MS};
    if (ks_failed(ks_etcd_txn(bench->client, &txn, &call))) {
        fprintf(stderr, "etcd_put: a call was not taken\n");
        exit(EXIT_FAILURE);
    }
}

static void put(struct slot *slot)
{
    struct bench *bench = slot->bench;
    char key[KEY_LEN_MAX + 1];
    int len = snprintf(key, sizeof(key), "/keystead-speed/%s/%0*" PRIx64, bench->run,
                       (int)(bench->key_len - sizeof("/keystead-speed//") + 1 - strlen(bench->run)),
                       bench->number++);
    assert(len > 0 && (size_t)len == bench->key_len);
    ks_bytes name = {(const uint8_t *)key, (size_t)len};
    slot->start_ns = now_ns();
    if (bench->json) {
        json_put(bench->json, name, bench->value, on_json_done, slot);
    } else {
        put_by_grpc(slot, name);
    }
}

static struct settings read_settings(int argc, char **argv)
{
    struct settings s = {
        .api = "json", .key_len = 80, .value_len = 500, .outstanding = 1, .run_ms = 5000};
    const struct option_row rows[] = {
        {"--api", &s.api, NULL, 0, 0},
        {"--endpoints", &s.endpoints, NULL, 0, 0},
        {"--ca", &s.ca_file, NULL, 0, 0},
        {"--cert", &s.cert_file, NULL, 0, 0},
        {"--key", &s.key_file, NULL, 0, 0},
        {"--key-bytes", NULL, &s.key_len, KEY_LEN_MIN, KEY_LEN_MAX},
        {"--value-bytes", NULL, &s.value_len, 1, VALUE_LEN_MAX},
        {"--outstanding", NULL, &s.outstanding, 1, KS_ETCD_CALLS_MAX},
        {"--warmup-ms", NULL, &s.warmup_ms, 0, 60000},
        {"--run-ms", NULL, &s.run_ms, 1, 600000},
    };
    options_read(rows, KS_COUNT(rows), argc, argv);
    options_require_texts(rows, KS_COUNT(rows));
    return s;
}

static struct ks_etcd *connect_to(const struct settings *settings)
{
    KS_AUTO_FREE char *list = ks_strdup(settings->endpoints);
    const char *endpoints[KS_ETCD_ENDPOINTS_MAX];
    const struct ks_etcd_options options = {
        .endpoints = endpoints,
        .endpoint_count = options_split(list, endpoints, KS_ETCD_ENDPOINTS_MAX),
        .ca_file = settings->ca_file,
        .cert_file = settings->cert_file,
        .key_file = settings->key_file,
    };
    struct ks_etcd *client = NULL;
    if (ks_failed(ks_etcd_new(&options, &client))) {
        fprintf(stderr, "etcd_put: the endpoints or files are not usable\n");
        exit(EXIT_FAILURE);
    }
    return client;
}

/* Sets the bench's client; the JSON one talks to the first endpoint alone. */
static void connect_bench(struct bench *bench, const struct settings *settings)
{
    if (strcmp(settings->api, "grpc") == 0) {
        bench->client = connect_to(settings);
        return;
    }
    if (strcmp(settings->api, "json") != 0) {
        fprintf(stderr, "etcd_put: --api is json or grpc\n");
        exit(EXIT_FAILURE);
    }
    KS_AUTO_FREE char *list = ks_strdup(settings->endpoints);
    const char *endpoints[KS_ETCD_ENDPOINTS_MAX];
    options_split(list, endpoints, KS_ETCD_ENDPOINTS_MAX);
    bench->json =
        json_puts_new(endpoints[0], settings->ca_file, settings->cert_file, settings->key_file);
}

static void turn(struct bench *bench)
{
    if (bench->json) {
        json_puts_run(bench->json, TURN_MS);
    } else {
        ks_etcd_run(bench->client, TURN_MS);
    }
}

static size_t pending(const struct bench *bench)
{
    return bench->json ? json_puts_pending(bench->json) : ks_etcd_pending(bench->client);
}

static void run(struct bench *bench, size_t slot_count)
{
    struct slot slots[KS_ETCD_CALLS_MAX];
    assert(slot_count <= KS_COUNT(slots));
    for (size_t i = 0; i < slot_count; i++) {
        slots[i] = (struct slot){.bench = bench};
        put(&slots[i]);
    }
    bool has_begun = false;
    while (now_ns() < bench->end_ns) {
        turn(bench);
        if (!has_begun && now_ns() >= bench->score.begin_ns) {
            has_begun = true;
            printf("begin\n");
            fflush(stdout);
        }
    }
    score_close(&bench->score, now_ns());
    score_print(&bench->score, 0);
    while (pending(bench) > 0) { /* each has a time-out */
        turn(bench);
    }
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    const struct settings settings = read_settings(argc, argv);
    KS_AUTO_FREE uint8_t *value = ks_alloc((size_t)settings.value_len, 1);
    for (long i = 0; i < settings.value_len; i++) {
        value[i] = (uint8_t)(i * 131);
    }
    int64_t now = now_ns();
    int64_t begin_ns = now + settings.warmup_ms * KS_NS_PER_MS;
    struct bench bench = {.key_len = (size_t)settings.key_len,
                          .value = {value, (size_t)settings.value_len},
                          .end_ns = begin_ns + settings.run_ms * KS_NS_PER_MS};
    snprintf(bench.run, sizeof(bench.run), "%016" PRIx64, (uint64_t)now);
    connect_bench(&bench, &settings);
    score_init(&bench.score, begin_ns, bench.end_ns);
    run(&bench, (size_t)settings.outstanding);
    ks_etcd_free(bench.client);
    if (bench.json) {
        json_puts_free(bench.json);
    }
    return EXIT_SUCCESS;
}
