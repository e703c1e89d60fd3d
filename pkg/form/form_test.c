#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/form/form.h"
#include "pkg/form/names.h"

static void reads_back_what_was_written(void **state)
{
    (void)state;
    uint8_t place[64];
    struct ks_writer out = {.ptr = place, .capacity = sizeof(place)};

    ks_write_u8(&out, 0xfe);
    ks_write_u16(&out, 0xfedc);
    ks_write_u32(&out, 0xfedcba98);
    ks_write_u64(&out, 0xfedcba9876543210);
    ks_write_short(&out, KS_LITERAL("ab"));
    ks_write_long(&out, KS_LITERAL(""));
    ks_write_bytes(&out, KS_LITERAL("c"));

    assert_false(out.full);
    assert_memory_equal(
        place, "\xfe\xfe\xdc\xfe\xdc\xba\x98\xfe\xdc\xba\x98\x76\x54\x32\x10\2ab\0\0c", out.len);
    struct ks_reader in = {.rest = ks_written(&out)};
    assert_int_equal(ks_read_u8(&in), 0xfe);
    assert_int_equal(ks_read_u16(&in), 0xfedc);
    assert_int_equal(ks_read_u32(&in), 0xfedcba98);
    assert_true(ks_read_u64(&in) == 0xfedcba9876543210);
    assert_true(ks_bytes_equal(ks_read_short(&in), KS_LITERAL("ab")));
    assert_int_equal(ks_read_long(&in).len, 0);
    assert_false(ks_read_all(&in));
    assert_true(ks_bytes_equal(ks_read_bytes(&in, 1), KS_LITERAL("c")));
    assert_true(ks_read_all(&in));
}

/* What comes behind a gap must not be taken for what stands at its place. */
static void a_reader_that_met_the_end_stays_bad(void **state)
{
    (void)state;
    struct ks_reader in = {.rest = KS_LITERAL("\x01\x02\x03")};

    assert_int_equal(ks_read_u32(&in), 0);

    assert_true(in.bad);
    assert_int_equal(ks_read_u8(&in), 0);
    assert_false(ks_read_all(&in));
}

static void refuses_a_length_past_the_end(void **state)
{
    (void)state;
    struct ks_reader a = {.rest = KS_LITERAL("\3ab")};
    struct ks_reader b = {.rest = KS_LITERAL("\xff\xff")};
    struct ks_reader none = {.rest = {NULL, 0}};

    assert_int_equal(ks_read_short(&a).len, 0);
    assert_int_equal(ks_read_long(&b).len, 0);

    assert_true(a.bad && b.bad);
    assert_true(ks_read_all(&none));
    assert_int_equal(ks_read_short(&none).len, 0);
    assert_true(none.bad);
}

static void a_writer_that_is_full_writes_nothing_more(void **state)
{
    (void)state;
    uint8_t place[4] = "wxyz";
    struct ks_writer out = {.ptr = place, .capacity = 3};

    ks_write_u16(&out, 1);
    ks_write_u16(&out, 2);
    ks_write_u8(&out, 3);

    assert_true(out.full);
    assert_int_equal(out.len, 2);
    assert_memory_equal(place, "\0\1yz", 4);
}

static void refuses_to_cut_a_length(void **state)
{
    (void)state;
    static uint8_t big[70000];
    static uint8_t place[70010];
    struct ks_writer a = {.ptr = place, .capacity = sizeof(place)};
    struct ks_writer b = {.ptr = place, .capacity = sizeof(place)};
    struct ks_writer c = {.ptr = place, .capacity = sizeof(place)};

    ks_write_short(&a, (ks_bytes){big, 255});
    ks_write_long(&a, (ks_bytes){big, 65535});
    ks_write_short(&b, (ks_bytes){big, 256});
    ks_write_long(&c, (ks_bytes){big, 65536});

    assert_false(a.full);
    assert_true(b.full && c.full);
    assert_int_equal(b.len + c.len, 0);
}

static void knows_a_region(void **state)
{
    (void)state;
    static const char *const good[] = {"ap-seoul-1", "us-oregon-12", "a-b-c-9",
                                       "abcdefghij-abcdefghij-abcdefgh-1"};
    static const char *const bad[] = {"",       "a",
                                      "a-1",    "a-b",
                                      "a-b-",   "-a-b-1",
                                      "a--b-1", "a-b-1a",
                                      "A-b-1",  "a-b-c-d-1",
                                      "a-b-1-", "a_b-c-1",
                                      "a-b-c-", "abcdefghij-abcdefghij-abcdefghi-1"};
    for (size_t i = 0; i < KS_COUNT(good); i++) {
        assert_true(ks_is_region(ks_bytes_of(good[i])));
    }
    for (size_t i = 0; i < KS_COUNT(bad); i++) {
        assert_false(ks_is_region(ks_bytes_of(bad[i])));
    }
}

static void knows_a_zone_of_a_region(void **state)
{
    (void)state;

    assert_true(ks_is_zone_of(KS_LITERAL("ap-seoul-1a"), KS_LITERAL("ap-seoul-1")));
    assert_false(ks_is_zone_of(KS_LITERAL("ap-seoul-1"), KS_LITERAL("ap-seoul-1")));
    assert_false(ks_is_zone_of(KS_LITERAL("ap-seoul-12a"), KS_LITERAL("ap-seoul-1")));
    assert_false(ks_is_zone_of(KS_LITERAL("ap-seoul-1aa"), KS_LITERAL("ap-seoul-1")));
    assert_false(ks_is_zone_of(KS_LITERAL("ap-seoul-1A"), KS_LITERAL("ap-seoul-1")));
    assert_false(ks_is_zone_of(KS_LITERAL(""), KS_LITERAL("")));
}

static void knows_accounts_and_key_ids(void **state)
{
    (void)state;

    assert_true(ks_is_account(KS_LITERAL("000000000000")));
    assert_false(ks_is_account(KS_LITERAL("11112222333")));
    assert_false(ks_is_account(KS_LITERAL("1111222233334")));
    assert_false(ks_is_account(KS_LITERAL("11112222333x")));
    assert_true(ks_is_key_id(KS_LITERAL("1234abcd-12ab-34cd-56ef-1234567890ab")));
    assert_true(ks_is_key_id(KS_LITERAL("mrk-1234abcd12ab34cd56ef1234567890ab")));
    assert_false(ks_is_key_id(KS_LITERAL("1234abcd-12ab-34cd-56ef-1234567890a")));
    assert_false(ks_is_key_id(KS_LITERAL("1234ABCD-12ab-34cd-56ef-1234567890ab")));
    assert_false(ks_is_key_id(KS_LITERAL("1234abcd/12ab-34cd-56ef-1234567890ab")));
}

static void reads_hex_of_one_form_only(void **state)
{
    (void)state;
    uint8_t bytes[2] = {0};
    char text[5];

    assert_true(ks_hex_read(KS_LITERAL("09af"), bytes, 2));
    ks_hex_write((ks_bytes){bytes, 2}, text);

    assert_string_equal(text, "09af");
    assert_false(ks_hex_read(KS_LITERAL("09AF"), bytes, 2));
    assert_false(ks_hex_read(KS_LITERAL("09a"), bytes, 2));
    assert_false(ks_hex_read(KS_LITERAL("09aff"), bytes, 2));
    assert_false(ks_hex_read(KS_LITERAL("09ag"), bytes, 2));
    assert_false(ks_hex_read(KS_LITERAL(" 9af"), bytes, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_back_what_was_written),
        cmocka_unit_test(a_reader_that_met_the_end_stays_bad),
        cmocka_unit_test(refuses_a_length_past_the_end),
        cmocka_unit_test(a_writer_that_is_full_writes_nothing_more),
        cmocka_unit_test(refuses_to_cut_a_length),
        cmocka_unit_test(knows_a_region),
        cmocka_unit_test(knows_a_zone_of_a_region),
        cmocka_unit_test(knows_accounts_and_key_ids),
        cmocka_unit_test(reads_hex_of_one_form_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
