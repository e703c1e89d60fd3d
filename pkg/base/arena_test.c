#include "pkg/base/arena.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/witness/witness.h"

#define LEN_MAX   (1U << 20)
#define BLOCK_LEN 4000U /* what one block takes: wishes around it cross over to the next */

static void places_are_zeroed_aligned_and_apart(void **state)
{
    (void)state;
    /* New memory is full of something else. A sanitizer's own allocator does not know the wish. */
    (void)mallopt(M_PERTURB, 0x5a);
    KS_ARENA_AUTO arena = {.len_max = LEN_MAX};
    uint8_t *last = NULL;

    for (size_t len = 0; len < 300; len++) {
        uint8_t *place = ks_arena_alloc(&arena, len);
        assert_non_null(place);
        assert_int_equal((uintptr_t)place % _Alignof(max_align_t), 0);
        for (size_t i = 0; i < len; i++) {
            assert_int_equal(place[i], 0);
        }
        memset(place, 0xff, len);
        assert_true(len < 2 || last[len - 2] == 0xff);
        last = place;
    }
}

static void gives_out_its_cap_and_no_byte_more(void **state)
{
    (void)state;
    KS_ARENA_AUTO arena = {.len_max = 4 * BLOCK_LEN};

    assert_non_null(ks_arena_alloc(&arena, BLOCK_LEN));
    assert_null(ks_arena_alloc(&arena, 3 * BLOCK_LEN + 1));
    assert_non_null(ks_arena_alloc(&arena, 3 * BLOCK_LEN));
    assert_null(ks_arena_alloc(&arena, 1));
    assert_null(ks_arena_alloc(&arena, SIZE_MAX));
}

static void a_wish_larger_than_a_block_gets_one_of_its_own(void **state)
{
    (void)state;
    KS_ARENA_AUTO arena = {.len_max = LEN_MAX};

    for (size_t len = BLOCK_LEN - 40; len < BLOCK_LEN + 40; len++) {
        uint8_t *place = ks_arena_alloc(&arena, len);
        assert_non_null(place);
        memset(place, 1, len);
    }
}

/* 16 and 32 bytes fill their place to the last: the NUL needs one more. */
static void a_copy_ends_with_a_nul(void **state)
{
    (void)state;
    KS_ARENA_AUTO arena = {.len_max = 96};

    char *full = ks_arena_dup(&arena, KS_LITERAL("0123456789abcdef"));
    char *next = ks_arena_dup(&arena, KS_LITERAL("0123456789abcdef0123456789abcde"));
    char *empty = ks_arena_dup(&arena, (ks_bytes){0});

    assert_string_equal(full, "0123456789abcdef");
    assert_string_equal(next, "0123456789abcdef0123456789abcde");
    assert_string_equal(empty, "");
}

static void a_copy_over_the_cap_is_refused(void **state)
{
    (void)state;
    KS_ARENA_AUTO arena = {.len_max = 16};

    assert_null(ks_arena_dup(&arena, KS_LITERAL("0123456789abcdef")));
    assert_null(ks_arena_dup(&arena, (ks_bytes){(const uint8_t *)"x", SIZE_MAX}));
    assert_non_null(ks_arena_dup(&arena, KS_LITERAL("0123456789abcde")));
}

static void every_block_is_wiped_when_the_arena_goes(void **state)
{
    (void)state;

    for (unsigned older = 0; older < 2; older++) {
        struct ks_arena arena = {.len_max = LEN_MAX};
        uint8_t *place = ks_arena_alloc(&arena, BLOCK_LEN);
        memset(place, 1, BLOCK_LEN);
        if (older) {
            assert_non_null(ks_arena_alloc(&arena, BLOCK_LEN));
        }
        ks_witness_watch(place, BLOCK_LEN);
        ks_arena_done(&arena);
        assert_true(ks_witness_saw_wiped());
    }
}

static void an_arena_is_usable_again_after_done(void **state)
{
    (void)state;
    struct ks_arena arena = {.len_max = 64};
    assert_non_null(ks_arena_alloc(&arena, 64));

    ks_arena_done(&arena);
    ks_arena_done(&arena);

    assert_non_null(ks_arena_alloc(&arena, 64));
    ks_arena_done(&arena);
}

static void alloc_without_a_cap(void)
{
    struct ks_arena arena = {0};
    (void)ks_arena_alloc(&arena, 1);
}

static void wrong_use_aborts(void **state)
{
    (void)state;

    assert_true(ks_witness_aborts(alloc_without_a_cap));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_are_zeroed_aligned_and_apart),
        cmocka_unit_test(gives_out_its_cap_and_no_byte_more),
        cmocka_unit_test(a_wish_larger_than_a_block_gets_one_of_its_own),
        cmocka_unit_test(a_copy_ends_with_a_nul),
        cmocka_unit_test(a_copy_over_the_cap_is_refused),
        cmocka_unit_test(every_block_is_wiped_when_the_arena_goes),
        cmocka_unit_test(an_arena_is_usable_again_after_done),
        cmocka_unit_test(wrong_use_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
