/* Calls: one request, one answer, perhaps several attempts at several members. */
#include <assert.h>
#include <string.h>

#include "pkg/base/mem.h"
#include "pkg/etcd/client.h"
#include "pkg/etcd/frames.h"
#include "pkg/etcd/wire.h"

/* With less time than this left, another attempt would only hide why the first one failed. */
#define ATTEMPT_MS_MIN 10

struct method {
    const char *path;
    enum ks_etcd_wire_kind answer;
    bool is_read; /* applies nothing: may be sent again, and is never "perhaps applied" */
};

static const struct method txn_method = {"/etcdserverpb.KV/Txn", KS_ETCD_WIRE_TXN, false};
static const struct method range_method = {"/etcdserverpb.KV/Range", KS_ETCD_WIRE_RANGE, true};
static const struct method compact_method = {"/etcdserverpb.KV/Compact", KS_ETCD_WIRE_HEADER,
                                             false};
static const struct method status_method = {"/etcdserverpb.Maintenance/Status", KS_ETCD_WIRE_STATUS,
                                            true};
static const struct method alarms_method = {"/etcdserverpb.Maintenance/Alarm", KS_ETCD_WIRE_ALARMS,
                                            true};
static const struct method disarm_method = {"/etcdserverpb.Maintenance/Alarm", KS_ETCD_WIRE_ALARMS,
                                            false};
static const struct method members_method = {"/etcdserverpb.Cluster/MemberList",
                                             KS_ETCD_WIRE_MEMBERS, true};
static const struct method defragment_method = {"/etcdserverpb.Maintenance/Defragment",
                                                KS_ETCD_WIRE_NOTHING, false};

struct call {
    struct ks_etcd *client;
    const struct method *method;
    struct ks_etcd_call options;
    size_t index; /* its place in the client's list */
    size_t endpoint;
    size_t attempts;
    int64_t deadline_ns;
    bool is_too_long; /* the answer */
    struct ks_buffer request;
    struct ks_buffer body;
    struct ks_etcd_transfer *transfer;
};

static bool on_bytes(void *user, ks_bytes bytes)
{
    struct call *call = user;
    call->is_too_long = ks_failed(ks_buffer_append(&call->body, bytes));
    return !call->is_too_long;
}

static void on_end(void *user, const struct ks_etcd_transfer_end *end);

static void attempt(struct call *call)
{
    struct ks_etcd *client = call->client;
    int64_t left_ms = ks_etcd_ms_until(client, call->deadline_ns);
    bool has_another = call->options.pin == 0 && call->attempts + 1 < client->endpoints.count;
    char url[KS_ETCD_URL_MAX];
    ks_etcd_url(client, call->endpoint, call->method->path, url);
    struct ks_etcd_post post = {
        .url = url,
        .body = ks_buffer_bytes(&call->request),
        /* Half of the time is kept for another member, should this one not even accept. */
        .connect_ms = has_another ? (left_ms + 1) / 2 : left_ms,
        .total_ms = left_ms,
        .is_repeatable = call->method->is_read,
        .on_bytes = on_bytes,
        .on_end = on_end,
        .user = call,
    };
    call->attempts++;
    ks_buffer_done(&call->body);
    call->transfer = ks_etcd_transport_post(client->transport, &post);
    assert(call->transfer); /* calls are fewer than transfers may be */
}

static void free_call(struct call *call)
{
    ks_buffer_done(&call->request);
    ks_buffer_done(&call->body);
    ks_free(call);
}

/* The call leaves the client's list before its callback, which may start the next one. */
static void finish(struct call *call, struct ks_etcd_answer *answer)
{
    struct ks_etcd *client = call->client;
    struct ks_etcd_call options = call->options;
    struct call *last = client->calls[--client->call_count];
    client->calls[call->index] = last;
    last->index = call->index;
    answer->may_be_applied = answer->may_be_applied && !call->method->is_read;
    free_call(call);
    options.done(options.user, answer);
    ks_etcd_answer_unref(answer);
}

/* What an answer that came to its end says. */
static struct ks_etcd_answer *read_answer(struct call *call, const struct ks_etcd_transfer_end *end)
{
    enum ks_etcd_cause cause = ks_etcd_trailer_cause(end->trailer, end->http_status);
    if (cause != KS_ETCD_DONE) {
        return ks_etcd_answer_new(cause, ks_etcd_trailer_words(end->trailer));
    }
    struct ks_etcd_answer *answer;
    ks_bytes message;
    if (ks_failed(ks_etcd_frame_only(ks_buffer_bytes(&call->body), &message)) ||
        ks_failed(ks_etcd_wire_answer(call->method->answer, message, &answer))) {
        return ks_etcd_answer_new(KS_ETCD_BAD_ANSWER, KS_LITERAL("not the message expected"));
    }
    return answer;
}

/* Whether the same request may go to another member: nothing was sent, or it only reads. */
static bool may_go_on(const struct call *call, enum ks_etcd_fate fate)
{
    bool is_safe = fate != KS_ETCD_FATE_BROKEN || call->method->is_read;
    return is_safe && call->options.pin == 0 && call->attempts < call->client->endpoints.count &&
           ks_etcd_ms_until(call->client, call->deadline_ns) >= ATTEMPT_MS_MIN;
}

static void on_answered(struct call *call, const struct ks_etcd_transfer_end *end)
{
    struct ks_etcd_endpoints *endpoints = &call->client->endpoints;
    struct ks_etcd_answer *answer = read_answer(call, end);
    bool is_member_bad = answer->cause == KS_ETCD_NO_LEADER || answer->cause == KS_ETCD_UNKNOWN;
    if (call->options.pin == 0 && is_member_bad) {
        ks_etcd_endpoints_failed(endpoints, call->endpoint);
    } else if (call->options.pin == 0 && call->attempts > 1) {
        ks_etcd_endpoints_worked(endpoints, call->endpoint);
    }
    finish(call, answer);
}

static void on_end(void *user, const struct ks_etcd_transfer_end *end)
{
    static const enum ks_etcd_cause causes[] = {
        [KS_ETCD_FATE_UNSENT] = KS_ETCD_UNSENT,
        [KS_ETCD_FATE_BROKEN] = KS_ETCD_UNKNOWN,
        [KS_ETCD_FATE_REFUSED] = KS_ETCD_REFUSED,
    };
    struct call *call = user;
    call->transfer = NULL;
    if (end->fate == KS_ETCD_FATE_ANSWERED) {
        on_answered(call, end);
        return;
    }
    if (call->is_too_long) {
        finish(call, ks_etcd_answer_new(KS_ETCD_BAD_ANSWER, KS_LITERAL("answer too long")));
        return;
    }
    if (call->options.pin == 0) {
        ks_etcd_endpoints_failed(&call->client->endpoints, call->endpoint);
    }
    if (may_go_on(call, end->fate)) {
        call->endpoint = ks_etcd_endpoints_after(&call->client->endpoints, call->endpoint);
        attempt(call);
        return;
    }
    finish(call, ks_etcd_answer_new(causes[end->fate], ks_bytes_of(end->detail)));
}

/* Whatever can refuse comes before: from here on the call ends in its callback. */
static void start(struct ks_etcd *client, const struct method *method, struct call *call)
{
    int64_t timeout_ms = call->options.timeout_ms ? call->options.timeout_ms : client->call_ms;
    call->method = method;
    call->index = client->call_count;
    call->body.len_max = client->answer_len_max + KS_ETCD_FRAME_HEAD_LEN;
    call->endpoint = ks_etcd_endpoints_choose(&client->endpoints, call->options.pin);
    call->deadline_ns = ks_etcd_now_ns(client) + timeout_ms * KS_NS_PER_MS;
    client->calls[client->call_count++] = call;
    attempt(call);
}

/* A call whose request is empty; NULL if too many are under way. */
static struct call *new_call(struct ks_etcd *client, const struct ks_etcd_call *options)
{
    assert(options && options->done);
    assert(options->timeout_ms >= 0);
    assert(options->pin <= client->endpoints.count);

    if (client->call_count == KS_ETCD_CALLS_MAX || client->is_closing) {
        return NULL;
    }
    struct call *call = ks_alloc(1, sizeof(*call));
    call->client = client;
    call->options = *options;
    call->request.len_max = KS_ETCD_REQUEST_MAX;
    ks_result opened = ks_etcd_frame_open(&call->request);
    assert(!ks_failed(opened)); /* the bound is larger */
    return call;
}

/* Starts the call if its request was written, or frees it. */
static ks_result start_if(ks_result written, const struct method *method, struct call *call)
{
    if (ks_failed(written)) {
        free_call(call);
        return written;
    }
    ks_etcd_frame_close(&call->request);
    start(call->client, method, call);
    return KS_RES(OK);
}

/* For requests whose fields are all zero or empty, and so not sent. */
static ks_result start_empty(struct ks_etcd *client, const struct method *method,
                             const struct ks_etcd_call *options)
{
    struct call *call = new_call(client, options);
    return call ? start_if(KS_RES(OK), method, call) : KS_RES(THROTTLED);
}

ks_result ks_etcd_txn(struct ks_etcd *client, const struct ks_etcd_txn *txn,
                      const struct ks_etcd_call *options)
{
    struct call *call = new_call(client, options);
    if (!call) {
        return KS_RES(THROTTLED);
    }
    return start_if(ks_etcd_wire_txn(&call->request, txn), &txn_method, call);
}

ks_result ks_etcd_range(struct ks_etcd *client, const struct ks_etcd_op *op,
                        const struct ks_etcd_call *options)
{
    struct call *call = new_call(client, options);
    if (!call) {
        return KS_RES(THROTTLED);
    }
    return start_if(ks_etcd_wire_range(&call->request, op), &range_method, call);
}

ks_result ks_etcd_compact(struct ks_etcd *client, int64_t revision,
                          const struct ks_etcd_call *options)
{
    struct call *call = new_call(client, options);
    if (!call) {
        return KS_RES(THROTTLED);
    }
    return start_if(ks_etcd_wire_compact(&call->request, revision), &compact_method, call);
}

ks_result ks_etcd_status(struct ks_etcd *client, const struct ks_etcd_call *options)
{
    return start_empty(client, &status_method, options);
}

ks_result ks_etcd_alarms(struct ks_etcd *client, const struct ks_etcd_call *options)
{
    return start_empty(client, &alarms_method, options);
}

ks_result ks_etcd_disarm(struct ks_etcd *client, const struct ks_etcd_alarm *alarm,
                         const struct ks_etcd_call *options)
{
    struct call *call = new_call(client, options);
    if (!call) {
        return KS_RES(THROTTLED);
    }
    return start_if(ks_etcd_wire_disarm(&call->request, alarm), &disarm_method, call);
}

ks_result ks_etcd_defragment(struct ks_etcd *client, const struct ks_etcd_call *options)
{
    return start_empty(client, &defragment_method, options);
}

ks_result ks_etcd_members(struct ks_etcd *client, const struct ks_etcd_call *options)
{
    return start_empty(client, &members_method, options);
}

void ks_etcd_close_calls(struct ks_etcd *client)
{
    for (size_t i = client->call_count; i > 0; i--) {
        struct call *call = client->calls[i - 1];
        ks_etcd_transfer_stop(call->transfer);
        finish(call, ks_etcd_answer_new(KS_ETCD_CLOSED, (ks_bytes){0}));
    }
}
