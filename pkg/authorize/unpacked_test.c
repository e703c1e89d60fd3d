/*
 * A handler reads the request that protobuf-c unpacks; a decision rests on what the check has read
 * of the same bytes. For each member of each operation the two must be one, whatever stands on the
 * wire: otherwise a policy is asked about another request than the one that is carried out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "keystead/kms/v1/kms.pb-c.h"
#include "pkg/authorize/case.h"
#include "pkg/base/arena.h"
#include "pkg/base/mem.h"
#include "pkg/codec/codec.h"
#include "pkg/codec/wire.h"
#include "pkg/operation/operation_fixture.h"

#define BUFFER_LEN 65536U
#define ARENA_LEN  (1U << 20)

/* What stands on the wire for a number: each bound of 32 and 64 bits. */
static const uint64_t values[] = {
    0, 1, 2, 1ULL << 31, 1ULL << 32, 0xffffffff00000000U, 1ULL << 63, UINT64_MAX,
};

/* One request, read by both. */
struct reading {
    const struct ks_operation *operation;
    struct ks_checked checked;
    const ProtobufCMessage *unpacked;
    struct ks_facts keys[KS_OPERATION_KEYS_MAX];
    struct ks_case made;
};

/* ---- Requests that keep the form of an operation ---- */

static void put_text(struct ks_buffer *buffer, uint32_t field, const char *text)
{
    assert_int_equal(ks_wire_put_bytes(field, ks_bytes_of(text), buffer).code, KS_OK);
}

static void put_pair(struct ks_buffer *buffer, uint32_t field)
{
    KS_BUFFER_AUTO pair = {.len_max = BUFFER_LEN};
    put_text(&pair, 1, "key");
    put_text(&pair, 2, "value");
    assert_int_equal(ks_wire_put_bytes(field, ks_buffer_bytes(&pair), buffer).code, KS_OK);
}

static void put_ciphertext(struct ks_buffer *buffer, uint32_t field)
{
    KS_BUFFER_AUTO blob = {.len_max = BUFFER_LEN};
    fixture_blob("ap-seoul-1", OWN, &blob);
    assert_int_equal(ks_wire_put_bytes(field, ks_buffer_bytes(&blob), buffer).code, KS_OK);
}

static const char *text_for(const struct ks_member *member)
{
    bool alias = member->alias_made || member->key_form == KS_KEY_FORM_ALIAS;
    bool key = member->key_form == KS_KEY_FORM_KEY || member->key_form == KS_KEY_FORM_KEY_OR_ALIAS;
    return alias ? "alias/a" : key ? KEY_ID : "a";
}

static bool is_number(const struct ks_member *member)
{
    return member->type == KS_MEMBER_FLAG || member->type == KS_MEMBER_NUMBER ||
           member->type == KS_MEMBER_ENUM;
}

/* Whether it stands on the wire as a varint: a number, or one of a list. */
static bool is_varint(const struct ks_member *member)
{
    return is_number(member) || member->type == KS_MEMBER_ENUMS;
}

/* A value that keeps the member's limits. */
static void put_good(struct ks_buffer *buffer, const struct ks_member *member)
{
    if (is_varint(member)) {
        uint64_t least = member->type == KS_MEMBER_NUMBER ? (uint64_t)member->min : 1;
        assert_int_equal(ks_wire_put_varint(member->field, least, buffer).code, KS_OK);
    } else if (member->type == KS_MEMBER_TAGS || member->type == KS_MEMBER_CONTEXT) {
        put_pair(buffer, member->field);
    } else if (member->key_form == KS_KEY_FORM_CIPHERTEXT) {
        put_ciphertext(buffer, member->field);
    } else {
        put_text(buffer, member->field, text_for(member));
    }
}

/* Whether a request that is good without this member needs it, while `about` is put besides. */
static bool is_needed(const struct ks_operation *operation, size_t index, size_t about)
{
    bool needed = operation->members[index].required;
    for (size_t i = 0; i < operation->choice_count; i++) {
        const struct ks_choice *choice = &operation->choices[i];
        needed = needed || (choice->first == index && !(choice->members >> about & 1));
    }
    return needed && index != about;
}

static void put_the_others(struct ks_buffer *buffer, const struct ks_operation *operation,
                           size_t about)
{
    for (size_t i = 0; i < operation->member_count; i++) {
        if (is_needed(operation, i, about)) {
            put_good(buffer, &operation->members[i]);
        }
    }
}

/* ---- What the handler reads ---- */

static const ProtobufCFieldDescriptor *field_of(const struct ks_operation *operation,
                                                const struct ks_member *member)
{
    return protobuf_c_message_descriptor_get_field(operation->request, member->field);
}

static const void *at(const ProtobufCMessage *message, size_t offset)
{
    return (const uint8_t *)message + offset;
}

static int32_t unpacked_number(const struct reading *reading, const struct ks_member *member)
{
    const void *place = at(reading->unpacked, field_of(reading->operation, member)->offset);
    return member->type == KS_MEMBER_FLAG ? *(const protobuf_c_boolean *)place
                                          : *(const int32_t *)place;
}

static ks_bytes unpacked_bytes(const ProtobufCMessage *message,
                               const ProtobufCFieldDescriptor *field)
{
    const void *place = at(message, field->offset);
    if (field->type == PROTOBUF_C_TYPE_STRING) {
        const char *text = *(const char *const *)place;
        return text ? ks_bytes_of(text) : (ks_bytes){0};
    }
    const ProtobufCBinaryData *data = place;
    return (ks_bytes){data->data, data->len};
}

static size_t unpacked_count(const struct reading *reading, const struct ks_member *member)
{
    const ProtobufCFieldDescriptor *field = field_of(reading->operation, member);
    return *(const size_t *)at(reading->unpacked, field->quantifier_offset);
}

static int32_t unpacked_enum(const struct reading *reading, const struct ks_member *member,
                             size_t index)
{
    const ProtobufCFieldDescriptor *field = field_of(reading->operation, member);
    return (*(const int32_t *const *)at(reading->unpacked, field->offset))[index];
}

static const void *unpacked_element(const struct reading *reading, const struct ks_member *member,
                                    size_t index)
{
    const ProtobufCFieldDescriptor *field = field_of(reading->operation, member);
    return (*(const void *const *const *)at(reading->unpacked, field->offset))[index];
}

/* ---- The two compared ---- */

/* How many facts have that key; with a value, those of that name and value alone. */
static size_t count(const struct reading *reading, const char *key, ks_bytes name,
                    const ks_bytes *value)
{
    const struct ks_policy_facts *facts = &reading->made.request.of_request;
    size_t found = 0;
    for (size_t i = 0; i < facts->count; i++) {
        const struct ks_policy_fact *fact = &facts->items[i];
        bool same =
            !value || (ks_bytes_equal(fact->name, name) && ks_bytes_equal(fact->value, *value));
        found += ks_bytes_equal(fact->key, ks_bytes_of(key)) && same ? 1 : 0;
    }
    return found;
}

static void assert_only_fact(const struct reading *reading, const char *key, ks_bytes value)
{
    assert_int_equal(count(reading, key, (ks_bytes){0}, NULL), 1);
    assert_int_equal(count(reading, key, (ks_bytes){0}, &value), 1);
}

/* Numbers run from 1 on. */
static ks_bytes name_of(const struct ks_member *member, int32_t number)
{
    const char *name = member->values;
    for (int32_t i = 1; i < number; i++) {
        name = strchr(name, ' ') + 1;
    }
    return (ks_bytes){(const uint8_t *)name, strcspn(name, ",")};
}

/* A number, a text or a run of bytes; absent members say what stands for them, or nothing. */
static void compare_single(const struct reading *reading, size_t index)
{
    const struct ks_member *member = &reading->operation->members[index];
    const char *key = member->condition.key;
    int32_t number = is_number(member) ? unpacked_number(reading, member) : 0;
    char text[KS_CASE_NUMBER_LEN];
    if (member->type == KS_MEMBER_FLAG) {
        assert_only_fact(reading, key, number ? KS_LITERAL("true") : KS_LITERAL("false"));
    } else if (!ks_checked_has(&reading->checked, (uint8_t)index)) {
        assert_int_equal(count(reading, key, (ks_bytes){0}, NULL), member->if_absent ? 1 : 0);
    } else if (member->type == KS_MEMBER_ENUM) {
        assert_only_fact(reading, key, name_of(member, number));
    } else if (member->type == KS_MEMBER_NUMBER) {
        (void)snprintf(text, sizeof(text), "%d", number);
        assert_only_fact(reading, key, ks_bytes_of(text));
    } else {
        assert_only_fact(reading, key,
                         unpacked_bytes(reading->unpacked, field_of(reading->operation, member)));
    }
}

static void compare_list(const struct reading *reading, const struct ks_member *member)
{
    size_t elements = unpacked_count(reading, member);
    assert_int_equal(count(reading, member->condition.key, (ks_bytes){0}, NULL), elements);
    for (size_t i = 0; i < elements; i++) {
        ks_bytes name = {0};
        ks_bytes value;
        if (member->type == KS_MEMBER_ENUMS) {
            value = name_of(member, unpacked_enum(reading, member, i));
        } else if (member->type == KS_MEMBER_TEXTS) {
            value = ks_bytes_of(unpacked_element(reading, member, i));
        } else {
            const ProtobufCMessage *pair = unpacked_element(reading, member, i);
            name = unpacked_bytes(pair, &pair->descriptor->fields[0]);
            value = unpacked_bytes(pair, &pair->descriptor->fields[1]);
        }
        assert_int_equal(count(reading, member->condition.key, name, &value), 1);
    }
}

static bool is_list(const struct ks_member *member)
{
    return member->type == KS_MEMBER_ENUMS || member->type == KS_MEMBER_TEXTS ||
           member->type == KS_MEMBER_TAGS || member->type == KS_MEMBER_CONTEXT;
}

/* What the policy is asked about one resource. */
static void compare_facts(struct reading *reading, size_t resource, size_t key_index)
{
    const struct ks_operation *operation = reading->operation;
    const struct ks_question question = {
        .operation = operation,
        .checked = &reading->checked,
        .home = &fixture_home,
        .account = KS_LITERAL(OWN),
        .principal = KS_LITERAL("arn:aws:iam::" OWN ":user/alice"),
        .keys = reading->keys,
    };
    ks_case_of(&question, &operation->resources[resource], key_index, &reading->made);
    for (size_t i = 0; i < operation->member_count; i++) {
        const struct ks_condition *condition = &operation->members[i].condition;
        bool concerned = condition->about == KS_MEMBER_NONE ||
                         condition->about == operation->resources[resource].member;
        if (!condition->key || !concerned) {
            continue;
        }
        if (is_list(&operation->members[i])) {
            compare_list(reading, &operation->members[i]);
        } else {
            compare_single(reading, i);
        }
    }
}

/* What the check says of each member. */
static void compare_checked(const struct reading *reading)
{
    const struct ks_operation *operation = reading->operation;
    for (size_t i = 0; i < operation->member_count; i++) {
        const struct ks_member *member = &operation->members[i];
        if (is_number(member)) {
            assert_int_equal(reading->checked.numbers[i], unpacked_number(reading, member));
        } else if (is_list(member)) {
            assert_int_equal(ks_checked_has(&reading->checked, (uint8_t)i),
                             unpacked_count(reading, member) > 0);
        } else {
            assert_true(
                ks_bytes_equal(reading->checked.values[i],
                               unpacked_bytes(reading->unpacked, field_of(operation, member))));
        }
    }
}

/* Only a number out of its range is refused, and it is the unpacked number that is out of it. */
static void assert_rightly_refused(const struct reading *reading, size_t about)
{
    const struct ks_member *member = &reading->operation->members[about];
    bool list = member->type == KS_MEMBER_ENUMS;
    assert_true(list || member->type == KS_MEMBER_NUMBER || member->type == KS_MEMBER_ENUM);
    int32_t number = list ? unpacked_enum(reading, member, 0) : unpacked_number(reading, member);
    bool of_number = number < member->min || (member->max > 0 && number > member->max);
    bool of_enum = number < (list ? 1 : 0) || number > member->value_max;
    /* An enum that is 0 counts as absent: that is refused where one of several must be there. */
    bool chosen = number == 0 && reading->operation->choice_count > 0;
    assert_true(chosen || (member->type == KS_MEMBER_NUMBER ? of_number : of_enum));
}

static void compare(const struct ks_operation *operation, ks_bytes message, size_t about)
{
    struct reading reading = {.operation = operation};
    struct ks_refusal refusal = {.code = KS_OK};
    KS_ARENA_AUTO arena = {.len_max = ARENA_LEN};
    ProtobufCMessage *unpacked = NULL;
    ks_result read = ks_codec_unpack(operation->request, message, NULL, &arena, &unpacked);
    assert_int_equal(read.code, KS_OK);
    reading.unpacked = unpacked;
    ks_result checked =
        ks_operation_check(operation, &fixture_home, OWN, message, &reading.checked, &refusal);
    if (ks_failed(checked)) {
        assert_rightly_refused(&reading, about);
        return;
    }
    compare_checked(&reading);
    size_t key_index = 0;
    for (size_t i = 0; i < operation->resource_count; i++) {
        compare_facts(&reading, i, key_index);
        key_index += operation->resources[i].type == KS_RESOURCE_KEY ? 1 : 0;
    }
}

static void compare_member(const struct ks_operation *operation, size_t about)
{
    const struct ks_member *member = &operation->members[about];
    size_t rounds = is_varint(member) ? KS_COUNT(values) : 1;
    for (size_t i = 0; i < rounds; i++) {
        KS_BUFFER_AUTO message = {.len_max = BUFFER_LEN};
        put_the_others(&message, operation, about);
        if (is_varint(member)) {
            assert_int_equal(ks_wire_put_varint(member->field, values[i], &message).code, KS_OK);
        } else {
            put_good(&message, member);
        }
        compare(operation, ks_buffer_bytes(&message), about);
    }
}

static void a_decision_and_a_handler_read_each_member_alike(void **state)
{
    (void)state;
    size_t compared[KS_MEMBER_ENTRIES] = {0};
    for (size_t i = 0; i < ks_operation_count; i++) {
        const struct ks_operation *operation = ks_operations[i];
        for (size_t m = 0; !operation->entry && m < operation->member_count; m++) {
            compare_member(operation, m);
            compared[operation->members[m].type]++;
        }
    }
    /* Those that this is about: a table without them would pass unseen. */
    assert_true(compared[KS_MEMBER_FLAG] > 0);
    assert_true(compared[KS_MEMBER_NUMBER] > 0);
    assert_true(compared[KS_MEMBER_ENUM] > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_decision_and_a_handler_read_each_member_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
