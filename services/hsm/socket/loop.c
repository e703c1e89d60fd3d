#include "services/hsm/socket/loop.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "pkg/base/log.h"
#include "pkg/base/mem.h"
#include "services/hsm/socket/connection.h"
#include "services/hsm/socket/listener.h"

#define EVENTS_MAX    16
#define WAIT_FOR_EVER (-1)

/* What an event's data says: an index of a connection, or one of these. */
#define AT_LISTENER KS_HSM_CONNECTIONS_MAX
#define AT_SIGNAL   (KS_HSM_CONNECTIONS_MAX + 1U)

struct ks_loop {
    int epoll_fd;
    int signal_fd;
    int listener_fd;
    uid_t peer;
    bool stop;
    struct ks_connection connections[KS_HSM_CONNECTIONS_MAX];
};

static bool watch(struct ks_loop *loop, int operation, int fd, uint32_t events, uint32_t what)
{
    struct epoll_event event = {.events = events, .data = {.u32 = what}};
    return epoll_ctl(loop->epoll_fd, operation, fd, &event) == 0;
}

static int open_signals(void)
{
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    /* Where nobody reads the log any more, the hsm serves on. */
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || sigprocmask(SIG_BLOCK, &stop, NULL) != 0) {
        return -1;
    }
    return signalfd(-1, &stop, SFD_CLOEXEC | SFD_NONBLOCK);
}

ks_result ks_loop_new(int listener_fd, uid_t peer, struct ks_loop **ret_loop)
{
    assert(listener_fd >= 0 && ret_loop);

    struct ks_loop *loop = ks_alloc(1, sizeof(*loop));
    for (size_t i = 0; i < KS_HSM_CONNECTIONS_MAX; i++) {
        loop->connections[i].fd = -1;
    }
    loop->listener_fd = listener_fd;
    loop->peer = peer;
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    loop->signal_fd = open_signals();
    if (loop->epoll_fd < 0 || loop->signal_fd < 0 ||
        !watch(loop, EPOLL_CTL_ADD, loop->signal_fd, EPOLLIN, AT_SIGNAL) ||
        !watch(loop, EPOLL_CTL_ADD, listener_fd, EPOLLIN, AT_LISTENER)) {
        ks_loop_free(loop);
        return KS_RES(INTERNAL);
    }
    *ret_loop = loop;
    return KS_RES(OK);
}

void ks_loop_free(struct ks_loop *loop)
{
    if (!loop) {
        return;
    }
    for (size_t i = 0; i < KS_HSM_CONNECTIONS_MAX; i++) {
        ks_connection_done(&loop->connections[i]);
    }
    close(loop->epoll_fd);
    close(loop->signal_fd);
    close(loop->listener_fd);
    ks_free(loop);
}

/* KS_HSM_CONNECTIONS_MAX if there is none. */
static uint32_t free_place(const struct ks_loop *loop)
{
    uint32_t i = 0;
    while (i < KS_HSM_CONNECTIONS_MAX && loop->connections[i].fd >= 0) {
        i++;
    }
    return i;
}

static void accept_one(struct ks_loop *loop)
{
    int fd = -1;
    ks_result r = ks_hsm_accept(loop->listener_fd, loop->peer, &fd);
    if (ks_failed(r)) {
        ks_log(WARN, "connection refused", KS_TEXT("cause", ks_code_name(r.code)));
    }
    if (fd < 0) {
        return;
    }
    uint32_t place = free_place(loop);
    if (place == KS_HSM_CONNECTIONS_MAX) {
        ks_log(WARN, "connection refused", KS_TEXT("cause", "too many connections"),
               KS_NUMBER("limit", KS_HSM_CONNECTIONS_MAX));
        close(fd);
        return;
    }
    ks_connection_init(&loop->connections[place], fd);
    loop->connections[place].events = EPOLLIN;
    if (!watch(loop, EPOLL_CTL_ADD, fd, EPOLLIN, place)) {
        ks_connection_done(&loop->connections[place]);
    }
}

static void serve_one(struct ks_loop *loop, struct ks_hsm *hsm, uint32_t place)
{
    struct ks_connection *connection = &loop->connections[place];
    if (connection->fd < 0) {
        return; /* closed by an earlier event of the same turn */
    }
    ks_result r = ks_connection_serve(connection, hsm);
    if (ks_failed(r)) {
        if (r.code != KS_CANCELLED) {
            ks_log(WARN, "connection closed", KS_TEXT("cause", ks_code_name(r.code)));
        }
        ks_connection_done(connection);
        return;
    }
    uint32_t events = ks_connection_waits_to_write(connection) ? EPOLLOUT : EPOLLIN;
    if (events == connection->events) {
        return;
    }
    connection->events = events;
    if (!watch(loop, EPOLL_CTL_MOD, connection->fd, events, place)) {
        ks_connection_done(connection);
    }
}

static void take(struct ks_loop *loop, struct ks_hsm *hsm, uint32_t what)
{
    if (what == AT_SIGNAL) {
        loop->stop = true;
    } else if (what == AT_LISTENER) {
        accept_one(loop);
    } else {
        serve_one(loop, hsm, what);
    }
}

ks_result ks_loop_run(struct ks_loop *loop, struct ks_hsm *hsm)
{
    assert(loop && hsm);

    while (!loop->stop) {
        struct epoll_event events[EVENTS_MAX];
        int count = epoll_wait(loop->epoll_fd, events, EVENTS_MAX, WAIT_FOR_EVER);
        if (count < 0 && errno != EINTR) {
            return KS_RES(INTERNAL);
        }
        for (int i = 0; i < count; i++) {
            take(loop, hsm, events[i].data.u32);
        }
    }
    return KS_RES(OK);
}
