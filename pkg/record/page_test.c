/* Pages of a list, single records and what has expired, on a store of the embedded engine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/base/arena.h"
#include "pkg/base/mem.h"
#include "pkg/crypto/crypto.h"
#include "pkg/record/expired.h"
#include "pkg/record/page.h"
#include "pkg/record/record.h"
#include "pkg/store/store_fixture.h"

#define RECORDS 5U
#define NOW_MS  1000

static struct ks_store *store;
static char *folder;
static struct ks_store_view view;

/* The names that a page had, each behind a blank. */
static char names[256];

static void put(const char *key, const char *value)
{
    assert_int_equal(fixture_put(store, key, value, 0).code, KS_OK);
}

/* Puts a/0 to a/4 between records of other prefixes, and opens the view. */
static int set_up(void **state)
{
    (void)state;
    folder = fixture_folder("page");
    store = fixture_embedded(folder);
    put("a", "before");
    for (unsigned i = 0; i < RECORDS; i++) {
        char key[8];
        snprintf(key, sizeof(key), "a/%u", i);
        put(key, i % 2 == 0 ? "due" : "young");
    }
    put("b/0", "due");
    view = fixture_serve(store);
    names[0] = '\0';
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ks_store_view_close(&view);
    ks_store_free(store);
    fixture_remove(folder);
    ks_free(folder);
    return 0;
}

/* ---- Pages ---- */

static ks_code failure = KS_CORRUPT;

/* Fails at the record named by user, if it is not NULL. */
static ks_result add(void *user, ks_bytes name, const struct ks_store_record *record)
{
    if (user && ks_bytes_equal(name, ks_bytes_of(user))) {
        return (ks_result){failure};
    }
    assert_true(record->value.len > 0);
    size_t len = strlen(names);
    snprintf(names + len, sizeof(names) - len, " %.*s", (int)name.len, (const char *)name.ptr);
    return KS_RES(OK);
}

static struct ks_page page_of(const char *marker, size_t count_max)
{
    return (struct ks_page){.list = {"ListThings", "111122223333", ""},
                            .prefix = KS_LITERAL("a/"),
                            .marker = marker,
                            .count_max = count_max};
}

static void pages_hold_each_record_of_the_prefix_once_and_in_order(void **state)
{
    (void)state;
    for (size_t count_max = 1; count_max <= RECORDS + 1; count_max++) {
        char marker[KS_MARKER_LEN_MAX + 1] = "";
        unsigned pages = 0;
        names[0] = '\0';
        do {
            const struct ks_page page = page_of(pages == 0 ? NULL : marker, count_max);
            assert_int_equal(ks_page_read(&view, &page, add, NULL, marker).code, KS_OK);
            pages++;
        } while (marker[0] != '\0' && pages <= RECORDS);

        assert_string_equal(names, " 0 1 2 3 4");
        assert_int_equal(pages, (RECORDS + count_max - 1) / count_max);
    }
}

/* The place of a record that was deleted since is still a place in the list. */
static void a_page_begins_behind_a_record_that_is_gone(void **state)
{
    (void)state;
    char marker[KS_MARKER_LEN_MAX + 1] = "";
    const struct ks_page first = page_of(NULL, 2);
    assert_int_equal(ks_page_read(&view, &first, add, NULL, marker).code, KS_OK);
    struct ks_store_record last;
    assert_int_equal(ks_store_get(&view, KS_LITERAL("a/1"), &last).code, KS_OK);
    assert_int_equal(fixture_put(store, "a/1", NULL, last.revision).code, KS_OK);
    ks_store_view_close(&view);
    view = fixture_serve(store);

    const struct ks_page second = page_of(marker, 2);
    assert_int_equal(ks_page_read(&view, &second, add, NULL, marker).code, KS_OK);

    assert_string_equal(names, " 0 1 2 3");
}

static void a_failure_of_add_ends_the_page_and_leaves_the_marker(void **state)
{
    (void)state;
    char marker[KS_MARKER_LEN_MAX + 1] = "untouched";
    const struct ks_page page = page_of(NULL, RECORDS);
    char second[] = "1";

    assert_int_equal(ks_page_read(&view, &page, add, second, marker).code, KS_CORRUPT);

    assert_string_equal(names, " 0");
    assert_string_equal(marker, "untouched");
}

/* A page that is full by bytes is whole: the next one begins with the record that found no room. */
static void a_record_without_room_ends_the_page_and_begins_the_next(void **state)
{
    (void)state;
    char marker[KS_MARKER_LEN_MAX + 1] = "";
    char third[] = "2";
    const struct ks_page first = page_of(NULL, RECORDS);
    failure = KS_LIMIT_EXCEEDED;
    ks_result ended = ks_page_read(&view, &first, add, third, marker);
    assert_int_equal(ended.code, KS_OK);
    assert_string_equal(names, " 0 1");
    assert_true(marker[0] != '\0');

    const struct ks_page second = page_of(marker, RECORDS);
    char next[KS_MARKER_LEN_MAX + 1] = "untouched";
    ks_result none = ks_page_read(&view, &second, add, third, next);
    failure = KS_CORRUPT;
    assert_int_equal(none.code, KS_LIMIT_EXCEEDED);
    assert_string_equal(next, "untouched");
    assert_int_equal(ks_page_read(&view, &second, add, NULL, next).code, KS_OK);
    assert_string_equal(names, " 0 1 2 3 4");
    assert_string_equal(next, "");
}

static void refuses_a_marker_of_another_list_and_one_that_is_too_long(void **state)
{
    (void)state;
    const struct ks_marker_list others[] = {{"ListOthers", "111122223333", ""},
                                            {"ListThings", "444455556666", ""},
                                            {"ListThings", "111122223333", "x"}};
    char marker[KS_MARKER_LEN_MAX + 1] = "";
    const struct ks_page page = page_of(marker, 1);
    char next[KS_MARKER_LEN_MAX + 1];
    for (size_t i = 0; i < KS_COUNT(others); i++) {
        assert_int_equal(ks_marker_write(&others[i], KS_LITERAL("1"), marker).code, KS_OK);
        assert_int_equal(ks_page_read(&view, &page, add, NULL, next).code, KS_INVALID_MARKER);
    }

    /* Anybody can make a marker, so its position may be longer than any key. */
    static uint8_t position[KS_STORE_KEY_LEN_MAX];
    memset(position, 'x', sizeof(position));
    for (size_t len = KS_STORE_KEY_LEN_MAX - 2; len <= KS_STORE_KEY_LEN_MAX - 1; len++) {
        assert_int_equal(ks_marker_write(&page.list, (ks_bytes){position, len}, marker).code,
                         KS_OK);
        assert_int_equal(ks_page_read(&view, &page, add, NULL, next).code,
                         len + 2 > KS_STORE_KEY_LEN_MAX ? KS_INVALID_MARKER : KS_OK);
    }
    assert_string_equal(names, "");
}

/* ---- One record ---- */

static void a_record_is_loaded_with_the_revision_of_its_last_change(void **state)
{
    (void)state;
    STORED(CurrentDomainKey) current = STORED_NEW(CURRENT_DOMAIN_KEY);
    current.format = KS_RECORD_FORMAT;
    KS_CHANGE_AUTO change = {.result = KS_RES(OK)};
    ks_change_put(&change, KS_LITERAL("c"), &current.base);
    int64_t revision = fixture_commit(store, &change.mutation).revision;
    put("d", "something later");
    ks_store_view_close(&view);
    view = fixture_serve(store);
    KS_ARENA_AUTO arena = {.len_max = 16384};
    ProtobufCMessage *got = NULL;
    int64_t got_revision = -1;

    assert_int_equal(ks_record_load(&view, KS_LITERAL("absent"), STORED_TYPE(current_domain_key),
                                    &arena, &got, &got_revision)
                         .code,
                     KS_NOT_FOUND);
    assert_null(got);
    assert_int_equal(got_revision, -1);

    assert_int_equal(ks_record_load(&view, KS_LITERAL("c"), STORED_TYPE(current_domain_key), &arena,
                                    &got, &got_revision)
                         .code,
                     KS_OK);
    assert_non_null(got);
    assert_true(revision > 0);
    assert_int_equal(got_revision, revision);
}

/* ---- What has expired ---- */

static bool is_due(ks_bytes value, int64_t now_ms)
{
    assert_int_equal(now_ms, NOW_MS);
    return ks_bytes_equal(value, KS_LITERAL("due"));
}

static const struct ks_expired_kind kind = {.prefix = {(const uint8_t *)"a/", 2}, .is_due = is_due};

static void finds_what_is_due_under_its_prefix_with_its_revision(void **state)
{
    (void)state;
    struct ks_expired_pass pass = {.after_len = 0};
    struct ks_expired found;

    assert_int_equal(ks_expired_find(&view, &kind, NOW_MS, &pass, &found).code, KS_OK);

    assert_int_equal(found.count, 3);
    assert_false(found.more);
    assert_int_equal(pass.after_len, 0);
    for (size_t i = 0; i < found.count; i++) {
        char key[8];
        snprintf(key, sizeof(key), "a/%zu", 2 * i);
        struct ks_store_record record;
        assert_string_equal(found.records[i].key, key);
        assert_int_equal(ks_store_get(&view, ks_bytes_of(key), &record).code, KS_OK);
        assert_int_equal(found.records[i].revision, record.revision);
    }
}

/* Puts so many records that are due, a mutation's fill at a time. */
static void put_due(size_t count)
{
    for (size_t i = 0; i < count;) {
        char keys[KS_STORE_OPS_MAX][32];
        struct ks_store_mutation mutation = {.op_count = 0};
        for (size_t j = 0; j < KS_STORE_OPS_MAX && i < count; j++, i++) {
            snprintf(keys[j], sizeof(keys[j]), "a/x%06zu", i);
            mutation.ops[mutation.op_count++] =
                (struct ks_store_op){ks_bytes_of(keys[j]), KS_LITERAL("due")};
        }
        assert_int_equal(fixture_commit(store, &mutation).code, KS_OK);
    }
    ks_store_view_close(&view);
    view = fixture_serve(store);
}

/* A step is bounded, and the next one goes on behind it: no record is found twice or missed. */
static void a_pass_goes_on_where_its_last_step_ended(void **state)
{
    (void)state;
    put_due(KS_EXPIRED_MAX);
    struct ks_expired_pass pass = {.after_len = 0};
    struct ks_expired found;

    assert_int_equal(ks_expired_find(&view, &kind, NOW_MS, &pass, &found).code, KS_OK);
    assert_int_equal(found.count, KS_EXPIRED_MAX);
    assert_true(found.more);
    assert_string_equal(found.records[KS_EXPIRED_MAX - 1].key, "a/x000060");

    assert_int_equal(ks_expired_find(&view, &kind, NOW_MS, &pass, &found).code, KS_OK);
    assert_int_equal(found.count, 3);
    assert_false(found.more);
    assert_string_equal(found.records[0].key, "a/x000061");
    assert_int_equal(pass.after_len, 0);
}

static bool none_is_due(ks_bytes value, int64_t now_ms)
{
    (void)value;
    (void)now_ms;
    return false;
}

/* Records that are not due cost as much to look at, so they are bounded, too. */
static void a_step_looks_at_a_bounded_number_of_records(void **state)
{
    (void)state;
    put_due(KS_EXPIRED_SCAN_MAX - RECORDS);
    const struct ks_expired_kind young = {.prefix = kind.prefix, .is_due = none_is_due};
    struct ks_expired_pass pass = {.after_len = 0};
    struct ks_expired found;
    assert_int_equal(ks_expired_find(&view, &young, NOW_MS, &pass, &found).code, KS_OK);
    assert_false(found.more);

    put("a/z", "young");
    ks_store_view_close(&view);
    view = fixture_serve(store);
    assert_int_equal(ks_expired_find(&view, &young, NOW_MS, &pass, &found).code, KS_OK);
    assert_true(found.more);
    assert_int_equal(found.count, 0);
}

/* Another record may have taken the name since: only the one that was found due is removed. */
static void removes_a_mutations_fill_and_only_what_was_found(void **state)
{
    (void)state;
    put_due(KS_STORE_OPS_MAX - 2);
    struct ks_expired_pass pass = {.after_len = 0};
    struct ks_expired found;
    assert_int_equal(ks_expired_find(&view, &kind, NOW_MS, &pass, &found).code, KS_OK);
    assert_int_equal(found.count, KS_STORE_OPS_MAX + 1);
    ks_store_view_close(&view);

    KS_CHANGE_AUTO first = {.result = KS_RES(OK)};
    size_t next = ks_expired_remove(&found, 0, &first);
    assert_int_equal(next, KS_STORE_OPS_MAX);
    assert_int_equal(fixture_commit(store, &first.mutation).code, KS_OK);
    assert_string_equal(fixture_read(store, "a/0"), "");
    assert_string_equal(fixture_read(store, "a/1"), "young");

    int64_t revision = found.records[next].revision;
    assert_int_equal(fixture_put(store, found.records[next].key, "new", revision).code, KS_OK);
    KS_CHANGE_AUTO second = {.result = KS_RES(OK)};
    assert_int_equal(ks_expired_remove(&found, next, &second), found.count);
    assert_int_equal(fixture_commit(store, &second.mutation).code, KS_CONFLICT);
    assert_string_equal(fixture_read(store, found.records[next].key), "new");
}

static int start_crypto(void **state)
{
    (void)state;
    return ks_failed(ks_crypto_init(&(struct ks_crypto_options){0})) ? -1 : 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(pages_hold_each_record_of_the_prefix_once_and_in_order),
        TEST(a_page_begins_behind_a_record_that_is_gone),
        TEST(a_failure_of_add_ends_the_page_and_leaves_the_marker),
        TEST(a_record_without_room_ends_the_page_and_begins_the_next),
        TEST(refuses_a_marker_of_another_list_and_one_that_is_too_long),
        TEST(a_record_is_loaded_with_the_revision_of_its_last_change),
        TEST(finds_what_is_due_under_its_prefix_with_its_revision),
        TEST(a_pass_goes_on_where_its_last_step_ended),
        TEST(a_step_looks_at_a_bounded_number_of_records),
        TEST(removes_a_mutations_fill_and_only_what_was_found),
    };
    return cmocka_run_group_tests(tests, start_crypto, NULL);
}
