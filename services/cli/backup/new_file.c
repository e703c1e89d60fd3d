#include "services/cli/backup/new_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "services/cli/output/emit.h"

#define MODE 0600

static ks_result fail(struct ks_failure *failure, const char *what, const char *path)
{
    return ks_fail(failure, KS_INTERNAL, "cannot %s %.400s: %s", what, path, strerror(errno));
}

static ks_result fail_exists(struct ks_failure *failure, const char *path)
{
    return ks_fail(failure, KS_ALREADY_EXISTS, "%.400s exists already, and is left as it is", path);
}

ks_result ks_new_file_begin(const char *path, struct ks_new_file *ret_new,
                            struct ks_failure *failure)
{
    struct stat about;
    int len = snprintf(ret_new->partial, sizeof(ret_new->partial), "%s.partial", path);
    if (len < 0 || (size_t)len >= sizeof(ret_new->partial)) {
        return ks_fail(failure, KS_INTERNAL, "the path %.200s is too long", path);
    }
    snprintf(ret_new->path, sizeof(ret_new->path), "%s", path);
    if (lstat(path, &about) == 0) {
        return fail_exists(failure, path);
    }
    if (unlink(ret_new->partial) != 0 && errno != ENOENT) {
        return fail(failure, "remove", ret_new->partial);
    }
    int file = open(ret_new->partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, MODE);
    if (file < 0) {
        return fail(failure, "write", ret_new->partial);
    }
    ret_new->file = file;
    return fchmod(file, MODE) == 0 ? KS_RES(OK) : fail(failure, "write", ret_new->partial);
}

ks_result ks_new_file_write(struct ks_new_file *new_file, ks_bytes bytes,
                            struct ks_failure *failure)
{
    if (ks_failed(ks_emit(new_file->file, bytes, failure))) {
        return fail(failure, "write", new_file->partial);
    }
    return KS_RES(OK);
}

/* The name is on the disk when its folder is. */
static ks_result sync_folder(const struct ks_new_file *new_file, struct ks_failure *failure)
{
    char folder[PATH_MAX];
    snprintf(folder, sizeof(folder), "%s", new_file->path);
    char *slash = strrchr(folder, '/');
    if (slash) {
        slash[slash == folder ? 1 : 0] = '\0';
    } else {
        snprintf(folder, sizeof(folder), ".");
    }
    int file = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file < 0) {
        return fail(failure, "open", folder);
    }
    int failed = fsync(file);
    close(file);
    return failed == 0 ? KS_RES(OK) : fail(failure, "write", folder);
}

/* A link, and no rename: that would replace what has got the name meanwhile. */
ks_result ks_new_file_keep(struct ks_new_file *new_file, struct ks_failure *failure)
{
    if (fsync(new_file->file) != 0) {
        return fail(failure, "write", new_file->partial);
    }
    if (link(new_file->partial, new_file->path) != 0) {
        return errno == EEXIST ? fail_exists(failure, new_file->path)
                               : fail(failure, "write", new_file->path);
    }
    ks_new_file_done(new_file);
    return sync_folder(new_file, failure);
}

void ks_new_file_done(struct ks_new_file *new_file)
{
    if (new_file->file >= 0) {
        close(new_file->file);
        (void)unlink(new_file->partial);
        new_file->file = -1;
    }
}
