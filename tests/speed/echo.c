/*
 * echo: the least that a gRPC server over mutual TLS can do: takes any message of one method and
 * answers with a fixed number of bytes. What the product's figures are compared with, so it is
 * written as gRPC core is fastest: registered method, one event at a call's start and one at its
 * end, call objects that are used again. Prints "listening"; runs until it is killed.
 */
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <grpc/grpc.h>

#include "pkg/base/mem.h"
#include "tests/speed/options.h"
#include "tests/speed/tls.h"

#define CALLS_PER_QUEUE 512U
#define THREADS_MAX     8U
#define ANSWER_LEN_MAX  1048576

struct queue {
    grpc_server *server;
    void *method;
    grpc_completion_queue *queue;
    grpc_slice answer;
    pthread_t thread;
};

/* Stands for one call at a time: waiting for it, then answering it. */
struct call {
    struct queue *queue;
    grpc_call *call;
    gpr_timespec deadline;
    grpc_metadata_array metadata;
    grpc_byte_buffer *request;
    grpc_byte_buffer *answer; /* NULL while it waits */
    int is_cancelled;
};

struct settings {
    const char *address;
    const char *method;
    struct tls_files tls;
    long answer_len;
    long thread_count;
};

static void await_call(struct call *call)
{
    struct queue *queue = call->queue;
    call->answer = NULL;
    call->request = NULL;
    grpc_metadata_array_init(&call->metadata);
    grpc_call_error error = grpc_server_request_registered_call(
        queue->server, queue->method, &call->call, &call->deadline, &call->metadata, &call->request,
        queue->queue, queue->queue, call);
    assert(error == GRPC_CALL_OK);
}

static void answer_call(struct call *call)
{
    call->answer = grpc_raw_byte_buffer_create(&call->queue->answer, 1);
    grpc_op ops[4] = {0};
    ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
    ops[1].op = GRPC_OP_SEND_MESSAGE;
    ops[1].data.send_message.send_message = call->answer;
    ops[2].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
    ops[2].data.send_status_from_server.status = GRPC_STATUS_OK;
    ops[3].op = GRPC_OP_RECV_CLOSE_ON_SERVER;
    ops[3].data.recv_close_on_server.cancelled = &call->is_cancelled;
    grpc_call_error error = grpc_call_start_batch(call->call, ops, KS_COUNT(ops), call, NULL);
    assert(error == GRPC_CALL_OK);
}

static void forget_call(struct call *call)
{
    grpc_byte_buffer_destroy(call->answer);
    grpc_byte_buffer_destroy(call->request);
    grpc_metadata_array_destroy(&call->metadata);
    grpc_call_unref(call->call);
}

/* Without end: whoever started the program kills it. */
static void *serve(void *user)
{
    struct queue *queue = user;
    for (;;) {
        grpc_event event =
            grpc_completion_queue_next(queue->queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
        assert(event.type == GRPC_OP_COMPLETE);
        struct call *call = event.tag;
        if (call->answer) {
            forget_call(call);
            await_call(call);
        } else if (event.success) {
            answer_call(call);
        }
    }
    return NULL;
}

static struct settings read_settings(int argc, char **argv)
{
    struct settings s = {.method = "/keystead.speed.Echo/Echo", .thread_count = 1};
    const struct option_row rows[] = {
        {"--address", &s.address, NULL, 0, 0},
        {"--method", &s.method, NULL, 0, 0},
        {"--ca", &s.tls.ca, NULL, 0, 0},
        {"--cert", &s.tls.cert, NULL, 0, 0},
        {"--key", &s.tls.key, NULL, 0, 0},
        {"--answer-bytes", NULL, &s.answer_len, 0, ANSWER_LEN_MAX},
        {"--threads", NULL, &s.thread_count, 1, THREADS_MAX},
    };
    options_read(rows, KS_COUNT(rows), argc, argv);
    options_require_texts(rows, KS_COUNT(rows));
    return s;
}

static grpc_slice make_answer(size_t len)
{
    grpc_slice answer = grpc_slice_malloc(len);
    for (size_t i = 0; i < len; i++) {
        GRPC_SLICE_START_PTR(answer)[i] = (uint8_t)i;
    }
    return answer;
}

static grpc_server *listen_at(const struct settings *settings, struct queue *queues)
{
    grpc_server *server = grpc_server_create(NULL, NULL);
    void *method = grpc_server_register_method(server, settings->method, NULL,
                                               GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER, 0);
    for (long i = 0; i < settings->thread_count; i++) {
        queues[i] = (struct queue){.server = server,
                                   .method = method,
                                   .queue = grpc_completion_queue_create_for_next(NULL),
                                   .answer = make_answer((size_t)settings->answer_len)};
        grpc_server_register_completion_queue(server, queues[i].queue, NULL);
    }
    grpc_server_credentials *credentials = tls_server(&settings->tls);
    int port = grpc_server_add_http2_port(server, settings->address, credentials);
    grpc_server_credentials_release(credentials);
    if (port == 0) {
        fprintf(stderr, "echo: can't listen at %s\n", settings->address);
        exit(EXIT_FAILURE);
    }
    grpc_server_start(server);
    return server;
}

int main(int argc, char **argv)
{
    const struct settings settings = read_settings(argc, argv);
    grpc_init();
    static struct queue queues[THREADS_MAX];
    listen_at(&settings, queues);
    for (long i = 0; i < settings.thread_count; i++) {
        struct call *calls = ks_alloc(CALLS_PER_QUEUE, sizeof(*calls));
        for (size_t c = 0; c < CALLS_PER_QUEUE; c++) {
            calls[c].queue = &queues[i];
            await_call(&calls[c]);
        }
        int error = pthread_create(&queues[i].thread, NULL, serve, &queues[i]);
        assert(error == 0);
    }
    printf("listening\n");
    fflush(stdout);
    for (long i = 0; i < settings.thread_count; i++) {
        pthread_join(queues[i].thread, NULL);
    }
    return EXIT_SUCCESS;
}
