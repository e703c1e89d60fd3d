#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pkg/base/mem.h"
#include "pkg/store/copy/ordinals.h"

#define RECORDS 5000U /* the table grows three times */

static struct ks_ordinals *ordinals;

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(ks_ordinals_new(&ordinals).code, KS_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ks_ordinals_free(ordinals);
    return 0;
}

static uint64_t hash_of(uint64_t number)
{
    return ks_ordinals_hash(ordinals, (ks_bytes){(const uint8_t *)&number, sizeof(number)});
}

static void remembers_each_record_as_the_table_grows(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= RECORDS; i++) {
        ks_ordinals_raise(ordinals, hash_of(i), 10 * i, 1);
    }
    for (uint64_t i = 1; i <= RECORDS; i++) {
        assert_int_equal(ks_ordinals_get(ordinals, hash_of(i)), 10 * i);
    }
    assert_int_equal(ks_ordinals_get(ordinals, hash_of(RECORDS + 1)), 0);
}

static void an_ordinal_does_not_fall(void **state)
{
    (void)state;
    ks_ordinals_raise(ordinals, hash_of(1), 5, 100);
    ks_ordinals_raise(ordinals, hash_of(1), 4, 200);
    assert_int_equal(ks_ordinals_get(ordinals, hash_of(1)), 5);
    assert_false(ks_ordinals_admit(ordinals, hash_of(1), 4, 150));
}

/* A view that was opened before the change still sees the record as it was, and may. */
static void a_lower_one_is_admitted_where_the_change_is_not_seen_yet(void **state)
{
    (void)state;
    ks_ordinals_raise(ordinals, hash_of(1), 5, 100);
    assert_true(ks_ordinals_admit(ordinals, hash_of(1), 4, 99));
    assert_false(ks_ordinals_admit(ordinals, hash_of(1), 4, 100));
    assert_true(ks_ordinals_admit(ordinals, hash_of(1), 5, 100));
    assert_true(ks_ordinals_admit(ordinals, hash_of(1), 6, 100));
    assert_true(ks_ordinals_admit(ordinals, hash_of(2), 1, 100));
}

static void forgets_everything_at_once(void **state)
{
    (void)state;
    ks_ordinals_raise(ordinals, hash_of(1), 5, 100);
    ks_ordinals_clear(ordinals);
    assert_int_equal(ks_ordinals_get(ordinals, hash_of(1)), 0);
    ks_ordinals_raise(ordinals, hash_of(1), 3, 100);
    assert_int_equal(ks_ordinals_get(ordinals, hash_of(1)), 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(remembers_each_record_as_the_table_grows),
        TEST(an_ordinal_does_not_fall),
        TEST(a_lower_one_is_admitted_where_the_change_is_not_seen_yet),
        TEST(forgets_everything_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
