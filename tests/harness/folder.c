#include "tests/harness/folder.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "pkg/base/mem.h"

char *test_folder_new(const char *name)
{
    const char *base = getenv("TEST_TMPDIR");
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/%s-XXXXXX", base ? base : "/tmp", name);
    if (!mkdtemp(path)) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    return ks_strdup(path);
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *place)
{
    (void)info;
    (void)type;
    (void)place;
    return remove(path);
}

void test_folder_remove(const char *folder)
{
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void test_sleep_ms(int64_t ms)
{
    const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    (void)nanosleep(&pause, NULL);
}
