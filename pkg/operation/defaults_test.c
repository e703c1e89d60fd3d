#include "pkg/operation/defaults.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "keystead/kms/v1/kms.pb-c.h"
#include "pkg/codec/codec.h"
#include "pkg/operation/operation_fixture.h"

#define BUFFER_LEN 4096U

static void assert_packs_alike(const ProtobufCMessage *one, const ProtobufCMessage *other)
{
    KS_BUFFER_AUTO first = {.len_max = BUFFER_LEN};
    KS_BUFFER_AUTO second = {.len_max = BUFFER_LEN};
    assert_int_equal(ks_codec_pack(one, &first).code, KS_OK);
    assert_int_equal(ks_codec_pack(other, &second).code, KS_OK);
    assert_int_equal(first.len, second.len);
    if (first.len > 0) {
        assert_memory_equal(first.ptr, second.ptr, first.len);
    }
}

static void an_enum_s_default_is_taken_out(void **state)
{
    (void)state;
    Keystead__Kms__V1__CreateKeyRequest plain = KEYSTEAD__KMS__V1__CREATE_KEY_REQUEST__INIT;
    plain.description = (char *)"d";
    Keystead__Kms__V1__CreateKeyRequest written = plain;
    written.key_spec = KEYSTEAD__KMS__V1__KEY_SPEC__KEY_SPEC_SYMMETRIC_DEFAULT;
    written.key_usage = KEYSTEAD__KMS__V1__KEY_USAGE__KEY_USAGE_ENCRYPT_DECRYPT;
    written.origin = KEYSTEAD__KMS__V1__ORIGIN__ORIGIN_AWS_KMS;

    ks_operation_omit_defaults(fixture_operation("CreateKey"), &written.base);

    assert_packs_alike(&written.base, &plain.base);
}

static void a_number_s_default_is_taken_out_and_no_other_number(void **state)
{
    (void)state;
    const struct ks_operation *operation = fixture_operation("ScheduleKeyDeletion");
    Keystead__Kms__V1__ScheduleKeyDeletionRequest plain =
        KEYSTEAD__KMS__V1__SCHEDULE_KEY_DELETION_REQUEST__INIT;
    plain.key_id = (char *)KEY_ID;
    Keystead__Kms__V1__ScheduleKeyDeletionRequest written = plain;
    written.pending_window_in_days_presence_case =
        KEYSTEAD__KMS__V1__SCHEDULE_KEY_DELETION_REQUEST__PENDING_WINDOW_IN_DAYS_PRESENCE_PENDING_WINDOW_IN_DAYS;
    written.pending_window_in_days = 30;
    Keystead__Kms__V1__ScheduleKeyDeletionRequest other = written;
    other.pending_window_in_days = 29;
    Keystead__Kms__V1__ScheduleKeyDeletionRequest kept = other;

    ks_operation_omit_defaults(operation, &written.base);
    ks_operation_omit_defaults(operation, &other.base);

    assert_packs_alike(&written.base, &plain.base);
    assert_packs_alike(&other.base, &kept.base);
}

/* The value of an enum that is not its default stays; so does what has no default. */
static void what_is_no_default_stays(void **state)
{
    (void)state;
    Keystead__Kms__V1__GenerateDataKeyRequest written =
        KEYSTEAD__KMS__V1__GENERATE_DATA_KEY_REQUEST__INIT;
    written.key_id = (char *)KEY_ID;
    written.key_spec = KEYSTEAD__KMS__V1__DATA_KEY_SPEC__DATA_KEY_SPEC_AES_128;
    Keystead__Kms__V1__GenerateDataKeyRequest kept = written;

    ks_operation_omit_defaults(fixture_operation("GenerateDataKey"), &written.base);

    assert_packs_alike(&written.base, &kept.base);
}

/* Each default of the table is a value that its member can have. */
static void every_default_can_be_written_out(void **state)
{
    (void)state;
    for (size_t i = 0; i < ks_operation_count; i++) {
        const struct ks_operation *operation = ks_operations[i];
        for (size_t m = 0; m < operation->member_count; m++) {
            const struct ks_member *member = &operation->members[m];
            bool named = false;
            for (int32_t v = 1; member->if_absent && v <= member->value_max; v++) {
                named = named || ks_bytes_equal(ks_member_value_name(member, v),
                                                ks_bytes_of(member->if_absent));
            }
            assert_int_equal(named, member->if_absent && member->type == KS_MEMBER_ENUM);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_enum_s_default_is_taken_out),
        cmocka_unit_test(a_number_s_default_is_taken_out_and_no_other_number),
        cmocka_unit_test(what_is_no_default_stays),
        cmocka_unit_test(every_default_can_be_written_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
