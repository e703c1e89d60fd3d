#include "services/keystore/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pkg/config/example_fixture.h"

#define EXAMPLE "services/keystore/keystead-keystore.example.yaml"

static void the_example_is_what_the_table_says(void **state)
{
    (void)state;
    ks_example_assert_stored(&ks_keystore_table, EXAMPLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_is_what_the_table_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
