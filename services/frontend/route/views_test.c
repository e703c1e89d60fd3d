#include "services/frontend/route/views.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "pkg/base/mem.h"
#include "pkg/operation/operation_fixture.h"

#define PLACES 1024U /* a power of two, so that a table has as many places as views */

static const struct ks_hash_key hash_key = {0x0706050403020100U, 0x0f0e0d0c0b0a0908U};

static ks_bytes bytes(const char *text)
{
    return ks_bytes_of(text);
}

/* A version is bytes that nobody here looks into: one byte does. */
static struct ks_view view_of(uint8_t version)
{
    static const uint8_t versions[] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10,
                                       11, 12, 13, 14, 15, 16, 17, 18, 19, 20};
    return (struct ks_view){.version = {&versions[version], 1}, .facts = KS_LITERAL("facts")};
}

/* -1: nothing is remembered. */
static int version_of(struct ks_views *views, const char *account, const char *name)
{
    struct ks_view view = {0};
    return ks_views_find(views, bytes(account), bytes(name), &view) ? view.version.ptr[0] : -1;
}

static void remembers_all_of_a_view(void **state)
{
    (void)state;
    struct ks_views *views = ks_views_new(64, &hash_key);
    struct ks_view put = view_of(7);
    struct ks_view got = {0};

    ks_views_put(views, bytes(OWN), bytes(KEY_ID), &put);

    assert_true(ks_views_find(views, bytes(OWN), bytes(KEY_ID), &got));
    assert_true(ks_bytes_equal(got.version, put.version));
    assert_true(ks_bytes_equal(got.facts, put.facts));
    ks_views_free(views);
}

static void keeps_accounts_and_names_apart(void **state)
{
    (void)state;
    struct ks_views *views = ks_views_new(64, &hash_key);
    struct ks_view put = view_of(7);
    ks_views_put(views, bytes(OWN), bytes("alias/x"), &put);

    assert_int_equal(version_of(views, OWN, "alias/x"), 7);
    assert_int_equal(version_of(views, OTHER, "alias/x"), -1);
    assert_int_equal(version_of(views, OWN, "alias/y"), -1);
    /* The same bytes, cut elsewhere. */
    assert_int_equal(version_of(views, OWN "a", "lias/x"), -1);
    ks_views_free(views);
}

static void replaces_what_was_known(void **state)
{
    (void)state;
    struct ks_views *views = ks_views_new(64, &hash_key);
    for (uint8_t version = 1; version <= 20; version++) {
        struct ks_view put = view_of(version);
        ks_views_put(views, bytes(OWN), bytes(KEY_ID), &put);
        assert_int_equal(version_of(views, OWN, KEY_ID), version);
    }
    ks_views_free(views);
}

/* Names that somebody makes up must not push out those that are used. */
static void forgets_what_names_nothing(void **state)
{
    (void)state;
    struct ks_views *views = ks_views_new(64, &hash_key);
    struct ks_view there = view_of(7);
    struct ks_view absent = {0};

    ks_views_put(views, bytes(OWN), bytes("alias/made-up"), &absent);
    assert_int_equal(version_of(views, OWN, "alias/made-up"), -1);
    ks_views_put(views, bytes(OWN), bytes(KEY_ID), &there);
    ks_views_put(views, bytes(OWN), bytes(KEY_ID), &absent);
    assert_int_equal(version_of(views, OWN, KEY_ID), -1);
    ks_views_free(views);
}

static void put_many(struct ks_views *views, const char *account, int count)
{
    struct ks_view put = view_of(7);
    for (int i = 0; i < count; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "alias/%d", i);
        ks_views_put(views, bytes(account), bytes(name), &put);
        (void)version_of(views, OWN, "alias/0"); /* it stays in use */
    }
}

static size_t count_kept(struct ks_views *views, const char *account, int count)
{
    size_t kept = 0;
    for (int i = 0; i < count; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "alias/%d", i);
        kept += version_of(views, account, name) == 7;
    }
    return kept;
}

static void stays_within_its_bound_and_drops_what_was_not_used(void **state)
{
    (void)state;
    struct ks_views *views = ks_views_new(64, &hash_key);
    put_many(views, OWN, 1000);

    assert_int_equal(version_of(views, OWN, "alias/0"), 7);
    assert_int_equal(count_kept(views, OWN, 1000), 64);
    ks_views_free(views);
}

#define PART (256 / (int)KS_VIEW_SHARE_PART)

/* Promise 6. Nobody's keys push out what another one has remembered within its part. */
static void a_tenant_with_many_keys_leaves_others_theirs(void **state)
{
    (void)state;
    struct ks_views *views = ks_views_new(256, &hash_key);
    put_many(views, OWN, PART);
    put_many(views, OTHER, 1000);

    assert_int_equal(count_kept(views, OWN, PART), PART);
    assert_int_equal(count_kept(views, OTHER, 1000), 256 - PART);
    ks_views_free(views);
}

/* And what nobody else needs is not kept free for them. */
static void a_tenant_alone_has_all_the_room_until_others_come(void **state)
{
    (void)state;
    struct ks_views *views = ks_views_new(256, &hash_key);
    put_many(views, OTHER, 1000);
    assert_int_equal(count_kept(views, OTHER, 1000), 256);

    put_many(views, OWN, 2 * PART);

    assert_int_equal(count_kept(views, OWN, 2 * PART), 2 * PART);
    assert_int_equal(count_kept(views, OTHER, 1000), 256 - 2 * PART);
    ks_views_free(views);
}

/* A key's policy may have 32 KiB: many of them are no more bytes than many small views. */
static void stays_within_its_bound_of_bytes(void **state)
{
    (void)state;
    static const uint8_t facts[4096];
    const struct ks_view large = {.version = KS_LITERAL("v"), .facts = {facts, sizeof(facts)}};
    struct ks_views *views = ks_views_new(256, &hash_key);
    put_many(views, OWN, 10);
    for (int i = 0; i < 256; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "alias/%d", i);
        ks_views_put(views, bytes(OTHER), bytes(name), &large);
    }

    size_t kept = 0;
    for (int i = 0; i < 256; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "alias/%d", i);
        kept += version_of(views, OTHER, name) == 'v' ? 1 : 0;
    }
    assert_in_range(kept, 24, 256 * KS_VIEW_BYTES / sizeof(facts));
    assert_int_equal(version_of(views, OTHER, "alias/255"), 'v');
    assert_int_equal(count_kept(views, OWN, 10), 10);
    ks_views_free(views);
}

/* One view must not push out all others. */
static void does_not_keep_what_takes_too_much(void **state)
{
    (void)state;
    static const uint8_t facts[64 * KS_VIEW_BYTES / 4];
    const struct ks_view large = {.version = KS_LITERAL("v"), .facts = {facts, sizeof(facts)}};
    struct ks_views *views = ks_views_new(64, &hash_key);
    put_many(views, OWN, 10);

    ks_views_put(views, bytes(OWN), bytes(KEY_ID), &large);

    assert_int_equal(version_of(views, OWN, KEY_ID), -1);
    assert_int_equal(count_kept(views, OWN, 10), 10);
    ks_views_free(views);
}

static void put_at(struct ks_views *views, uint8_t version, int64_t revision)
{
    struct ks_view put = view_of(version);
    put.revision = revision;
    ks_views_put(views, bytes(OWN), bytes(KEY_ID), &put);
}

/* A keystore that lags sends what was true: who has newer views keeps them. */
static void an_older_view_does_not_replace_a_newer_one(void **state)
{
    (void)state;
    struct ks_views *views = ks_views_new(64, &hash_key);
    struct ks_view absent = {.revision = 9};
    put_at(views, 2, 10);

    put_at(views, 1, 9);
    assert_int_equal(version_of(views, OWN, KEY_ID), 2);
    ks_views_put(views, bytes(OWN), bytes(KEY_ID), &absent);
    assert_int_equal(version_of(views, OWN, KEY_ID), 2);
    put_at(views, 3, 10);
    assert_int_equal(version_of(views, OWN, KEY_ID), 3);
    put_at(views, 4, 11);
    assert_int_equal(version_of(views, OWN, KEY_ID), 4);
    ks_views_free(views);
}

/* A cell that was restored has lower revisions than before: what all say is true at last. */
static void views_that_are_older_again_and_again_are_believed(void **state)
{
    (void)state;
    struct ks_views *views = ks_views_new(64, &hash_key);
    put_at(views, 2, 10);
    for (unsigned i = 0; i < KS_VIEW_DOUBTS_MAX; i++) {
        put_at(views, 1, 9);
        assert_int_equal(version_of(views, OWN, KEY_ID), 2);
    }

    put_at(views, 1, 9);

    assert_int_equal(version_of(views, OWN, KEY_ID), 1);
    ks_views_free(views);
}

static void works_in_the_smallest_size(void **state)
{
    (void)state;
    struct ks_views *views = ks_views_new(4, &hash_key);
    struct ks_view put = view_of(7);
    for (int i = 0; i < 10; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "alias/%d", i);
        ks_views_put(views, bytes(OWN), bytes(name), &put);
        assert_int_equal(version_of(views, OWN, name), 7);
    }
    assert_int_equal(version_of(views, OWN, "alias/5"), -1);
    assert_int_equal(version_of(views, OWN, "alias/6"), 7);
    ks_views_free(views);
}

/* FNV-1a, as anybody can compute it. */
static uint64_t hash_without_a_key(const char *account, const char *name)
{
    const char *const parts[] = {account, name};
    uint64_t hash = 0xcbf29ce484222325U;
    for (size_t i = 0; i < KS_COUNT(parts); i++) {
        for (const char *c = parts[i]; *c; c++) {
            hash = (hash ^ (uint8_t)*c) * 0x100000001b3U;
        }
    }
    return hash ^ (hash >> 29);
}

/*
 * A tenant chooses the names of its aliases. Those that would stand in one place of a table whose
 * hash it knows are found in a moment, and each look-up of one would walk over all of them, on the
 * loop that answers everybody.
 */
static void nobody_can_choose_names_that_share_a_place(void **state)
{
    (void)state;
    struct ks_views *views = ks_views_new(PLACES, &hash_key);
    struct ks_view put = view_of(1);
    size_t chosen = 0;
    for (unsigned i = 0; chosen < PLACES / 4 && i < PLACES * PLACES; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "alias/%u", i);
        if ((hash_without_a_key(OWN, name) & (PLACES - 1)) == 0) {
            ks_views_put(views, bytes(OWN), bytes(name), &put);
            chosen++;
        }
    }
    assert_int_equal(chosen, PLACES / 4);

    /* A quarter as many names as places: eight in one place are less likely than 1 in 10^8. */
    assert_in_range(ks_views_bucket_max(views), 1, 8);
    ks_views_free(views);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(remembers_all_of_a_view),
        cmocka_unit_test(keeps_accounts_and_names_apart),
        cmocka_unit_test(replaces_what_was_known),
        cmocka_unit_test(forgets_what_names_nothing),
        cmocka_unit_test(stays_within_its_bound_and_drops_what_was_not_used),
        cmocka_unit_test(a_tenant_with_many_keys_leaves_others_theirs),
        cmocka_unit_test(a_tenant_alone_has_all_the_room_until_others_come),
        cmocka_unit_test(stays_within_its_bound_of_bytes),
        cmocka_unit_test(does_not_keep_what_takes_too_much),
        cmocka_unit_test(an_older_view_does_not_replace_a_newer_one),
        cmocka_unit_test(views_that_are_older_again_and_again_are_believed),
        cmocka_unit_test(works_in_the_smallest_size),
        cmocka_unit_test(nobody_can_choose_names_that_share_a_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
