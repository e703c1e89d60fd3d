#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "keystead/admin/v1/admin.pb-c.h"
#include "keystead/kms/v1/kms.pb-c.h"
#include "pkg/base/mem.h"
#include "services/cli/output/shown.h"
#include "services/cli/output/table.h"

typedef Keystead__Kms__V1__KeyMetadata key_metadata;

static void assert_text(const struct ks_buffer *out, const char *expected)
{
    KS_AUTO_FREE char *text = ks_bytes_dup(ks_buffer_bytes(out));
    assert_string_equal(text, expected);
}

/* ---- Responses ---- */

/* AIP responses wrap the resource; people want the resource. AWS's stay as AWS has them. */
static void an_admin_response_shows_its_resource(void **state)
{
    (void)state;
    Keystead__Admin__V1__CreateAccountResponse response =
        KEYSTEAD__ADMIN__V1__CREATE_ACCOUNT_RESPONSE__INIT;
    Keystead__Admin__V1__Account account = KEYSTEAD__ADMIN__V1__ACCOUNT__INIT;
    Keystead__Kms__V1__CreateKeyResponse other = KEYSTEAD__KMS__V1__CREATE_KEY_RESPONSE__INIT;
    Keystead__Admin__V1__ListAccountsResponse list =
        KEYSTEAD__ADMIN__V1__LIST_ACCOUNTS_RESPONSE__INIT;
    assert_ptr_equal(ks_shown_message(&response.base), &response.base);
    response.account = &account;

    assert_ptr_equal(ks_shown_message(&response.base), &account.base);
    assert_ptr_equal(ks_shown_message(&other.base), &other.base);
    assert_ptr_equal(ks_shown_message(&list.base), &list.base);
}

/* ---- Tables ---- */

static void columns_are_as_wide_as_they_need(void **state)
{
    (void)state;
    KS_TABLE_AUTO table = {.column_count = 2, .indent = " ", .text = {.len_max = 1024}};
    KS_BUFFER_AUTO out = {.len_max = 1024};
    ks_table_titles(&table, (const char *const[]){"a_b", "c"});
    ks_table_cell(&table, "\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f"); /* 4 characters, 8 bytes */
    ks_table_cell(&table, "x");
    ks_table_cell(&table, "y");
    ks_table_cell(&table, NULL);
    assert_int_equal(ks_table_print(&table, &out).code, KS_OK);

    assert_text(&out, " A B   C\n \xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f  x\n y\n");
}

/* A description is a stranger's text on my terminal. */
static void control_characters_do_not_reach_a_terminal(void **state)
{
    (void)state;
    KS_TABLE_AUTO table = {.column_count = 2, .text = {.len_max = 1024}};
    KS_BUFFER_AUTO out = {.len_max = 1024};
    key_metadata key = KEYSTEAD__KMS__V1__KEY_METADATA__INIT;
    key.description = (char *)(uintptr_t) "a\x1b[2Jb\nc\x7f";
    ks_table_members(&table, &key.base);
    assert_int_equal(ks_table_print(&table, &out).code, KS_OK);

    assert_text(&out, "Enabled               false\n"
                      "Description           a?[2Jb?c?\n"
                      "EncryptionAlgorithms\n"
                      "MultiRegion           false\n");
}

static void a_message_is_a_row_of_its_columns(void **state)
{
    (void)state;
    static const char *const fields[] = {"key_id", "key_arn", NULL};
    KS_TABLE_AUTO table = {.column_count = 2, .text = {.len_max = 1024}};
    KS_BUFFER_AUTO out = {.len_max = 1024};
    Keystead__Kms__V1__KeyListEntry entry = KEYSTEAD__KMS__V1__KEY_LIST_ENTRY__INIT;
    entry.key_id = (char *)(uintptr_t) "one";
    entry.key_arn = (char *)(uintptr_t) "arn";
    ks_table_row(&table, &entry.base, fields);
    assert_int_equal(ks_table_print(&table, &out).code, KS_OK);

    assert_text(&out, "one  arn\n");
}

static void a_table_that_is_full_fails_at_its_end(void **state)
{
    (void)state;
    KS_TABLE_AUTO table = {.column_count = 1, .text = {.len_max = 4}};
    KS_BUFFER_AUTO out = {.len_max = 1024};
    ks_table_cell(&table, "abc");
    ks_table_cell(&table, "d");

    assert_int_equal(ks_table_print(&table, &out).code, KS_LIMIT_EXCEEDED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_admin_response_shows_its_resource),
        cmocka_unit_test(columns_are_as_wide_as_they_need),
        cmocka_unit_test(control_characters_do_not_reach_a_terminal),
        cmocka_unit_test(a_message_is_a_row_of_its_columns),
        cmocka_unit_test(a_table_that_is_full_fails_at_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
