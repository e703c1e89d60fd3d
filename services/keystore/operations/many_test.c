/* Messages full of items, as one client can fill them: the hsm answers every one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/codec/codec.h"
#include "services/keystore/fixture/key_fixture.h"
#include "tests/harness/gauge.h"

#define DESCRIPTION_LEN 8192U
#define KEYS            127U /* as many as an ExecuteRequest takes with such descriptions */
#define ENCRYPTS        256U
#define PLAINTEXT_LEN   4096U
#define ITEM_LEN_MAX    16384U

static struct gauge answers = GAUGE_INIT;
static struct gauge good = GAUGE_INIT;

static void answered(void *user, const INTERNAL(ItemResult) * result)
{
    (void)user;
    if (result->code == KS_OK) {
        gauge_raise(&good);
    }
    gauge_raise(&answers);
}

/* An item that is allowed, as a frontend sends it that knows the version of the key. */
static void pack_item(uint32_t operation, const ProtobufCMessage *message, const char *request_id,
                      ks_bytes version, struct ks_buffer *packed)
{
    KS_BUFFER_AUTO request = {.len_max = ITEM_LEN_MAX};
    assert_int_equal(ks_codec_pack(message, &request).code, KS_OK);
    ProtobufCBinaryData versions = ks_lend_bytes(version);
    INTERNAL(Item) item = INTERNAL_NEW(ITEM);
    item.tag = 7;
    item.operation = operation;
    item.account = ks_lend_text(CELL_ACCOUNT);
    item.principal = ks_lend_text("arn:aws:iam::" CELL_ACCOUNT ":user/alice");
    item.request_id = ks_lend_text(request_id);
    item.request = ks_lend_bytes(ks_buffer_bytes(&request));
    item.versions = &versions;
    item.n_versions = version.len > 0 ? 1 : 0;
    item.decision = INTERNAL_ENUM(DECISION__DECISION_ALLOW);
    ks_buffer_done(packed);
    assert_int_equal(ks_codec_pack(&item.base, packed).code, KS_OK);
}

static void take(struct ks_execute_message *message, const struct ks_buffer *item)
{
    ks_result taken = ks_execute(&cell.env, message, ks_buffer_bytes(item), answered, NULL);
    assert_int_equal(taken.code, KS_OK);
}

static void begin(void)
{
    gauge_reset(&answers);
    gauge_reset(&good);
    ks_hsm_link_hold(cell.link);
}

/* Everything was done, and the hsm's connection is the one that it was. */
static void expect_all(struct ks_execute_message *message, unsigned count, uint64_t life)
{
    ks_execute_message_done(message);
    ks_hsm_link_release(cell.link);
    gauge_await(&answers, (int)count);
    assert_int_equal(gauge_read(&good), count);
    assert_int_equal(ks_hsm_link_life(cell.link), life);
}

/* Each record is longer than the request for it: a full frame of these had replies beyond one. */
static void keys_with_long_descriptions_are_all_made_when_they_come_at_once(void **state)
{
    (void)state;
    static char description[DESCRIPTION_LEN + 1];
    KS_BUFFER_AUTO item = {.len_max = ITEM_LEN_MAX};
    struct ks_execute_message message = {0};
    KMS(CreateKeyRequest) create = KMS_NEW(CREATE_KEY_REQUEST);
    memset(description, 'd', DESCRIPTION_LEN);
    create.description = description;
    uint64_t life = ks_hsm_link_life(cell.link);

    begin();
    for (unsigned i = 0; i < KEYS; i++) {
        char id[16];
        snprintf(id, sizeof(id), "many-%u", i);
        pack_item(OP(CREATE_KEY), &create.base, id, (ks_bytes){0}, &item);
        take(&message, &item);
    }
    expect_all(&message, KEYS, life);
}

/* Each blob is longer than its plaintext, and all share one record. */
static void the_longest_plaintexts_are_all_encrypted_when_they_come_at_once(void **state)
{
    (void)state;
    static uint8_t plaintext[PLAINTEXT_LEN];
    KS_BUFFER_AUTO item = {.len_max = ITEM_LEN_MAX};
    struct ks_execute_message message = {0};
    KMS(EncryptRequest) encrypt = KMS_NEW(ENCRYPT_REQUEST);
    encrypt.key_id = key_id;
    encrypt.plaintext = (ProtobufCBinaryData){sizeof(plaintext), plaintext};
    pack_item(OP(ENCRYPT), &encrypt.base, "", (ks_bytes){0}, &item);
    ProtobufCMessage *undecided = NULL;
    KS_ARENA_AUTO arena = {.len_max = 1U << 20};
    assert_int_equal(
        ks_codec_unpack(INTERNAL_TYPE(item), ks_buffer_bytes(&item), NULL, &arena, &undecided).code,
        KS_OK);
    CELL_ANSWER_AUTO views = cell_send(&cell, (const INTERNAL(Item) *)undecided, NULL);
    expect(&views, "STALE_VIEW");
    pack_item(OP(ENCRYPT), &encrypt.base, "", views.versions[0], &item);
    uint64_t life = ks_hsm_link_life(cell.link);

    begin();
    for (unsigned i = 0; i < ENCRYPTS; i++) {
        take(&message, &item);
    }
    expect_all(&message, ENCRYPTS, life);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(keys_with_long_descriptions_are_all_made_when_they_come_at_once),
        TEST(the_longest_plaintexts_are_all_encrypted_when_they_come_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
