/*
 * loop: accepts, serves and closes connections until a signal to stop arrives, with one epoll. The
 * number of clients is bounded, and so is what each may have outstanding.
 *
 * Threads: one.
 */
#pragma once

#include <sys/types.h>

#include "pkg/base/result.h"

#define KS_HSM_CONNECTIONS_MAX 16U

struct ks_hsm;
struct ks_loop;

/*
 * Makes the loop, with all that it opens.
 *
 * listener_fd  taken over, and closed after a failure, too.
 * peer         the user whose connections are served.
 * ret_loop     the caller's; ks_loop_free. Untouched after a failure.
 *
 * SIGTERM and SIGINT are blocked from here on and end ks_loop_run; SIGPIPE is ignored.
 * Fails: INTERNAL (the system has no descriptor left).
 */
KS_MUST_USE ks_result ks_loop_new(int listener_fd, uid_t peer, struct ks_loop **ret_loop);

/* Serves until told to stop. Fails: INTERNAL (epoll). */
KS_MUST_USE ks_result ks_loop_run(struct ks_loop *loop, struct ks_hsm *hsm);

/* Closes everything. NULL is fine. */
void ks_loop_free(struct ks_loop *loop);
