#include "pkg/pkcs11/pin.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pkg/pkcs11/token.h"

static void close_at(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
}

static ks_result refuse(ks_code code, const char *hint, const char **reterr_hint)
{
    *reterr_hint = hint;
    return (ks_result){code};
}

/* One read returns a regular file of this size whole. */
static ks_result read_all(int fd, uint8_t *ret_text, size_t len_max, size_t *ret_len)
{
    ssize_t len;
    do {
        len = read(fd, ret_text, len_max);
    } while (len < 0 && errno == EINTR);
    if (len < 0) {
        return KS_RES(NOT_FOUND);
    }
    *ret_len = (size_t)len;
    return KS_RES(OK);
}

/*
 * systemd lets one user read a credential by an ACL, which shows as the group's permission. Nobody
 * else gets into the folder.
 */
static bool is_credential(const char *path)
{
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    size_t len = folder ? strlen(folder) : 0;
    return len > 0 && strncmp(path, folder, len) == 0 && path[len] == '/';
}

ks_result ks_pin_read(const char *path, struct ks_buffer *pin, const char **reterr_hint)
{
    assert(path && pin && reterr_hint);

    KS_CLEANUP(close_at) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    struct stat about;
    if (fd < 0 || fstat(fd, &about) != 0 || !S_ISREG(about.st_mode)) {
        return refuse(KS_NOT_FOUND, "the PIN file is absent or this user cannot read it",
                      reterr_hint);
    }
    if ((about.st_mode & (S_IRWXG | S_IRWXO)) != 0 && !is_credential(path)) {
        return refuse(KS_ACCESS_DENIED, "the PIN file is open to others: chmod go-rwx it",
                      reterr_hint);
    }
    uint8_t text[KS_TOKEN_PIN_MAX + 2]; /* a newline, and one byte that tells it is too long */
    size_t len = 0;
    if (ks_failed(read_all(fd, text, sizeof(text), &len))) {
        return refuse(KS_NOT_FOUND, "the PIN file cannot be read", reterr_hint);
    }
    if (len > 0 && text[len - 1] == '\n') {
        len--;
    }
    ks_result kept = len > 0 && len <= KS_TOKEN_PIN_MAX
                         ? ks_buffer_append(pin, (ks_bytes){text, len})
                         : refuse(KS_VALIDATION, "the PIN file holds 1 to 255 bytes", reterr_hint);
    ks_wipe(text, sizeof(text));
    return kept;
}
