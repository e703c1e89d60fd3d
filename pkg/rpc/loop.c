#include "pkg/rpc/loop.h"

#include <assert.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>

#include <grpc/grpc.h>
#include <grpc/slice.h>
#include <grpc/support/time.h>

#include "pkg/base/mem.h"
#include "pkg/rpc/tag.h"

struct post {
    struct post *next;
    void (*fn)(void *arg);
    void *arg;
};

/* In its loop's ring, the soonest first. Loops have a handful: a sorted list is enough. */
struct ks_rpc_timer {
    struct ks_rpc_timer *next;
    struct ks_rpc_timer *previous;
    struct ks_rpc_loop *loop;
    gpr_timespec due;
    void (*fn)(void *arg);
    void *arg;
};

struct ks_rpc_loop {
    grpc_completion_queue *queue;
    pthread_t thread;
    _Atomic(struct post *) posted; /* newest first */
    atomic_bool waking;            /* whether a wake event is under way */
    /*
     * A call that goes nowhere: starting an empty batch on it is the one way in the C interface to
     * put an event into a completion queue.
     */
    grpc_channel *nowhere;
    grpc_call *waker;
    struct ks_rpc_tag wake_tag;
    /* The loop's thread only. */
    struct ks_rpc_timer timers; /* the ring's head */
    char name[KS_RPC_LOOP_NAME_MAX + 1];
};

static _Thread_local const struct ks_rpc_loop *current;

grpc_completion_queue *ks_rpc_loop_queue(struct ks_rpc_loop *loop)
{
    return loop->queue;
}

bool ks_rpc_loop_is_current(const struct ks_rpc_loop *loop)
{
    return current == loop;
}

static struct post *reversed(struct post *newest)
{
    struct post *oldest = NULL;
    while (newest) {
        struct post *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

/* Runs what was posted so far; false if that was nothing. */
static bool run_posted(struct ks_rpc_loop *loop)
{
    struct post *newest = atomic_exchange(&loop->posted, NULL);
    struct post *post = reversed(newest);
    while (post) {
        struct post *next = post->next;
        post->fn(post->arg);
        ks_free(post);
        post = next;
    }
    return newest;
}

static void on_wake(void *owner, bool ok)
{
    (void)ok;
    struct ks_rpc_loop *loop = owner;
    /* First the flag: what is posted from here on wakes again. */
    atomic_store(&loop->waking, false);
    run_posted(loop);
}

static void unlink_timer(struct ks_rpc_timer *timer)
{
    timer->next->previous = timer->previous;
    timer->previous->next = timer->next;
}

/* Runs what is due; what that adds waits for the next turn, even with no delay. */
static void run_timers(struct ks_rpc_loop *loop)
{
    if (loop->timers.next == &loop->timers) {
        return;
    }
    gpr_timespec now = gpr_now(GPR_CLOCK_MONOTONIC);
    while (loop->timers.next != &loop->timers && gpr_time_cmp(loop->timers.next->due, now) < 0) {
        struct ks_rpc_timer timer = *loop->timers.next;
        ks_rpc_timer_cancel(loop->timers.next);
        timer.fn(timer.arg);
    }
}

/* Until when the thread may sleep. */
static gpr_timespec next_wake(const struct ks_rpc_loop *loop)
{
    return loop->timers.next == &loop->timers ? gpr_inf_future(GPR_CLOCK_MONOTONIC)
                                              : loop->timers.next->due;
}

static void *run(void *arg)
{
    struct ks_rpc_loop *loop = arg;
    current = loop;
    pthread_setname_np(pthread_self(), loop->name);
    for (;;) {
        grpc_event event = grpc_completion_queue_next(loop->queue, next_wake(loop), NULL);
        if (event.type == GRPC_QUEUE_SHUTDOWN) {
            return NULL;
        }
        if (event.type == GRPC_OP_COMPLETE) {
            ks_rpc_tag_run(event.tag, event.success != 0);
        }
        run_timers(loop);
    }
}

/* The thread takes no signal: those are main's. */
static void start_thread(struct ks_rpc_loop *loop)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&loop->thread, NULL, run, loop);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    assert(!failed);
}

struct ks_rpc_loop *ks_rpc_loop_new(const char *name)
{
    assert(name);

    struct ks_rpc_loop *loop = ks_alloc(1, sizeof(*loop));
    snprintf(loop->name, sizeof(loop->name), "%s", name);
    loop->queue = grpc_completion_queue_create_for_next(NULL);
    loop->nowhere = grpc_lame_client_channel_create("loop", GRPC_STATUS_UNAVAILABLE, "");
    loop->waker = grpc_channel_create_call(loop->nowhere, NULL, 0, loop->queue,
                                           grpc_slice_from_static_string("/wake"), NULL,
                                           gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    loop->wake_tag = KS_RPC_TAG(on_wake, loop);
    loop->timers.next = &loop->timers;
    loop->timers.previous = &loop->timers;
    start_thread(loop);
    return loop;
}

void ks_rpc_loop_post(struct ks_rpc_loop *loop, void (*fn)(void *arg), void *arg)
{
    assert(loop);
    assert(fn);

    struct post *post = ks_alloc(1, sizeof(*post));
    post->fn = fn;
    post->arg = arg;
    post->next = atomic_load(&loop->posted);
    while (!atomic_compare_exchange_weak(&loop->posted, &post->next, post)) {
    }
    if (!atomic_exchange(&loop->waking, true)) {
        grpc_call_error failed =
            grpc_call_start_batch(loop->waker, NULL, 0, ks_rpc_tag_begin(&loop->wake_tag), NULL);
        assert(failed == GRPC_CALL_OK);
    }
}

static void note_turn(void *semaphore)
{
    sem_post(semaphore);
}

void ks_rpc_loop_await_turn(struct ks_rpc_loop *loop)
{
    assert(!ks_rpc_loop_is_current(loop));

    sem_t turned;
    sem_init(&turned, 0, 0);
    ks_rpc_loop_post(loop, note_turn, &turned);
    while (sem_wait(&turned) != 0) {
        /* A handler of a signal interrupted it; waits on. */
    }
    sem_destroy(&turned);
}

struct ks_rpc_timer *ks_rpc_loop_after(struct ks_rpc_loop *loop, int64_t delay_ms,
                                       void (*fn)(void *arg), void *arg)
{
    assert(ks_rpc_loop_is_current(loop));
    assert(fn);
    assert(delay_ms >= 0);

    struct ks_rpc_timer *timer = ks_alloc(1, sizeof(*timer));
    timer->loop = loop;
    timer->fn = fn;
    timer->arg = arg;
    timer->due =
        gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(delay_ms, GPR_TIMESPAN));
    struct ks_rpc_timer *before = loop->timers.previous;
    while (before != &loop->timers && gpr_time_cmp(before->due, timer->due) > 0) {
        before = before->previous;
    }
    timer->previous = before;
    timer->next = before->next;
    timer->next->previous = timer;
    timer->previous->next = timer;
    return timer;
}

void ks_rpc_timer_cancel(struct ks_rpc_timer *timer)
{
    if (!timer) {
        return;
    }
    assert(ks_rpc_loop_is_current(timer->loop));

    unlink_timer(timer);
    ks_free(timer);
}

/* Ends the loop. What is posted by what was posted still runs; its timers go. */
static void stop(void *arg)
{
    struct ks_rpc_loop *loop = arg;
    while (run_posted(loop)) {
    }
    while (loop->timers.next != &loop->timers) {
        ks_rpc_timer_cancel(loop->timers.next);
    }
    grpc_completion_queue_shutdown(loop->queue);
}

void ks_rpc_loop_free(struct ks_rpc_loop *loop)
{
    if (!loop) {
        return;
    }
    assert(!ks_rpc_loop_is_current(loop));

    ks_rpc_loop_post(loop, stop, loop);
    pthread_join(loop->thread, NULL);
    assert(!atomic_load(&loop->posted));
    grpc_call_unref(loop->waker);
    grpc_channel_destroy(loop->nowhere);
    grpc_completion_queue_destroy(loop->queue);
    ks_free(loop);
}
