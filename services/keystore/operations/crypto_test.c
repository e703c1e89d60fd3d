/* Encrypt, Decrypt, ReEncrypt, GenerateDataKey and GenerateRandom; and the order of refusals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "services/keystore/fixture/key_fixture.h"
#include "tests/harness/gauge.h"

#define ABSENT       "0b4f9c9e-6f5d-4b8b-9b0e-000000000001"
#define MULTI_REGION "mrk-0b4f9c9e6f5d4b8b9b0e000000000001"

static char key_arn[128];

static int set_up_arn(void **state)
{
    (void)set_up(state);
    snprintf(key_arn, sizeof(key_arn), "arn:aws:kms:%s:%s:key/%s", CELL_REGION, CELL_ACCOUNT,
             key_id);
    return 0;
}

static ProtobufCBinaryData blob_of(const struct cell_answer *answer)
{
    expect(answer, "OK");
    return ((const KMS(EncryptResponse) *)answer->response)->ciphertext_blob;
}

static void what_was_encrypted_decrypts_under_its_context_and_names_its_key(void **state)
{
    (void)state;
    CELL_ANSWER_AUTO encrypted = cell_encrypt(&cell, key_id, "secret", "x");
    CELL_ANSWER_AUTO decrypted = cell_decrypt(&cell, blob_of(&encrypted), NULL, "x");
    CELL_ANSWER_AUTO other = cell_decrypt(&cell, blob_of(&encrypted), NULL, "y");

    expect(&decrypted, "OK");
    const KMS(DecryptResponse) *response = (const KMS(DecryptResponse) *)decrypted.response;
    assert_memory_equal(response->plaintext.data, "secret", 6);
    assert_int_equal(response->plaintext.len, 6);
    assert_string_equal(response->key_id, key_arn);
    assert_int_equal(strlen(response->key_material_id), 64);
    expect(&other, "INVALID_CIPHERTEXT");
}

static void all_four_identifiers_name_the_key(void **state)
{
    (void)state;
    cell_create_alias(&cell, "alias/app/main", key_id);
    const char *const names[] = {key_id, key_arn, "alias/app/main",
                                 "arn:aws:kms:" CELL_REGION ":" CELL_ACCOUNT ":alias/app/main"};
    for (size_t i = 0; i < KS_COUNT(names); i++) {
        CELL_ANSWER_AUTO encrypted = cell_encrypt(&cell, names[i], "secret", NULL);
        CELL_ANSWER_AUTO decrypted = cell_decrypt(&cell, blob_of(&encrypted), names[i], NULL);
        expect(&decrypted, "OK");
        assert_string_equal(((const KMS(EncryptResponse) *)encrypted.response)->key_id, key_arn);
    }
}

static void names_that_name_nothing_are_refused_with_aws_texts(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *code;
        const char *text;
    } rows[] = {
        {ABSENT, "NOT_FOUND",
         "Key 'arn:aws:kms:" CELL_REGION ":" CELL_ACCOUNT ":key/" ABSENT "' does not exist"},
        {MULTI_REGION, "NOT_FOUND",
         "Key 'arn:aws:kms:" CELL_REGION ":" CELL_ACCOUNT ":key/" MULTI_REGION "' does not exist"},
        {"alias/none", "NOT_FOUND",
         "Alias arn:aws:kms:" CELL_REGION ":" CELL_ACCOUNT ":alias/none is not found."},
        {"fake-key-id", "NOT_FOUND", "Invalid keyId 'fake-key-id'"},
        {"arn:aws:kms:us-oregon-1:" CELL_ACCOUNT ":key/" ABSENT, "NOT_FOUND",
         "Invalid arn us-oregon-1"},
        {"arn:aws:s3:::bucket", "INVALID_ARN", "Invalid arn arn:aws:s3:::bucket"},
        {"arn:other:kms:" CELL_REGION ":" CELL_ACCOUNT ":key/" ABSENT, "INVALID_ARN",
         "Invalid arn arn:other:kms:" CELL_REGION ":" CELL_ACCOUNT ":key/" ABSENT},
        {"arn:aws:kms:" CELL_REGION ":" CELL_OTHER ":key/" ABSENT, "ACCESS_DENIED", ""},
        {"arn:aws:kms:" CELL_REGION ":" CELL_OTHER ":alias/none", "ACCESS_DENIED", ""},
    };
    for (size_t i = 0; i < KS_COUNT(rows); i++) {
        CELL_ANSWER_AUTO answer = cell_encrypt(&cell, rows[i].name, "secret", NULL);
        expect(&answer, rows[i].code);
        assert_string_equal(answer.text, rows[i].text);
    }
}

/* Promise 6: absent and forbidden look alike across accounts. */
static void a_key_of_another_account_looks_like_none(void **state)
{
    (void)state;
    CELL_ANSWER_AUTO encrypted = cell_encrypt(&cell, key_id, "secret", NULL);
    KMS(DecryptRequest) message = KMS_NEW(DECRYPT_REQUEST);
    message.ciphertext_blob = blob_of(&encrypted);
    const struct cell_request request = {
        .operation = OP(DECRYPT), .account = CELL_OTHER, .message = &message.base};

    CELL_ANSWER_AUTO forbidden = cell_call(&cell, &request);
    cell_on_key(&cell, OP(SCHEDULE_KEY_DELETION), key_id);
    CELL_ANSWER_AUTO pending = cell_call(&cell, &request);

    expect(&forbidden, "ACCESS_DENIED");
    assert_string_equal(forbidden.text, "");
    expect(&pending, "ACCESS_DENIED");
    assert_string_equal(pending.text, "");
}

static void every_cut_and_every_flipped_bit_of_a_ciphertext_is_refused(void **state)
{
    (void)state;
    CELL_ANSWER_AUTO encrypted = cell_encrypt(&cell, key_id, "secret", NULL);
    ProtobufCBinaryData blob = blob_of(&encrypted);
    for (size_t i = 0; i < 8 * blob.len; i += 5) {
        blob.data[i / 8] ^= (uint8_t)(1U << (i % 8));
        CELL_ANSWER_AUTO answer = cell_decrypt(&cell, blob, NULL, NULL);
        assert_true(answer.code == KS_INVALID_CIPHERTEXT || answer.code == KS_ACCESS_DENIED);
        blob.data[i / 8] ^= (uint8_t)(1U << (i % 8));
    }
    for (size_t len = 1; len < blob.len; len++) {
        ProtobufCBinaryData cut = {len, blob.data};
        CELL_ANSWER_AUTO answer = cell_decrypt(&cell, cut, NULL, NULL);
        expect(&answer, "INVALID_CIPHERTEXT");
    }
}

/* The header is in the clear, so anybody can write one. */
static void a_ciphertext_of_another_region_is_denied_whatever_key_it_names(void **state)
{
    (void)state;
    CELL_ANSWER_AUTO encrypted = cell_encrypt(&cell, key_id, "secret", NULL);
    ProtobufCBinaryData blob = blob_of(&encrypted);
    uint8_t *region = memmem(blob.data, blob.len, CELL_REGION, strlen(CELL_REGION));
    uint8_t *key = memmem(blob.data, blob.len, key_id, strlen(key_id));
    assert_non_null(region);
    assert_non_null(key);
    region[strlen(CELL_REGION) - 1] = '9';
    CELL_ANSWER_AUTO there = cell_decrypt(&cell, blob, NULL, NULL);
    memcpy(key, ABSENT, strlen(ABSENT));
    CELL_ANSWER_AUTO absent_there = cell_decrypt(&cell, blob, NULL, NULL);
    region[strlen(CELL_REGION) - 1] = '1';
    CELL_ANSWER_AUTO absent_here = cell_decrypt(&cell, blob, NULL, NULL);

    expect(&there, "ACCESS_DENIED");
    expect(&absent_there, "ACCESS_DENIED");
    expect(&absent_here, "ACCESS_DENIED");
}

static void another_key_besides_the_ciphertext_is_incorrect(void **state)
{
    (void)state;
    char second[37];
    cell_create_key(&cell, second);
    CELL_ANSWER_AUTO encrypted = cell_encrypt(&cell, key_id, "secret", NULL);

    CELL_ANSWER_AUTO other = cell_decrypt(&cell, blob_of(&encrypted), second, NULL);
    CELL_ANSWER_AUTO absent = cell_decrypt(&cell, blob_of(&encrypted), ABSENT, NULL);

    expect(&other, "INCORRECT_KEY");
    expect(&absent, "INCORRECT_KEY");
    assert_string_equal(other.text, "The key ID in the request does not identify a CMK that can "
                                    "perform this operation.");
}

/* Design section 6: form, absent or not allowed, another key, state, what the hsm finds. */
static void a_ciphertext_is_refused_in_the_order_of_the_design(void **state)
{
    (void)state;
    char second[37];
    cell_create_key(&cell, second);
    CELL_ANSWER_AUTO encrypted = cell_encrypt(&cell, key_id, "secret", "x");
    CELL_ANSWER_AUTO disabled = cell_on_key(&cell, OP(DISABLE_KEY), key_id);
    expect(&disabled, "OK");

    CELL_ANSWER_AUTO incorrect = cell_decrypt(&cell, blob_of(&encrypted), second, "y");
    CELL_ANSWER_AUTO state_first = cell_decrypt(&cell, blob_of(&encrypted), NULL, "y");

    expect(&incorrect, "INCORRECT_KEY");
    expect(&state_first, "DISABLED");
    char text[200];
    snprintf(text, sizeof(text), "%s is disabled.", key_arn);
    assert_string_equal(state_first.text, text);
}

static void re_encrypts_under_another_key_and_context(void **state)
{
    (void)state;
    char second[37];
    cell_create_key(&cell, second);
    CELL_ANSWER_AUTO encrypted = cell_encrypt(&cell, key_id, "secret", NULL);
    KMS(ReEncryptRequest__DestinationEncryptionContextEntry)
    entry = KMS_NEW(RE_ENCRYPT_REQUEST__DESTINATION_ENCRYPTION_CONTEXT_ENTRY);
    entry.key = ks_lend_text("a");
    entry.value = ks_lend_text("z");
    KMS(ReEncryptRequest__DestinationEncryptionContextEntry) * entries[] = {&entry};
    KMS(ReEncryptRequest) message = KMS_NEW(RE_ENCRYPT_REQUEST);
    message.ciphertext_blob = blob_of(&encrypted);
    message.destination_key_id = second;
    message.destination_encryption_context = entries;
    message.n_destination_encryption_context = 1;
    const struct cell_request request = {.operation = OP(RE_ENCRYPT),
                                         .message = &message.base,
                                         .response_type = KMS_TYPE(re_encrypt_response)};

    CELL_ANSWER_AUTO moved = cell_call(&cell, &request);

    expect(&moved, "OK");
    const KMS(ReEncryptResponse) *response = (const KMS(ReEncryptResponse) *)moved.response;
    assert_string_equal(response->source_key_id, key_arn);
    assert_non_null(strstr(response->key_id, second));
    CELL_ANSWER_AUTO opened = cell_decrypt(&cell, response->ciphertext_blob, second, "z");
    expect(&opened, "OK");
    assert_memory_equal(((KMS(DecryptResponse) *)opened.response)->plaintext.data, "secret", 6);
}

static struct cell_answer data_key(int spec, bool has_number, int32_t number)
{
    KMS(GenerateDataKeyRequest) message = KMS_NEW(GENERATE_DATA_KEY_REQUEST);
    message.key_id = key_id;
    message.key_spec = (KMS(DataKeySpec))spec;
    message.number_of_bytes_presence_case = has_number ? 3 : 0;
    message.number_of_bytes = number;
    const struct cell_request request = {.operation = OP(GENERATE_DATA_KEY),
                                         .message = &message.base,
                                         .response_type = KMS_TYPE(generate_data_key_response)};
    return cell_call(&cell, &request);
}

static void a_data_key_has_the_length_asked_for_and_its_blob_opens_to_it(void **state)
{
    (void)state;
    static const struct {
        int spec;
        bool has_number;
        int32_t number;
        size_t len; /* 0: refused */
    } rows[] = {
        {1, false, 0, 32},     {2, false, 0, 16}, {0, true, 1, 1},
        {0, true, 1024, 1024}, {0, true, 0, 0},   {0, true, 1025, 0},
        {0, false, 0, 0},      {1, true, 32, 0},  {3, false, 0, 0},
    };
    for (size_t i = 0; i < KS_COUNT(rows); i++) {
        CELL_ANSWER_AUTO answer = data_key(rows[i].spec, rows[i].has_number, rows[i].number);
        if (rows[i].len == 0) {
            expect(&answer, "VALIDATION");
            continue;
        }
        expect(&answer, "OK");
        const KMS(GenerateDataKeyResponse) *response =
            (const KMS(GenerateDataKeyResponse) *)answer.response;
        assert_int_equal(response->plaintext.len, rows[i].len);
        CELL_ANSWER_AUTO opened = cell_decrypt(&cell, response->ciphertext_blob, NULL, NULL);
        expect(&opened, "OK");
        assert_memory_equal(((KMS(DecryptResponse) *)opened.response)->plaintext.data,
                            response->plaintext.data, rows[i].len);
    }
}

static void a_data_key_without_plaintext_has_none(void **state)
{
    (void)state;
    KMS(GenerateDataKeyWithoutPlaintextRequest)
    message = KMS_NEW(GENERATE_DATA_KEY_WITHOUT_PLAINTEXT_REQUEST);
    message.key_id = key_id;
    message.key_spec = KMS_ENUM(DATA_KEY_SPEC__DATA_KEY_SPEC_AES_256);
    const struct cell_request request = {
        .operation = OP(GENERATE_DATA_KEY_WITHOUT_PLAINTEXT),
        .message = &message.base,
        .response_type = KMS_TYPE(generate_data_key_without_plaintext_response)};

    CELL_ANSWER_AUTO answer = cell_call(&cell, &request);

    expect(&answer, "OK");
    const KMS(GenerateDataKeyWithoutPlaintextResponse) *response =
        (const KMS(GenerateDataKeyWithoutPlaintextResponse) *)answer.response;
    CELL_ANSWER_AUTO opened = cell_decrypt(&cell, response->ciphertext_blob, NULL, NULL);
    assert_int_equal(((KMS(DecryptResponse) *)opened.response)->plaintext.len, 32);
}

static struct cell_answer random_bytes(bool has_number, int32_t number)
{
    KMS(GenerateRandomRequest) message = KMS_NEW(GENERATE_RANDOM_REQUEST);
    message.number_of_bytes_presence_case = has_number ? 1 : 0;
    message.number_of_bytes = number;
    const struct cell_request request = {.operation = OP(GENERATE_RANDOM),
                                         .message = &message.base,
                                         .response_type = KMS_TYPE(generate_random_response)};
    return cell_call(&cell, &request);
}

static void random_bytes_are_as_many_as_asked_for_within_limits(void **state)
{
    (void)state;
    CELL_ANSWER_AUTO none = random_bytes(false, 0);
    CELL_ANSWER_AUTO zero = random_bytes(true, 0);
    CELL_ANSWER_AUTO one = random_bytes(true, 1);
    CELL_ANSWER_AUTO most = random_bytes(true, 1024);
    CELL_ANSWER_AUTO more = random_bytes(true, 1025);

    assert_string_equal(none.text, "NumberOfBytes is required.");
    assert_string_equal(zero.text,
                        "1 validation error detected: Value '0' at 'numberOfBytes' failed to "
                        "satisfy constraint: Member must have value greater than or equal to 1");
    expect(&one, "OK");
    expect(&most, "OK");
    assert_int_equal(((KMS(GenerateRandomResponse) *)most.response)->plaintext.len, 1024);
    assert_string_equal(more.text,
                        "1 validation error detected: Value '1025' at 'numberOfBytes' failed to "
                        "satisfy constraint: Member must have value less than or equal to 1024");
}

static void a_plaintext_has_1_to_4096_bytes(void **state)
{
    (void)state;
    char *text = ks_alloc(1, 4098);
    CELL_ANSWER_AUTO none = cell_encrypt(&cell, key_id, "", NULL);
    memset(text, 'x', 4096);
    CELL_ANSWER_AUTO most = cell_encrypt(&cell, key_id, text, NULL);
    text[4096] = 'x';
    CELL_ANSWER_AUTO more = cell_encrypt(&cell, key_id, text, NULL);
    ks_free(text);

    expect(&none, "VALIDATION");
    expect(&most, "OK");
    assert_string_equal(more.text, "1 validation error detected: Value at 'plaintext' failed to "
                                   "satisfy constraint: Member must have length less than or "
                                   "equal to 4096");
}

/* A response that says that it was a dry run, and nothing else. */
static void expect_dry(const struct cell_answer *answer)
{
    static const uint8_t dry_run[] = {0xa8, 0x06, 0x01}; /* field 101: true */
    uint8_t packed[sizeof(dry_run)];
    expect(answer, "OK");
    assert_int_equal(protobuf_c_message_get_packed_size(answer->response), sizeof(dry_run));
    protobuf_c_message_pack(answer->response, packed);
    assert_memory_equal(packed, dry_run, sizeof(dry_run));
}

static struct cell_answer dry_decrypt(ProtobufCBinaryData blob, const char *context)
{
    KMS(DecryptRequest__EncryptionContextEntry)
    entry = KMS_NEW(DECRYPT_REQUEST__ENCRYPTION_CONTEXT_ENTRY);
    KMS(DecryptRequest__EncryptionContextEntry) * entries[] = {&entry};
    KMS(DecryptRequest) message = KMS_NEW(DECRYPT_REQUEST);
    entry.key = ks_lend_text("a");
    entry.value = ks_lend_text(context);
    message.ciphertext_blob = blob;
    message.encryption_context = entries;
    message.n_encryption_context = 1;
    message.dry_run = true;
    const struct cell_request request = {.operation = OP(DECRYPT),
                                         .message = &message.base,
                                         .response_type = KMS_TYPE(decrypt_response)};
    return cell_call(&cell, &request);
}

static struct cell_answer dry_re_encrypt(ProtobufCBinaryData blob, const char *context)
{
    KMS(ReEncryptRequest__SourceEncryptionContextEntry)
    entry = KMS_NEW(RE_ENCRYPT_REQUEST__SOURCE_ENCRYPTION_CONTEXT_ENTRY);
    KMS(ReEncryptRequest__SourceEncryptionContextEntry) * entries[] = {&entry};
    KMS(ReEncryptRequest) message = KMS_NEW(RE_ENCRYPT_REQUEST);
    entry.key = ks_lend_text("a");
    entry.value = ks_lend_text(context);
    message.ciphertext_blob = blob;
    message.source_encryption_context = entries;
    message.n_source_encryption_context = 1;
    message.destination_key_id = key_id;
    message.dry_run = true;
    const struct cell_request request = {.operation = OP(RE_ENCRYPT),
                                         .message = &message.base,
                                         .response_type = KMS_TYPE(re_encrypt_response)};
    return cell_call(&cell, &request);
}

/* A caller that asks whether a ciphertext would open learns it. */
static void a_dry_run_opens_the_ciphertext_and_gives_nothing(void **state)
{
    (void)state;
    CELL_ANSWER_AUTO encrypted = cell_encrypt(&cell, key_id, "secret", "x");
    ProtobufCBinaryData blob = blob_of(&encrypted);
    CELL_ANSWER_AUTO decrypted = dry_decrypt(blob, "x");
    CELL_ANSWER_AUTO other_context = dry_decrypt(blob, "y");
    CELL_ANSWER_AUTO moved = dry_re_encrypt(blob, "x");
    CELL_ANSWER_AUTO moved_other_context = dry_re_encrypt(blob, "y");
    blob.data[blob.len - 1] ^= 1;
    CELL_ANSWER_AUTO flipped = dry_decrypt(blob, "x");
    CELL_ANSWER_AUTO moved_flipped = dry_re_encrypt(blob, "x");

    expect_dry(&decrypted);
    expect_dry(&moved);
    expect(&other_context, "INVALID_CIPHERTEXT");
    expect(&moved_other_context, "INVALID_CIPHERTEXT");
    expect(&flipped, "INVALID_CIPHERTEXT");
    expect(&moved_flipped, "INVALID_CIPHERTEXT");
}

/* Each of them uses the key, and gives nothing. */
static void a_dry_run_fails_where_the_key_cannot_be_used(void **state)
{
    (void)state;
    KMS(EncryptRequest) encrypt = KMS_NEW(ENCRYPT_REQUEST);
    encrypt.key_id = key_id;
    encrypt.plaintext = ks_lend_bytes(KS_LITERAL("x"));
    encrypt.dry_run = true;
    KMS(GenerateDataKeyRequest) generate = KMS_NEW(GENERATE_DATA_KEY_REQUEST);
    generate.key_id = key_id;
    generate.key_spec = KMS_ENUM(DATA_KEY_SPEC__DATA_KEY_SPEC_AES_256);
    generate.dry_run = true;
    KMS(GenerateDataKeyWithoutPlaintextRequest)
    without = KMS_NEW(GENERATE_DATA_KEY_WITHOUT_PLAINTEXT_REQUEST);
    without.key_id = key_id;
    without.key_spec = KMS_ENUM(DATA_KEY_SPEC__DATA_KEY_SPEC_AES_256);
    without.dry_run = true;
    const struct cell_request requests[] = {
        {.operation = OP(ENCRYPT),
         .message = &encrypt.base,
         .response_type = KMS_TYPE(encrypt_response)},
        {.operation = OP(GENERATE_DATA_KEY),
         .message = &generate.base,
         .response_type = KMS_TYPE(generate_data_key_response)},
        {.operation = OP(GENERATE_DATA_KEY_WITHOUT_PLAINTEXT),
         .message = &without.base,
         .response_type = KMS_TYPE(generate_data_key_without_plaintext_response)},
    };
    for (size_t i = 0; i < KS_COUNT(requests); i++) {
        CELL_ANSWER_AUTO done = cell_call(&cell, &requests[i]);
        ks_fake_hsm_fail(cell.hsm, 0, 1, KS_CORRUPT);
        CELL_ANSWER_AUTO damaged = cell_call(&cell, &requests[i]);

        expect_dry(&done);
        expect(&damaged, "INTERNAL");
    }
}

static bool is_back(void)
{
    CELL_ANSWER_AUTO again = cell_encrypt(&cell, key_id, "secret", NULL);
    if (again.code != KS_OK) {
        expect(&again, "UNAVAILABLE");
    }
    return again.code == KS_OK;
}

/* The frontend then goes to another keystore. */
static void without_an_hsm_the_answer_is_unavailable_until_it_is_back(void **state)
{
    (void)state;
    ks_fake_hsm_hang(cell.hsm, true);
    ks_fake_hsm_restart(cell.hsm);
    CELL_ANSWER_AUTO gone = cell_encrypt(&cell, key_id, "secret", NULL);
    ks_fake_hsm_hang(cell.hsm, false);
    expect(&gone, "UNAVAILABLE");

    await_true(is_back());
}

static void what_only_the_inside_can_have_done_wrong_is_internal(void **state)
{
    (void)state;
    ks_fake_hsm_fail(cell.hsm, 0, 1, KS_CORRUPT);
    CELL_ANSWER_AUTO corrupt = cell_encrypt(&cell, key_id, "secret", NULL);
    ks_fake_hsm_fail(cell.hsm, 0, 1, KS_INVALID_CIPHERTEXT);
    CELL_ANSWER_AUTO odd = cell_encrypt(&cell, key_id, "secret", NULL);
    ks_fake_hsm_fail(cell.hsm, 0, 1, KS_NOT_FOUND);
    CELL_ANSWER_AUTO elsewhere = cell_encrypt(&cell, key_id, "secret", NULL);

    expect(&corrupt, "INTERNAL");
    expect(&odd, "INTERNAL");
    expect(&elsewhere, "UNAVAILABLE");
}

/* Items of one message, each answered at once: undecided, they get their key's view. */

static void note_arn(void *user, const INTERNAL(ItemResult) * result)
{
    char *arn = user;
    assert_int_equal(result->code, KS_STALE_VIEW);
    assert_int_equal(result->n_views, 1);
    const INTERNAL(Fact) *fact = result->views[0]->facts[0];
    assert_string_equal(fact->key, KS_FACT_KEY_ARN);
    snprintf(arn, 128, "%.*s", (int)fact->value.len, (const char *)fact->value.data);
}

static void ask_of_message(struct ks_execute_message *message, const char *key,
                           ks_execute_done_fn done, void *user)
{
    KMS(DescribeKeyRequest) describe = KMS_NEW(DESCRIBE_KEY_REQUEST);
    describe.key_id = ks_lend_text(key);
    uint8_t request[256];
    INTERNAL(Item) item = INTERNAL_NEW(ITEM);
    item.operation = OP(DESCRIBE_KEY);
    item.account = ks_lend_text(CELL_ACCOUNT);
    item.request = (ProtobufCBinaryData){protobuf_c_message_pack(&describe.base, request), request};
    uint8_t bytes[512];
    ks_bytes packed = {bytes, protobuf_c_message_pack(&item.base, bytes)};
    assert_int_equal(ks_execute(&cell.env, message, packed, done, user).code, KS_OK);
}

/* What the items of a message share is looked up by name: none gets another's key. */
static void each_item_of_a_message_gets_the_key_that_it_names(void **state)
{
    (void)state;
    char other_id[37];
    cell_create_key(&cell, other_id);
    cell_create_alias(&cell, "alias/other", other_id);
    const char *const names[] = {key_id, other_id, key_id, "alias/other", other_id};
    char arns[KS_COUNT(names)][128] = {0};
    struct ks_execute_message message = {0};

    void *snapshot = NULL;
    for (size_t i = 0; i < KS_COUNT(names); i++) {
        ask_of_message(&message, names[i], note_arn, arns[i]);
        snapshot = i == 0 ? message.view.snapshot : snapshot;
        assert_non_null(snapshot);
        assert_ptr_equal(message.view.snapshot, snapshot); /* one for all of them */
    }
    ks_execute_message_done(&message);

    char other_arn[128];
    snprintf(other_arn, sizeof(other_arn), "arn:aws:kms:%s:%s:key/%s", CELL_REGION, CELL_ACCOUNT,
             other_id);
    const char *const wanted[] = {key_arn, other_arn, key_arn, other_arn, other_arn};
    for (size_t i = 0; i < KS_COUNT(names); i++) {
        assert_string_equal(arns[i], wanted[i]);
    }
}

static void note_code(void *user, const INTERNAL(ItemResult) * result)
{
    *(uint32_t *)user = result->code;
}

/* One look at the serving window counts for all items of a message: nothing is served without. */
static void without_a_window_no_item_of_a_message_is_served(void **state)
{
    (void)state;
    struct ks_execute_message message = {.looked = true, .served = KS_RES(UNAVAILABLE)};
    for (size_t i = 0; i < 2; i++) {
        uint32_t code = KS_CODE_COUNT;
        ask_of_message(&message, key_id, note_code, &code);
        assert_int_equal(code, KS_UNAVAILABLE);
    }
    ks_execute_message_done(&message);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_arn, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_encrypted_decrypts_under_its_context_and_names_its_key),
        TEST(all_four_identifiers_name_the_key),
        TEST(names_that_name_nothing_are_refused_with_aws_texts),
        TEST(a_key_of_another_account_looks_like_none),
        TEST(every_cut_and_every_flipped_bit_of_a_ciphertext_is_refused),
        TEST(a_ciphertext_of_another_region_is_denied_whatever_key_it_names),
        TEST(another_key_besides_the_ciphertext_is_incorrect),
        TEST(a_ciphertext_is_refused_in_the_order_of_the_design),
        TEST(re_encrypts_under_another_key_and_context),
        TEST(a_data_key_has_the_length_asked_for_and_its_blob_opens_to_it),
        TEST(a_data_key_without_plaintext_has_none),
        TEST(random_bytes_are_as_many_as_asked_for_within_limits),
        TEST(a_plaintext_has_1_to_4096_bytes),
        TEST(a_dry_run_opens_the_ciphertext_and_gives_nothing),
        TEST(a_dry_run_fails_where_the_key_cannot_be_used),
        TEST(without_an_hsm_the_answer_is_unavailable_until_it_is_back),
        TEST(what_only_the_inside_can_have_done_wrong_is_internal),
        TEST(each_item_of_a_message_gets_the_key_that_it_names),
        TEST(without_a_window_no_item_of_a_message_is_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
