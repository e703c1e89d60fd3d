#include "services/frontend/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/config/example_fixture.h"

#define EXAMPLE "services/frontend/keystead-frontend.example.yaml"
#define FILES   "process_ca_file: a\nprocess_cert_file: b\nprocess_key_file: c\nclient_ca_file: d\n"
#define GOOD    "region: ap-seoul-1\nzone: ap-seoul-1a\n"

static char error[KS_CONFIG_ERROR_LEN];

static ks_code read(const char *yaml, struct ks_keystore_places *places)
{
    struct ks_frontend_settings settings = {0};
    ks_result r = ks_config_parse(&ks_frontend_table, "test", ks_bytes_of(yaml), &settings, error);
    if (!ks_failed(r)) {
        r = ks_frontend_settings_check(&settings, places, error);
    }
    ks_config_done(&ks_frontend_table, &settings);
    return r.code;
}

static void takes_keystores_apart(void **state)
{
    (void)state;
    struct ks_keystore_places places = {.count = 0};

    ks_code code =
        read(GOOD FILES "keystores: [ap-seoul-1a=127.0.0.1:7001, ap-seoul-1b=h:2]\n", &places);

    assert_int_equal(code, KS_OK);
    assert_int_equal(places.count, 2);
    assert_string_equal(places.items[0].zone, "ap-seoul-1a");
    assert_string_equal(places.items[0].address, "127.0.0.1:7001");
    assert_string_equal(places.addresses[1], "h:2");
    ks_keystore_places_done(&places);
    assert_int_equal(places.count, 0);
}

static void refuses_what_is_malformed_and_says_where(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "region: seoul\nzone: ap-seoul-1a\n" FILES "keystores: [ap-seoul-1a=h:1]\n",
        "region: ap-seoul-1\nzone: us-oregon-1a\n" FILES "keystores: [ap-seoul-1a=h:1]\n",
        GOOD FILES "keystores: [us-oregon-1a=h:1]\n",
        GOOD FILES "keystores: [ap-seoul-1a]\n",
        GOOD FILES "keystores: [ap-seoul-1a=]\n",
        GOOD FILES "keystores: [ap-seoul-1a=h:1, h:2]\n",
        GOOD FILES "keystores: []\n",
        GOOD FILES "keystores: [ap-seoul-1a=h:1]\nregions: [paris]\n",
        GOOD FILES "keystores: [ap-seoul-1a=h:1]\npartition: A\n",
        GOOD FILES "keystores: [ap-seoul-1a=h:1]\nthreads: 17\n",
        GOOD FILES "keystores: [ap-seoul-1a=h:1]\nunknown: 1\n",
    };
    for (size_t i = 0; i < KS_COUNT(bad); i++) {
        struct ks_keystore_places places = {.count = 0};
        memset(error, 0, sizeof(error));
        if (read(bad[i], &places) != KS_VALIDATION || error[0] == 0) {
            fail_msg("sample %zu", i);
        }
    }
}

static void has_its_example_in_the_tree(void **state)
{
    (void)state;
    ks_example_assert_stored(&ks_frontend_table, EXAMPLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_keystores_apart),
        cmocka_unit_test(refuses_what_is_malformed_and_says_where),
        cmocka_unit_test(has_its_example_in_the_tree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
