#include "pkg/store/copy/anchor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/store/store_fixture.h"

static const struct ks_anchor anchor = {
    .source = {.cluster_id = UINT64_MAX, .epoch_revision = 7, .epoch = "of the cell"},
    .revision = INT64_MAX,
    .nonce = {"0123456789abcde"},
};

static char *path;
static struct ks_folder folder;

static int setup(void **state)
{
    (void)state;
    path = fixture_folder("refusal");
    assert_int_equal(ks_folder_open(path, &folder).code, KS_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ks_folder_close(&folder);
    fixture_remove(path);
    ks_free(path);
    return 0;
}

static void assert_anchor(const struct ks_anchor *got)
{
    assert_true(got->source.cluster_id == anchor.source.cluster_id);
    assert_int_equal(got->source.epoch_revision, anchor.source.epoch_revision);
    assert_string_equal(got->source.epoch, anchor.source.epoch);
    assert_int_equal(got->revision, anchor.revision);
    assert_memory_equal(got->nonce.bytes, anchor.nonce.bytes, KS_NONCE_LEN);
}

static void outlives_a_restart_until_it_is_removed(void **state)
{
    (void)state;
    struct ks_anchor got;
    assert_int_equal(ks_anchor_read(&folder, &got).code, KS_NOT_FOUND);

    assert_int_equal(ks_anchor_write(&folder, &anchor).code, KS_OK);
    ks_folder_close(&folder);
    assert_int_equal(ks_folder_open(path, &folder).code, KS_OK);

    assert_int_equal(ks_anchor_read(&folder, &got).code, KS_OK);
    assert_anchor(&got);
    assert_int_equal(ks_anchor_remove(&folder).code, KS_OK);
    assert_int_equal(ks_anchor_read(&folder, &got).code, KS_NOT_FOUND);
    assert_int_equal(ks_anchor_remove(&folder).code, KS_OK);
}

static void holds_the_longest_epoch_and_the_shortest(void **state)
{
    (void)state;
    struct ks_anchor longest = anchor;
    struct ks_anchor got;
    memset(longest.source.epoch, 'e', KS_EPOCH_LEN_MAX);
    assert_int_equal(ks_anchor_write(&folder, &longest).code, KS_OK);
    assert_int_equal(ks_anchor_read(&folder, &got).code, KS_OK);
    assert_string_equal(got.source.epoch, longest.source.epoch);

    longest.source.epoch[0] = 0;
    assert_int_equal(ks_anchor_write(&folder, &longest).code, KS_OK);
    assert_int_equal(ks_anchor_read(&folder, &got).code, KS_OK);
    assert_string_equal(got.source.epoch, "");
}

/* Nobody knows then what was refused: each bit, each length, and one byte more. */
static void every_damage_is_found(void **state)
{
    (void)state;
    uint8_t bytes[KS_FOLDER_FILE_MAX];
    size_t len;
    struct ks_anchor got;
    assert_int_equal(ks_anchor_write(&folder, &anchor).code, KS_OK);
    assert_int_equal(ks_folder_read(&folder, "refused", bytes, &len).code, KS_OK);
    for (size_t bit = 0; bit < 8 * len; bit += 5) {
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_int_equal(ks_folder_write(&folder, "refused", (ks_bytes){bytes, len}).code, KS_OK);
        assert_int_equal(ks_anchor_read(&folder, &got).code, KS_CORRUPT);
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    bytes[len] = 0;
    for (size_t cut = 0; cut <= len + 1; cut++) {
        ks_code wanted = cut == len ? KS_OK : KS_CORRUPT;
        assert_int_equal(ks_folder_write(&folder, "refused", (ks_bytes){bytes, cut}).code, KS_OK);
        assert_int_equal(ks_anchor_read(&folder, &got).code, wanted);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(outlives_a_restart_until_it_is_removed),
        TEST(holds_the_longest_epoch_and_the_shortest),
        TEST(every_damage_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
