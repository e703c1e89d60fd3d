#include "pkg/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/witness/witness.h"

/* Not a constant to the compiler, which would warn of what the test is about. */
static volatile size_t half_of_all = SIZE_MAX / 2 + 1;

static void memory_is_zeroed_and_never_null(void **state)
{
    (void)state;

    KS_AUTO_FREE uint8_t *some = ks_alloc(100, 3);
    KS_AUTO_FREE uint8_t *none = ks_alloc(0, 8);
    KS_AUTO_FREE uint8_t *empty = ks_alloc(8, 0);

    assert_non_null(none);
    assert_non_null(empty);
    for (size_t i = 0; i < 300; i++) {
        assert_int_equal(some[i], 0);
    }
}

static void growing_keeps_what_was_there(void **state)
{
    (void)state;
    uint16_t *numbers = ks_alloc(4, sizeof(*numbers));
    for (uint16_t i = 0; i < 4; i++) {
        numbers[i] = i;
    }

    numbers = ks_realloc(numbers, 4000, sizeof(*numbers));

    for (uint16_t i = 0; i < 4; i++) {
        assert_int_equal(numbers[i], i);
    }
    numbers = ks_realloc(numbers, 0, sizeof(*numbers));
    assert_non_null(numbers);
    ks_free(numbers);
}

static void a_string_is_copied_whole(void **state)
{
    (void)state;
    const char *text = "arn:aws:kms";

    KS_AUTO_FREE char *copy = ks_strdup(text);

    assert_string_equal(copy, text);
    assert_ptr_not_equal(copy, text);
}

static void cleanup_frees_at_the_end_of_the_scope(void **state)
{
    (void)state;

    {
        KS_AUTO_FREE char *scoped = ks_strdup("");
        ks_witness_watch(scoped, 1);
        assert_false(ks_witness_saw_wiped());
    }
    assert_true(ks_witness_saw_wiped());
}

static void freeing_nothing_is_fine(void **state)
{
    (void)state;
    void *nothing = NULL;

    ks_free(NULL);
    ks_free_at(&nothing);
}

static void wipe_zeroes_what_it_is_told_and_no_more(void **state)
{
    (void)state;
    uint8_t bytes[4] = {1, 2, 3, 4};

    ks_wipe(bytes + 1, 2);
    ks_wipe(bytes, 0);

    assert_memory_equal(bytes, "\1\0\0\4", 4);
}

static void alloc_with_overflow(void)
{
    ks_free(ks_alloc(half_of_all, 2));
}

static void realloc_with_overflow(void)
{
    ks_free(ks_realloc(NULL, half_of_all, 2));
}

/* count * size would wrap to 0 and give out one byte for half of the address space. */
static void a_size_that_overflows_aborts(void **state)
{
    (void)state;

    assert_true(ks_witness_aborts(alloc_with_overflow));
    assert_true(ks_witness_aborts(realloc_with_overflow));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed_and_never_null),
        cmocka_unit_test(growing_keeps_what_was_there),
        cmocka_unit_test(a_string_is_copied_whole),
        cmocka_unit_test(cleanup_frees_at_the_end_of_the_scope),
        cmocka_unit_test(freeing_nothing_is_fine),
        cmocka_unit_test(wipe_zeroes_what_it_is_told_and_no_more),
        cmocka_unit_test(a_size_that_overflows_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
