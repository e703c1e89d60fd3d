#include <assert.h>
#include <pthread.h>

#include <grpc/byte_buffer.h>
#include <grpc/grpc.h>
#include <grpc/slice.h>

#include "pkg/base/mem.h"
#include "pkg/rpc/channel.h"
#include "pkg/rpc/client.h"
#include "pkg/rpc/loop.h"
#include "pkg/rpc/message.h"
#include "pkg/rpc/status_wire.h"
#include "pkg/rpc/tag.h"

struct unary {
    struct ks_rpc_use use;
    grpc_call *core;
    struct ks_rpc_tag on_done;
    ks_rpc_reply_fn done;
    void *user;

    grpc_byte_buffer *request;
    grpc_byte_buffer *response;
    grpc_metadata_array head;
    grpc_metadata_array trailing;
    grpc_status_code status;
    grpc_slice status_text;
};

static void cancel(struct ks_rpc_use *use)
{
    struct unary *unary = (struct unary *)use;
    static_assert(offsetof(struct unary, use) == 0, "a use is the head of what it is used for");
    grpc_call_error failed = grpc_call_cancel(unary->core, NULL);
    assert(failed == GRPC_CALL_OK);
}

/* Success without a message, or with one that cannot be read, is a broken server. */
static ks_result read_response(struct unary *unary, struct ks_rpc_message *ret_message)
{
    grpc_byte_buffer *raw = unary->response;
    unary->response = NULL;
    return raw ? ks_rpc_message_init(ret_message, raw) : KS_RES(INTERNAL);
}

static void tell(struct unary *unary)
{
    struct ks_rpc_error error = {0};
    struct ks_rpc_message message = {0};
    ks_rpc_error_read(&error, unary->status, &unary->status_text, &unary->trailing);
    if (error.code == KS_OK) {
        ks_result r = read_response(unary, &message);
        if (ks_failed(r)) {
            ks_rpc_error_of_code(&error, r.code);
        }
    }
    const struct ks_rpc_reply reply = {
        .response = error.code == KS_OK ? message.bytes : (ks_bytes){0},
        .error = error.code == KS_OK ? NULL : &error,
    };
    unary->done(unary->user, error.code, &reply);
    ks_rpc_message_done(&message);
}

static void step_done(void *owner, bool ok)
{
    (void)ok; /* A batch that receives the status always succeeds. */
    struct unary *unary = owner;
    tell(unary);
    ks_rpc_use_end(&unary->use);
    grpc_call_unref(unary->core);
    grpc_byte_buffer_destroy(unary->request);
    if (unary->response) {
        grpc_byte_buffer_destroy(unary->response);
    }
    grpc_metadata_array_destroy(&unary->head);
    grpc_metadata_array_destroy(&unary->trailing);
    grpc_slice_unref(unary->status_text);
    ks_free(unary);
}

/* Everything in one batch: one event a call. */
static void start(struct unary *unary)
{
    grpc_op ops[6] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA},  {.op = GRPC_OP_SEND_MESSAGE},
        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT}, {.op = GRPC_OP_RECV_INITIAL_METADATA},
        {.op = GRPC_OP_RECV_MESSAGE},           {.op = GRPC_OP_RECV_STATUS_ON_CLIENT},
    };
    ops[1].data.send_message.send_message = unary->request;
    ops[3].data.recv_initial_metadata.recv_initial_metadata = &unary->head;
    ops[4].data.recv_message.recv_message = &unary->response;
    ops[5].data.recv_status_on_client.trailing_metadata = &unary->trailing;
    ops[5].data.recv_status_on_client.status = &unary->status;
    ops[5].data.recv_status_on_client.status_details = &unary->status_text;
    grpc_call *core = unary->core;
    void *event = ks_rpc_tag_begin(&unary->on_done); /* It may be freed from here on. */
    grpc_call_error failed = grpc_call_start_batch(core, ops, KS_COUNT(ops), event, NULL);
    assert(failed == GRPC_CALL_OK);
}

/* Takes request. */
static void call(struct ks_rpc_channel *channel, const struct ks_rpc_unary_options *options,
                 grpc_byte_buffer *request)
{
    assert(options->deadline_ms > 0);
    assert(options->done);

    struct unary *unary = ks_alloc(1, sizeof(*unary));
    unary->on_done = KS_RPC_TAG(step_done, unary);
    unary->done = options->done;
    unary->user = options->user;
    unary->request = request;
    unary->status_text = grpc_empty_slice();
    grpc_metadata_array_init(&unary->head);
    grpc_metadata_array_init(&unary->trailing);
    unary->use.cancel = cancel;
    unary->core = ks_rpc_use_begin(channel, &unary->use, options->method, options->deadline_ms);
    ks_rpc_use_expose(&unary->use);
    start(unary);
}

void ks_rpc_unary(struct ks_rpc_channel *channel, const char *method, ks_bytes request,
                  int64_t deadline_ms, ks_rpc_reply_fn done, void *user)
{
    const struct ks_rpc_unary_options options = {
        .method = method, .deadline_ms = deadline_ms, .done = done, .user = user};
    call(channel, &options, ks_rpc_message_copy(request));
}

void ks_rpc_unary_buffer(struct ks_rpc_channel *channel, const struct ks_rpc_unary_options *options)
{
    assert(options->request);

    call(channel, options, ks_rpc_message_take(options->request));
}

/* A thread that waits for an answer. */
struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t answered;
    bool is_answered;
    ks_result result;
    struct ks_buffer *response;
    struct ks_rpc_error *error; /* may be NULL */
};

static void on_answer(void *user, ks_code code, const struct ks_rpc_reply *reply)
{
    struct waiter *waiter = user;
    pthread_mutex_lock(&waiter->lock);
    waiter->result = (ks_result){code};
    if (code == KS_OK) {
        waiter->result = ks_buffer_append(waiter->response, reply->response);
    } else if (waiter->error) {
        *waiter->error = *reply->error;
    }
    waiter->is_answered = true;
    pthread_cond_signal(&waiter->answered);
    pthread_mutex_unlock(&waiter->lock);
}

ks_result ks_rpc_unary_wait(struct ks_rpc_channel *channel,
                            const struct ks_rpc_unary_options *options,
                            struct ks_buffer *ret_response, struct ks_rpc_error *reterr_error)
{
    assert(!ks_rpc_loop_is_current(ks_rpc_channel_loop(channel)));

    struct waiter waiter = {.response = ret_response, .error = reterr_error};
    pthread_mutex_init(&waiter.lock, NULL);
    pthread_cond_init(&waiter.answered, NULL);
    struct ks_rpc_unary_options asked = *options;
    asked.done = on_answer;
    asked.user = &waiter;
    ks_rpc_unary_buffer(channel, &asked);

    pthread_mutex_lock(&waiter.lock);
    while (!waiter.is_answered) {
        pthread_cond_wait(&waiter.answered, &waiter.lock);
    }
    pthread_mutex_unlock(&waiter.lock);
    pthread_cond_destroy(&waiter.answered);
    pthread_mutex_destroy(&waiter.lock);
    if (waiter.result.code == KS_LIMIT_EXCEEDED && reterr_error && reterr_error->code == KS_OK) {
        ks_rpc_error_of_code(reterr_error, KS_LIMIT_EXCEEDED);
    }
    return waiter.result;
}
