/* What a key record says of the key's spec and usage, and what follows from it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "services/keystore/fixture/cell_fixture.h"
#include "services/keystore/records/name.h"

#define KEY_ID_LEN 36U

static struct cell cell;
static char key_id[KEY_ID_LEN + 1];

static int set_up(void **state)
{
    (void)state;
    cell_start(&cell, 0);
    cell_wait_ready(&cell);
    cell_create_key(&cell, key_id);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    cell_stop(&cell);
    return 0;
}

/*
 * Records that were written long ago are read by this, and this writes what older programs of the
 * cell read: format, account, key id, state ENABLED, spec SYMMETRIC_DEFAULT, usage ENCRYPT_DECRYPT,
 * origin AWS_KMS.
 */
static void a_record_of_a_symmetric_key_begins_with_these_bytes(void **state)
{
    (void)state;
    char expected[128];
    int len = snprintf(expected, sizeof(expected),
                       "\x08\x01\x12\x0c" CELL_ACCOUNT "\x1a\x24%s\x20\x01\x28\x01\x30\x01\x38\x01",
                       key_id);
    struct ks_name name = ks_name_key(CELL_ACCOUNT, key_id);
    KS_STORE_VIEW_AUTO view = {0};
    struct ks_store_record record;

    assert_int_equal(ks_store_peek(cell.store, &view).code, KS_OK);
    assert_int_equal(ks_store_get(&view, ks_name_bytes(&name), &record).code, KS_OK);

    assert_true(record.value.len > (size_t)len);
    assert_memory_equal(record.value.ptr, expected, (size_t)len);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_record_of_a_symmetric_key_begins_with_these_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
