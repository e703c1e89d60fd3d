#include "services/cli/backup/new_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];
static char path[128];
static char partial[160];

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/keystead-new-file-XXXXXX");
    if (!mkdtemp(folder)) {
        return -1;
    }
    snprintf(path, sizeof(path), "%s/backup", folder);
    snprintf(partial, sizeof(partial), "%s.partial", path);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    unlink(partial);
    return rmdir(folder);
}

static bool is_there(const char *name)
{
    struct stat about;
    return lstat(name, &about) == 0;
}

static void put(const char *name, const char *text)
{
    FILE *file = fopen(name, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void assert_holds(const char *name, const char *text)
{
    char bytes[64] = "";
    FILE *file = fopen(name, "re");
    assert_non_null(file);
    size_t len = fread(bytes, 1, sizeof(bytes) - 1, file);
    assert_int_equal(fclose(file), 0);
    bytes[len] = '\0';
    assert_string_equal(bytes, text);
}

static void a_file_has_its_name_when_it_is_whole(void **state)
{
    (void)state;
    struct ks_failure failure = {0};
    KS_NEW_FILE_AUTO file = {.file = -1};
    struct stat about;

    assert_int_equal(ks_new_file_begin(path, &file, &failure).code, KS_OK);
    assert_int_equal(ks_new_file_write(&file, KS_LITERAL("one "), &failure).code, KS_OK);
    assert_int_equal(ks_new_file_write(&file, KS_LITERAL("two"), &failure).code, KS_OK);
    assert_false(is_there(path));
    assert_int_equal(ks_new_file_keep(&file, &failure).code, KS_OK);

    assert_holds(path, "one two");
    assert_false(is_there(partial));
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 07777, 0600);
}

static void what_is_not_kept_is_removed(void **state)
{
    (void)state;
    struct ks_failure failure = {0};
    struct ks_new_file file = {.file = -1};
    assert_int_equal(ks_new_file_begin(path, &file, &failure).code, KS_OK);
    assert_int_equal(ks_new_file_write(&file, KS_LITERAL("one"), &failure).code, KS_OK);
    assert_true(is_there(partial));

    ks_new_file_done(&file);

    assert_false(is_there(path));
    assert_false(is_there(partial));
}

static void a_file_that_is_there_stays(void **state)
{
    (void)state;
    struct ks_failure failure = {0};
    KS_NEW_FILE_AUTO file = {.file = -1};
    put(path, "another");

    assert_int_equal(ks_new_file_begin(path, &file, &failure).code, KS_ALREADY_EXISTS);

    assert_holds(path, "another");
    assert_false(is_there(partial));
    assert_non_null(strstr(failure.text, "exists already"));
}

/* It came while the backup was on its way: a rename would have replaced it. */
static void a_file_that_comes_meanwhile_stays(void **state)
{
    (void)state;
    struct ks_failure failure = {0};
    KS_NEW_FILE_AUTO file = {.file = -1};
    assert_int_equal(ks_new_file_begin(path, &file, &failure).code, KS_OK);
    put(path, "another");

    assert_int_equal(ks_new_file_keep(&file, &failure).code, KS_ALREADY_EXISTS);

    assert_holds(path, "another");
}

static void what_an_earlier_run_has_left_is_removed(void **state)
{
    (void)state;
    struct ks_failure failure = {0};
    KS_NEW_FILE_AUTO file = {.file = -1};
    put(partial, "the beginning of another backup");

    assert_int_equal(ks_new_file_begin(path, &file, &failure).code, KS_OK);
    assert_int_equal(ks_new_file_write(&file, KS_LITERAL("new"), &failure).code, KS_OK);
    assert_int_equal(ks_new_file_keep(&file, &failure).code, KS_OK);

    assert_holds(path, "new");
}

static void a_folder_that_is_not_there_is_told(void **state)
{
    (void)state;
    struct ks_failure failure = {0};
    KS_NEW_FILE_AUTO file = {.file = -1};
    assert_int_equal(ks_new_file_begin("/nowhere/backup", &file, &failure).code, KS_INTERNAL);
    assert_non_null(strstr(failure.text, "/nowhere/backup"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_file_has_its_name_when_it_is_whole),
        TEST(what_is_not_kept_is_removed),
        TEST(a_file_that_is_there_stays),
        TEST(a_file_that_comes_meanwhile_stays),
        TEST(what_an_earlier_run_has_left_is_removed),
        TEST(a_folder_that_is_not_there_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
