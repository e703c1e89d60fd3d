/*
 * What a mutation leaves in the store for its retries: a record under a name that is found again
 * only if name and hash are made as they always were. A retry may reach a newer keystore than the
 * first try did.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/codec/codec.h"
#include "pkg/form/names.h"
#include "services/keystore/fixture/cell_fixture.h"

/*
 * Of principal "arn:aws:iam::111122223333:user/alice", operation "CreateKey" and request_id
 * "golden-1", each behind its length in 4 bytes:
 *     printf '\0\0\0\044arn:aws:iam::111122223333:user/alice\0\0\0\011CreateKey\0\0\0\010golden-1' \
 *         | sha256sum
 */
#define GOLDEN_NAME                                                                                \
    "request/" CELL_ACCOUNT "/523be67061497bfdc8526027fbdd5b89609c718017b1be5d3aa3de55cbe84b01"

/*
 * Of the request's fields in the order of their numbers, without request_id and defaults:
 *     printf '1206676f6c64656e3a060a0161120131' | xxd -r -p | sha256sum
 */
#define GOLDEN_SHA256 "95d7f8145596254baaa88e48306552f91c1b2ac3b61f3d8734173d2bb647221b"

#define RECORD_LEN_MAX 4096U
#define SHA256_LEN     32U

static struct cell cell;

static int set_up(void **state)
{
    (void)state;
    cell_start(&cell, 0);
    cell_wait_ready(&cell);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    cell_stop(&cell);
    return 0;
}

static void put_varint(struct ks_buffer *out, uint64_t value)
{
    do {
        uint8_t byte = (uint8_t)((value & 0x7fU) | (value > 0x7fU ? 0x80U : 0U));
        assert_int_equal(ks_buffer_append(out, (ks_bytes){&byte, 1}).code, KS_OK);
        value >>= 7;
    } while (value > 0);
}

static void put_field(struct ks_buffer *out, uint8_t head, ks_bytes bytes)
{
    assert_int_equal(ks_buffer_append(out, (ks_bytes){&head, 1}).code, KS_OK);
    put_varint(out, bytes.len);
    assert_int_equal(ks_buffer_append(out, bytes).code, KS_OK);
}

/* RequestRecord, byte by byte: format 1, request_sha256 2, response 3, created_at_ms 4, key_id 5. */
static void write_record(struct ks_buffer *out, ks_bytes response, int64_t created_at_ms)
{
    uint8_t sha256[SHA256_LEN];
    assert_true(ks_hex_read(KS_LITERAL(GOLDEN_SHA256), sha256, sizeof(sha256)));
    assert_int_equal(ks_buffer_append(out, KS_LITERAL("\x08\x01")).code, KS_OK);
    put_field(out, 0x12, (ks_bytes){sha256, sizeof(sha256)});
    put_field(out, 0x1a, response);
    assert_int_equal(ks_buffer_append(out, KS_LITERAL("\x20")).code, KS_OK);
    put_varint(out, (uint64_t)created_at_ms);
}

static struct cell_answer create_golden_key(void)
{
    KMS(Tag) tag = KMS_NEW(TAG);
    tag.tag_key = ks_lend_text("a");
    tag.tag_value_presence_case = KMS_ENUM(TAG__TAG_VALUE_PRESENCE_TAG_VALUE);
    tag.tag_value = ks_lend_text("1");
    KMS(Tag) * tags[] = {&tag};
    KMS(CreateKeyRequest) message = KMS_NEW(CREATE_KEY_REQUEST);
    message.description = ks_lend_text("golden");
    message.key_usage = KMS_ENUM(KEY_USAGE__KEY_USAGE_ENCRYPT_DECRYPT);
    message.key_spec = KMS_ENUM(KEY_SPEC__KEY_SPEC_SYMMETRIC_DEFAULT);
    message.origin = KMS_ENUM(ORIGIN__ORIGIN_AWS_KMS);
    message.tags = tags;
    message.n_tags = 1;
    message.request_id = ks_lend_text("golden-1");
    const struct cell_request request = {.operation = OP(CREATE_KEY),
                                         .request_id = "golden-1",
                                         .message = &message.base,
                                         .response_type = KMS_TYPE(create_key_response)};
    return cell_call(&cell, &request);
}

static void a_request_record_has_the_name_and_the_bytes_that_it_always_had(void **state)
{
    (void)state;
    CELL_ANSWER_AUTO answer = create_golden_key();
    assert_int_equal(answer.code, KS_OK);
    KS_BUFFER_AUTO response = {.len_max = RECORD_LEN_MAX};
    assert_int_equal(ks_codec_pack(answer.response, &response).code, KS_OK);

    KS_STORE_VIEW_AUTO view = {0};
    struct ks_store_record stored;
    assert_int_equal(ks_store_peek(cell.store, &view).code, KS_OK);
    assert_int_equal(ks_store_get(&view, KS_LITERAL(GOLDEN_NAME), &stored).code, KS_OK);

    KS_ARENA_AUTO arena = {.len_max = 4 * RECORD_LEN_MAX};
    ProtobufCMessage *message = NULL;
    assert_int_equal(
        ks_codec_unpack(STORED_TYPE(request_record), stored.value, NULL, &arena, &message).code,
        KS_OK);
    KS_BUFFER_AUTO expected = {.len_max = RECORD_LEN_MAX};
    write_record(&expected, ks_buffer_bytes(&response),
                 ((const STORED(RequestRecord) *)message)->created_at_ms);
    assert_int_equal(stored.value.len, expected.len);
    assert_memory_equal(stored.value.ptr, expected.ptr, expected.len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_record_has_the_name_and_the_bytes_that_it_always_had),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
