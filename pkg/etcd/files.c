#include "pkg/etcd/files.h"

#include <sys/stat.h>

#include "pkg/base/mem.h"

#define LOOK_NS KS_NS_PER_S

/* Differs when the file was written or another one took its name; 0: it is not there just now. */
static uint64_t mark_of(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        return 0;
    }
    uint64_t written_ns = (uint64_t)st.st_mtim.tv_sec * 1000000000U + (uint64_t)st.st_mtim.tv_nsec;
    return (written_ns ^ (uint64_t)st.st_ino << 40) | 1U;
}

void ks_etcd_files_init(struct ks_etcd_files *files, const char *const *paths,
                        const struct ks_clock *clock)
{
    *files = (struct ks_etcd_files){.clock = clock};
    for (size_t i = 0; i < KS_ETCD_FILES_COUNT; i++) {
        files->paths[i] = ks_strdup(paths[i]);
        files->marks[i] = mark_of(paths[i]);
    }
    files->looked_at_ns = ks_clock_boot_ns(clock);
    files->changed_at_ns = files->looked_at_ns;
}

void ks_etcd_files_done(struct ks_etcd_files *files)
{
    for (size_t i = 0; i < KS_ETCD_FILES_COUNT; i++) {
        ks_free(files->paths[i]);
    }
    *files = (struct ks_etcd_files){0};
}

int64_t ks_etcd_files_age_s(struct ks_etcd_files *files)
{
    int64_t now_ns = ks_clock_boot_ns(files->clock);
    if (now_ns - files->looked_at_ns >= LOOK_NS) {
        files->looked_at_ns = now_ns;
        for (size_t i = 0; i < KS_ETCD_FILES_COUNT; i++) {
            uint64_t mark = mark_of(files->paths[i]);
            files->changed_at_ns = mark != files->marks[i] ? now_ns : files->changed_at_ns;
            files->marks[i] = mark;
        }
    }
    int64_t age_s = (now_ns - files->changed_at_ns) / KS_NS_PER_S;
    return age_s > 1 ? age_s : 1;
}
