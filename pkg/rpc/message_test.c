#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <grpc/byte_buffer.h>
#include <grpc/slice.h>

#include "pkg/base/mem.h"
#include "pkg/rpc/message.h"
#include "tests/witness/witness.h"

#define PIECE_LEN 100U /* above what a slice holds inline */

/* A slice of that many bytes of one value, as the library would read it from a connection. */
static grpc_slice piece(uint8_t value)
{
    grpc_slice slice = grpc_slice_malloc(PIECE_LEN);
    memset(GRPC_SLICE_START_PTR(slice), value, PIECE_LEN);
    return slice;
}

static bool is_zero(const grpc_slice *slice)
{
    ks_bytes bytes = ks_rpc_slice_bytes(slice);
    for (size_t i = 0; i < bytes.len; i++) {
        if (bytes.ptr[i] != 0) {
            return false;
        }
    }
    return bytes.len > 0;
}

static void a_received_message_is_not_copied_and_is_wiped(void **state)
{
    (void)state;
    grpc_slice held = piece('p');
    struct ks_rpc_message message;

    assert_int_equal(ks_rpc_message_init(&message, grpc_raw_byte_buffer_create(&held, 1)).code,
                     KS_OK);
    assert_int_equal(message.bytes.len, PIECE_LEN);
    assert_ptr_equal(message.bytes.ptr, GRPC_SLICE_START_PTR(held));
    assert_false(is_zero(&held));
    ks_rpc_message_done(&message);

    assert_true(is_zero(&held));
    assert_null(message.raw);
    grpc_slice_unref(held);
}

static void a_message_in_pieces_is_put_together_and_all_of_it_wiped(void **state)
{
    (void)state;
    grpc_slice held[2] = {piece('1'), piece('2')};
    struct ks_rpc_message message;

    assert_int_equal(ks_rpc_message_init(&message, grpc_raw_byte_buffer_create(held, 2)).code,
                     KS_OK);
    assert_int_equal(message.bytes.len, 2 * PIECE_LEN);
    assert_int_equal(message.bytes.ptr[PIECE_LEN - 1], '1');
    assert_int_equal(message.bytes.ptr[PIECE_LEN], '2');
    assert_int_equal(message.flat.capacity, 2 * PIECE_LEN);
    ks_witness_watch(message.bytes.ptr, message.bytes.len);
    ks_rpc_message_done(&message);

    assert_true(ks_witness_saw_wiped());
    assert_true(is_zero(&held[0]) && is_zero(&held[1]));
    grpc_slice_unref(held[0]);
    grpc_slice_unref(held[1]);
}

static void empty_reads_as_empty(void **state)
{
    (void)state;
    grpc_slice empty = grpc_empty_slice();
    struct ks_rpc_message message;

    assert_int_equal(ks_rpc_message_init(&message, grpc_raw_byte_buffer_create(&empty, 1)).code,
                     KS_OK);
    assert_int_equal(message.bytes.len, 0);
    ks_rpc_message_done(&message);
    assert_int_equal(ks_rpc_message_init(&message, grpc_raw_byte_buffer_create(NULL, 0)).code,
                     KS_OK);
    assert_int_equal(message.bytes.len, 0);
    ks_rpc_message_done(&message);
}

static void a_compressed_message_is_refused(void **state)
{
    (void)state;
    grpc_slice slice = piece('z');
    struct ks_rpc_message message;

    ks_result r = ks_rpc_message_init(
        &message, grpc_raw_compressed_byte_buffer_create(&slice, 1, GRPC_COMPRESS_GZIP));

    assert_int_equal(r.code, KS_UNSUPPORTED);
    assert_int_equal(message.bytes.len, 0);
    ks_rpc_message_done(&message);
    grpc_slice_unref(slice);
}

/* The library may still read a message when its call has ended: the last reader's end counts. */
static void what_is_sent_is_wiped_when_its_last_reader_is_done(void **state)
{
    (void)state;
    struct ks_buffer buffer = {.len_max = PIECE_LEN};
    uint8_t *place;
    assert_int_equal(ks_buffer_extend(&buffer, PIECE_LEN, &place).code, KS_OK);
    memset(place, 's', PIECE_LEN);

    grpc_byte_buffer *raw = ks_rpc_message_take(&buffer);
    assert_int_equal(buffer.len, 0);
    assert_null(buffer.ptr);
    grpc_slice reader = grpc_slice_ref(raw->data.raw.slice_buffer.slices[0]);
    assert_ptr_equal(GRPC_SLICE_START_PTR(reader), place);
    ks_witness_watch(place, PIECE_LEN);
    grpc_byte_buffer_destroy(raw);
    assert_false(ks_witness_saw_wiped());
    assert_int_equal(GRPC_SLICE_START_PTR(reader)[PIECE_LEN - 1], 's');
    grpc_slice_unref(reader);

    assert_true(ks_witness_saw_wiped());
}

static void a_copy_is_wiped_too(void **state)
{
    (void)state;
    grpc_byte_buffer *raw = ks_rpc_message_copy(KS_LITERAL("a plaintext of some length, copied"));
    const uint8_t *place = GRPC_SLICE_START_PTR(raw->data.raw.slice_buffer.slices[0]);
    assert_memory_equal(place, "a plaintext", strlen("a plaintext"));
    ks_witness_watch(place, strlen("a plaintext of some length, copied"));

    grpc_byte_buffer_destroy(raw);

    assert_true(ks_witness_saw_wiped());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_received_message_is_not_copied_and_is_wiped),
        cmocka_unit_test(a_message_in_pieces_is_put_together_and_all_of_it_wiped),
        cmocka_unit_test(empty_reads_as_empty),
        cmocka_unit_test(a_compressed_message_is_refused),
        cmocka_unit_test(what_is_sent_is_wiped_when_its_last_reader_is_done),
        cmocka_unit_test(a_copy_is_wiped_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
