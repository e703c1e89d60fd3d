/*
 * What a call leaves in the control plane's store: names and bytes that a newer version must find
 * and write as this one does. A retry may reach a newer version than the first try did.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/base/mem.h"
#include "pkg/form/names.h"
#include "services/control/control_fixture.h"

#define GOLDEN_WALL_MS 1800000000123LL
#define GOLDEN_MAX     512U

/*
 * Of principal, method and request_id, each behind its length in 4 bytes: CONTROL_OPERATOR,
 * "/keystead.admin.v1.AdminService/CreateAccount", "golden-1".
 */
#define REQUEST_NAME "request/c3fc32b8e361b279846f29cbb6aac056adfab13ddfbb00f441d9541f1125e583"

/* format 1, request_sha256, response, created_at_ms; the hash is over the fields but request_id. */
#define REQUEST_HEX                                                                                \
    "080112206b88018f8fcde588f08801503bbad05658e621ab14307d2b4341074c4dd2d1a51a290a270a0c"         \
    "393939393030303031313131120a416e206163636f756e741a0b0880a4a7da0610c0a9d33a20fba0f1c2b134"

#define ACCOUNT_NAME "account/999900001111"
#define ACCOUNT_HEX  "0801120c3939393930303030313131311a0a416e206163636f756e7420fba0f1c2b134"

static void assert_stored(const struct ks_store_view *view, const char *name, const char *hex)
{
    uint8_t expected[GOLDEN_MAX];
    size_t len = strlen(hex) / 2;
    assert_true(ks_hex_read(ks_bytes_of(hex), expected, len));
    struct ks_store_record record;
    assert_int_equal(ks_store_get(view, ks_bytes_of(name), &record).code, KS_OK);
    assert_int_equal(record.value.len, len);
    assert_memory_equal(record.value.ptr, expected, len);
}

static void look(struct control_fixture *fixture, struct ks_store *store)
{
    (void)fixture;
    KS_STORE_VIEW_AUTO view = {0};
    assert_int_equal(ks_store_peek(store, &view).code, KS_OK);
    assert_stored(&view, ACCOUNT_NAME, ACCOUNT_HEX);
    assert_stored(&view, REQUEST_NAME, REQUEST_HEX);
}

static void records_have_the_names_and_the_bytes_that_they_always_had(void **state)
{
    struct control_fixture *fixture = *state;
    atomic_store(&fixture->wall_ms, GOLDEN_WALL_MS);

    assert_non_null(control_ask(
        fixture, "CreateAccount",
        ADMIN_REQUEST(CreateAccount, create_account, .display_name = (char[]){"An account"},
                      .account_id = (char[]){"999900001111"}, .request_id = (char[]){"golden-1"})));

    control_look(fixture, look);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_have_the_names_and_the_bytes_that_they_always_had),
    };
    return cmocka_run_group_tests(tests, control_setup, control_teardown);
}
