#include "services/frontend/route/views.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "pkg/base/mem.h"
#include "pkg/operation/operation_fixture.h"

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
    struct ks_views *views = ks_views_new(64);
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
    struct ks_views *views = ks_views_new(64);
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
    struct ks_views *views = ks_views_new(64);
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
    struct ks_views *views = ks_views_new(64);
    struct ks_view there = view_of(7);
    struct ks_view absent = {0};

    ks_views_put(views, bytes(OWN), bytes("alias/made-up"), &absent);
    assert_int_equal(version_of(views, OWN, "alias/made-up"), -1);
    ks_views_put(views, bytes(OWN), bytes(KEY_ID), &there);
    ks_views_put(views, bytes(OWN), bytes(KEY_ID), &absent);
    assert_int_equal(version_of(views, OWN, KEY_ID), -1);
    ks_views_free(views);
}

static void stays_within_its_bound_and_drops_what_was_not_used(void **state)
{
    (void)state;
    struct ks_views *views = ks_views_new(64);
    struct ks_view put = view_of(7);
    size_t kept = 0;
    for (int i = 0; i < 1000; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "alias/%d", i);
        ks_views_put(views, bytes(OWN), bytes(name), &put);
        (void)version_of(views, OWN, "alias/0"); /* it stays in use */
    }
    for (int i = 0; i < 1000; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "alias/%d", i);
        kept += version_of(views, OWN, name) == 7;
    }
    assert_int_equal(version_of(views, OWN, "alias/0"), 7);
    assert_true(kept <= 64);
    assert_true(kept > 32);
    ks_views_free(views);
}

static void works_in_the_smallest_size(void **state)
{
    (void)state;
    struct ks_views *views = ks_views_new(4);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(remembers_all_of_a_view),
        cmocka_unit_test(keeps_accounts_and_names_apart),
        cmocka_unit_test(replaces_what_was_known),
        cmocka_unit_test(forgets_what_names_nothing),
        cmocka_unit_test(stays_within_its_bound_and_drops_what_was_not_used),
        cmocka_unit_test(works_in_the_smallest_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
