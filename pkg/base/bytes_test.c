#include "pkg/base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/base/mem.h"
#include "tests/witness/witness.h"

#define SMALL_MAX 1000U

static void a_literal_and_a_string_read_the_same(void **state)
{
    (void)state;

    assert_int_equal(KS_LITERAL("abc").len, 3);
    assert_true(ks_bytes_equal(KS_LITERAL("abc"), ks_bytes_of("abc")));
    assert_int_equal(KS_LITERAL("a\0b").len, 3);
    assert_int_equal(ks_bytes_of(NULL).len, 0);
    assert_int_equal(ks_bytes_of("").len, 0);
}

static void equal_means_same_length_and_bytes(void **state)
{
    (void)state;

    assert_true(ks_bytes_equal((ks_bytes){0}, KS_LITERAL("")));
    assert_false(ks_bytes_equal(KS_LITERAL("ab"), KS_LITERAL("abc")));
    assert_false(ks_bytes_equal(KS_LITERAL("abd"), KS_LITERAL("abc")));
    assert_false(ks_bytes_equal(KS_LITERAL("a\0b"), KS_LITERAL("a\0c")));
}

static void starts_with_takes_prefixes_only(void **state)
{
    (void)state;

    assert_true(ks_bytes_starts_with(KS_LITERAL("abc"), (ks_bytes){0}));
    assert_true(ks_bytes_starts_with(KS_LITERAL("abc"), KS_LITERAL("abc")));
    assert_false(ks_bytes_starts_with(KS_LITERAL("abc"), KS_LITERAL("abcd")));
    assert_false(ks_bytes_starts_with(KS_LITERAL("abc"), KS_LITERAL("bc")));
    assert_false(ks_bytes_starts_with((ks_bytes){0}, KS_LITERAL("a")));
}

static void order_is_by_unsigned_byte_and_then_length(void **state)
{
    (void)state;
    const ks_bytes sorted[] = {
        {0},
        KS_LITERAL("a"),
        KS_LITERAL("a\0"),
        KS_LITERAL("aa"),
        KS_LITERAL("b"),
        KS_LITERAL("\x80"),
    };

    for (size_t i = 0; i < KS_COUNT(sorted); i++) {
        assert_int_equal(ks_bytes_compare(sorted[i], sorted[i]), 0);
        for (size_t later = i + 1; later < KS_COUNT(sorted); later++) {
            assert_true(ks_bytes_compare(sorted[i], sorted[later]) < 0);
            assert_true(ks_bytes_compare(sorted[later], sorted[i]) > 0);
        }
    }
}

static void a_copy_ends_with_a_nul_that_is_not_counted(void **state)
{
    (void)state;

    KS_AUTO_FREE char *copy = ks_bytes_dup(KS_LITERAL("a\0b"));
    KS_AUTO_FREE char *empty = ks_bytes_dup((ks_bytes){0});

    assert_memory_equal(copy, "a\0b\0", 4);
    assert_string_equal(empty, "");
}

static void a_buffer_holds_what_was_appended(void **state)
{
    (void)state;
    KS_BUFFER_AUTO buffer = {.len_max = SMALL_MAX};

    for (unsigned i = 0; i < SMALL_MAX / 3; i++) {
        assert_int_equal(ks_buffer_append(&buffer, KS_LITERAL("abc")).code, KS_OK);
    }
    assert_int_equal(ks_buffer_append(&buffer, (ks_bytes){0}).code, KS_OK);

    assert_int_equal(buffer.len, SMALL_MAX / 3 * 3);
    for (size_t i = 0; i < buffer.len; i++) {
        assert_int_equal(ks_buffer_bytes(&buffer).ptr[i], "abc"[i % 3]);
    }
}

static void a_buffer_refuses_one_byte_over_its_cap_and_stays_as_it_was(void **state)
{
    (void)state;
    KS_BUFFER_AUTO buffer = {.len_max = 4};
    uint8_t *place = NULL;

    assert_int_equal(ks_buffer_append(&buffer, KS_LITERAL("abc")).code, KS_OK);
    assert_int_equal(ks_buffer_append(&buffer, KS_LITERAL("de")).code, KS_LIMIT_EXCEEDED);
    assert_int_equal(ks_buffer_extend(&buffer, SIZE_MAX, &place).code, KS_LIMIT_EXCEEDED);
    assert_null(place);
    assert_int_equal(ks_buffer_append(&buffer, KS_LITERAL("d")).code, KS_OK);

    assert_true(ks_bytes_equal(ks_buffer_bytes(&buffer), KS_LITERAL("abcd")));
    assert_int_equal(ks_buffer_append(&buffer, KS_LITERAL("e")).code, KS_LIMIT_EXCEEDED);
}

static void extend_gives_a_place_behind_what_is_there(void **state)
{
    (void)state;
    KS_BUFFER_AUTO buffer = {.len_max = SMALL_MAX};
    uint8_t *place;

    assert_int_equal(ks_buffer_append(&buffer, KS_LITERAL("ab")).code, KS_OK);
    assert_int_equal(ks_buffer_extend(&buffer, 2, &place).code, KS_OK);
    memcpy(place, "cd", 2);

    assert_true(ks_bytes_equal(ks_buffer_bytes(&buffer), KS_LITERAL("abcd")));
}

static void a_reserved_buffer_does_not_move_until_it_is_full(void **state)
{
    (void)state;
    KS_BUFFER_AUTO buffer = {.len_max = SMALL_MAX};
    assert_int_equal(ks_buffer_append(&buffer, KS_LITERAL("ab")).code, KS_OK);

    assert_int_equal(ks_buffer_reserve(&buffer, 600).code, KS_OK);
    const uint8_t *place = buffer.ptr;
    for (size_t i = 0; i < 300; i++) {
        assert_int_equal(ks_buffer_append(&buffer, KS_LITERAL("cd")).code, KS_OK);
    }
    assert_ptr_equal(buffer.ptr, place);
    assert_int_equal(buffer.capacity, 602);
    assert_memory_equal(buffer.ptr, "abcd", 4);
    assert_int_equal(ks_buffer_append(&buffer, KS_LITERAL("e")).code, KS_OK);
    assert_int_equal(buffer.len, 603);
}

static void reserves_up_to_its_cap_and_nothing_for_nothing(void **state)
{
    (void)state;
    KS_BUFFER_AUTO buffer = {.len_max = 4};

    assert_int_equal(ks_buffer_reserve(&buffer, 0).code, KS_OK);
    assert_null(buffer.ptr);
    assert_int_equal(ks_buffer_reserve(&buffer, 5).code, KS_LIMIT_EXCEEDED);
    assert_int_equal(ks_buffer_reserve(&buffer, SIZE_MAX).code, KS_LIMIT_EXCEEDED);
    assert_null(buffer.ptr);
    assert_int_equal(ks_buffer_reserve(&buffer, 4).code, KS_OK);
    assert_int_equal(ks_buffer_append(&buffer, KS_LITERAL("abcd")).code, KS_OK);
    assert_int_equal(ks_buffer_reserve(&buffer, 1).code, KS_LIMIT_EXCEEDED);
}

static void consume_drops_from_the_front_and_wipes_the_rest(void **state)
{
    (void)state;
    KS_BUFFER_AUTO buffer = {.len_max = SMALL_MAX};
    assert_int_equal(ks_buffer_append(&buffer, KS_LITERAL("abcdef")).code, KS_OK);

    ks_buffer_consume(&buffer, 0);
    ks_buffer_consume(&buffer, 4);

    assert_true(ks_bytes_equal(ks_buffer_bytes(&buffer), KS_LITERAL("ef")));
    assert_memory_equal(buffer.ptr + 2, "\0\0\0\0", 4);
    ks_buffer_consume(&buffer, 2);
    assert_int_equal(buffer.len, 0);
    assert_memory_equal(buffer.ptr, "\0\0", 2);
}

/* A buffer may carry a plaintext: no copy of it may stay on the heap. */
static void a_buffer_is_wiped_when_it_moves_and_when_it_goes(void **state)
{
    (void)state;
    struct ks_buffer buffer = {.len_max = SMALL_MAX};
    uint8_t *place;
    assert_int_equal(ks_buffer_append(&buffer, KS_LITERAL("plaintext")).code, KS_OK);

    ks_witness_watch(buffer.ptr, 9);
    assert_int_equal(ks_buffer_reserve(&buffer, 300).code, KS_OK);
    assert_true(ks_witness_saw_wiped());
    ks_witness_watch(buffer.ptr, 9);
    assert_int_equal(ks_buffer_extend(&buffer, SMALL_MAX - 9, &place).code, KS_OK);
    assert_true(ks_witness_saw_wiped());

    memset(place, 1, SMALL_MAX - 9);
    ks_witness_watch(buffer.ptr, SMALL_MAX);
    ks_buffer_done(&buffer);
    assert_true(ks_witness_saw_wiped());
}

static void done_keeps_the_cap_and_takes_the_zero_value(void **state)
{
    (void)state;
    struct ks_buffer zero = {0};
    struct ks_buffer buffer = {.len_max = 3};
    assert_int_equal(ks_buffer_append(&buffer, KS_LITERAL("abc")).code, KS_OK);

    ks_buffer_done(&zero);
    ks_buffer_done(&buffer);

    assert_int_equal(buffer.len, 0);
    assert_int_equal(ks_buffer_append(&buffer, KS_LITERAL("abc")).code, KS_OK);
    ks_buffer_done(&buffer);
}

static void consume_more_than_there_is(void)
{
    struct ks_buffer buffer = {.len_max = 3};
    ks_buffer_consume(&buffer, 1);
}

static void append_without_a_cap(void)
{
    struct ks_buffer buffer = {0};
    (void)ks_buffer_append(&buffer, KS_LITERAL("a")).code;
}

static void wrong_use_aborts(void **state)
{
    (void)state;

    assert_true(ks_witness_aborts(consume_more_than_there_is));
    assert_true(ks_witness_aborts(append_without_a_cap));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_literal_and_a_string_read_the_same),
        cmocka_unit_test(equal_means_same_length_and_bytes),
        cmocka_unit_test(starts_with_takes_prefixes_only),
        cmocka_unit_test(order_is_by_unsigned_byte_and_then_length),
        cmocka_unit_test(a_copy_ends_with_a_nul_that_is_not_counted),
        cmocka_unit_test(a_buffer_holds_what_was_appended),
        cmocka_unit_test(a_buffer_refuses_one_byte_over_its_cap_and_stays_as_it_was),
        cmocka_unit_test(extend_gives_a_place_behind_what_is_there),
        cmocka_unit_test(a_reserved_buffer_does_not_move_until_it_is_full),
        cmocka_unit_test(reserves_up_to_its_cap_and_nothing_for_nothing),
        cmocka_unit_test(consume_drops_from_the_front_and_wipes_the_rest),
        cmocka_unit_test(a_buffer_is_wiped_when_it_moves_and_when_it_goes),
        cmocka_unit_test(done_keeps_the_cap_and_takes_the_zero_value),
        cmocka_unit_test(wrong_use_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
