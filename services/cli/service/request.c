#include "services/cli/service/request.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "google/protobuf/timestamp.pb-c.h"
#include "pkg/message/names.h"
#include "services/cli/arguments/arguments.h"
#include "services/cli/output/failure.h"

ks_result ks_request_new(const ProtobufCMessageDescriptor *type, struct ks_arena *arena,
                         ProtobufCMessage **ret_message)
{
    ProtobufCMessage *message = ks_arena_alloc(arena, type->sizeof_message);
    if (!message) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    type->message_init(message);
    *ret_message = message;
    return KS_RES(OK);
}

static const ProtobufCFieldDescriptor *find(const ProtobufCMessage *message, const char *field)
{
    return protobuf_c_message_descriptor_get_field_by_name(message->descriptor, field);
}

bool ks_request_has(const ProtobufCMessage *message, const char *field)
{
    return find(message, field) != NULL;
}

static void *place_of(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    return (char *)message + field->offset;
}

/* Marks a field as set, if the message records that. */
static void mark_present(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
        *(uint32_t *)((char *)message + field->quantifier_offset) = field->id;
    }
}

/* The setters: what stands in the message for each type that a word can give. */

static bool set_text(void *place, const ProtobufCFieldDescriptor *field, const char *word)
{
    (void)field;
    *(char **)place = (char *)(uintptr_t)word;
    return true;
}

static bool read_number(const char *word, int64_t *ret_value)
{
    char *end;
    errno = 0;
    long long value = strtoll(word, &end, 10);
    *ret_value = value;
    return errno == 0 && end != word && *end == '\0';
}

static bool set_int32(void *place, const ProtobufCFieldDescriptor *field, const char *word)
{
    (void)field;
    int64_t value;
    if (!read_number(word, &value) || value < INT32_MIN || value > INT32_MAX) {
        return false;
    }
    *(int32_t *)place = (int32_t)value;
    return true;
}

static bool set_int64(void *place, const ProtobufCFieldDescriptor *field, const char *word)
{
    (void)field;
    return read_number(word, place);
}

static bool set_enum(void *place, const ProtobufCFieldDescriptor *field, const char *word)
{
    const ProtobufCEnumDescriptor *type = field->descriptor;
    return ks_value_of_name(type->name, word, place);
}

struct setter {
    ProtobufCType type;
    bool (*set)(void *place, const ProtobufCFieldDescriptor *field, const char *word);
    const char *wants;
};

static const struct setter setters[] = {
    {PROTOBUF_C_TYPE_STRING, set_text, "a text"},
    {PROTOBUF_C_TYPE_INT32, set_int32, "a whole number"},
    {PROTOBUF_C_TYPE_INT64, set_int64, "a whole number"},
    {PROTOBUF_C_TYPE_ENUM, set_enum, "one of its values, such as"},
};

static const struct setter *setter_of(const ProtobufCFieldDescriptor *field)
{
    for (size_t i = 0; i < KS_COUNT(setters); i++) {
        if (setters[i].type == field->type) {
            return &setters[i];
        }
    }
    return NULL;
}

/* A value that a message of help can name. */
static const char *example_of(const ProtobufCFieldDescriptor *field)
{
    if (field->type != PROTOBUF_C_TYPE_ENUM) {
        return "";
    }
    const ProtobufCEnumDescriptor *type = field->descriptor;
    const char *name = ks_value_name_of(type->name, 1);
    return name ? name : "";
}

ks_result ks_request_set(ProtobufCMessage *message, const char *name, const char *word,
                         struct ks_failure *failure)
{
    const ProtobufCFieldDescriptor *field = find(message, name);
    assert(field && field->label != PROTOBUF_C_LABEL_REPEATED);
    const struct setter *setter = setter_of(field);
    assert(setter);

    if (!setter->set(place_of(message, field), field, word)) {
        const char *example = example_of(field);
        return ks_fail(failure, KS_VALIDATION, "'%.60s' must be %s%s%s", word, setter->wants,
                       example[0] ? " " : "", example);
    }
    mark_present(message, field);
    return KS_RES(OK);
}

/* ---- Pairs ---- */

/* The two texts of a pair's message: its fields 1 and 2. */
static const ProtobufCFieldDescriptor *part_of(const ProtobufCMessage *pair, unsigned id)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field(pair->descriptor, id);
    assert(field && field->type == PROTOBUF_C_TYPE_STRING);
    return field;
}

static const char *key_of(ProtobufCMessage *pair)
{
    return *(char **)place_of(pair, part_of(pair, 1));
}

static void set_part(ProtobufCMessage *pair, unsigned id, const char *text)
{
    const ProtobufCFieldDescriptor *field = part_of(pair, id);
    *(char **)place_of(pair, field) = (char *)(uintptr_t)text;
    mark_present(pair, field);
}

static ks_result add_pair(ProtobufCMessage **pairs, size_t count, const char *word,
                          struct ks_arena *arena, struct ks_failure *failure)
{
    const char *equals = strchr(word, '=');
    if (!equals || equals == word) {
        return ks_fail(failure, KS_VALIDATION, "'%.60s' must be KEY=VALUE", word);
    }
    char *key = ks_arena_dup(arena, (ks_bytes){(const uint8_t *)word, (size_t)(equals - word)});
    if (!key) {
        return ks_fail(failure, KS_LIMIT_EXCEEDED, "the pairs are too long");
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(key_of(pairs[i]), key) == 0) {
            return ks_fail(failure, KS_VALIDATION, "the key '%.60s' stands twice", key);
        }
    }
    set_part(pairs[count], 1, key);
    set_part(pairs[count], 2, equals + 1);
    return KS_RES(OK);
}

static ks_result add_element(const ProtobufCFieldDescriptor *field, void **elements, size_t count,
                             const char *word, struct ks_arena *arena, struct ks_failure *failure)
{
    if (field->type == PROTOBUF_C_TYPE_STRING) {
        elements[count] = (void *)(uintptr_t)word;
        return KS_RES(OK);
    }
    ProtobufCMessage **pairs = (ProtobufCMessage **)elements;
    KS_TRY(ks_request_new(field->descriptor, arena, &pairs[count]));
    return add_pair(pairs, count, word, arena, failure);
}

ks_result ks_request_set_list(ProtobufCMessage *message, const char *name,
                              const struct ks_list_source *source, struct ks_arena *arena,
                              struct ks_failure *failure)
{
    const ProtobufCFieldDescriptor *field = find(message, name);
    assert(field && field->label == PROTOBUF_C_LABEL_REPEATED);
    void **elements = ks_arena_alloc(arena, KS_REQUEST_ELEMENTS_MAX * sizeof(void *));
    if (!elements) {
        return ks_fail(failure, KS_LIMIT_EXCEEDED, "the list is too long");
    }
    size_t count = 0;
    const char *word;
    while ((word = ks_argument_at(source->arguments, source->option, count))) {
        if (count == KS_REQUEST_ELEMENTS_MAX) {
            return ks_fail(failure, KS_LIMIT_EXCEEDED, "--%s stands more than %u times",
                           source->option, KS_REQUEST_ELEMENTS_MAX);
        }
        KS_TRY(add_element(field, elements, count, word, arena, failure));
        count++;
    }
    *(void ***)place_of(message, field) = elements;
    *(size_t *)((char *)message + field->quantifier_offset) = count;
    return KS_RES(OK);
}
