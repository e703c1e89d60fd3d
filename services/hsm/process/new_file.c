#include "services/hsm/process/new_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pkg/base/mem.h"

static void close_file(const int *file)
{
    if (*file >= 0) {
        close(*file);
    }
}

ks_result ks_file_read(const char *path, struct ks_buffer *out)
{
    assert(path && out);

    KS_CLEANUP(close_file) int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return KS_RES(NOT_FOUND);
    }
    uint8_t *place = NULL;
    size_t room = out->len_max - out->len;
    size_t begin = out->len;
    size_t len = 0;
    KS_TRY(ks_buffer_extend(out, room, &place));
    while (len < room) {
        ssize_t got = read(file, place + len, room - len);
        if (got < 0 && errno != EINTR) {
            return KS_RES(INTERNAL);
        }
        if (got == 0) {
            out->len = begin + len;
            return len > 0 ? KS_RES(OK) : KS_RES(VALIDATION);
        }
        len += got > 0 ? (size_t)got : 0;
    }
    return KS_RES(VALIDATION);
}

static ks_result write_all(int file, ks_bytes bytes)
{
    size_t done = 0;
    while (done < bytes.len) {
        ssize_t wrote = write(file, bytes.ptr + done, bytes.len - done);
        if (wrote < 0 && errno != EINTR) {
            return KS_RES(INTERNAL);
        }
        done += wrote > 0 ? (size_t)wrote : 0;
    }
    return fsync(file) == 0 ? KS_RES(OK) : KS_RES(INTERNAL);
}

/* The name of a file is on disk only when its folder is. */
static ks_result sync_folder_of(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    int len = slash ? snprintf(folder, sizeof(folder), "%.*s/", (int)(slash - path), path)
                    : snprintf(folder, sizeof(folder), ".");
    if (len < 0 || (size_t)len >= sizeof(folder)) {
        errno = ENAMETOOLONG;
        return KS_RES(INTERNAL);
    }
    KS_CLEANUP(close_file) int file = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return file >= 0 && fsync(file) == 0 ? KS_RES(OK) : KS_RES(INTERNAL);
}

static ks_result write_partial(const char *partial, ks_bytes bytes, mode_t mode)
{
    KS_CLEANUP(close_file)
    int file = open(partial, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (file < 0 || fchmod(file, mode) != 0) {
        return KS_RES(INTERNAL);
    }
    return write_all(file, bytes);
}

ks_result ks_file_make(const char *path, ks_bytes bytes, mode_t mode)
{
    assert(path);

    char partial[PATH_MAX];
    int len = snprintf(partial, sizeof(partial), "%s.new", path);
    if (len < 0 || (size_t)len >= sizeof(partial)) {
        errno = ENAMETOOLONG;
        return KS_RES(INTERNAL);
    }
    if (unlink(partial) != 0 && errno != ENOENT) {
        return KS_RES(INTERNAL);
    }
    ks_result r = write_partial(partial, bytes, mode);
    /* A link fails where a file stands; a rename would replace it. */
    if (!ks_failed(r) && link(partial, path) != 0) {
        r = errno == EEXIST ? KS_RES(ALREADY_EXISTS) : KS_RES(INTERNAL);
    }
    int cause = errno;
    (void)unlink(partial);
    errno = cause;
    KS_TRY(r);
    return sync_folder_of(path);
}
