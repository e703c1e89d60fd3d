#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "pkg/config/example_fixture.h"
#include "services/hsm/settings/settings.h"

#define EXAMPLE "services/hsm/settings/keystead-hsm.example.yaml"

static void the_example_is_what_the_table_says(void **state)
{
    (void)state;
    ks_example_assert_stored(&ks_hsm_settings_table, EXAMPLE);
}

static ks_code load(const char *yaml)
{
    char path[] = "/tmp/hsm_settings_test_XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, yaml, strlen(yaml)), (ssize_t)strlen(yaml));
    close(fd);
    KS_HSM_SETTINGS_AUTO settings = {.region = NULL};
    ks_result r = ks_hsm_settings_load(path, &settings);
    unlink(path);
    return r.code;
}

#define GOOD "pin_file: /p\nsocket: /s\npeer_user: keystore\n"

static void a_zone_must_be_of_its_region(void **state)
{
    (void)state;

    assert_int_equal(load("region: ap-seoul-1\nzone: ap-seoul-1a\n" GOOD), KS_OK);
    assert_int_equal(load("region: ap-seoul-1\nzone: ap-seoul-2a\n" GOOD), KS_VALIDATION);
    assert_int_equal(load("region: seoul\nzone: seoula\n" GOOD), KS_VALIDATION);
    assert_int_equal(load("region: ap-seoul-1\nzone: ap-seoul-1a\nopen_files: 3\n" GOOD),
                     KS_VALIDATION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_is_what_the_table_says),
        cmocka_unit_test(a_zone_must_be_of_its_region),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
