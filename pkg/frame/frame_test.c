#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/frame/frame.h"

static void gives_frames_in_order_whatever_the_pieces(void **state)
{
    (void)state;
    KS_BUFFER_AUTO wire = {.len_max = 64};
    assert_int_equal(ks_frame_append(&wire, KS_LITERAL("abc")).code, KS_OK);
    assert_int_equal(ks_frame_append(&wire, KS_LITERAL("d")).code, KS_OK);
    KS_BUFFER_AUTO in = {.len_max = 64};
    KS_BUFFER_AUTO got = {.len_max = 8};

    for (size_t i = 0; i < wire.len; i++) {
        assert_int_equal(ks_buffer_append(&in, (ks_bytes){wire.ptr + i, 1}).code, KS_OK);
        ks_bytes frame;
        assert_int_equal(ks_frame_next(ks_buffer_bytes(&in), &frame).code, KS_OK);
        if (frame.ptr) {
            assert_int_equal(ks_buffer_append(&got, frame).code, KS_OK);
            assert_int_equal(ks_buffer_append(&got, KS_LITERAL("|")).code, KS_OK);
            ks_buffer_consume(&in, KS_FRAME_HEAD_LEN + frame.len);
        }
    }

    assert_true(ks_bytes_equal(ks_buffer_bytes(&got), KS_LITERAL("abc|d|")));
    assert_int_equal(in.len, 0);
}

static void waits_at_every_cut(void **state)
{
    (void)state;
    static const uint8_t wire[] = "\0\0\0\5hello";

    for (size_t len = 0; len < 9; len++) {
        ks_bytes frame = KS_LITERAL("unset");
        assert_int_equal(ks_frame_next((ks_bytes){wire, len}, &frame).code, KS_OK);
        assert_null(frame.ptr);
    }
}

/* Every length that a damaged head can say is waited for within the limit, or refused. */
static void refuses_lengths_beyond_the_limits(void **state)
{
    (void)state;
    ks_bytes frame;

    assert_int_equal(ks_frame_next(KS_LITERAL("\0\0\0\0x"), &frame).code, KS_VALIDATION);
    assert_int_equal(ks_frame_next(KS_LITERAL("\0\x10\0\0x"), &frame).code, KS_OK);
    assert_null(frame.ptr);
    assert_int_equal(ks_frame_next(KS_LITERAL("\0\x10\0\1x"), &frame).code, KS_VALIDATION);
    assert_int_equal(ks_frame_next(KS_LITERAL("\xff\xff\xff\xff"), &frame).code, KS_VALIDATION);
}

static void takes_the_longest_frame_and_no_longer(void **state)
{
    (void)state;
    static uint8_t big[KS_FRAME_LEN_MAX + 1];
    KS_BUFFER_AUTO out = {.len_max = KS_FRAME_MAX};

    assert_int_equal(ks_frame_append(&out, (ks_bytes){big, KS_FRAME_LEN_MAX + 1}).code,
                     KS_VALIDATION);
    assert_int_equal(ks_frame_append(&out, (ks_bytes){big, 0}).code, KS_VALIDATION);
    assert_int_equal(out.len, 0);
    assert_int_equal(ks_frame_append(&out, (ks_bytes){big, KS_FRAME_LEN_MAX}).code, KS_OK);

    ks_bytes frame;
    assert_int_equal(ks_frame_next(ks_buffer_bytes(&out), &frame).code, KS_OK);
    assert_int_equal(frame.len, KS_FRAME_LEN_MAX);
}

static void leaves_a_buffer_that_is_too_small_unchanged(void **state)
{
    (void)state;
    KS_BUFFER_AUTO out = {.len_max = 6};

    assert_int_equal(ks_frame_append(&out, KS_LITERAL("abc")).code, KS_LIMIT_EXCEEDED);

    assert_int_equal(out.len, 0);
    assert_int_equal(ks_frame_append(&out, KS_LITERAL("ab")).code, KS_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_frames_in_order_whatever_the_pieces),
        cmocka_unit_test(waits_at_every_cut),
        cmocka_unit_test(refuses_lengths_beyond_the_limits),
        cmocka_unit_test(takes_the_longest_frame_and_no_longer),
        cmocka_unit_test(leaves_a_buffer_that_is_too_small_unchanged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
