/*
 * CPU microseconds that one request costs the hsm, from the frame of requests to the frame of
 * replies, in batches of 16 and of 1, with 64 keys in use. No socket: that is the keystore's and
 * the kernel's cost, and it is shared by a batch.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "pkg/base/mem.h"
#include "pkg/frame/frame.h"
#include "services/hsm/fixture/hsm_fixture.h"

#define KEYS          64U
#define PLAINTEXT_LEN 256U
#define ROUNDS        20000U

static struct hsm_root root;
static struct hsm_node node;
static struct hsm_key keys[KEYS];

static double cpu_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void pack(const HsmBatch *batch, struct ks_buffer *out)
{
    uint8_t *place = NULL;
    size_t len = protobuf_c_message_get_packed_size(&batch->base);
    if (ks_failed(ks_buffer_extend(out, len, &place))) {
        abort();
    }
    protobuf_c_message_pack(&batch->base, place);
}

static ContextEntry *context_entry(void)
{
    ContextEntry *entry = ks_arena_alloc(&node.arena, sizeof(*entry));
    keystead__internal__v1__context_entry__init(entry);
    entry->key = ks_arena_dup(&node.arena, KS_LITERAL("tenant"));
    entry->value = ks_arena_dup(&node.arena, KS_LITERAL("a-customer"));
    return entry;
}

static KeyUse *use_of(const struct hsm_key *key)
{
    KeyUse *use = ks_arena_alloc(&node.arena, sizeof(*use));
    *use = hsm_use(key, 1);
    return use;
}

static HsmRequest *encrypt_of(struct hsm_key *key)
{
    static uint8_t plaintext[PLAINTEXT_LEN];
    HsmEncrypt *encrypt = ks_arena_alloc(&node.arena, sizeof(*encrypt));
    HsmRequest *request = ks_arena_alloc(&node.arena, sizeof(*request));
    keystead__internal__v1__hsm_encrypt__init(encrypt);
    encrypt->key = use_of(key);
    encrypt->plaintext = (ProtobufCBinaryData){sizeof(plaintext), plaintext};
    encrypt->n_context = 1;
    encrypt->context = ks_arena_alloc(&node.arena, sizeof(ContextEntry *));
    encrypt->context[0] = context_entry();
    *request = HSM_REQUEST(ENCRYPT, encrypt, encrypt);
    return request;
}

static HsmRequest *decrypt_of(const struct hsm_key *key, const HsmRequest *sealing)
{
    const HsmReply *sealed = hsm_ask_about(&node, sealing, &key, 1);
    HsmDecrypt *decrypt = ks_arena_alloc(&node.arena, sizeof(*decrypt));
    HsmRequest *request = ks_arena_alloc(&node.arena, sizeof(*request));
    keystead__internal__v1__hsm_decrypt__init(decrypt);
    decrypt->key = use_of(key);
    decrypt->blob = sealed->blob;
    decrypt->n_context = 1;
    decrypt->context = sealing->encrypt->context;
    *request = HSM_REQUEST(DECRYPT, decrypt, decrypt);
    return request;
}

/* Each request has a key, and so a record, of its own: the dearest that a batch can be. */
static void carry(HsmBatch *batch)
{
    static HsmRecord values[KEYS];
    static HsmRecord *records[KEYS];
    static uint32_t places[KEYS];
    for (size_t i = 0; i < batch->n_requests; i++) {
        keystead__internal__v1__hsm_record__init(&values[i]);
        values[i].name = ks_arena_dup(&node.arena, ks_bytes_of(keys[i].name));
        values[i].record = keys[i].record;
        records[i] = &values[i];
        places[i] = (uint32_t)i;
        batch->requests[i]->records = &places[i];
        batch->requests[i]->n_records = 1;
    }
    batch->n_records = batch->n_requests;
    batch->records = records;
}

static void measure(const char *name, HsmRequest **requests, size_t count)
{
    HsmBatch batch = KEYSTEAD__INTERNAL__V1__HSM_BATCH__INIT;
    KS_BUFFER_AUTO frame = {.len_max = KS_FRAME_LEN_MAX};
    KS_BUFFER_AUTO out = {.len_max = KS_FRAME_MAX};
    batch.n_requests = count;
    batch.requests = requests;
    carry(&batch);
    pack(&batch, &frame);
    const size_t rounds = ROUNDS / count;
    double best = 1e9;
    for (unsigned repeat = 0; repeat < 5; repeat++) {
        double begin = cpu_us();
        for (size_t i = 0; i < rounds; i++) {
            if (ks_failed(ks_hsm_answer(node.hsm, ks_buffer_bytes(&frame), &out))) {
                abort();
            }
            ks_buffer_consume(&out, out.len);
        }
        double each = (cpu_us() - begin) / ((double)rounds * (double)count);
        best = each < best ? each : best;
    }
    printf("%-8s of %u bytes, batches of %2zu: %.2f us of CPU each\n", name, PLAINTEXT_LEN, count,
           best);
}

int main(void)
{
    HsmRequest *encrypts[KEYS];
    HsmRequest *decrypts[KEYS];
    hsm_root_init(&root, FIXTURE_NOW_S);
    hsm_node_init(&node, &root, "ap-seoul-1", "ap-seoul-1a");
    if (hsm_make_domain_key(&node, 1)->code != KS_OK) {
        return 1;
    }
    for (size_t i = 0; i < KEYS; i++) {
        keys[i] = hsm_new_key(&node, 1);
        encrypts[i] = encrypt_of(&keys[i]);
        decrypts[i] = decrypt_of(&keys[i], encrypts[i]);
    }
    measure("Encrypt", encrypts, 16);
    measure("Decrypt", decrypts, 16);
    measure("Encrypt", encrypts, 1);
    measure("Decrypt", decrypts, 1);
    hsm_node_done(&node);
    hsm_root_done(&root);
    return 0;
}
