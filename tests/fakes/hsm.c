#include "tests/fakes/hsm.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "keystead/internal/v1/hsm.pb-c.h"
#include "pkg/base/arena.h"
#include "pkg/base/mem.h"
#include "pkg/blob/blob.h"
#include "pkg/blob/context.h"
#include "pkg/codec/codec.h"
#include "pkg/crypto/crypto.h"
#include "pkg/crypto/mac.h"
#include "pkg/crypto/random.h"
#include "pkg/frame/frame.h"

#define HELD_MAX  16U
#define HBK_LEN   32U
#define ARENA_MAX (16U * 1024U * 1024U)

typedef Keystead__Internal__V1__HsmRequest HsmRequest;
typedef Keystead__Internal__V1__HsmReply HsmReply;
typedef Keystead__Internal__V1__KeyBinding KeyBinding;
typedef Keystead__Internal__V1__ContextEntry ContextEntry;

/* A wrapped key, a challenge, an envelope: all in the clear. */
struct parcel {
    uint32_t node;
    uint32_t generation;
    uint32_t value;
    uint32_t nonce;
};

/* An EKT: what it is sealed under, and the HBK in the clear. */
struct fake_ekt {
    uint32_t generation;
    uint32_t value;
    uint8_t material[KS_MATERIAL_ID_LEN];
    uint8_t hbk[HBK_LEN];
};

struct ks_fake_hsm {
    const char *region;
    const char *zone;
    int listener;
    atomic_int connection;
    atomic_bool stopping;
    atomic_bool hangs;
    pthread_t thread;
    pthread_mutex_t lock; /* guards the rest */
    struct ks_crypto *crypto;
    uint32_t node;
    struct parcel held[HELD_MAX];
    size_t held_count;
    uint32_t nonce;
    uint64_t roster_number;
    unsigned fail_countdown;
    unsigned fail_repeat;
    ks_code fail_code;
    bool refuses_to_seal;
    size_t batches;
    size_t requests;
    size_t evicted;
};

struct asked {
    struct ks_fake_hsm *hsm;
    const HsmRequest *request;
    HsmReply *reply;
    struct ks_arena *arena;
};

static ProtobufCBinaryData keep(struct asked *asked, const void *bytes, size_t len)
{
    char *copy = ks_arena_dup(asked->arena, (ks_bytes){bytes, len});
    assert(copy);
    return (ProtobufCBinaryData){len, (uint8_t *)copy};
}

static uint32_t draw(void)
{
    uint32_t value = 0;
    ks_result result = ks_random_public((uint8_t *)&value, sizeof(value));
    assert(!ks_failed(result));
    return value | 1U;
}

static struct parcel *held(struct ks_fake_hsm *hsm, uint32_t generation)
{
    for (size_t i = 0; i < hsm->held_count; i++) {
        if (hsm->held[i].generation == generation) {
            return &hsm->held[i];
        }
    }
    return NULL;
}

static void hold(struct ks_fake_hsm *hsm, uint32_t generation, uint32_t value)
{
    struct parcel *there = held(hsm, generation);
    assert(there || hsm->held_count < HELD_MAX);
    there = there ? there : &hsm->held[hsm->held_count++];
    *there = (struct parcel){hsm->node, generation, value, 0};
}

/* Domain keys */

static ks_code answer_status(struct asked *asked)
{
    Keystead__Internal__V1__HsmStatus *status = ks_arena_alloc(asked->arena, sizeof(*status));
    keystead__internal__v1__hsm_status__init(status);
    char node[32];
    snprintf(node, sizeof(node), "node%u", asked->hsm->node);
    status->node_id = ks_arena_dup(asked->arena, ks_bytes_of(node));
    status->region = (char *)(uintptr_t)asked->hsm->region;
    status->zone = (char *)(uintptr_t)asked->hsm->zone;
    status->roster_number = asked->hsm->roster_number;
    status->generations = ks_arena_alloc(asked->arena, HELD_MAX * sizeof(uint32_t));
    for (size_t i = 0; i < asked->hsm->held_count; i++) {
        status->generations[status->n_generations++] = asked->hsm->held[i].generation;
    }
    asked->reply->status = status;
    return KS_OK;
}

/* A roster of the fake is its number, one byte. */
static ks_code answer_roster(struct asked *asked)
{
    ProtobufCBinaryData roster = asked->request->install_roster->roster;
    if (roster.len != 1 || roster.data[0] < asked->hsm->roster_number) {
        return KS_ACCESS_DENIED;
    }
    asked->hsm->roster_number = roster.data[0];
    return KS_OK;
}

static ks_code answer_make(struct asked *asked)
{
    uint32_t generation = asked->request->make_domain_key->generation;
    if (held(asked->hsm, generation)) {
        return KS_ALREADY_EXISTS;
    }
    hold(asked->hsm, generation, draw());
    const struct parcel *made = held(asked->hsm, generation);
    asked->reply->wrapped = keep(asked, made, sizeof(*made));
    return KS_OK;
}

static ks_code answer_load(struct asked *asked)
{
    struct parcel parcel;
    ProtobufCBinaryData wrapped = asked->request->load_domain_key->wrapped;
    assert(wrapped.len == sizeof(parcel));
    memcpy(&parcel, wrapped.data, sizeof(parcel));
    if (parcel.node != asked->hsm->node ||
        parcel.generation != asked->request->load_domain_key->generation) {
        return KS_INVALID_CIPHERTEXT;
    }
    hold(asked->hsm, parcel.generation, parcel.value);
    return KS_OK;
}

static ks_code answer_drop(struct asked *asked)
{
    struct parcel *there = held(asked->hsm, asked->request->drop_domain_key->generation);
    if (!there) {
        return KS_NOT_FOUND;
    }
    *there = asked->hsm->held[--asked->hsm->held_count];
    return KS_OK;
}

static ks_code answer_challenge(struct asked *asked)
{
    asked->hsm->nonce = draw();
    struct parcel challenge = {asked->hsm->node, asked->request->challenge->generation, 0,
                               asked->hsm->nonce};
    asked->reply->challenge = keep(asked, &challenge, sizeof(challenge));
    return KS_OK;
}

static ks_code answer_seal(struct asked *asked)
{
    struct parcel challenge;
    const Keystead__Internal__V1__HsmSealDomainKey *seal = asked->request->seal_domain_key;
    const struct parcel *there = held(asked->hsm, seal->generation);
    assert(seal->challenge.len == sizeof(challenge));
    memcpy(&challenge, seal->challenge.data, sizeof(challenge));
    if (asked->hsm->refuses_to_seal || asked->hsm->roster_number == 0) {
        return KS_ACCESS_DENIED;
    }
    if (!there) {
        return KS_NOT_FOUND;
    }
    struct parcel envelope = {0, seal->generation, there->value, challenge.nonce};
    asked->reply->envelope = keep(asked, &envelope, sizeof(envelope));
    return KS_OK;
}

static ks_code answer_open(struct asked *asked)
{
    struct parcel envelope;
    ProtobufCBinaryData bytes = asked->request->open_domain_key->envelope;
    assert(bytes.len == sizeof(envelope));
    memcpy(&envelope, bytes.data, sizeof(envelope));
    if (asked->hsm->nonce == 0 || envelope.nonce != asked->hsm->nonce) {
        return KS_INVALID_CIPHERTEXT;
    }
    asked->hsm->nonce = 0;
    hold(asked->hsm, envelope.generation, envelope.value);
    const struct parcel *opened = held(asked->hsm, envelope.generation);
    asked->reply->wrapped = keep(asked, opened, sizeof(*opened));
    asked->reply->generation = envelope.generation;
    return KS_OK;
}

/* Keys */

static ks_code open_ekt(struct asked *asked, ProtobufCBinaryData ekt, struct fake_ekt *ret_ekt)
{
    if (ekt.len != sizeof(*ret_ekt)) {
        return KS_CORRUPT;
    }
    memcpy(ret_ekt, ekt.data, sizeof(*ret_ekt));
    const struct parcel *under = held(asked->hsm, ret_ekt->generation);
    if (!under) {
        return KS_UNAVAILABLE;
    }
    return under->value == ret_ekt->value ? KS_OK : KS_CORRUPT;
}

static ks_code answer_create(struct asked *asked)
{
    uint32_t generation = asked->request->create_key->generation;
    const struct parcel *under = held(asked->hsm, generation);
    if (!under) {
        return KS_UNAVAILABLE;
    }
    struct fake_ekt ekt = {.generation = generation, .value = under->value};
    char hex[2 * KS_MATERIAL_ID_LEN + 1];
    ks_result result = ks_random_public(ekt.material, sizeof(ekt.material));
    assert(!ks_failed(result));
    result = ks_random_public(ekt.hbk, sizeof(ekt.hbk));
    assert(!ks_failed(result));
    ks_hex_write((ks_bytes){ekt.material, sizeof(ekt.material)}, hex);
    asked->reply->ekt = keep(asked, &ekt, sizeof(ekt));
    asked->reply->material_id = ks_arena_dup(asked->arena, ks_bytes_of(hex));
    asked->reply->generation = generation;
    return KS_OK;
}

static ks_bytes encode_context(struct asked *asked, ContextEntry **entries, size_t count)
{
    struct ks_context_pair *pairs =
        ks_arena_alloc(asked->arena, (count + 1) * sizeof(struct ks_context_pair));
    uint8_t *encoded = ks_arena_alloc(asked->arena, KS_CONTEXT_LEN_MAX);
    for (size_t i = 0; i < count; i++) {
        pairs[i] =
            (struct ks_context_pair){ks_bytes_of(entries[i]->key), ks_bytes_of(entries[i]->value)};
    }
    size_t len = 0;
    ks_result result = ks_context_encode(pairs, count, encoded, &len);
    assert(!ks_failed(result));
    return (ks_bytes){encoded, len};
}

static struct ks_mac *mac_of(const struct fake_ekt *ekt)
{
    ks_secret key = {.len = HBK_LEN};
    memcpy(key.bytes, ekt->hbk, HBK_LEN);
    struct ks_mac *mac = NULL;
    ks_result result = ks_mac_new(&key, &mac);
    assert(!ks_failed(result));
    return mac;
}

static void seal(struct asked *asked, const KeyBinding *binding, const struct fake_ekt *ekt,
                 ks_bytes context, ks_bytes plaintext)
{
    KS_MAC_AUTO *mac = mac_of(ekt);
    uint8_t nonce[KS_BLOB_NONCE_LEN];
    uint8_t blob[KS_BLOB_LEN_MAX];
    size_t len = 0;
    ks_result result = ks_random_public(nonce, sizeof(nonce));
    assert(!ks_failed(result));
    const struct ks_blob_content content = {
        .name = {ks_bytes_of(binding->region), ks_bytes_of(binding->account),
                 ks_bytes_of(binding->key_id)},
        .material_id = ekt->material,
        .nonce = nonce,
        .context = context,
        .plaintext = plaintext,
    };
    result = ks_blob_seal(asked->hsm->crypto, mac, &content, blob, &len);
    assert(!ks_failed(result));
    asked->reply->blob = keep(asked, blob, len);
}

static ks_code answer_encrypt(struct asked *asked)
{
    const Keystead__Internal__V1__HsmEncrypt *encrypt = asked->request->encrypt;
    struct fake_ekt ekt;
    ks_code code = open_ekt(asked, encrypt->ekt, &ekt);
    if (code == KS_OK) {
        seal(asked, encrypt->binding, &ekt,
             encode_context(asked, encrypt->context, encrypt->n_context),
             (ks_bytes){encrypt->plaintext.data, encrypt->plaintext.len});
    }
    return code;
}

static ks_code decrypt(struct asked *asked, const Keystead__Internal__V1__HsmDecrypt *decrypt,
                       ks_bytes *ret_plaintext)
{
    struct fake_ekt ekt;
    struct ks_blob blob;
    ks_code code = open_ekt(asked, decrypt->ekt, &ekt);
    if (code != KS_OK) {
        return code;
    }
    ks_bytes bytes = {decrypt->blob.data, decrypt->blob.len};
    if (ks_failed(ks_blob_parse(bytes, &blob))) {
        return KS_INVALID_CIPHERTEXT;
    }
    KS_MAC_AUTO *mac = mac_of(&ekt);
    uint8_t *plaintext = ks_arena_alloc(asked->arena, KS_BLOB_LEN_MAX);
    size_t len = 0;
    ks_result result =
        ks_blob_open(asked->hsm->crypto, mac, &blob,
                     encode_context(asked, decrypt->context, decrypt->n_context), plaintext, &len);
    *ret_plaintext = (ks_bytes){plaintext, len};
    return result.code;
}

static ks_code answer_decrypt(struct asked *asked)
{
    ks_bytes plaintext = {0};
    ks_code code = decrypt(asked, asked->request->decrypt, &plaintext);
    asked->reply->plaintext =
        (ProtobufCBinaryData){plaintext.len, (uint8_t *)(uintptr_t)plaintext.ptr};
    return code;
}

static ks_code answer_re_encrypt(struct asked *asked)
{
    const Keystead__Internal__V1__HsmReEncrypt *re = asked->request->re_encrypt;
    struct fake_ekt ekt;
    ks_bytes plaintext = {0};
    ks_code code = decrypt(asked, re->source, &plaintext);
    if (code == KS_OK) {
        code = open_ekt(asked, re->destination_ekt, &ekt);
    }
    if (code == KS_OK) {
        seal(asked, re->destination, &ekt,
             encode_context(asked, re->destination_context, re->n_destination_context), plaintext);
    }
    return code;
}

static ks_code answer_data_key(struct asked *asked)
{
    const Keystead__Internal__V1__HsmGenerateDataKey *generate = asked->request->generate_data_key;
    struct fake_ekt ekt;
    uint8_t plaintext[KS_BLOB_PLAINTEXT_MAX];
    ks_code code = open_ekt(asked, generate->ekt, &ekt);
    if (code != KS_OK) {
        return code;
    }
    ks_result result = ks_random_private(plaintext, generate->number_of_bytes);
    assert(!ks_failed(result));
    seal(asked, generate->binding, &ekt,
         encode_context(asked, generate->context, generate->n_context),
         (ks_bytes){plaintext, generate->number_of_bytes});
    if (!generate->without_plaintext) {
        asked->reply->plaintext = keep(asked, plaintext, generate->number_of_bytes);
    }
    return KS_OK;
}

static ks_code answer_random(struct asked *asked)
{
    uint8_t bytes[KS_RANDOM_MAX];
    size_t len = asked->request->generate_random->number_of_bytes;
    ks_result result = ks_random_private(bytes, len);
    assert(!ks_failed(result));
    asked->reply->plaintext = keep(asked, bytes, len);
    return KS_OK;
}

static ks_code answer_reseal(struct asked *asked)
{
    struct fake_ekt ekt;
    ks_code code = open_ekt(asked, asked->request->reseal->ekt, &ekt);
    const struct parcel *under = held(asked->hsm, asked->request->reseal->generation);
    if (code != KS_OK || !under) {
        return code != KS_OK ? code : KS_UNAVAILABLE;
    }
    ekt.generation = under->generation;
    ekt.value = under->value;
    asked->reply->ekt = keep(asked, &ekt, sizeof(ekt));
    return KS_OK;
}

static ks_code answer_evict(struct asked *asked)
{
    asked->hsm->evicted++;
    return KS_OK;
}

#define CASE(name) KEYSTEAD__INTERNAL__V1__HSM_REQUEST__OPERATION_##name

static const struct {
    ks_code (*answer)(struct asked *asked);
    bool may_fail; /* counts for ks_fake_hsm_fail */
} answers[] = {
    [CASE(STATUS)] = {answer_status, false},
    [CASE(INSTALL_ROSTER)] = {answer_roster, false},
    [CASE(MAKE_DOMAIN_KEY)] = {answer_make, false},
    [CASE(LOAD_DOMAIN_KEY)] = {answer_load, false},
    [CASE(DROP_DOMAIN_KEY)] = {answer_drop, false},
    [CASE(CHALLENGE)] = {answer_challenge, false},
    [CASE(SEAL_DOMAIN_KEY)] = {answer_seal, false},
    [CASE(OPEN_DOMAIN_KEY)] = {answer_open, false},
    [CASE(CREATE_KEY)] = {answer_create, true},
    [CASE(ENCRYPT)] = {answer_encrypt, true},
    [CASE(DECRYPT)] = {answer_decrypt, true},
    [CASE(GENERATE_DATA_KEY)] = {answer_data_key, true},
    [CASE(RE_ENCRYPT)] = {answer_re_encrypt, true},
    [CASE(GENERATE_RANDOM)] = {answer_random, true},
    [CASE(RESEAL)] = {answer_reseal, true},
    [CASE(EVICT)] = {answer_evict, false},
};

/* Whether this request is one that shall fail. */
static bool fails(struct ks_fake_hsm *hsm)
{
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

static void answer_one(struct asked *asked)
{
    keystead__internal__v1__hsm_reply__init(asked->reply);
    size_t which = (size_t)asked->request->operation_case;
    assert(which < KS_COUNT(answers) && answers[which].answer);
    asked->hsm->requests++;
    ks_code code = answers[which].may_fail && fails(asked->hsm) ? asked->hsm->fail_code
                                                                : answers[which].answer(asked);
    if (code != KS_OK) {
        keystead__internal__v1__hsm_reply__init(asked->reply);
    }
    asked->reply->code = (uint32_t)code;
}

static void answer_frame(struct ks_fake_hsm *hsm, ks_bytes frame, struct ks_buffer *out)
{
    KS_ARENA_AUTO arena = {.len_max = ARENA_MAX};
    struct ks_codec_limits limits = {.field_count_max = 65536};
    ProtobufCMessage *message = NULL;
    ks_result result = ks_codec_unpack(&keystead__internal__v1__hsm_batch__descriptor, frame,
                                       &limits, &arena, &message);
    assert(!ks_failed(result));
    const Keystead__Internal__V1__HsmBatch *batch =
        (const Keystead__Internal__V1__HsmBatch *)message;
    KS_BUFFER_AUTO replies = {.len_max = KS_FRAME_LEN_MAX};
    pthread_mutex_lock(&hsm->lock);
    hsm->batches++;
    for (size_t i = 0; i < batch->n_requests; i++) {
        HsmReply reply;
        struct asked asked = {hsm, batch->requests[i], &reply, &arena};
        answer_one(&asked);
        result = ks_codec_pack_field(1, &reply.base, &replies);
        assert(!ks_failed(result));
    }
    pthread_mutex_unlock(&hsm->lock);
    result = ks_frame_append(out, ks_buffer_bytes(&replies));
    assert(!ks_failed(result));
}

/* Frames until the other side, or a restart, closes the connection. */
static void serve(struct ks_fake_hsm *hsm, int connection)
{
    KS_BUFFER_AUTO in = {.len_max = 2 * KS_FRAME_MAX};
    uint8_t bytes[65536];
    for (;;) {
        ssize_t len = recv(connection, bytes, sizeof(bytes), 0);
        if (len <= 0) {
            return;
        }
        while (atomic_load(&hsm->hangs) && !atomic_load(&hsm->stopping)) {
            usleep(1000);
        }
        ks_result result = ks_buffer_append(&in, (ks_bytes){bytes, (size_t)len});
        ks_bytes frame = {0};
        while (!ks_failed(result) && !ks_failed(ks_frame_next(ks_buffer_bytes(&in), &frame)) &&
               frame.ptr) {
            KS_BUFFER_AUTO out = {.len_max = KS_FRAME_MAX};
            answer_frame(hsm, frame, &out);
            ks_buffer_consume(&in, KS_FRAME_HEAD_LEN + frame.len);
            if (send(connection, out.ptr, out.len, MSG_NOSIGNAL) != (ssize_t)out.len) {
                return;
            }
        }
    }
}

static void *run(void *argument)
{
    struct ks_fake_hsm *hsm = argument;
    pthread_setname_np(pthread_self(), "fake hsm");
    while (!atomic_load(&hsm->stopping)) {
        int connection = accept(hsm->listener, NULL, NULL);
        if (connection < 0) {
            break;
        }
        atomic_store(&hsm->connection, connection);
        serve(hsm, connection);
        atomic_store(&hsm->connection, -1);
        close(connection);
    }
    return NULL;
}

struct ks_fake_hsm *ks_fake_hsm_new(const char *socket_path, const char *region, const char *zone,
                                    uint32_t node)
{
    struct ks_fake_hsm *hsm = ks_alloc(1, sizeof(*hsm));
    hsm->region = region;
    hsm->zone = zone;
    hsm->node = node;
    hsm->crypto = ks_crypto_new();
    atomic_store(&hsm->connection, -1);
    pthread_mutex_init(&hsm->lock, NULL);

    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert(strlen(socket_path) < sizeof(address.sun_path));
    memcpy(address.sun_path, socket_path, strlen(socket_path) + 1);
    unlink(socket_path);
    hsm->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int failed = bind(hsm->listener, (const struct sockaddr *)&address, sizeof(address));
    assert(!failed);
    failed = listen(hsm->listener, 4);
    assert(!failed);
    failed = pthread_create(&hsm->thread, NULL, run, hsm);
    assert(!failed);
    return hsm;
}

static void cut(struct ks_fake_hsm *hsm)
{
    int connection = atomic_load(&hsm->connection);
    if (connection >= 0) {
        shutdown(connection, SHUT_RDWR);
    }
}

void ks_fake_hsm_free(struct ks_fake_hsm *hsm)
{
    if (!hsm) {
        return;
    }
    atomic_store(&hsm->stopping, true);
    shutdown(hsm->listener, SHUT_RDWR);
    cut(hsm);
    pthread_join(hsm->thread, NULL);
    close(hsm->listener);
    pthread_mutex_destroy(&hsm->lock);
    ks_crypto_free(hsm->crypto);
    ks_free(hsm);
}

void ks_fake_hsm_restart(struct ks_fake_hsm *hsm)
{
    pthread_mutex_lock(&hsm->lock);
    hsm->held_count = 0;
    hsm->nonce = 0;
    hsm->roster_number = 0;
    pthread_mutex_unlock(&hsm->lock);
    cut(hsm);
}

void ks_fake_hsm_replace(struct ks_fake_hsm *hsm, uint32_t node)
{
    pthread_mutex_lock(&hsm->lock);
    hsm->node = node;
    pthread_mutex_unlock(&hsm->lock);
    ks_fake_hsm_restart(hsm);
}

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
    atomic_store(&hsm->hangs, hangs);
}

void ks_fake_hsm_refuse_to_seal(struct ks_fake_hsm *hsm, bool refuses)
{
    pthread_mutex_lock(&hsm->lock);
    hsm->refuses_to_seal = refuses;
    pthread_mutex_unlock(&hsm->lock);
}

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
    uint64_t number = hsm->roster_number;
    pthread_mutex_unlock(&hsm->lock);
    return number;
}

uint32_t ks_fake_hsm_value(struct ks_fake_hsm *hsm, uint32_t generation)
{
    pthread_mutex_lock(&hsm->lock);
    const struct parcel *there = held(hsm, generation);
    uint32_t value = there ? there->value : 0;
    pthread_mutex_unlock(&hsm->lock);
    return value;
}

uint32_t ks_fake_hsm_generation_of(const uint8_t *ekt, size_t len)
{
    struct fake_ekt read;
    assert(len == sizeof(read));
    memcpy(&read, ekt, sizeof(read));
    return read.generation;
}
