#include "services/keystore/worker/worker.h"

#include <assert.h>
#include <pthread.h>
#include <time.h>

#include "pkg/base/clock.h"
#include "pkg/base/mem.h"

struct ks_worker {
    const char *name;
    int64_t period_ms;
    void (*run)(void *user, struct ks_worker *worker); /* NULL: not started */
    void *user;
    pthread_t thread;
    pthread_mutex_t lock; /* guards the two below */
    pthread_cond_t changed;
    bool poked;
    bool stopping;
};

static struct timespec after_ms(int64_t ms)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    int64_t ns = at.tv_nsec + ms % 1000 * KS_NS_PER_MS;
    at.tv_sec += (time_t)(ms / 1000 + ns / KS_NS_PER_S);
    at.tv_nsec = (long)(ns % KS_NS_PER_S);
    return at;
}

/* Until poked, stopping, or the period is over. Answers whether to go on. */
static bool wait_for_work(struct ks_worker *worker)
{
    struct timespec until = after_ms(worker->period_ms);
    int error = 0;
    pthread_mutex_lock(&worker->lock);
    while (!worker->poked && !worker->stopping && error == 0) {
        error = pthread_cond_timedwait(&worker->changed, &worker->lock, &until);
    }
    worker->poked = false;
    bool go_on = !worker->stopping;
    pthread_mutex_unlock(&worker->lock);
    return go_on;
}

static void *thread_main(void *argument)
{
    struct ks_worker *worker = argument;
    pthread_setname_np(pthread_self(), worker->name);
    do {
        worker->run(worker->user, worker);
    } while (wait_for_work(worker));
    return NULL;
}

struct ks_worker *ks_worker_new(const char *name, int64_t period_ms)
{
    assert(period_ms > 0);

    struct ks_worker *worker = ks_alloc(1, sizeof(*worker));
    worker->name = name;
    worker->period_ms = period_ms;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&worker->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&worker->lock, NULL);
    return worker;
}

ks_result ks_worker_start(struct ks_worker *worker,
                          void (*run)(void *user, struct ks_worker *worker), void *user)
{
    assert(run && !worker->run);

    worker->run = run;
    worker->user = user;
    if (pthread_create(&worker->thread, NULL, thread_main, worker) != 0) {
        worker->run = NULL;
        return KS_RES(INTERNAL);
    }
    return KS_RES(OK);
}

void ks_worker_stop(struct ks_worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    worker->stopping = true;
    pthread_cond_signal(&worker->changed);
    pthread_mutex_unlock(&worker->lock);
    if (worker->run) {
        pthread_join(worker->thread, NULL);
        worker->run = NULL;
    }
}

void ks_worker_free(struct ks_worker *worker)
{
    if (!worker) {
        return;
    }
    ks_worker_stop(worker);
    pthread_cond_destroy(&worker->changed);
    pthread_mutex_destroy(&worker->lock);
    ks_free(worker);
}

void ks_worker_poke(struct ks_worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    worker->poked = true;
    pthread_cond_signal(&worker->changed);
    pthread_mutex_unlock(&worker->lock);
}

bool ks_worker_is_stopping(struct ks_worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    bool stopping = worker->stopping;
    pthread_mutex_unlock(&worker->lock);
    return stopping;
}
