#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/codec/codec.h"
#include "pkg/record/marker.h"
#include "services/control/admin.h"
#include "services/control/control_fixture.h"

#define SEEDED_COUNT (KS_ADMIN_PAGE_MAX + 1)
#define SEEDED_FIRST 200000000000LL
#define NAME_MAX_LEN 128U /* characters */
#define PAGES_MAX    64U

typedef Keystead__Admin__V1__Account account;
typedef Keystead__Admin__V1__CreateAccountResponse created;
typedef Keystead__Admin__V1__ListAccountsResponse listed;

/* A name of that many times one character. */
static char *repeat(const char *character, size_t count)
{
    static char name[8 * NAME_MAX_LEN];
    size_t len = strlen(character);
    assert_true(count * len < sizeof(name));
    for (size_t i = 0; i < count; i++) {
        memcpy(name + i * len, character, len);
    }
    name[count * len] = '\0';
    return name;
}

/* One account more than a page takes, each with the longest name. */
static void seed(struct control_fixture *fixture, struct ks_store *store)
{
    char *name = repeat("\xf0\x9f\x94\x91", NAME_MAX_LEN);
    for (long long i = 0; i < SEEDED_COUNT; i++) {
        char number[32];
        snprintf(number, sizeof(number), "%lld", SEEDED_FIRST + i);
        Keystead__Storage__V1__AccountRecord record = KEYSTEAD__STORAGE__V1__ACCOUNT_RECORD__INIT;
        record.format = 1;
        record.account = number;
        record.name = name;
        record.created_at_ms = atomic_load(&fixture->wall_ms);
        KS_BUFFER_AUTO packed = {.len_max = KS_STORE_VALUE_LEN_MAX};
        assert_int_equal(ks_codec_pack(&record.base, &packed).code, KS_OK);
        struct ks_record_key key = ks_account_key(number);
        const struct ks_store_mutation mutation = {
            .ops = {{ks_record_key_bytes(&key), ks_buffer_bytes(&packed)}}, .op_count = 1};
        assert_int_equal(fixture_commit(store, &mutation).code, KS_OK);
    }
}

static int setup(void **state)
{
    if (control_prepare(state) != 0) {
        return -1;
    }
    control_look(*state, seed);
    control_start(*state);
    return 0;
}

static const created *create(struct control_fixture *fixture, char *name, char *number)
{
    return control_ask(
        fixture, "CreateAccount",
        ADMIN_REQUEST(CreateAccount, create_account, .display_name = name, .account_id = number));
}

static const listed *list(struct control_fixture *fixture, int32_t page_size, char *token)
{
    return control_ask(
        fixture, "ListAccounts",
        ADMIN_REQUEST(ListAccounts, list_accounts, .page_size = page_size, .page_token = token));
}

/* Whether an account with these members stands on some page. */
static bool is_listed(struct control_fixture *fixture, const account *wanted)
{
    char *token = NULL;
    for (size_t i = 0; i < PAGES_MAX && (i == 0 || token[0] != '\0'); i++) {
        const listed *page = list(fixture, KS_ADMIN_PAGE_MAX, token);
        for (size_t j = 0; j < page->n_accounts; j++) {
            const account *seen = page->accounts[j];
            if (strcmp(seen->account_id, wanted->account_id) == 0 &&
                strcmp(seen->display_name, wanted->display_name) == 0 &&
                seen->create_time->seconds == wanted->create_time->seconds) {
                return true;
            }
        }
        token = page->next_page_token;
    }
    return false;
}

static void a_new_account_has_12_digits_and_is_listed(void **state)
{
    struct control_fixture *fixture = *state;

    const created *response = create(fixture, "Bergwerk \xc3\xa4", NULL);

    assert_non_null(response);
    assert_int_equal(strlen(response->account->account_id), 12);
    assert_int_equal(strspn(response->account->account_id, "0123456789"), 12);
    assert_string_equal(response->account->display_name, "Bergwerk \xc3\xa4");
    assert_int_equal(response->account->create_time->seconds,
                     atomic_load(&fixture->wall_ms) / 1000);
    assert_true(is_listed(fixture, response->account));
}

static void numbers_drawn_differ(void **state)
{
    const created *one = create(*state, "a", NULL);
    const created *other = create(*state, "a", NULL);

    assert_string_not_equal(one->account->account_id, other->account->account_id);
}

static void a_number_is_given_once(void **state)
{
    struct control_fixture *fixture = *state;

    assert_string_equal(create(fixture, "a", "111122223333")->account->account_id, "111122223333");
    assert_null(create(fixture, "b", "111122223333"));

    assert_int_equal(fixture->error.code, KS_ALREADY_EXISTS);
}

static void a_number_that_is_not_12_digits_is_refused(void **state)
{
    static char *const numbers[] = {"11112222333", "1111222233334", "11112222333a", "11112222333 ",
                                    "-11112222333"};
    for (size_t i = 0; i < KS_COUNT(numbers); i++) {
        assert_null(create(*state, "a", numbers[i]));
        control_assert_violated(*state, "account_id");
    }
}

/* Characters are counted, not bytes: a name in any script may be as long. */
static void a_name_has_1_to_128_characters(void **state)
{
    static const char *const characters[] = {"a", "\xc3\xa4", "\xe6\x96\x87", "\xf0\x9f\x94\x91"};

    assert_null(create(*state, "", NULL));
    control_assert_violated(*state, "display_name");
    for (size_t i = 0; i < KS_COUNT(characters); i++) {
        assert_non_null(create(*state, repeat(characters[i], 1), NULL));
        assert_non_null(create(*state, repeat(characters[i], NAME_MAX_LEN), NULL));
        assert_null(create(*state, repeat(characters[i], NAME_MAX_LEN + 1), NULL));
        control_assert_violated(*state, "display_name");
    }
}

/* They would reach the terminals of operators. */
static void a_name_with_control_characters_is_refused(void **state)
{
    static char *const names[] = {"a\nb", "\x1b[2J", "a\x7f", "a\xc2\x80", "a\xc2\x9f"};
    for (size_t i = 0; i < KS_COUNT(names); i++) {
        assert_null(create(*state, names[i], NULL));
        control_assert_violated(*state, "display_name");
    }
    assert_non_null(create(*state, "a\xc2\xa0", NULL));
}

static void a_name_that_is_no_utf8_is_refused(void **state)
{
    struct control_fixture *fixture = *state;

    assert_null(create(fixture, "\xff", NULL));

    assert_int_equal(fixture->error.code, KS_VALIDATION);
}

static void a_page_has_0_to_1000_accounts_and_100_by_default(void **state)
{
    assert_int_equal(list(*state, 1, NULL)->n_accounts, 1);
    assert_int_equal(list(*state, 0, NULL)->n_accounts, KS_ADMIN_PAGE_DEFAULT);
    assert_int_equal(list(*state, KS_ADMIN_PAGE_MAX, NULL)->n_accounts, KS_ADMIN_PAGE_MAX);
    assert_null(list(*state, KS_ADMIN_PAGE_MAX + 1, NULL));
    control_assert_violated(*state, "page_size");
    assert_null(list(*state, -1, NULL));
    control_assert_violated(*state, "page_size");
}

static void a_token_that_is_none_is_refused(void **state)
{
    static char *const tokens[] = {"x", "11112222333", "../111122223333", "11112222333\x01"};
    for (size_t i = 0; i < KS_COUNT(tokens); i++) {
        assert_null(list(*state, 1, tokens[i]));
        control_assert_violated(*state, "page_token");
    }
}

/* Whatever the size of the pages, they give each account once, in the order of numbers. */
static void pages_give_each_account_once(void **state)
{
    struct control_fixture *fixture = *state;
    static const int32_t sizes[] = {97, 500, KS_ADMIN_PAGE_MAX};
    size_t counts[KS_COUNT(sizes)] = {0};
    for (size_t i = 0; i < KS_COUNT(sizes); i++) {
        const char *last = "";
        char *token = NULL;
        size_t pages = 0;
        do {
            const listed *page = list(fixture, sizes[i], token);
            assert_non_null(page);
            for (size_t j = 0; j < page->n_accounts; j++) {
                assert_true(strcmp(last, page->accounts[j]->account_id) < 0);
                last = page->accounts[j]->account_id;
            }
            counts[i] += page->n_accounts;
            token = page->next_page_token;
            assert_true(token[0] == '\0' || page->n_accounts == (size_t)sizes[i]);
            assert_true(++pages < PAGES_MAX);
        } while (token[0] != '\0');
    }
    assert_true(counts[0] >= SEEDED_COUNT);
    assert_int_equal(counts[0], counts[1]);
    assert_int_equal(counts[0], counts[2]);
}

/* The token of the page after an account. */
static char *token_after(const char *number)
{
    static char token[KS_MARKER_LEN_MAX + 1];
    const struct ks_marker_list accounts = {"ListAccounts", "", ""};
    assert_int_equal(ks_marker_write(&accounts, ks_bytes_of(number), token).code, KS_OK);
    return token;
}

/* A page that ends with the last account says that there are no more. */
static void the_last_page_has_no_token(void **state)
{
    (void)create(*state, "the last one", "999999999999");

    const listed *page = list(*state, 1, token_after("999999999998"));

    assert_int_equal(page->n_accounts, 1);
    assert_string_equal(page->accounts[0]->account_id, "999999999999");
    assert_string_equal(page->next_page_token, "");
    assert_int_equal(list(*state, 1, token_after("999999999999"))->n_accounts, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_account_has_12_digits_and_is_listed),
        cmocka_unit_test(numbers_drawn_differ),
        cmocka_unit_test(a_number_is_given_once),
        cmocka_unit_test(a_number_that_is_not_12_digits_is_refused),
        cmocka_unit_test(a_name_has_1_to_128_characters),
        cmocka_unit_test(a_name_with_control_characters_is_refused),
        cmocka_unit_test(a_name_that_is_no_utf8_is_refused),
        cmocka_unit_test(a_page_has_0_to_1000_accounts_and_100_by_default),
        cmocka_unit_test(a_token_that_is_none_is_refused),
        cmocka_unit_test(pages_give_each_account_once),
        cmocka_unit_test(the_last_page_has_no_token),
    };
    return cmocka_run_group_tests(tests, setup, control_teardown);
}
