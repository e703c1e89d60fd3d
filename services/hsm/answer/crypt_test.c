/* Keys, blobs and batches: one hsm in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/authentic/authentic.h"
#include "pkg/base/mem.h"
#include "pkg/blob/blob.h"
#include "pkg/frame/frame.h"
#include "services/hsm/fixture/hsm_fixture.h"
#include "services/hsm/fixture/refusal_suite.h"

#define REGION "ap-seoul-1"

static struct hsm_root root;
static struct hsm_node node;
static struct hsm_key key;

static const ProtobufCBinaryData nothing = {0, NULL};

static ks_bytes view(ProtobufCBinaryData field)
{
    return (ks_bytes){field.data, field.len};
}

static ProtobufCBinaryData copy_of(ProtobufCBinaryData field)
{
    return (ProtobufCBinaryData){field.len, (uint8_t *)ks_arena_dup(&node.arena, view(field))};
}

static void decrypts_what_it_encrypted(void **state)
{
    (void)state;

    const HsmReply *sealed = hsm_encrypt(&node, &key, KS_LITERAL("a secret"));
    const HsmReply *opened = hsm_decrypt(&node, &key, sealed->blob);

    assert_int_equal(sealed->code, KS_OK);
    assert_int_equal(opened->code, KS_OK);
    assert_true(ks_bytes_equal(view(opened->plaintext), KS_LITERAL("a secret")));
}

/* Two blobs of one plaintext tell nobody that they are. */
static void no_two_blobs_are_the_same(void **state)
{
    (void)state;

    const HsmReply *first = hsm_encrypt(&node, &key, KS_LITERAL("x"));
    const HsmReply *second = hsm_encrypt(&node, &key, KS_LITERAL("x"));

    assert_false(ks_bytes_equal(view(first->blob), view(second->blob)));
}

static void a_restart_forgets_no_key(void **state)
{
    (void)state;
    const HsmReply *made = hsm_make_domain_key(&node, 7);
    const struct hsm_key other = hsm_new_key(&node, 7);
    const HsmReply *sealed = hsm_encrypt(&node, &other, KS_LITERAL("kept"));

    hsm_node_restart(&node, 0);

    assert_int_equal(hsm_decrypt(&node, &other, sealed->blob)->code, KS_UNAVAILABLE);
    assert_int_equal(hsm_load_domain_key(&node, 7, made->wrapped)->code, KS_OK);
    const HsmReply *opened = hsm_decrypt(&node, &other, sealed->blob);
    assert_int_equal(opened->code, KS_OK);
    assert_true(ks_bytes_equal(view(opened->plaintext), KS_LITERAL("kept")));
}

static void refuses_what_every_hsm_refuses(void **state)
{
    (void)state;
    refusal_suite_run(&node);
}

static void refuses_every_damage_to_a_blob(void **state)
{
    (void)state;
    const HsmReply *sealed = hsm_encrypt(&node, &key, KS_LITERAL("x"));
    for (size_t bit = 0; bit < 8 * sealed->blob.len; bit++) {
        ProtobufCBinaryData bad = copy_of(sealed->blob);
        bad.data[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        const HsmReply *reply = hsm_decrypt(&node, &key, bad);
        assert_int_equal(reply->code, KS_INVALID_CIPHERTEXT);
        assert_int_equal(reply->plaintext.len, 0);
    }
    for (size_t len = 0; len < sealed->blob.len; len++) {
        ProtobufCBinaryData bad = {len, sealed->blob.data};
        assert_int_equal(hsm_decrypt(&node, &key, bad)->code, KS_INVALID_CIPHERTEXT);
    }
}

static HsmReply *ask_about_key(const HsmRequest *request)
{
    const struct hsm_key *const keys[] = {&key};
    return hsm_ask_about(&node, request, keys, 1);
}

static HsmReply *encrypt_in(const char *name, const char *value)
{
    HsmEncrypt encrypt = KEYSTEAD__INTERNAL__V1__HSM_ENCRYPT__INIT;
    ContextEntry entry = KEYSTEAD__INTERNAL__V1__CONTEXT_ENTRY__INIT;
    ContextEntry *context[] = {&entry, &entry};
    entry.key = ks_arena_dup(&node.arena, ks_bytes_of(name));
    entry.value = ks_arena_dup(&node.arena, ks_bytes_of(value));
    KeyUse use = hsm_use(&key, 1);
    encrypt.key = &use;
    encrypt.plaintext = (ProtobufCBinaryData){1, (uint8_t[]){7}};
    encrypt.n_context = name[0] == '2' ? 2 : 1;
    encrypt.context = context;
    const HsmRequest request = HSM_REQUEST(ENCRYPT, encrypt, &encrypt);
    return ask_about_key(&request);
}

static HsmReply *decrypt_in(const char *name, const char *value, ProtobufCBinaryData blob)
{
    HsmDecrypt decrypt = KEYSTEAD__INTERNAL__V1__HSM_DECRYPT__INIT;
    ContextEntry entry = KEYSTEAD__INTERNAL__V1__CONTEXT_ENTRY__INIT;
    ContextEntry *context[] = {&entry};
    entry.key = ks_arena_dup(&node.arena, ks_bytes_of(name));
    entry.value = ks_arena_dup(&node.arena, ks_bytes_of(value));
    KeyUse use = hsm_use(&key, 1);
    decrypt.key = &use;
    decrypt.blob = blob;
    decrypt.n_context = 1;
    decrypt.context = context;
    const HsmRequest request = HSM_REQUEST(DECRYPT, decrypt, &decrypt);
    return ask_about_key(&request);
}

static void opens_in_the_same_context_only(void **state)
{
    (void)state;
    const HsmReply *sealed = encrypt_in("ab", "c");

    assert_int_equal(decrypt_in("ab", "c", sealed->blob)->code, KS_OK);
    assert_int_equal(decrypt_in("a", "bc", sealed->blob)->code, KS_INVALID_CIPHERTEXT);
    assert_int_equal(decrypt_in("ab", "d", sealed->blob)->code, KS_INVALID_CIPHERTEXT);
    assert_int_equal(hsm_decrypt(&node, &key, sealed->blob)->code, KS_INVALID_CIPHERTEXT);
    assert_int_equal(encrypt_in("2 of the same", "x")->code, KS_VALIDATION);
    assert_int_equal(encrypt_in("", "x")->code, KS_VALIDATION);
}

static void keeps_both_sides_of_the_plaintext_limits(void **state)
{
    (void)state;
    static const uint8_t big[KS_BLOB_PLAINTEXT_MAX + 1];

    assert_int_equal(hsm_encrypt(&node, &key, (ks_bytes){big, 0})->code, KS_VALIDATION);
    assert_int_equal(hsm_encrypt(&node, &key, (ks_bytes){big, 1})->code, KS_OK);
    assert_int_equal(hsm_encrypt(&node, &key, (ks_bytes){big, sizeof(big) - 1})->code, KS_OK);
    assert_int_equal(hsm_encrypt(&node, &key, (ks_bytes){big, sizeof(big)})->code, KS_VALIDATION);
}

static HsmReply *data_key(uint32_t len, bool without_plaintext)
{
    HsmGenerateDataKey wish = KEYSTEAD__INTERNAL__V1__HSM_GENERATE_DATA_KEY__INIT;
    KeyUse use = hsm_use(&key, 1);
    wish.key = &use;
    wish.number_of_bytes = len;
    wish.without_plaintext = without_plaintext;
    const HsmRequest request = HSM_REQUEST(GENERATE_DATA_KEY, generate_data_key, &wish);
    return ask_about_key(&request);
}

static void makes_data_keys_that_decrypt(void **state)
{
    (void)state;
    static const uint32_t lens[] = {1, 16, 32, 1024};
    for (size_t i = 0; i < KS_COUNT(lens); i++) {
        const HsmReply *made = data_key(lens[i], false);
        const HsmReply *opened = hsm_decrypt(&node, &key, made->blob);
        assert_int_equal(made->code, KS_OK);
        assert_int_equal(made->plaintext.len, lens[i]);
        assert_true(ks_bytes_equal(view(made->plaintext), view(opened->plaintext)));
    }
    assert_int_equal(data_key(0, false)->code, KS_VALIDATION);
    assert_int_equal(data_key(1025, false)->code, KS_VALIDATION);
}

static void keeps_a_data_key_to_itself_if_told_to(void **state)
{
    (void)state;

    const HsmReply *made = data_key(32, true);

    assert_int_equal(made->code, KS_OK);
    assert_int_equal(made->plaintext.len, 0);
    assert_int_equal(hsm_decrypt(&node, &key, made->blob)->plaintext.len, 32);
}

static HsmReply *re_encrypt(const struct hsm_key *from, ProtobufCBinaryData blob,
                            const struct hsm_key *to)
{
    HsmReEncrypt move = KEYSTEAD__INTERNAL__V1__HSM_RE_ENCRYPT__INIT;
    HsmDecrypt source = KEYSTEAD__INTERNAL__V1__HSM_DECRYPT__INIT;
    KeyUse uses[] = {hsm_use(from, 1), hsm_use(to, 2)};
    const struct hsm_key *const keys[] = {from, to};
    source.key = &uses[0];
    source.blob = blob;
    move.source = &source;
    move.destination = &uses[1];
    const HsmRequest request = HSM_REQUEST(RE_ENCRYPT, re_encrypt, &move);
    return hsm_ask_about(&node, &request, keys, 2);
}

/* A request that is done dry, and its reply, which must hold its code alone. */
static ks_code dry(HsmRequest request, const struct hsm_key *about)
{
    request.dry_run = true;
    HsmReply empty = KEYSTEAD__INTERNAL__V1__HSM_REPLY__INIT;
    const HsmReply *reply = hsm_ask_about(&node, &request, &about, 1);
    empty.code = reply->code;
    assert_memory_equal(reply, &empty, sizeof(empty));
    return reply->code;
}

static ks_code decrypt_dry(const struct hsm_key *with, ProtobufCBinaryData blob)
{
    KeyUse use = hsm_use(with, 1);
    HsmDecrypt decrypt = KEYSTEAD__INTERNAL__V1__HSM_DECRYPT__INIT;
    decrypt.key = &use;
    decrypt.blob = blob;
    return dry(HSM_REQUEST(DECRYPT, decrypt, &decrypt), with);
}

static void a_dry_run_finds_what_the_real_one_would_and_gives_nothing(void **state)
{
    (void)state;
    const struct hsm_key other = hsm_new_key(&node, 1);
    ProtobufCBinaryData blob = copy_of(hsm_encrypt(&node, &key, KS_LITERAL("x"))->blob);
    KeyUse use = hsm_use(&key, 1);
    HsmGenerateDataKey wish = KEYSTEAD__INTERNAL__V1__HSM_GENERATE_DATA_KEY__INIT;
    wish.key = &use;
    wish.number_of_bytes = 32;
    const HsmRequest request = HSM_REQUEST(GENERATE_DATA_KEY, generate_data_key, &wish);

    assert_int_equal(decrypt_dry(&key, blob), KS_OK);
    assert_int_equal(decrypt_dry(&other, blob), KS_INVALID_CIPHERTEXT);
    blob.data[blob.len - 1] ^= 1;
    assert_int_equal(decrypt_dry(&key, blob), KS_INVALID_CIPHERTEXT);
    assert_int_equal(dry(request, &key), KS_OK);
    use.alias = "alias/of-no-key";
    assert_int_equal(dry(request, &key), KS_CORRUPT);
}

/* What the hsm holds cannot be changed and not be changed. */
static void what_changes_the_hsm_has_no_dry_run(void **state)
{
    (void)state;
    Keystead__Internal__V1__HsmDropDomainKey drop =
        KEYSTEAD__INTERNAL__V1__HSM_DROP_DOMAIN_KEY__INIT;
    drop.generation = 1;

    assert_int_equal(dry(HSM_REQUEST(DROP_DOMAIN_KEY, drop_domain_key, &drop), &key),
                     KS_VALIDATION);
    assert_int_equal(hsm_encrypt(&node, &key, KS_LITERAL("x"))->code, KS_OK);
}

static void moves_a_blob_to_another_key_without_showing_it(void **state)
{
    (void)state;
    const struct hsm_key other = hsm_new_key(&node, 1);
    const HsmReply *sealed = hsm_encrypt(&node, &key, KS_LITERAL("moved"));

    const HsmReply *moved = re_encrypt(&key, sealed->blob, &other);

    assert_int_equal(moved->code, KS_OK);
    assert_int_equal(moved->plaintext.len, 0);
    const HsmReply *opened = hsm_decrypt(&node, &other, moved->blob);
    assert_true(ks_bytes_equal(view(opened->plaintext), KS_LITERAL("moved")));
    assert_int_equal(hsm_decrypt(&node, &key, moved->blob)->code, KS_INVALID_CIPHERTEXT);
    assert_int_equal(re_encrypt(&other, sealed->blob, &key)->code, KS_INVALID_CIPHERTEXT);
    struct hsm_key bad = other;
    bad.record = nothing;
    assert_int_equal(re_encrypt(&key, sealed->blob, &bad)->code, KS_CORRUPT);
}

static HsmReply *random_bytes(uint32_t len)
{
    Keystead__Internal__V1__HsmGenerateRandom wish =
        KEYSTEAD__INTERNAL__V1__HSM_GENERATE_RANDOM__INIT;
    wish.number_of_bytes = len;
    const HsmRequest request = HSM_REQUEST(GENERATE_RANDOM, generate_random, &wish);
    return hsm_ask(&node, &request);
}

static void gives_as_many_random_bytes_as_asked_for(void **state)
{
    (void)state;

    assert_int_equal(random_bytes(0)->code, KS_VALIDATION);
    assert_int_equal(random_bytes(1)->plaintext.len, 1);
    assert_int_equal(random_bytes(1024)->plaintext.len, 1024);
    assert_int_equal(random_bytes(1025)->code, KS_VALIDATION);
    assert_false(
        ks_bytes_equal(view(random_bytes(32)->plaintext), view(random_bytes(32)->plaintext)));
}

static HsmReply *reseal(const struct hsm_key *of, uint32_t generation)
{
    Keystead__Internal__V1__HsmReseal wish = KEYSTEAD__INTERNAL__V1__HSM_RESEAL__INIT;
    wish.record = 1;
    wish.generation = generation;
    const HsmRequest request = HSM_REQUEST(RESEAL, reseal, &wish);
    return hsm_ask_about(&node, &request, &of, 1);
}

/* Deletion rests on this: without its generation an EKT is beyond use, also where it was cached. */
static void a_dropped_generation_takes_its_keys_along(void **state)
{
    (void)state;
    assert_int_equal(hsm_make_domain_key(&node, 2)->code, KS_OK);
    assert_int_equal(hsm_make_domain_key(&node, 3)->code, KS_OK);
    const struct hsm_key old = hsm_new_key(&node, 2);
    const HsmReply *sealed = hsm_encrypt(&node, &old, KS_LITERAL("x"));
    const HsmReply *resealed = reseal(&old, 3);
    assert_int_equal(resealed->code, KS_OK);
    assert_int_equal(resealed->generation, 3);
    const struct hsm_key renewed = {old.name, resealed->records[0], "", ""};

    assert_int_equal(hsm_drop_domain_key(&node, 2)->code, KS_OK);

    assert_int_equal(hsm_decrypt(&node, &old, sealed->blob)->code, KS_UNAVAILABLE);
    assert_int_equal(hsm_decrypt(&node, &renewed, sealed->blob)->code, KS_OK);
    assert_int_equal(reseal(&old, 3)->code, KS_UNAVAILABLE);
    assert_int_equal(reseal(&renewed, 99)->code, KS_UNAVAILABLE);
    assert_int_equal(hsm_drop_domain_key(&node, 2)->code, KS_NOT_FOUND);
    assert_int_equal(hsm_drop_domain_key(&node, 3)->code, KS_OK);
}

static HsmReply *evict(const char *material_id)
{
    Keystead__Internal__V1__HsmEvict wish = KEYSTEAD__INTERNAL__V1__HSM_EVICT__INIT;
    wish.material_id = ks_arena_dup(&node.arena, ks_bytes_of(material_id));
    const HsmRequest request = HSM_REQUEST(EVICT, evict, &wish);
    return hsm_ask(&node, &request);
}

static void evicts_what_it_is_told_to(void **state)
{
    (void)state;

    assert_int_equal(hsm_encrypt(&node, &key, KS_LITERAL("x"))->code, KS_OK);
    const char *material_id = hsm_body_of(&node, &key)->materials[0]->material_id;
    assert_int_equal(evict(material_id)->code, KS_OK);
    assert_int_equal(evict(material_id)->code, KS_OK);

    assert_int_equal(evict("x")->code, KS_VALIDATION);
    assert_int_equal(hsm_encrypt(&node, &key, KS_LITERAL("x"))->code, KS_OK);
}

static void a_key_is_made_of_a_body_without_material_only(void **state)
{
    (void)state;
    Keystead__Internal__V1__HsmCreateKey create = KEYSTEAD__INTERNAL__V1__HSM_CREATE_KEY__INIT;
    HsmRequest request = HSM_REQUEST(CREATE_KEY, create_key, &create);
    KeyRecord body = hsm_key_body();
    create.generation = 1;
    assert_int_equal(hsm_ask(&node, &request)->code, KS_VALIDATION);

    create.body = hsm_packed(&node, &hsm_body_of(&node, &key)->base);

    assert_int_equal(hsm_ask(&node, &request)->code, KS_VALIDATION);
    body.spec = 0xffffU; /* of no row */
    create.body = hsm_packed(&node, &body.base);
    assert_int_equal(hsm_ask(&node, &request)->code, KS_UNSUPPORTED);
    body = hsm_key_body();
    body.key_id = "../../../../../../../../../etc/passwd";
    create.body = hsm_packed(&node, &body.base);
    assert_int_equal(hsm_ask(&node, &request)->code, KS_VALIDATION);
    assert_int_equal(hsm_create_key(&node, 98)->code, KS_UNAVAILABLE);
    assert_int_equal(hsm_create_key(&node, 1)->code, KS_OK);
}

static uint64_t counter_of(ProtobufCBinaryData record)
{
    struct ks_authentic envelope;
    assert_int_equal(ks_authentic_read(view(record), &envelope).code, KS_OK);
    return envelope.counter;
}

/* A record that is put back is below the one that took its place, and nothing else tells them. */
static void each_change_of_a_record_raises_its_counter(void **state)
{
    (void)state;
    const HsmReply *sealed = hsm_seal(&node, &key, hsm_body_of(&node, &key), 1);
    assert_int_equal(sealed->code, KS_OK);
    const struct hsm_key second = {key.name, sealed->records[0], "", ""};
    const HsmReply *resealed = reseal(&second, 1);
    assert_int_equal(resealed->code, KS_OK);

    assert_int_equal(counter_of(key.record), 1);
    assert_int_equal(counter_of(second.record), 2);
    assert_int_equal(counter_of(resealed->records[0]), 3);
}

/* What was checked once under a generation is worth nothing when the generation has gone. */
static void a_record_is_forgotten_with_its_generation(void **state)
{
    (void)state;
    assert_int_equal(hsm_encrypt(&node, &key, KS_LITERAL("x"))->code, KS_OK);
    assert_int_equal(hsm_drop_domain_key(&node, 1)->code, KS_OK);
    assert_int_equal(hsm_encrypt(&node, &key, KS_LITERAL("x"))->code, KS_UNAVAILABLE);

    assert_int_equal(hsm_make_domain_key(&node, 1)->code, KS_OK); /* another key */

    assert_int_equal(hsm_encrypt(&node, &key, KS_LITERAL("x"))->code, KS_CORRUPT);
}

static void refuses_a_record_that_the_batch_does_not_carry(void **state)
{
    (void)state;
    HsmEncrypt encrypt = KEYSTEAD__INTERNAL__V1__HSM_ENCRYPT__INIT;
    HsmRequest request = HSM_REQUEST(ENCRYPT, encrypt, &encrypt);
    KeyUse use = hsm_use(&key, 2);
    encrypt.plaintext = (ProtobufCBinaryData){1, (uint8_t[]){7}};
    assert_int_equal(ask_about_key(&request)->code, KS_VALIDATION); /* no key */
    encrypt.key = &use;
    assert_int_equal(ask_about_key(&request)->code, KS_VALIDATION);
    use.key = 0;
    assert_int_equal(ask_about_key(&request)->code, KS_VALIDATION);
    use.key = 1;
    uint32_t places[] = {0};
    request.records = places;
    request.n_records = 1;
    HsmReply reply;
    ks_hsm_handle(node.hsm, NULL, &request, &node.arena, &reply);
    assert_int_equal(reply.code, KS_VALIDATION);
    assert_int_equal(ask_about_key(&request)->code, KS_OK);
}

static void a_failed_reply_carries_its_code_and_nothing_else(void **state)
{
    (void)state;
    HsmReply empty = KEYSTEAD__INTERNAL__V1__HSM_REPLY__INIT;
    struct hsm_key bad = key;
    bad.record = nothing;
    const HsmReply *sealed = hsm_encrypt(&node, &key, KS_LITERAL("x"));
    sealed->blob.data[sealed->blob.len - 1] ^= 1;
    HsmReply *replies[] = {hsm_encrypt(&node, &bad, KS_LITERAL("x")),
                           hsm_decrypt(&node, &key, sealed->blob), data_key(2000, false)};

    for (size_t i = 0; i < KS_COUNT(replies); i++) {
        assert_int_not_equal(replies[i]->code, KS_OK);
        empty.code = replies[i]->code;
        assert_memory_equal(replies[i], &empty, sizeof(empty));
    }
}

/* At whatever point the memory of a batch runs out, no half of an answer goes out. */
static void a_full_arena_leaves_no_half_of_a_reply(void **state)
{
    (void)state;
    HsmReply empty = KEYSTEAD__INTERNAL__V1__HSM_REPLY__INIT;
    Keystead__Internal__V1__HsmCreateKey create = KEYSTEAD__INTERNAL__V1__HSM_CREATE_KEY__INIT;
    const KeyRecord body = hsm_key_body();
    const HsmRequest request = HSM_REQUEST(CREATE_KEY, create_key, &create);
    create.body = hsm_packed(&node, &body.base);
    create.generation = 1;
    size_t failed_count = 0;
    for (size_t len = 16; len <= 8192; len += 16) {
        KS_ARENA_AUTO small = {.len_max = len};
        HsmReply reply;
        ks_hsm_handle(node.hsm, NULL, &request, &small, &reply);
        if (reply.code != KS_OK) {
            failed_count++;
            empty.code = KS_LIMIT_EXCEEDED;
            assert_memory_equal(&reply, &empty, sizeof(empty));
        }
    }
    assert_true(failed_count > 2 && failed_count < 500);
}

static void a_request_without_an_operation_is_malformed(void **state)
{
    (void)state;
    const HsmRequest request = KEYSTEAD__INTERNAL__V1__HSM_REQUEST__INIT;

    assert_int_equal(hsm_ask(&node, &request)->code, KS_VALIDATION);
}

/* A batch of `count` random draws, the i-th of i + 1 bytes. */
static void pack_batch(size_t count, struct ks_buffer *out)
{
    HsmBatch batch = KEYSTEAD__INTERNAL__V1__HSM_BATCH__INIT;
    batch.n_requests = count;
    batch.requests = ks_arena_alloc(&node.arena, (count + 1) * sizeof(HsmRequest *));
    for (size_t i = 0; i < count; i++) {
        Keystead__Internal__V1__HsmGenerateRandom *wish =
            ks_arena_alloc(&node.arena, sizeof(*wish));
        keystead__internal__v1__hsm_generate_random__init(wish);
        wish->number_of_bytes = (uint32_t)i + 1;
        batch.requests[i] = ks_arena_alloc(&node.arena, sizeof(HsmRequest));
        *batch.requests[i] = HSM_REQUEST(GENERATE_RANDOM, generate_random, wish);
    }
    uint8_t *place = NULL;
    size_t len = protobuf_c_message_get_packed_size(&batch.base);
    assert_int_equal(ks_buffer_extend(out, len, &place).code, KS_OK);
    protobuf_c_message_pack(&batch.base, place);
}

static void answers_a_batch_in_its_order(void **state)
{
    (void)state;
    KS_BUFFER_AUTO frame = {.len_max = KS_FRAME_LEN_MAX};
    KS_BUFFER_AUTO out = {.len_max = KS_FRAME_MAX};
    pack_batch(KS_HSM_BATCH_MAX, &frame);

    assert_int_equal(ks_hsm_answer(node.hsm, ks_buffer_bytes(&frame), &out).code, KS_OK);

    ks_bytes payload;
    assert_int_equal(ks_frame_next(ks_buffer_bytes(&out), &payload).code, KS_OK);
    assert_int_equal(payload.len + KS_FRAME_HEAD_LEN, out.len);
    HsmBatchReply *reply =
        keystead__internal__v1__hsm_batch_reply__unpack(NULL, payload.len, payload.ptr);
    assert_non_null(reply);
    assert_int_equal(reply->n_replies, KS_HSM_BATCH_MAX);
    for (size_t i = 0; i < reply->n_replies; i++) {
        assert_int_equal(reply->replies[i]->plaintext.len, i + 1);
    }
    keystead__internal__v1__hsm_batch_reply__free_unpacked(reply, NULL);
}

static void refuses_a_batch_of_none_or_too_many(void **state)
{
    (void)state;
    KS_BUFFER_AUTO frame = {.len_max = KS_FRAME_LEN_MAX};
    KS_BUFFER_AUTO out = {.len_max = KS_FRAME_MAX};
    pack_batch(KS_HSM_BATCH_MAX + 1, &frame);

    assert_int_equal(ks_hsm_answer(node.hsm, ks_buffer_bytes(&frame), &out).code, KS_VALIDATION);
    assert_int_equal(ks_hsm_answer(node.hsm, KS_LITERAL(""), &out).code, KS_VALIDATION);
    assert_int_equal(out.len, 0);
}

/* Whatever stands in a frame, it is answered or refused; nothing else happens. */
static void survives_every_damage_to_a_batch(void **state)
{
    (void)state;
    KS_BUFFER_AUTO frame = {.len_max = KS_FRAME_LEN_MAX};
    pack_batch(5, &frame);
    for (size_t bit = 0; bit < 8 * frame.len; bit++) {
        KS_BUFFER_AUTO out = {.len_max = KS_FRAME_MAX};
        frame.ptr[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        ks_result r = ks_hsm_answer(node.hsm, ks_buffer_bytes(&frame), &out);
        assert_true(r.code == KS_OK || r.code == KS_VALIDATION);
        frame.ptr[bit / 8] ^= (uint8_t)(1U << (bit % 8));
    }
    for (size_t len = 0; len < frame.len; len++) {
        KS_BUFFER_AUTO out = {.len_max = KS_FRAME_MAX};
        ks_result r = ks_hsm_answer(node.hsm, (ks_bytes){frame.ptr, len}, &out);
        assert_true(r.code == KS_OK || r.code == KS_VALIDATION);
    }
}

#define PAIRS_MAX 128U /* proto/formats/encryption-context.md */

/* As many pairs as a context may have, each as short as it can be and differ. */
static void fill_context(ContextEntry *pairs, ContextEntry **pointers, char (*keys)[3])
{
    static char value[] = "v";
    for (size_t i = 0; i < PAIRS_MAX; i++) {
        snprintf(keys[i], sizeof(keys[i]), "%c%c", (int)('a' + i / 16), (int)('a' + i % 16));
        keystead__internal__v1__context_entry__init(&pairs[i]);
        pairs[i].key = keys[i];
        pairs[i].value = value;
        pointers[i] = &pairs[i];
    }
}

/*
 * Requests of many tenants share a frame. Would the largest that one may send not fit it, its
 * maker could have everybody's requests fail, and the connection closed.
 */
static void answers_a_frame_of_the_requests_with_the_most_fields(void **state)
{
    (void)state;
    ContextEntry pairs[PAIRS_MAX];
    ContextEntry *context[PAIRS_MAX];
    char keys[PAIRS_MAX][3];
    fill_context(pairs, context, keys);
    HsmDecrypt source = KEYSTEAD__INTERNAL__V1__HSM_DECRYPT__INIT;
    KeyUse uses[] = {hsm_use(&key, 1), hsm_use(&key, 1)};
    source.key = &uses[0];
    source.blob = copy_of(hsm_encrypt(&node, &key, KS_LITERAL("x"))->blob);
    source.context = context;
    source.n_context = PAIRS_MAX;
    HsmReEncrypt move = KEYSTEAD__INTERNAL__V1__HSM_RE_ENCRYPT__INIT;
    move.source = &source;
    move.destination = &uses[1];
    move.destination_context = context;
    move.n_destination_context = PAIRS_MAX;
    HsmRequest request = HSM_REQUEST(RE_ENCRYPT, re_encrypt, &move);
    request.dry_run = true;
    uint32_t places[] = {0};
    request.records = places;
    request.n_records = 1;
    HsmRecord record = KEYSTEAD__INTERNAL__V1__HSM_RECORD__INIT;
    HsmRecord *records[] = {&record};
    record.name = ks_arena_dup(&node.arena, ks_bytes_of(key.name));
    record.record = key.record;
    HsmRequest *requests[KS_HSM_BATCH_MAX];
    for (size_t i = 0; i < KS_HSM_BATCH_MAX; i++) {
        requests[i] = &request;
    }
    HsmBatch batch = KEYSTEAD__INTERNAL__V1__HSM_BATCH__INIT;
    batch.n_requests = KS_HSM_BATCH_MAX;
    batch.requests = requests;
    batch.n_records = 1;
    batch.records = records;
    KS_BUFFER_AUTO frame = {.len_max = KS_FRAME_LEN_MAX};
    KS_BUFFER_AUTO out = {.len_max = KS_FRAME_MAX};
    uint8_t *place = NULL;
    size_t len = protobuf_c_message_get_packed_size(&batch.base);
    assert_int_equal(ks_buffer_extend(&frame, len, &place).code, KS_OK);
    protobuf_c_message_pack(&batch.base, place);

    assert_int_equal(ks_hsm_answer(node.hsm, ks_buffer_bytes(&frame), &out).code, KS_OK);
}

/* A frame of the smallest things a message can hold must not grow past the arena's cap. */
static void a_frame_of_tiny_fields_is_refused(void **state)
{
    (void)state;
    KS_BUFFER_AUTO frame = {.len_max = KS_FRAME_LEN_MAX};
    KS_BUFFER_AUTO out = {.len_max = KS_FRAME_MAX};
    uint8_t *place = NULL;
    assert_int_equal(ks_buffer_extend(&frame, KS_FRAME_LEN_MAX, &place).code, KS_OK);
    for (size_t i = 0; i < KS_FRAME_LEN_MAX; i += 2) {
        place[i] = 0x0a; /* requests, of length */
        place[i + 1] = 0;
    }

    ks_result r = ks_hsm_answer(node.hsm, ks_buffer_bytes(&frame), &out);

    assert_true(r.code == KS_VALIDATION || r.code == KS_LIMIT_EXCEEDED);
    assert_int_equal(out.len, 0);
}

static int set_up(void **state)
{
    (void)state;
    hsm_root_init(&root, FIXTURE_NOW_S);
    hsm_node_init(&node, &root, REGION, REGION "a");
    return 0;
}

static int renew(void **state)
{
    (void)state;
    ks_arena_done(&node.arena);
    hsm_node_restart(&node, 0);
    if (hsm_make_domain_key(&node, 1)->code != KS_OK) {
        return -1;
    }
    key = hsm_new_key(&node, 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hsm_node_done(&node);
    hsm_root_done(&root);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup(name, renew)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(decrypts_what_it_encrypted),
        TEST(no_two_blobs_are_the_same),
        TEST(a_restart_forgets_no_key),
        TEST(refuses_what_every_hsm_refuses),
        TEST(refuses_every_damage_to_a_blob),
        TEST(opens_in_the_same_context_only),
        TEST(keeps_both_sides_of_the_plaintext_limits),
        TEST(makes_data_keys_that_decrypt),
        TEST(keeps_a_data_key_to_itself_if_told_to),
        TEST(a_dry_run_finds_what_the_real_one_would_and_gives_nothing),
        TEST(what_changes_the_hsm_has_no_dry_run),
        TEST(moves_a_blob_to_another_key_without_showing_it),
        TEST(gives_as_many_random_bytes_as_asked_for),
        TEST(a_dropped_generation_takes_its_keys_along),
        TEST(evicts_what_it_is_told_to),
        TEST(a_key_is_made_of_a_body_without_material_only),
        TEST(each_change_of_a_record_raises_its_counter),
        TEST(a_record_is_forgotten_with_its_generation),
        TEST(refuses_a_record_that_the_batch_does_not_carry),
        TEST(a_failed_reply_carries_its_code_and_nothing_else),
        TEST(a_full_arena_leaves_no_half_of_a_reply),
        TEST(a_request_without_an_operation_is_malformed),
        TEST(answers_a_batch_in_its_order),
        TEST(refuses_a_batch_of_none_or_too_many),
        TEST(survives_every_damage_to_a_batch),
        TEST(answers_a_frame_of_the_requests_with_the_most_fields),
        TEST(a_frame_of_tiny_fields_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
