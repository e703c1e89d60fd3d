/* The tables against the proto files: neither may know a member or a method that the other has not. */
#include "services/frontend/api/operation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "keystead/internal/v1/internal.pb-c.h"
#include "keystead/kms/v1/kms.pb-c.h"
#include "services/frontend/api/api_fixture.h"
#include "services/frontend/api/check.h"

static void camel(const char *snake, char *ret_camel)
{
    while (*snake) {
        bool upper = *snake == '_';
        snake += upper;
        *ret_camel++ = (char)(upper ? *snake - 'a' + 'A' : *snake);
        snake++;
    }
    *ret_camel = 0;
}

static void serves_each_method_of_the_service_once(void **state)
{
    (void)state;
    const ProtobufCServiceDescriptor *service =
        &keystead__kms__v1__key_management_service__descriptor;
    assert_string_equal(service->name, KS_SERVICE_NAME);
    assert_int_equal(service->n_methods, ks_operation_count);
    for (unsigned i = 0; i < service->n_methods; i++) {
        const struct ks_operation *operation = fixture_operation(service->methods[i].name);
        char path[128];
        (void)snprintf(path, sizeof(path), "/%s/%s", service->name, service->methods[i].name);

        assert_string_equal(operation->path, path);
        assert_ptr_equal(operation->request, service->methods[i].input);
        assert_string_equal(operation->action + strlen("kms:"), operation->name);
    }
}

static void assert_has_rules(const struct ks_operation *operation)
{
    for (unsigned i = 0; i < operation->request->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &operation->request->fields[i];
        const struct ks_rule *rule = ks_rule_of(operation, field->id);
        char member[128];
        camel(field->name, member);
        if (!rule || strcmp(rule->member, member) != 0) {
            fail_msg("%s has no rule for %s", operation->name, field->name);
        }
    }
}

static void has_a_rule_for_each_member(void **state)
{
    (void)state;
    for (size_t i = 0; i < ks_operation_count; i++) {
        if (!ks_operations[i]->entry) {
            assert_has_rules(ks_operations[i]);
        }
    }
}

static const int types[KS_RULE_KIND_COUNT] = {
    [KS_RULE_FLAG] = PROTOBUF_C_TYPE_BOOL,    [KS_RULE_TEXT] = PROTOBUF_C_TYPE_STRING,
    [KS_RULE_SECRET] = PROTOBUF_C_TYPE_BYTES, [KS_RULE_NUMBER] = PROTOBUF_C_TYPE_INT32,
    [KS_RULE_ENUM] = PROTOBUF_C_TYPE_ENUM,    [KS_RULE_TOKENS] = PROTOBUF_C_TYPE_STRING,
    [KS_RULE_TAGS] = PROTOBUF_C_TYPE_MESSAGE, [KS_RULE_CONTEXT] = PROTOBUF_C_TYPE_MESSAGE,
    [KS_RULE_KEY] = PROTOBUF_C_TYPE_STRING,   [KS_RULE_KEY_OR_ALIAS] = PROTOBUF_C_TYPE_STRING,
    [KS_RULE_ALIAS] = PROTOBUF_C_TYPE_STRING, [KS_RULE_REQUEST_ID] = PROTOBUF_C_TYPE_STRING,
};

static void assert_fits(const struct ks_operation *operation, const struct ks_rule *rule)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field(operation->request, rule->field);
    bool list =
        rule->kind == KS_RULE_TOKENS || rule->kind == KS_RULE_TAGS || rule->kind == KS_RULE_CONTEXT;
    assert_non_null(field);
    assert_int_equal(field->type, types[rule->kind]);
    assert_int_equal(field->label == PROTOBUF_C_LABEL_REPEATED, list);
    /* A number that 0 could be meant by must say whether it is there. */
    assert_int_equal(rule->kind == KS_RULE_NUMBER,
                     (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0);
    if (rule->kind == KS_RULE_ENUM) {
        const ProtobufCEnumDescriptor *values = field->descriptor;
        assert_int_equal(values->n_values, rule->max + 1);
        assert_int_equal(values->values[rule->max].value, rule->max);
    }
}

static void has_rules_that_fit_their_members(void **state)
{
    (void)state;
    for (size_t i = 0; i < ks_operation_count; i++) {
        const struct ks_operation *operation = ks_operations[i];
        for (size_t r = 0; r < KS_RULES_MAX && operation->rules[r].field != 0; r++) {
            assert_fits(operation, &operation->rules[r]);
        }
        for (size_t n = 0; n < KS_IDENTIFIERS_MAX; n++) {
            bool named = operation->identifiers[n].source != KS_IDENTIFIER_NONE;
            assert_true(!named || ks_rule_of(operation, operation->identifiers[n].field));
        }
    }
}

/* What changes something has a request_id, and nothing else has. */
static void gives_mutations_a_request_id(void **state)
{
    (void)state;
    size_t count = 0;
    for (size_t i = 0; i < ks_operation_count; i++) {
        const struct ks_operation *operation = ks_operations[i];
        const struct ks_rule *rule = ks_rule_of(operation, KS_REQUEST_ID_FIELD);
        assert_int_equal(operation->mutating, rule != NULL);
        count += operation->mutating;
    }
    assert_int_equal(count, 9);
}

/* OPERATION_CREATE_KEY is CreateKey: the numbers that go to a keystore mean what the names say. */
static void has_the_numbers_of_the_internal_api(void **state)
{
    (void)state;
    const ProtobufCEnumDescriptor *numbers = &keystead__internal__v1__operation__descriptor;
    size_t count = 0;
    for (size_t i = 0; i < ks_operation_count; i++) {
        const struct ks_operation *operation = ks_operations[i];
        if (operation->entry) {
            assert_int_equal(operation->entry->entry == NULL, true);
            continue;
        }
        const ProtobufCEnumValue *value =
            protobuf_c_enum_descriptor_get_value(numbers, (int)operation->number);
        assert_non_null(value);
        char flat[64] = "";
        size_t len = 0;
        for (const char *c = value->name + strlen("OPERATION_"); *c; c++) {
            if (*c != '_') {
                flat[len++] = *c;
            }
        }
        assert_int_equal(strcasecmp(flat, operation->name), 0);
        count++;
    }
    assert_int_equal(count, numbers->n_values - 1); /* but for UNSPECIFIED */
}

static void reads_batches_of_its_own_operations(void **state)
{
    (void)state;
    size_t count = 0;
    for (size_t i = 0; i < ks_operation_count; i++) {
        const struct ks_operation *operation = ks_operations[i];
        if (!operation->entry) {
            continue;
        }
        const ProtobufCFieldDescriptor *entries =
            protobuf_c_message_descriptor_get_field(operation->request, KS_ENTRIES_FIELD);
        assert_ptr_equal(entries->descriptor, operation->entry->request);
        assert_false(operation->entry->mutating);
        count++;
    }
    assert_int_equal(count, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(serves_each_method_of_the_service_once),
        cmocka_unit_test(has_a_rule_for_each_member),
        cmocka_unit_test(has_rules_that_fit_their_members),
        cmocka_unit_test(gives_mutations_a_request_id),
        cmocka_unit_test(has_the_numbers_of_the_internal_api),
        cmocka_unit_test(reads_batches_of_its_own_operations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
