#include "services/keystore/worker/worker.h"

#include <assert.h>
#include <pthread.h>
#include <time.h>

#include "pkg/base/clock.h"
#include "pkg/base/mem.h"

struct ks_worker {
    struct ks_worker_options options;
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
    struct timespec until = after_ms(worker->options.period_ms);
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

static void *run(void *argument)
{
    struct ks_worker *worker = argument;
    pthread_setname_np(pthread_self(), worker->options.name);
    do {
        worker->options.run(worker->options.user, worker);
    } while (wait_for_work(worker));
    return NULL;
}

ks_result ks_worker_new(const struct ks_worker_options *options, struct ks_worker **ret_worker)
{
    assert(options->run && options->period_ms > 0);

    struct ks_worker *worker = ks_alloc(1, sizeof(*worker));
    worker->options = *options;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&worker->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&worker->lock, NULL);
    if (pthread_create(&worker->thread, NULL, run, worker) != 0) {
        pthread_cond_destroy(&worker->changed);
        pthread_mutex_destroy(&worker->lock);
        ks_free(worker);
        return KS_RES(INTERNAL);
    }
    *ret_worker = worker;
    return KS_RES(OK);
}

void ks_worker_stop(struct ks_worker *worker)
{
    if (!worker) {
        return;
    }
    pthread_mutex_lock(&worker->lock);
    worker->stopping = true;
    pthread_cond_signal(&worker->changed);
    pthread_mutex_unlock(&worker->lock);
}

void ks_worker_free(struct ks_worker *worker)
{
    if (!worker) {
        return;
    }
    ks_worker_stop(worker);
    pthread_join(worker->thread, NULL);
    pthread_cond_destroy(&worker->changed);
    pthread_mutex_destroy(&worker->lock);
    ks_free(worker);
}

void ks_worker_poke(struct ks_worker *worker)
{
    if (!worker) {
        return;
    }
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
