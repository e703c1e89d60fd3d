#include "pkg/store/copy/folder.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pkg/crypto/random.h"

#define BOOT_ID_FILE "/proc/sys/kernel/random/boot_id"
#define CLEAN        "clean\n"
#define DAMAGED      "damaged\n"

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
}

#define FD_AUTO KS_CLEANUP(close_fd) int

char *ks_folder_path(const struct ks_folder *folder, const char *name)
{
    size_t len = strlen(folder->path) + strlen(name) + 2;
    char *path = ks_alloc(len, 1);
    snprintf(path, len, "%s/%s", folder->path, name);
    return path;
}

/* Reads a small text and ends it with a NUL; false when there is no such file. */
static bool read_small(const char *path, char text[KS_FOLDER_FILE_MAX])
{
    FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t len = read(fd, text, KS_FOLDER_FILE_MAX - 1);
    if (len < 0) {
        return false;
    }
    text[len] = 0;
    return true;
}

static ks_result sync_folder(const struct ks_folder *folder)
{
    FD_AUTO fd = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 && fsync(fd) == 0 ? KS_RES(OK) : KS_RES(INTERNAL);
}

/* Whole or not at all: a new file under another name, forced to disk, then renamed. */
ks_result ks_folder_write(const struct ks_folder *folder, const char *name, ks_bytes bytes)
{
    KS_AUTO_FREE char *path = ks_folder_path(folder, name);
    KS_AUTO_FREE char *new_path = ks_folder_path(folder, "new");
    FD_AUTO fd = open(new_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool written = bytes.len <= KS_FOLDER_FILE_MAX && fd >= 0 &&
                   write(fd, bytes.ptr, bytes.len) == (ssize_t)bytes.len && fsync(fd) == 0 &&
                   rename(new_path, path) == 0;
    return written ? sync_folder(folder) : KS_RES(INTERNAL);
}

static ks_result write_small(const struct ks_folder *folder, const char *name, const char *text)
{
    return ks_folder_write(folder, name, ks_bytes_of(text));
}

ks_result ks_folder_read(const struct ks_folder *folder, const char *name,
                         uint8_t ret_bytes[KS_FOLDER_FILE_MAX], size_t *ret_len)
{
    KS_AUTO_FREE char *path = ks_folder_path(folder, name);
    FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? KS_RES(NOT_FOUND) : KS_RES(INTERNAL);
    }
    ssize_t len = read(fd, ret_bytes, KS_FOLDER_FILE_MAX);
    if (len < 0) {
        return KS_RES(INTERNAL);
    }
    *ret_len = (size_t)len;
    return KS_RES(OK);
}

ks_result ks_folder_unlink(const struct ks_folder *folder, const char *name)
{
    KS_AUTO_FREE char *path = ks_folder_path(folder, name);
    if (unlink(path) != 0) {
        return errno == ENOENT ? KS_RES(OK) : KS_RES(INTERNAL);
    }
    return sync_folder(folder);
}

static ks_result write_identity(const struct ks_folder *folder)
{
    char text[KS_FOLDER_FILE_MAX];
    snprintf(text, sizeof(text), "%s %" PRIu64 "\n", folder->keystore_id, folder->life);
    return write_small(folder, "keystore", text);
}

static ks_result make_id(char ret_id[KS_KEYSTORE_ID_LEN + 1])
{
    uint8_t bytes[KS_KEYSTORE_ID_LEN / 2];
    KS_TRY(ks_random_public(bytes, sizeof(bytes)));
    for (size_t i = 0; i < sizeof(bytes); i++) {
        snprintf(ret_id + 2 * i, 3, "%02x", bytes[i]);
    }
    return KS_RES(OK);
}

ks_result ks_folder_renew(struct ks_folder *folder)
{
    KS_TRY(make_id(folder->keystore_id));
    folder->life = 1;
    return write_identity(folder);
}

/* "<id> <life>\n": 32 hex digits and a number. */
static bool parse_identity(const char *text, uint64_t *ret_life)
{
    if (strspn(text, "0123456789abcdef") != KS_KEYSTORE_ID_LEN || text[KS_KEYSTORE_ID_LEN] != ' ' ||
        !isdigit((unsigned char)text[KS_KEYSTORE_ID_LEN + 1])) {
        return false;
    }
    char *end = NULL;
    errno = 0;
    unsigned long long life = strtoull(text + KS_KEYSTORE_ID_LEN + 1, &end, 10);
    *ret_life = life;
    return errno == 0 && *end == '\n' && life < UINT64_MAX;
}

/* A file that can't be read makes a new keystore: the record of the old one is struck in time. */
static ks_result next_life(struct ks_folder *folder)
{
    KS_AUTO_FREE char *path = ks_folder_path(folder, "keystore");
    char text[KS_FOLDER_FILE_MAX];
    uint64_t life = 0;
    if (!read_small(path, text) || !parse_identity(text, &life)) {
        return ks_folder_renew(folder);
    }
    memcpy(folder->keystore_id, text, KS_KEYSTORE_ID_LEN);
    folder->keystore_id[KS_KEYSTORE_ID_LEN] = '\0';
    folder->life = life + 1;
    return write_identity(folder);
}

static ks_result lock(struct ks_folder *folder)
{
    KS_AUTO_FREE char *path = ks_folder_path(folder, "lock");
    folder->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (folder->lock_fd < 0) {
        return KS_RES(INTERNAL);
    }
    if (flock(folder->lock_fd, LOCK_EX | LOCK_NB) == 0) {
        return KS_RES(OK);
    }
    return errno == EWOULDBLOCK ? KS_RES(CONFLICT) : KS_RES(INTERNAL);
}

static ks_result make_folder(const char *path)
{
    return mkdir(path, 0700) == 0 || errno == EEXIST ? KS_RES(OK) : KS_RES(INTERNAL);
}

static ks_result open_parts(struct ks_folder *folder)
{
    KS_AUTO_FREE char *copy = ks_folder_path(folder, "copy");
    KS_TRY(make_folder(folder->path));
    KS_TRY(lock(folder));
    KS_TRY(make_folder(copy));
    return next_life(folder);
}

ks_result ks_folder_open(const char *path, struct ks_folder *ret_folder)
{
    assert(path && path[0]);

    struct ks_folder folder = {.path = ks_strdup(path), .lock_fd = -1};
    ks_result opened = open_parts(&folder);
    if (ks_failed(opened)) {
        ks_folder_close(&folder);
        return opened;
    }
    *ret_folder = folder;
    return KS_RES(OK);
}

void ks_folder_close(struct ks_folder *folder)
{
    if (folder->path && folder->lock_fd >= 0) {
        close(folder->lock_fd);
    }
    ks_free(folder->path);
    *folder = (struct ks_folder){.lock_fd = -1};
}

bool ks_folder_is_intact(const struct ks_folder *folder)
{
    KS_AUTO_FREE char *path = ks_folder_path(folder, "marker");
    char mark[KS_FOLDER_FILE_MAX];
    char boot_id[KS_FOLDER_FILE_MAX];
    if (!read_small(path, mark)) {
        return false;
    }
    return strcmp(mark, CLEAN) == 0 ||
           (read_small(BOOT_ID_FILE, boot_id) && boot_id[0] && strcmp(mark, boot_id) == 0);
}

ks_result ks_folder_mark(const struct ks_folder *folder, enum ks_folder_mark mark)
{
    char boot_id[KS_FOLDER_FILE_MAX];
    if (mark != KS_FOLDER_IN_USE) {
        return write_small(folder, "marker", mark == KS_FOLDER_CLEAN ? CLEAN : DAMAGED);
    }
    if (!read_small(BOOT_ID_FILE, boot_id)) {
        return KS_RES(INTERNAL);
    }
    return write_small(folder, "marker", boot_id);
}

bool ks_folder_save_time(const struct ks_folder *folder, const char *text)
{
    char boot_id[KS_FOLDER_FILE_MAX];
    char whole[KS_FOLDER_FILE_MAX + KS_FOLDER_TIME_MAX + 1];
    assert(strlen(text) <= KS_FOLDER_TIME_MAX);
    if (!read_small(BOOT_ID_FILE, boot_id)) {
        return false;
    }
    size_t len = (size_t)snprintf(whole, sizeof(whole), "%s%s", boot_id, text);
    KS_AUTO_FREE char *path = ks_folder_path(folder, "time");
    KS_AUTO_FREE char *new_path = ks_folder_path(folder, "new-time");
    FD_AUTO fd = open(new_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    return fd >= 0 && write(fd, whole, len) == (ssize_t)len && rename(new_path, path) == 0;
}

bool ks_folder_load_time(const struct ks_folder *folder, char ret_text[KS_FOLDER_TIME_MAX + 1],
                         bool *ret_is_same_boot)
{
    char boot_id[KS_FOLDER_FILE_MAX];
    char whole[KS_FOLDER_FILE_MAX + KS_FOLDER_TIME_MAX + 1];
    KS_AUTO_FREE char *path = ks_folder_path(folder, "time");
    FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, whole, sizeof(whole) - 1);
    if (len < 0 || !read_small(BOOT_ID_FILE, boot_id)) {
        return false;
    }
    whole[len] = 0;
    const char *text = strchr(whole, '\n');
    if (!text || strlen(text + 1) > KS_FOLDER_TIME_MAX) {
        return false;
    }
    text++;
    ks_bytes saved_id = {(const uint8_t *)whole, (size_t)(text - whole)};
    *ret_is_same_boot = ks_bytes_equal(saved_id, ks_bytes_of(boot_id));
    memcpy(ret_text, text, strlen(text) + 1);
    return true;
}

ks_result ks_folder_throw_away(const struct ks_folder *folder, const char *name)
{
    static const char *const files[] = {"data.mdb", "lock.mdb"};
    for (size_t i = 0; i < KS_COUNT(files); i++) {
        char relative[KS_FOLDER_FILE_MAX];
        snprintf(relative, sizeof(relative), "%s/%s", name, files[i]);
        KS_AUTO_FREE char *path = ks_folder_path(folder, relative);
        if (unlink(path) != 0 && errno != ENOENT) {
            return KS_RES(INTERNAL);
        }
    }
    return sync_folder(folder);
}
