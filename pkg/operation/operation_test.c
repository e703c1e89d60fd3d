/*
 * The table against the proto files, read by another reader than the generator: protoc-c's
 * descriptors. Neither may know a method or a member that the other has not.
 */
#include "pkg/operation/operation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "keystead/kms/v1/kms.pb-c.h"
#include "pkg/operation/check.h"
#include "pkg/operation/list.h"
#include "pkg/operation/operation_fixture.h"
#include "tests/harness/errors_page.h"

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

static void has_a_row_for_each_method_of_the_service(void **state)
{
    (void)state;
    const ProtobufCServiceDescriptor *service =
        &keystead__kms__v1__key_management_service__descriptor;
    assert_string_equal(service->name, KS_SERVICE_NAME);
    assert_int_equal(service->n_methods, ks_operation_count);
    assert_int_equal(service->n_methods, KS_OPERATION_COUNT);
    for (unsigned i = 0; i < service->n_methods; i++) {
        const struct ks_operation *operation = fixture_operation(service->methods[i].name);
        char path[128];
        (void)snprintf(path, sizeof(path), "/%s/%s", service->name, service->methods[i].name);

        assert_string_equal(operation->path, path);
        assert_ptr_equal(operation->request, service->methods[i].input);
        assert_ptr_equal(operation->response, service->methods[i].output);
    }
}

static void has_a_member_for_each_field(void **state)
{
    (void)state;
    for (size_t i = 0; i < ks_operation_count; i++) {
        const struct ks_operation *operation = ks_operations[i];
        assert_int_equal(operation->request->n_fields, operation->member_count);
        for (unsigned f = 0; f < operation->request->n_fields; f++) {
            const ProtobufCFieldDescriptor *field = &operation->request->fields[f];
            const struct ks_member *member = ks_operation_member(operation, field->id);
            char name[128];
            camel(field->name, name);
            assert_non_null(member);
            assert_string_equal(member->name, name);
        }
    }
}

static const int types[] = {
    [KS_MEMBER_FLAG] = PROTOBUF_C_TYPE_BOOL,       [KS_MEMBER_TEXT] = PROTOBUF_C_TYPE_STRING,
    [KS_MEMBER_BYTES] = PROTOBUF_C_TYPE_BYTES,     [KS_MEMBER_NUMBER] = PROTOBUF_C_TYPE_INT32,
    [KS_MEMBER_ENUM] = PROTOBUF_C_TYPE_ENUM,       [KS_MEMBER_ENUMS] = PROTOBUF_C_TYPE_ENUM,
    [KS_MEMBER_TEXTS] = PROTOBUF_C_TYPE_STRING,    [KS_MEMBER_TAGS] = PROTOBUF_C_TYPE_MESSAGE,
    [KS_MEMBER_CONTEXT] = PROTOBUF_C_TYPE_MESSAGE, [KS_MEMBER_ENTRIES] = PROTOBUF_C_TYPE_MESSAGE,
};

static bool is_list(const struct ks_member *member)
{
    return member->type == KS_MEMBER_ENUMS || member->type == KS_MEMBER_TEXTS ||
           member->type == KS_MEMBER_TAGS || member->type == KS_MEMBER_CONTEXT ||
           member->type == KS_MEMBER_ENTRIES;
}

static void assert_fits(const struct ks_operation *operation, const struct ks_member *member)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field(operation->request, member->field);
    bool in_oneof = (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
    assert_int_equal(field->type, types[member->type]);
    assert_int_equal(field->label == PROTOBUF_C_LABEL_REPEATED, is_list(member));
    if (member->type == KS_MEMBER_NUMBER) {
        assert_true(in_oneof); /* 0 could be meant: it must say whether it is there */
    }
    if (member->type == KS_MEMBER_TEXT && member->min > 0 && !member->required) {
        assert_true(in_oneof); /* an empty one is refused, an absent one is not */
    }
    if (member->type == KS_MEMBER_TEXT && member->min == 0 && member->required) {
        assert_true(in_oneof); /* an absent one is refused, an empty one is not */
    }
    if (member->type == KS_MEMBER_ENUM || member->type == KS_MEMBER_ENUMS) {
        const ProtobufCEnumDescriptor *values = field->descriptor;
        assert_int_equal(values->n_values, member->value_max + 1);
        assert_int_equal(values->values[member->value_max].value, member->value_max);
    }
}

static void has_members_that_fit_their_fields(void **state)
{
    (void)state;
    for (size_t i = 0; i < ks_operation_count; i++) {
        for (size_t m = 0; m < ks_operations[i]->member_count; m++) {
            assert_fits(ks_operations[i], &ks_operations[i]->members[m]);
        }
    }
}

/* Whatever a client can grow has a limit. */
static void bounds_every_text_and_every_run_of_bytes(void **state)
{
    (void)state;
    for (size_t i = 0; i < ks_operation_count; i++) {
        for (size_t m = 0; m < ks_operations[i]->member_count; m++) {
            const struct ks_member *member = &ks_operations[i]->members[m];
            bool grows = member->type == KS_MEMBER_TEXT || member->type == KS_MEMBER_BYTES ||
                         member->type == KS_MEMBER_ENUMS || member->type == KS_MEMBER_TEXTS ||
                         member->type == KS_MEMBER_TAGS || member->type == KS_MEMBER_ENTRIES;
            assert_true(!grows || member->max > 0);
            assert_true(member->type != KS_MEMBER_TEXTS || member->element_max > 0);
        }
    }
}

/* What changes something has a request_id, and nothing else has. */
static void gives_mutations_a_request_id(void **state)
{
    (void)state;
    for (size_t i = 0; i < ks_operation_count; i++) {
        const struct ks_operation *operation = ks_operations[i];
        bool has = protobuf_c_message_descriptor_get_field_by_name(operation->request,
                                                                   "request_id") != NULL;
        assert_int_equal(operation->kind == KS_OPERATION_MUTATION, has);
        assert_int_equal(operation->request_id != KS_MEMBER_NONE, has);
    }
}

/*
 * gRPC's library hands over some broken messages as empty ones, which nothing can tell from good
 * ones: what such a call changes stands in docs/errors.md.
 */
static void the_page_says_what_an_empty_message_changes(void **state)
{
    (void)state;
    size_t found = 0;
    for (size_t i = 0; i < ks_operation_count; i++) {
        const struct ks_operation *operation = ks_operations[i];
        struct ks_refusal refusal = {.code = KS_OK};
        struct ks_checked checked;
        bool changes = operation->kind == KS_OPERATION_MUTATION &&
                       !ks_failed(ks_operation_check(operation, &fixture_home, OWN, (ks_bytes){0},
                                                     &checked, &refusal));
        assert_int_equal(errors_page_lists(operation->path), changes);
        found += changes ? 1 : 0;
    }
    assert_int_equal(errors_page_count("/" KS_SERVICE_NAME "/"), found);
}

/* A number goes to keystores and into stored records: it never means another operation. */
static void keeps_the_numbers_that_were_given_once(void **state)
{
    (void)state;
    static const char *const names[] = {
        "CreateKey",
        "DescribeKey",
        "ListKeys",
        "EnableKey",
        "DisableKey",
        "ScheduleKeyDeletion",
        "CancelKeyDeletion",
        "UpdateKeyDescription",
        "CreateAlias",
        "UpdateAlias",
        "DeleteAlias",
        "ListAliases",
        "Encrypt",
        "Decrypt",
        "ReEncrypt",
        "GenerateDataKey",
        "GenerateDataKeyWithoutPlaintext",
        "GenerateRandom",
    };
    for (size_t i = 0; i < KS_COUNT(names); i++) {
        assert_string_equal(ks_operation_of((uint32_t)i + 1)->name, names[i]);
    }
    assert_null(ks_operation_of(0));
    assert_null(ks_operation_of(KS_OPERATION_NUMBER_MAX + 1));
}

#define COUNT_ROW(number, Name, name) +1

static void lists_what_is_carried_out(void **state)
{
    (void)state;
    size_t batches = 0;
    for (size_t i = 0; i < ks_operation_count; i++) {
        const struct ks_operation *operation = ks_operations[i];
        batches += operation->entry != NULL;
        assert_int_equal(operation->entry != NULL, operation->number == 0);
    }
    assert_int_equal(batches + (0 KS_OPERATIONS(COUNT_ROW)), ks_operation_count);
}

static void reads_batches_of_its_own_operations(void **state)
{
    (void)state;
    for (size_t i = 0; i < ks_operation_count; i++) {
        const struct ks_operation *operation = ks_operations[i];
        if (!operation->entry) {
            continue;
        }
        const ProtobufCFieldDescriptor *entries = &operation->request->fields[0];
        assert_ptr_equal(entries->descriptor, operation->entry->request);
        assert_int_not_equal(operation->entry->kind, KS_OPERATION_MUTATION);
        assert_int_equal(operation->members[0].type, KS_MEMBER_ENTRIES);
    }
}

struct action {
    const char *operation;
    enum ks_resource_type type;
    const char *action;
};

/* AWS KMS Developer Guide, "Permissions reference": actions belong to what is named. */
static const struct action actions[] = {
    {"ReEncrypt", KS_RESOURCE_KEY, "kms:ReEncryptFrom"},
    {"ReEncrypt", KS_RESOURCE_KEY, "kms:ReEncryptTo"},
    {"CreateAlias", KS_RESOURCE_ALIAS, "kms:CreateAlias"},
    {"CreateAlias", KS_RESOURCE_KEY, "kms:CreateAlias"},
    {"UpdateAlias", KS_RESOURCE_ALIAS, "kms:UpdateAlias"},
    {"UpdateAlias", KS_RESOURCE_KEY, "kms:UpdateAlias"},
    {"DeleteAlias", KS_RESOURCE_ALIAS, "kms:DeleteAlias"},
    {"DeleteAlias", KS_RESOURCE_KEY, "kms:DeleteAlias"},
    {"CreateKey", KS_RESOURCE_ACCOUNT, "kms:CreateKey"},
    {"CreateKey", KS_RESOURCE_ACCOUNT, "kms:TagResource"},
    {"ListKeys", KS_RESOURCE_ACCOUNT, "kms:ListKeys"},
    {"GenerateRandom", KS_RESOURCE_ACCOUNT, "kms:GenerateRandom"},
    {"Decrypt", KS_RESOURCE_KEY, "kms:Decrypt"},
};

static bool has_action(const struct ks_operation *operation, const struct action *action)
{
    for (size_t i = 0; i < operation->resource_count; i++) {
        const struct ks_resource *resource = &operation->resources[i];
        if (resource->type == action->type && strcmp(resource->action, action->action) == 0) {
            return true;
        }
    }
    return false;
}

static void asks_for_the_actions_of_aws(void **state)
{
    (void)state;
    for (size_t i = 0; i < KS_COUNT(actions); i++) {
        assert_true(has_action(fixture_operation(actions[i].operation), &actions[i]));
    }
    for (size_t i = 0; i < ks_operation_count; i++) {
        /* Whatever is carried out is decided on. */
        assert_true(ks_operations[i]->entry || ks_operations[i]->resource_count > 0);
    }
}

/* What clients are promised; that it has one place in the code makes it easy to change. */
static void keeps_the_limits_and_defaults_of_aws(void **state)
{
    (void)state;
    assert_int_equal(KS_DEFAULT_LIST_KEYS_LIMIT, 100);         /* AWS KMS API: ListKeys */
    assert_int_equal(KS_DEFAULT_LIST_ALIASES_LIMIT, 50);       /* AWS KMS API: ListAliases */
    assert_int_equal(KS_DEFAULT_LIST_RESOURCE_TAGS_LIMIT, 50); /* AWS KMS API: ListResourceTags */
    /* AWS KMS API: ScheduleKeyDeletion */
    assert_int_equal(KS_DEFAULT_SCHEDULE_KEY_DELETION_PENDING_WINDOW_IN_DAYS, 30);
    assert_int_equal(KS_PLAINTEXT_MAX, 4096);  /* AWS KMS API: Encrypt */
    assert_int_equal(KS_CIPHERTEXT_MAX, 6144); /* AWS KMS API: Decrypt */
    assert_int_equal(KS_BYTE_COUNT_MAX, 1024); /* AWS KMS API: GenerateRandom */
    assert_int_equal(KS_REQUEST_ID_MAX, 64);
    assert_string_equal(KS_REQUEST_ID_TEXT, "request_id must be 1 to 64 of [A-Za-z0-9_.:-]");
    assert_int_equal(strlen(KS_REQUEST_ID_LETTERS), 26 + 26 + 10 + strlen("_.:-"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_a_row_for_each_method_of_the_service),
        cmocka_unit_test(has_a_member_for_each_field),
        cmocka_unit_test(has_members_that_fit_their_fields),
        cmocka_unit_test(bounds_every_text_and_every_run_of_bytes),
        cmocka_unit_test(gives_mutations_a_request_id),
        cmocka_unit_test(the_page_says_what_an_empty_message_changes),
        cmocka_unit_test(keeps_the_numbers_that_were_given_once),
        cmocka_unit_test(lists_what_is_carried_out),
        cmocka_unit_test(reads_batches_of_its_own_operations),
        cmocka_unit_test(asks_for_the_actions_of_aws),
        cmocka_unit_test(keeps_the_limits_and_defaults_of_aws),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
