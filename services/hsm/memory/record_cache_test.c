#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "services/hsm/memory/record_cache.h"

static struct ks_record_cache *cache;

static int set_up(void **state)
{
    (void)state;
    cache = ks_record_cache_new(KS_RECORD_CACHE_WAYS); /* one bucket */
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ks_record_cache_free(cache);
    return 0;
}

static void answers_for_the_very_name_and_bytes_only(void **state)
{
    (void)state;
    ks_record_cache_put(cache, KS_LITERAL("key/a"), KS_LITERAL("bytes"));

    assert_true(ks_record_cache_find(cache, KS_LITERAL("key/a"), KS_LITERAL("bytes")));
    assert_false(ks_record_cache_find(cache, KS_LITERAL("key/b"), KS_LITERAL("bytes")));
    assert_false(ks_record_cache_find(cache, KS_LITERAL("key/a"), KS_LITERAL("Bytes")));
    assert_false(ks_record_cache_find(cache, KS_LITERAL("key/a"), KS_LITERAL("byte")));
    assert_false(ks_record_cache_find(cache, KS_LITERAL("key/ab"), KS_LITERAL("ytes")));
    assert_false(ks_record_cache_find(cache, KS_LITERAL("key/a"), KS_LITERAL("")));
}

static void the_one_used_longest_ago_makes_room(void **state)
{
    (void)state;
    char name[16];
    for (unsigned i = 0; i < KS_RECORD_CACHE_WAYS; i++) {
        snprintf(name, sizeof(name), "%u", i);
        ks_record_cache_put(cache, ks_bytes_of(name), KS_LITERAL("x"));
    }
    assert_true(ks_record_cache_find(cache, KS_LITERAL("0"), KS_LITERAL("x")));

    ks_record_cache_put(cache, KS_LITERAL("new"), KS_LITERAL("x"));

    assert_true(ks_record_cache_find(cache, KS_LITERAL("0"), KS_LITERAL("x")));
    assert_false(ks_record_cache_find(cache, KS_LITERAL("1"), KS_LITERAL("x")));
    assert_true(ks_record_cache_find(cache, KS_LITERAL("new"), KS_LITERAL("x")));
}

static void a_record_beyond_the_limit_is_not_held(void **state)
{
    (void)state;
    static uint8_t big[KS_RECORD_CACHE_LEN_MAX];
    ks_record_cache_put(cache, KS_LITERAL("k"), (ks_bytes){big, sizeof(big) - 1});
    ks_record_cache_put(cache, KS_LITERAL("k"), (ks_bytes){big, sizeof(big)});

    assert_true(ks_record_cache_find(cache, KS_LITERAL("k"), (ks_bytes){big, sizeof(big) - 1}));
    assert_false(ks_record_cache_find(cache, KS_LITERAL("k"), (ks_bytes){big, sizeof(big)}));
}

static void nothing_is_left_after_it_was_cleared(void **state)
{
    (void)state;
    ks_record_cache_put(cache, KS_LITERAL("k"), KS_LITERAL("x"));

    ks_record_cache_clear(cache);

    assert_false(ks_record_cache_find(cache, KS_LITERAL("k"), KS_LITERAL("x")));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(answers_for_the_very_name_and_bytes_only),
        TEST(the_one_used_longest_ago_makes_room),
        TEST(a_record_beyond_the_limit_is_not_held),
        TEST(nothing_is_left_after_it_was_cleared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
