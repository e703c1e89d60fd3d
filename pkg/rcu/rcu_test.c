#include "pkg/rcu/rcu.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#ifndef __has_feature
#define __has_feature(x) 0
#endif

#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
/* liburcu is not built for ThreadSanitizer, which misunderstands what it does with its own memory. */
const char *__tsan_default_suppressions(void);

const char *__tsan_default_suppressions(void)
{
    return "called_from_lib:liburcu-bp.so\n";
}
#endif

#define READERS  3
#define VERSIONS 2000

static atomic_int freed;

/* Both halves are the same as long as the version lives. */
struct version {
    int number;
    int again;
};

static void free_version(void *ptr)
{
    struct version *version = ptr;
    version->number = -1;
    ks_free(version);
    atomic_fetch_add(&freed, 1);
}

static struct version *make(int number)
{
    struct version *version = ks_alloc(1, sizeof(*version));
    version->number = number;
    version->again = number;
    return version;
}

static int number_of(const struct ks_rcu *rcu)
{
    KS_RCU_AUTO snapshot = ks_rcu_acquire(rcu);
    const struct version *version = snapshot.version;
    return version ? version->number : 0;
}

static void has_no_version_at_first(void **state)
{
    (void)state;
    struct ks_rcu *rcu = ks_rcu_new(free_version);

    assert_int_equal(number_of(rcu), 0);
    assert_null(ks_rcu_current(rcu));

    ks_rcu_free(rcu);
}

static void reads_what_was_published_last(void **state)
{
    (void)state;
    struct ks_rcu *rcu = ks_rcu_new(free_version);

    ks_rcu_publish(rcu, make(1));
    assert_int_equal(number_of(rcu), 1);
    ks_rcu_publish(rcu, make(2));
    assert_int_equal(number_of(rcu), 2);
    assert_int_equal(((const struct version *)ks_rcu_current(rcu))->number, 2);

    ks_rcu_free(rcu);
}

static void frees_every_version_once(void **state)
{
    (void)state;
    atomic_store(&freed, 0);
    struct ks_rcu *rcu = ks_rcu_new(free_version);
    for (int i = 1; i <= 100; i++) {
        ks_rcu_publish(rcu, make(i));
    }

    ks_rcu_free(rcu);

    assert_int_equal(atomic_load(&freed), 100);
}

struct publisher {
    struct ks_rcu *rcu;
    atomic_bool published;
};

static void *publish_one(void *arg)
{
    struct publisher *publisher = arg;
    ks_rcu_publish(publisher->rcu, make(2));
    atomic_store(&publisher->published, true);
    return NULL;
}

/* The writer is not kept waiting by a reader, and the reader keeps what it has. */
static void keeps_a_version_while_it_is_held(void **state)
{
    (void)state;
    atomic_store(&freed, 0);
    struct ks_rcu *rcu = ks_rcu_new(free_version);
    ks_rcu_publish(rcu, make(1));
    struct publisher publisher = {.rcu = rcu};
    struct ks_rcu_snapshot snapshot = ks_rcu_acquire(rcu);
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, publish_one, &publisher), 0);
    pthread_join(thread, NULL);

    assert_true(atomic_load(&publisher.published));
    assert_int_equal(((const struct version *)snapshot.version)->number, 1);
    assert_int_equal(atomic_load(&freed), 0);
    ks_rcu_release(&snapshot);
    ks_rcu_release(&snapshot); /* twice is fine */
    assert_null(snapshot.version);
    ks_rcu_free(rcu);
    assert_int_equal(atomic_load(&freed), 2);
}

static void *read_many(void *arg)
{
    const struct ks_rcu *rcu = arg;
    intptr_t wrong = 0;
    int last = 0;
    while (last < VERSIONS) {
        KS_RCU_AUTO snapshot = ks_rcu_acquire(rcu);
        const struct version *version = snapshot.version;
        int number = version ? version->number : 0;
        wrong += (version && version->again != number) || number < last;
        last = number;
    }
    return (void *)wrong;
}

static void readers_see_whole_versions_in_order(void **state)
{
    (void)state;
    struct ks_rcu *rcu = ks_rcu_new(free_version);
    pthread_t readers[READERS];
    for (int i = 0; i < READERS; i++) {
        assert_int_equal(pthread_create(&readers[i], NULL, read_many, rcu), 0);
    }

    for (int i = 1; i <= VERSIONS; i++) {
        ks_rcu_publish(rcu, make(i));
    }

    for (int i = 0; i < READERS; i++) {
        void *wrong = NULL;
        pthread_join(readers[i], &wrong);
        assert_null(wrong);
    }
    ks_rcu_free(rcu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_no_version_at_first),
        cmocka_unit_test(reads_what_was_published_last),
        cmocka_unit_test(frees_every_version_once),
        cmocka_unit_test(keeps_a_version_while_it_is_held),
        cmocka_unit_test(readers_see_whole_versions_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
