#include "services/keystore/hsmlink/link.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "pkg/base/arena.h"
#include "pkg/base/bytes.h"
#include "pkg/base/log.h"
#include "pkg/base/mem.h"
#include "pkg/codec/codec.h"
#include "pkg/frame/frame.h"
#include "services/keystore/hsmlink/job.h"

#define ARENA_LEN_MAX  (8U * 1024U * 1024U) /* a reply of KS_FRAME_LEN_MAX, unpacked */
#define READ_LEN       (64U * 1024U)
#define BACKOFF_MS     50
#define BACKOFF_MAX_MS 2000
#define LOOK_MS        1000 /* how often a link with a connection looks whether a reply is overdue */
#define NO_SOCKET      (-1)

/* A frame on its way and the jobs in it, in their order. */
struct flight {
    struct ks_hsm_queue jobs;
    int64_t sent_ns;
};

/* What waits until the replies at hand are all handed out. */
struct deferred {
    struct deferred *next;
    void (*fn)(void *argument);
    void *argument;
};

struct ks_hsm_link {
    char *socket_path;
    struct ks_clock clock;
    struct ks_hsm_link_options callbacks;
    int wake; /* eventfd */
    atomic_bool stopping;
    bool started;
    pthread_t thread;

    pthread_mutex_t lock; /* guards the following; held for a few instructions; taken last */
    struct ks_hsm_queue waiting;
    size_t pending_count;
    unsigned holds;   /* callers that will release */
    bool unannounced; /* something waits that no thread is about to send */
    bool sated;       /* as many frames are on their way as may be: a reply lets the link go on */
    uint64_t request_count;
    uint64_t frame_count;
    bool connected;
    bool open;
    uint64_t life;

    /*
     * Guards the following. It is held while frames are written, which never blocks; only the
     * link's thread waits for it, and no callback runs under it.
     */
    pthread_mutex_t sending;
    int socket; /* the link's thread alone changes it */
    struct ks_buffer out;
    struct flight flights[KS_HSM_LINK_FLYING_MAX]; /* the oldest first */
    size_t flight_count;

    /* The link's thread's own. */
    struct ks_buffer in;
    struct deferred *deferred_first;
    struct deferred *deferred_last;
    int64_t backoff_ms; /* before the next connection; back to the least with each reply */
};

static _Thread_local const struct ks_hsm_link *current; /* whose thread this is */

/* Jobs */

static void answer(struct ks_hsm_link *link, struct ks_hsm_job *job, ks_result result,
                   const INTERNAL(HsmReply) * reply)
{
    pthread_mutex_lock(&link->lock);
    link->pending_count--;
    pthread_mutex_unlock(&link->lock);

    job->done(job->user, result, ks_failed(result) ? NULL : reply);
    ks_hsm_job_free(job);
}

static void answer_all(struct ks_hsm_link *link, struct ks_hsm_queue *jobs, ks_result result)
{
    for (struct ks_hsm_job *job = ks_hsm_queue_pop(jobs); job; job = ks_hsm_queue_pop(jobs)) {
        answer(link, job, result, NULL);
    }
}

/*
 * The caller has the lock. Returns whether what waits must be sent now. A thread that
 * still holds puts it off; a release does not, whatever others hold: holds that overlap would put it
 * off for ever.
 */
static bool must_send(struct ks_hsm_link *link, bool released)
{
    bool now = released || link->holds == 0;
    bool sends = link->unannounced && now && link->waiting.count > 0 && !link->sated;
    link->unannounced = link->unannounced && link->holds > 0;
    return sends;
}

/* OK: the job waits, and whether it must be sent now; otherwise the caller keeps the job. */
static ks_result enqueue(struct ks_hsm_link *link, struct ks_hsm_job *job, bool needs_open,
                         bool *ret_send)
{
    ks_result result = KS_RES(OK);
    pthread_mutex_lock(&link->lock);
    if (!link->connected || (needs_open && !link->open)) {
        result = KS_RES(UNAVAILABLE);
    } else if (link->pending_count >= KS_HSM_LINK_PENDING_MAX) {
        result = KS_RES(THROTTLED);
    } else {
        link->pending_count++;
        /* With others before it, a thread is about to send, or the link waits for a reply. */
        link->unannounced = link->unannounced || link->waiting.count == 0;
        ks_hsm_queue_push(&link->waiting, job);
        *ret_send = must_send(link, false);
    }
    pthread_mutex_unlock(&link->lock);
    return result;
}

static void wake(struct ks_hsm_link *link)
{
    uint64_t one = 1;
    ssize_t written = write(link->wake, &one, sizeof(one));
    (void)written; /* A full counter wakes, too. */
}

bool ks_hsm_link_is_current(const struct ks_hsm_link *link)
{
    return current == link;
}

void ks_hsm_link_defer(struct ks_hsm_link *link, void (*fn)(void *argument), void *argument)
{
    assert(ks_hsm_link_is_current(link));

    struct deferred *deferred = ks_alloc(1, sizeof(*deferred));
    *deferred = (struct deferred){.fn = fn, .argument = argument};
    *(link->deferred_first ? &link->deferred_last->next : &link->deferred_first) = deferred;
    link->deferred_last = deferred;
}

static void run_deferred(struct ks_hsm_link *link)
{
    while (link->deferred_first) {
        struct deferred *deferred = link->deferred_first;
        link->deferred_first = deferred->next;
        deferred->fn(deferred->argument);
        ks_free(deferred);
    }
}

void ks_hsm_link_counts(struct ks_hsm_link *link, uint64_t *ret_requests, uint64_t *ret_frames)
{
    pthread_mutex_lock(&link->lock);
    *ret_requests = link->request_count;
    *ret_frames = link->frame_count;
    pthread_mutex_unlock(&link->lock);
}

/* Sending; all with the lock `sending`. */

static bool stands_before(const struct ks_hsm_job *job, size_t index)
{
    bool found = false;
    for (size_t i = 0; i < index; i++) {
        found = found || job->about[i] == job->about[index];
    }
    return found;
}

/* Of the records that this job would add to the frame: to the byte, as the frame's head says it. */
static void new_records(const struct ks_hsm_link *link, const struct ks_hsm_job *job,
                        size_t *ret_count, size_t *ret_len)
{
    *ret_count = 0;
    *ret_len = 0;
    for (size_t i = 0; i < job->about_count; i++) {
        if (job->about[i]->frame != link->frame_count + 1 && !stands_before(job, i)) {
            ++*ret_count;
            *ret_len += job->about[i]->packed.len;
        }
    }
}

/* Gives the job's records places in the frame, and appends those that are not there yet. */
static void place_records(struct ks_hsm_link *link, struct ks_hsm_job *job, uint32_t *count)
{
    for (size_t i = 0; i < job->about_count; i++) {
        struct ks_about *about = job->about[i];
        if (about->frame != link->frame_count + 1) {
            about->frame = link->frame_count + 1;
            about->place = (*count)++;
            about->is_written = false;
        }
        for (size_t byte = 0; byte < KS_HSM_PLACE_LEN; byte++) {
            job->places[KS_HSM_PLACE_LEN * i + byte] = (uint8_t)(about->place >> (8 * byte));
        }
    }
}

/* What a frame has taken so far. */
struct load {
    size_t len;
    size_t replies_len; /* of the replies, at most */
    uint32_t records;
};

/* Whether a frame takes a job, too, and the replies still fit the frame that brings them. */
static bool takes(const struct ks_hsm_link *link, const struct ks_hsm_job *job, struct load *load)
{
    size_t more;
    size_t more_len;
    new_records(link, job, &more, &more_len);
    if (load->len + job->len + more_len > KS_FRAME_LEN_MAX ||
        load->replies_len + job->reply_len_max > KS_FRAME_LEN_MAX ||
        load->records + more > KS_HSM_LINK_RECORDS_MAX) {
        return false;
    }
    load->len += job->len + more_len;
    load->replies_len += job->reply_len_max;
    return true;
}

/*
 * Takes what fits one frame from what waits. While a thread holds, it lets that finish, as long
 * as the hsm has something to do: the release sends it, or the link's thread with the next reply.
 */
static void take_batch(struct ks_hsm_link *link, struct ks_hsm_queue *jobs, size_t *ret_len)
{
    struct load load = {0};
    pthread_mutex_lock(&link->lock);
    bool later = link->holds > 0 && link->flight_count > 0;
    link->unannounced = link->unannounced || later;
    while (!later && link->waiting.first && jobs->count < KS_HSM_LINK_BATCH_MAX) {
        struct ks_hsm_job *job = link->waiting.first;
        if (!takes(link, job, &load)) {
            break;
        }
        place_records(link, job, &load.records);
        ks_hsm_queue_push(jobs, ks_hsm_queue_pop(&link->waiting));
    }
    link->frame_count += jobs->count > 0 ? 1 : 0;
    link->request_count += jobs->count;
    link->sated = jobs->count > 0 && link->flight_count + 1 == KS_HSM_LINK_FLYING_MAX;
    pthread_mutex_unlock(&link->lock);
    *ret_len = load.len;
}

/* Appends a record that no job before has brought. */
static ks_result put_record(struct ks_hsm_link *link, struct ks_about *about)
{
    if (about->is_written) {
        return KS_RES(OK);
    }
    about->is_written = true;
    return ks_buffer_append(&link->out, about->packed);
}

static ks_result put_records(struct ks_hsm_link *link, const struct ks_hsm_job *job)
{
    ks_result result = KS_RES(OK);
    for (size_t i = 0; i < job->about_count && !ks_failed(result); i++) {
        result = put_record(link, job->about[i]);
    }
    return result;
}

static void put_batch(struct ks_hsm_link *link)
{
    struct flight flight = {.sent_ns = ks_clock_boot_ns(&link->clock)};
    size_t len = 0;
    take_batch(link, &flight.jobs, &len);
    if (flight.jobs.count == 0) {
        return;
    }
    ks_result result = ks_frame_begin(&link->out, len);
    for (struct ks_hsm_job *job = flight.jobs.first; job && !ks_failed(result); job = job->next) {
        result = put_records(link, job);
        if (!ks_failed(result)) {
            result = ks_buffer_append(&link->out, (ks_bytes){job->packed, job->len});
        }
    }
    assert(!ks_failed(result)); /* out is empty before, and takes a whole frame */
    link->flights[link->flight_count++] = flight;
}

/* Fails: UNAVAILABLE (the connection is lost). */
static ks_result write_out(struct ks_hsm_link *link)
{
    while (link->out.len > 0) {
        ssize_t len = send(link->socket, link->out.ptr, link->out.len, MSG_NOSIGNAL);
        if (len < 0) {
            return errno == EAGAIN || errno == EINTR ? KS_RES(OK) : KS_RES(UNAVAILABLE);
        }
        ks_buffer_consume(&link->out, (size_t)len);
    }
    return KS_RES(OK);
}

static ks_result send_what_waits(struct ks_hsm_link *link)
{
    KS_TRY(write_out(link));
    while (link->out.len == 0 && link->flight_count < KS_HSM_LINK_FLYING_MAX) {
        size_t before = link->flight_count;
        put_batch(link);
        if (link->flight_count == before) {
            return KS_RES(OK);
        }
        KS_TRY(write_out(link));
    }
    return KS_RES(OK);
}

/*
 * Sends what waits on the caller's thread, so that the link's is woken by the hsm's reply alone. It
 * is left to the link's thread when that is busy sending, or when the hsm takes no more for now.
 * What a callback of the link asks for waits for what the other callbacks ask.
 */
static void send_or_wake(struct ks_hsm_link *link)
{
    if (current == link || pthread_mutex_trylock(&link->sending) != 0) {
        wake(link);
        return;
    }
    ks_result result = link->socket == NO_SOCKET ? KS_RES(OK) : send_what_waits(link);
    bool left = ks_failed(result) || link->out.len > 0;
    pthread_mutex_unlock(&link->sending);
    if (left) {
        wake(link);
    }
}

/* Asking */

static void submit(struct ks_hsm_link *link, const struct ks_hsm_ask *ask, bool needs_open,
                   ks_hsm_done_fn done, void *user)
{
    struct ks_hsm_job *job = ks_hsm_job_new(ask, !needs_open, done, user);
    if (!job) {
        done(user, KS_RES(LIMIT_EXCEEDED), NULL);
        return;
    }
    bool sends = false;
    ks_result result = enqueue(link, job, needs_open, &sends);
    if (ks_failed(result)) {
        done(user, result, NULL);
        ks_hsm_job_free(job);
    } else if (sends) {
        send_or_wake(link);
    }
}

void ks_hsm_link_ask(struct ks_hsm_link *link, const struct ks_hsm_ask *ask, ks_hsm_done_fn done,
                     void *user)
{
    submit(link, ask, true, done, user);
}

void ks_hsm_link_prepare(struct ks_hsm_link *link, const struct ks_hsm_ask *ask,
                         ks_hsm_done_fn done, void *user)
{
    submit(link, ask, false, done, user);
}

void ks_hsm_link_hold(struct ks_hsm_link *link)
{
    pthread_mutex_lock(&link->lock);
    link->holds++;
    pthread_mutex_unlock(&link->lock);
}

void ks_hsm_link_release(struct ks_hsm_link *link)
{
    pthread_mutex_lock(&link->lock);
    assert(link->holds > 0);
    link->holds--;
    bool sends = must_send(link, true);
    pthread_mutex_unlock(&link->lock);
    if (sends) {
        send_or_wake(link);
    }
}

/* Receiving */

/* Takes the oldest frame that is on its way; none: it has no jobs. */
static struct flight land(struct ks_hsm_link *link)
{
    struct flight flight = {0};
    pthread_mutex_lock(&link->sending);
    if (link->flight_count > 0) {
        flight = link->flights[0];
        link->flight_count--;
        memmove(&link->flights[0], &link->flights[1], link->flight_count * sizeof(flight));
    }
    pthread_mutex_unlock(&link->sending);
    return flight;
}

/* Fails: INTERNAL (not a reply to the oldest frame; the stream means nothing any more). */
static ks_result take_reply(struct ks_hsm_link *link, ks_bytes frame)
{
    KS_ARENA_AUTO arena = {.len_max = ARENA_LEN_MAX};
    struct ks_codec_limits limits = {.field_count_max = 16U * KS_HSM_LINK_BATCH_MAX};
    ProtobufCMessage *message = NULL;
    if (ks_failed(
            ks_codec_unpack(INTERNAL_TYPE(hsm_batch_reply), frame, &limits, &arena, &message))) {
        return KS_RES(INTERNAL);
    }
    const INTERNAL(HsmBatchReply) *batch = (const INTERNAL(HsmBatchReply) *)message;
    struct flight flight = land(link);
    if (batch->n_replies == 0 || batch->n_replies != flight.jobs.count) {
        answer_all(link, &flight.jobs, KS_RES(UNAVAILABLE));
        return KS_RES(INTERNAL);
    }
    link->backoff_ms = BACKOFF_MS;
    for (size_t i = 0; i < batch->n_replies; i++) {
        ks_result result = {ks_code_from_number(batch->replies[i]->code)};
        answer(link, ks_hsm_queue_pop(&flight.jobs), result, batch->replies[i]);
    }
    return KS_RES(OK);
}

static ks_result take_replies(struct ks_hsm_link *link)
{
    ks_bytes frame = {0};
    KS_TRY(ks_frame_next(ks_buffer_bytes(&link->in), &frame));
    while (frame.ptr) {
        KS_TRY(take_reply(link, frame));
        ks_buffer_consume(&link->in, KS_FRAME_HEAD_LEN + frame.len);
        KS_TRY(ks_frame_next(ks_buffer_bytes(&link->in), &frame));
    }
    return KS_RES(OK);
}

static ks_result read_in(struct ks_hsm_link *link)
{
    uint8_t bytes[READ_LEN];
    ssize_t len = recv(link->socket, bytes, sizeof(bytes), 0);
    if (len < 0) {
        return errno == EAGAIN || errno == EINTR ? KS_RES(OK) : KS_RES(UNAVAILABLE);
    }
    if (len == 0) {
        return KS_RES(UNAVAILABLE);
    }
    ks_result result = ks_buffer_append(&link->in, (ks_bytes){bytes, (size_t)len});
    ks_wipe(bytes, (size_t)len);
    KS_TRY(result);
    return take_replies(link);
}

/* The connection */

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert(strlen(path) < sizeof(address.sun_path));
    memcpy(address.sun_path, path, strlen(path) + 1);

    int socket_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (socket_fd < 0) {
        return NO_SOCKET;
    }
    if (connect(socket_fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        fcntl(socket_fd, F_SETFL, O_NONBLOCK) != 0) {
        close(socket_fd);
        return NO_SOCKET;
    }
    return socket_fd;
}

static void try_to_connect(struct ks_hsm_link *link)
{
    int64_t longer_ms = link->backoff_ms * 2;
    link->backoff_ms = longer_ms < BACKOFF_MAX_MS ? longer_ms : BACKOFF_MAX_MS;
    int connected = connect_to(link->socket_path);
    if (connected == NO_SOCKET) {
        return;
    }
    pthread_mutex_lock(&link->sending);
    link->socket = connected;
    pthread_mutex_unlock(&link->sending);
    pthread_mutex_lock(&link->lock);
    link->connected = true;
    link->life++;
    pthread_mutex_unlock(&link->lock);
    ks_log(INFO, "hsm connected", KS_NUMBER("life", link->life));
    link->callbacks.on_connected(link->callbacks.user, link->life);
}

static void disconnect(struct ks_hsm_link *link)
{
    struct ks_hsm_queue lost = {0};
    pthread_mutex_lock(&link->sending);
    close(link->socket);
    link->socket = NO_SOCKET;
    ks_buffer_done(&link->out);
    for (size_t i = 0; i < link->flight_count; i++) {
        ks_hsm_queue_append(&lost, &link->flights[i].jobs);
    }
    link->flight_count = 0;
    pthread_mutex_lock(&link->lock);
    link->connected = false;
    link->open = false;
    link->sated = false;
    link->unannounced = false;
    ks_hsm_queue_append(&lost, &link->waiting);
    pthread_mutex_unlock(&link->lock);
    pthread_mutex_unlock(&link->sending);

    ks_buffer_done(&link->in);
    answer_all(link, &lost, KS_RES(UNAVAILABLE));
    link->callbacks.on_lost(link->callbacks.user);
}

/* With the lock `sending`. */
static bool is_overdue(const struct ks_hsm_link *link)
{
    return link->flight_count > 0 && ks_clock_boot_ns(&link->clock) - link->flights[0].sent_ns >
                                         KS_HSM_LINK_TIMEOUT_MS * KS_NS_PER_MS;
}

static bool waits_to_write(struct ks_hsm_link *link)
{
    pthread_mutex_lock(&link->sending);
    bool waits = link->out.len > 0;
    pthread_mutex_unlock(&link->sending);
    return waits;
}

/* Other threads send while this one sleeps: that a reply is overdue, it only finds by looking. */
static void wait_for_work(struct ks_hsm_link *link, short *ret_events)
{
    struct pollfd fds[] = {
        {.fd = link->wake, .events = POLLIN},
        {.fd = link->socket, .events = (short)(POLLIN | (waits_to_write(link) ? POLLOUT : 0))},
    };
    int timeout_ms = link->socket == NO_SOCKET ? (int)link->backoff_ms : LOOK_MS;
    poll(fds, link->socket == NO_SOCKET ? 1 : 2, timeout_ms);
    if (fds[0].revents) {
        uint64_t count = 0;
        ssize_t len = read(link->wake, &count, sizeof(count));
        (void)len; /* Nonblocking: nothing there is as good. */
    }
    *ret_events = link->socket == NO_SOCKET ? 0 : fds[1].revents;
}

static ks_result work(struct ks_hsm_link *link, short events)
{
    if (events & (POLLIN | POLLHUP | POLLERR)) {
        KS_TRY(read_in(link));
    }
    pthread_mutex_lock(&link->sending);
    ks_result result = is_overdue(link) ? KS_RES(DEADLINE) : send_what_waits(link);
    pthread_mutex_unlock(&link->sending);
    return result;
}

static void *run(void *argument)
{
    struct ks_hsm_link *link = argument;
    pthread_setname_np(pthread_self(), "hsm link");
    current = link;
    try_to_connect(link);
    while (!atomic_load(&link->stopping)) {
        bool connected = link->socket != NO_SOCKET;
        short events = 0;
        wait_for_work(link, &events);
        if (!connected) {
            try_to_connect(link);
            continue;
        }
        ks_result result = work(link, events);
        if (ks_failed(result)) {
            ks_log(WARN, "hsm lost; connecting again", KS_TEXT("code", ks_code_name(result.code)));
            disconnect(link);
        }
        run_deferred(link);
    }
    if (link->socket != NO_SOCKET) {
        disconnect(link);
    }
    run_deferred(link);
    return NULL;
}

void ks_hsm_link_open(struct ks_hsm_link *link, uint64_t life)
{
    pthread_mutex_lock(&link->lock);
    link->open = link->connected && link->life == life;
    pthread_mutex_unlock(&link->lock);
}

bool ks_hsm_link_is_open(struct ks_hsm_link *link)
{
    pthread_mutex_lock(&link->lock);
    bool open = link->open;
    pthread_mutex_unlock(&link->lock);
    return open;
}

uint64_t ks_hsm_link_life(struct ks_hsm_link *link)
{
    pthread_mutex_lock(&link->lock);
    uint64_t life = link->open ? link->life : 0;
    pthread_mutex_unlock(&link->lock);
    return life;
}

ks_result ks_hsm_link_new(const struct ks_hsm_link_options *options, struct ks_hsm_link **ret_link)
{
    assert(options->socket_path && options->on_connected && options->on_lost);

    struct ks_hsm_link *link = ks_alloc(1, sizeof(*link));
    link->socket_path = ks_strdup(options->socket_path);
    link->clock = options->clock ? *options->clock : ks_clock_system;
    link->callbacks = *options;
    link->socket = NO_SOCKET;
    link->backoff_ms = BACKOFF_MS;
    link->out.len_max = KS_FRAME_MAX;
    link->in.len_max = KS_FRAME_MAX + READ_LEN;
    pthread_mutex_init(&link->lock, NULL);
    pthread_mutex_init(&link->sending, NULL);
    link->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (link->wake < 0) {
        ks_hsm_link_free(link);
        return KS_RES(INTERNAL);
    }
    *ret_link = link;
    return KS_RES(OK);
}

ks_result ks_hsm_link_start(struct ks_hsm_link *link)
{
    assert(!link->started);
    if (pthread_create(&link->thread, NULL, run, link) != 0) {
        return KS_RES(INTERNAL);
    }
    link->started = true;
    return KS_RES(OK);
}

void ks_hsm_link_free(struct ks_hsm_link *link)
{
    if (!link) {
        return;
    }
    atomic_store(&link->stopping, true);
    if (link->started) {
        wake(link);
        pthread_join(link->thread, NULL);
    }
    if (link->wake >= 0) {
        close(link->wake);
    }
    pthread_mutex_destroy(&link->sending);
    pthread_mutex_destroy(&link->lock);
    ks_free(link->socket_path);
    ks_free(link);
}
