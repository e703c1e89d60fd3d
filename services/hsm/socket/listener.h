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
 * that stands at the path and that nobody answers on is replaced; any other file is not.
 *
 * ret_fd       the caller's to close.
 * reterr_hint  a static string.
 *
 * Fails: ALREADY_EXISTS (something else stands at the path, or another process serves there),
 * NOT_FOUND (no such group), INTERNAL.
 */
KS_MUST_USE ks_result ks_hsm_listen(const struct ks_hsm_settings *settings, int *ret_fd,
                                    const char **reterr_hint);

/* The user id behind a name or a number. Fails: NOT_FOUND. */
KS_MUST_USE ks_result ks_hsm_user_id(const char *name_or_number, uid_t *ret_uid);

/*
 * The next connection whose other end is a process of uid; others are closed.
 *
 * ret_fd  the caller's to close, non-blocking; -1: none is waiting, or it was one to be closed.
 *
 * Fails: ACCESS_DENIED (it was of another user, and is closed), INTERNAL (accept failed).
 */
KS_MUST_USE ks_result ks_hsm_accept(int listener_fd, uid_t uid, int *ret_fd);

/* Connects to the socket, blocking. Fails: UNAVAILABLE (nobody serves there). */
KS_MUST_USE ks_result ks_hsm_connect(const char *path, int *ret_fd);
