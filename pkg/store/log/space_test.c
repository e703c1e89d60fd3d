#include "pkg/store/log/space.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "pkg/base/mem.h"

static const enum ks_store_room rooms[] = {KS_STORE_GROWS, KS_STORE_CHANGES, KS_STORE_WITHDRAWS};

static void each_kind_is_refused_at_its_limit(void **state)
{
    (void)state;
    static const struct {
        uint64_t used_len;
        bool admits[KS_COUNT(rooms)]; /* as rooms */
    } cases[] = {
        {0, {true, true, true}},    {699, {true, true, true}},   {700, {false, true, true}},
        {899, {false, true, true}}, {900, {false, false, true}}, {5000, {false, false, true}},
    };
    for (size_t i = 0; i < KS_COUNT(cases); i++) {
        for (size_t j = 0; j < KS_COUNT(rooms); j++) {
            struct ks_space space = {.quota_len = 1000, .used_len = cases[i].used_len};
            assert_int_equal(ks_space_admits(&space, rooms[j]), cases[i].admits[j]);
            space.is_out_of_quota = true;
            assert_int_equal(ks_space_admits(&space, rooms[j]), rooms[j] == KS_STORE_WITHDRAWS);
        }
    }
}

static void a_file_is_loose_when_it_is_large_and_empty_enough(void **state)
{
    (void)state;
    static const struct {
        uint64_t file_len, used_len;
        bool is_loose;
    } cases[] = {{499, 0, false},   {500, 300, true},  {500, 301, false},
                 {799, 600, false}, {800, 700, true},  {800, 701, false},
                 {400, 500, false}, {1000, 900, true}, {1000, 901, false}};
    const struct ks_space space = {.quota_len = 1000};
    for (size_t i = 0; i < KS_COUNT(cases); i++) {
        assert_int_equal(ks_space_is_loose(&space, cases[i].file_len, cases[i].used_len),
                         cases[i].is_loose);
    }
}

static void small_revisions_are_kept_by_their_number(void **state)
{
    (void)state;
    struct ks_history_len history = {.len_max = 1U << 20};
    for (int64_t revision = 1; revision <= 30000; revision++) {
        ks_history_len_add(&history, revision, 10);
    }
    assert_int_equal(ks_history_len_floor(&history, 30000, false), 10000);
    assert_true(ks_history_len_floor(&history, 19999, false) <= 0);
    assert_int_equal(ks_history_len_floor(&history, 30000, true), 30000 - 64);
}

static void large_revisions_are_kept_by_their_bytes(void **state)
{
    (void)state;
    struct ks_history_len history = {.len_max = 1U << 20};
    for (int64_t revision = 1; revision <= 1000; revision++) {
        ks_history_len_add(&history, revision, 16U << 10);
    }
    int64_t floor = ks_history_len_floor(&history, 1000, false);
    assert_in_range(floor, 1000 - 64 - 4, 1000 - 64);                  /* 64 of them are 1 MiB */
    assert_int_equal(ks_history_len_floor(&history, 500, false), 500); /* who lags needs his own */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_is_refused_at_its_limit),
        cmocka_unit_test(a_file_is_loose_when_it_is_large_and_empty_enough),
        cmocka_unit_test(small_revisions_are_kept_by_their_number),
        cmocka_unit_test(large_revisions_are_kept_by_their_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
