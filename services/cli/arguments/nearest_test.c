#include "services/cli/arguments/nearest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void counts_letters_to_change(void **state)
{
    (void)state;
    assert_int_equal(ks_word_distance("", ""), 0);
    assert_int_equal(ks_word_distance("", "abc"), 3);
    assert_int_equal(ks_word_distance("abc", ""), 3);
    assert_int_equal(ks_word_distance("kitten", "sitting"), 3);
    assert_int_equal(ks_word_distance("force", "force"), 0);
    assert_int_equal(ks_word_distance("frce", "force"), 1);
}

static void long_words_are_near_to_nothing(void **state)
{
    (void)state;
    static const char limit[] = "abcdefghijklmnopqrstuvwxyzabcdef";  /* 32 letters */
    static const char above[] = "abcdefghijklmnopqrstuvwxyzabcdefg"; /* 33 */
    assert_int_equal(sizeof(limit) - 1, KS_NEAREST_LEN_MAX);
    assert_int_equal(ks_word_distance(limit, limit), 0);
    assert_int_equal(ks_word_distance(above, above), 99);
}

static void a_slip_is_near_and_another_word_is_not(void **state)
{
    (void)state;
    assert_true(ks_word_is_near("kye", "key"));
    assert_true(ks_word_is_near("contxt", "context"));
    assert_false(ks_word_is_near("x", "key"));
    assert_false(ks_word_is_near("alias", "description"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_letters_to_change),
        cmocka_unit_test(long_words_are_near_to_nothing),
        cmocka_unit_test(a_slip_is_near_and_another_word_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
