#include "services/cli/program_fixture.h"

#include <fcntl.h>
#include <pty.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PROGRAM    "services/cli/keystead"
#define PATH_LEN   256U
#define PATHS      16U
#define OUTPUT_MAX (8U * 1024U * 1024U)
#define WORDS_MAX  40U

extern char **environ;

static char folder[64];

int fixture_folder_make(void)
{
    snprintf(folder, sizeof(folder), "/tmp/ks-cli-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

int fixture_folder_remove(void)
{
    char command[PATH_LEN];
    snprintf(command, sizeof(command), "rm -r %s", folder);
    return system(command) == 0 ? 0 : -1;
}

const char *fake_path(const char *name)
{
    static char paths[PATHS][PATH_LEN];
    static size_t next;
    char *path = paths[next++ % PATHS];
    snprintf(path, PATH_LEN, "%s/%s", folder, name);
    return path;
}

void fixture_write(const char *path, ks_bytes bytes)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_true(bytes.len == 0 || fwrite(bytes.ptr, 1, bytes.len, file) == bytes.len);
    assert_int_equal(fclose(file), 0);
}

/* A NUL behind what it holds, so that it can be searched as a string. */
static void terminate(struct ks_buffer *text)
{
    assert_int_equal(ks_buffer_append(text, (ks_bytes){(const uint8_t *)"", 1}).code, KS_OK);
    text->len--;
}

void fixture_read(const char *path, struct ks_buffer *out)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    uint8_t *place;
    char chunk[4096];
    for (size_t len; (len = fread(chunk, 1, sizeof(chunk), file)) > 0;) {
        assert_int_equal(ks_buffer_extend(out, len, &place).code, KS_OK);
        memcpy(place, chunk, len);
    }
    fclose(file);
}

void ran_done(struct ran *ran)
{
    ks_buffer_done(&ran->out);
    ks_buffer_done(&ran->err);
}

/* Starts it with files as stdin and stderr, and an open file as stdout. */
static pid_t start(const char *const *words, int out)
{
    char *argv[WORDS_MAX + 2] = {(char *)(uintptr_t)PROGRAM};
    for (size_t i = 0; words[i]; i++) {
        assert_true(i < WORDS_MAX);
        argv[i + 1] = (char *)(uintptr_t)words[i];
    }
    posix_spawn_file_actions_t files;
    pid_t pid;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, fake_path("stdin"), O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&files, STDERR_FILENO, fake_path("stderr"),
                                     O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(posix_spawn(&pid, PROGRAM, &files, NULL, argv, environ), 0);
    posix_spawn_file_actions_destroy(&files);
    return pid;
}

static void finish(pid_t pid, struct ran *ran)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    ran->code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    fixture_read(fake_path("stderr"), &ran->err);
    terminate(&ran->err);
}

struct ran run_program(const char *const *words, ks_bytes input)
{
    struct ran ran = {.out = {.len_max = OUTPUT_MAX}, .err = {.len_max = OUTPUT_MAX}};
    fixture_write(fake_path("stdin"), input);
    int out = open(fake_path("stdout"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(out >= 0);
    finish(start(words, out), &ran);
    close(out);
    fixture_read(fake_path("stdout"), &ran.out);
    terminate(&ran.out);
    return ran;
}

struct ran run_on_terminal(const char *const *words, ks_bytes input)
{
    struct ran ran = {.out = {.len_max = OUTPUT_MAX}, .err = {.len_max = OUTPUT_MAX}};
    int ours;
    int theirs;
    fixture_write(fake_path("stdin"), input);
    assert_int_equal(openpty(&ours, &theirs, NULL, NULL, NULL), 0);
    finish(start(words, theirs), &ran);
    close(theirs);
    char chunk[4096];
    for (ssize_t len; (len = read(ours, chunk, sizeof(chunk))) > 0;) {
        assert_int_equal(ks_buffer_append(&ran.out, (ks_bytes){(uint8_t *)chunk, (size_t)len}).code,
                         KS_OK);
    }
    close(ours);
    terminate(&ran.out);
    return ran;
}
