#include "tests/harness/gauge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#define NS_PER_MS 1000000

void gauge_set(struct gauge *gauge, int value)
{
    pthread_mutex_lock(&gauge->lock);
    gauge->value = value;
    pthread_cond_broadcast(&gauge->changed);
    pthread_mutex_unlock(&gauge->lock);
}

void gauge_raise(struct gauge *gauge)
{
    pthread_mutex_lock(&gauge->lock);
    gauge->value++;
    pthread_cond_broadcast(&gauge->changed);
    pthread_mutex_unlock(&gauge->lock);
}

int gauge_read(struct gauge *gauge)
{
    pthread_mutex_lock(&gauge->lock);
    int value = gauge->value;
    pthread_mutex_unlock(&gauge->lock);
    return value;
}

void gauge_reset(struct gauge *gauge)
{
    gauge_set(gauge, 0);
}

void gauge_await(struct gauge *gauge, int value)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += GAUGE_WAIT_MS / 1000;
    int timed_out = 0;
    pthread_mutex_lock(&gauge->lock);
    while (gauge->value < value && !timed_out) {
        timed_out = pthread_cond_timedwait(&gauge->changed, &gauge->lock, &until);
    }
    pthread_mutex_unlock(&gauge->lock);
    assert_int_equal(timed_out, 0);
}

void gauge_nap(int slept_ms, const char *expression, const char *file, int line)
{
    if (slept_ms >= GAUGE_WAIT_MS) {
        print_error("never came true: %s\n", expression);
        _fail(file, line);
    }
    const struct timespec moment = {0, NS_PER_MS};
    nanosleep(&moment, NULL);
}
