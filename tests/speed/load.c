/*
 * load: calls one method of a gRPC server with one payload, many calls at a time, and says how
 * fast it was. Prints "begin" when the measured time begins and one line of JSON (score.h) when it
 * has ended; failures are by gRPC status.
 */
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <grpc/grpc.h>

#include "pkg/base/clock.h"
#include "pkg/base/mem.h"
#include "tests/speed/caller.h"
#include "tests/speed/options.h"
#include "tests/speed/tls.h"

#define ADDRESSES_MAX 8U
#define THREADS_MAX   8U

struct settings {
    const char *addresses; /* host:port, with commas between */
    const char *method;
    const char *payload_file;
    struct tls_files tls;
    long thread_count;
    long channel_count; /* of all threads */
    long outstanding;   /* on each channel */
    long call_count;    /* successes after which it ends; 0: at the end of its time */
    long deadline_ms;
    long warmup_ms;
    long run_ms;
};

struct worker {
    pthread_t thread;
    struct caller *caller;
    struct score score;
};

static struct settings read_settings(int argc, char **argv)
{
    struct settings s = {.thread_count = 1,
                         .channel_count = 1,
                         .outstanding = 1,
                         .deadline_ms = 5000,
                         .run_ms = 5000};
    const struct option_row rows[] = {
        {"--addresses", &s.addresses, NULL, 0, 0},
        {"--method", &s.method, NULL, 0, 0},
        {"--payload", &s.payload_file, NULL, 0, 0},
        {"--ca", &s.tls.ca, NULL, 0, 0},
        {"--cert", &s.tls.cert, NULL, 0, 0},
        {"--key", &s.tls.key, NULL, 0, 0},
        {"--threads", NULL, &s.thread_count, 1, THREADS_MAX},
        {"--channels", NULL, &s.channel_count, 1, CALLER_CHANNELS_MAX},
        {"--outstanding", NULL, &s.outstanding, 1, CALLER_OUTSTANDING_MAX},
        {"--calls", NULL, &s.call_count, 0, 100000000},
        {"--deadline-ms", NULL, &s.deadline_ms, 1, 600000},
        {"--warmup-ms", NULL, &s.warmup_ms, 0, 60000},
        {"--run-ms", NULL, &s.run_ms, 1, 3600000},
    };
    options_read(rows, KS_COUNT(rows), argc, argv);
    options_require_texts(rows, KS_COUNT(rows));
    if (s.channel_count % s.thread_count != 0) {
        fprintf(stderr, "load: --channels is not a multiple of --threads\n");
        exit(EXIT_FAILURE);
    }
    return s;
}

static void *work(void *user)
{
    struct worker *worker = user;
    caller_run(worker->caller, &worker->score);
    return NULL;
}

static void make_callers(const struct settings *settings, struct worker *workers)
{
    KS_AUTO_FREE char *list = ks_strdup(settings->addresses);
    const char *addresses[ADDRESSES_MAX];
    struct caller_options options = {
        .addresses = addresses,
        .address_count = options_split(list, addresses, ADDRESSES_MAX),
        .channel_count = (size_t)(settings->channel_count / settings->thread_count),
        .outstanding = (size_t)settings->outstanding,
        .method = settings->method,
        .payload = tls_read_file(settings->payload_file),
        .credentials = tls_client(&settings->tls),
        .deadline_ms = settings->deadline_ms,
        .call_count = (uint64_t)(settings->call_count / settings->thread_count),
    };
    for (long i = 0; i < settings->thread_count; i++) {
        workers[i].caller = caller_new(&options);
        options.first_address += options.channel_count;
    }
    grpc_channel_credentials_release(options.credentials);
}

static void sleep_until(int64_t then_ns)
{
    int64_t wait_ns = then_ns - caller_now_ns();
    if (wait_ns > 0) {
        struct timespec wait = {wait_ns / KS_NS_PER_S, wait_ns % KS_NS_PER_S};
        nanosleep(&wait, NULL);
    }
}

static void run(const struct settings *settings, struct worker *workers)
{
    int64_t begin_ns = caller_now_ns() + settings->warmup_ms * KS_NS_PER_MS;
    int64_t end_ns = begin_ns + settings->run_ms * KS_NS_PER_MS;
    for (long i = 0; i < settings->thread_count; i++) {
        score_init(&workers[i].score, begin_ns, end_ns);
        int error = pthread_create(&workers[i].thread, NULL, work, &workers[i]);
        assert(error == 0);
    }
    sleep_until(begin_ns);
    printf("begin\n");
    fflush(stdout);
    for (long i = 0; i < settings->thread_count; i++) {
        pthread_join(workers[i].thread, NULL);
    }
}

int main(int argc, char **argv)
{
    const struct settings settings = read_settings(argc, argv);
    grpc_init();
    static struct worker workers[THREADS_MAX];
    make_callers(&settings, workers);
    run(&settings, workers);
    for (long i = 1; i < settings.thread_count; i++) {
        score_merge(&workers[0].score, &workers[i].score);
    }
    score_print(&workers[0].score, caller_answer_len(workers[0].caller));
    for (long i = 0; i < settings.thread_count; i++) {
        caller_free(workers[i].caller);
    }
    grpc_shutdown_blocking();
    return EXIT_SUCCESS;
}
