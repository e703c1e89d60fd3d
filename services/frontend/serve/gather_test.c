#include "services/frontend/serve/gather.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "keystead/kms/v1/batch.pb-c.h"
#include "pkg/base/mem.h"
#include "pkg/codec/codec.h"

static void writes_what_protobuf_reads(void **state)
{
    (void)state;
    Keystead__Kms__V1__EncryptResponse response = KEYSTEAD__KMS__V1__ENCRYPT_RESPONSE__INIT;
    response.key_id = (char *)"arn";
    KS_BUFFER_AUTO bytes = {.len_max = 4096};
    assert_int_equal(ks_codec_pack(&response.base, &bytes).code, KS_OK);
    struct ks_refusal good = {.code = KS_OK};
    struct ks_refusal bad = {.code = KS_OK};
    (void)ks_refusal_set(&bad, KS_INVALID_CIPHERTEXT, "%s", "words");
    ks_refusal_add(&bad, KS_LITERAL("region"), KS_LITERAL("us-oregon-1"));
    struct ks_refusal plain = {.code = KS_OK};
    (void)ks_refusal_set_code(&plain, KS_ACCESS_DENIED);
    KS_BUFFER_AUTO batch = {.len_max = KS_GATHER_LEN_MAX};

    assert_int_equal(ks_gather_result(&good, ks_buffer_bytes(&bytes), &batch).code, KS_OK);
    assert_int_equal(ks_gather_result(&bad, (ks_bytes){0}, &batch).code, KS_OK);
    assert_int_equal(ks_gather_result(&good, (ks_bytes){0}, &batch).code, KS_OK);
    assert_int_equal(ks_gather_result(&plain, (ks_bytes){0}, &batch).code, KS_OK);

    KS_ARENA_AUTO arena = {.len_max = 65536};
    struct ProtobufCMessage *unpacked = NULL;
    assert_int_equal(ks_codec_unpack(&keystead__kms__v1__encrypt_batch_response__descriptor,
                                     ks_buffer_bytes(&batch), NULL, &arena, &unpacked)
                         .code,
                     KS_OK);
    const Keystead__Kms__V1__EncryptBatchResponse *got =
        (const Keystead__Kms__V1__EncryptBatchResponse *)unpacked;
    assert_int_equal(got->n_results, 4);
    assert_string_equal(got->results[0]->response->key_id, "arn");
    assert_string_equal(got->results[1]->error->code, "InvalidCiphertextException");
    assert_string_equal(got->results[1]->error->message, "words");
    assert_string_equal(got->results[1]->error->metadata[0]->key, "region");
    assert_string_equal(got->results[1]->error->metadata[0]->value, "us-oregon-1");
    assert_int_equal(got->results[2]->outcome_case,
                     KEYSTEAD__KMS__V1__ENCRYPT_BATCH_RESULT__OUTCOME_RESPONSE);
    assert_string_equal(got->results[3]->error->code, "AccessDeniedException");
    assert_string_equal(got->results[3]->error->message, ks_text(KS_ACCESS_DENIED));
}

/* The same numbers in all four forms, as they are written by one function. */
static void every_batch_has_the_same_form(void **state)
{
    (void)state;
    static const ProtobufCMessageDescriptor *const responses[] = {
        &keystead__kms__v1__encrypt_batch_response__descriptor,
        &keystead__kms__v1__decrypt_batch_response__descriptor,
        &keystead__kms__v1__generate_data_key_batch_response__descriptor,
        &keystead__kms__v1__re_encrypt_batch_response__descriptor,
    };
    for (size_t i = 0; i < KS_COUNT(responses); i++) {
        const ProtobufCFieldDescriptor *results =
            protobuf_c_message_descriptor_get_field_by_name(responses[i], "results");
        const ProtobufCMessageDescriptor *result = results->descriptor;
        assert_int_equal(results->id, 1);
        assert_int_equal(protobuf_c_message_descriptor_get_field_by_name(result, "response")->id,
                         1);
        assert_int_equal(protobuf_c_message_descriptor_get_field_by_name(result, "error")->id, 2);
    }
}

/* The longest text with the longest metadata fits, and so do a hundred of the largest responses. */
static void has_room_for_the_largest(void **state)
{
    (void)state;
    struct ks_refusal bad = {.code = KS_DISABLED};
    memset(bad.text, 'a', KS_REFUSAL_TEXT_MAX);
    char name[KS_REFUSAL_NAME_MAX];
    char value[KS_REFUSAL_VALUE_MAX];
    memset(name, 'n', sizeof(name));
    memset(value, 'v', sizeof(value));
    for (int i = 0; i < 6; i++) {
        ks_refusal_add(&bad, (ks_bytes){(uint8_t *)name, sizeof(name)},
                       (ks_bytes){(uint8_t *)value, sizeof(value)});
    }
    assert_int_equal(bad.detail_count, KS_REFUSAL_DETAILS_MAX);
    struct ks_refusal good = {.code = KS_OK};
    KS_AUTO_FREE uint8_t *response = ks_alloc(10240, 1);
    KS_BUFFER_AUTO batch = {.len_max = KS_GATHER_LEN_MAX};
    for (size_t i = 0; i < KS_BATCH_ITEMS_MAX; i++) {
        assert_int_equal(ks_gather_result(&good, (ks_bytes){response, 10240}, &batch).code, KS_OK);
        assert_int_equal(ks_gather_result(&bad, (ks_bytes){0}, &batch).code, KS_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_what_protobuf_reads),
        cmocka_unit_test(every_batch_has_the_same_form),
        cmocka_unit_test(has_room_for_the_largest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
