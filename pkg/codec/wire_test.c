#include "pkg/codec/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define BYTES(text) KS_LITERAL(text)

static void reads_each_wire_type(void **state)
{
    (void)state;
    ks_bytes rest = BYTES("\x08\x96\x01"
                          "\x12\x02hi"
                          "\x1d\x01\x00\x00\x80"
                          "\x21\x02\x00\x00\x00\x00\x00\x00\x80");
    struct ks_wire_field field;

    assert_int_equal(ks_wire_next(&rest, &field).code, KS_OK);
    assert_int_equal(field.number, 1);
    assert_int_equal(field.type, KS_WIRE_VARINT);
    assert_int_equal(field.value, 150);
    assert_int_equal(ks_wire_next(&rest, &field).code, KS_OK);
    assert_int_equal(field.number, 2);
    assert_true(ks_bytes_equal(field.bytes, BYTES("hi")));
    assert_int_equal(ks_wire_next(&rest, &field).code, KS_OK);
    assert_int_equal(field.type, KS_WIRE_FIXED32);
    assert_int_equal(field.value, 0x80000001);
    assert_int_equal(ks_wire_next(&rest, &field).code, KS_OK);
    assert_int_equal(field.type, KS_WIRE_FIXED64);
    assert_true(field.value == 0x8000000000000002U);
    assert_int_equal(rest.len, 0);
}

static const struct {
    const char *bytes;
    size_t len;
} malformed[] = {
    {"\x08", 1},                                              /* no value */
    {"\x08\x80", 2},                                          /* a varint without an end */
    {"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 12}, /* eleven bytes */
    {"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11},     /* 65 bits */
    {"\x12\x03hi", 4},                                        /* cut short */
    {"\x12\x80\x80\x80\x80\x80\x01", 7},                      /* a length of six bytes */
    {"\x12\xff\xff\xff\xff\x0f", 6},                          /* 4 GiB are not there */
    {"\x00\x01", 2},                                          /* field number 0 */
    {"\x0b", 1},                                              /* a group begins */
    {"\x0c", 1},                                              /* a group ends */
    {"\x0e\x01", 2},                                          /* wire type 6 */
    {"\x0f\x01", 2},                                          /* wire type 7 */
    {"\xf8\xff\xff\xff\x1f\x01", 6},                          /* a tag of more than 32 bits */
    {"\x88\x80\x80\x80\x80\x00\x01", 7},                      /* a tag of six bytes */
    {"\x1d\x01\x00\x00", 4},                                  /* three bytes of four */
    {"\x21\x01\x00\x00\x00\x00\x00\x00", 8},                  /* seven bytes of eight */
};

static void refuses_what_is_malformed_and_moves_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < KS_COUNT(malformed); i++) {
        ks_bytes rest = {(const uint8_t *)malformed[i].bytes, malformed[i].len};
        struct ks_wire_field field = {.number = 77};

        ks_result r = ks_wire_next(&rest, &field);

        if (r.code != KS_VALIDATION) {
            fail_msg("sample %zu", i);
        }
        assert_int_equal(rest.len, malformed[i].len);
        assert_int_equal(field.number, 77);
    }
}

static void reads_back_what_it_writes(void **state)
{
    (void)state;
    static const uint64_t values[] = {0, 1, 127, 128, 300, UINT32_MAX, UINT64_MAX};
    KS_BUFFER_AUTO buffer = {.len_max = 4096};
    for (size_t i = 0; i < KS_COUNT(values); i++) {
        assert_int_equal(ks_wire_put_varint(KS_WIRE_NUMBER_MAX, values[i], &buffer).code, KS_OK);
        assert_int_equal(ks_wire_put_bytes(16, BYTES("payload"), &buffer).code, KS_OK);
    }

    ks_bytes rest = ks_buffer_bytes(&buffer);
    for (size_t i = 0; i < KS_COUNT(values); i++) {
        struct ks_wire_field field;
        assert_int_equal(ks_wire_next(&rest, &field).code, KS_OK);
        assert_int_equal(field.number, KS_WIRE_NUMBER_MAX);
        assert_true(field.value == values[i]);
        assert_int_equal(ks_wire_next(&rest, &field).code, KS_OK);
        assert_int_equal(field.number, 16);
        assert_true(ks_bytes_equal(field.bytes, BYTES("payload")));
    }
    assert_int_equal(rest.len, 0);
}

static void leaves_a_full_buffer_unchanged(void **state)
{
    (void)state;
    for (size_t len_max = 1; len_max < 9; len_max++) {
        KS_BUFFER_AUTO buffer = {.len_max = len_max};

        ks_result r = ks_wire_put_bytes(1, BYTES("1234567"), &buffer);

        assert_int_equal(r.code, KS_LIMIT_EXCEEDED);
        assert_int_equal(buffer.len, 0);
    }
    KS_BUFFER_AUTO buffer = {.len_max = 9};
    assert_int_equal(ks_wire_put_bytes(1, BYTES("1234567"), &buffer).code, KS_OK);
    assert_int_equal(ks_wire_put_varint(1, 1, &buffer).code, KS_LIMIT_EXCEEDED);
    assert_int_equal(buffer.len, 9);
}

static void gives_the_place_of_a_field(void **state)
{
    (void)state;
    KS_BUFFER_AUTO buffer = {.len_max = 9};
    uint8_t *place = NULL;

    assert_int_equal(ks_wire_put_place(1, 7, &buffer, &place).code, KS_OK);
    memcpy(place, "1234567", 7);
    assert_true(ks_bytes_equal(ks_buffer_bytes(&buffer), BYTES("\x0a\x07"
                                                               "1234567")));

    const uint8_t *before = place;
    assert_int_equal(ks_wire_put_place(1, 0, &buffer, &place).code, KS_LIMIT_EXCEEDED);
    assert_int_equal(ks_wire_put_place(1, SIZE_MAX, &buffer, &place).code, KS_LIMIT_EXCEEDED);
    assert_ptr_equal(place, before);
    assert_int_equal(buffer.len, 9);
}

static void knows_the_length_of_a_head(void **state)
{
    (void)state;
    static const size_t lens[] = {0, 127, 128, 16383, 16384, 4194304};
    for (size_t i = 0; i < KS_COUNT(lens); i++) {
        KS_BUFFER_AUTO buffer = {.len_max = 64};

        assert_int_equal(ks_wire_put_head(15 + (unsigned)i, lens[i], &buffer).code, KS_OK);

        assert_int_equal(buffer.len, ks_wire_head_len(15 + (unsigned)i, lens[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_each_wire_type),
        cmocka_unit_test(refuses_what_is_malformed_and_moves_nothing),
        cmocka_unit_test(reads_back_what_it_writes),
        cmocka_unit_test(leaves_a_full_buffer_unchanged),
        cmocka_unit_test(gives_the_place_of_a_field),
        cmocka_unit_test(knows_the_length_of_a_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
