#include "pkg/config/config.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "pkg/base/mem.h"
#include "pkg/config/document.h"
#include "pkg/config/option.h"

#define DOCUMENT_AUTO KS_CLEANUP(ks_config_document_done) struct ks_config_document

/* Where a value goes, and where it came from, for messages. */
struct target {
    const struct ks_config_option *option;
    void *field;
    const char *why; /* set on failure */
    char bounds[KS_CONFIG_BOUNDS_LEN];
};

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit durations[] = {{"ms", 1},      {"s", 1000},     {"m", 60000},
                                        {"h", 3600000}, {"d", 86400000}, {NULL, 0}};
static const struct unit sizes[] = {
    {"", 1}, {"KiB", 1024}, {"MiB", 1048576}, {"GiB", 1073741824}, {NULL, 0}};
static const struct unit plain[] = {{"", 1}, {NULL, 0}};

/*
 * Reads digits and the unit behind them. Returns false if they are malformed or too large for an
 * int64_t.
 */
static bool read_number(const char *text, const struct unit *units, int64_t *ret_value)
{
    int64_t value = 0;
    size_t at = 0;
    for (; text[at] >= '0' && text[at] <= '9'; at++) {
        if (at == 15) {
            return false;
        }
        value = value * 10 + (text[at] - '0');
    }
    if (at == 0) {
        return false;
    }
    for (size_t i = 0; units[i].name; i++) {
        if (strcmp(text + at, units[i].name) == 0) {
            return !__builtin_mul_overflow(value, units[i].factor, ret_value);
        }
    }
    return false;
}

static bool in_bounds(struct target *target, int64_t value)
{
    if (value >= target->option->min && value <= target->option->max) {
        return true;
    }
    target->why = "is out of its bounds";
    return false;
}

static bool set_scaled(struct target *target, const char *word, const struct unit *units,
                       const char *malformed)
{
    int64_t value = 0;
    if (!read_number(word, units, &value)) {
        target->why = malformed;
        return false;
    }
    if (!in_bounds(target, value)) {
        return false;
    }
    *(int64_t *)target->field = value;
    return true;
}

static bool set_number(struct target *target, const char *const *words, size_t count)
{
    (void)count;
    return set_scaled(target, words[0], plain, "must be a whole number");
}

static bool set_duration(struct target *target, const char *const *words, size_t count)
{
    (void)count;
    return set_scaled(target, words[0], durations,
                      "must be a time such as 250ms, 2s, 5m, 24h, 30d");
}

static bool set_size(struct target *target, const char *const *words, size_t count)
{
    (void)count;
    return set_scaled(target, words[0], sizes, "must be a size such as 4096, 64KiB, 8MiB, 2GiB");
}

static bool set_text(struct target *target, const char *const *words, size_t count)
{
    (void)count;
    if (!in_bounds(target, (int64_t)strlen(words[0]))) {
        return false;
    }
    char **field = target->field;
    ks_free(*field);
    *field = ks_strdup(words[0]);
    return true;
}

static bool set_bool(struct target *target, const char *const *words, size_t count)
{
    (void)count;
    bool is_true = strcmp(words[0], "true") == 0;
    if (!is_true && strcmp(words[0], "false") != 0) {
        target->why = "must be true or false";
        return false;
    }
    *(bool *)target->field = is_true;
    return true;
}

static bool set_choice(struct target *target, const char *const *words, size_t count)
{
    (void)count;
    const char *const *choices = target->option->choices;
    for (int i = 0; choices[i]; i++) {
        if (strcmp(choices[i], words[0]) == 0) {
            *(int *)target->field = i;
            return true;
        }
    }
    target->why = "is none of the words allowed here";
    return false;
}

static void free_list(struct ks_config_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        ks_free(list->items[i]);
    }
    ks_free(list->items);
    *list = (struct ks_config_list){NULL, 0};
}

static bool set_list(struct target *target, const char *const *words, size_t count)
{
    if (!in_bounds(target, (int64_t)count)) {
        return false;
    }
    struct ks_config_list *list = target->field;
    free_list(list);
    list->items = ks_alloc(count, sizeof(char *));
    list->count = count;
    for (size_t i = 0; i < count; i++) {
        list->items[i] = ks_strdup(words[i]);
    }
    return true;
}

typedef bool (*set_fn)(struct target *target, const char *const *words, size_t count);

static const set_fn setters[KS_CONFIG_KIND_COUNT] = {
    [KS_CONFIG_KIND_TEXT] = set_text,         [KS_CONFIG_KIND_NUMBER] = set_number,
    [KS_CONFIG_KIND_DURATION] = set_duration, [KS_CONFIG_KIND_SIZE] = set_size,
    [KS_CONFIG_KIND_BOOL] = set_bool,         [KS_CONFIG_KIND_LIST] = set_list,
    [KS_CONFIG_KIND_CHOICE] = set_choice,
};

static bool set(struct target *target, const char *const *words, size_t count)
{
    return setters[target->option->kind](target, words, count);
}

static void *field_of(const struct ks_config_option *option, void *settings)
{
    return (char *)settings + option->offset;
}

/*
 * Defaults are written in the program: a default outside of its own bounds is a programming error.
 */
static void set_fallback(const struct ks_config_option *option, void *settings)
{
    struct target target = {.option = option, .field = field_of(option, settings)};
    const char *words[KS_CONFIG_LIST_MAX] = {option->fallback};
    size_t count = 1;
    KS_AUTO_FREE char *split = NULL;
    if (option->kind == KS_CONFIG_KIND_LIST) {
        split = ks_strdup(option->fallback);
        char *rest = split;
        count = 0;
        for (char *word = strtok_r(rest, " ", &rest); word && count < KS_CONFIG_LIST_MAX;
             word = strtok_r(NULL, " ", &rest)) {
            words[count++] = word;
        }
    }
    bool fits = set(&target, words, count);
    assert(fits);
}

static const struct ks_config_option *find(const struct ks_config_table *table, const char *name)
{
    for (size_t i = 0; i < table->option_count; i++) {
        char option_name[KS_CONFIG_NAME_LEN];
        ks_config_option_name(&table->options[i], option_name);
        if (strcmp(option_name, name) == 0) {
            return &table->options[i];
        }
    }
    return NULL;
}

struct parse {
    const struct ks_config_table *table;
    const char *name;
    void *settings;
    char *reterr_text;
    bool seen[KS_CONFIG_OPTIONS_MAX];
};

__attribute__((format(printf, 3, 4))) static ks_result
complain(const struct parse *parse, unsigned long line, const char *format, ...)
{
    int at = snprintf(parse->reterr_text, KS_CONFIG_ERROR_LEN, "%.150s:%lu: ", parse->name, line);
    assert(at > 0 && (size_t)at < KS_CONFIG_ERROR_LEN);
    va_list args;
    va_start(args, format);
    vsnprintf(parse->reterr_text + at, KS_CONFIG_ERROR_LEN - (size_t)at, format, args);
    va_end(args);
    return KS_RES(VALIDATION);
}

static ks_result take_entry(struct parse *parse, const struct ks_config_entry *entry)
{
    const struct ks_config_option *option = find(parse->table, entry->name);
    if (!option) {
        return complain(parse, entry->line, "unknown option '%.40s'; --help lists all",
                        entry->name);
    }
    bool *seen = &parse->seen[option - parse->table->options];
    if (*seen) {
        return complain(parse, entry->line, "'%s' stands twice", entry->name);
    }
    *seen = true;
    if (entry->is_list != (option->kind == KS_CONFIG_KIND_LIST)) {
        return complain(parse, entry->line, "'%s' must be %s", entry->name,
                        entry->is_list ? "one value, not a list" : "a list: [one, two]");
    }
    struct target target = {.option = option, .field = field_of(option, parse->settings)};
    if (!set(&target, (const char *const *)entry->words, entry->word_count)) {
        ks_config_option_bounds(option, target.bounds);
        return complain(parse, entry->line, "'%s' %s (%s)", entry->name, target.why, target.bounds);
    }
    return KS_RES(OK);
}

static ks_result take_document(struct parse *parse, const struct ks_config_document *document)
{
    for (size_t i = 0; i < document->count; i++) {
        KS_TRY(take_entry(parse, &document->entries[i]));
    }
    for (size_t i = 0; i < parse->table->option_count; i++) {
        const struct ks_config_option *option = &parse->table->options[i];
        if (parse->seen[i]) {
            continue;
        }
        if (!option->fallback) {
            char name[KS_CONFIG_NAME_LEN];
            ks_config_option_name(option, name);
            return complain(parse, 1, "'%s' is missing and has no default", name);
        }
        set_fallback(option, parse->settings);
    }
    return KS_RES(OK);
}

ks_result ks_config_parse(const struct ks_config_table *table, const char *name, ks_bytes yaml,
                          void *ret_settings, char *reterr_text)
{
    assert(table->option_count <= KS_CONFIG_OPTIONS_MAX);
    assert(reterr_text);

    struct parse parse = {
        .table = table, .name = name, .settings = ret_settings, .reterr_text = reterr_text};
    if (yaml.len > KS_CONFIG_FILE_MAX) {
        return complain(&parse, 1, "longer than %u bytes", KS_CONFIG_FILE_MAX);
    }
    DOCUMENT_AUTO document = {.count = 0};
    unsigned long line = 0;
    const char *why = NULL;
    ks_result read = ks_config_document_read(yaml, &document, &line, &why);
    if (ks_failed(read)) {
        return complain(&parse, line, "%s", why ? why : "cannot be read");
    }
    ks_result taken = take_document(&parse, &document);
    if (ks_failed(taken)) {
        ks_config_done(table, ret_settings);
    }
    return taken;
}

ks_result ks_config_load(const struct ks_config_table *table, const char *path, void *ret_settings,
                         char *reterr_text)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        snprintf(reterr_text, KS_CONFIG_ERROR_LEN, "%.150s: cannot be opened", path);
        return KS_RES(NOT_FOUND);
    }
    uint8_t *text = ks_alloc(1, KS_CONFIG_FILE_MAX + 1);
    size_t len = fread(text, 1, KS_CONFIG_FILE_MAX + 1, file);
    bool is_read = !ferror(file);
    fclose(file);
    ks_result r = KS_RES(NOT_FOUND);
    if (is_read) {
        r = ks_config_parse(table, path, (ks_bytes){text, len}, ret_settings, reterr_text);
    } else {
        snprintf(reterr_text, KS_CONFIG_ERROR_LEN, "%.150s: cannot be read", path);
    }
    ks_free(text);
    return r;
}

void ks_config_done(const struct ks_config_table *table, void *settings)
{
    for (size_t i = 0; i < table->option_count; i++) {
        const struct ks_config_option *option = &table->options[i];
        void *field = field_of(option, settings);
        if (option->kind == KS_CONFIG_KIND_TEXT) {
            ks_free(*(char **)field);
            *(char **)field = NULL;
        } else if (option->kind == KS_CONFIG_KIND_LIST) {
            free_list(field);
        }
    }
}
