/* Aliases, ListKeys, ListAliases, and their markers. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/crypto/crypto.h"
#include "pkg/record/marker.h"
#include "pkg/store/store_fixture.h"
#include "services/keystore/fixture/key_fixture.h"
#include "services/keystore/operations/quota.h"

#define KEYS 5U

static char keys[KEYS][37];

static int set_up_keys(void **state)
{
    (void)set_up(state);
    memcpy(keys[0], key_id, sizeof(keys[0]));
    for (size_t i = 1; i < KEYS; i++) {
        cell_create_key(&cell, keys[i]);
    }
    return 0;
}

/* Aliases */

static struct cell_answer create_alias(const char *alias, const char *key)
{
    KMS(CreateAliasRequest) message = KMS_NEW(CREATE_ALIAS_REQUEST);
    message.alias_name = ks_lend_text(alias);
    message.target_key_id = ks_lend_text(key);
    const struct cell_request request = {.operation = OP(CREATE_ALIAS), .message = &message.base};
    return cell_call(&cell, &request);
}

static struct cell_answer update_alias(const char *alias, const char *key)
{
    KMS(UpdateAliasRequest) message = KMS_NEW(UPDATE_ALIAS_REQUEST);
    message.alias_name = ks_lend_text(alias);
    message.target_key_id = ks_lend_text(key);
    const struct cell_request request = {.operation = OP(UPDATE_ALIAS), .message = &message.base};
    return cell_call(&cell, &request);
}

static struct cell_answer delete_alias(const char *alias, const char *request_id)
{
    KMS(DeleteAliasRequest) message = KMS_NEW(DELETE_ALIAS_REQUEST);
    message.alias_name = ks_lend_text(alias);
    const struct cell_request request = {
        .operation = OP(DELETE_ALIAS), .request_id = request_id, .message = &message.base};
    return cell_call(&cell, &request);
}

/* The key that an alias names; "" if it names none. */
static const char *named_by(const char *alias)
{
    static char id[37];
    CELL_ANSWER_AUTO answer = cell_on_key(&cell, OP(DESCRIBE_KEY), alias);
    id[0] = '\0';
    if (answer.code == KS_OK) {
        snprintf(id, sizeof(id), "%s",
                 ((KMS(DescribeKeyResponse) *)answer.response)->key_metadata->key_id);
    }
    return id;
}

static void an_alias_is_made_moved_and_deleted(void **state)
{
    (void)state;
    CELL_ANSWER_AUTO made = create_alias("alias/a", keys[0]);
    expect(&made, "OK");
    assert_string_equal(named_by("alias/a"), keys[0]);
    CELL_ANSWER_AUTO again = create_alias("alias/a", keys[1]);
    expect(&again, "ALREADY_EXISTS");
    assert_string_equal(again.text, "An alias with the name arn:aws:kms:" CELL_REGION
                                    ":" CELL_ACCOUNT ":alias/a already exists");
    CELL_ANSWER_AUTO moved = update_alias("alias/a", keys[1]);
    expect(&moved, "OK");
    assert_string_equal(named_by("alias/a"), keys[1]);
    CELL_ANSWER_AUTO gone = delete_alias("alias/a", NULL);
    expect(&gone, "OK");
    assert_string_equal(named_by("alias/a"), "");
    CELL_ANSWER_AUTO none = delete_alias("alias/a", NULL);
    expect(&none, "NOT_FOUND");
    assert_string_equal(none.text,
                        "Alias arn:aws:kms:" CELL_REGION ":" CELL_ACCOUNT ":alias/a is not found.");
    CELL_ANSWER_AUTO absent = update_alias("alias/a", keys[1]);
    expect(&absent, "NOT_FOUND");
}

/* The alias is gone when the retry comes. */
static void a_retried_delete_alias_gets_its_answer(void **state)
{
    (void)state;
    cell_create_alias(&cell, "alias/a", keys[0]);
    CELL_ANSWER_AUTO first = delete_alias("alias/a", "del");
    CELL_ANSWER_AUTO second = delete_alias("alias/a", "del");
    CELL_ANSWER_AUTO other = delete_alias("alias/b", "del");

    expect(&first, "OK");
    expect(&second, "OK");
    expect(&other, "CONFLICT");
}

static void alias_names_keep_their_form(void **state)
{
    (void)state;
    char longest[258] = "alias/";
    memset(longest + 6, 'x', 251);
    CELL_ANSWER_AUTO more = create_alias(longest, keys[0]);
    longest[256] = '\0';
    CELL_ANSWER_AUTO most = create_alias(longest, keys[0]);
    CELL_ANSWER_AUTO none = create_alias("", keys[0]);
    CELL_ANSWER_AUTO prefix = create_alias("a", keys[0]);
    CELL_ANSWER_AUTO bare = create_alias("alias/", keys[0]);
    CELL_ANSWER_AUTO odd = create_alias("alias/a b", keys[0]);
    CELL_ANSWER_AUTO reserved = create_alias("alias/aws/a", keys[0]);

    expect(&more, "VALIDATION");
    expect(&most, "OK");
    expect(&none, "VALIDATION");
    expect(&prefix, "VALIDATION");
    assert_non_null(strstr(prefix.text, "Alias must start with the prefix \"alias/\"."));
    expect(&bare, "INVALID_ALIAS_NAME");
    expect(&odd, "VALIDATION");
    expect(&reserved, "INVALID_ALIAS_NAME");
}

static void an_alias_is_not_made_for_a_key_that_is_to_be_deleted_and_may_leave_one(void **state)
{
    (void)state;
    cell_create_alias(&cell, "alias/a", keys[0]);
    CELL_ANSWER_AUTO scheduled = cell_on_key(&cell, OP(SCHEDULE_KEY_DELETION), keys[0]);
    expect(&scheduled, "OK");

    CELL_ANSWER_AUTO made = create_alias("alias/b", keys[0]);
    CELL_ANSWER_AUTO away = update_alias("alias/a", keys[1]);
    CELL_ANSWER_AUTO back = update_alias("alias/a", keys[0]);

    expect(&made, "INVALID_STATE");
    expect(&away, "OK");
    expect(&back, "INVALID_STATE");
}

static void a_key_has_50_aliases_and_no_more(void **state)
{
    (void)state;
    char alias[32];
    for (unsigned i = 0; i < KS_QUOTA_ALIASES; i++) {
        snprintf(alias, sizeof(alias), "alias/n%02u", i);
        cell_create_alias(&cell, alias, keys[0]);
    }
    cell_create_alias(&cell, "alias/other", keys[1]);
    CELL_ANSWER_AUTO more = create_alias("alias/more", keys[0]);
    CELL_ANSWER_AUTO moved = update_alias("alias/other", keys[0]);
    CELL_ANSWER_AUTO same = update_alias("alias/n00", keys[0]);
    CELL_ANSWER_AUTO gone = delete_alias("alias/n00", NULL);
    CELL_ANSWER_AUTO now = update_alias("alias/other", keys[0]);

    expect(&more, "LIMIT_EXCEEDED");
    expect(&moved, "LIMIT_EXCEEDED");
    expect(&same, "OK");
    expect(&gone, "OK");
    expect(&now, "OK");
}

/* Lists */

static struct cell_answer list_keys(const char *account, int32_t limit, const char *marker)
{
    KMS(ListKeysRequest) message = KMS_NEW(LIST_KEYS_REQUEST);
    message.limit_presence_case = limit == -1 ? 0 : 1;
    message.limit = limit;
    if (marker[0] != '\0') {
        message.marker_presence_case = KMS_ENUM(LIST_KEYS_REQUEST__MARKER_PRESENCE_MARKER);
        message.marker = ks_lend_text(marker);
    }
    const struct cell_request request = {.operation = OP(LIST_KEYS),
                                         .account = account,
                                         .message = &message.base,
                                         .response_type = KMS_TYPE(list_keys_response)};
    return cell_call(&cell, &request);
}

static struct cell_answer list_aliases(const char *key, int32_t limit, const char *marker)
{
    KMS(ListAliasesRequest) message = KMS_NEW(LIST_ALIASES_REQUEST);
    if (key[0] != '\0') {
        message.key_id_presence_case = KMS_ENUM(LIST_ALIASES_REQUEST__KEY_ID_PRESENCE_KEY_ID);
        message.key_id = ks_lend_text(key);
    }
    message.limit_presence_case = limit == -1 ? 0 : 2;
    message.limit = limit;
    if (marker[0] != '\0') {
        message.marker_presence_case = KMS_ENUM(LIST_ALIASES_REQUEST__MARKER_PRESENCE_MARKER);
        message.marker = ks_lend_text(marker);
    }
    const struct cell_request request = {.operation = OP(LIST_ALIASES),
                                         .message = &message.base,
                                         .response_type = KMS_TYPE(list_aliases_response)};
    return cell_call(&cell, &request);
}

static bool is_one_of_ours(const char *id)
{
    for (size_t i = 0; i < KEYS; i++) {
        if (strcmp(keys[i], id) == 0) {
            return true;
        }
    }
    return false;
}

static void pages_give_every_key_once_in_order(void **state)
{
    (void)state;
    char marker[KS_MARKER_LEN_MAX + 1] = "";
    char last[37] = "";
    size_t count = 0;
    for (size_t page = 0; page < KEYS; page++) {
        CELL_ANSWER_AUTO answer = list_keys(NULL, 2, marker);
        expect(&answer, "OK");
        const KMS(ListKeysResponse) *response = (const KMS(ListKeysResponse) *)answer.response;
        for (size_t i = 0; i < response->n_keys; i++) {
            assert_true(strcmp(response->keys[i]->key_id, last) > 0);
            snprintf(last, sizeof(last), "%s", response->keys[i]->key_id);
            assert_true(is_one_of_ours(last));
            count++;
        }
        if (!response->truncated) {
            assert_string_equal(response->next_marker, "");
            break;
        }
        snprintf(marker, sizeof(marker), "%s", response->next_marker);
    }
    assert_int_equal(count, KEYS);
}

/* The number of aliases that ListAliases shows of a key. */
static size_t alias_count(const char *key)
{
    CELL_ANSWER_AUTO answer = list_aliases(key, -1, "");
    expect(&answer, "OK");
    return ((KMS(ListAliasesResponse) *)answer.response)->n_aliases;
}

static void an_alias_is_listed_with_the_key_that_it_names_now(void **state)
{
    (void)state;
    cell_create_alias(&cell, "alias/a", keys[0]);
    assert_int_equal(alias_count(keys[0]), 1);
    CELL_ANSWER_AUTO moved = update_alias("alias/a", keys[1]);
    expect(&moved, "OK");
    assert_int_equal(alias_count(keys[0]), 0);
    assert_int_equal(alias_count(keys[1]), 1);
    CELL_ANSWER_AUTO gone = delete_alias("alias/a", NULL);
    expect(&gone, "OK");
    assert_int_equal(alias_count(keys[1]), 0);
}

/* A key that was there all the time is never left out or shown twice. */
static void pages_stay_right_while_keys_come(void **state)
{
    (void)state;
    CELL_ANSWER_AUTO first = list_keys(NULL, 3, "");
    const KMS(ListKeysResponse) *page = (const KMS(ListKeysResponse) *)first.response;
    char extra[37];
    for (int i = 0; i < 4; i++) {
        cell_create_key(&cell, extra);
    }
    CELL_ANSWER_AUTO second = list_keys(NULL, -1, page->next_marker);
    const KMS(ListKeysResponse) *rest = (const KMS(ListKeysResponse) *)second.response;

    size_t ours = 0;
    for (size_t i = 0; i < page->n_keys; i++) {
        ours += is_one_of_ours(page->keys[i]->key_id);
    }
    for (size_t i = 0; i < rest->n_keys; i++) {
        ours += is_one_of_ours(rest->keys[i]->key_id);
    }
    assert_int_equal(ours, KEYS);
}

static void an_account_sees_its_own_keys_only(void **state)
{
    (void)state;
    CELL_ANSWER_AUTO answer = list_keys(CELL_OTHER, -1, "");
    expect(&answer, "OK");
    assert_int_equal(((KMS(ListKeysResponse) *)answer.response)->n_keys, 0);
}

/* What an answer rests on: the newest revision that is settled for it; 0: none was. */
static _Atomic int64_t settled;

static void note_settle(void *store, int64_t revision, void (*done)(void *user, ks_result result),
                        void *user)
{
    atomic_store(&settled, revision);
    ks_attempt_store.settle(store, revision, done, user);
}

static int64_t rests_on(struct cell_answer answer, const char *code)
{
    expect(&answer, code);
    cell_answer_done(&answer);
    return atomic_exchange(&settled, 0);
}

/*
 * Beside a silent keystore another account's change takes 2.2 s to settle: what this account's
 * absences and lists rest on must not be newer than its own changes.
 */
static void absences_and_lists_rest_on_the_accounts_own_changes(void **state)
{
    (void)state;
    struct ks_attempt_store spy = ks_attempt_store;
    spy.settle = note_settle;
    cell.env.attempts.functions = &spy;
    const char *absent = "0b4f9c9e-6f5d-4b8b-9b0e-000000000001";
    cell_create_alias(&cell, "alias/a", keys[0]);
    KS_STORE_VIEW_AUTO before = fixture_serve(cell.store);
    KMS(CreateKeyRequest) message = KMS_NEW(CREATE_KEY_REQUEST);
    const struct cell_request theirs = {
        .operation = OP(CREATE_KEY), .account = CELL_OTHER, .message = &message.base};
    CELL_ANSWER_AUTO made = cell_call(&cell, &theirs);
    expect(&made, "OK");

    int64_t newest = before.data_revision;
    assert_in_range(rests_on(cell_on_key(&cell, OP(DESCRIBE_KEY), absent), "NOT_FOUND"), 1, newest);
    assert_in_range(rests_on(cell_on_key(&cell, OP(DESCRIBE_KEY), "alias/none"), "NOT_FOUND"), 1,
                    newest);
    assert_in_range(rests_on(list_keys(NULL, -1, ""), "OK"), 1, newest);
    assert_in_range(rests_on(list_aliases("", -1, ""), "OK"), 1, newest);
    assert_in_range(rests_on(list_aliases(keys[0], -1, ""), "OK"), 1, newest);

    /* And on those they do rest, deletions too. */
    CELL_ANSWER_AUTO gone = delete_alias("alias/a", NULL);
    expect(&gone, "OK");
    KS_STORE_VIEW_AUTO after = fixture_serve(cell.store);
    newest = after.data_revision;
    assert_int_equal(rests_on(cell_on_key(&cell, OP(DESCRIBE_KEY), "alias/a"), "NOT_FOUND"),
                     newest);
    assert_int_equal(rests_on(list_aliases("", -1, ""), "OK"), newest);
    assert_int_equal(rests_on(list_aliases(keys[0], -1, ""), "OK"), newest);
    cell.env.attempts.functions = &ks_attempt_store;
}

#define MAKERS 16U

static void *make_alias(void *user)
{
    char alias[32];
    snprintf(alias, sizeof(alias), "alias/m%02u", *(const unsigned *)user);
    CELL_ANSWER_AUTO answer = create_alias(alias, keys[0]);
    assert_true(answer.code == KS_OK || answer.code == KS_LIMIT_EXCEEDED);
    return NULL;
}

static void many_at_once_make_50_aliases_and_no_more(void **state)
{
    (void)state;
    char alias[32];
    pthread_t threads[MAKERS];
    unsigned numbers[MAKERS];
    for (unsigned i = 0; i < KS_QUOTA_ALIASES - 3; i++) {
        snprintf(alias, sizeof(alias), "alias/n%02u", i);
        cell_create_alias(&cell, alias, keys[0]);
    }
    for (unsigned i = 0; i < MAKERS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, make_alias, &numbers[i]), 0);
    }
    for (unsigned i = 0; i < MAKERS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(alias_count(keys[0]), KS_QUOTA_ALIASES);
}

static void limits_of_lists_are_kept(void **state)
{
    (void)state;
    static const struct {
        int32_t limit;
        const char *keys;
        const char *aliases;
    } rows[] = {{0, "VALIDATION", "VALIDATION"},
                {1, "OK", "OK"},
                {100, "OK", "OK"},
                {101, "OK", "VALIDATION"},
                {1000, "OK", "VALIDATION"},
                {1001, "VALIDATION", "VALIDATION"}};
    for (size_t i = 0; i < KS_COUNT(rows); i++) {
        CELL_ANSWER_AUTO listed = list_keys(NULL, rows[i].limit, "");
        CELL_ANSWER_AUTO aliases = list_aliases("", rows[i].limit, "");
        expect(&listed, rows[i].keys);
        expect(&aliases, rows[i].aliases);
    }
}

static void aliases_are_listed_all_and_of_one_key(void **state)
{
    (void)state;
    cell_create_alias(&cell, "alias/b", keys[0]);
    cell_create_alias(&cell, "alias/a", keys[1]);
    cell_create_alias(&cell, "alias/c", keys[0]);
    CELL_ANSWER_AUTO all = list_aliases("", -1, "");
    CELL_ANSWER_AUTO of_one = list_aliases(keys[0], 1, "");
    const KMS(ListAliasesResponse) *first = (const KMS(ListAliasesResponse) *)of_one.response;
    CELL_ANSWER_AUTO rest = list_aliases(keys[0], -1, first->next_marker);
    CELL_ANSWER_AUTO absent = list_aliases("0b4f9c9e-6f5d-4b8b-9b0e-000000000001", -1, "");

    const KMS(ListAliasesResponse) *every = (const KMS(ListAliasesResponse) *)all.response;
    assert_int_equal(every->n_aliases, 3);
    assert_string_equal(every->aliases[0]->alias_name, "alias/a");
    assert_string_equal(every->aliases[0]->target_key_id, keys[1]);
    assert_string_equal(every->aliases[0]->alias_arn,
                        "arn:aws:kms:" CELL_REGION ":" CELL_ACCOUNT ":alias/a");
    assert_int_equal(first->n_aliases, 1);
    assert_string_equal(first->aliases[0]->alias_name, "alias/b");
    assert_true(first->truncated);
    assert_int_equal(((KMS(ListAliasesResponse) *)rest.response)->n_aliases, 1);
    assert_string_equal(((KMS(ListAliasesResponse) *)rest.response)->aliases[0]->alias_name,
                        "alias/c");
    expect(&absent, "NOT_FOUND");
}

/* Another list, another account, another filter, damage: all are refused, none is misread. */
static void a_marker_is_good_for_its_list_only(void **state)
{
    (void)state;
    cell_create_alias(&cell, "alias/a", keys[0]);
    cell_create_alias(&cell, "alias/b", keys[0]);
    CELL_ANSWER_AUTO listed = list_keys(NULL, 1, "");
    const char *of_keys = ((KMS(ListKeysResponse) *)listed.response)->next_marker;
    CELL_ANSWER_AUTO filtered = list_aliases(keys[0], 1, "");
    const char *of_one = ((KMS(ListAliasesResponse) *)filtered.response)->next_marker;

    CELL_ANSWER_AUTO other_list = list_aliases("", -1, of_keys);
    CELL_ANSWER_AUTO other_account = list_keys(CELL_OTHER, -1, of_keys);
    CELL_ANSWER_AUTO other_filter = list_aliases("", -1, of_one);
    CELL_ANSWER_AUTO garbage = list_keys(NULL, -1, "AAAA");

    expect(&other_list, "INVALID_MARKER");
    expect(&other_account, "INVALID_MARKER");
    expect(&other_filter, "INVALID_MARKER");
    expect(&garbage, "INVALID_MARKER");
}

/* A marker's hash needs no key: a tenant can make one of any position, and harms nobody by it. */
static void a_forged_marker_of_any_length_is_refused_or_begins_there(void **state)
{
    (void)state;
    const struct ks_marker_list of_keys = {"ListKeys", CELL_ACCOUNT, ""};
    const struct ks_marker_list of_aliases = {"ListAliases", CELL_ACCOUNT, ""};
    const struct ks_marker_list of_one = {"ListAliases", CELL_ACCOUNT, keys[0]};
    char position[KS_MARKER_POSITION_MAX];
    memset(position, 0xff, sizeof(position));
    for (size_t len = 1; len <= KS_MARKER_POSITION_MAX; len += len < 300 ? 60 : 1) {
        ks_bytes forged = {(const uint8_t *)position, len};
        char marker[KS_MARKER_LEN_MAX + 1];
        assert_int_equal(ks_marker_write(&of_keys, forged, marker).code, KS_OK);
        CELL_ANSWER_AUTO listed = list_keys(NULL, 2, marker);
        assert_true(listed.code == KS_OK || listed.code == KS_INVALID_MARKER);
        assert_int_equal(ks_marker_write(&of_aliases, forged, marker).code, KS_OK);
        CELL_ANSWER_AUTO aliases = list_aliases("", 2, marker);
        assert_true(aliases.code == KS_OK || aliases.code == KS_INVALID_MARKER);
        assert_int_equal(ks_marker_write(&of_one, forged, marker).code, KS_OK);
        CELL_ANSWER_AUTO of_key = list_aliases(keys[0], 2, marker);
        assert_true(of_key.code == KS_OK || of_key.code == KS_INVALID_MARKER);
    }
}

static void every_damage_of_a_marker_is_refused(void **state)
{
    (void)state;
    const struct ks_marker_list list = {"ListKeys", CELL_ACCOUNT, ""};
    char text[KS_MARKER_LEN_MAX + 1];
    char position[KS_MARKER_LEN_MAX];
    assert_int_equal(ks_marker_write(&list, ks_bytes_of(keys[0]), text).code, KS_OK);
    assert_int_equal(ks_marker_read(&list, text, position).code, KS_OK);
    assert_string_equal(position, keys[0]);

    for (size_t i = 0; i < 8 * strlen(text); i++) {
        char bad[KS_MARKER_LEN_MAX + 1];
        memcpy(bad, text, strlen(text) + 1);
        bad[i / 8] = (char)(bad[i / 8] ^ (1 << (i % 8)));
        assert_int_equal(ks_marker_read(&list, bad, position).code, KS_INVALID_MARKER);
    }
    for (size_t len = 0; len < strlen(text); len++) {
        char bad[KS_MARKER_LEN_MAX + 1] = "";
        memcpy(bad, text, len);
        assert_int_equal(ks_marker_read(&list, bad, position).code, KS_INVALID_MARKER);
    }
    char longer[KS_MARKER_LEN_MAX + 6];
    memset(longer, 'A', KS_MARKER_LEN_MAX + 4);
    longer[KS_MARKER_LEN_MAX + 4] = '\0';
    assert_int_equal(ks_marker_read(&list, longer, position).code, KS_INVALID_MARKER);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_keys, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_alias_is_made_moved_and_deleted),
        TEST(a_retried_delete_alias_gets_its_answer),
        TEST(alias_names_keep_their_form),
        TEST(an_alias_is_not_made_for_a_key_that_is_to_be_deleted_and_may_leave_one),
        TEST(a_key_has_50_aliases_and_no_more),
        TEST(pages_give_every_key_once_in_order),
        TEST(an_alias_is_listed_with_the_key_that_it_names_now),
        TEST(pages_stay_right_while_keys_come),
        TEST(an_account_sees_its_own_keys_only),
        TEST(absences_and_lists_rest_on_the_accounts_own_changes),
        TEST(many_at_once_make_50_aliases_and_no_more),
        TEST(limits_of_lists_are_kept),
        TEST(aliases_are_listed_all_and_of_one_key),
        TEST(a_marker_is_good_for_its_list_only),
        TEST(a_forged_marker_of_any_length_is_refused_or_begins_there),
        TEST(every_damage_of_a_marker_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
