#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/store/copy/checksum.h"
#include "pkg/store/copy/stored.h"

/* RFC 3720, appendix B.4. */
static void checksum_is_that_of_the_rfc(void **state)
{
    (void)state;
    uint8_t zeros[32] = {0};
    uint8_t ones[32];
    uint8_t rising[32];
    memset(ones, 0xff, sizeof(ones));
    for (uint8_t i = 0; i < 32; i++) {
        rising[i] = i;
    }

    assert_int_equal(ks_checksum(0, (ks_bytes){zeros, 32}), 0x8a9136aa);
    assert_int_equal(ks_checksum(0, (ks_bytes){ones, 32}), 0x62a8ab43);
    assert_int_equal(ks_checksum(0, (ks_bytes){rising, 32}), 0x46dd794e);
    uint32_t parts = ks_checksum(0, (ks_bytes){rising, 13});
    assert_int_equal(ks_checksum(parts, (ks_bytes){rising + 13, 19}), 0x46dd794e);
}

static void opens_what_it_made(void **state)
{
    (void)state;
    struct ks_store_record record = {KS_LITERAL("key/a"), KS_LITERAL("value"), INT64_MAX};
    KS_BUFFER_AUTO stored = {.len_max = 100};
    struct ks_store_record got;

    assert_int_equal(ks_stored_encode(&record, &stored).code, KS_OK);
    assert_int_equal(ks_stored_decode(record.key, ks_buffer_bytes(&stored), &got).code, KS_OK);

    assert_int_equal(got.revision, INT64_MAX);
    assert_true(ks_bytes_equal(got.value, record.value));
}

static void refuses_every_damage(void **state)
{
    (void)state;
    struct ks_store_record record = {KS_LITERAL("key/a"), KS_LITERAL("value"), 42};
    KS_BUFFER_AUTO stored = {.len_max = 100};
    struct ks_store_record got;
    assert_int_equal(ks_stored_encode(&record, &stored).code, KS_OK);

    for (size_t bit = 0; bit < 8 * stored.len; bit++) {
        stored.ptr[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        assert_int_equal(ks_stored_decode(record.key, ks_buffer_bytes(&stored), &got).code,
                         KS_CORRUPT);
        stored.ptr[bit / 8] ^= (uint8_t)(1U << (bit % 8));
    }
    for (size_t len = 0; len < stored.len; len++) {
        assert_int_equal(ks_stored_decode(record.key, (ks_bytes){stored.ptr, len}, &got).code,
                         KS_CORRUPT);
    }
    assert_int_equal(ks_stored_decode(KS_LITERAL("key/b"), ks_buffer_bytes(&stored), &got).code,
                     KS_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checksum_is_that_of_the_rfc),
        cmocka_unit_test(opens_what_it_made),
        cmocka_unit_test(refuses_every_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
