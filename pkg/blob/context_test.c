#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/base/mem.h"
#include "pkg/blob/context.h"
#include "tests/vectors/context_json.h"
#include "tests/vectors/vectors.h"

static uint8_t encoded[KS_CONTEXT_LEN_MAX];
static size_t encoded_len;

static ks_code encode(const struct ks_context_pair *pairs, size_t count)
{
    return ks_context_encode(pairs, count, encoded, &encoded_len).code;
}

static struct ks_context_pair pair(const char *key, const char *value)
{
    return (struct ks_context_pair){ks_bytes_of(key), ks_bytes_of(value)};
}

static void check_vector(const struct ks_json *vector)
{
    struct ks_context_pair pairs[8];
    struct ks_vector_bytes parts[16] = {{0}};
    const struct ks_json *list = ks_json_get(vector, "pairs");
    size_t count = ks_json_count(list);
    assert_true(count <= KS_COUNT(pairs));
    for (size_t i = 0; i < count; i++) {
        parts[2 * i] = ks_vector_hex_of(ks_json_at(ks_json_at(list, i), 0));
        parts[2 * i + 1] = ks_vector_hex_of(ks_json_at(ks_json_at(list, i), 1));
        pairs[i].key = ks_vector_view(&parts[2 * i]);
        pairs[i].value = ks_vector_view(&parts[2 * i + 1]);
    }
    KS_VECTOR_AUTO wanted = ks_vector_hex(vector, "encoded");

    assert_int_equal(encode(pairs, count), KS_OK);

    assert_int_equal(encoded_len, wanted.len);
    assert_memory_equal(encoded, wanted.ptr, wanted.len);
    for (size_t i = 0; i < KS_COUNT(parts); i++) {
        ks_vector_bytes_done(&parts[i]);
    }
}

static void encodes_as_the_golden_vectors(void **state)
{
    (void)state;
    KS_JSON_AUTO *doc = ks_vectors_open(ks_context_json, ks_context_json_len);

    for (size_t i = 0; i < ks_vectors_count(doc); i++) {
        check_vector(ks_vectors_at(doc, i));
    }
}

/* A pair moved by one byte is another context; without lengths it would be the same bytes. */
static void tells_moved_bytes_apart(void **state)
{
    (void)state;
    uint8_t first[64];
    struct ks_context_pair a = pair("ab", "c");
    struct ks_context_pair b = pair("a", "bc");
    assert_int_equal(encode(&a, 1), KS_OK);
    size_t len = encoded_len;
    memcpy(first, encoded, len);

    assert_int_equal(encode(&b, 1), KS_OK);

    assert_int_equal(encoded_len, len);
    assert_memory_not_equal(encoded, first, len);
}

static void any_order_gives_the_same_bytes(void **state)
{
    (void)state;
    struct ks_context_pair pairs[] = {pair("b", "1"), pair("ab", "2"), pair("a", "3")};
    uint8_t first[64];
    assert_int_equal(encode(pairs, 3), KS_OK);
    size_t len = encoded_len;
    memcpy(first, encoded, len);

    struct ks_context_pair other[] = {pairs[2], pairs[0], pairs[1]};
    assert_int_equal(encode(other, 3), KS_OK);

    assert_int_equal(encoded_len, len);
    assert_memory_equal(encoded, first, len);
}

static void refuses_a_key_that_stands_twice(void **state)
{
    (void)state;
    struct ks_context_pair pairs[] = {pair("a", "1"), pair("b", "2"), pair("a", "1")};

    assert_int_equal(encode(pairs, 2), KS_OK);
    assert_int_equal(encode(pairs, 3), KS_VALIDATION);
}

static void keeps_both_sides_of_each_limit(void **state)
{
    (void)state;
    static uint8_t big[2049];
    struct ks_context_pair longest = {{big, 2048}, {big, 2048}};
    struct ks_context_pair long_key = {{big, 2049}, {big, 1}};
    struct ks_context_pair long_value = {{big, 1}, {big, 2049}};
    struct ks_context_pair no_key = {{big, 0}, {big, 1}};
    struct ks_context_pair no_value = {{big, 1}, {NULL, 0}};

    assert_int_equal(encode(NULL, 0), KS_OK);
    assert_int_equal(encode(&longest, 1), KS_OK);
    assert_int_equal(encode(&no_value, 1), KS_OK);
    assert_int_equal(encode(&long_key, 1), KS_VALIDATION);
    assert_int_equal(encode(&long_value, 1), KS_VALIDATION);
    assert_int_equal(encode(&no_key, 1), KS_VALIDATION);
}

static void keeps_the_limit_of_pairs_and_of_the_whole(void **state)
{
    (void)state;
    char keys[129][4];
    struct ks_context_pair pairs[129];
    static uint8_t big[2048];
    for (unsigned i = 0; i < 129; i++) {
        snprintf(keys[i], sizeof(keys[i]), "%03u", i % 1000);
        pairs[i] = pair(keys[i], "");
    }
    assert_int_equal(encode(pairs, 128), KS_OK);
    assert_int_equal(encode(pairs, 129), KS_VALIDATION);

    /* 2 + 4 pairs of 4 + 3: 30 bytes; 8162 are left for values. */
    for (unsigned i = 0; i < 4; i++) {
        pairs[i].value = (ks_bytes){big, i < 3 ? 2048 : 8162 - 3 * 2048};
    }
    assert_int_equal(encode(pairs, 4), KS_OK);
    assert_int_equal(encoded_len, 8192);
    pairs[3].value.len++;
    assert_int_equal(encode(pairs, 4), KS_VALIDATION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encodes_as_the_golden_vectors),
        cmocka_unit_test(tells_moved_bytes_apart),
        cmocka_unit_test(any_order_gives_the_same_bytes),
        cmocka_unit_test(refuses_a_key_that_stands_twice),
        cmocka_unit_test(keeps_both_sides_of_each_limit),
        cmocka_unit_test(keeps_the_limit_of_pairs_and_of_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
