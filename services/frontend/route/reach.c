#include "services/frontend/route/reach.h"

#include <assert.h>

#include "pkg/base/log.h"
#include "pkg/base/mem.h"
#include "pkg/codec/wire.h"
#include "pkg/rpc/client.h"
#include "pkg/rpc/loop.h"

#define CHECK   "/grpc.health.v1.Health/Check"
#define SERVING 1U /* grpc.health.v1: HealthCheckResponse.status */

struct keystore {
    struct ks_reach *reach;
    struct ks_rpc_channel *channel;
    bool asking; /* an answer is awaited */
    bool serving;
};

struct ks_reach {
    struct ks_reach_options options;
    struct keystore keystores[KS_REACH_KEYSTORES_MAX];
    /* The loop's. */
    struct ks_rpc_timer *timer;
    bool closing;
    bool serving; /* as on_change was told */
};

static bool is_serving(ks_bytes response)
{
    struct ks_wire_field field;
    bool serving = false;
    while (response.len > 0 && !ks_failed(ks_wire_next(&response, &field))) {
        serving = field.number == 1 ? field.value == SERVING : serving;
    }
    return serving;
}

static void look(struct ks_reach *reach)
{
    bool serving = false;
    for (size_t i = 0; i < reach->options.address_count; i++) {
        serving |= reach->keystores[i].serving;
    }
    if (serving != reach->serving) {
        reach->serving = serving;
        reach->options.on_change(reach->options.user, serving);
    }
}

static void on_answer(void *user, ks_code code, const struct ks_rpc_reply *reply)
{
    struct keystore *keystore = user;
    keystore->asking = false;
    keystore->serving = code == KS_OK && is_serving(reply->response);
    if (!keystore->reach->closing) {
        look(keystore->reach);
    }
}

static void ask_all(void *argument)
{
    struct ks_reach *reach = argument;
    reach->timer = NULL;
    if (reach->closing) {
        return;
    }
    for (size_t i = 0; i < reach->options.address_count; i++) {
        struct keystore *keystore = &reach->keystores[i];
        if (!keystore->asking) {
            keystore->asking = true;
            ks_rpc_unary(keystore->channel, CHECK, (ks_bytes){0}, KS_REACH_DEADLINE_MS, on_answer,
                         keystore);
        }
    }
    reach->timer = ks_rpc_loop_after(reach->options.loop, KS_REACH_PERIOD_MS, ask_all, reach);
}

ks_result ks_reach_new(const struct ks_reach_options *options, struct ks_reach **ret_reach)
{
    assert(options->address_count > 0 && options->address_count <= KS_REACH_KEYSTORES_MAX);
    assert(options->on_change);

    struct ks_reach *reach = ks_alloc(1, sizeof(*reach));
    reach->options = *options;
    for (size_t i = 0; i < options->address_count; i++) {
        const struct ks_rpc_channel_options channel = {
            .address = options->addresses[i],
            .tls = options->tls,
            .server_spiffe = options->server_spiffe,
            .loop = options->loop,
        };
        reach->keystores[i].reach = reach;
        ks_result made = ks_rpc_channel_new(&channel, &reach->keystores[i].channel);
        if (ks_failed(made)) {
            ks_reach_free(reach);
            return made;
        }
    }
    ks_rpc_loop_post(options->loop, ask_all, reach);
    *ret_reach = reach;
    return KS_RES(OK);
}

/* On the loop, so that nothing is asked while the channels are being closed. */
static void close_reach(void *argument)
{
    struct ks_reach *reach = argument;
    reach->closing = true;
    ks_rpc_timer_cancel(reach->timer);
    reach->timer = NULL;
}

void ks_reach_free(struct ks_reach *reach)
{
    if (!reach) {
        return;
    }
    ks_rpc_loop_post(reach->options.loop, close_reach, reach);
    ks_rpc_loop_await_turn(reach->options.loop);
    for (size_t i = 0; i < reach->options.address_count; i++) {
        ks_rpc_channel_free(reach->keystores[i].channel);
    }
    ks_free(reach);
}
