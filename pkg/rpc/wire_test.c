#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/base/mem.h"
#include "pkg/rpc/wire.h"

#define BUFFER_MAX 256U

static const uint64_t values[] = {0, 1, 127, 128, 16383, 16384, UINT32_MAX, UINT64_MAX};

static void values_come_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < KS_COUNT(values); i++) {
        KS_BUFFER_AUTO buffer = {.len_max = BUFFER_MAX};
        bool full = false;
        ks_rpc_wire_put_value(&buffer, 7, values[i], &full);
        ks_rpc_wire_put_bytes(&buffer, 536870911, KS_LITERAL("name"), &full);
        ks_rpc_wire_put_value(&buffer, 1, 5, &full);

        assert_false(full);
        assert_true(ks_rpc_wire_value(ks_buffer_bytes(&buffer), 7) == values[i]);
        assert_true(ks_bytes_equal(ks_rpc_wire_bytes(ks_buffer_bytes(&buffer), 536870911),
                                   KS_LITERAL("name")));
        assert_int_equal(ks_rpc_wire_value(ks_buffer_bytes(&buffer), 2), 0);
    }
}

/* protobuf encoding: a singular field that occurs again replaces what was there. */
static void the_last_one_counts(void **state)
{
    (void)state;
    KS_BUFFER_AUTO buffer = {.len_max = BUFFER_MAX};
    bool full = false;

    ks_rpc_wire_put_bytes(&buffer, 1, KS_LITERAL("first"), &full);
    ks_rpc_wire_put_bytes(&buffer, 1, KS_LITERAL("last"), &full);

    assert_true(ks_bytes_equal(ks_rpc_wire_bytes(ks_buffer_bytes(&buffer), 1), KS_LITERAL("last")));
}

static void what_does_not_fit_is_left_out_whole(void **state)
{
    (void)state;
    for (size_t room = 1; room < 8; room++) {
        KS_BUFFER_AUTO buffer = {.len_max = room};
        bool full = false;
        ks_rpc_wire_put_bytes(&buffer, 1, KS_LITERAL("12345"), &full);
        assert_int_equal(full, room < 7);
        assert_int_equal(buffer.len, room < 7 ? 0 : 7);
    }
}

/* Reads all of it; how many fields it had, or -1. */
static int count(ks_bytes message)
{
    int fields = 0;
    const uint8_t *end = message.ptr + message.len;
    struct ks_rpc_wire_field field;
    bool damaged = false;
    while (ks_rpc_wire_next(&message, &field, &damaged)) {
        fields++;
        assert_true(field.bytes.len == 0 || field.bytes.ptr + field.bytes.len <= end);
    }
    assert_int_equal(message.len, 0);
    return damaged ? -1 : fields;
}

static const uint8_t sample[] = {0x08, 0x96, 0x01, 0x12, 0x03, 'a',  'b',  'c',  0x1d, 1,
                                 2,    3,    4,    0x21, 1,    2,    3,    4,    5,    6,
                                 7,    8,    0x2a, 0x00, 0x30, 0xff, 0xff, 0xff, 0xff, 0x0f};

/* Under ASan a byte read too far ends the test: the copy is as long as what is read. */
static void every_cut_and_every_flipped_bit_is_survived(void **state)
{
    (void)state;
    assert_int_equal(count((ks_bytes){sample, sizeof(sample)}), 6);
    for (size_t len = 0; len < sizeof(sample); len++) {
        uint8_t *copy = ks_alloc(len, 1);
        memcpy(copy, sample, len);
        assert_true(count((ks_bytes){copy, len}) <= 6);
        ks_free(copy);
    }
    for (size_t bit = 0; bit < 8 * sizeof(sample); bit++) {
        uint8_t *copy = ks_alloc(sizeof(sample), 1);
        memcpy(copy, sample, sizeof(sample));
        copy[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        (void)count((ks_bytes){copy, sizeof(sample)});
        ks_free(copy);
    }
}

static void damage_is_told(void **state)
{
    (void)state;
    static const struct {
        uint8_t bytes[12];
        size_t len;
    } rows[] = {
        {{0x08}, 1},             /* no value */
        {{0x80}, 1},             /* half a key */
        {{0x00, 0x01}, 2},       /* field number 0 */
        {{0x0b}, 1},             /* a group */
        {{0x0e, 0x01}, 2},       /* a type that does not exist */
        {{0x0a, 0x02, 'a'}, 3},  /* longer than what is there */
        {{0x0d, 1, 2, 3}, 4},    /* half a fixed32 */
        {{0x09, 1, 2, 3, 4}, 5}, /* half a fixed64 */
        {{0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02}, 11}, /* 65 bits */
        {{0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}, 11}, /* 2^64-1 long */
        {{0x82, 0x80, 0x80, 0x80, 0x10, 0x00}, 6}, /* field number 2^29 */
    };

    for (size_t i = 0; i < KS_COUNT(rows); i++) {
        assert_int_equal(count((ks_bytes){rows[i].bytes, rows[i].len}), -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_come_back),
        cmocka_unit_test(the_last_one_counts),
        cmocka_unit_test(what_does_not_fit_is_left_out_whole),
        cmocka_unit_test(every_cut_and_every_flipped_bit_is_survived),
        cmocka_unit_test(damage_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
