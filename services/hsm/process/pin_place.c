#include "services/hsm/process/pin_place.h"

#include <assert.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "pkg/base/mem.h"

#define CREDENTIAL     "credential:"
#define DEFAULT_CONFIG "/etc/softhsm/softhsm2.conf"
#define TOKEN_FOLDER   "directories.tokendir"
#define LINE_LEN_MAX   2048U

static ks_result refuse(ks_code code, const char *hint, const char **reterr_hint)
{
    *reterr_hint = hint;
    return (ks_result){code};
}

ks_result ks_pin_place_find(const struct ks_hsm_settings *settings,
                            char ret_path[static KS_PIN_PATH_LEN_MAX], const char **reterr_hint)
{
    assert(settings && reterr_hint);

    const size_t prefix_len = strlen(CREDENTIAL);
    bool credential = strncmp(settings->pin_file, CREDENTIAL, prefix_len) == 0;
    const char *folder = credential ? getenv("CREDENTIALS_DIRECTORY") : NULL;
    if (credential && (!folder || strlen(folder) > KS_PIN_PATH_LEN_MAX / 2)) {
        return refuse(KS_NOT_FOUND,
                      "pin_file names a credential, and there is none: set LoadCredential= or "
                      "LoadCredentialEncrypted= in the unit",
                      reterr_hint);
    }
    int len = credential ? snprintf(ret_path, KS_PIN_PATH_LEN_MAX, "%s/%s", folder,
                                    settings->pin_file + prefix_len)
                         : snprintf(ret_path, KS_PIN_PATH_LEN_MAX, "%s", settings->pin_file);
    assert(len > 0 && (unsigned)len < KS_PIN_PATH_LEN_MAX); /* both parts are bounded */
    return KS_RES(OK);
}

static void close_file(FILE **file)
{
    if (*file) {
        fclose(*file);
    }
}

/* What stands behind `name =` in the line, without blanks at its ends; NULL: it is another line. */
static char *value_in(char *line, const char *name)
{
    size_t len = strlen(name);
    line += strspn(line, " \t");
    if (strncmp(line, name, len) != 0) {
        return NULL;
    }
    line += len + strspn(line + len, " \t");
    if (*line != '=') {
        return NULL;
    }
    line += 1 + strspn(line + 1, " \t");
    for (size_t end = strlen(line); end > 0 && strchr(" \t\r\n", line[end - 1]); end--) {
        line[end - 1] = '\0';
    }
    return line;
}

/* The folder of SoftHSM2's tokens, as it is named without links; false if it is not to be found. */
static bool find_token_folder(char ret_folder[static PATH_MAX])
{
    const char *path = getenv("SOFTHSM2_CONF");
    KS_CLEANUP(close_file) FILE *file = fopen(path ? path : DEFAULT_CONFIG, "re");
    char line[LINE_LEN_MAX];
    while (file && fgets(line, sizeof(line), file)) {
        const char *folder = value_in(line, TOKEN_FOLDER);
        if (folder) {
            return realpath(folder, ret_folder) != NULL;
        }
    }
    return false;
}

/* Whether the file lies below the folder in which the other one lies. */
static bool is_beside(const char *file, const char *folder)
{
    const char *end = strrchr(folder, '/');
    size_t len = end ? (size_t)(end - folder) + 1 : 0;
    return len > 1 && strncmp(file, folder, len) == 0;
}

static bool is_in_memory(const char *path)
{
    struct statfs about;
    return statfs(path, &about) == 0 &&
           (about.f_type == TMPFS_MAGIC || about.f_type == RAMFS_MAGIC);
}

static bool is_on_its_disk(const char *file, const char *folder)
{
    struct stat one;
    struct stat other;
    return stat(file, &one) != 0 || stat(folder, &other) != 0 ||
           (one.st_dev == other.st_dev && !is_in_memory(file));
}

ks_result ks_pin_place_check(const struct ks_hsm_settings *settings, const char *pin_path,
                             const char **reterr_hint)
{
    assert(settings && pin_path && reterr_hint);

    if (settings->development || !strstr(settings->token_module, "softhsm")) {
        return KS_RES(OK);
    }
    char folder[PATH_MAX];
    char pin[PATH_MAX];
    if (!find_token_folder(folder)) {
        return refuse(KS_NOT_FOUND,
                      "SoftHSM2's token folder is not to be found: set token_config, and "
                      "directories.tokendir in it",
                      reterr_hint);
    }
    if (!realpath(pin_path, pin)) {
        return refuse(KS_NOT_FOUND, "the PIN file is absent or this user cannot read it",
                      reterr_hint);
    }
    if (is_beside(pin, folder) || is_on_its_disk(pin, folder)) {
        return refuse(KS_ACCESS_DENIED,
                      "the PIN lies where its token does, so one disk gives both: use a systemd "
                      "credential or a file in memory (tmpfs), or set `development: true` for a "
                      "trial",
                      reterr_hint);
    }
    return KS_RES(OK);
}
