#include "services/keystore/serve/operators.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "keystead/internal/v1/internal.pb-c.h"
#include "pkg/base/arena.h"
#include "pkg/base/log.h"
#include "pkg/base/mem.h"
#include "pkg/codec/codec.h"
#include "pkg/rpc/server.h"
#include "services/keystore/domain_keys/commands.h"
#include "services/keystore/domain_keys/keeper.h"
#include "services/keystore/domain_keys/kit.h"
#include "services/keystore/execute/trust.h"
#include "services/keystore/housekeeping/housekeeping.h"
#include "services/keystore/hsmlink/link.h"
#include "services/keystore/mirror/mirror.h"
#include "services/keystore/serve/execute_stream.h"
#include "services/keystore/serve/peer.h"
#include "services/keystore/worker/worker.h"

#define ARENA_LEN_MAX  (1024U * 1024U)
#define STATUS_LEN_MAX (64U * 1024U)
#define ALARMS_MAX     (KS_KEEPER_ALARMS_MAX + 5U)
#define MEMBERS_MAX    KS_COUNT(((struct ks_store_status *)0)->members)

/* A call that a worker carries out. */
struct command {
    struct ks_rpc_call *call;
    void (*carry_out)(struct ks_operators *operators, struct ks_rpc_call *call);
};

struct ks_operators {
    struct ks_operators_options options;
    pthread_mutex_t lock;                              /* guards the rest */
    struct command commands[KS_OPERATORS_PENDING_MAX]; /* the oldest first */
    size_t command_count;
    bool closed;
};

/* Status */

/* Everything that the response points to. */
struct report {
    INTERNAL(GetStatusResponse) response;
    struct ks_store_status store;
    struct ks_keeper_status keeper;
    INTERNAL(Traffic) traffic;
    INTERNAL(ResealProgress) reseal;
    INTERNAL(MemberStatus) members[MEMBERS_MAX];
    INTERNAL(MemberStatus) * member_list[MEMBERS_MAX];
    char *listed[KS_STORE_KEYSTORES_MAX];
    char *alarms[ALARMS_MAX];
    char forged[KS_TRUST_TEXT_MAX];
    char silence[256];
    bool is_held;
};

static void report_store(struct report *report)
{
    INTERNAL(GetStatusResponse) *response = &report->response;
    struct ks_store_status *store = &report->store;
    response->keystore_id = store->keystore_id;
    response->applied_revision = store->applied_revision;
    response->settled_revision = store->settled_revision;
    response->window_left_ms = store->window_left_ms;
    response->database_bytes = store->database_bytes;
    response->members = report->member_list;
    response->listed = report->listed;
    for (size_t i = 0; i < store->listed_count; i++) {
        report->listed[response->n_listed++] = store->listed[i].name;
    }
    for (size_t i = 0; i < store->member_count; i++) {
        INTERNAL(MemberStatus) *member = &report->members[i];
        *member = (INTERNAL(MemberStatus))INTERNAL_NEW(MEMBER_STATUS);
        member->endpoint = store->members[i].endpoint;
        member->reachable = store->members[i].reachable;
        member->leader = store->members[i].leader;
        member->revision = store->members[i].revision;
        member->database_bytes = store->members[i].database_bytes;
        member->raft_term = store->members[i].raft_term;
        member->version = store->members[i].version;
        report->member_list[response->n_members++] = member;
    }
}

static void report_alarms(struct report *report)
{
    INTERNAL(GetStatusResponse) *response = &report->response;
    response->alarms = report->alarms;
    if (report->store.alarm[0] != '\0') {
        report->alarms[response->n_alarms++] = report->store.alarm;
    }
    if (report->forged[0] != '\0') {
        report->alarms[response->n_alarms++] = report->forged;
    }
    if (report->is_held) {
        report->alarms[response->n_alarms++] = ks_lend_text(
            "the counters of records are being compared with another zone's keystore: this one "
            "serves when that is done");
    }
    if (report->store.window_left_ms == 0) {
        report->alarms[response->n_alarms++] = ks_lend_text(
            "no serving window is open: this keystore answers nobody until it reaches a majority "
            "of its etcd members");
    }
    for (size_t i = 0; i < report->keeper.alarm_count; i++) {
        report->alarms[response->n_alarms++] = report->keeper.alarms[i];
    }
}

/* A revocation that control has made does not arrive while this lasts. */
static void report_identities(const struct ks_operators_options *options, struct report *report)
{
    INTERNAL(GetStatusResponse) *response = &report->response;
    struct ks_identities_status mirror;
    ks_identities_get_status(options->mirror, &mirror);
    response->identities_revision = mirror.revision;
    response->identities_silence_ms = mirror.silence_ms;
    if (mirror.refuses) {
        report->alarms[response->n_alarms++] = ks_lend_text(
            "the control plane has gone back: what it says is refused, and new users and revocations "
            "do not arrive; docs/operations/etcd-went-back.md");
    } else if (mirror.silence_ms > KS_IDENTITIES_SILENCE_MS) {
        (void)snprintf(report->silence, sizeof(report->silence),
                       "nothing was heard of control for %lld s: new users and revocations do not "
                       "arrive; see that control runs and control_address leads to it",
                       (long long)(mirror.silence_ms / 1000));
        report->alarms[response->n_alarms++] = report->silence;
    }
}

static void report_traffic(const struct ks_operators_options *options, struct report *report)
{
    INTERNAL(Traffic) *traffic = &report->traffic;
    *traffic = (INTERNAL(Traffic))INTERNAL_NEW(TRAFFIC);
    traffic->items = atomic_load(&options->streams->item_count);
    traffic->item_messages = atomic_load(&options->streams->item_message_count);
    traffic->results = atomic_load(&options->streams->result_count);
    traffic->result_messages = atomic_load(&options->streams->result_message_count);
    ks_hsm_link_counts(options->link, &traffic->hsm_requests, &traffic->hsm_frames);
    report->response.traffic = traffic;
}

static void report_reseal(struct report *report)
{
    const struct ks_reseal_progress *progress = &report->keeper.reseal;
    if (progress->generation == 0) {
        return;
    }
    report->reseal = (INTERNAL(ResealProgress))INTERNAL_NEW(RESEAL_PROGRESS);
    report->reseal.generation = progress->generation;
    report->reseal.looked_at = progress->looked_at;
    report->reseal.resealed = progress->resealed;
    report->reseal.refused = progress->refused_count;
    report->response.reseal = &report->reseal;
}

static void fill_report(const struct ks_operators_options *options, struct report *report)
{
    INTERNAL(GetStatusResponse) *response = &report->response;
    *response = (INTERNAL(GetStatusResponse))INTERNAL_NEW(GET_STATUS_RESPONSE);
    ks_store_get_status(options->store, &report->store);
    report->is_held = ks_store_is_held(options->store);
    ks_keeper_get_status(options->keeper, &report->keeper);
    response->name = ks_lend_text(options->name);
    response->region = ks_lend_text(options->region);
    response->zone = ks_lend_text(options->zone);
    response->refused_records = ks_trust_alarms(options->trust, report->forged);
    report_store(report);
    report_alarms(report);
    report_traffic(options, report);
    report_reseal(report);
    response->key_count = ks_housekeeping_key_count(options->housekeeping);
    response->domain_generation = report->keeper.current;
    response->generations_held = report->keeper.held;
    response->n_generations_held = report->keeper.held_count;
    response->hsm_ready = report->keeper.ready;

    report_identities(options, report);
}

void ks_operators_get_status(void *user, struct ks_rpc_call *call)
{
    struct ks_operators *operators = user;
    struct report *report = ks_alloc(1, sizeof(*report));
    fill_report(&operators->options, report);
    KS_BUFFER_AUTO packed = {.len_max = STATUS_LEN_MAX};
    ks_result result = ks_codec_pack(&report->response.base, &packed);
    ks_free(report);
    if (ks_failed(result)) {
        ks_rpc_call_fail_code(call, KS_INTERNAL);
        return;
    }
    ks_rpc_call_reply_buffer(call, &packed);
}

/* Commands */

static void reply(struct ks_rpc_call *call, ks_result result, const ProtobufCMessage *response)
{
    KS_BUFFER_AUTO packed = {.len_max = STATUS_LEN_MAX};
    if (!ks_failed(result)) {
        result = ks_codec_pack(response, &packed);
    }
    if (ks_failed(result)) {
        ks_rpc_call_fail_code(call, result.code);
        return;
    }
    ks_rpc_call_reply_buffer(call, &packed);
}

static void carry_out_put_roster(struct ks_operators *operators, struct ks_rpc_call *call)
{
    KS_ARENA_AUTO arena = {.len_max = ARENA_LEN_MAX};
    ProtobufCMessage *message = NULL;
    ks_result result = ks_codec_unpack(INTERNAL_TYPE(put_roster_request), ks_rpc_call_request(call),
                                       NULL, &arena, &message);
    if (!ks_failed(result)) {
        const INTERNAL(PutRosterRequest) *request = (const INTERNAL(PutRosterRequest) *)message;
        result = ks_command_put_roster(operators->options.store, operators->options.link,
                                       request->number, ks_bytes_in(request->roster));
        ks_log(INFO, "roster put", KS_TEXT("peer", ks_rpc_call_peer(call)->spiffe),
               KS_NUMBER("version", request->number), KS_TEXT("code", ks_code_name(result.code)));
    }
    INTERNAL(PutRosterResponse) response = INTERNAL_NEW(PUT_ROSTER_RESPONSE);
    reply(call, result, &response.base);
}

static void carry_out_put_custodians(struct ks_operators *operators, struct ks_rpc_call *call)
{
    KS_ARENA_AUTO arena = {.len_max = ARENA_LEN_MAX};
    ProtobufCMessage *message = NULL;
    ks_result result = ks_codec_unpack(INTERNAL_TYPE(put_custodians_request),
                                       ks_rpc_call_request(call), NULL, &arena, &message);
    if (!ks_failed(result)) {
        const INTERNAL(PutCustodiansRequest) *request =
            (const INTERNAL(PutCustodiansRequest) *)message;
        result = ks_command_put_kit(operators->options.store, operators->options.link,
                                    request->period, ks_bytes_in(request->kit));
        ks_log(INFO, "custodian kit put", KS_TEXT("peer", ks_rpc_call_peer(call)->spiffe),
               KS_NUMBER("version", request->period), KS_TEXT("code", ks_code_name(result.code)));
    }
    INTERNAL(PutCustodiansResponse) response = INTERNAL_NEW(PUT_CUSTODIANS_RESPONSE);
    reply(call, result, &response.base);
}

static void carry_out_rotate(struct ks_operators *operators, struct ks_rpc_call *call)
{
    KS_ARENA_AUTO arena = {.len_max = ARENA_LEN_MAX};
    ProtobufCMessage *message = NULL;
    INTERNAL(RotateDomainKeyResponse) response = INTERNAL_NEW(ROTATE_DOMAIN_KEY_RESPONSE);
    ks_result result = ks_codec_unpack(INTERNAL_TYPE(rotate_domain_key_request),
                                       ks_rpc_call_request(call), NULL, &arena, &message);
    if (!ks_failed(result)) {
        uint32_t from = ((const INTERNAL(RotateDomainKeyRequest) *)message)->from_generation;
        result = ks_command_rotate(operators->options.store, from, &response.current_generation);
        ks_log(INFO, "rotation asked for", KS_TEXT("peer", ks_rpc_call_peer(call)->spiffe),
               KS_NUMBER("generation", from), KS_TEXT("code", ks_code_name(result.code)));
    }
    reply(call, result, &response.base);
}

static void enqueue(struct ks_operators *operators, const struct command *command)
{
    if (!ks_peer_is(ks_rpc_call_peer(command->call), KS_SPIFFE_OPERATOR)) {
        ks_rpc_call_fail_code(command->call, KS_ACCESS_DENIED);
        return;
    }
    ks_code refused = KS_OK;
    pthread_mutex_lock(&operators->lock);
    if (operators->closed) {
        refused = KS_UNAVAILABLE;
    } else if (operators->command_count == KS_OPERATORS_PENDING_MAX) {
        refused = KS_THROTTLED;
    } else {
        operators->commands[operators->command_count++] = *command;
    }
    pthread_mutex_unlock(&operators->lock);
    if (refused != KS_OK) {
        ks_rpc_call_fail_code(command->call, refused);
        return;
    }
    ks_worker_poke(operators->options.worker);
}

void ks_operators_put_roster(void *user, struct ks_rpc_call *call)
{
    enqueue(user, &(struct command){call, carry_out_put_roster});
}

void ks_operators_put_custodians(void *user, struct ks_rpc_call *call)
{
    enqueue(user, &(struct command){call, carry_out_put_custodians});
}

void ks_operators_rotate(void *user, struct ks_rpc_call *call)
{
    enqueue(user, &(struct command){call, carry_out_rotate});
}

static bool take_command(struct ks_operators *operators, struct command *ret_command)
{
    pthread_mutex_lock(&operators->lock);
    bool any = operators->command_count > 0;
    if (any) {
        *ret_command = operators->commands[0];
        operators->command_count--;
        memmove(&operators->commands[0], &operators->commands[1],
                operators->command_count * sizeof(operators->commands[0]));
    }
    pthread_mutex_unlock(&operators->lock);
    return any;
}

void ks_operators_run(void *user, struct ks_worker *worker)
{
    (void)worker;
    struct ks_operators *operators = user;
    struct command command;
    while (take_command(operators, &command)) {
        command.carry_out(operators, command.call);
    }
}

void ks_operators_close(struct ks_operators *operators)
{
    struct command command;
    pthread_mutex_lock(&operators->lock);
    operators->closed = true;
    pthread_mutex_unlock(&operators->lock);
    while (take_command(operators, &command)) {
        ks_rpc_call_fail_code(command.call, KS_UNAVAILABLE);
    }
}

struct ks_operators *ks_operators_new(const struct ks_operators_options *options)
{
    struct ks_operators *operators = ks_alloc(1, sizeof(*operators));
    operators->options = *options;
    pthread_mutex_init(&operators->lock, NULL);
    return operators;
}

void ks_operators_free(struct ks_operators *operators)
{
    if (operators) {
        assert(operators->command_count == 0);
        pthread_mutex_destroy(&operators->lock);
        ks_free(operators);
    }
}
