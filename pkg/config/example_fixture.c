#include "pkg/config/example_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "pkg/base/mem.h"

#define EXAMPLE_LEN_MAX 32768U

void ks_example_assert_stored(const struct ks_config_table *table, const char *path)
{
    KS_AUTO_FREE char *printed = NULL;
    size_t printed_len = 0;
    FILE *out = open_memstream(&printed, &printed_len);
    ks_config_example(table, out);
    assert_int_equal(fclose(out), 0);
    char stored[EXAMPLE_LEN_MAX];
    FILE *file = fopen(path, "re");
    assert_non_null(file);

    size_t stored_len = fread(stored, 1, sizeof(stored), file);

    assert_int_equal(fclose(file), 0);
    assert_int_equal(stored_len, printed_len);
    assert_memory_equal(stored, printed, printed_len);
}
