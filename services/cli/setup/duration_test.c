#include "services/cli/setup/duration.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pkg/base/mem.h"

static void reads_each_unit(void **state)
{
    (void)state;
    const struct {
        const char *word;
        int64_t ms;
    } cases[] = {{"1ms", 1},
                 {"250ms", 250},
                 {"2s", 2000},
                 {"5m", 300000},
                 {"12h", 43200000},
                 {"30d", 2592000000},
                 {"36500d", 36500LL * 86400000}};
    for (size_t i = 0; i < KS_COUNT(cases); i++) {
        int64_t ms = 0;
        assert_int_equal(ks_duration_read(cases[i].word, &ms).code, KS_OK);
        assert_int_equal(ms, cases[i].ms);
    }
}

static void refuses_everything_else(void **state)
{
    (void)state;
    const char *const words[] = {"",    "5",  "s",    "5 s",    "5S",
                                 "-1s", "0s", "1.5h", "36501d", "9999999999999s"};
    for (size_t i = 0; i < KS_COUNT(words); i++) {
        int64_t ms = 7;
        assert_int_equal(ks_duration_read(words[i], &ms).code, KS_VALIDATION);
        assert_int_equal(ms, 7);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_each_unit),
        cmocka_unit_test(refuses_everything_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
