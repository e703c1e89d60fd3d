#include "services/cli/service/request.h"

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
#include "services/cli/arguments/arguments.h"
#include "services/cli/commands/commands.h"
#include "services/cli/output/failure.h"
#include "services/cli/service/call.h"

static struct ks_arena arena = {.len_max = 1U << 20};
static struct ks_failure failure;

static int empty_arena(void **state)
{
    (void)state;
    ks_arena_done(&arena);
    return 0;
}

static ProtobufCMessage *make(const ProtobufCMessageDescriptor *type)
{
    ProtobufCMessage *message = NULL;
    assert_int_equal(ks_request_new(type, &arena, &message).code, KS_OK);
    return message;
}

static ks_code set(ProtobufCMessage *message, const char *field, const char *word)
{
    return ks_request_set(message, field, word, &failure).code;
}

static void texts_and_enums_are_set_by_name(void **state)
{
    (void)state;
    ProtobufCMessage *message = make(&keystead__kms__v1__create_key_request__descriptor);
    const Keystead__Kms__V1__CreateKeyRequest *request = (const void *)message;

    assert_int_equal(set(message, "description", "d"), KS_OK);
    assert_int_equal(set(message, "key_spec", "symmetric_default"), KS_OK);
    assert_string_equal(request->description, "d");
    assert_int_equal(request->key_spec, 1);
    assert_int_equal(set(message, "key_spec", "RSA_2048"), KS_VALIDATION);
    assert_non_null(strstr(failure.text, "SYMMETRIC_DEFAULT"));
}

/* A number in a oneof is present because it was set, also if it is 0. */
static void numbers_are_checked_and_marked_present(void **state)
{
    (void)state;
    ProtobufCMessage *message = make(&keystead__kms__v1__generate_random_request__descriptor);
    const Keystead__Kms__V1__GenerateRandomRequest *request = (const void *)message;
    assert_int_equal(request->number_of_bytes_presence_case, 0);

    const char *const bad[] = {"", "x", "1x", "2147483648", "-2147483649", "99999999999999999999"};
    for (size_t i = 0; i < KS_COUNT(bad); i++) {
        assert_int_equal(set(message, "number_of_bytes", bad[i]), KS_VALIDATION);
    }
    assert_int_equal(set(message, "number_of_bytes", "0"), KS_OK);
    assert_int_equal(
        request->number_of_bytes_presence_case,
        KEYSTEAD__KMS__V1__GENERATE_RANDOM_REQUEST__NUMBER_OF_BYTES_PRESENCE_NUMBER_OF_BYTES);
    assert_int_equal(set(message, "number_of_bytes", "2147483647"), KS_OK);
    assert_int_equal(request->number_of_bytes, INT32_MAX);
}

static void knows_which_fields_there_are(void **state)
{
    (void)state;
    ProtobufCMessage *message = make(&keystead__kms__v1__encrypt_request__descriptor);
    assert_true(ks_request_has(message, "key_id"));
    assert_false(ks_request_has(message, "request_id"));
}

/* ---- Pairs ---- */

static const struct ks_option context_option = {"context", "KEY=VALUE", "", NULL,
                                                KS_OPTION_REPEATED};

static ks_code set_pairs(ProtobufCMessage *message, const char *const *words, size_t count)
{
    static struct ks_arguments arguments;
    arguments = (struct ks_arguments){.count = count};
    for (size_t i = 0; i < count; i++) {
        arguments.given[i] = (struct ks_argument){&context_option, words[i]};
    }
    const struct ks_list_source source = {&arguments, "context"};
    return ks_request_set_list(message, "encryption_context", &source, &arena, &failure).code;
}

/* The value may hold '=', and may be empty; the key may not. */
static void the_key_ends_at_the_first_equals_sign(void **state)
{
    (void)state;
    ProtobufCMessage *message = make(&keystead__kms__v1__encrypt_request__descriptor);
    const Keystead__Kms__V1__EncryptRequest *request = (const void *)message;
    const char *const words[] = {"a=b=c", "empty=", "\xc3\xa4=1"};

    assert_int_equal(set_pairs(message, words, KS_COUNT(words)), KS_OK);

    assert_int_equal(request->n_encryption_context, 3);
    assert_string_equal(request->encryption_context[0]->key, "a");
    assert_string_equal(request->encryption_context[0]->value, "b=c");
    assert_string_equal(request->encryption_context[1]->value, "");
    assert_string_equal(request->encryption_context[2]->key, "\xc3\xa4");
}

static void malformed_pairs_are_refused(void **state)
{
    (void)state;
    ProtobufCMessage *message = make(&keystead__kms__v1__encrypt_request__descriptor);
    const char *const no_equals[] = {"a"};
    const char *const no_key[] = {"=b"};
    const char *const twice[] = {"a=1", "b=2", "a=3"};
    const char *const empty[] = {""};

    assert_int_equal(set_pairs(message, no_equals, 1), KS_VALIDATION);
    assert_int_equal(set_pairs(message, no_key, 1), KS_VALIDATION);
    assert_int_equal(set_pairs(message, empty, 1), KS_VALIDATION);
    assert_int_equal(set_pairs(message, twice, 3), KS_VALIDATION);
    assert_non_null(strstr(failure.text, "twice"));
}

static void there_is_room_for_256_pairs(void **state)
{
    (void)state;
    ProtobufCMessage *message = make(&keystead__kms__v1__encrypt_request__descriptor);
    static char texts[KS_REQUEST_ELEMENTS_MAX + 1][16];
    const char *words[KS_REQUEST_ELEMENTS_MAX + 1];
    for (unsigned i = 0; i <= KS_REQUEST_ELEMENTS_MAX; i++) {
        snprintf(texts[i], sizeof(texts[i]), "k%u=v", i);
        words[i] = texts[i];
    }

    assert_int_equal(set_pairs(message, words, KS_REQUEST_ELEMENTS_MAX), KS_OK);
    assert_int_equal(set_pairs(message, words, KS_REQUEST_ELEMENTS_MAX + 1), KS_LIMIT_EXCEEDED);
}

static void tags_are_pairs_as_well(void **state)
{
    (void)state;
    static struct ks_arguments arguments;
    ProtobufCMessage *message = make(&keystead__kms__v1__create_key_request__descriptor);
    const Keystead__Kms__V1__CreateKeyRequest *request = (const void *)message;
    arguments = (struct ks_arguments){.given = {{&context_option, "team=a"}}, .count = 1};
    const struct ks_list_source source = {&arguments, "context"};

    assert_int_equal(ks_request_set_list(message, "tags", &source, &arena, &failure).code, KS_OK);
    assert_string_equal(request->tags[0]->tag_key, "team");
    assert_string_equal(request->tags[0]->tag_value, "a");
}

/* ---- The table of commands ---- */

static void assert_fields_exist(const struct ks_command *command)
{
    const ProtobufCMessageDescriptor *type =
        command->method ? ks_method_signature(command->method).request : NULL;
    for (size_t i = 0; i < command->option_count; i++) {
        const char *field = command->options[i].field;
        if (field && (!type || !ks_request_has(make(type), field))) {
            fail_msg("%s %s: no field %s", command->noun, command->verb, field);
        }
    }
}

/* A misspelt field in a row would otherwise show when somebody runs that command. */
static void every_field_that_a_command_names_exists(void **state)
{
    (void)state;
    for (size_t i = 0; i < ks_commands.command_count; i++) {
        assert_fields_exist(&ks_commands.commands[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(texts_and_enums_are_set_by_name, empty_arena),
        cmocka_unit_test_teardown(numbers_are_checked_and_marked_present, empty_arena),
        cmocka_unit_test_teardown(knows_which_fields_there_are, empty_arena),
        cmocka_unit_test_teardown(the_key_ends_at_the_first_equals_sign, empty_arena),
        cmocka_unit_test_teardown(malformed_pairs_are_refused, empty_arena),
        cmocka_unit_test_teardown(there_is_room_for_256_pairs, empty_arena),
        cmocka_unit_test_teardown(tags_are_pairs_as_well, empty_arena),
        cmocka_unit_test_teardown(every_field_that_a_command_names_exists, empty_arena),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
