#include "pkg/operation/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/codec/wire.h"
#include "pkg/operation/operation_fixture.h"

#define BUFFER_LEN 4096U

static struct ks_refusal refusal;
static struct ks_checked found;

static ks_code find(const char *operation, const struct ks_buffer *message)
{
    refusal = (struct ks_refusal){.code = KS_OK};
    return ks_operation_check(fixture_operation(operation), &fixture_home, OWN,
                              ks_buffer_bytes(message), &found, &refusal)
        .code;
}

static void put(struct ks_buffer *buffer, unsigned number, ks_bytes bytes)
{
    assert_int_equal(ks_wire_put_bytes(number, bytes, buffer).code, KS_OK);
}

static void put_blob(struct ks_buffer *buffer, const char *region, const char *account)
{
    KS_BUFFER_AUTO blob = {.len_max = BUFFER_LEN};
    fixture_blob(region, account, &blob);
    put(buffer, 1, ks_buffer_bytes(&blob));
}

static void assert_names(size_t index, const char *account, const char *name)
{
    assert_true(index < found.key_count);
    assert_true(ks_bytes_equal(found.keys[index].account, ks_bytes_of(account)));
    assert_true(ks_bytes_equal(found.keys[index].name, ks_bytes_of(name)));
}

static void reads_each_form_of_key_identifier(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *account;
        const char *name;
    } forms[] = {
        {KEY_ID, OWN, KEY_ID},
        {OWN_KEY, OWN, KEY_ID},
        {OTHER_KEY, OTHER, KEY_ID},
        {"alias/x", OWN, "alias/x"},
        {ARN_OF(OTHER, "ap-seoul-1", "alias/x"), OTHER, "alias/x"},
    };
    for (size_t i = 0; i < KS_COUNT(forms); i++) {
        KS_BUFFER_AUTO message = {.len_max = BUFFER_LEN};
        put(&message, 1, ks_bytes_of(forms[i].text));
        put(&message, 2, KS_LITERAL("plaintext"));

        assert_int_equal(find("Encrypt", &message), KS_OK);

        assert_int_equal(found.key_count, 1);
        assert_names(0, forms[i].account, forms[i].name);
    }
}

static void takes_the_key_of_a_blob_and_the_one_beside_it_to_confirm_it(void **state)
{
    (void)state;
    KS_BUFFER_AUTO message = {.len_max = BUFFER_LEN};
    put_blob(&message, "ap-seoul-1", OTHER);
    put(&message, 4, KS_LITERAL("alias/mine"));

    assert_int_equal(find("Decrypt", &message), KS_OK);

    assert_int_equal(found.key_count, 1);
    assert_names(0, OTHER, KEY_ID);
    assert_true(ks_bytes_equal(found.keys[0].confirmed_account, KS_LITERAL(OWN)));
    assert_true(ks_bytes_equal(found.keys[0].confirmed_name, KS_LITERAL("alias/mine")));
    assert_int_equal(found.keys[0].material_id.len, 32);
}

static void puts_the_source_of_a_re_encryption_first(void **state)
{
    (void)state;
    KS_BUFFER_AUTO message = {.len_max = BUFFER_LEN};
    put(&message, 4, KS_LITERAL(KEY_ID_2));
    put_blob(&message, "ap-seoul-1", OWN);

    assert_int_equal(find("ReEncrypt", &message), KS_OK);

    assert_int_equal(found.key_count, 2);
    assert_names(0, OWN, KEY_ID);
    assert_names(1, OWN, KEY_ID_2);
}

static void names_the_region_of_a_blob_only_if_it_is_known(void **state)
{
    (void)state;
    KS_BUFFER_AUTO known = {.len_max = BUFFER_LEN};
    put_blob(&known, "us-oregon-1", OTHER);
    KS_BUFFER_AUTO unknown = {.len_max = BUFFER_LEN};
    put_blob(&unknown, "eu-paris-1", OWN);

    assert_int_equal(find("Decrypt", &known), KS_ACCESS_DENIED);
    assert_non_null(strstr(refusal.text, "us-oregon-1"));
    assert_int_equal(refusal.detail_count, 1);
    assert_string_equal(refusal.details[0].name, "region");
    assert_string_equal(refusal.details[0].value, "us-oregon-1");
    assert_int_equal(find("Decrypt", &unknown), KS_ACCESS_DENIED);
    assert_int_equal(refusal.detail_count, 0);
}

static void refuses_what_is_no_blob(void **state)
{
    (void)state;
    KS_BUFFER_AUTO blob = {.len_max = BUFFER_LEN};
    fixture_blob("ap-seoul-1", OWN, &blob);
    for (size_t len = 1; len < blob.len; len++) {
        KS_BUFFER_AUTO message = {.len_max = BUFFER_LEN};
        put(&message, 1, (ks_bytes){blob.ptr, len});

        ks_code code = find("Decrypt", &message);

        /* At least 17 bytes of ciphertext and tag follow the header and the commitment. */
        assert_int_equal(code, len >= blob.len - 15 ? KS_OK : KS_INVALID_CIPHERTEXT);
    }
}

static void finds_an_alias_of_the_callers_account_and_its_target(void **state)
{
    (void)state;
    KS_BUFFER_AUTO message = {.len_max = BUFFER_LEN};
    put(&message, 1, KS_LITERAL("alias/x"));
    put(&message, 2, KS_LITERAL(OTHER_KEY));

    assert_int_equal(find("UpdateAlias", &message), KS_OK);
    assert_int_equal(found.key_count, 2);
    assert_names(0, OWN, "alias/x");
    assert_names(1, OTHER, KEY_ID);

    assert_int_equal(find("CreateAlias", &message), KS_OK);
    assert_int_equal(found.key_count, 1);
    assert_names(0, OTHER, KEY_ID);
}

static void finds_none_where_none_is_named(void **state)
{
    (void)state;
    KS_BUFFER_AUTO empty = {.len_max = BUFFER_LEN};
    KS_BUFFER_AUTO one = {.len_max = BUFFER_LEN};
    put(&one, 1, KS_LITERAL(KEY_ID));
    assert_int_equal(find("ListAliases", &one), KS_OK);
    assert_int_equal(found.key_count, 1);
    assert_int_equal(find("ListAliases", &empty), KS_OK);
    assert_int_equal(found.key_count, 0);
    assert_int_equal(find("CreateKey", &empty), KS_OK);
    assert_int_equal(found.key_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_each_form_of_key_identifier),
        cmocka_unit_test(takes_the_key_of_a_blob_and_the_one_beside_it_to_confirm_it),
        cmocka_unit_test(puts_the_source_of_a_re_encryption_first),
        cmocka_unit_test(names_the_region_of_a_blob_only_if_it_is_known),
        cmocka_unit_test(refuses_what_is_no_blob),
        cmocka_unit_test(finds_an_alias_of_the_callers_account_and_its_target),
        cmocka_unit_test(finds_none_where_none_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
