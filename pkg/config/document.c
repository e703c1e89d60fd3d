#include "pkg/config/document.h"

#include <assert.h>
#include <string.h>
#include <yaml.h>

#include "pkg/base/mem.h"

/* Each option takes its name, two list marks and its words; six more frame the document. */
#define EVENTS_MAX (KS_CONFIG_OPTIONS_MAX * (KS_CONFIG_LIST_MAX + 3) + 6)

/* The place in the document: it decides what may come next. */
enum place {
    BEFORE,
    IN_STREAM,
    IN_DOCUMENT,
    AT_NAME,
    AT_VALUE,
    IN_LIST,
    AFTER_MAPPING,
    END,
    PLACES
};

struct reader {
    enum place place;
    struct ks_config_document *document;
    const char *why;
};

typedef bool (*step_fn)(struct reader *reader, const yaml_event_t *event);

static struct ks_config_entry *newest(struct reader *reader)
{
    assert(reader->document->count > 0);

    return &reader->document->entries[reader->document->count - 1];
}

static bool refuse(struct reader *reader, const char *why)
{
    reader->why = why;
    return false;
}

/* Returns the scalar's text, which the caller frees; NULL if a configuration may not hold it. */
static char *take_text(struct reader *reader, const yaml_event_t *event)
{
    const char *value = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;
    if (event->data.scalar.anchor || event->data.scalar.tag) {
        reader->why = "anchors and tags are not read; write the value out";
        return NULL;
    }
    if (len > KS_CONFIG_TEXT_MAX || memchr(value, '\0', len)) {
        reader->why = "the value is longer than 1024 bytes or holds a NUL";
        return NULL;
    }
    return ks_bytes_dup((ks_bytes){(const uint8_t *)value, len});
}

static bool step_name(struct reader *reader, const yaml_event_t *event)
{
    struct ks_config_document *document = reader->document;
    if (document->count == KS_CONFIG_OPTIONS_MAX) {
        return refuse(reader, "too many options");
    }
    char *name = take_text(reader, event);
    if (!name) {
        return false;
    }
    document->entries[document->count++] =
        (struct ks_config_entry){.name = name, .line = event->start_mark.line + 1};
    reader->place = AT_VALUE;
    return true;
}

static bool add_word(struct reader *reader, const yaml_event_t *event)
{
    struct ks_config_entry *entry = newest(reader);
    if (entry->word_count == KS_CONFIG_LIST_MAX) {
        return refuse(reader, "the list is longer than 64 entries");
    }
    char *word = take_text(reader, event);
    if (!word) {
        return false;
    }
    entry->words[entry->word_count++] = word;
    return true;
}

static bool step_scalar(struct reader *reader, const yaml_event_t *event)
{
    newest(reader)->words = ks_alloc(1, sizeof(char *));
    reader->place = AT_NAME;
    return add_word(reader, event);
}

static bool step_list(struct reader *reader, const yaml_event_t *event)
{
    if (event->data.sequence_start.anchor || event->data.sequence_start.tag) {
        return refuse(reader, "anchors and tags are not read; write the value out");
    }
    newest(reader)->is_list = true;
    newest(reader)->words = ks_alloc(KS_CONFIG_LIST_MAX, sizeof(char *));
    reader->place = IN_LIST;
    return true;
}

static bool step_list_end(struct reader *reader, const yaml_event_t *event)
{
    (void)event;
    reader->place = AT_NAME;
    return true;
}

static bool step_mapping(struct reader *reader, const yaml_event_t *event)
{
    if (event->data.mapping_start.anchor || event->data.mapping_start.tag) {
        return refuse(reader, "anchors and tags are not read; write the value out");
    }
    reader->place = AT_NAME;
    return true;
}

static bool step_mapping_end(struct reader *reader, const yaml_event_t *event)
{
    (void)event;
    reader->place = AFTER_MAPPING;
    return true;
}

static bool step_stream(struct reader *reader, const yaml_event_t *event)
{
    (void)event;
    reader->place = IN_STREAM;
    return true;
}

static bool step_document(struct reader *reader, const yaml_event_t *event)
{
    (void)event;
    reader->place = IN_DOCUMENT;
    return true;
}

static bool step_document_end(struct reader *reader, const yaml_event_t *event)
{
    (void)event;
    reader->place = END;
    return true;
}

static bool step_end(struct reader *reader, const yaml_event_t *event)
{
    (void)event;
    reader->place = END;
    return true;
}

#define EVENT_KINDS (YAML_MAPPING_END_EVENT + 1)

static const step_fn steps[PLACES][EVENT_KINDS] = {
    [BEFORE][YAML_STREAM_START_EVENT] = step_stream,
    [IN_STREAM][YAML_DOCUMENT_START_EVENT] = step_document,
    [IN_STREAM][YAML_STREAM_END_EVENT] = step_end,
    [IN_DOCUMENT][YAML_MAPPING_START_EVENT] = step_mapping,
    [AT_NAME][YAML_SCALAR_EVENT] = step_name,
    [AT_NAME][YAML_MAPPING_END_EVENT] = step_mapping_end,
    [AT_VALUE][YAML_SCALAR_EVENT] = step_scalar,
    [AT_VALUE][YAML_SEQUENCE_START_EVENT] = step_list,
    [IN_LIST][YAML_SCALAR_EVENT] = add_word,
    [IN_LIST][YAML_SEQUENCE_END_EVENT] = step_list_end,
    [AFTER_MAPPING][YAML_DOCUMENT_END_EVENT] = step_document_end,
    [END][YAML_STREAM_END_EVENT] = step_end,
};

static bool step(struct reader *reader, const yaml_event_t *event)
{
    assert((size_t)event->type < EVENT_KINDS);

    step_fn fn = steps[reader->place][event->type];
    if (!fn) {
        return refuse(reader, "only `name: value` and `name: [values]` may stand here");
    }
    return fn(reader, event);
}

ks_result ks_config_document_read(ks_bytes yaml, struct ks_config_document *ret_document,
                                  unsigned long *reterr_line, const char **reterr_why)
{
    assert(ret_document->count == 0);

    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) {
        return KS_RES(INTERNAL);
    }
    static const uint8_t nothing[1];
    yaml_parser_set_input_string(&parser, yaml.ptr ? yaml.ptr : nothing, yaml.len);
    struct reader reader = {.place = BEFORE, .document = ret_document};
    bool more = true;
    size_t line = 0;
    for (size_t i = 0; i < EVENTS_MAX && more && !reader.why; i++) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            reader.why = "this is not YAML";
            line = parser.problem_mark.line;
            break;
        }
        line = event.start_mark.line;
        more = event.type != YAML_STREAM_END_EVENT;
        (void)step(&reader, &event);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    if (reader.why || more) {
        *reterr_line = line + 1;
        *reterr_why = reader.why ? reader.why : "too long";
        return KS_RES(VALIDATION);
    }
    return KS_RES(OK);
}

void ks_config_document_done(struct ks_config_document *document)
{
    for (size_t i = 0; i < document->count; i++) {
        struct ks_config_entry *entry = &document->entries[i];
        for (size_t k = 0; k < entry->word_count; k++) {
            ks_free(entry->words[k]);
        }
        ks_free(entry->words);
        ks_free(entry->name);
    }
    *document = (struct ks_config_document){.count = 0};
}
