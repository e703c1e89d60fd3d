#include "services/frontend/route/upstream_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "keystead/internal/v1/internal.pb-c.h"
#include "pkg/base/clock.h"
#include "pkg/base/mem.h"
#include "pkg/codec/codec.h"
#include "pkg/codec/wire.h"

struct fake_peer peers[PEERS];
struct ks_upstream *upstream;
int64_t now_ms;
bool armed;

int64_t now_ns(void)
{
    return now_ms * KS_NS_PER_MS;
}

static bool ready(void *user, size_t peer)
{
    (void)user;
    return peers[peer].ready;
}

static ks_result take(void *user, size_t peer, struct ks_buffer *message)
{
    (void)user;
    struct fake_peer *to = &peers[peer];
    if (to->broken) {
        return KS_RES(UNAVAILABLE);
    }
    KS_ARENA_AUTO arena = {.len_max = 1U << 22};
    struct ProtobufCMessage *unpacked = NULL;
    assert_int_equal(ks_codec_unpack(&keystead__internal__v1__execute_request__descriptor,
                                     ks_buffer_bytes(message), NULL, &arena, &unpacked)
                         .code,
                     KS_OK);
    const Keystead__Internal__V1__ExecuteRequest *request =
        (const Keystead__Internal__V1__ExecuteRequest *)unpacked;
    for (size_t i = 0; i < request->n_items; i++) {
        assert_true(to->tag_count < SENT_MAX);
        to->tags[to->tag_count++] = request->items[i]->tag;
    }
    to->largest = request->n_items > to->largest ? request->n_items : to->largest;
    to->message_count++;
    ks_buffer_done(message);
    return KS_RES(OK);
}

static void arm(void *user)
{
    (void)user;
    assert_false(armed);
    armed = true;
}

static int set_up(const uint8_t ranks[PEERS])
{
    memset(peers, 0, sizeof(peers));
    now_ms = 1000000;
    armed = false;
    struct ks_upstream_options options = {
        .peer_count = PEERS,
        .near = 1U << 1, /* the second one is of our zone */
        .patience_ns = PATIENCE * KS_NS_PER_MS,
        .mutation_patience_ns = MUTATION * KS_NS_PER_MS,
        .ready = ready,
        .send = take,
        .arm = arm,
    };
    memcpy(options.mutation_ranks, ranks, PEERS);
    upstream = ks_upstream_new(&options);
    for (size_t i = 0; i < PEERS; i++) {
        peers[i].ready = true;
        ks_upstream_opened(upstream, i, now_ns());
        ks_upstream_accepted(upstream, i);
    }
    return 0;
}

int upstream_setup(void **state)
{
    (void)state;
    return set_up((const uint8_t[PEERS]){1, 0, 2});
}

int upstream_setup_apart(void **state)
{
    (void)state;
    return set_up((const uint8_t[PEERS]){0, 1, 2});
}

int upstream_teardown(void **state)
{
    (void)state;
    assert_int_equal(ks_upstream_count(upstream), 0);
    ks_upstream_free(upstream);
    return 0;
}

void on_done(struct ks_upstream_item *item, const struct ks_item_result *result)
{
    struct probe *probe = item->user;
    probe->done++;
    probe->code = result->code;
    ks_buffer_done(&item->body);
}

static uint32_t next_share; /* of accounts in turn, so that none has too many */

ks_code send_of(uint32_t share, struct probe *probe, int64_t deadline_ms)
{
    *probe = (struct probe){.item.share = share};
    probe->item.body.len_max = KS_EXECUTE_BODY_MAX;
    struct ks_item item = {.operation = 13, .account = KS_LITERAL("111122223333")};
    assert_int_equal(ks_item_write(&item, &probe->item.body).code, KS_OK);
    probe->item.deadline_ns = deadline_ms * KS_NS_PER_MS;
    probe->item.done = on_done;
    probe->item.user = probe;
    return ks_upstream_send(upstream, &probe->item, now_ns()).code;
}

ks_code send_until(struct probe *probe, int64_t deadline_ms)
{
    return send_of(next_share++ % KS_UPSTREAM_SHARES, probe, deadline_ms);
}

void send_probe(struct probe *probe)
{
    assert_int_equal(send_until(probe, now_ms + 10000), KS_OK);
}

void answer(size_t peer, uint64_t tag, ks_code code)
{
    Keystead__Internal__V1__ItemResult result = KEYSTEAD__INTERNAL__V1__ITEM_RESULT__INIT;
    result.tag = tag;
    result.code = code;
    KS_BUFFER_AUTO message = {.len_max = 4096};
    assert_int_equal(ks_codec_pack_field(1, &result.base, &message).code, KS_OK);
    assert_int_equal(ks_upstream_received(upstream, peer, ks_buffer_bytes(&message), now_ns()).code,
                     KS_OK);
}

uint64_t last_tag(size_t peer)
{
    assert_true(peers[peer].tag_count > 0);
    return peers[peer].tags[peers[peer].tag_count - 1];
}

void pass(int64_t ms)
{
    for (int64_t left = ms; left > 0; left -= KS_UPSTREAM_TICK_MS) {
        now_ms += KS_UPSTREAM_TICK_MS;
        if (armed) {
            armed = false;
            ks_upstream_tick(upstream, now_ns());
        }
    }
}

void send_kind(bool mutating, struct probe *probe)
{
    *probe = (struct probe){.item.mutating = mutating};
    probe->item.body.len_max = KS_EXECUTE_BODY_MAX;
    probe->item.deadline_ns = now_ns() + 10000 * KS_NS_PER_MS;
    probe->item.done = on_done;
    probe->item.user = probe;
    assert_int_equal(ks_upstream_send(upstream, &probe->item, now_ns()).code, KS_OK);
}
