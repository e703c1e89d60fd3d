#include "services/cli/setup/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "services/cli/output/emit.h"

#define READ_LEN 4096U

static void close_file(const int *file)
{
    if (*file >= 0) {
        close(*file);
    }
}

static ks_result fail_file(struct ks_failure *failure, ks_code code, const char *what,
                           const char *path)
{
    return ks_fail(failure, code, "cannot %s %.400s: %s", what, path, strerror(errno));
}

ks_result ks_disk_read(const char *path, struct ks_buffer *out, struct ks_failure *failure)
{
    KS_CLEANUP(close_file) int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return fail_file(failure, errno == ENOENT ? KS_NOT_FOUND : KS_INTERNAL, "read", path);
    }
    for (ssize_t count = 1; count != 0;) {
        uint8_t *place;
        size_t room = out->len_max - out->len < READ_LEN ? out->len_max - out->len : READ_LEN;
        if (room == 0) {
            return ks_fail(failure, KS_LIMIT_EXCEEDED, "%.400s is longer than %zu bytes", path,
                           out->len_max - 1);
        }
        KS_TRY(ks_buffer_extend(out, room, &place));
        count = read(file, place, room);
        if (count < 0 && errno != EINTR) {
            return fail_file(failure, KS_INTERNAL, "read", path);
        }
        out->len -= room - (count > 0 ? (size_t)count : 0);
    }
    return KS_RES(OK);
}

static ks_result write_new(const char *path, ks_bytes bytes, mode_t mode,
                           struct ks_failure *failure)
{
    KS_CLEANUP(close_file)
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (file < 0 || fchmod(file, mode) != 0) {
        return fail_file(failure, KS_INTERNAL, "write", path);
    }
    KS_TRY(ks_emit(file, bytes, failure));
    return fsync(file) == 0 ? KS_RES(OK) : fail_file(failure, KS_INTERNAL, "write", path);
}

ks_result ks_disk_write(const char *path, ks_bytes bytes, mode_t mode, struct ks_failure *failure)
{
    char partial[PATH_MAX];
    int len = snprintf(partial, sizeof(partial), "%s.new", path);
    if (len < 0 || (size_t)len >= sizeof(partial)) {
        return ks_fail(failure, KS_INTERNAL, "the path %.200s is too long", path);
    }
    if (unlink(partial) != 0 && errno != ENOENT) {
        return fail_file(failure, KS_INTERNAL, "remove", partial);
    }
    KS_TRY(write_new(partial, bytes, mode, failure));
    return rename(partial, path) == 0 ? KS_RES(OK) : fail_file(failure, KS_INTERNAL, "write", path);
}
