#include "services/cli/arguments/arguments.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "services/cli/arguments/nearest.h"

struct parser {
    const struct ks_command_table *table;
    struct ks_arguments *arguments;
    char *text; /* KS_USAGE_LEN bytes */
    int argc;
    char *const *argv;
    int at; /* the next word */
};

__attribute__((format(printf, 2, 3))) static ks_result complain(const struct parser *parser,
                                                                const char *format, ...)
{
    va_list values;
    va_start(values, format);
    vsnprintf(parser->text, KS_USAGE_LEN, format, values);
    va_end(values);
    return KS_RES(VALIDATION);
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/* ---- Which command ---- */

static bool is_noun(const struct ks_command_table *table, const char *word)
{
    for (size_t i = 0; i < table->command_count; i++) {
        if (strcmp(table->commands[i].noun, word) == 0) {
            return true;
        }
    }
    return false;
}

/*
 * Finds the command of that noun with that verb. If verb is NULL, it is the command without a verb.
 */
static const struct ks_command *find_command(const struct ks_command_table *table, const char *noun,
                                             const char *verb)
{
    for (size_t i = 0; i < table->command_count; i++) {
        const struct ks_command *command = &table->commands[i];
        bool same =
            verb && command->verb ? strcmp(command->verb, verb) == 0 : !verb && !command->verb;
        if (same && strcmp(command->noun, noun) == 0) {
            return command;
        }
    }
    return NULL;
}

static ks_result complain_of_noun(const struct parser *parser, const char *noun)
{
    const struct ks_command_table *table = parser->table;
    for (size_t i = 0; i < table->command_count; i++) {
        if (ks_word_is_near(noun, table->commands[i].noun)) {
            return complain(parser, "there is no '%.40s'; did you mean '%s'?", noun,
                            table->commands[i].noun);
        }
    }
    return complain(parser, "there is no '%.40s'; see %s --help", noun, table->program);
}

static ks_result complain_of_verb(const struct parser *parser, const char *noun, const char *verb)
{
    const struct ks_command_table *table = parser->table;
    for (size_t i = 0; verb && i < table->command_count; i++) {
        const struct ks_command *command = &table->commands[i];
        if (strcmp(command->noun, noun) == 0 && ks_word_is_near(verb, command->verb)) {
            return complain(parser, "there is no '%s %.40s'; did you mean '%s %s'?", noun, verb,
                            noun, command->verb);
        }
    }
    return complain(parser, "'%s' wants another word behind it; see %s %s --help", noun,
                    table->program, noun);
}

/* Reads noun and verb. After that, either a command is chosen or help is asked for. */
static ks_result parse_command(struct parser *parser)
{
    struct ks_arguments *arguments = parser->arguments;
    if (parser->argc < 2) {
        return complain(parser, "what shall be done? See %s --help", parser->table->program);
    }
    const char *noun = parser->argv[1];
    if (is_help(noun)) {
        arguments->help = true;
        return KS_RES(OK);
    }
    if (!is_noun(parser->table, noun)) {
        return complain_of_noun(parser, noun);
    }
    arguments->noun = noun;
    arguments->command = find_command(parser->table, noun, NULL);
    parser->at = 2;
    if (arguments->command) {
        return KS_RES(OK);
    }
    const char *verb = parser->argc > 2 ? parser->argv[2] : NULL;
    if (verb && is_help(verb)) {
        arguments->help = true;
        return KS_RES(OK);
    }
    arguments->command = verb ? find_command(parser->table, noun, verb) : NULL;
    parser->at = 3;
    return arguments->command ? KS_RES(OK) : complain_of_verb(parser, noun, verb);
}

/* ---- Its options ---- */

/* The options of the command, then those of every command; NULL past the last. */
static const struct ks_option *option_at(const struct ks_command_table *table,
                                         const struct ks_command *command, size_t index)
{
    if (index < command->option_count) {
        return &command->options[index];
    }
    index -= command->option_count;
    return index < table->global_count ? &table->globals[index] : NULL;
}

static const struct ks_option *find_option(const struct parser *parser, const char *name,
                                           size_t len)
{
    const struct ks_option *option;
    for (size_t i = 0; (option = option_at(parser->table, parser->arguments->command, i)); i++) {
        if (strlen(option->name) == len && strncmp(option->name, name, len) == 0) {
            return option;
        }
    }
    return NULL;
}

static const struct ks_option *bare_option(const struct ks_command *command)
{
    for (size_t i = 0; i < command->option_count; i++) {
        if (command->options[i].flags & KS_OPTION_BARE) {
            return &command->options[i];
        }
    }
    return NULL;
}

static ks_result complain_of_option(const struct parser *parser, const char *name, size_t len)
{
    char typed[KS_NEAREST_LEN_MAX + 2];
    snprintf(typed, sizeof(typed), "%.*s", (int)(len < sizeof(typed) ? len : sizeof(typed) - 1),
             name);
    const struct ks_option *option;
    for (size_t i = 0; (option = option_at(parser->table, parser->arguments->command, i)); i++) {
        if (ks_word_is_near(typed, option->name)) {
            return complain(parser, "unknown option --%s; did you mean --%s?", typed, option->name);
        }
    }
    const struct ks_command *command = parser->arguments->command;
    return complain(parser, "unknown option --%s; see %s %s%s%s --help", typed,
                    parser->table->program, command->noun, command->verb ? " " : "",
                    command->verb ? command->verb : "");
}

static ks_result add(struct parser *parser, const struct ks_option *option, const char *value)
{
    struct ks_arguments *arguments = parser->arguments;
    if (arguments->count == KS_ARGUMENTS_MAX) {
        return complain(parser, "more than %u options", KS_ARGUMENTS_MAX);
    }
    if (!(option->flags & KS_OPTION_REPEATED) && ks_argument_given(arguments, option->name)) {
        return complain(parser, "--%s stands twice", option->name);
    }
    arguments->given[arguments->count++] = (struct ks_argument){option, value};
    return KS_RES(OK);
}

/* word is "--name" or "--name=value". */
static ks_result parse_option(struct parser *parser, const char *word)
{
    const char *name = word + 2;
    const char *equals = strchr(name, '=');
    size_t len = equals ? (size_t)(equals - name) : strlen(name);
    const struct ks_option *option = find_option(parser, name, len);
    if (!option) {
        return complain_of_option(parser, name, len);
    }
    if (!option->value) {
        return equals ? complain(parser, "--%s takes no value", option->name)
                      : add(parser, option, "");
    }
    if (equals) {
        return add(parser, option, equals + 1);
    }
    if (parser->at == parser->argc) {
        return complain(parser, "--%s wants a value: %s", option->name, option->value);
    }
    return add(parser, option, parser->argv[parser->at++]);
}

static ks_result parse_word(struct parser *parser, const char *word)
{
    const struct ks_option *option = bare_option(parser->arguments->command);
    if (!option) {
        return complain(parser, "unexpected word '%.60s'", word);
    }
    return add(parser, option, word);
}

static ks_result check_required(const struct parser *parser)
{
    const struct ks_command *command = parser->arguments->command;
    for (size_t i = 0; i < command->option_count; i++) {
        const struct ks_option *option = &command->options[i];
        if ((option->flags & KS_OPTION_REQUIRED) &&
            !ks_argument_given(parser->arguments, option->name)) {
            return complain(parser, "--%s %s is missing", option->name, option->value);
        }
    }
    return KS_RES(OK);
}

/* Handles the next word of the line, which is not the value of an option before it. */
static ks_result parse_next(struct parser *parser, bool *only_words)
{
    const char *word = parser->argv[parser->at++];
    if (*only_words || word[0] != '-' || word[1] == '\0') {
        return parse_word(parser, word);
    }
    if (strcmp(word, "--") == 0) {
        *only_words = true;
        return KS_RES(OK);
    }
    if (word[1] != '-') {
        return complain(parser, "unknown option %.20s; options have two dashes", word);
    }
    return parse_option(parser, word);
}

static ks_result parse_options(struct parser *parser)
{
    bool only_words = false;
    while (parser->at < parser->argc) {
        KS_TRY(parse_next(parser, &only_words));
    }
    return check_required(parser);
}

/* A line that asks for help gets it, even if something else in the line is wrong. */
static bool wants_help(const struct parser *parser)
{
    for (int i = parser->at; i < parser->argc && strcmp(parser->argv[i], "--") != 0; i++) {
        if (is_help(parser->argv[i])) {
            return true;
        }
    }
    return false;
}

ks_result ks_arguments_parse(const struct ks_command_table *table, int argc, char *const *argv,
                             struct ks_arguments *ret_arguments, char *reterr_text)
{
    assert(table && ret_arguments && reterr_text);

    struct ks_arguments arguments = {0};
    struct parser parser = {
        .table = table, .arguments = &arguments, .text = reterr_text, .argc = argc, .argv = argv};
    KS_TRY(parse_command(&parser));
    arguments.help = arguments.help || wants_help(&parser);
    if (!arguments.help) {
        KS_TRY(parse_options(&parser));
    }
    *ret_arguments = arguments;
    return KS_RES(OK);
}

const char *ks_argument_at(const struct ks_arguments *arguments, const char *name, size_t index)
{
    for (size_t i = 0; i < arguments->count; i++) {
        if (strcmp(arguments->given[i].option->name, name) == 0 && index-- == 0) {
            return arguments->given[i].value;
        }
    }
    return NULL;
}

const char *ks_argument(const struct ks_arguments *arguments, const char *name)
{
    return ks_argument_at(arguments, name, 0);
}

bool ks_argument_given(const struct ks_arguments *arguments, const char *name)
{
    return ks_argument(arguments, name) != NULL;
}
