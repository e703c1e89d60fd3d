#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/base/mem.h"
#include "pkg/rpc/descriptors.h"

/*
 * a.proto   package p.v1: message Outer { int32 field; message Inner {}; enum Kind { ZERO } }
 * b.proto   package p.v1; imports a.proto: service Service { rpc Method }
 * c.proto   no package; imports b.proto, a.proto, and gone.proto which is not there: message Top
 * Each line is one field: its tag, its length, its bytes.
 */
/* clang-format off */
static const char set[] = "\x0a\x41"
                          "\x0a\x07" "a.proto"
                          "\x12\x04" "p.v1"
                          "\x22\x30"
                          "\x0a\x05" "Outer"
                          "\x12\x07" "\x0a\x05" "field"
                          "\x1a\x07" "\x0a\x05" "Inner"
                          "\x22\x0e" "\x0a\x04" "Kind" "\x12\x06" "\x0a\x04" "ZERO"
                          "\x42\x05" "\x0a\x03" "one"
                          "\x0a\x2d"
                          "\x0a\x07" "b.proto"
                          "\x12\x04" "p.v1"
                          "\x1a\x07" "a.proto"
                          "\x32\x13"
                          "\x0a\x07" "Service"
                          "\x12\x08" "\x0a\x06" "Method"
                          "\x0a\x2e"
                          "\x0a\x07" "c.proto"
                          "\x1a\x07" "b.proto"
                          "\x1a\x0a" "gone.proto"
                          "\x1a\x07" "a.proto"
                          "\x22\x05" "\x0a\x03" "Top";
/* clang-format on */

static struct ks_rpc_descriptors descriptors;

static int start(void **state)
{
    (void)state;
    descriptors = (struct ks_rpc_descriptors){0};
    return (int)ks_rpc_descriptors_add(&descriptors, KS_LITERAL(set)).code;
}

static void a_file_is_found_by_its_name(void **state)
{
    (void)state;
    size_t index;

    assert_true(ks_rpc_descriptors_by_name(&descriptors, KS_LITERAL("b.proto"), &index));
    assert_int_equal(index, 1);
    assert_false(ks_rpc_descriptors_by_name(&descriptors, KS_LITERAL("b.prot"), &index));
    assert_false(ks_rpc_descriptors_by_name(&descriptors, KS_LITERAL(""), &index));
}

static void a_file_is_found_by_what_it_declares(void **state)
{
    (void)state;
    static const struct {
        const char *symbol;
        int file; /* -1: none */
    } rows[] = {
        {"p.v1.Outer", 0},
        {"p.v1.Outer.Inner", 0},
        {"p.v1.Outer.field", 0},
        {"p.v1.Outer.Kind", 0},
        {"p.v1.Outer.one", 0},
        {"p.v1.Outer.ZERO", 0},
        {"p.v1.Outer.Kind.ZERO", -1},
        {"p.v1.Outer.ZERO.x", -1},
        {"p.v1.ZERO", -1},
        {"p.v1.Service", 1},
        {"p.v1.Service.Method", 1},
        {"Top", 2},
        {"p.v1", -1},
        {"p.v1.", -1},
        {"p.v1.Oute", -1},
        {"p.v1.Outer.", -1},
        {"p.v1.Outer.Inner.More", -1},
        {"p.v1.Method", -1},
        {"p.v1xOuter", -1},
        {"Outer", -1},
        {"", -1},
        {".", -1},
        {"p.v1.Outer.field.x", -1},
    };

    for (size_t i = 0; i < KS_COUNT(rows); i++) {
        size_t index = 99;
        bool found =
            ks_rpc_descriptors_by_symbol(&descriptors, ks_bytes_of(rows[i].symbol), &index);
        assert_int_equal(found ? (int)index : -1, rows[i].file);
    }
}

static void a_file_comes_with_all_its_imports_once(void **state)
{
    (void)state;
    size_t indexes[KS_RPC_DESCRIPTOR_FILES_MAX];
    size_t count;

    ks_rpc_descriptors_closure(&descriptors, 2, indexes, &count);

    assert_int_equal(count, 3);
    assert_int_equal(indexes[0], 2);
    assert_int_equal(indexes[1], 1);
    assert_int_equal(indexes[2], 0);
    ks_rpc_descriptors_closure(&descriptors, 0, indexes, &count);
    assert_int_equal(count, 1);
}

static void a_second_set_adds_what_is_new(void **state)
{
    (void)state;
    size_t index;

    assert_int_equal(ks_rpc_descriptors_add(&descriptors, KS_LITERAL(set)).code, KS_OK);
    assert_int_equal(descriptors.file_count, 3);
    assert_int_equal(ks_rpc_descriptors_add(&descriptors, KS_LITERAL("\x0a\x09\x0a\x07"
                                                                     "d.proto"))
                         .code,
                     KS_OK);
    assert_true(ks_rpc_descriptors_by_name(&descriptors, KS_LITERAL("d.proto"), &index));
    assert_int_equal(index, 3);
}

static void what_is_no_set_is_refused_and_damage_survived(void **state)
{
    (void)state;
    ks_bytes whole = KS_LITERAL(set);
    struct ks_rpc_descriptors damaged = {.file_count = 0};

    assert_int_equal(ks_rpc_descriptors_add(&damaged, KS_LITERAL("\x08\x01")).code, KS_CORRUPT);
    assert_int_equal(ks_rpc_descriptors_add(&damaged, (ks_bytes){0}).code, KS_OK);
    assert_int_equal(damaged.file_count, 0);
    for (size_t bit = 0; bit < 8 * whole.len; bit++) {
        uint8_t *copy = (uint8_t *)ks_bytes_dup(whole);
        copy[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        size_t index;
        damaged.file_count = 0;
        if (!ks_failed(ks_rpc_descriptors_add(&damaged, (ks_bytes){copy, whole.len})) &&
            ks_rpc_descriptors_by_symbol(&damaged, KS_LITERAL("p.v1.Outer.ZERO"), &index)) {
            size_t indexes[KS_RPC_DESCRIPTOR_FILES_MAX];
            size_t count;
            ks_rpc_descriptors_closure(&damaged, index, indexes, &count);
        }
        ks_free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_file_is_found_by_its_name, start),
        cmocka_unit_test_setup(a_file_is_found_by_what_it_declares, start),
        cmocka_unit_test_setup(a_file_comes_with_all_its_imports_once, start),
        cmocka_unit_test_setup(a_second_set_adds_what_is_new, start),
        cmocka_unit_test_setup(what_is_no_set_is_refused_and_damage_survived, start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
