/*
 * The main of a fuzz target that is not linked with libFuzzer: runs each file named on the command
 * line, and each file in the folders named there, once. No file at all is an error: a corpus that
 * was not found must not pass for one that did no harm.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

#include "pkg/base/bytes.h"
#include "pkg/base/mem.h"

#define INPUT_LEN_MAX (16U << 20)
#define PATH_LEN_MAX  4096U

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void close_file(FILE **file)
{
    if (*file) {
        fclose(*file);
    }
}

static void close_folder(DIR **folder)
{
    if (*folder) {
        closedir(*folder);
    }
}

/* A heap copy of the exact length, so that a sanitizer sees a read past the end. */
static bool run_file(const char *path)
{
    KS_CLEANUP(close_file) FILE *file = fopen(path, "rb");
    struct stat about;
    if (!file || fstat(fileno(file), &about) != 0 || about.st_size > INPUT_LEN_MAX) {
        perror(path);
        return false;
    }
    size_t len = (size_t)about.st_size;
    KS_AUTO_FREE uint8_t *data = ks_alloc(len, 1);
    if (fread(data, 1, len, file) != len) {
        perror(path);
        return false;
    }
    (void)LLVMFuzzerTestOneInput(data, len);
    return true;
}

/* Runs path or what stands in it, one level deep; returns the number of files, -1 on failure. */
static int run_path(const char *path)
{
    KS_CLEANUP(close_folder) DIR *folder = opendir(path);
    if (!folder) {
        return run_file(path) ? 1 : -1;
    }
    int count = 0;
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        char file[PATH_LEN_MAX];
        int len = snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
        if (entry->d_name[0] == '.') {
            continue;
        }
        if (len >= (int)sizeof(file) || !run_file(file)) {
            return -1;
        }
        count++;
    }
    return count;
}

int main(int argc, char **argv)
{
    int total = 0;
    for (int i = 1; i < argc; i++) {
        int count = run_path(argv[i]);
        if (count < 0) {
            return 1;
        }
        total += count;
    }
    printf("%d inputs\n", total);
    return total > 0 ? 0 : 1;
}
