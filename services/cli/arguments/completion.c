#include <string.h>

#include "services/cli/arguments/help.h"
#include "services/cli/arguments/lines.h"

static void put_nouns(struct ks_lines *lines, const struct ks_command_table *table)
{
    for (size_t i = 0; i < table->command_count; i++) {
        if (i == 0 || strcmp(table->commands[i].noun, table->commands[i - 1].noun) != 0) {
            ks_line(lines, "%s ", table->commands[i].noun);
        }
    }
}

static void put_verbs(struct ks_lines *lines, const struct ks_command_table *table,
                      const char *noun)
{
    for (size_t i = 0; i < table->command_count; i++) {
        const struct ks_command *command = &table->commands[i];
        if (command->verb && strcmp(command->noun, noun) == 0) {
            ks_line(lines, "%s ", command->verb);
        }
    }
}

/* One case for each noun that has verbs: they are the second words. */
static void put_verb_cases(struct ks_lines *lines, const struct ks_command_table *table)
{
    for (size_t i = 0; i < table->command_count; i++) {
        const struct ks_command *command = &table->commands[i];
        bool first = i == 0 || strcmp(command->noun, table->commands[i - 1].noun) != 0;
        if (first && command->verb) {
            ks_line(lines, "        %s) words=\"", command->noun);
            put_verbs(lines, table, command->noun);
            ks_line(lines, "\" ;;\n");
        }
    }
}

static void put_option_cases(struct ks_lines *lines, const struct ks_command_table *table)
{
    for (size_t i = 0; i < table->command_count; i++) {
        const struct ks_command *command = &table->commands[i];
        ks_line(lines, "        \"%s %s\") words=\"", command->noun,
                command->verb ? command->verb : "");
        for (size_t k = 0; k < command->option_count; k++) {
            ks_line(lines, "--%s ", command->options[k].name);
        }
        ks_line(lines, "\" ;;\n");
    }
}

static void put_globals(struct ks_lines *lines, const struct ks_command_table *table)
{
    for (size_t i = 0; i < table->global_count; i++) {
        ks_line(lines, "--%s ", table->globals[i].name);
    }
}

ks_result ks_completion(const struct ks_command_table *table, struct ks_buffer *out)
{
    struct ks_lines lines = {.out = out};
    ks_line(&lines,
            "# bash completion of %s: source <(%s completion bash)\n"
            "_%s() {\n"
            "    local word=${COMP_WORDS[COMP_CWORD]} noun=${COMP_WORDS[1]} verb= words=\n"
            "    case \"$noun\" in\n",
            table->program, table->program, table->program);
    put_verb_cases(&lines, table);
    ks_line(&lines, "    esac\n"
                    "    [ -n \"$words\" ] && verb=${COMP_WORDS[2]}\n"
                    "    if [ \"$COMP_CWORD\" = 1 ]; then\n"
                    "        words=\"");
    put_nouns(&lines, table);
    ks_line(&lines, "\"\n"
                    "    elif [ \"$COMP_CWORD\" != 2 ] || [ -z \"$words\" ]; then\n"
                    "        case \"$noun $verb\" in\n");
    put_option_cases(&lines, table);
    ks_line(&lines, "        esac\n        words=\"$words ");
    put_globals(&lines, table);
    ks_line(&lines,
            "\"\n"
            "    fi\n"
            "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
            "}\n"
            "complete -o default -F _%s %s\n",
            table->program, table->program);
    return lines.result;
}
