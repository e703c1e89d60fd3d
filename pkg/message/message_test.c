/* names, value and members together: they are one way from a message to JSON. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "keystead/admin/v1/admin.pb-c.h"
#include "keystead/internal/v1/internal.pb-c.h"
#include "keystead/kms/v1/kms.pb-c.h"
#include "pkg/base/mem.h"
#include "pkg/json/json.h"
#include "pkg/message/members.h"
#include "pkg/message/names.h"
#include "pkg/message/value.h"

#define OUT_MAX 65536U

typedef Keystead__Kms__V1__KeyMetadata key_metadata;

static void put_json(const ProtobufCMessage *message, struct ks_buffer *out)
{
    struct ks_json_writer writer = {.buffer = out};
    ks_json_object(&writer, NULL);
    ks_members_write(&writer, message);
    ks_json_close(&writer);
    assert_int_equal(ks_json_end(&writer).code, KS_OK);
}

static void assert_text(const struct ks_buffer *out, const char *expected)
{
    KS_AUTO_FREE char *text = ks_bytes_dup(ks_buffer_bytes(out));
    assert_string_equal(text, expected);
}

/* ---- Names ---- */

/* AWS's names where AWS has the member, the first letter in upper case elsewhere. */
static void members_have_their_outer_names(void **state)
{
    (void)state;
    const struct {
        const char *message;
        const char *field;
        const char *name;
    } cases[] = {
        {"keystead.kms.v1.KeyMetadata", "aws_account_id", "AWSAccountId"},
        {"keystead.kms.v1.KeyMetadata", "arn", "Arn"},
        {"keystead.kms.v1.EncryptResponse", "ciphertext_blob", "CiphertextBlob"},
        {"keystead.kms.v1.EncryptResponse", "dry_run", "DryRun"},
        {"keystead.admin.v1.Account", "account_id", "AccountId"},
        {"keystead.internal.v1.GetStatusResponse", "window_left_ms", "WindowLeftMs"},
        {"unknown.Message", "some_field", "some_field"},
    };
    for (size_t i = 0; i < KS_COUNT(cases); i++) {
        assert_string_equal(ks_member_name_of(cases[i].message, cases[i].field), cases[i].name);
    }
}

/* The search in the table rests on it. */
static void the_table_of_members_is_sorted(void **state)
{
    (void)state;
    for (size_t i = 1; i < ks_member_name_count; i++) {
        const struct ks_member_name *row = &ks_member_names[i];
        const struct ks_member_name *before = row - 1;
        int order = strcmp(before->message, row->message);
        assert_true(order < 0 || (order == 0 && strcmp(before->field, row->field) < 0));
    }
}

static void values_have_awss_words(void **state)
{
    (void)state;
    static const char state_type[] = "keystead.kms.v1.KeyState";
    int number = 7;
    assert_string_equal(ks_value_name_of(state_type, 3), "PendingDeletion");
    assert_string_equal(ks_value_name_of("keystead.kms.v1.KeySpec", 1), "SYMMETRIC_DEFAULT");
    assert_string_equal(ks_value_name_of("keystead.kms.v1.Origin", 1), "AWS_KMS");
    assert_null(ks_value_name_of(state_type, 0));
    assert_null(ks_value_name_of(state_type, 99));

    assert_true(ks_value_of_name("keystead.kms.v1.DataKeySpec", "aes_256", &number));
    assert_int_equal(number, 1);
    assert_false(ks_value_of_name("keystead.kms.v1.DataKeySpec", "UNSPECIFIED", &number));
    assert_int_equal(number, 1);
}

/* ---- Values ---- */

static void times_are_iso_8601(void **state)
{
    (void)state;
    const struct {
        int64_t seconds;
        int32_t nanos;
        const char *text;
    } cases[] = {
        {0, 0, "1970-01-01T00:00:00.000Z"},
        {1767225600, 250999999, "2026-01-01T00:00:00.250Z"},
        {-1, 999000000, "1969-12-31T23:59:59.999Z"},
        {1, -1, ""},
        {1, 1000000000, ""},
        {INT64_MAX, 0, ""},
    };
    for (size_t i = 0; i < KS_COUNT(cases); i++) {
        char text[KS_TIME_TEXT_LEN];
        ks_time_text(cases[i].seconds, cases[i].nanos, text);
        assert_string_equal(text, cases[i].text);
    }
}

/* ---- JSON ---- */

static void nested_messages_lists_and_times_become_json(void **state)
{
    (void)state;
    Keystead__Kms__V1__CreateKeyResponse response = KEYSTEAD__KMS__V1__CREATE_KEY_RESPONSE__INIT;
    key_metadata key = KEYSTEAD__KMS__V1__KEY_METADATA__INIT;
    Google__Protobuf__Timestamp made = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    Keystead__Kms__V1__EncryptionAlgorithm algorithms[] = {
        KEYSTEAD__KMS__V1__ENCRYPTION_ALGORITHM__ENCRYPTION_ALGORITHM_SYMMETRIC_DEFAULT};
    KS_BUFFER_AUTO out = {.len_max = OUT_MAX};
    made.seconds = 1767225600;
    key.key_id = (char *)(uintptr_t) "k\x1b";
    key.creation_date = &made;
    key.n_encryption_algorithms = 1;
    key.encryption_algorithms = algorithms;
    response.key_metadata = &key;

    put_json(&response.base, &out);

    assert_text(&out, "{\"KeyMetadata\":{\"KeyId\":\"k\\u001b\","
                      "\"CreationDate\":\"2026-01-01T00:00:00.000Z\",\"Enabled\":false,"
                      "\"EncryptionAlgorithms\":[\"SYMMETRIC_DEFAULT\"],\"MultiRegion\":false}}");
}

/* What is set is printed; of what is not, only what AWS prints: booleans, numbers, lists. */
static void absent_members_are_left_out(void **state)
{
    (void)state;
    Keystead__Kms__V1__EncryptResponse empty = KEYSTEAD__KMS__V1__ENCRYPT_RESPONSE__INIT;
    Keystead__Kms__V1__ListKeysResponse none = KEYSTEAD__KMS__V1__LIST_KEYS_RESPONSE__INIT;
    KS_BUFFER_AUTO first = {.len_max = OUT_MAX};
    KS_BUFFER_AUTO second = {.len_max = OUT_MAX};
    KS_BUFFER_AUTO third = {.len_max = OUT_MAX};
    put_json(&empty.base, &first);
    put_json(&none.base, &second);
    empty.dry_run = 1;
    empty.ciphertext_blob = (ProtobufCBinaryData){3, (uint8_t *)"\xff\x00\x01"};
    put_json(&empty.base, &third);

    assert_text(&first, "{}");
    assert_text(&second, "{\"Keys\":[],\"Truncated\":false}");
    assert_text(&third, "{\"CiphertextBlob\":\"/wAB\",\"DryRun\":true}");
}

/* A member that says whether it is there is printed with an empty text, too. */
static void an_empty_text_that_is_there_is_printed(void **state)
{
    (void)state;
    Keystead__Kms__V1__Tag tag = KEYSTEAD__KMS__V1__TAG__INIT;
    tag.tag_key = (char *)"empty";
    KS_BUFFER_AUTO absent = {.len_max = OUT_MAX};
    KS_BUFFER_AUTO empty = {.len_max = OUT_MAX};
    put_json(&tag.base, &absent);
    tag.tag_value_presence_case = KEYSTEAD__KMS__V1__TAG__TAG_VALUE_PRESENCE_TAG_VALUE;
    tag.tag_value = (char *)"";
    put_json(&tag.base, &empty);

    assert_text(&absent, "{\"TagKey\":\"empty\"}");
    assert_text(&empty, "{\"TagKey\":\"empty\",\"TagValue\":\"\"}");
}

static void lists_of_messages_and_numbers_become_arrays(void **state)
{
    (void)state;
    Keystead__Internal__V1__GetStatusResponse status =
        KEYSTEAD__INTERNAL__V1__GET_STATUS_RESPONSE__INIT;
    Keystead__Internal__V1__MemberStatus members[2];
    Keystead__Internal__V1__MemberStatus *list[] = {&members[0], &members[1]};
    uint32_t held[] = {4, 5};
    KS_BUFFER_AUTO out = {.len_max = OUT_MAX};
    for (size_t i = 0; i < 2; i++) {
        keystead__internal__v1__member_status__init(&members[i]);
        members[i].raft_term = 7 + i;
    }
    status.n_members = 2;
    status.members = list;
    status.n_generations_held = 2;
    status.generations_held = held;
    status.applied_revision = INT64_MAX;

    put_json(&status.base, &out);

    KS_AUTO_FREE char *text = ks_bytes_dup(ks_buffer_bytes(&out));
    assert_non_null(strstr(text, "\"AppliedRevision\":9223372036854775807,"));
    assert_non_null(strstr(text, "\"GenerationsHeld\":[4,5],"));
    assert_non_null(strstr(text, "\"Members\":[{\"Reachable\":false,\"Leader\":false,"
                                 "\"Revision\":0,\"DatabaseBytes\":0,\"RaftTerm\":7},{"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_have_their_outer_names),
        cmocka_unit_test(the_table_of_members_is_sorted),
        cmocka_unit_test(values_have_awss_words),
        cmocka_unit_test(times_are_iso_8601),
        cmocka_unit_test(nested_messages_lists_and_times_become_json),
        cmocka_unit_test(absent_members_are_left_out),
        cmocka_unit_test(an_empty_text_that_is_there_is_printed),
        cmocka_unit_test(lists_of_messages_and_numbers_become_arrays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
