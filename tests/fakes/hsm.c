#include "tests/fakes/hsm.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "pkg/base/mem.h"
#include "pkg/crypto/ec.h"
#include "pkg/custody/kit.h"
#include "pkg/ekt/ekt.h"
#include "pkg/frame/frame.h"
#include "services/hsm/fixture/hsm_fixture.h"

#define READ_LEN 65536U

struct ks_fake_hsm_root {
    struct hsm_root root;
};

struct ks_fake_hsm {
    struct hsm_root *root;
    struct ks_fake_hsm_root *own_root; /* NULL: root is the test's */
    const char *region;
    const char *zone;
    int listener;
    pthread_t thread;
    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t resumed;
    int connection; /* -1: none */
    bool is_cut;    /* the connection is, and nothing that came on it is answered any more */
    bool stopping;
    bool hangs;
    struct hsm_node node;
    unsigned fail_countdown;
    unsigned fail_repeat;
    ks_code fail_code;
    size_t batches;
    size_t requests;
    size_t evicted;
};

/* Answers */

#define CASE(name) KEYSTEAD__INTERNAL__V1__HSM_REQUEST__OPERATION_##name

/* The operations that a client asks for; only they can be made to fail. */
static const bool is_of_clients[] = {
    [CASE(CREATE_KEY)] = true,   [CASE(ENCRYPT)] = true,
    [CASE(DECRYPT)] = true,      [CASE(GENERATE_DATA_KEY)] = true,
    [CASE(RE_ENCRYPT)] = true,   [CASE(GENERATE_RANDOM)] = true,
    [CASE(RESEAL)] = true,       [CASE(EVICT)] = true,
    [CASE(SEAL_RECORDS)] = true,
};

/* Whether this request is one that shall fail. */
static bool fails(struct ks_fake_hsm *hsm, const HsmRequest *request)
{
    size_t which = (size_t)request->operation_case;
    if (which >= KS_COUNT(is_of_clients) || !is_of_clients[which]) {
        return false;
    }
    if (hsm->fail_countdown > 0) {
        hsm->fail_countdown--;
        return false;
    }
    if (hsm->fail_repeat > 0) {
        hsm->fail_repeat--;
        return true;
    }
    return false;
}

static void answer_one(struct ks_fake_hsm *hsm, struct ks_hsm_carried *carried,
                       const HsmRequest *request, struct ks_arena *arena, HsmReply *reply)
{
    hsm->requests++;
    if (fails(hsm, request)) {
        keystead__internal__v1__hsm_reply__init(reply);
        reply->code = (uint32_t)hsm->fail_code;
        return;
    }
    ks_hsm_handle(hsm->node.hsm, carried, request, arena, reply);
    hsm->evicted += request->operation_case == CASE(EVICT) && reply->code == KS_OK;
}

/* As ks_hsm_answer, but for the requests that shall fail. The caller holds the lock. */
static ks_result answer(struct ks_fake_hsm *hsm, ks_bytes frame, struct ks_buffer *out)
{
    KS_ARENA_AUTO arena = {.len_max = KS_HSM_ARENA_MAX};
    HsmBatch *batch = NULL;
    KS_TRY(ks_hsm_batch_read(frame, &arena, &batch));
    struct ks_hsm_carried *carried = NULL;
    KS_TRY(ks_hsm_carry(batch, &arena, &carried));
    HsmReply *replies = ks_arena_alloc(&arena, batch->n_requests * sizeof(*replies));
    HsmReply **pointers = ks_arena_alloc(&arena, batch->n_requests * sizeof(HsmReply *));
    assert(replies && pointers);
    HsmBatchReply reply = KEYSTEAD__INTERNAL__V1__HSM_BATCH_REPLY__INIT;
    hsm->batches++;
    for (size_t i = 0; i < batch->n_requests; i++) {
        answer_one(hsm, carried, batch->requests[i], &arena, &replies[i]);
        pointers[i] = &replies[i];
    }
    reply.n_replies = batch->n_requests;
    reply.replies = pointers;
    return ks_hsm_reply_append(&reply, out);
}

/* Transport */

static ks_result answer_when_it_runs(struct ks_fake_hsm *hsm, ks_bytes frame, struct ks_buffer *out)
{
    pthread_mutex_lock(&hsm->lock);
    while (hsm->hangs && !hsm->is_cut) {
        pthread_cond_wait(&hsm->resumed, &hsm->lock);
    }
    ks_result result = hsm->is_cut ? KS_RES(CANCELLED) : answer(hsm, frame, out);
    pthread_mutex_unlock(&hsm->lock);
    return result;
}

/* Answers each whole frame of in. False: this connection is to be closed, as the real one does. */
static bool serve_frames(struct ks_fake_hsm *hsm, struct ks_buffer *in, int connection)
{
    for (;;) {
        KS_BUFFER_AUTO out = {.len_max = KS_FRAME_MAX};
        ks_bytes frame = {0};
        if (ks_failed(ks_frame_next(ks_buffer_bytes(in), &frame))) {
            return false;
        }
        if (!frame.ptr) {
            return true;
        }
        if (ks_failed(answer_when_it_runs(hsm, frame, &out))) {
            return false;
        }
        ks_buffer_consume(in, KS_FRAME_HEAD_LEN + frame.len);
        if (send(connection, out.ptr, out.len, MSG_NOSIGNAL) != (ssize_t)out.len) {
            return false;
        }
    }
}

/* Frames until the other side, or a restart, closes the connection. */
static void serve(struct ks_fake_hsm *hsm, int connection)
{
    KS_BUFFER_AUTO in = {.len_max = KS_FRAME_MAX + READ_LEN};
    uint8_t bytes[READ_LEN];
    for (;;) {
        ssize_t len = recv(connection, bytes, sizeof(bytes), 0);
        if (len <= 0 || ks_failed(ks_buffer_append(&in, (ks_bytes){bytes, (size_t)len})) ||
            !serve_frames(hsm, &in, connection)) {
            return;
        }
    }
}

/* Makes the connection the one that a restart cuts. False: the hsm is being freed. */
static bool take(struct ks_fake_hsm *hsm, int connection)
{
    pthread_mutex_lock(&hsm->lock);
    hsm->connection = connection;
    hsm->is_cut = false;
    bool stopping = hsm->stopping;
    pthread_mutex_unlock(&hsm->lock);
    return !stopping;
}

static void *run(void *argument)
{
    struct ks_fake_hsm *hsm = argument;
    pthread_setname_np(pthread_self(), "fake hsm");
    for (;;) {
        int connection = accept(hsm->listener, NULL, NULL);
        if (connection < 0) {
            return NULL;
        }
        if (take(hsm, connection)) {
            serve(hsm, connection);
        }
        take(hsm, -1);
        close(connection);
    }
}

static void start_listening(struct ks_fake_hsm *hsm, const char *socket_path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert(strlen(socket_path) < sizeof(address.sun_path));
    memcpy(address.sun_path, socket_path, strlen(socket_path) + 1);
    unlink(socket_path);
    hsm->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int failed = bind(hsm->listener, (const struct sockaddr *)&address, sizeof(address));
    assert(!failed);
    failed = listen(hsm->listener, 4);
    assert(!failed);
}

/* The caller holds the lock. */
static void cut(struct ks_fake_hsm *hsm)
{
    if (hsm->connection >= 0) {
        shutdown(hsm->connection, SHUT_RDWR);
        hsm->is_cut = true;
        pthread_cond_broadcast(&hsm->resumed);
    }
}

/* Life */

struct ks_fake_hsm_root *ks_fake_hsm_root_new(void)
{
    struct ks_fake_hsm_root *root = ks_alloc(1, sizeof(*root));
    hsm_root_init(&root->root, FIXTURE_NOW_S);
    return root;
}

void ks_fake_hsm_root_free(struct ks_fake_hsm_root *root)
{
    if (root) {
        hsm_root_done(&root->root);
        ks_free(root);
    }
}

struct ks_fake_hsm *ks_fake_hsm_new(struct ks_fake_hsm_root *root, const char *socket_path,
                                    const char *region, const char *zone)
{
    struct ks_fake_hsm *hsm = ks_alloc(1, sizeof(*hsm));
    hsm->own_root = root ? NULL : ks_fake_hsm_root_new();
    hsm->root = root ? &root->root : &hsm->own_root->root;
    hsm->region = region;
    hsm->zone = zone;
    hsm->connection = -1;
    hsm_node_init(&hsm->node, hsm->root, region, zone);
    pthread_mutex_init(&hsm->lock, NULL);
    pthread_cond_init(&hsm->resumed, NULL);
    start_listening(hsm, socket_path);
    int failed = pthread_create(&hsm->thread, NULL, run, hsm);
    assert(!failed);
    return hsm;
}

void ks_fake_hsm_free(struct ks_fake_hsm *hsm)
{
    if (!hsm) {
        return;
    }
    pthread_mutex_lock(&hsm->lock);
    hsm->stopping = true;
    shutdown(hsm->listener, SHUT_RDWR);
    cut(hsm);
    pthread_mutex_unlock(&hsm->lock);
    pthread_join(hsm->thread, NULL);
    close(hsm->listener);
    pthread_cond_destroy(&hsm->resumed);
    pthread_mutex_destroy(&hsm->lock);
    hsm_node_done(&hsm->node);
    ks_fake_hsm_root_free(hsm->own_root);
    ks_free(hsm);
}

void ks_fake_hsm_restart(struct ks_fake_hsm *hsm)
{
    pthread_mutex_lock(&hsm->lock);
    hsm_node_restart(&hsm->node, 0);
    cut(hsm);
    pthread_mutex_unlock(&hsm->lock);
}

void ks_fake_hsm_replace(struct ks_fake_hsm *hsm)
{
    pthread_mutex_lock(&hsm->lock);
    hsm_node_done(&hsm->node);
    hsm_node_init(&hsm->node, hsm->root, hsm->region, hsm->zone);
    cut(hsm);
    pthread_mutex_unlock(&hsm->lock);
}

/* Faults */

void ks_fake_hsm_fail(struct ks_fake_hsm *hsm, unsigned countdown, unsigned repeat, ks_code code)
{
    pthread_mutex_lock(&hsm->lock);
    hsm->fail_countdown = countdown;
    hsm->fail_repeat = repeat;
    hsm->fail_code = code;
    pthread_mutex_unlock(&hsm->lock);
}

void ks_fake_hsm_hang(struct ks_fake_hsm *hsm, bool hangs)
{
    pthread_mutex_lock(&hsm->lock);
    hsm->hangs = hangs;
    pthread_cond_broadcast(&hsm->resumed);
    pthread_mutex_unlock(&hsm->lock);
}

/* What it is like */

static size_t read_count(struct ks_fake_hsm *hsm, const size_t *count)
{
    pthread_mutex_lock(&hsm->lock);
    size_t value = *count;
    pthread_mutex_unlock(&hsm->lock);
    return value;
}

size_t ks_fake_hsm_batch_count(struct ks_fake_hsm *hsm)
{
    return read_count(hsm, &hsm->batches);
}

size_t ks_fake_hsm_request_count(struct ks_fake_hsm *hsm)
{
    return read_count(hsm, &hsm->requests);
}

size_t ks_fake_hsm_evicted_count(struct ks_fake_hsm *hsm)
{
    return read_count(hsm, &hsm->evicted);
}

uint64_t ks_fake_hsm_roster_number(struct ks_fake_hsm *hsm)
{
    pthread_mutex_lock(&hsm->lock);
    uint64_t number = hsm_ask_status(&hsm->node)->status->roster_number;
    ks_arena_done(&hsm->node.arena);
    pthread_mutex_unlock(&hsm->lock);
    return number;
}

uint32_t ks_fake_hsm_kit_period(struct ks_fake_hsm *hsm)
{
    pthread_mutex_lock(&hsm->lock);
    uint32_t period = hsm_ask_status(&hsm->node)->status->kit_period;
    ks_arena_done(&hsm->node.arena);
    pthread_mutex_unlock(&hsm->lock);
    return period;
}

bool ks_fake_hsm_holds(struct ks_fake_hsm *hsm, uint32_t generation)
{
    bool holds = false;
    pthread_mutex_lock(&hsm->lock);
    const HsmStatus *status = hsm_ask_status(&hsm->node)->status;
    for (size_t i = 0; i < status->n_generations; i++) {
        holds = holds || status->generations[i] == generation;
    }
    ks_arena_done(&hsm->node.arena);
    pthread_mutex_unlock(&hsm->lock);
    return holds;
}

/* The caller holds both locks. */
static bool can_use_what_is_made(struct hsm_node *maker, struct hsm_node *user, uint32_t generation)
{
    const HsmReply *made = hsm_create_key(maker, generation);
    if (made->code != KS_OK) {
        return false;
    }
    const struct hsm_key key = {FIXTURE_NAME, made->records[0], "", ""};
    return hsm_encrypt(user, &key, KS_LITERAL("x"))->code == KS_OK;
}

bool ks_fake_hsm_agree(struct ks_fake_hsm *one, struct ks_fake_hsm *other, uint32_t generation)
{
    assert(one != other);
    pthread_mutex_lock(&one->lock);
    pthread_mutex_lock(&other->lock);
    bool agree = can_use_what_is_made(&one->node, &other->node, generation);
    ks_arena_done(&one->node.arena);
    ks_arena_done(&other->node.arena);
    pthread_mutex_unlock(&other->lock);
    pthread_mutex_unlock(&one->lock);
    return agree;
}

void ks_fake_hsm_forge(struct ks_fake_hsm *hsm, ks_bytes name, ks_bytes body, uint64_t counter,
                       struct ks_buffer *out)
{
    pthread_mutex_lock(&hsm->lock);
    hsm_forge(&hsm->node, name, body, counter, out);
    pthread_mutex_unlock(&hsm->lock);
}

uint32_t ks_fake_hsm_generation_of(const uint8_t *ekt, size_t len)
{
    uint32_t generation = 0;
    ks_result result = ks_ekt_generation((ks_bytes){ekt, len}, &generation);
    assert(!ks_failed(result));
    return generation;
}

void ks_fake_hsm_sign_roster(struct ks_fake_hsm *const *hsms, size_t count, uint64_t number,
                             struct ks_buffer *out)
{
    const struct hsm_node *nodes[KS_ROSTER_ENTRIES_MAX];
    assert(count >= 1 && count <= KS_COUNT(nodes));
    for (size_t i = 0; i < count; i++) {
        nodes[i] = &hsms[i]->node;
    }
    hsm_root_sign_roster(hsms[0]->root, number, nodes, count, out);
}

void ks_fake_hsm_sign_kit(struct ks_fake_hsm *hsm, uint32_t period, struct ks_buffer *out)
{
    struct ks_kit kit = {.period = period, .needed = 2, .count = 3};
    assert(strlen(hsm->region) <= KS_REGION_LEN_MAX);
    memcpy(kit.region, hsm->region, strlen(hsm->region) + 1);
    for (size_t i = 0; i < kit.count; i++) {
        KS_EC_AUTO *custodian = NULL;
        KS_BUFFER_AUTO spki = {.len_max = KS_CUSTODY_PUBLIC_LEN};
        ks_result result = ks_ec_generate(KS_EC_P384, &custodian);
        assert(!ks_failed(result));
        result = ks_ec_write_public_der(custodian, &spki);
        assert(!ks_failed(result));
        memcpy(kit.keys[i], spki.ptr, spki.len);
    }
    ks_result result = ks_kit_sign(&kit, hsm->root->key, out);
    assert(!ks_failed(result));
}
