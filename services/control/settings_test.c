#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pkg/config/example_fixture.h"
#include "services/control/settings.h"

#define EXAMPLE "services/control/keystead-control.example.yaml"

static void the_example_is_what_the_table_says(void **state)
{
    (void)state;
    ks_example_assert_stored(&ks_control_table, EXAMPLE);
}

#define FILES                                                                                      \
    "data_folder: /d\nprocess_ca_file: /a\nprocess_cert_file: /b\nprocess_key_file: /c\n"          \
    "client_ca_file: /e\n"

static void the_client_root_has_no_default(void **state)
{
    (void)state;
    struct ks_control_settings settings = {0};
    char text[KS_CONFIG_ERROR_LEN];
    ks_bytes without = KS_LITERAL(FILES);
    ks_bytes with = KS_LITERAL(FILES "client_ca_key_file: /f\n");

    ks_result r = ks_config_parse(&ks_control_table, "test", without, &settings, text);
    assert_int_equal(r.code, KS_VALIDATION);
    r = ks_config_parse(&ks_control_table, "test", with, &settings, text);
    assert_int_equal(r.code, KS_OK);

    assert_int_equal(settings.engine, KS_CONTROL_REPLICATED);
    assert_string_equal(settings.partition, "aws");
    assert_string_equal(settings.client_ca_key_file, "/f");
    ks_config_done(&ks_control_table, &settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_is_what_the_table_says),
        cmocka_unit_test(the_client_root_has_no_default),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
