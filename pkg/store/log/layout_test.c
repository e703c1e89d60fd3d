#include "pkg/store/log/layout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void reads_back_the_keys_it_makes(void **state)
{
    (void)state;
    struct ks_layout layout;
    KS_ARENA_AUTO arena = {.len_max = 4096};
    ks_bytes name;
    assert_int_equal(ks_layout_init(&layout, "/ks/seoul/").code, KS_OK);

    ks_bytes data = ks_layout_data_key(&layout, &arena, KS_LITERAL("key/1/2"));
    ks_bytes keystore = ks_layout_keystore_key(&layout, &arena, "abc");

    assert_int_equal(ks_layout_parse(&layout, data, &name), KS_LAYOUT_DATA);
    assert_true(ks_bytes_equal(name, KS_LITERAL("key/1/2")));
    assert_int_equal(ks_layout_parse(&layout, keystore, &name), KS_LAYOUT_KEYSTORE);
    assert_true(ks_bytes_equal(name, KS_LITERAL("abc")));
    assert_int_equal(ks_layout_parse(&layout, KS_LITERAL("/ks/seoul/rev"), &name), KS_LAYOUT_REV);
    assert_int_equal(ks_layout_parse(&layout, KS_LITERAL("/ks/seoul/epoch"), &name),
                     KS_LAYOUT_EPOCH);
}

static void every_cut_of_a_key_is_no_record(void **state)
{
    (void)state;
    struct ks_layout layout;
    KS_ARENA_AUTO arena = {.len_max = 4096};
    ks_bytes name;
    assert_int_equal(ks_layout_init(&layout, "/p/").code, KS_OK);
    ks_bytes data = ks_layout_data_key(&layout, &arena, KS_LITERAL("k"));

    for (size_t len = 0; len < data.len; len++) {
        assert_int_equal(ks_layout_parse(&layout, (ks_bytes){data.ptr, len}, &name),
                         KS_LAYOUT_OTHER);
    }
    assert_int_equal(ks_layout_parse(&layout, KS_LITERAL("/p/ks/"), &name), KS_LAYOUT_OTHER);
    assert_int_equal(ks_layout_parse(&layout, KS_LITERAL("/q/ks/a"), &name), KS_LAYOUT_OTHER);
}

/* Bounds of the ranges: everything of a bucket, nothing of the next. */
static void a_bucket_holds_its_keys(void **state)
{
    (void)state;
    struct ks_layout layout;
    KS_ARENA_AUTO arena = {.len_max = 1U << 20};
    assert_int_equal(ks_layout_init(&layout, "/p/").code, KS_OK);

    for (unsigned i = 0; i < 2000; i++) {
        char text[16];
        struct ks_layout_range range;
        snprintf(text, sizeof(text), "key/%u", i);
        ks_bytes key = ks_layout_data_key(&layout, &arena, ks_bytes_of(text));
        unsigned bucket = ks_layout_bucket(ks_bytes_of(text));
        ks_layout_bucket_range(&layout, bucket, &range);
        assert_true(ks_bytes_compare(key, ks_bytes_of(range.from)) > 0);
        assert_true(ks_bytes_compare(key, ks_bytes_of(range.to)) < 0);
        ks_layout_bucket_range(&layout, (bucket + 1) % KS_LAYOUT_BUCKETS, &range);
        assert_false(ks_bytes_compare(key, ks_bytes_of(range.from)) > 0 &&
                     ks_bytes_compare(key, ks_bytes_of(range.to)) < 0);
    }
}

/* 100 each on average; a bad hash would make a load of a few long ranges. */
static void keys_spread_evenly(void **state)
{
    (void)state;
    unsigned counts[KS_LAYOUT_BUCKETS] = {0};
    for (unsigned i = 0; i < 100 * KS_LAYOUT_BUCKETS; i++) {
        char text[64];
        snprintf(text, sizeof(text), "key/111122223333/%08x-0000-4000-8000-000000000000", i);
        counts[ks_layout_bucket(ks_bytes_of(text))]++;
    }
    for (unsigned i = 0; i < KS_LAYOUT_BUCKETS; i++) {
        assert_in_range(counts[i], 40, 200);
    }
}

/* What a range delete rests on: all that starts with a directory is one range of etcd. */
static void a_directory_is_one_range(void **state)
{
    (void)state;
    struct ks_layout layout;
    KS_ARENA_AUTO arena = {.len_max = 1U << 20};
    ks_bytes from;
    ks_bytes to;
    assert_int_equal(ks_layout_init(&layout, "/p/").code, KS_OK);
    ks_layout_prefix_range(&layout, &arena, KS_LITERAL("grant/A/k/"), &from, &to);

    for (unsigned i = 0; i < 500; i++) {
        char text[64];
        snprintf(text, sizeof(text), "grant/A/k/%u/x", i);
        ks_bytes key = ks_layout_data_key(&layout, &arena, ks_bytes_of(text));
        assert_true(ks_bytes_compare(from, key) < 0 && ks_bytes_compare(key, to) < 0);
        snprintf(text, sizeof(text), "grant/A/k%u/x", i);
        key = ks_layout_data_key(&layout, &arena, ks_bytes_of(text));
        assert_false(ks_bytes_compare(from, key) < 0 && ks_bytes_compare(key, to) < 0);
    }
    ks_layout_prefix_range(&layout, &arena, KS_LITERAL("grant/A/k/7"), &from, &to);
    ks_bytes in = ks_layout_data_key(&layout, &arena, KS_LITERAL("grant/A/k/7x"));
    ks_bytes out = ks_layout_data_key(&layout, &arena, KS_LITERAL("grant/A/k/8"));
    assert_true(ks_bytes_compare(from, in) < 0 && ks_bytes_compare(in, to) < 0);
    assert_true(ks_bytes_compare(out, to) >= 0);
}

static void refuses_a_prefix_of_no_form(void **state)
{
    (void)state;
    struct ks_layout layout;
    char text[KS_LAYOUT_PREFIX_LEN_MAX + 2];
    memset(text, 'p', sizeof(text));
    text[KS_LAYOUT_PREFIX_LEN_MAX + 1] = 0;

    assert_int_equal(ks_layout_init(&layout, text).code, KS_VALIDATION);
    text[KS_LAYOUT_PREFIX_LEN_MAX] = 0;
    assert_int_equal(ks_layout_init(&layout, text).code, KS_OK);
    assert_int_equal(ks_layout_init(&layout, "").code, KS_VALIDATION);
    assert_int_equal(ks_layout_init(&layout, "/a b/").code, KS_VALIDATION);
    assert_int_equal(ks_layout_init(&layout, "/\x7f/").code, KS_VALIDATION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_back_the_keys_it_makes),
        cmocka_unit_test(every_cut_of_a_key_is_no_record),
        cmocka_unit_test(a_bucket_holds_its_keys),
        cmocka_unit_test(keys_spread_evenly),
        cmocka_unit_test(a_directory_is_one_range),
        cmocka_unit_test(refuses_a_prefix_of_no_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
