/*
 * program_fixture: the program itself, run as a person or a script would, and a folder for files.
 *
 * Threads: one.
 */
#pragma once

#include "pkg/base/bytes.h"
#include "pkg/base/mem.h"

/* Makes and removes the folder. Answer 0 on success. */
int fixture_folder_make(void);
int fixture_folder_remove(void);

/* A file in the folder; borrowed until the next sixteen calls. */
const char *fake_path(const char *name);

/* Whole files; a failure ends the test. */
void fixture_write(const char *path, ks_bytes bytes);
void fixture_read(const char *path, struct ks_buffer *out);

/* How a run ended. */
struct ran {
    int code;             /* exit code; -1 if it did not end by itself */
    struct ks_buffer out; /* both with a NUL behind their end */
    struct ks_buffer err;
};
void ran_done(struct ran *ran);
#define RAN_AUTO KS_CLEANUP(ran_done) struct ran

/* Runs the program with words, ending with NULL, and bytes on stdin. */
struct ran run_program(const char *const *words, ks_bytes input);
#define RUN(...) run_program((const char *const[]){__VA_ARGS__, NULL}, (ks_bytes){0})

/* The same with stdout on a terminal; what it shows is in out. */
struct ran run_on_terminal(const char *const *words, ks_bytes input);
