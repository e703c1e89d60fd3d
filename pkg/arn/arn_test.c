#include "pkg/arn/arn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/base/mem.h"

#define UUID  "0b4f9c9e-6f5d-4b8b-9b0e-00000000000f"
#define MRK   "mrk-0b4f9c9e6f5d4b8b9b0e00000000000f"
#define START "arn:aws:kms:ap-seoul-1:111122223333:"

static const struct ks_arn_home home = {"aws", "ap-seoul-1", "111122223333"};

static void writes_arns_as_aws_does(void **state)
{
    (void)state;
    struct ks_arn arn;

    ks_arn_of_key(&home, UUID, &arn);
    assert_string_equal(arn.text, START "key/" UUID);
    ks_arn_of_alias(&home, "alias/app/main", &arn);
    assert_string_equal(arn.text, START "alias/app/main");
    ks_arn_of_user("aws", "111122223333", "alice", &arn);
    assert_string_equal(arn.text, "arn:aws:iam::111122223333:user/alice");
    ks_arn_of_root("aws-cn", "111122223333", &arn);
    assert_string_equal(arn.text, "arn:aws-cn:iam::111122223333:root");
}

static void has_room_for_the_longest(void **state)
{
    (void)state;
    char alias[KS_ALIAS_LEN_MAX + 1] = "alias/";
    memset(alias + 6, 'a', KS_ALIAS_LEN_MAX - 6);
    struct ks_arn_home far = {"abcdefghijklmnop", "ap-abcdefghijklmnopqrstuvwxyza-1",
                              "111122223333"};
    struct ks_arn arn;

    ks_arn_of_alias(&far, alias, &arn);

    assert_int_equal(strlen(arn.text), KS_ARN_LEN_MAX);
    struct ks_key_ref ref;
    assert_int_equal(ks_key_ref_parse(ks_bytes_of(arn.text), &ref).code, KS_OK);
}

struct form {
    const char *text;
    enum ks_key_ref_kind kind;
    const char *account;
    const char *region;
    const char *name;
};

static const struct form forms[] = {
    {UUID, KS_KEY_REF_ID, "", "", UUID},
    {MRK, KS_KEY_REF_ID, "", "", MRK},
    {START "key/" MRK, KS_KEY_REF_ARN, "111122223333", "ap-seoul-1", MRK},
    {START "key/" UUID, KS_KEY_REF_ARN, "111122223333", "ap-seoul-1", UUID},
    {"alias/a/b", KS_KEY_REF_ALIAS, "", "", "alias/a/b"},
    {START "alias/a/b", KS_KEY_REF_ALIAS_ARN, "111122223333", "ap-seoul-1", "alias/a/b"},
};

static bool says(ks_bytes got, const char *want)
{
    return ks_bytes_equal(got, ks_bytes_of(want));
}

static void reads_the_four_forms_of_key_identifier(void **state)
{
    (void)state;
    for (size_t i = 0; i < KS_COUNT(forms); i++) {
        struct ks_key_ref ref = {0};

        ks_result r = ks_key_ref_parse(ks_bytes_of(forms[i].text), &ref);

        assert_int_equal(r.code, KS_OK);
        assert_int_equal(ref.kind, forms[i].kind);
        assert_true(says(ref.account, forms[i].account));
        assert_true(says(ref.region, forms[i].region));
        assert_true(says(ref.name, forms[i].name));
        assert_int_equal(ks_key_ref_is_alias(&ref), i >= 4);
    }
}

struct refusal {
    const char *text;
    ks_code code;
};

static const struct refusal refusals[] = {
    {"", KS_NOT_FOUND},
    {"fake-key-id", KS_NOT_FOUND},
    {"alias/", KS_NOT_FOUND},
    {"alias/a b", KS_NOT_FOUND},
    {"mrk-134f2428cec14b25a1ae9048164dba4", KS_NOT_FOUND},
    {START "key/mrk-134f2428cec14b25a1ae9048164dba4", KS_INVALID_ARN},
    {"arn", KS_NOT_FOUND},
    {"arn:", KS_INVALID_ARN},
    {"arn:aws:kms:ap-seoul-1:111122223333", KS_INVALID_ARN},
    {START, KS_INVALID_ARN},
    {START "key/", KS_INVALID_ARN},
    {START "key/x", KS_INVALID_ARN},
    {START "key/" UUID "/", KS_INVALID_ARN},
    {START "key:" UUID, KS_INVALID_ARN},
    {START "alias/", KS_INVALID_ARN},
    {START UUID, KS_INVALID_ARN},
    {"arn:aws:s3:ap-seoul-1:111122223333:key/" UUID, KS_INVALID_ARN},
    {"arn:AWS:kms:ap-seoul-1:111122223333:key/" UUID, KS_INVALID_ARN},
    {"arn:aws:kms::111122223333:key/" UUID, KS_INVALID_ARN},
    {"arn:aws:kms:seoul:111122223333:key/" UUID, KS_INVALID_ARN},
    {"arn:aws:kms:ap-seoul-1:11112222333:key/" UUID, KS_INVALID_ARN},
    {"arn:aws:kms:ap-seoul-1::key/" UUID, KS_INVALID_ARN},
};

static void refuses_what_names_no_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < KS_COUNT(refusals); i++) {
        struct ks_key_ref ref = {.kind = KS_KEY_REF_ALIAS};

        ks_result r = ks_key_ref_parse(ks_bytes_of(refusals[i].text), &ref);

        if (r.code != refusals[i].code) {
            fail_msg("\"%s\": %s", refusals[i].text, ks_code_name(r.code));
        }
        assert_int_equal(ref.kind, KS_KEY_REF_ALIAS);
    }
}

/* Whatever happens to an ARN, it never reads as the same key of the same account. */
static void no_damage_leaves_the_same_key(void **state)
{
    (void)state;
    const char *whole = START "key/" UUID;
    size_t len = strlen(whole);
    for (size_t bit = 0; bit < 8 * len; bit++) {
        KS_AUTO_FREE uint8_t *bad = ks_alloc(len, 1);
        memcpy(bad, whole, len);
        bad[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        struct ks_key_ref ref;
        ks_result r = ks_key_ref_parse((ks_bytes){bad, len}, &ref);
        assert_true(ks_failed(r) || ref.name.len == KS_KEY_ID_LEN);
        assert_true(ks_failed(r) || !says(ref.partition, "aws") ||
                    !says(ref.region, "ap-seoul-1") || !says(ref.account, "111122223333") ||
                    !says(ref.name, UUID));
    }
    for (size_t cut = 0; cut < len; cut++) {
        KS_AUTO_FREE uint8_t *bad = ks_alloc(cut + 1, 1);
        memcpy(bad, whole, cut);
        struct ks_key_ref ref;
        assert_true(ks_failed(ks_key_ref_parse((ks_bytes){bad, cut}, &ref)));
    }
}

static void reads_principals(void **state)
{
    (void)state;
    struct ks_principal principal = {0};

    ks_result r = ks_principal_parse(KS_LITERAL("arn:aws:iam::111122223333:user/a@b"), &principal);
    assert_int_equal(r.code, KS_OK);
    assert_int_equal(principal.kind, KS_PRINCIPAL_USER);
    assert_true(says(principal.account, "111122223333"));
    assert_true(says(principal.name, "a@b"));

    r = ks_principal_parse(KS_LITERAL("arn:aws:iam::111122223333:root"), &principal);
    assert_int_equal(r.code, KS_OK);
    assert_int_equal(principal.kind, KS_PRINCIPAL_ROOT);
    assert_int_equal(principal.name.len, 0);
}

static void refuses_what_is_no_principal(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "alice",
        "arn:aws:iam::111122223333:",
        "arn:aws:iam::111122223333:user/",
        "arn:aws:iam::111122223333:user/a/b",
        "arn:aws:iam::111122223333:role/x",
        "arn:aws:iam:ap-seoul-1:111122223333:root",
        "arn:aws:kms::111122223333:root",
        "arn:aws:iam::1111:root",
        "arn:aws:iam::111122223333:rooted",
    };
    for (size_t i = 0; i < KS_COUNT(bad); i++) {
        struct ks_principal principal;
        assert_int_equal(ks_principal_parse(ks_bytes_of(bad[i]), &principal).code, KS_INVALID_ARN);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_arns_as_aws_does),
        cmocka_unit_test(has_room_for_the_longest),
        cmocka_unit_test(reads_the_four_forms_of_key_identifier),
        cmocka_unit_test(refuses_what_names_no_key),
        cmocka_unit_test(no_damage_leaves_the_same_key),
        cmocka_unit_test(reads_principals),
        cmocka_unit_test(refuses_what_is_no_principal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
