#include "services/frontend/identity/identities.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/base/hash.h"
#include "pkg/base/mem.h"
#include "services/frontend/identity/identity_fixture.h"

#define OWN "111122223333"

static struct ks_identity_draft *draft;
static struct ks_crypto *crypto;
static struct ks_set_sum seen; /* the sum of the version made last */
static bool refusing;

static bool accepts(void *user, const struct ks_set_sum *sum)
{
    (void)user;
    seen = *sum;
    return !refusing;
}

static struct ks_identities *next(struct ks_identities *old, bool replace)
{
    const struct ks_identity_judge judge = {.crypto = crypto, .accepts = accepts};
    return ks_identities_next(old, draft, replace, &judge);
}

static int setup(void **state)
{
    (void)state;
    draft = ks_identity_draft_new();
    crypto = ks_crypto_new();
    refusing = false;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ks_identity_draft_free(draft);
    ks_crypto_free(crypto);
    return 0;
}

static void add(const char *key, const struct ks_buffer *value)
{
    assert_int_equal(
        ks_identity_draft_add(draft, crypto, ks_bytes_of(key), ks_buffer_bytes(value), 7).code,
        KS_OK);
}

static void add_account(int number)
{
    char account[16];
    char key[32];
    (void)snprintf(account, sizeof(account), "%012d", number);
    (void)snprintf(key, sizeof(key), "account/%s", account);
    KS_BUFFER_AUTO value = {.len_max = 4096};
    fixture_account(account, &value);
    add(key, &value);
}

static void drop(const char *key)
{
    assert_int_equal(ks_identity_draft_add(draft, crypto, ks_bytes_of(key), (ks_bytes){0}, 8).code,
                     KS_OK);
}

static const struct ks_identity *find(const struct ks_identities *identities, const char *key)
{
    return ks_identities_find(identities, key, ks_plain_hash(ks_bytes_of(key)));
}

static void reads_each_kind_of_record(void **state)
{
    (void)state;
    KS_BUFFER_AUTO user = {.len_max = 4096};
    KS_BUFFER_AUTO certificate = {.len_max = 4096};
    fixture_user(OWN, "alice", "u-1", &user);
    fixture_certificate(OWN, "alice", "u-1", 77, &certificate);
    add_account(5);
    add("user/" OWN "/alice", &user);
    add("certificate/0a", &certificate);
    add("policy/x", &user); /* of no concern here, but for the sum */

    struct ks_identities *identities = next(NULL, true);

    assert_int_equal(ks_identities_count(identities), 4);
    assert_null(find(identities, "policy/x"));
    assert_int_equal(ks_identities_number(identities), 1);
    assert_string_equal(find(identities, "account/000000000005")->account, "000000000005");
    assert_string_equal(find(identities, "user/" OWN "/alice")->user_id, "u-1");
    const struct ks_identity *got = find(identities, "certificate/0a");
    assert_string_equal(got->account, OWN);
    assert_string_equal(got->user, "alice");
    assert_string_equal(got->user_id, "u-1");
    assert_int_equal(got->revoked_at_ms, 77);
    assert_int_equal(got->not_after_ms, FIXTURE_NOT_AFTER_MS);
    assert_null(find(identities, "certificate/0b"));
    ks_identities_free(identities);
}

/* What cannot be read lets nobody in. */
static void counts_a_record_it_cannot_read_as_absent(void **state)
{
    (void)state;
    KS_BUFFER_AUTO newer = {.len_max = 4096};
    assert_int_equal(ks_buffer_append(&newer, KS_LITERAL("\x08\x02")).code, KS_OK);
    KS_BUFFER_AUTO damaged = {.len_max = 4096};
    assert_int_equal(ks_buffer_append(&damaged, KS_LITERAL("\x08\x01\x12\xff")).code, KS_OK);
    KS_BUFFER_AUTO too_long = {.len_max = 4096};
    fixture_account("1111222233334", &too_long);
    add_account(1);
    add_account(2);
    add_account(3);
    struct ks_identities *first = next(NULL, true);

    add("account/000000000001", &newer);
    add("account/000000000002", &damaged);
    add("account/000000000003", &too_long);
    struct ks_identities *second = next(first, false);

    assert_int_equal(ks_identities_count(second), 3);
    static const char *const keys[] = {"account/000000000001", "account/000000000002",
                                       "account/000000000003"};
    for (size_t i = 0; i < KS_COUNT(keys); i++) {
        assert_non_null(find(first, keys[i]));
        assert_null(find(second, keys[i]));
    }
    ks_identities_free(first);
    ks_identities_free(second);
}

/* Readers of the old version go on to see the old state, also after the new one is there. */
static void leaves_the_old_version_as_it_is(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++) {
        add_account(i);
    }
    struct ks_identities *first = next(NULL, true);
    drop("account/000000000007");
    add_account(8);
    add_account(500);

    struct ks_identities *second = next(first, false);

    assert_int_equal(ks_identities_count(first), 200);
    assert_int_equal(ks_identities_count(second), 200);
    assert_non_null(find(first, "account/000000000007"));
    assert_null(find(second, "account/000000000007"));
    assert_null(find(first, "account/000000000500"));
    assert_non_null(find(second, "account/000000000500"));
    assert_ptr_equal(find(first, "account/000000000009"), find(second, "account/000000000009"));
    assert_ptr_not_equal(find(first, "account/000000000008"), find(second, "account/000000000008"));
    ks_identities_free(first);
    for (int i = 0; i < 200; i++) {
        char key[32];
        (void)snprintf(key, sizeof(key), "account/%012d", i);
        assert_int_equal(find(second, key) != NULL, i != 7);
    }
    ks_identities_free(second);
}

static void replaces_everything_by_a_snapshot(void **state)
{
    (void)state;
    add_account(1);
    add_account(2);
    struct ks_identities *first = next(NULL, true);
    add_account(2);
    add_account(3);

    struct ks_identities *second = next(first, true);

    assert_null(find(second, "account/000000000001"));
    assert_non_null(find(second, "account/000000000002"));
    assert_non_null(find(second, "account/000000000003"));
    assert_int_equal(ks_identities_number(second), 2);
    ks_identities_free(first);
    ks_identities_free(second);
}

static void counts_the_last_change_of_a_key(void **state)
{
    (void)state;
    add_account(1);
    drop("account/000000000001");
    drop("account/000000000002");
    add_account(2);
    drop("account/000000000003"); /* was never there */

    struct ks_identities *identities = next(NULL, false);

    assert_null(find(identities, "account/000000000001"));
    assert_non_null(find(identities, "account/000000000002"));
    assert_int_equal(ks_identities_count(identities), 1);
    ks_identities_free(identities);
}

/* No caller's name is as long. */
static void finds_no_key_that_is_too_long(void **state)
{
    (void)state;
    char key[KS_IDENTITY_OTHER_KEY_MAX + 2] = "account/";
    memset(key + 8, '1', sizeof(key) - 9);
    KS_BUFFER_AUTO value = {.len_max = 4096};
    fixture_account(OWN, &value);
    assert_int_equal(
        ks_identity_draft_add(draft, crypto, ks_bytes_of(key), ks_buffer_bytes(&value), 1).code,
        KS_VALIDATION);
    key[KS_IDENTITY_OTHER_KEY_MAX] = 0;
    add(key, &value);
    key[KS_IDENTITY_KEY_MAX] = 0;
    add(key, &value);

    struct ks_identities *identities = next(NULL, true);

    assert_int_equal(ks_identities_count(identities), 2);
    assert_non_null(find(identities, key));
    ks_identities_free(identities);
}

/* Whatever way a version came to be, its sum is that of its records, those of no use here, too. */
static void a_version_has_the_sum_of_its_records(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        add_account(i);
    }
    KS_BUFFER_AUTO other = {.len_max = 16};
    assert_int_equal(ks_buffer_append(&other, KS_LITERAL("x")).code, KS_OK);
    add("policy/x", &other);
    struct ks_identities *first = next(NULL, true);
    drop("account/000000000003");
    drop("account/000000000099");
    add_account(4);
    struct ks_identities *second = next(first, false);
    struct ks_set_sum by_changes = seen;
    for (int i = 19; i >= 0; i--) {
        if (i != 3) {
            add_account(i);
        }
    }
    add("policy/x", &other);

    struct ks_identities *third = next(second, true);

    assert_memory_equal(&seen, &by_changes, sizeof(seen));
    assert_int_equal(seen.count, 20);
    ks_identities_free(first);
    ks_identities_free(second);
    ks_identities_free(third);
}

static void a_version_that_is_not_accepted_changes_nothing(void **state)
{
    (void)state;
    add_account(1);
    struct ks_identities *first = next(NULL, true);
    drop("account/000000000001");
    add_account(2);
    refusing = true;

    assert_null(next(first, false));
    assert_null(next(first, true));

    refusing = false;
    add_account(3);
    struct ks_identities *second = next(first, false);
    assert_non_null(find(second, "account/000000000001"));
    assert_null(find(second, "account/000000000002"));
    assert_non_null(find(second, "account/000000000003"));
    ks_identities_free(first);
    ks_identities_free(second);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reads_each_kind_of_record),
        TEST(counts_a_record_it_cannot_read_as_absent),
        TEST(leaves_the_old_version_as_it_is),
        TEST(replaces_everything_by_a_snapshot),
        TEST(counts_the_last_change_of_a_key),
        TEST(finds_no_key_that_is_too_long),
        TEST(a_version_has_the_sum_of_its_records),
        TEST(a_version_that_is_not_accepted_changes_nothing),
    };
    if (ks_failed(ks_crypto_init(&(struct ks_crypto_options){0}))) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
