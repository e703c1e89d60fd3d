/*
 * listener: the Unix socket that the keystore connects to.
 *
 * Threads: one.
 */
#pragma once

#include <sys/types.h>

#include "services/hsm/settings/settings.h"

/*
 * Binds and listens, non-blocking and close-on-exec, with the configured mode and group. A socket
 * file at the path is replaced if no process answers on it; any other file is left alone.
 *
 * ret_fd       the caller's to close; untouched after a failure.
 * reterr_hint  what to do about a failure, a static string; unspecified after success.
 *
 * Fails: ALREADY_EXISTS (another kind of file is at the path, or another process serves there),
 * NOT_FOUND (no such group), INTERNAL.
 */
KS_MUST_USE ks_result ks_hsm_listen(const struct ks_hsm_settings *settings, int *ret_fd,
                                    const char **reterr_hint);

/*
 * Finds the user id that a name or a number stands for.
 * ret_uid  untouched after a failure.
 * Fails: NOT_FOUND (there is no such user).
 */
KS_MUST_USE ks_result ks_hsm_user_id(const char *name_or_number, uid_t *ret_uid);

/*
 * Takes the next connection, if its other end is a process of uid.
 *
 * ret_fd  the caller's to close, non-blocking; -1 if none is waiting, and after a failure.
 *
 * Fails: ACCESS_DENIED (it is another user's, and was closed), INTERNAL (accept failed).
 */
KS_MUST_USE ks_result ks_hsm_accept(int listener_fd, uid_t uid, int *ret_fd);

/*
 * Connects to the socket, blocking.
 * ret_fd  the caller's to close; untouched after a failure.
 * Fails: UNAVAILABLE (no process serves there).
 */
KS_MUST_USE ks_result ks_hsm_connect(const char *path, int *ret_fd);
