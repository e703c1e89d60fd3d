#include "pkg/pkcs11/softhsm_fixture.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "pkg/base/mem.h"

#define SO_PIN "0815-officer"

extern char **environ;

static void run(const char *const *arguments)
{
    pid_t child = -1;
    int status = -1;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    char *const *argv = (char *const *)(uintptr_t)arguments;
    assert_int_equal(posix_spawnp(&child, arguments[0], &actions, NULL, argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

void softhsm_add_token(const char *label)
{
    const char *const arguments[] = {"softhsm2-util", "--init-token", "--free",   "--label", label,
                                     "--pin",         SOFTHSM_PIN,    "--so-pin", SO_PIN,    NULL};
    run(arguments);
}

const char *softhsm_write_file(const struct softhsm *softhsm, const char *name, ks_bytes text)
{
    static char path[SOFTHSM_PATH_MAX + 16];
    int len = snprintf(path, sizeof(path), "%s/%.14s", softhsm->folder, name);
    assert_in_range(len, 1, sizeof(path) - 1);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_not_equal(fd, -1);
    assert_int_equal(write(fd, text.ptr, text.len), text.len);
    assert_int_equal(close(fd), 0);
    return path;
}

void softhsm_init(struct softhsm *softhsm)
{
    const char *parent = getenv("TEST_TMPDIR");
    int len = snprintf(softhsm->folder, sizeof(softhsm->folder), "%s/softhsm-XXXXXX",
                       parent ? parent : "/tmp");
    assert_in_range(len, 1, sizeof(softhsm->folder) - 1);
    assert_non_null(mkdtemp(softhsm->folder));

    char tokens[SOFTHSM_PATH_MAX + 16];
    snprintf(tokens, sizeof(tokens), "%s/tokens", softhsm->folder);
    assert_int_equal(mkdir(tokens, 0700), 0);
    char text[SOFTHSM_PATH_MAX + 128];
    len = snprintf(text, sizeof(text),
                   "directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n",
                   tokens);
    assert_in_range(len, 1, sizeof(text) - 1);
    const char *path =
        softhsm_write_file(softhsm, "softhsm2.conf", (ks_bytes){(uint8_t *)text, (size_t)len});
    assert_int_equal(setenv("SOFTHSM2_CONF", path, 1), 0);

    softhsm_add_token(SOFTHSM_LABEL);
    path = softhsm_write_file(softhsm, "pin", KS_LITERAL(SOFTHSM_PIN "\n"));
    snprintf(softhsm->pin_path, sizeof(softhsm->pin_path), "%s", path);
}

struct ks_token_options softhsm_options(const struct softhsm *softhsm)
{
    return (struct ks_token_options){SOFTHSM_MODULE, SOFTHSM_LABEL, softhsm->pin_path};
}

void softhsm_put(const struct softhsm *softhsm, const char *label, ks_bytes data)
{
    const struct ks_token_options options = softhsm_options(softhsm);
    KS_TOKEN_AUTO *token = NULL;
    const char *hint = NULL;
    assert_int_equal(ks_token_open(&options, &token, &hint).code, KS_OK);
    assert_int_equal(ks_token_put(token, label, data).code, KS_OK);
}

void softhsm_copy(const struct softhsm *softhsm, const char *name)
{
    char from[SOFTHSM_PATH_MAX + 16];
    char to[SOFTHSM_PATH_MAX + 16];
    snprintf(from, sizeof(from), "%s/tokens", softhsm->folder);
    snprintf(to, sizeof(to), "%s/%.14s", softhsm->folder, name);
    const char *const arguments[] = {"cp", "-a", from, to, NULL};
    run(arguments);
}

ks_code softhsm_open_copy(const struct softhsm *softhsm, const char *name, const char *label,
                          const char *pin_path)
{
    char text[SOFTHSM_PATH_MAX + 128];
    char *now = ks_strdup(getenv("SOFTHSM2_CONF"));
    int len = snprintf(text, sizeof(text),
                       "directories.tokendir = %s/%.14s\nobjectstore.backend = file\n",
                       softhsm->folder, name);
    const char *path =
        softhsm_write_file(softhsm, "copy.conf", (ks_bytes){(uint8_t *)text, (size_t)len});
    assert_int_equal(setenv("SOFTHSM2_CONF", path, 1), 0);
    const struct ks_token_options options = {SOFTHSM_MODULE, label, pin_path};
    KS_TOKEN_AUTO *token = NULL;
    const char *hint = NULL;
    ks_code code = ks_token_open(&options, &token, &hint).code;
    assert_int_equal(setenv("SOFTHSM2_CONF", now, 1), 0);
    ks_free(now);
    return code;
}

static int remove_one(const char *path, const struct stat *about, int type, struct FTW *where)
{
    (void)about;
    (void)type;
    (void)where;
    return remove(path);
}

void softhsm_done(struct softhsm *softhsm)
{
    assert_int_equal(nftw(softhsm->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}
