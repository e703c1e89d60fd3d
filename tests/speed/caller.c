#include "tests/speed/caller.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "pkg/base/clock.h"
#include "pkg/base/mem.h"

#define REST_NS       (5 * KS_NS_PER_MS) /* after a failure */
#define TURN_MS       100
#define RECONNECT_MS  50
#define RECONNECT_MAX 200
#define CONNECT_MS    2000 /* that an attempt may take, whatever gRPC core calls it */

struct channel {
    grpc_channel *channel;
    void *method; /* registered, so that its path is not copied by each call */
};

struct call {
    struct caller *caller;
    struct channel *channel;
    grpc_call *call; /* NULL: none under way */
    grpc_byte_buffer *request;
    grpc_byte_buffer *answer;
    grpc_metadata_array initial;
    grpc_metadata_array trailing;
    grpc_status_code status;
    grpc_slice details;
    int64_t start_ns;
    int64_t rest_until_ns;
    struct call *next_resting;
};

struct caller {
    struct caller_options options;
    grpc_completion_queue *queue;
    struct channel channels[CALLER_CHANNELS_MAX];
    struct call *calls;
    size_t call_count;
    size_t under_way;
    uint64_t started_count; /* without those that failed */
    size_t answer_len;
    struct call *resting_first; /* all rest equally long: the first is due first */
    struct call **resting_end;
};

int64_t caller_now_ns(void)
{
    return ks_clock_boot_ns(&ks_clock_system);
}

static gpr_timespec in_ms(int64_t ms)
{
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(ms, GPR_TIMESPAN));
}

static struct channel open_channel(const struct caller_options *options, size_t index)
{
    static char local_pool[] = GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL;
    static char retries[] = GRPC_ARG_ENABLE_RETRIES;
    static char initial[] = GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS;
    static char connect[] = GRPC_ARG_MIN_RECONNECT_BACKOFF_MS;
    static char most[] = GRPC_ARG_MAX_RECONNECT_BACKOFF_MS;
    grpc_arg args[] = {
        {GRPC_ARG_INTEGER, local_pool, {.integer = 1}},
        {GRPC_ARG_INTEGER, retries, {.integer = 0}},
        {GRPC_ARG_INTEGER, initial, {.integer = RECONNECT_MS}},
        {GRPC_ARG_INTEGER, connect, {.integer = CONNECT_MS}},
        {GRPC_ARG_INTEGER, most, {.integer = RECONNECT_MAX}},
    };
    const grpc_channel_args all = {KS_COUNT(args), args};
    const char *address =
        options->addresses[(options->first_address + index) % options->address_count];
    grpc_channel *channel = grpc_channel_create(address, options->credentials, &all);
    return (struct channel){channel,
                            grpc_channel_register_call(channel, options->method, NULL, NULL)};
}

struct caller *caller_new(const struct caller_options *options)
{
    assert(options->channel_count >= 1 && options->channel_count <= CALLER_CHANNELS_MAX);
    assert(options->outstanding >= 1 && options->outstanding <= CALLER_OUTSTANDING_MAX);
    struct caller *caller = ks_alloc(1, sizeof(*caller));
    caller->options = *options;
    caller->queue = grpc_completion_queue_create_for_next(NULL);
    caller->resting_end = &caller->resting_first;
    caller->call_count = options->channel_count * options->outstanding;
    caller->calls = ks_alloc(caller->call_count, sizeof(*caller->calls));
    for (size_t i = 0; i < options->channel_count; i++) {
        caller->channels[i] = open_channel(options, i);
    }
    for (size_t i = 0; i < caller->call_count; i++) {
        caller->calls[i].caller = caller;
        caller->calls[i].channel = &caller->channels[i % options->channel_count];
    }
    return caller;
}

void caller_free(struct caller *caller)
{
    if (!caller) {
        return;
    }
    assert(caller->under_way == 0);
    for (size_t i = 0; i < caller->options.channel_count; i++) {
        grpc_channel_destroy(caller->channels[i].channel);
    }
    grpc_completion_queue_shutdown(caller->queue);
    while (grpc_completion_queue_next(caller->queue, in_ms(TURN_MS), NULL).type !=
           GRPC_QUEUE_SHUTDOWN) {
    }
    grpc_completion_queue_destroy(caller->queue);
    ks_free(caller->calls);
    ks_free(caller);
}

size_t caller_answer_len(const struct caller *caller)
{
    return caller->answer_len;
}

static void start(struct call *call)
{
    struct caller *caller = call->caller;
    grpc_metadata_array_init(&call->initial);
    grpc_metadata_array_init(&call->trailing);
    call->answer = NULL;
    call->details = grpc_empty_slice();
    call->request = grpc_raw_byte_buffer_create(&caller->options.payload, 1);
    call->start_ns = caller_now_ns();
    call->call = grpc_channel_create_registered_call(
        call->channel->channel, NULL, GRPC_PROPAGATE_DEFAULTS, caller->queue, call->channel->method,
        in_ms(caller->options.deadline_ms), NULL);
    grpc_op ops[6] = {0};
    ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
    ops[1].op = GRPC_OP_SEND_MESSAGE;
    ops[1].data.send_message.send_message = call->request;
    ops[2].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
    ops[3].op = GRPC_OP_RECV_INITIAL_METADATA;
    ops[3].data.recv_initial_metadata.recv_initial_metadata = &call->initial;
    ops[4].op = GRPC_OP_RECV_MESSAGE;
    ops[4].data.recv_message.recv_message = &call->answer;
    ops[5].op = GRPC_OP_RECV_STATUS_ON_CLIENT;
    ops[5].data.recv_status_on_client.trailing_metadata = &call->trailing;
    ops[5].data.recv_status_on_client.status = &call->status;
    ops[5].data.recv_status_on_client.status_details = &call->details;
    grpc_call_error error = grpc_call_start_batch(call->call, ops, KS_COUNT(ops), call, NULL);
    assert(error == GRPC_CALL_OK);
    caller->under_way++;
    caller->started_count++;
}

static void finish(struct call *call)
{
    struct caller *caller = call->caller;
    if (call->answer) {
        caller->answer_len = grpc_byte_buffer_length(call->answer);
        grpc_byte_buffer_destroy(call->answer);
    }
    grpc_byte_buffer_destroy(call->request);
    grpc_metadata_array_destroy(&call->initial);
    grpc_metadata_array_destroy(&call->trailing);
    grpc_slice_unref(call->details);
    grpc_call_unref(call->call);
    call->call = NULL;
    caller->under_way--;
    if (call->status != GRPC_STATUS_OK) {
        caller->started_count--;
    }
}

static bool may_start(const struct caller *caller)
{
    return caller->options.call_count == 0 || caller->started_count < caller->options.call_count;
}

static void rest(struct call *call, int64_t now_ns)
{
    call->rest_until_ns = now_ns + REST_NS;
    call->next_resting = NULL;
    *call->caller->resting_end = call;
    call->caller->resting_end = &call->next_resting;
}

/* Starts the calls that have rested; returns how long to wait for the next one, in ms. */
static int64_t start_rested(struct caller *caller, int64_t now_ns)
{
    while (caller->resting_first && caller->resting_first->rest_until_ns <= now_ns) {
        struct call *call = caller->resting_first;
        caller->resting_first = call->next_resting;
        if (!caller->resting_first) {
            caller->resting_end = &caller->resting_first;
        }
        if (may_start(caller)) {
            start(call);
        }
    }
    return caller->resting_first ? REST_NS / KS_NS_PER_MS : TURN_MS;
}

/* After the end: what is still under way does not count. */
static void drain(struct caller *caller)
{
    for (size_t i = 0; i < caller->call_count; i++) {
        if (caller->calls[i].call) {
            grpc_call_cancel(caller->calls[i].call, NULL);
        }
    }
    while (caller->under_way > 0) {
        grpc_event event = grpc_completion_queue_next(caller->queue, in_ms(TURN_MS), NULL);
        if (event.type == GRPC_OP_COMPLETE) {
            finish(event.tag);
        }
    }
}

/* One turn; returns the time at its end. */
static int64_t turn(struct caller *caller, struct score *score, int64_t wait_ms)
{
    grpc_event event = grpc_completion_queue_next(caller->queue, in_ms(wait_ms), NULL);
    int64_t now_ns = caller_now_ns();
    if (event.type != GRPC_OP_COMPLETE) {
        return now_ns;
    }
    struct call *call = event.tag;
    finish(call);
    score_add(score, (unsigned)call->status, call->start_ns, now_ns);
    if (call->status != GRPC_STATUS_OK) {
        rest(call, now_ns);
    } else if (may_start(caller)) {
        start(call);
    }
    return now_ns;
}

void caller_run(struct caller *caller, struct score *score)
{
    for (size_t i = 0; i < caller->call_count && may_start(caller); i++) {
        start(&caller->calls[i]);
    }
    int64_t now_ns = caller_now_ns();
    while (now_ns < score->end_ns && (caller->under_way > 0 || caller->resting_first)) {
        int64_t wait_ms = start_rested(caller, now_ns);
        now_ns = turn(caller, score, wait_ms);
    }
    score_close(score, now_ns);
    drain(caller);
}
