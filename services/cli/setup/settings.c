#include "services/cli/setup/settings.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pkg/base/mem.h"
#include "pkg/config/config.h"
#include "services/cli/output/failure.h"

#define VALUE_LEN_MAX   1024
#define PATH_LEN        1200U
#define DEFAULT_PROFILE "default"

struct ks_profile {
#define FIELD(name, field, option, environment, value, help) char *field;
    KS_SETTINGS(FIELD)
#undef FIELD
};

#define CONFIG_ROW(name, field, option, environment, value, help)                                  \
    KS_CONFIG_TEXT(struct ks_profile, field, "", 0, VALUE_LEN_MAX, help),
static const struct ks_config_option profile_options[] = {KS_SETTINGS(CONFIG_ROW)};
#undef CONFIG_ROW

static const struct ks_config_table profile_table = {.program = "keystead",
                                                     .about = "a profile.",
                                                     .options = profile_options,
                                                     .option_count = KS_COUNT(profile_options)};

#define OPTION_ROW(name, field, option, environment, value, help)                                  \
    {option, value, help " [" environment "]", NULL, 0},
const struct ks_option ks_global_options[KS_GLOBAL_OPTION_COUNT] = {
    KS_SETTINGS(OPTION_ROW){"profile", "NAME",
                            "which profile counts, if not 'default' [KEYSTEAD_PROFILE]", NULL, 0},
    {"timeout", "TIME", "how long a call is tried again; 10s unless said", NULL, 0},
    {"output", "table|json", "form of what is printed; table unless said", NULL, 0},
    {"verbose", NULL, "show what the connection complains of", NULL, 0},
    {"help", NULL, "show this", NULL, 0},
};
#undef OPTION_ROW

struct source {
    const char *option;
    const char *environment;
};

#define SOURCE_ROW(name, field, option, environment, value, help) {option, environment},
static const struct source sources[KS_SETTING_COUNT] = {KS_SETTINGS(SOURCE_ROW)};
#undef SOURCE_ROW

/* An empty variable is as good as none. */
static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value && value[0] ? value : NULL;
}

const char *ks_profile_get(const struct ks_profile *profile, enum ks_setting which)
{
    return *(char *const *)((const char *)profile + profile_options[which].offset);
}

ks_result ks_settings_load(const struct ks_arguments *arguments, struct ks_settings *ret_settings,
                           struct ks_failure *failure)
{
    const char *name = ks_argument(arguments, "profile");
    name = name ? name : environment("KEYSTEAD_PROFILE");
    struct ks_settings settings = {0};
    ks_result r = ks_profile_read(name ? name : DEFAULT_PROFILE, &settings.profile, failure);
    if (ks_failed(r) && (name || r.code != KS_NOT_FOUND)) {
        return r;
    }
    for (int i = 0; i < KS_SETTING_COUNT; i++) {
        const char *value = ks_argument(arguments, sources[i].option);
        value = value && value[0] ? value : environment(sources[i].environment);
        if (!value && settings.profile) {
            const char *said = ks_profile_get(settings.profile, (enum ks_setting)i);
            value = said[0] ? said : NULL;
        }
        settings.values[i] = value;
    }
    *ret_settings = settings;
    return KS_RES(OK);
}

void ks_settings_done(struct ks_settings *settings)
{
    ks_profile_free(settings->profile);
    *settings = (struct ks_settings){0};
}

ks_result ks_settings_need(const struct ks_settings *settings, enum ks_setting which,
                           const char **ret_value, struct ks_failure *failure)
{
    if (!settings->values[which]) {
        return ks_fail(failure, KS_VALIDATION, "--%s is missing; %s or a profile may say it, too",
                       sources[which].option, sources[which].environment);
    }
    *ret_value = settings->values[which];
    return KS_RES(OK);
}

ks_result ks_settings_need_option(const struct ks_settings *settings, const char *option,
                                  const char **ret_value, struct ks_failure *failure)
{
    int which = 0;
    while (which < KS_SETTING_COUNT && strcmp(sources[which].option, option) != 0) {
        which++;
    }
    assert(which < KS_SETTING_COUNT);

    return ks_settings_need(settings, (enum ks_setting)which, ret_value, failure);
}

/* ---- Profiles as files ---- */

ks_result ks_profile_folder(char *ret_path, size_t path_len)
{
    const char *config = environment("XDG_CONFIG_HOME");
    const char *home = environment("HOME");
    if (!config && !home) {
        return KS_RES(NOT_FOUND);
    }
    int len = config ? snprintf(ret_path, path_len, "%s/keystead", config)
                     : snprintf(ret_path, path_len, "%s/.config/keystead", home);
    return len > 0 && (size_t)len < path_len ? KS_RES(OK) : KS_RES(LIMIT_EXCEEDED);
}

bool ks_profile_name_is_valid(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789._-";
    size_t len = strnlen(name, KS_PROFILE_NAME_MAX + 1);
    return len >= 1 && len <= KS_PROFILE_NAME_MAX && name[0] != '.' && strspn(name, allowed) == len;
}

ks_result ks_profile_read(const char *name, struct ks_profile **ret_profile,
                          struct ks_failure *failure)
{
    if (!ks_profile_name_is_valid(name)) {
        return ks_fail(failure, KS_VALIDATION, "'%.64s' is no name of a profile", name);
    }
    char folder[PATH_LEN - KS_PROFILE_NAME_MAX - sizeof("/.yaml")];
    char path[PATH_LEN];
    ks_result r = ks_profile_folder(folder, sizeof(folder));
    if (ks_failed(r)) {
        return ks_fail(failure, r.code, "no folder of profiles: set XDG_CONFIG_HOME or HOME");
    }
    snprintf(path, sizeof(path), "%s/%s.yaml", folder, name);
    char text[KS_CONFIG_ERROR_LEN];
    struct ks_profile *profile = ks_alloc(1, sizeof(*profile));
    r = ks_config_load(&profile_table, path, profile, text);
    if (ks_failed(r)) {
        ks_profile_free(profile);
        return ks_fail(failure, r.code, "%s", text);
    }
    *ret_profile = profile;
    return KS_RES(OK);
}

void ks_profile_free(struct ks_profile *profile)
{
    if (!profile) {
        return;
    }
    ks_config_done(&profile_table, profile);
    ks_free(profile);
}
