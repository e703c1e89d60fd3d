#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/store/engine/engine_suite.h"
#include "pkg/store/store_fixture.h"

static void prepare(struct ks_store_options *options, const char *test_name)
{
    (void)test_name;
    options->engine = KS_STORE_EMBEDDED;
}

/* A full database refuses with a sentence, serves on, and takes what still fits. */
static void survives_a_full_database(void **state)
{
    (void)state;
    KS_AUTO_FREE char *folder = fixture_folder("full");
    struct ks_store_options options = {.folder = folder, .database_bytes_max = 2U << 20};
    struct ks_store *store = NULL;
    assert_int_equal(ks_store_new(&options, &store).code, KS_OK);
    KS_AUTO_FREE uint8_t *bytes = ks_alloc(200000, 1);
    memset(bytes, 'x', 200000);
    assert_int_equal(fixture_put(store, "small", "kept", 0).code, KS_OK);

    struct fixture_outcome last = {0};
    for (int i = 0; i < 20 && last.code == KS_OK; i++) {
        char key[16];
        snprintf(key, sizeof(key), "key/%d", i);
        struct ks_store_mutation mutation = {.ops = {{ks_bytes_of(key), {bytes, 200000}}},
                                             .op_count = 1};
        last = fixture_commit(store, &mutation);
    }

    assert_int_equal(last.code, KS_LIMIT_EXCEEDED);
    struct ks_store_status status;
    ks_store_get_status(store, &status);
    assert_non_null(strstr(status.alarm, "full"));
    assert_string_equal(fixture_read(store, "small"), "kept");
    assert_int_equal(fixture_put(store, "tiny", "fits", 0).code, KS_OK);
    ks_store_get_status(store, &status);
    assert_string_equal(status.alarm, "");
    ks_store_free(store);
    fixture_remove(folder);
}

static void refuses_a_damaged_database(void **state)
{
    (void)state;
    KS_AUTO_FREE char *folder = fixture_folder("damaged");
    struct ks_store_options options = {.folder = folder};
    struct ks_store *store = NULL;
    assert_int_equal(ks_store_new(&options, &store).code, KS_OK);
    ks_store_free(store);
    char path[600];
    snprintf(path, sizeof(path), "%s/copy/data.mdb", folder);
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    for (int i = 0; i < 8192; i++) {
        fputc(0x5a, file);
    }
    fclose(file);

    assert_int_equal(ks_store_new(&options, &store).code, KS_CORRUPT);
    fixture_remove(folder);
}

/* One flipped bit in a record's page is found by its checksum, and no other record suffers. */
static void never_serves_a_damaged_record(void **state)
{
    (void)state;
    KS_AUTO_FREE char *folder = fixture_folder("bit");
    struct ks_store_options options = {.folder = folder};
    struct ks_store *store = NULL;
    assert_int_equal(ks_store_new(&options, &store).code, KS_OK);
    assert_int_equal(fixture_put(store, "key/a", "needle-in-page", 0).code, KS_OK);
    assert_int_equal(fixture_put(store, "key/b", "other", 0).code, KS_OK);
    ks_store_free(store);
    char path[600];
    snprintf(path, sizeof(path), "%s/copy/data.mdb", folder);
    FILE *file = fopen(path, "r+");
    static uint8_t bytes[1 << 20];
    size_t len = fread(bytes, 1, sizeof(bytes), file);
    unsigned hits = 0;
    for (size_t i = 0; i < len; i++) {
        if (ks_bytes_starts_with((ks_bytes){bytes + i, len - i}, KS_LITERAL("needle-in-page"))) {
            fseek(file, (long)i + 3, SEEK_SET);
            fputc('D', file);
            hits++;
        }
    }
    fclose(file);
    assert_true(hits > 0);

    assert_int_equal(ks_store_new(&options, &store).code, KS_OK);
    KS_STORE_VIEW_AUTO view = fixture_serve(store);
    struct ks_store_record record;
    assert_int_equal(ks_store_get(&view, KS_LITERAL("key/a"), &record).code, KS_CORRUPT);
    assert_int_equal(ks_store_get(&view, KS_LITERAL("key/b"), &record).code, KS_OK);
    struct ks_store_status status;
    ks_store_get_status(store, &status);
    assert_non_null(strstr(status.alarm, "damaged"));
    ks_store_view_close(&view);
    ks_store_free(store);
    fixture_remove(folder);
}

int main(void)
{
    const struct engine_suite suite = {"embedded", prepare};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(survives_a_full_database),
        cmocka_unit_test(refuses_a_damaged_database),
        cmocka_unit_test(never_serves_a_damaged_record),
    };
    int failed = engine_suite_run(&suite);
    return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
