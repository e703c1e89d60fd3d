/* Each limit at min - 1, min, max and max + 1, with the texts of the real service. */
#include "pkg/operation/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/codec/utf8.h"
#include "pkg/codec/wire.h"
#include "pkg/operation/operation_fixture.h"

#define BUFFER_LEN (1U << 20)

static struct ks_refusal refusal;
static struct ks_checked checked;

static ks_code check(const char *operation, ks_bytes message)
{
    refusal = (struct ks_refusal){.code = KS_OK};
    ks_result r = ks_operation_check(fixture_operation(operation), &fixture_home, OWN, message,
                                     &checked, &refusal);
    assert_int_equal(r.code, refusal.code);
    return r.code;
}

static void put_text(struct ks_buffer *buffer, unsigned number, const char *text)
{
    assert_int_equal(ks_wire_put_bytes(number, ks_bytes_of(text), buffer).code, KS_OK);
}

static void put_number(struct ks_buffer *buffer, unsigned number, int64_t value)
{
    assert_int_equal(ks_wire_put_varint(number, (uint64_t)value, buffer).code, KS_OK);
}

/* count times c, a string that ks_free takes back. */
static char *many(char c, size_t count)
{
    char *text = ks_alloc(count + 1, 1);
    memset(text, c, count);
    return text;
}

static void put_many(struct ks_buffer *buffer, unsigned number, size_t count)
{
    KS_AUTO_FREE char *text = many('a', count);
    put_text(buffer, number, text);
}

/* A request of the operation with everything that it requires, as far as the tests need it. */
static void put_required(struct ks_buffer *buffer, const char *operation)
{
    const struct ks_operation *row = fixture_operation(operation);
    for (size_t i = 0; i < row->member_count; i++) {
        if (row->members[i].required) {
            put_text(buffer, row->members[i].field, KEY_ID);
        }
    }
}

struct length_limit {
    const char *operation;
    unsigned field;
    size_t max;
};

static const struct length_limit length_limits[] = {
    {"CreateKey", 1, 32768},  {"CreateKey", 2, 8192}, {"ListKeys", 2, 1024},
    {"ListAliases", 3, 1024}, {"CreateKey", 100, 64},
};

static void keeps_the_lengths_of_texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < KS_COUNT(length_limits); i++) {
        const struct length_limit *limit = &length_limits[i];
        for (size_t len = limit->max; len <= limit->max + 1; len++) {
            KS_BUFFER_AUTO buffer = {.len_max = BUFFER_LEN};
            put_required(&buffer, limit->operation);
            put_many(&buffer, limit->field, len);

            ks_code code = check(limit->operation, ks_buffer_bytes(&buffer));

            assert_int_equal(code, len <= limit->max ? KS_OK : KS_VALIDATION);
        }
    }
}

/* Characters count, not bytes: 8,192 characters of three bytes each are a description. */
static void counts_characters(void **state)
{
    (void)state;
    for (size_t count = 8192; count <= 8193; count++) {
        KS_BUFFER_AUTO buffer = {.len_max = BUFFER_LEN};
        KS_BUFFER_AUTO text = {.len_max = BUFFER_LEN};
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(ks_buffer_append(&text, KS_LITERAL("\xe2\x82\xac")).code, KS_OK);
        }
        assert_int_equal(ks_wire_put_bytes(2, ks_buffer_bytes(&text), &buffer).code, KS_OK);

        assert_int_equal(check("CreateKey", ks_buffer_bytes(&buffer)),
                         count == 8192 ? KS_OK : KS_VALIDATION);
    }
}

static ks_code encrypt_plaintext(size_t len)
{
    KS_BUFFER_AUTO buffer = {.len_max = BUFFER_LEN};
    put_text(&buffer, 1, KEY_ID);
    put_many(&buffer, 2, len);
    return check("Encrypt", ks_buffer_bytes(&buffer));
}

static void keeps_the_length_of_a_plaintext_and_never_repeats_it(void **state)
{
    (void)state;
    assert_int_equal(encrypt_plaintext(1), KS_OK);
    assert_int_equal(encrypt_plaintext(4096), KS_OK);
    assert_int_equal(encrypt_plaintext(4097), KS_VALIDATION);
    assert_string_equal(refusal.text,
                        "1 validation error detected: Value at 'plaintext' failed to satisfy "
                        "constraint: Member must have length less than or equal to 4096");
    assert_int_equal(refusal.violation_count, 1);
    assert_string_equal(refusal.violations[0].field, "plaintext");
    assert_int_equal(encrypt_plaintext(0), KS_VALIDATION);
    assert_string_equal(refusal.text,
                        "1 validation error detected: Value at 'plaintext' failed to satisfy "
                        "constraint: Member must have length greater than or equal to 1");
}

static void refuses_a_plaintext_that_is_not_there(void **state)
{
    (void)state;
    KS_BUFFER_AUTO buffer = {.len_max = BUFFER_LEN};
    put_text(&buffer, 1, KEY_ID);

    assert_int_equal(check("Encrypt", ks_buffer_bytes(&buffer)), KS_VALIDATION);
    assert_string_equal(refusal.text, "1 validation error detected: Value null at 'plaintext' "
                                      "failed to satisfy constraint: Member must not be null");
}

/* AWS tells all constraints that are violated at once. */
static void tells_all_violations_together(void **state)
{
    (void)state;
    KS_BUFFER_AUTO buffer = {.len_max = BUFFER_LEN};
    put_text(&buffer, 1, "");
    put_text(&buffer, 2, "");
    put_text(&buffer, 4, "");

    assert_int_equal(check("Encrypt", (ks_bytes){0}), KS_VALIDATION);
    assert_string_equal(refusal.text,
                        "2 validation errors detected: Value null at 'keyId' failed to satisfy "
                        "constraint: Member must not be null; Value null at 'plaintext' failed to "
                        "satisfy constraint: Member must not be null");
    assert_int_equal(refusal.violation_count, 2);
    assert_string_equal(refusal.violations[1].field, "plaintext");
    assert_memory_equal(refusal.text + refusal.violations[1].at, "Value null at 'plaintext'", 25);
    assert_int_equal(check("Encrypt", ks_buffer_bytes(&buffer)), KS_VALIDATION);
    assert_non_null(strstr(refusal.text, "3 validation errors detected: Value '' at 'keyId'"));
    assert_non_null(strstr(refusal.text, "at 'grantTokens.1.member' failed"));
}

/* Two sentences of a list, and both members that are missing; the others are counted. */
static void a_list_leaves_room_for_other_members(void **state)
{
    (void)state;
    KS_BUFFER_AUTO buffer = {.len_max = BUFFER_LEN};
    for (int i = 0; i < 11; i++) {
        put_text(&buffer, 4, "");
    }

    assert_int_equal(check("Encrypt", ks_buffer_bytes(&buffer)), KS_VALIDATION);
    assert_memory_equal(refusal.text, "14 validation errors detected: ", 31);
    assert_non_null(strstr(refusal.text, "at 'grantTokens.2.member' failed"));
    assert_null(strstr(refusal.text, "at 'grantTokens.3.member' failed"));
    assert_non_null(strstr(refusal.text, "Value null at 'keyId'"));
    assert_non_null(strstr(refusal.text, "Value null at 'plaintext' failed to satisfy constraint: "
                                         "Member must not be null; and 10 more"));
    assert_int_equal(refusal.violation_count, 4);
}

/* A sentence that does not fit is counted and not told: none is cut. */
static void tells_whole_sentences(void **state)
{
    (void)state;
    KS_BUFFER_AUTO buffer = {.len_max = BUFFER_LEN};
    put_text(&buffer, 1, "");
    put_many(&buffer, 2, 8193);
    for (unsigned member = 3; member <= 5; member++) {
        assert_int_equal(ks_wire_put_varint(member, 9999, &buffer).code, KS_OK);
    }
    put_text(&buffer, 100, "no blanks");

    assert_int_equal(check("CreateKey", ks_buffer_bytes(&buffer)), KS_VALIDATION);
    assert_memory_equal(refusal.text, "6 validation errors detected: ", 30);
    assert_non_null(strstr(refusal.text, " more"));
    for (size_t i = 0; i < refusal.violation_count; i++) {
        const struct ks_refusal_violation *told = &refusal.violations[i];
        assert_memory_equal(refusal.text + told->at, "Value", 5);
        assert_memory_equal(refusal.text + told->at + told->len, "; ", 2);
    }
}

/* An absent description is not an empty one, which is how a description is taken away. */
static void an_absent_text_is_not_an_empty_one(void **state)
{
    (void)state;
    KS_BUFFER_AUTO buffer = {.len_max = BUFFER_LEN};
    put_text(&buffer, 1, KEY_ID);

    assert_int_equal(check("UpdateKeyDescription", ks_buffer_bytes(&buffer)), KS_VALIDATION);
    assert_string_equal(refusal.text, "1 validation error detected: Value null at 'description' "
                                      "failed to satisfy constraint: Member must not be null");
    put_text(&buffer, 2, "");
    assert_int_equal(check("UpdateKeyDescription", ks_buffer_bytes(&buffer)), KS_OK);
}

struct presence {
    const char *operation;
    unsigned field;
};

/* Members that AWS gives a minimum length: an empty one is refused, an absent one is fine. */
static const struct presence presences[] = {
    {"CreateKey", 1},
    {"ListKeys", 2},
    {"ListAliases", 1},
    {"ListAliases", 3},
};

static void refuses_an_empty_text_where_there_is_a_minimum(void **state)
{
    (void)state;
    for (size_t i = 0; i < KS_COUNT(presences); i++) {
        KS_BUFFER_AUTO buffer = {.len_max = BUFFER_LEN};
        assert_int_equal(check(presences[i].operation, (ks_bytes){0}), KS_OK);
        put_text(&buffer, presences[i].field, "");
        assert_int_equal(check(presences[i].operation, ks_buffer_bytes(&buffer)), KS_VALIDATION);
        assert_non_null(strstr(refusal.text, "greater than or equal to 1"));
    }
}

static void keeps_the_length_of_a_blob(void **state)
{
    (void)state;
    for (size_t len = 6144; len <= 6145; len++) {
        KS_BUFFER_AUTO buffer = {.len_max = BUFFER_LEN};
        put_many(&buffer, 1, len);
        assert_int_equal(check("Decrypt", ks_buffer_bytes(&buffer)),
                         len == 6144 ? KS_INVALID_CIPHERTEXT : KS_VALIDATION);
    }
}

struct number_limit {
    const char *operation;
    unsigned field;
    int32_t min;
    int32_t max;
};

static const struct number_limit number_limits[] = {
    {"ListKeys", 1, 1, 1000},          {"ListAliases", 2, 1, 100},
    {"ScheduleKeyDeletion", 2, 7, 30}, {"GenerateDataKey", 3, 1, 1024},
    {"GenerateRandom", 1, 1, 1024},
};

static void keeps_the_bounds_of_numbers(void **state)
{
    (void)state;
    for (size_t i = 0; i < KS_COUNT(number_limits); i++) {
        const struct number_limit *limit = &number_limits[i];
        int64_t values[] = {limit->min - 1, limit->min, limit->max, limit->max + 1, -1, INT32_MIN};
        for (size_t v = 0; v < KS_COUNT(values); v++) {
            KS_BUFFER_AUTO buffer = {.len_max = BUFFER_LEN};
            put_required(&buffer, limit->operation);
            put_number(&buffer, limit->field, values[v]);
            bool good = values[v] >= limit->min && values[v] <= limit->max;

            assert_int_equal(check(limit->operation, ks_buffer_bytes(&buffer)),
                             good ? KS_OK : KS_VALIDATION);
        }
    }
}

static void says_of_the_pending_window_what_aws_says(void **state)
{
    (void)state;
    KS_BUFFER_AUTO buffer = {.len_max = BUFFER_LEN};
    put_text(&buffer, 1, KEY_ID);
    put_number(&buffer, 2, 5);

    assert_int_equal(check("ScheduleKeyDeletion", ks_buffer_bytes(&buffer)), KS_VALIDATION);
    assert_string_equal(refusal.text, "PendingWindowInDays must be between 7 and 30 days.");
}

static void says_of_numbers_what_aws_says(void **state)
{
    (void)state;
    KS_BUFFER_AUTO zero = {.len_max = BUFFER_LEN};
    put_number(&zero, 1, 0);
    KS_BUFFER_AUTO over = {.len_max = BUFFER_LEN};
    put_number(&over, 1, 1025);

    (void)check("GenerateRandom", ks_buffer_bytes(&zero));
    assert_string_equal(refusal.text,
                        "1 validation error detected: Value '0' at 'numberOfBytes' failed to "
                        "satisfy constraint: Member must have value greater than or equal to 1");
    (void)check("GenerateRandom", ks_buffer_bytes(&over));
    assert_string_equal(refusal.text,
                        "1 validation error detected: Value '1025' at 'numberOfBytes' failed to "
                        "satisfy constraint: Member must have value less than or equal to 1024");
}

static void needs_a_number_of_random_bytes(void **state)
{
    (void)state;
    assert_int_equal(check("GenerateRandom", (ks_bytes){0}), KS_VALIDATION);
    assert_string_equal(refusal.text, "NumberOfBytes is required.");
}

static void needs_exactly_one_length_of_a_data_key(void **state)
{
    (void)state;
    for (int both = 0; both < 4; both++) {
        KS_BUFFER_AUTO buffer = {.len_max = BUFFER_LEN};
        put_required(&buffer, "GenerateDataKey");
        if (both & 1) {
            put_number(&buffer, 3, 32);
        }
        if (both & 2) {
            put_number(&buffer, 4, 1);
        }
        assert_int_equal(check("GenerateDataKey", ks_buffer_bytes(&buffer)),
                         both == 1 || both == 2 ? KS_OK : KS_VALIDATION);
    }
    assert_string_equal(refusal.text, "Please specify either number of bytes or key spec.");
}

static void takes_only_the_values_of_an_enum(void **state)
{
    (void)state;
    for (int64_t value = -1; value <= 3; value++) {
        KS_BUFFER_AUTO buffer = {.len_max = BUFFER_LEN};
        put_required(&buffer, "GenerateDataKey");
        put_number(&buffer, 4, value);
        assert_int_equal(check("GenerateDataKey", ks_buffer_bytes(&buffer)),
                         value >= 1 && value <= 2 ? KS_OK : KS_VALIDATION);
        if (value == 0) { /* nothing was given, as protobuf reads 2^32, too */
            KS_BUFFER_AUTO wide = {.len_max = BUFFER_LEN};
            put_required(&wide, "GenerateDataKey");
            put_number(&wide, 4, INT64_C(1) << 32);
            assert_int_equal(check("GenerateDataKey", ks_buffer_bytes(&wide)), KS_VALIDATION);
            assert_string_equal(refusal.text, "Please specify either number of bytes or key spec.");
        }
    }
    assert_string_equal(refusal.text,
                        "1 validation error detected: Value '3' at 'keySpec' failed to satisfy "
                        "constraint: Member must satisfy enum value set: [AES_256, AES_128]");
}

struct key_form {
    const char *text;
    ks_code any; /* where aliases are allowed */
    ks_code key; /* where they are not */
    const char *says;
};

static const struct key_form key_forms[] = {
    {KEY_ID, KS_OK, KS_OK, NULL},
    {OWN_KEY, KS_OK, KS_OK, NULL},
    {OTHER_KEY, KS_OK, KS_OK, NULL}, /* denied later, absent or not */
    {"alias/x", KS_OK, KS_NOT_FOUND, "Invalid keyId 'alias/x'"},
    {ARN_OF(OWN, "ap-seoul-1", "alias/x"), KS_OK, KS_INVALID_ARN, NULL},
    {"fake-key-id", KS_NOT_FOUND, KS_NOT_FOUND, "Invalid keyId 'fake-key-id'"},
    {"arn:aws:kms:x", KS_INVALID_ARN, KS_INVALID_ARN, NULL},
    {ARN_OF(OWN, "us-oregon-1", "key/" KEY_ID), KS_NOT_FOUND, KS_NOT_FOUND,
     "Invalid arn us-oregon-1"},
    {ARN_OF(OTHER, "us-oregon-1", "key/" KEY_ID), KS_OK, KS_OK, NULL},
    {"arn:aws-cn:kms:ap-seoul-1:" OWN ":key/" KEY_ID, KS_INVALID_ARN, KS_INVALID_ARN, NULL},
};

static void takes_the_forms_of_key_identifier_where_they_are_allowed(void **state)
{
    (void)state;
    for (size_t i = 0; i < KS_COUNT(key_forms); i++) {
        KS_BUFFER_AUTO buffer = {.len_max = BUFFER_LEN};
        put_text(&buffer, 1, key_forms[i].text);

        assert_int_equal(check("DescribeKey", ks_buffer_bytes(&buffer)), key_forms[i].any);
        assert_int_equal(check("EnableKey", ks_buffer_bytes(&buffer)), key_forms[i].key);
        if (key_forms[i].says) {
            assert_string_equal(refusal.text, key_forms[i].says);
        }
    }
}

static void needs_a_key_identifier_of_a_length(void **state)
{
    (void)state;
    KS_BUFFER_AUTO empty = {.len_max = BUFFER_LEN};
    put_text(&empty, 1, "");
    KS_BUFFER_AUTO edge = {.len_max = BUFFER_LEN};
    put_many(&edge, 1, 2048);
    KS_BUFFER_AUTO over = {.len_max = BUFFER_LEN};
    put_many(&over, 1, 2049);

    assert_int_equal(check("EnableKey", (ks_bytes){0}), KS_VALIDATION);
    assert_string_equal(refusal.text, "1 validation error detected: Value null at 'keyId' failed "
                                      "to satisfy constraint: Member must not be null");
    assert_int_equal(check("EnableKey", ks_buffer_bytes(&empty)), KS_VALIDATION);
    assert_int_equal(check("EnableKey", ks_buffer_bytes(&edge)), KS_NOT_FOUND);
    assert_int_equal(check("EnableKey", ks_buffer_bytes(&over)), KS_VALIDATION);
}

struct alias_form {
    const char *name;
    ks_code make; /* by CreateAlias */
    ks_code use;  /* by DeleteAlias */
};

static const struct alias_form alias_forms[] = {
    {"alias/a", KS_OK, KS_OK},
    {"alias/", KS_INVALID_ALIAS_NAME, KS_NOT_FOUND},
    {"alias/a b", KS_VALIDATION, KS_VALIDATION},
    {"alias/a!", KS_VALIDATION, KS_VALIDATION},
    {"alias/a:b", KS_INVALID_ALIAS_NAME, KS_NOT_FOUND},
    {"alias/aws/s3", KS_INVALID_ALIAS_NAME, KS_OK},
    {"main", KS_VALIDATION, KS_VALIDATION},
};

static void takes_alias_names_only(void **state)
{
    (void)state;
    for (size_t i = 0; i < KS_COUNT(alias_forms); i++) {
        KS_BUFFER_AUTO buffer = {.len_max = BUFFER_LEN};
        put_text(&buffer, 1, alias_forms[i].name);
        assert_int_equal(check("DeleteAlias", ks_buffer_bytes(&buffer)), alias_forms[i].use);
        put_text(&buffer, 2, KEY_ID);
        assert_int_equal(check("CreateAlias", ks_buffer_bytes(&buffer)), alias_forms[i].make);
    }
    assert_string_equal(refusal.text,
                        "Alias must start with the prefix \"alias/\". Please see "
                        "https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html");
}

static void says_of_aliases_what_aws_says(void **state)
{
    (void)state;
    static const struct {
        const char *alias;
        const char *key;
        const char *says;
    } rows[] = {
        {"alias/my-alias!", KEY_ID,
         "1 validation error detected: Value 'alias/my-alias!' at 'aliasName' failed to satisfy "
         "constraint: Member must satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$"},
        {"alias/my:alias", KEY_ID, "alias/my:alias contains invalid characters for an alias"},
        {"alias/a", "alias/b", "Aliases must refer to keys. Not aliases"},
        {"alias/a", ARN_OF(OWN, "ap-seoul-1", "alias/b"),
         "Aliases must refer to keys. Not aliases"},
    };
    for (size_t i = 0; i < KS_COUNT(rows); i++) {
        KS_BUFFER_AUTO buffer = {.len_max = BUFFER_LEN};
        put_text(&buffer, 1, rows[i].alias);
        put_text(&buffer, 2, rows[i].key);
        (void)check("CreateAlias", ks_buffer_bytes(&buffer));
        assert_string_equal(refusal.text, rows[i].says);
    }
}

static void put_pair(struct ks_buffer *buffer, unsigned field, const char *key, const char *value)
{
    KS_BUFFER_AUTO pair = {.len_max = BUFFER_LEN};
    put_text(&pair, 1, key);
    put_text(&pair, 2, value);
    assert_int_equal(ks_wire_put_bytes(field, ks_buffer_bytes(&pair), buffer).code, KS_OK);
}

static ks_code create_with_tag(size_t key_len, size_t value_len)
{
    KS_BUFFER_AUTO buffer = {.len_max = BUFFER_LEN};
    KS_AUTO_FREE char *key = many('k', key_len);
    KS_AUTO_FREE char *value = many('v', value_len);
    put_pair(&buffer, 7, key, value);
    return check("CreateKey", ks_buffer_bytes(&buffer));
}

static void keeps_the_lengths_of_tags(void **state)
{
    (void)state;
    assert_int_equal(create_with_tag(1, 0), KS_OK);
    assert_int_equal(create_with_tag(128, 256), KS_OK);
    assert_int_equal(create_with_tag(0, 1), KS_VALIDATION);
    assert_int_equal(create_with_tag(129, 1), KS_VALIDATION);
    assert_non_null(strstr(refusal.text, "kkk' at 'tags.1.member.tagKey' failed to satisfy "
                                         "constraint: Member must have length less than or equal "
                                         "to 128"));
    assert_int_equal(create_with_tag(1, 257), KS_VALIDATION);
    assert_non_null(strstr(refusal.text, "vvv' at 'tags.1.member.tagValue' failed to satisfy "
                                         "constraint: Member must have length less than or equal "
                                         "to 256"));
}

static ks_code create_with_tags(size_t count)
{
    KS_BUFFER_AUTO buffer = {.len_max = BUFFER_LEN};
    for (size_t i = 0; i < count; i++) {
        char key[24];
        (void)snprintf(key, sizeof(key), "k%zu", i);
        put_pair(&buffer, 7, key, "v");
    }
    return check("CreateKey", ks_buffer_bytes(&buffer));
}

static void takes_fifty_tags_with_different_keys(void **state)
{
    (void)state;
    KS_BUFFER_AUTO twice = {.len_max = BUFFER_LEN};
    put_pair(&twice, 7, "a", "1");
    put_pair(&twice, 7, "a", "2");
    KS_BUFFER_AUTO reserved = {.len_max = BUFFER_LEN};
    put_pair(&reserved, 7, "aWs:x", "1");
    KS_BUFFER_AUTO unicode = {.len_max = BUFFER_LEN};
    put_pair(&unicode, 7, "\xea\xb0\x92 \xc3\xa9", "\xe2\x82\xac");

    assert_int_equal(create_with_tags(50), KS_OK);
    assert_int_equal(create_with_tags(51), KS_TAG);
    assert_string_equal(refusal.text, "Too many tags");
    assert_int_equal(check("CreateKey", ks_buffer_bytes(&twice)), KS_TAG);
    assert_string_equal(refusal.text, "Duplicate tag keys");
    assert_int_equal(check("CreateKey", ks_buffer_bytes(&reserved)), KS_TAG);
    assert_string_equal(refusal.text, "Tags beginning with aws: are reserved");
    assert_int_equal(check("CreateKey", ks_buffer_bytes(&unicode)), KS_OK);
}

/* They would reach an operator's terminal: C0, DEL, and C1, which takes two bytes in UTF-8. */
static void refuses_control_characters_in_tags(void **state)
{
    (void)state;
    static const char *const controls[] = {"\x1b[31m", "a\n", "\x7f", "\302\23331m"};
    for (size_t i = 0; i < KS_COUNT(controls); i++) {
        KS_BUFFER_AUTO key = {.len_max = BUFFER_LEN};
        put_pair(&key, 7, controls[i], "1");
        KS_BUFFER_AUTO value = {.len_max = BUFFER_LEN};
        put_pair(&value, 7, "a", controls[i]);
        assert_int_equal(check("CreateKey", ks_buffer_bytes(&key)), KS_TAG);
        assert_int_equal(check("CreateKey", ks_buffer_bytes(&value)), KS_TAG);
    }
}

/* A tag's value may be empty, and must be there. */
static void refuses_a_tag_without_a_value(void **state)
{
    (void)state;
    KS_BUFFER_AUTO tag = {.len_max = BUFFER_LEN};
    put_text(&tag, 1, "a");
    KS_BUFFER_AUTO buffer = {.len_max = BUFFER_LEN};
    assert_int_equal(ks_wire_put_bytes(7, ks_buffer_bytes(&tag), &buffer).code, KS_OK);

    assert_int_equal(check("CreateKey", ks_buffer_bytes(&buffer)), KS_VALIDATION);
    assert_string_equal(refusal.text,
                        "1 validation error detected: Value null at 'tags.1.member.tagValue' "
                        "failed to satisfy constraint: Member must not be null");
}

/* Unknown fields are passed over, and cannot make a request longer than what a keystore takes. */
static void bounds_a_request_with_its_unknown_fields(void **state)
{
    (void)state;
    for (size_t over = 0; over <= 1; over++) {
        KS_BUFFER_AUTO buffer = {.len_max = BUFFER_LEN};
        put_text(&buffer, 1, KEY_ID);
        put_text(&buffer, 2, "x");
        size_t head_len = ks_wire_head_len(5000, KS_REQUEST_LEN_MAX / 2);
        put_many(&buffer, 5000, KS_REQUEST_LEN_MAX / 2);
        put_many(&buffer, 5000, KS_REQUEST_LEN_MAX - buffer.len - head_len + over);

        assert_int_equal(buffer.len, KS_REQUEST_LEN_MAX + over);
        assert_int_equal(check("Encrypt", ks_buffer_bytes(&buffer)), over ? KS_VALIDATION : KS_OK);
    }
    assert_string_equal(refusal.text, "The request has 524289 bytes; it must have at most 524288.");
}

static ks_code encrypt_with_pairs(size_t count, size_t value_len)
{
    KS_BUFFER_AUTO buffer = {.len_max = BUFFER_LEN};
    KS_AUTO_FREE char *value = many('v', value_len);
    put_required(&buffer, "Encrypt");
    for (size_t i = 0; i < count; i++) {
        char key[24];
        (void)snprintf(key, sizeof(key), "k%zu", i);
        put_pair(&buffer, 3, key, value);
    }
    return check("Encrypt", ks_buffer_bytes(&buffer));
}

static void keeps_the_limits_of_an_encryption_context(void **state)
{
    (void)state;
    KS_BUFFER_AUTO twice = {.len_max = BUFFER_LEN};
    put_required(&twice, "Encrypt");
    put_pair(&twice, 3, "a", "1");
    put_pair(&twice, 3, "a", "1");

    assert_int_equal(encrypt_with_pairs(128, 1), KS_OK);
    assert_int_equal(encrypt_with_pairs(129, 1), KS_VALIDATION);
    assert_int_equal(encrypt_with_pairs(1, 2048), KS_OK);
    assert_int_equal(encrypt_with_pairs(1, 2049), KS_VALIDATION);
    assert_int_equal(encrypt_with_pairs(4, 2048), KS_VALIDATION); /* 8,192 bytes in all */
    assert_int_equal(check("Encrypt", ks_buffer_bytes(&twice)), KS_VALIDATION);
}

static ks_code encrypt_with_tokens(size_t count, size_t len)
{
    KS_BUFFER_AUTO buffer = {.len_max = BUFFER_LEN};
    put_required(&buffer, "Encrypt");
    for (size_t i = 0; i < count; i++) {
        put_many(&buffer, 4, len);
    }
    return check("Encrypt", ks_buffer_bytes(&buffer));
}

static void takes_ten_grant_tokens(void **state)
{
    (void)state;
    assert_int_equal(encrypt_with_tokens(10, 8192), KS_OK);
    assert_int_equal(encrypt_with_tokens(11, 1), KS_VALIDATION);
    assert_int_equal(encrypt_with_tokens(1, 8193), KS_VALIDATION);
    assert_int_equal(encrypt_with_tokens(1, 0), KS_VALIDATION);
}

static void takes_request_ids_of_plain_characters(void **state)
{
    (void)state;
    for (unsigned c = 1; c < 128; c++) {
        KS_BUFFER_AUTO buffer = {.len_max = BUFFER_LEN};
        char id[] = {(char)c, 0};
        put_text(&buffer, 100, id);
        bool good = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                    strchr("_.:-", (int)c);
        assert_int_equal(check("CreateKey", ks_buffer_bytes(&buffer)),
                         good ? KS_OK : KS_VALIDATION);
    }
}

static void names_the_member_that_is_malformed_on_the_wire(void **state)
{
    (void)state;
    assert_int_equal(check("Encrypt", KS_LITERAL("\x0a\x02\xc3\x28")), KS_VALIDATION);
    assert_string_equal(refusal.text, "keyId must be UTF-8 text without NUL");
    assert_string_equal(refusal.violations[0].field, "keyId");
    assert_int_equal(check("CreateKey", KS_LITERAL("\x3a\x04\x0a\x02\xc3\x28")), KS_VALIDATION);
    assert_string_equal(refusal.text, "tagKey must be UTF-8 text without NUL");
    assert_int_equal(check("Encrypt", KS_LITERAL("\x1a\x04\x0a\x02\xc3\x28")), KS_VALIDATION);
    assert_string_equal(refusal.text, "key must be UTF-8 text without NUL");
    assert_int_equal(check("Encrypt", KS_LITERAL("\x0a")), KS_VALIDATION);
    assert_string_equal(refusal.text, "the message is cut short or malformed");
}

/* A value that is cut for the text is cut between characters: a text must stay UTF-8. */
static void cuts_values_between_characters(void **state)
{
    (void)state;
    for (size_t shift = 0; shift < 3; shift++) {
        KS_BUFFER_AUTO buffer = {.len_max = BUFFER_LEN};
        KS_BUFFER_AUTO text = {.len_max = BUFFER_LEN};
        assert_int_equal(ks_buffer_append(&text, (ks_bytes){(const uint8_t *)"ab", shift}).code,
                         KS_OK);
        for (size_t i = 0; i < 1000; i++) {
            assert_int_equal(ks_buffer_append(&text, KS_LITERAL("\xe2\x82\xac")).code, KS_OK);
        }
        assert_int_equal(ks_wire_put_bytes(1, ks_buffer_bytes(&text), &buffer).code, KS_OK);

        (void)check("DescribeKey", ks_buffer_bytes(&buffer));

        assert_true(refusal.text[0] != 0);
        assert_true(ks_utf8_is_text(ks_bytes_of(refusal.text)));
    }
}

static ks_code entries_of(size_t count, ks_bytes *entries, size_t *ret_count)
{
    KS_BUFFER_AUTO message = {.len_max = BUFFER_LEN};
    refusal = (struct ks_refusal){.code = KS_OK};
    for (size_t i = 0; i < count; i++) {
        ks_bytes entry = {(const uint8_t *)"abc", i % 4};
        assert_int_equal(ks_wire_put_bytes(1, entry, &message).code, KS_OK);
    }
    /* Unknown fields are passed over. */
    assert_int_equal(ks_wire_put_varint(50, 7, &message).code, KS_OK);
    ks_result r = ks_operation_entries(fixture_operation("EncryptBatch"), ks_buffer_bytes(&message),
                                       entries, ret_count, &refusal);
    assert_int_equal(refusal.code, r.code);
    return r.code;
}

static void takes_one_to_a_hundred_entries(void **state)
{
    (void)state;
    ks_bytes entries[KS_BATCH_ITEMS_MAX];
    size_t count = 0;

    assert_int_equal(entries_of(0, entries, &count), KS_VALIDATION);
    assert_int_equal(entries_of(101, entries, &count), KS_VALIDATION);
    assert_string_equal(refusal.text, "1 validation error detected: Value at 'entries' failed to "
                                      "satisfy constraint: Member must have length less than or "
                                      "equal to 100");
    assert_int_equal(entries_of(1, entries, &count), KS_OK);
    assert_int_equal(count, 1);
    assert_int_equal(entries_of(100, entries, &count), KS_OK);
    assert_int_equal(count, 100);
    assert_int_equal(entries[99].len, 3);
}

/* No more unknown fields than anywhere else: they cost time and say nothing. */
static void refuses_a_batch_of_unknown_fields(void **state)
{
    (void)state;
    KS_BUFFER_AUTO message = {.len_max = BUFFER_LEN};
    ks_bytes entries[KS_BATCH_ITEMS_MAX];
    size_t count = 0;
    assert_int_equal(ks_wire_put_bytes(1, KS_LITERAL("abc"), &message).code, KS_OK);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(ks_wire_put_varint(50, 7, &message).code, KS_OK);
    }
    refusal = (struct ks_refusal){.code = KS_OK};

    ks_result r = ks_operation_entries(fixture_operation("EncryptBatch"), ks_buffer_bytes(&message),
                                       entries, &count, &refusal);

    assert_int_equal(r.code, KS_VALIDATION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_the_lengths_of_texts),
        cmocka_unit_test(counts_characters),
        cmocka_unit_test(keeps_the_length_of_a_plaintext_and_never_repeats_it),
        cmocka_unit_test(refuses_a_plaintext_that_is_not_there),
        cmocka_unit_test(tells_all_violations_together),
        cmocka_unit_test(a_list_leaves_room_for_other_members),
        cmocka_unit_test(tells_whole_sentences),
        cmocka_unit_test(an_absent_text_is_not_an_empty_one),
        cmocka_unit_test(refuses_an_empty_text_where_there_is_a_minimum),
        cmocka_unit_test(keeps_the_length_of_a_blob),
        cmocka_unit_test(keeps_the_bounds_of_numbers),
        cmocka_unit_test(says_of_the_pending_window_what_aws_says),
        cmocka_unit_test(says_of_numbers_what_aws_says),
        cmocka_unit_test(needs_a_number_of_random_bytes),
        cmocka_unit_test(needs_exactly_one_length_of_a_data_key),
        cmocka_unit_test(takes_only_the_values_of_an_enum),
        cmocka_unit_test(takes_the_forms_of_key_identifier_where_they_are_allowed),
        cmocka_unit_test(needs_a_key_identifier_of_a_length),
        cmocka_unit_test(takes_alias_names_only),
        cmocka_unit_test(says_of_aliases_what_aws_says),
        cmocka_unit_test(keeps_the_lengths_of_tags),
        cmocka_unit_test(takes_fifty_tags_with_different_keys),
        cmocka_unit_test(refuses_control_characters_in_tags),
        cmocka_unit_test(refuses_a_tag_without_a_value),
        cmocka_unit_test(bounds_a_request_with_its_unknown_fields),
        cmocka_unit_test(keeps_the_limits_of_an_encryption_context),
        cmocka_unit_test(takes_ten_grant_tokens),
        cmocka_unit_test(takes_request_ids_of_plain_characters),
        cmocka_unit_test(names_the_member_that_is_malformed_on_the_wire),
        cmocka_unit_test(cuts_values_between_characters),
        cmocka_unit_test(takes_one_to_a_hundred_entries),
        cmocka_unit_test(refuses_a_batch_of_unknown_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
