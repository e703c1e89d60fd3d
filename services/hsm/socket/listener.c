#include "services/hsm/socket/listener.h"

#include <assert.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 16

static const mode_t modes[] = {
    [KS_HSM_MODE_0600] = 0600, [KS_HSM_MODE_0660] = 0660, [KS_HSM_MODE_0666] = 0666};

static struct sockaddr_un address_of(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    assert(len < sizeof(address.sun_path));

    memcpy(address.sun_path, path, len);
    return address;
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = address_of(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

ks_result ks_hsm_connect(const char *path, int *ret_fd)
{
    int fd = connect_to(path);
    if (fd < 0) {
        return KS_RES(UNAVAILABLE);
    }
    *ret_fd = fd;
    return KS_RES(OK);
}

static ks_result clear_path(const char *path, const char **reterr_hint)
{
    struct stat found;
    if (lstat(path, &found) != 0) {
        return KS_RES(OK);
    }
    if (!S_ISSOCK(found.st_mode)) {
        *reterr_hint = "something that is no socket stands at its path; remove it";
        return KS_RES(ALREADY_EXISTS);
    }
    int other = connect_to(path);
    if (other >= 0) {
        close(other);
        *reterr_hint = "another process serves on the socket; stop it first";
        return KS_RES(ALREADY_EXISTS);
    }
    (void)unlink(path); /* bind says what is wrong if it could not be removed */
    return KS_RES(OK);
}

static ks_result group_id(const char *name, gid_t *ret_gid)
{
    if (name[0] == '\0') {
        *ret_gid = (gid_t)-1; /* chown leaves it as it is */
        return KS_RES(OK);
    }
    const struct group *group = getgrnam(name);
    if (!group) {
        return KS_RES(NOT_FOUND);
    }
    *ret_gid = group->gr_gid;
    return KS_RES(OK);
}

static void close_at(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
}

/* Hands over: close_at then finds nothing. */
static int take(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

/* Nobody may connect before mode and group are set, so it listens last. */
ks_result ks_hsm_listen(const struct ks_hsm_settings *settings, int *ret_fd,
                        const char **reterr_hint)
{
    assert(settings && ret_fd && reterr_hint);

    const char *path = settings->socket;
    struct sockaddr_un address = address_of(path);
    gid_t gid = 0;
    *reterr_hint = "there is no such group";
    KS_TRY(group_id(settings->socket_group, &gid));
    KS_TRY(clear_path(path, reterr_hint));
    *reterr_hint = "the socket cannot be made; check the folder and who may write there";
    KS_CLEANUP(close_at) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        chown(path, (uid_t)-1, gid) != 0 || chmod(path, modes[settings->socket_mode]) != 0 ||
        listen(fd, BACKLOG) != 0) {
        return KS_RES(INTERNAL);
    }
    *ret_fd = take(&fd);
    return KS_RES(OK);
}

ks_result ks_hsm_user_id(const char *name_or_number, uid_t *ret_uid)
{
    assert(name_or_number && ret_uid);

    char *end = NULL;
    unsigned long number = strtoul(name_or_number, &end, 10);
    if (name_or_number[0] >= '0' && name_or_number[0] <= '9' && *end == '\0' &&
        number < (uid_t)-1) {
        *ret_uid = (uid_t)number;
        return KS_RES(OK);
    }
    const struct passwd *user = getpwnam(name_or_number);
    if (!user) {
        return KS_RES(NOT_FOUND);
    }
    *ret_uid = user->pw_uid;
    return KS_RES(OK);
}

ks_result ks_hsm_accept(int listener_fd, uid_t uid, int *ret_fd)
{
    assert(ret_fd);

    *ret_fd = -1;
    KS_CLEANUP(close_at) int fd = accept4(listener_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        bool nobody = errno == EAGAIN || errno == EINTR || errno == ECONNABORTED;
        return nobody ? KS_RES(OK) : KS_RES(INTERNAL);
    }
    struct ucred peer = {0};
    socklen_t len = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0 || peer.uid != uid) {
        return KS_RES(ACCESS_DENIED);
    }
    *ret_fd = take(&fd);
    return KS_RES(OK);
}
