#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/record/marker.h"
#include "services/control/admin.h"
#include "services/control/control_fixture.h"

#define ACCOUNT   "111122223333"
#define NEIGHBOUR "111122223334"
#define PAGED     "222233334444"
#define ABSENT    "999988887777"

typedef Keystead__Admin__V1__CreateUserResponse created;
typedef Keystead__Admin__V1__ListUsersResponse listed;

/* Names that begin with other names: a page must not pass over them, nor give one twice. */
static const char *const nested[] = {"+", "a", "a+", "a-b", "a.b", "ab", "abc", "b"};

static int setup(void **state)
{
    if (control_setup(state) != 0) {
        return -1;
    }
    struct control_fixture *fixture = *state;
    assert_int_equal(control_create_account(fixture, ACCOUNT), KS_OK);
    assert_int_equal(control_create_account(fixture, NEIGHBOUR), KS_OK);
    assert_int_equal(control_create_account(fixture, PAGED), KS_OK);
    for (size_t i = 0; i < KS_COUNT(nested); i++) {
        assert_int_equal(control_create_user(fixture, PAGED, nested[i]), KS_OK);
    }
    return 0;
}

static const listed *list(struct control_fixture *fixture, char *account, int32_t page_size,
                          char *token)
{
    return control_ask(fixture, "ListUsers",
                       ADMIN_REQUEST(ListUsers, list_users, .account_id = account,
                                     .page_size = page_size, .page_token = token));
}

static bool is_listed(struct control_fixture *fixture, char *account, const char *name)
{
    const listed *page = list(fixture, account, KS_ADMIN_PAGE_MAX, NULL);
    assert_non_null(page);
    for (size_t i = 0; i < page->n_users; i++) {
        if (strcmp(page->users[i]->user_name, name) == 0) {
            return true;
        }
    }
    return false;
}

static void a_new_user_has_an_arn_and_is_listed(void **state)
{
    struct control_fixture *fixture = *state;

    const created *response = control_ask(
        fixture, "CreateUser",
        ADMIN_REQUEST(CreateUser, create_user, .account_id = ACCOUNT, .user_name = "alice"));

    assert_non_null(response);
    assert_string_equal(response->user->account_id, ACCOUNT);
    assert_string_equal(response->user->user_name, "alice");
    assert_string_equal(response->user->arn, "arn:aws:iam::" ACCOUNT ":user/alice");
    assert_int_equal(response->user->create_time->seconds, atomic_load(&fixture->wall_ms) / 1000);
    assert_true(is_listed(fixture, ACCOUNT, "alice"));
    assert_false(is_listed(fixture, NEIGHBOUR, "alice"));
}

static void a_name_is_given_once_in_an_account(void **state)
{
    assert_int_equal(control_create_user(*state, ACCOUNT, "bob"), KS_OK);
    assert_int_equal(control_create_user(*state, ACCOUNT, "bob"), KS_ALREADY_EXISTS);
    assert_int_equal(control_create_user(*state, NEIGHBOUR, "bob"), KS_OK);
}

static void a_deleted_user_is_gone_and_its_name_free(void **state)
{
    assert_int_equal(control_create_user(*state, ACCOUNT, "carol"), KS_OK);
    assert_int_equal(control_create_user(*state, NEIGHBOUR, "carol"), KS_OK);

    assert_int_equal(control_delete_user(*state, ACCOUNT, "carol"), KS_OK);

    assert_false(is_listed(*state, ACCOUNT, "carol"));
    assert_true(is_listed(*state, NEIGHBOUR, "carol"));
    assert_int_equal(control_delete_user(*state, ACCOUNT, "carol"), KS_NOT_FOUND);
    assert_int_equal(control_create_user(*state, ACCOUNT, "carol"), KS_OK);
}

static void a_user_needs_an_account(void **state)
{
    assert_int_equal(control_create_user(*state, ABSENT, "alice"), KS_NOT_FOUND);
    assert_null(list(*state, ABSENT, 1, NULL));
    assert_int_equal(((struct control_fixture *)*state)->error.code, KS_NOT_FOUND);
    assert_int_equal(control_delete_user(*state, ABSENT, "alice"), KS_NOT_FOUND);
}

static void an_account_that_is_not_12_digits_is_refused(void **state)
{
    static char *const accounts[] = {"", "11112222333", "1111222233334", "11112222333/", "user/"};
    for (size_t i = 0; i < KS_COUNT(accounts); i++) {
        assert_int_equal(control_create_user(*state, accounts[i], "alice"), KS_VALIDATION);
        control_assert_violated(*state, "account_id");
        assert_int_equal(control_delete_user(*state, accounts[i], "alice"), KS_VALIDATION);
        control_assert_violated(*state, "account_id");
        assert_null(list(*state, accounts[i], 1, NULL));
        control_assert_violated(*state, "account_id");
    }
}

/* A name is a part of a key, an ARN and a SPIFFE URI: nothing in it may end that part. */
static void a_name_has_1_to_64_characters_of_its_set(void **state)
{
    static char longest[] = "A23456789.123456789+123456789=123456789,123456789@123456789_1-34";
    static char too_long[] = "A23456789.123456789+123456789=123456789,123456789@123456789_1-345";
    static char *const names[] = {"",    ".",  "..",  "a/b",      "a b",
                                  "a:b", "a*", "a\n", "\xc3\xa4", too_long};
    for (size_t i = 0; i < KS_COUNT(names); i++) {
        assert_int_equal(control_create_user(*state, ACCOUNT, names[i]), KS_VALIDATION);
        control_assert_violated(*state, "user_name");
        assert_int_equal(control_delete_user(*state, ACCOUNT, names[i]), KS_VALIDATION);
        control_assert_violated(*state, "user_name");
    }

    assert_int_equal(strlen(longest), 64);
    assert_int_equal(control_create_user(*state, ACCOUNT, longest), KS_OK);
    assert_int_equal(control_create_user(*state, ACCOUNT, "x"), KS_OK);
    assert_true(is_listed(*state, ACCOUNT, longest));
}

static void pages_give_names_that_begin_with_others_once(void **state)
{
    for (int32_t size = 1; size <= (int32_t)KS_COUNT(nested) + 1; size++) {
        char *token = NULL;
        size_t seen = 0;
        do {
            const listed *page = list(*state, PAGED, size, token);
            assert_non_null(page);
            for (size_t i = 0; i < page->n_users; i++) {
                assert_true(seen < KS_COUNT(nested));
                assert_string_equal(page->users[i]->user_name, nested[seen++]);
            }
            token = page->next_page_token;
            assert_true(page->n_users == (size_t)size || token[0] == '\0');
        } while (token[0] != '\0');
        assert_int_equal(seen, KS_COUNT(nested));
    }
}

/* The user that a page ended with may be gone when the next one is asked for. */
static void a_token_outlives_its_user_and_is_of_one_list(void **state)
{
    const struct ks_marker_list users = {"ListUsers", PAGED, ""};
    const struct ks_marker_list others = {"ListUsers", NEIGHBOUR, ""};
    char token[KS_MARKER_LEN_MAX + 1];
    char other[KS_MARKER_LEN_MAX + 1];
    assert_int_equal(ks_marker_write(&users, KS_LITERAL("aa"), token).code, KS_OK);
    assert_int_equal(ks_marker_write(&others, KS_LITERAL("aa"), other).code, KS_OK);

    const listed *page = list(*state, PAGED, 10, token);

    assert_non_null(page);
    assert_int_equal(page->n_users, 3);
    assert_string_equal(page->users[0]->user_name, "ab");
    assert_null(list(*state, PAGED, 10, other));
    control_assert_violated(*state, "page_token");
}

static void sizes_and_tokens_out_of_bounds_are_refused(void **state)
{
    static char *const tokens[] = {"a/b", "..", "a b", "../" NEIGHBOUR "/a"};
    for (size_t i = 0; i < KS_COUNT(tokens); i++) {
        assert_null(list(*state, PAGED, 1, tokens[i]));
        control_assert_violated(*state, "page_token");
    }
    assert_null(list(*state, PAGED, -1, NULL));
    control_assert_violated(*state, "page_size");
    assert_null(list(*state, PAGED, KS_ADMIN_PAGE_MAX + 1, NULL));
    control_assert_violated(*state, "page_size");
    assert_non_null(list(*state, PAGED, KS_ADMIN_PAGE_MAX, NULL));
    assert_int_equal(list(*state, PAGED, 0, NULL)->n_users, KS_COUNT(nested));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_user_has_an_arn_and_is_listed),
        cmocka_unit_test(a_name_is_given_once_in_an_account),
        cmocka_unit_test(a_deleted_user_is_gone_and_its_name_free),
        cmocka_unit_test(a_user_needs_an_account),
        cmocka_unit_test(an_account_that_is_not_12_digits_is_refused),
        cmocka_unit_test(a_name_has_1_to_64_characters_of_its_set),
        cmocka_unit_test(pages_give_names_that_begin_with_others_once),
        cmocka_unit_test(a_token_outlives_its_user_and_is_of_one_list),
        cmocka_unit_test(sizes_and_tokens_out_of_bounds_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, control_teardown);
}
