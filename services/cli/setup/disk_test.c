#include "services/cli/setup/disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[32];
static char path[64];
static struct ks_failure failure;

static int setup(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/ks-disk-XXXXXX");
    if (!mkdtemp(folder)) {
        return -1;
    }
    snprintf(path, sizeof(path), "%s/file", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static void what_is_written_is_read_whole(void **state)
{
    (void)state;
    static uint8_t bytes[10000];
    KS_BUFFER_AUTO got = {.len_max = sizeof(bytes) + 1};
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)(i * 3);
    }
    ks_bytes all = {bytes, sizeof(bytes)};
    assert_int_equal(ks_disk_write(path, KS_LITERAL("before"), 0644, &failure).code, KS_OK);
    assert_int_equal(ks_disk_write(path, all, 0600, &failure).code, KS_OK);

    assert_int_equal(ks_disk_read(path, &got, &failure).code, KS_OK);
    assert_true(ks_bytes_equal(ks_buffer_bytes(&got), all));
    struct stat about;
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
}

/* Who made PATH.new before, and holds it open, would read the key that is written to it. */
static void a_file_that_was_put_in_the_way_gets_nothing(void **state)
{
    (void)state;
    char partial[80];
    char bytes[8];
    snprintf(partial, sizeof(partial), "%s.new", path);
    FILE *planted = fopen(partial, "w+e");
    assert_non_null(planted);

    assert_int_equal(ks_disk_write(path, KS_LITERAL("key"), 0600, &failure).code, KS_OK);

    assert_int_equal(fread(bytes, 1, sizeof(bytes), planted), 0);
    assert_int_equal(fclose(planted), 0);
}

/* Nothing but the file itself is left: what was half written has gone by the rename. */
static void leaves_no_other_file_behind(void **state)
{
    (void)state;
    char partial[80];
    snprintf(partial, sizeof(partial), "%s.new", path);
    assert_int_equal(ks_disk_write(path, KS_LITERAL("x"), 0644, &failure).code, KS_OK);
    assert_int_not_equal(access(partial, F_OK), 0);
}

static void a_file_that_is_too_long_is_refused(void **state)
{
    (void)state;
    KS_BUFFER_AUTO small = {.len_max = 3};
    KS_BUFFER_AUTO enough = {.len_max = 4};
    assert_int_equal(ks_disk_write(path, KS_LITERAL("abc"), 0644, &failure).code, KS_OK);

    assert_int_equal(ks_disk_read(path, &small, &failure).code, KS_LIMIT_EXCEEDED);
    assert_int_equal(ks_disk_read(path, &enough, &failure).code, KS_OK);
}

static void absent_and_forbidden_places_fail(void **state)
{
    (void)state;
    KS_BUFFER_AUTO got = {.len_max = 10};
    assert_int_equal(ks_disk_read("/nowhere/at/all", &got, &failure).code, KS_NOT_FOUND);
    assert_int_equal(ks_disk_write("/nowhere/at/all", KS_LITERAL("x"), 0644, &failure).code,
                     KS_INTERNAL);
    assert_int_equal(ks_disk_read("/", &got, &failure).code, KS_INTERNAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_written_is_read_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_that_was_put_in_the_way_gets_nothing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(leaves_no_other_file_behind, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_that_is_too_long_is_refused, setup, teardown),
        cmocka_unit_test(absent_and_forbidden_places_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
