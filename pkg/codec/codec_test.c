#include "pkg/codec/codec.h"

#include <protobuf-c/protobuf-c.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "keystead/internal/v1/internal.pb-c.h"
#include "keystead/kms/v1/kms.pb-c.h"
#include "pkg/codec/wire.h"

#define ENCRYPT     (&keystead__kms__v1__encrypt_request__descriptor)
#define BYTES(text) KS_LITERAL(text)

typedef Keystead__Kms__V1__EncryptRequest encrypt_request;

static ks_code check(const ProtobufCMessageDescriptor *type, ks_bytes message)
{
    return ks_codec_check(type, message, NULL, NULL).code;
}

/* An EncryptRequest with something in each kind of field. */
static void put_sample(struct ks_buffer *buffer)
{
    encrypt_request request = KEYSTEAD__KMS__V1__ENCRYPT_REQUEST__INIT;
    Keystead__Kms__V1__EncryptRequest__EncryptionContextEntry entry =
        KEYSTEAD__KMS__V1__ENCRYPT_REQUEST__ENCRYPTION_CONTEXT_ENTRY__INIT;
    Keystead__Kms__V1__EncryptRequest__EncryptionContextEntry *entries[] = {&entry};
    char *tokens[] = {(char *)"first", (char *)"second"};
    entry.key = (char *)"tenant";
    entry.value = (char *)"\xe2\x82\xac";
    request.key_id = (char *)"alias/x";
    request.plaintext = (ProtobufCBinaryData){5, (uint8_t *)"a\0b\xff!"};
    request.n_encryption_context = 1;
    request.encryption_context = entries;
    request.n_grant_tokens = 2;
    request.grant_tokens = tokens;
    request.dry_run = 1;
    assert_int_equal(ks_codec_pack(&request.base, buffer).code, KS_OK);
}

static void unpacks_what_it_packs(void **state)
{
    (void)state;
    KS_BUFFER_AUTO buffer = {.len_max = 4096};
    put_sample(&buffer);
    KS_ARENA_AUTO arena = {.len_max = 4096};
    ProtobufCMessage *message = NULL;

    ks_result r = ks_codec_unpack(ENCRYPT, ks_buffer_bytes(&buffer), NULL, &arena, &message);

    assert_int_equal(r.code, KS_OK);
    const encrypt_request *got = (const encrypt_request *)message;
    assert_string_equal(got->key_id, "alias/x");
    assert_int_equal(got->plaintext.len, 5);
    assert_memory_equal(got->plaintext.data, "a\0b\xff!", 5);
    assert_string_equal(got->encryption_context[0]->value, "\xe2\x82\xac");
    assert_string_equal(got->grant_tokens[1], "second");
    assert_true(got->dry_run);
}

/* Whatever passes the check unpacks, and nothing is read past the end (run under ASan). */
static void survives_every_damage(void **state)
{
    (void)state;
    KS_BUFFER_AUTO buffer = {.len_max = 4096};
    put_sample(&buffer);
    size_t refused = 0;
    for (size_t bit = 0; bit < 8 * buffer.len; bit++) {
        KS_ARENA_AUTO arena = {.len_max = 65536};
        KS_AUTO_FREE uint8_t *bad = ks_alloc(buffer.len, 1);
        memcpy(bad, buffer.ptr, buffer.len);
        bad[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        ProtobufCMessage *message = NULL;

        ks_result r = ks_codec_unpack(ENCRYPT, (ks_bytes){bad, buffer.len}, NULL, &arena, &message);

        assert_true(r.code == KS_OK || r.code == KS_VALIDATION);
        assert_int_equal(message != NULL, r.code == KS_OK);
        refused += r.code != KS_OK;
    }
    assert_true(refused > buffer.len);
}

/* Cut between two fields it is a shorter message; anywhere else it is refused. */
static void refuses_every_cut_inside_a_field(void **state)
{
    (void)state;
    KS_BUFFER_AUTO buffer = {.len_max = 4096};
    put_sample(&buffer);
    ks_bytes rest = ks_buffer_bytes(&buffer);
    size_t boundary = 0;
    for (size_t len = 0; len < buffer.len; len++) {
        KS_AUTO_FREE uint8_t *cut = ks_alloc(len + 1, 1);
        memcpy(cut, buffer.ptr, len);

        ks_code code = check(ENCRYPT, (ks_bytes){cut, len});

        assert_int_equal(code, len == boundary ? KS_OK : KS_VALIDATION);
        if (len == boundary) {
            struct ks_wire_field field;
            assert_int_equal(ks_wire_next(&rest, &field).code, KS_OK);
            boundary = (size_t)(rest.ptr - buffer.ptr);
        }
    }
}

static void refuses_strings_that_c_would_see_otherwise(void **state)
{
    (void)state;
    struct ks_codec_fault fault = {0};

    assert_int_equal(check(ENCRYPT, BYTES("\x0a\x03"
                                          "a\0b")),
                     KS_VALIDATION);
    assert_int_equal(check(ENCRYPT, BYTES("\x0a\x02\xc3\x28")), KS_VALIDATION);
    assert_int_equal(check(ENCRYPT, BYTES("\x1a\x04\x0a\x02\xc3\x28")), KS_VALIDATION);
    assert_int_equal(check(ENCRYPT, BYTES("\x22\x01\xff")), KS_VALIDATION);
    /* Bytes may be anything. */
    assert_int_equal(check(ENCRYPT, BYTES("\x12\x02\xc3\x28")), KS_OK);

    ks_result r = ks_codec_check(ENCRYPT, BYTES("\x0a\x01\xff"), NULL, &fault);
    assert_int_equal(r.code, KS_VALIDATION);
    assert_string_equal(fault.field, "key_id");
    assert_string_equal(fault.what, "must be UTF-8 text without NUL");
}

static void refuses_other_wire_types_and_groups(void **state)
{
    (void)state;

    assert_int_equal(check(ENCRYPT, BYTES("\x08\x01")), KS_VALIDATION); /* string as varint */
    assert_int_equal(check(ENCRYPT, BYTES("\x0d\x01\x02\x03\x04")), KS_VALIDATION);
    assert_int_equal(check(ENCRYPT, BYTES("\x32\x01\x01")), KS_VALIDATION);     /* bool as bytes */
    assert_int_equal(check(ENCRYPT, BYTES("\x0b\x0c")), KS_VALIDATION);         /* a group */
    assert_int_equal(check(ENCRYPT, BYTES("\xfb\x07\xfc\x07")), KS_VALIDATION); /* unknown group */
}

static void refuses_a_single_field_twice(void **state)
{
    (void)state;
    const ProtobufCMessageDescriptor *result = &keystead__kms__v1__encrypt_batch_result__descriptor;

    assert_int_equal(check(ENCRYPT, BYTES("\x0a\x01x")), KS_OK);
    assert_int_equal(check(ENCRYPT, BYTES("\x0a\x01x\x0a\x01y")), KS_VALIDATION);
    assert_int_equal(check(ENCRYPT, BYTES("\x22\x01x\x22\x01y")), KS_OK); /* repeated */
    /* A key of a map entry twice, and two members of a oneof. */
    assert_int_equal(check(ENCRYPT, BYTES("\x1a\x06\x0a\x01x\x0a\x01y")), KS_VALIDATION);
    assert_int_equal(check(result, BYTES("\x0a\x00")), KS_OK);
    assert_int_equal(check(result, BYTES("\x0a\x00\x12\x00")), KS_VALIDATION);
    /* The bit belongs to one message, not to all of the type. */
    assert_int_equal(check(ENCRYPT, BYTES("\x1a\x03\x0a\x01x\x1a\x03\x0a\x01y")), KS_OK);
}

static void repeat(struct ks_buffer *buffer, ks_bytes field, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(ks_buffer_append(buffer, field).code, KS_OK);
    }
}

static void allows_a_bounded_number_of_unknown_fields(void **state)
{
    (void)state;
    KS_BUFFER_AUTO buffer = {.len_max = 4096};

    repeat(&buffer, BYTES("\xf8\x07\x01"), KS_CODEC_UNKNOWN_COUNT); /* number 127 */
    assert_int_equal(check(ENCRYPT, ks_buffer_bytes(&buffer)), KS_OK);
    repeat(&buffer, BYTES("\xfa\x07\x01\xff"), 1);
    assert_int_equal(check(ENCRYPT, ks_buffer_bytes(&buffer)), KS_VALIDATION);
}

static void keeps_the_limits_of_its_caller(void **state)
{
    (void)state;
    struct ks_codec_limits limits = {.len_max = 12, .field_count_max = 4};
    KS_BUFFER_AUTO buffer = {.len_max = 4096};

    repeat(&buffer, BYTES("\x22\x01x"), 4);
    assert_int_equal(ks_codec_check(ENCRYPT, ks_buffer_bytes(&buffer), &limits, NULL).code, KS_OK);
    repeat(&buffer, BYTES("\x22"), 1);
    assert_int_equal(ks_codec_check(ENCRYPT, ks_buffer_bytes(&buffer), &limits, NULL).code,
                     KS_VALIDATION);
    limits.len_max = 15;
    repeat(&buffer, BYTES("\x01x"), 1);
    assert_int_equal(ks_codec_check(ENCRYPT, ks_buffer_bytes(&buffer), &limits, NULL).code,
                     KS_VALIDATION);
    limits.field_count_max = 5;
    assert_int_equal(ks_codec_check(ENCRYPT, ks_buffer_bytes(&buffer), &limits, NULL).code, KS_OK);
}

/* EncryptBatchRequest holds EncryptRequest holds a map entry: three deep. */
static void counts_the_depth(void **state)
{
    (void)state;
    const ProtobufCMessageDescriptor *batch = &keystead__kms__v1__encrypt_batch_request__descriptor;
    ks_bytes message = BYTES("\x0a\x05\x1a\x03\x0a\x01x");
    struct ks_codec_limits limits = {.depth_max = 3};

    assert_int_equal(ks_codec_check(batch, message, &limits, NULL).code, KS_OK);
    limits.depth_max = 2;
    assert_int_equal(ks_codec_check(batch, message, &limits, NULL).code, KS_VALIDATION);
}

static void reads_packed_numbers(void **state)
{
    (void)state;
    const ProtobufCMessageDescriptor *type =
        &keystead__internal__v1__get_status_response__descriptor;

    /* generations_held = 11, packed and one by one */
    assert_int_equal(check(type, BYTES("\x5a\x03\x01\x80\x01")), KS_OK);
    assert_int_equal(check(type, BYTES("\x58\x01\x58\x02")), KS_OK);
    assert_int_equal(check(type, BYTES("\x5a\x02\x01\x80")), KS_VALIDATION);

    KS_BUFFER_AUTO buffer = {.len_max = 8192};
    repeat(&buffer, BYTES("\x5a\x80\x20"), 1); /* 4096 values and the field itself: one too many */
    repeat(&buffer, BYTES("\x01"), KS_CODEC_FIELD_COUNT);
    assert_int_equal(check(type, ks_buffer_bytes(&buffer)), KS_VALIDATION);
}

static void says_when_the_arena_or_the_buffer_is_full(void **state)
{
    (void)state;
    KS_BUFFER_AUTO buffer = {.len_max = 4096};
    put_sample(&buffer);
    size_t len_max = 1;
    ks_code code = KS_LIMIT_EXCEEDED;
    for (; code == KS_LIMIT_EXCEEDED && len_max < 4096; len_max++) {
        KS_ARENA_AUTO arena = {.len_max = len_max};
        ProtobufCMessage *message = NULL;
        code = ks_codec_unpack(ENCRYPT, ks_buffer_bytes(&buffer), NULL, &arena, &message).code;
        assert_int_equal(message != NULL, code == KS_OK);
    }
    assert_int_equal(code, KS_OK);
    assert_true(len_max > buffer.len);

    encrypt_request request = KEYSTEAD__KMS__V1__ENCRYPT_REQUEST__INIT;
    request.key_id = (char *)"123";
    KS_BUFFER_AUTO small = {.len_max = 6};
    assert_int_equal(ks_codec_pack_field(1, &request.base, &small).code, KS_LIMIT_EXCEEDED);
    assert_int_equal(small.len, 0);
    assert_int_equal(ks_codec_pack(&request.base, &small).code, KS_OK);
    assert_int_equal(ks_codec_pack(&request.base, &small).code, KS_LIMIT_EXCEEDED);
    assert_int_equal(small.len, 5);
}

static void packs_an_element_of_a_repeated_field(void **state)
{
    (void)state;
    KS_BUFFER_AUTO buffer = {.len_max = 4096};
    encrypt_request request = KEYSTEAD__KMS__V1__ENCRYPT_REQUEST__INIT;
    request.key_id = (char *)"k";

    assert_int_equal(ks_codec_pack_field(1, &request.base, &buffer).code, KS_OK);
    assert_int_equal(ks_codec_pack_field(1, &request.base, &buffer).code, KS_OK);

    assert_true(
        ks_bytes_equal(ks_buffer_bytes(&buffer), BYTES("\x0a\x03\x0a\x01k\x0a\x03\x0a\x01k")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unpacks_what_it_packs),
        cmocka_unit_test(survives_every_damage),
        cmocka_unit_test(refuses_every_cut_inside_a_field),
        cmocka_unit_test(refuses_strings_that_c_would_see_otherwise),
        cmocka_unit_test(refuses_other_wire_types_and_groups),
        cmocka_unit_test(refuses_a_single_field_twice),
        cmocka_unit_test(allows_a_bounded_number_of_unknown_fields),
        cmocka_unit_test(keeps_the_limits_of_its_caller),
        cmocka_unit_test(counts_the_depth),
        cmocka_unit_test(reads_packed_numbers),
        cmocka_unit_test(says_when_the_arena_or_the_buffer_is_full),
        cmocka_unit_test(packs_an_element_of_a_repeated_field),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
