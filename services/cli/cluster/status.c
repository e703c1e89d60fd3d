#include "services/cli/cluster/status.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "keystead/internal/v1/internal.pb-c.h"
#include "pkg/codec/codec.h"
#include "pkg/codec/wire.h"
#include "pkg/rpc/client.h"
#include "services/cli/service/connections.h"

#define GET_STATUS     "/keystead.internal.v1.KeystoreService/GetStatus"
#define HEALTH_CHECK   "/grpc.health.v1.Health/Check"
#define HEALTH_SERVING 1U /* grpc.health.v1: HealthCheckResponse.status */
#define ANSWER_LEN_MAX (1024U * 1024U)

typedef Keystead__Internal__V1__GetStatusResponse status_response;

/* All questions of one round. It lasts until the last answer has come. */
struct round {
    pthread_mutex_t lock;
    pthread_cond_t answered;
    size_t waiting;
};

/* One question. */
struct question {
    struct round *round;
    struct ks_process_status *status; /* where health and fault go */
    struct ks_buffer bytes;           /* the answer */
    ks_code code;
    char text[KS_STATUS_TEXT_LEN]; /* why there is none */
    bool asked;
};

static void on_answer(void *user, ks_code code, const struct ks_rpc_reply *reply)
{
    struct question *question = user;
    struct round *round = question->round;
    pthread_mutex_lock(&round->lock);
    question->code = code;
    if (code != KS_OK) {
        snprintf(question->text, sizeof(question->text), "%.150s",
                 ks_connections_cause(reply->error->text));
    } else if (ks_failed(ks_buffer_append(&question->bytes, reply->response))) {
        question->code = KS_LIMIT_EXCEEDED;
        snprintf(question->text, sizeof(question->text), "the answer is too long");
    }
    round->waiting--;
    pthread_cond_signal(&round->answered);
    pthread_mutex_unlock(&round->lock);
}

static ks_result ask(struct ks_connections *connections, const struct ks_rpc_tls *tls,
                     const char *method, struct question *question, struct ks_rpc_error *error)
{
    const struct ks_place *place = question->status->place;
    const struct ks_door door = {.addresses = place->address, .spiffe = place->spiffe, .tls = *tls};
    struct ks_rpc_channel *channel;
    KS_TRY(ks_connections_channel(connections, &door, place->address, &channel, error));
    pthread_mutex_lock(&question->round->lock);
    question->round->waiting++;
    question->asked = true;
    pthread_mutex_unlock(&question->round->lock);
    ks_rpc_unary(channel, method, (ks_bytes){0}, KS_STATUS_DEADLINE_MS, on_answer, question);
    return KS_RES(OK);
}

static void wait_for_all(struct round *round)
{
    pthread_mutex_lock(&round->lock);
    while (round->waiting > 0) {
        pthread_cond_wait(&round->answered, &round->lock);
    }
    pthread_mutex_unlock(&round->lock);
}

/* ---- What is wrong with a keystore ---- */

static bool has_no_window(const status_response *answer)
{
    return answer->window_left_ms <= 0;
}

static bool has_no_hsm(const status_response *answer)
{
    return !answer->hsm_ready;
}

static bool has_no_domain_key(const status_response *answer)
{
    return answer->domain_generation == 0;
}

static bool lacks_current_generation(const status_response *answer)
{
    for (size_t i = 0; i < answer->n_generations_held; i++) {
        if (answer->generations_held[i] == answer->domain_generation) {
            return false;
        }
    }
    return true;
}

static bool has_no_identities(const status_response *answer)
{
    return answer->identities_revision <= 0;
}

static bool has_alarms(const status_response *answer)
{
    return answer->n_alarms > 0;
}

/* The first problem that applies is shown: those further down often follow from it. */
static const struct {
    bool (*is_wrong)(const status_response *answer);
    const char *fault;
} checks[] = {
    {has_no_hsm, "hsm not ready"},
    {has_no_window, "no serving window"},
    {has_no_domain_key, "no domain key yet"},
    {lacks_current_generation, "its hsm lacks the current domain key"},
    {has_no_identities, "no identities mirrored yet"},
    {has_alarms, "alarm"},
};

static void judge_keystore(struct ks_cli *cli, struct question *question)
{
    struct ks_process_status *status = question->status;
    status->health = KS_HEALTH_FAULTY;
    if (question->code != KS_OK) {
        snprintf(status->fault, sizeof(status->fault), "unreachable: %.150s", question->text);
        return;
    }
    ProtobufCMessage *message;
    if (ks_failed(ks_codec_unpack(&keystead__internal__v1__get_status_response__descriptor,
                                  ks_buffer_bytes(&question->bytes), NULL, &cli->arena,
                                  &message))) {
        snprintf(status->fault, sizeof(status->fault), "its answer cannot be read");
        return;
    }
    status->answer = (const status_response *)message;
    for (size_t i = 0; i < KS_COUNT(checks); i++) {
        if (checks[i].is_wrong(status->answer)) {
            snprintf(status->fault, sizeof(status->fault), "%s", checks[i].fault);
            return;
        }
    }
    status->health = KS_HEALTH_SERVING;
}

/* ---- What is wrong with a frontend or control ---- */

static bool is_serving(ks_bytes response)
{
    struct ks_wire_field field;
    bool serving = false;
    while (response.len > 0 && !ks_failed(ks_wire_next(&response, &field))) {
        serving = field.number == 1 ? field.value == HEALTH_SERVING : serving;
    }
    return serving;
}

static void judge_server(struct question *question)
{
    struct ks_process_status *status = question->status;
    if (!question->asked) {
        return;
    }
    if (question->code == KS_ACCESS_DENIED || question->code == KS_UNAUTHENTICATED) {
        status->health = KS_HEALTH_ANSWERS;
        return;
    }
    if (question->code == KS_OK && is_serving(ks_buffer_bytes(&question->bytes))) {
        status->health = KS_HEALTH_SERVING;
        return;
    }
    status->health = KS_HEALTH_FAULTY;
    if (question->code == KS_OK) {
        snprintf(status->fault, sizeof(status->fault), "not serving");
    } else {
        snprintf(status->fault, sizeof(status->fault), "unreachable: %.150s", question->text);
    }
}

/* ---- The round ---- */

/* Finds a certificate of the client root that exists already. Returns false if there is none. */
static bool client_tls(const struct ks_cli *cli, const struct ks_cluster *cluster,
                       enum ks_setting certificate, enum ks_setting key, struct ks_rpc_tls *ret_tls)
{
    const char *const *values = cli->settings.values;
    const char *ca = values[KS_SETTING_CA] ? values[KS_SETTING_CA] : cluster->file.ca_file;
    if (!values[certificate] || !values[key] || access(values[certificate], R_OK) != 0 ||
        access(values[key], R_OK) != 0) {
        return false;
    }
    *ret_tls = (struct ks_rpc_tls){ca, values[certificate], values[key]};
    return true;
}

/* Room for every question; on the heap, as it is large. */
struct questions {
    struct round round;
    struct question keystores[KS_PLACES_MAX];
    struct question frontends[KS_PLACES_MAX];
    struct question control;
};

static struct question question_of(struct questions *all, struct ks_process_status *status)
{
    return (struct question){
        .round = &all->round, .status = status, .bytes = {.len_max = ANSWER_LEN_MAX}};
}

static ks_result ask_keystores(struct ks_cli *cli, const struct ks_cluster *cluster,
                               struct ks_status *status, struct questions *all)
{
    struct ks_rpc_tls tls = ks_cluster_tls(cluster);
    for (size_t i = 0; i < status->keystore_count; i++) {
        struct ks_rpc_error error = {0};
        status->keystores[i].place = &cluster->keystores[i];
        all->keystores[i] = question_of(all, &status->keystores[i]);
        if (ks_failed(ask(cli->connections, &tls, GET_STATUS, &all->keystores[i], &error))) {
            return ks_fail_call(&cli->failure, &error);
        }
    }
    return KS_RES(OK);
}

/* A user's certificate if there is one, else the operator's: both chain to the client root. */
static ks_result ask_frontends(struct ks_cli *cli, const struct ks_cluster *cluster,
                               struct ks_status *status, struct questions *all)
{
    struct ks_rpc_tls tls;
    bool can_ask =
        client_tls(cli, cluster, KS_SETTING_CERT, KS_SETTING_CERT_KEY, &tls) ||
        client_tls(cli, cluster, KS_SETTING_OPERATOR_CERT, KS_SETTING_OPERATOR_CERT_KEY, &tls);
    for (size_t i = 0; i < status->frontend_count; i++) {
        struct ks_rpc_error error = {0};
        status->frontends[i].place = &cluster->frontends[i];
        all->frontends[i] = question_of(all, &status->frontends[i]);
        if (can_ask &&
            ks_failed(ask(cli->connections, &tls, HEALTH_CHECK, &all->frontends[i], &error))) {
            return ks_fail_call(&cli->failure, &error);
        }
    }
    return KS_RES(OK);
}

static ks_result ask_control(struct ks_cli *cli, const struct ks_cluster *cluster,
                             struct ks_status *status, struct questions *all)
{
    struct ks_rpc_tls tls;
    struct ks_rpc_error error = {0};
    status->control.place = &cluster->control;
    all->control = question_of(all, &status->control);
    if (status->has_control &&
        client_tls(cli, cluster, KS_SETTING_OPERATOR_CERT, KS_SETTING_OPERATOR_CERT_KEY, &tls) &&
        ks_failed(ask(cli->connections, &tls, HEALTH_CHECK, &all->control, &error))) {
        return ks_fail_call(&cli->failure, &error);
    }
    return KS_RES(OK);
}

static ks_result ask_all(struct ks_cli *cli, const struct ks_cluster *cluster,
                         struct ks_status *status, struct questions *all)
{
    KS_TRY(ask_keystores(cli, cluster, status, all));
    KS_TRY(ask_frontends(cli, cluster, status, all));
    return ask_control(cli, cluster, status, all);
}

static void judge_all(struct ks_cli *cli, struct ks_status *status, struct questions *all)
{
    for (size_t i = 0; i < status->keystore_count; i++) {
        judge_keystore(cli, &all->keystores[i]);
    }
    for (size_t i = 0; i < status->frontend_count; i++) {
        judge_server(&all->frontends[i]);
    }
    judge_server(&all->control);
}

static void questions_free(struct questions *all)
{
    for (size_t i = 0; i < KS_PLACES_MAX; i++) {
        ks_buffer_done(&all->keystores[i].bytes);
        ks_buffer_done(&all->frontends[i].bytes);
    }
    ks_buffer_done(&all->control.bytes);
    pthread_cond_destroy(&all->round.answered);
    pthread_mutex_destroy(&all->round.lock);
    ks_free(all);
}

ks_result ks_status_ask(struct ks_cli *cli, const struct ks_cluster *cluster,
                        struct ks_status *ret_status)
{
    *ret_status = (struct ks_status){.keystore_count = cluster->keystore_count,
                                     .frontend_count = cluster->frontend_count,
                                     .has_control = cluster->control.address[0] != '\0'};
    struct questions *all = ks_alloc(1, sizeof(*all));
    pthread_mutex_init(&all->round.lock, NULL);
    pthread_cond_init(&all->round.answered, NULL);
    ks_result r = ask_all(cli, cluster, ret_status, all);
    wait_for_all(&all->round);
    if (!ks_failed(r)) {
        judge_all(cli, ret_status, all);
    }
    questions_free(all);
    return r;
}

/* ---- All together ---- */

static size_t reachable_members(const status_response *answer)
{
    size_t count = 0;
    for (size_t i = 0; i < answer->n_members; i++) {
        count += answer->members[i]->reachable ? 1 : 0;
    }
    return count;
}

const status_response *ks_status_etcd(const struct ks_status *status, const char *region)
{
    const status_response *best = NULL;
    for (size_t i = 0; i < status->keystore_count; i++) {
        const status_response *answer = status->keystores[i].answer;
        bool counts = answer && answer->n_members > 0 &&
                      strcmp(status->keystores[i].place->region, region) == 0;
        if (counts && (!best || reachable_members(answer) > reachable_members(best))) {
            best = answer;
        }
    }
    return best;
}

static size_t faults_of(const struct ks_process_status *processes, size_t count, const char *region)
{
    size_t faults = 0;
    for (size_t i = 0; i < count; i++) {
        bool is_here = strcmp(processes[i].place->region, region) == 0;
        faults += is_here && processes[i].health == KS_HEALTH_FAULTY ? 1 : 0;
    }
    return faults;
}

static size_t faults_of_etcd(const status_response *seen)
{
    if (!seen) {
        return 0;
    }
    bool has_leader = false;
    for (size_t i = 0; i < seen->n_members; i++) {
        has_leader = has_leader || seen->members[i]->leader;
    }
    return seen->n_members - reachable_members(seen) + (has_leader ? 0 : 1);
}

size_t ks_status_region_faults(const struct ks_status *status, const char *region)
{
    return faults_of(status->keystores, status->keystore_count, region) +
           faults_of(status->frontends, status->frontend_count, region) +
           faults_of_etcd(ks_status_etcd(status, region));
}

bool ks_status_is_first(const struct ks_status *status, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (strcmp(status->keystores[i].place->region, status->keystores[index].place->region) ==
            0) {
            return false;
        }
    }
    return true;
}

size_t ks_status_faults(const struct ks_status *status)
{
    size_t faults = status->control.health == KS_HEALTH_FAULTY ? 1 : 0;
    for (size_t i = 0; i < status->keystore_count; i++) {
        const char *region = status->keystores[i].place->region;
        if (ks_status_is_first(status, i)) {
            faults += ks_status_region_faults(status, region);
        }
    }
    return faults;
}
