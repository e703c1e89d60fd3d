/* profile list, completion, version: what the program knows without asking anybody. */

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pkg/base/mem.h"
#include "pkg/json/json.h"
#include "services/cli/arguments/help.h"
#include "services/cli/commands/commands.h"
#include "services/cli/output/emit.h"
#include "services/cli/output/table.h"
#include "services/cli/setup/cli.h"

#define VERSION          "0.1.0"
#define TEXT_LEN_MAX     (1024U * 1024U)
#define PROFILES_MAX     1000U
#define PROFILE_PATH_LEN 1200U
#define ENDING           ".yaml"
#define INDENT           2U

ks_result ks_run_version(struct ks_cli *cli)
{
    if (cli->output == KS_OUTPUT_JSON) {
        return ks_emit(STDOUT_FILENO, KS_LITERAL("{\"Version\": \"" VERSION "\"}\n"),
                       &cli->failure);
    }
    return ks_emit(STDOUT_FILENO, KS_LITERAL("keystead " VERSION "\n"), &cli->failure);
}

ks_result ks_run_completion(struct ks_cli *cli)
{
    const char *shell = ks_argument(&cli->arguments, "shell");
    if (strcmp(shell, "bash") != 0) {
        return ks_fail(&cli->failure, KS_VALIDATION, "there is a completion for bash, not '%.20s'",
                       shell);
    }
    KS_BUFFER_AUTO out = {.len_max = TEXT_LEN_MAX};
    KS_TRY(ks_completion(&ks_commands, &out));
    return ks_emit(STDOUT_FILENO, ks_buffer_bytes(&out), &cli->failure);
}

/* ---- Profiles ---- */

static void close_folder(DIR **folder)
{
    if (*folder) {
        closedir(*folder);
    }
}

/* The names of profiles, sorted. Each is freed with ks_free. */
struct names {
    char *items[PROFILES_MAX];
    size_t count;
};

static void names_done(struct names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        ks_free(names->items[i]);
    }
}

/* Returns the name before ".yaml", which the caller frees; NULL for any other file. */
static char *name_of_file(const char *file)
{
    size_t len = strlen(file);
    size_t ending = sizeof(ENDING) - 1;
    if (len <= ending || strcmp(file + len - ending, ENDING) != 0) {
        return NULL;
    }
    char *name = ks_bytes_dup((ks_bytes){(const uint8_t *)file, len - ending});
    if (!ks_profile_name_is_valid(name)) {
        ks_free(name);
        return NULL;
    }
    return name;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* If there is no folder, there are no profiles. */
static void read_names(const char *path, struct names *names)
{
    KS_CLEANUP(close_folder) DIR *folder = opendir(path);
    struct dirent *entry;
    while (folder && names->count < PROFILES_MAX && (entry = readdir(folder))) {
        char *name = name_of_file(entry->d_name);
        if (name) {
            names->items[names->count++] = name;
        }
    }
    qsort(names->items, names->count, sizeof(names->items[0]), compare_names);
}

static ks_result print_table(struct ks_cli *cli, const struct names *names, struct ks_buffer *out)
{
    static const char *const titles[] = {"profile", "region", "account", "endpoint"};
    KS_TABLE_AUTO table = {.column_count = KS_COUNT(titles), .text = {.len_max = TEXT_LEN_MAX}};
    ks_table_titles(&table, titles);
    for (size_t i = 0; i < names->count; i++) {
        struct ks_profile *profile;
        KS_TRY(ks_profile_read(names->items[i], &profile, &cli->failure));
        ks_table_cell(&table, names->items[i]);
        ks_table_cell(&table, ks_profile_get(profile, KS_SETTING_REGION));
        ks_table_cell(&table, ks_profile_get(profile, KS_SETTING_ACCOUNT));
        ks_table_cell(&table, ks_profile_get(profile, KS_SETTING_ENDPOINT));
        ks_profile_free(profile);
    }
    return ks_table_print(&table, out);
}

static ks_result print_json(struct ks_cli *cli, const struct names *names, struct ks_buffer *out)
{
    struct ks_json_writer writer = {.buffer = out, .indent = INDENT};
    ks_json_object(&writer, NULL);
    ks_json_array(&writer, "Profiles");
    for (size_t i = 0; i < names->count; i++) {
        struct ks_profile *profile;
        KS_TRY(ks_profile_read(names->items[i], &profile, &cli->failure));
        ks_json_object(&writer, NULL);
        ks_json_put_string(&writer, "Name", names->items[i]);
        ks_json_put_string(&writer, "Region", ks_profile_get(profile, KS_SETTING_REGION));
        ks_json_put_string(&writer, "Account", ks_profile_get(profile, KS_SETTING_ACCOUNT));
        ks_json_put_string(&writer, "Endpoint", ks_profile_get(profile, KS_SETTING_ENDPOINT));
        ks_json_close(&writer);
        ks_profile_free(profile);
    }
    ks_json_close(&writer);
    ks_json_close(&writer);
    KS_TRY(ks_json_end(&writer));
    return ks_buffer_append(out, KS_LITERAL("\n"));
}

ks_result ks_run_profile_list(struct ks_cli *cli)
{
    char path[PROFILE_PATH_LEN];
    KS_CLEANUP(names_done) struct names names = {.count = 0};
    KS_BUFFER_AUTO out = {.len_max = TEXT_LEN_MAX};
    ks_result r = ks_profile_folder(path, sizeof(path));
    if (ks_failed(r)) {
        return ks_fail(&cli->failure, r.code, "no folder of profiles: set XDG_CONFIG_HOME or HOME");
    }
    read_names(path, &names);
    KS_TRY(cli->output == KS_OUTPUT_JSON ? print_json(cli, &names, &out)
                                         : print_table(cli, &names, &out));
    return ks_emit(STDOUT_FILENO, ks_buffer_bytes(&out), &cli->failure);
}
