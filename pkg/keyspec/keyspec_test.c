#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "keystead/kms/v1/types.pb-c.h"
#include "keystead/storage/v1/storage.pb-c.h"
#include "pkg/base/mem.h"
#include "pkg/base/secret.h"
#include "pkg/keyspec/keyspec.h"

/* Specs that are still to come, of every kind: their rows fit, too. */
static const struct ks_keyspec rsa = {
    .number = 901,
    .name = "RSA_2048",
    .offered = true,
    .material_len = 2048,
    .uses = {{KS_USAGE_ENCRYPT_DECRYPT,
              {{2, "RSAES_OAEP_SHA_1", 214}, {3, "RSAES_OAEP_SHA_256", 190}}},
             {KS_USAGE_SIGN_VERIFY,
              {{1, "RSASSA_PSS_SHA_256", 4096},
               {2, "RSASSA_PSS_SHA_384", 4096},
               {3, "RSASSA_PSS_SHA_512", 4096},
               {4, "RSASSA_PKCS1_V1_5_SHA_256", 4096},
               {5, "RSASSA_PKCS1_V1_5_SHA_384", 4096},
               {6, "RSASSA_PKCS1_V1_5_SHA_512", 4096}}}},
};
static const struct ks_keyspec ecc = {
    .number = 902,
    .name = "ECC_NIST_P256",
    .offered = true,
    .material_len = 160,
    .uses = {{KS_USAGE_SIGN_VERIFY, {{7, "ECDSA_SHA_256", 4096}}},
             {KS_USAGE_KEY_AGREEMENT, {{1, "ECDH", 8192}}}},
};
static const struct ks_keyspec hmac = {
    .number = 903,
    .name = "HMAC_256",
    .offered = true,
    .material_len = 32,
    .uses = {{KS_USAGE_GENERATE_VERIFY_MAC, {{2, "HMAC_SHA_256", 4096}}}},
};
static const struct ks_keyspec ml_dsa = {
    .number = 904,
    .name = "ML_DSA_65",
    .material_len = 4096,
    .uses = {{KS_USAGE_SIGN_VERIFY, {{12, "ML_DSA_SHAKE_256", 4096}}}},
};

static const ProtobufCEnumDescriptor *algorithms_of(uint8_t usage)
{
    static const ProtobufCEnumDescriptor *const enums[] = {
        [KS_USAGE_ENCRYPT_DECRYPT] = &keystead__kms__v1__encryption_algorithm__descriptor,
    };
    return usage < KS_COUNT(enums) ? enums[usage] : NULL;
}

static void assert_named(const ProtobufCEnumDescriptor *values, const char *prefix, uint32_t number,
                         const char *name)
{
    char expected[96];
    snprintf(expected, sizeof(expected), "%s%s", prefix, name);
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(values, (int)number);
    assert_non_null(value);
    assert_string_equal(value->name, expected);
}

static void assert_algorithms_are_whole(const struct ks_keyspec_use *use)
{
    size_t count = ks_keyspec_algorithm_count(use);
    assert_true(count > 0);
    assert_non_null(algorithms_of(use->usage));
    for (size_t i = 0; i < count; i++) {
        assert_true(use->algorithms[i].data_len_max > 0);
        assert_named(algorithms_of(use->usage), "ENCRYPTION_ALGORITHM_", use->algorithms[i].number,
                     use->algorithms[i].name);
    }
}

static void every_row_is_whole_and_is_the_api_s_value_of_its_number(void **state)
{
    (void)state;
    for (size_t i = 0; i < ks_keyspec_count; i++) {
        const struct ks_keyspec *spec = &ks_keyspecs[i];
        assert_named(&keystead__kms__v1__key_spec__descriptor, "KEY_SPEC_", spec->number,
                     spec->name);
        assert_ptr_equal(ks_keyspec_of(spec->number), spec);
        assert_true(spec->kind < KS_KEYSPEC_KIND_COUNT);
        assert_true(spec->material_len > 0 && spec->material_len <= KS_SECRET_MAX);
        assert_true(spec->uses[0].usage != 0);
        assert_true(spec->usage_if_absent == 0 || ks_keyspec_use_of(spec, spec->usage_if_absent));
        for (size_t j = 0; j < KS_KEYSPEC_USES_MAX && spec->uses[j].usage != 0; j++) {
            assert_non_null(ks_key_usage_name(spec->uses[j].usage));
            assert_ptr_equal(ks_keyspec_use_of(spec, spec->uses[j].usage), &spec->uses[j]);
            assert_algorithms_are_whole(&spec->uses[j]);
        }
    }
}

/* A client that names a value of the API's finds it. */
static void every_value_of_the_api_has_its_row(void **state)
{
    (void)state;
    const ProtobufCEnumDescriptor *specs = &keystead__kms__v1__key_spec__descriptor;
    const ProtobufCEnumDescriptor *data_specs = &keystead__kms__v1__data_key_spec__descriptor;
    const ProtobufCEnumDescriptor *usages = &keystead__kms__v1__key_usage__descriptor;

    for (unsigned i = 0; i < specs->n_values; i++) {
        uint32_t number = (uint32_t)specs->values[i].value;
        assert_int_equal(ks_keyspec_of(number) != NULL, number != 0);
    }
    for (unsigned i = 0; i < data_specs->n_values; i++) {
        uint32_t number = (uint32_t)data_specs->values[i].value;
        assert_int_equal(ks_data_keyspec_of(number) != NULL, number != 0);
    }
    for (unsigned i = 0; i < usages->n_values; i++) {
        uint32_t number = (uint32_t)usages->values[i].value;
        assert_int_equal(ks_key_usage_name(number) != NULL, number != 0);
        if (number != 0) {
            assert_named(usages, "KEY_USAGE_", number, ks_key_usage_name(number));
        }
    }
}

/* Records and EKTs are older than this table: their numbers stay what they are. */
static void numbers_in_records_are_those_of_the_rows(void **state)
{
    (void)state;
    const struct ks_keyspec *spec = ks_keyspec_of(1);

    assert_string_equal(spec->name, "SYMMETRIC_DEFAULT");
    assert_int_equal(spec->material_len, 32);
    assert_int_equal(KS_USAGE_ENCRYPT_DECRYPT,
                     KEYSTEAD__STORAGE__V1__KEY_USAGE__KEY_USAGE_ENCRYPT_DECRYPT);
}

static void data_keys_are_as_long_as_their_spec_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < ks_data_keyspec_count; i++) {
        const struct ks_data_keyspec *spec = &ks_data_keyspecs[i];
        assert_named(&keystead__kms__v1__data_key_spec__descriptor, "DATA_KEY_SPEC_", spec->number,
                     spec->name);
        assert_ptr_equal(ks_data_keyspec_of(spec->number), spec);
    }
    assert_int_equal(ks_data_keyspec_of(1)->len, 32);
    assert_int_equal(ks_data_keyspec_of(2)->len, 16);
    assert_null(ks_data_keyspec_of(0));
    assert_null(ks_data_keyspec_of(3));
}

static void numbers_of_no_row_are_nothing(void **state)
{
    (void)state;
    assert_null(ks_keyspec_of(0));
    assert_null(ks_keyspec_of(0xffff));
    assert_null(ks_keyspec_of(0x10001));
    assert_null(ks_keyspec_use_of(&rsa, 0));
    assert_null(ks_keyspec_use_of(&rsa, 257));
    assert_null(ks_key_usage_name(0));
    assert_null(ks_key_usage_name(5));
}

static void a_key_is_used_for_what_it_was_made_for_and_nothing_else(void **state)
{
    (void)state;
    assert_int_equal(ks_keyspec_allows(1, KS_USAGE_ENCRYPT_DECRYPT, KS_USAGE_ENCRYPT_DECRYPT).code,
                     KS_OK);
    assert_int_equal(ks_keyspec_allows(1, KS_USAGE_ENCRYPT_DECRYPT, KS_USAGE_SIGN_VERIFY).code,
                     KS_INVALID_KEY_USAGE);
    assert_int_equal(ks_keyspec_allows(1, KS_USAGE_SIGN_VERIFY, KS_USAGE_SIGN_VERIFY).code,
                     KS_CORRUPT);
    assert_int_equal(ks_keyspec_allows(1, KS_USAGE_SIGN_VERIFY, KS_USAGE_ENCRYPT_DECRYPT).code,
                     KS_INVALID_KEY_USAGE);
    assert_int_equal(ks_keyspec_allows(1, 0, KS_USAGE_ENCRYPT_DECRYPT).code, KS_CORRUPT);
    assert_int_equal(ks_keyspec_allows(0, KS_USAGE_ENCRYPT_DECRYPT, KS_USAGE_ENCRYPT_DECRYPT).code,
                     KS_CORRUPT);
}

/* AWS KMS API: CreateKey, KeyUsage: it may be left out for SYMMETRIC_DEFAULT only. */
static void a_new_key_has_a_usage_of_its_spec(void **state)
{
    (void)state;
    uint32_t usage = 99;

    assert_int_equal(ks_keyspec_choose(&rsa, 0, &usage).code, KS_VALIDATION);
    assert_int_equal(ks_keyspec_choose(&hmac, KS_USAGE_SIGN_VERIFY, &usage).code, KS_VALIDATION);
    assert_int_equal(ks_keyspec_choose(&ml_dsa, KS_USAGE_SIGN_VERIFY, &usage).code, KS_UNSUPPORTED);
    assert_int_equal(usage, 99);
    assert_int_equal(ks_keyspec_choose(ks_keyspec_of(1), 0, &usage).code, KS_OK);
    assert_int_equal(usage, KS_USAGE_ENCRYPT_DECRYPT);
    assert_int_equal(ks_keyspec_choose(&ecc, KS_USAGE_KEY_AGREEMENT, &usage).code, KS_OK);
    assert_int_equal(usage, KS_USAGE_KEY_AGREEMENT);
}

static void a_use_has_as_many_algorithms_as_were_written(void **state)
{
    (void)state;
    const struct ks_keyspec_use *sign = ks_keyspec_use_of(&rsa, KS_USAGE_SIGN_VERIFY);
    const struct ks_keyspec_use *crypt = ks_keyspec_use_of(&rsa, KS_USAGE_ENCRYPT_DECRYPT);

    assert_int_equal(ks_keyspec_algorithm_count(sign), KS_KEYSPEC_ALGORITHMS_MAX);
    assert_int_equal(ks_keyspec_algorithm_count(crypt), 2);
    assert_int_equal(crypt->algorithms[1].data_len_max, 190);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_whole_and_is_the_api_s_value_of_its_number),
        cmocka_unit_test(every_value_of_the_api_has_its_row),
        cmocka_unit_test(numbers_in_records_are_those_of_the_rows),
        cmocka_unit_test(data_keys_are_as_long_as_their_spec_says),
        cmocka_unit_test(numbers_of_no_row_are_nothing),
        cmocka_unit_test(a_key_is_used_for_what_it_was_made_for_and_nothing_else),
        cmocka_unit_test(a_new_key_has_a_usage_of_its_spec),
        cmocka_unit_test(a_use_has_as_many_algorithms_as_were_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
