#include "pkg/store/store_fixture.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SERVE_WAIT_MS 20000

char *fixture_folder(const char *name)
{
    const char *base = getenv("TEST_TMPDIR");
    char path[512];
    snprintf(path, sizeof(path), "%s/%s-XXXXXX", base ? base : "/tmp", name);
    if (!mkdtemp(path)) {
        perror(path);
        exit(1);
    }
    return ks_strdup(path);
}

struct ks_store *fixture_embedded(const char *folder)
{
    return fixture_embedded_at(folder, NULL);
}

struct ks_store *fixture_embedded_at(const char *folder, const struct ks_clock *clock)
{
    const struct ks_store_options options = {.engine = KS_STORE_EMBEDDED,
                                             .folder = folder,
                                             .database_bytes_max = 64U * 1024U * 1024U,
                                             .clock = clock};
    struct ks_store *store = NULL;
    if (ks_failed(ks_store_new(&options, &store))) {
        fprintf(stderr, "%s: no store\n", folder);
        exit(1);
    }
    return store;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *place)
{
    (void)info;
    (void)type;
    (void)place;
    return remove(path);
}

void fixture_remove(const char *folder)
{
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- Callbacks of a store ---- */

static void on_applied(void *user, int64_t revision)
{
    struct fixture_events *events = user;
    pthread_mutex_lock(&events->lock);
    events->applied = revision;
    pthread_cond_broadcast(&events->changed);
    pthread_mutex_unlock(&events->lock);
}

static void on_change(void *user, ks_bytes key, ks_bytes value, int64_t revision)
{
    (void)revision;
    struct fixture_events *events = user;
    pthread_mutex_lock(&events->lock);
    char *place = events->keys[events->change_count % FIXTURE_CHANGE_MAX];
    snprintf(place, sizeof(events->keys[0]), "%s%.*s", value.ptr ? "" : "-", (int)key.len,
             (const char *)key.ptr);
    events->change_count++;
    pthread_cond_broadcast(&events->changed);
    pthread_mutex_unlock(&events->lock);
}

static void on_reload(void *user, int64_t revision)
{
    (void)revision;
    struct fixture_events *events = user;
    pthread_mutex_lock(&events->lock);
    events->reload_count++;
    pthread_cond_broadcast(&events->changed);
    pthread_mutex_unlock(&events->lock);
}

void fixture_events_init(struct fixture_events *events)
{
    memset(events, 0, sizeof(*events));
    pthread_mutex_init(&events->lock, NULL);
    pthread_cond_init(&events->changed, NULL);
}

void fixture_listen(struct fixture_events *events, struct ks_store_options *options)
{
    options->on_applied = on_applied;
    options->on_change = on_change;
    options->on_reload = on_reload;
    options->user = events;
}

/* ---- Calls that wait ---- */

struct answer {
    pthread_mutex_t lock;
    pthread_cond_t is_there;
    bool there;
    struct fixture_outcome outcome;
};

#define ANSWER_INIT                                                                                \
    {                                                                                              \
        .lock = PTHREAD_MUTEX_INITIALIZER, .is_there = PTHREAD_COND_INITIALIZER                    \
    }

static void answer_set(struct answer *answer, const struct fixture_outcome *outcome)
{
    pthread_mutex_lock(&answer->lock);
    answer->outcome = *outcome;
    answer->there = true;
    pthread_cond_signal(&answer->is_there);
    pthread_mutex_unlock(&answer->lock);
}

static struct fixture_outcome answer_wait(struct answer *answer)
{
    pthread_mutex_lock(&answer->lock);
    while (!answer->there) {
        pthread_cond_wait(&answer->is_there, &answer->lock);
    }
    pthread_mutex_unlock(&answer->lock);
    return answer->outcome;
}

static void committed(void *user, const struct ks_store_outcome *outcome)
{
    struct fixture_outcome copy = {.code = outcome->result.code, .revision = outcome->revision};
    size_t len = outcome->stored.len < FIXTURE_VALUE_MAX ? outcome->stored.len : 0;
    if (len > 0) {
        memcpy(copy.stored, outcome->stored.ptr, len);
    }
    answer_set(user, &copy);
}

struct fixture_outcome fixture_commit(struct ks_store *store,
                                      const struct ks_store_mutation *mutation)
{
    struct answer answer = ANSWER_INIT;
    ks_store_commit(store, mutation, 0, committed, &answer);
    return answer_wait(&answer);
}

struct fixture_outcome fixture_put(struct ks_store *store, const char *key, const char *value,
                                   int64_t expected)
{
    struct ks_store_mutation mutation = {
        .compares = {{ks_bytes_of(key), expected}},
        .compare_count = 1,
        .ops = {{ks_bytes_of(key), ks_bytes_of(value)}},
        .op_count = 1,
    };
    return fixture_commit(store, &mutation);
}

static void settled(void *user, ks_result result)
{
    struct fixture_outcome outcome = {.code = result.code};
    answer_set(user, &outcome);
}

ks_code fixture_settle(struct ks_store *store, int64_t revision)
{
    struct answer answer = ANSWER_INIT;
    ks_store_settle(store, revision, settled, &answer);
    return answer_wait(&answer).code;
}

struct ks_store_view fixture_serve(struct ks_store *store)
{
    struct ks_store_view view = {0};
    int64_t give_up_ms = fixture_now_ms() + SERVE_WAIT_MS;
    while (ks_failed(ks_store_serve(store, &view))) {
        if (fixture_now_ms() > give_up_ms) {
            fprintf(stderr, "no serving window within %d ms\n", SERVE_WAIT_MS);
            exit(1);
        }
        fixture_sleep_ms(5);
    }
    return view;
}

const char *fixture_read(struct ks_store *store, const char *key)
{
    static char text[FIXTURE_VALUE_MAX];
    struct ks_store_record record = {0};
    KS_STORE_VIEW_AUTO view = fixture_serve(store);
    memset(text, 0, sizeof(text));
    if (!ks_failed(ks_store_get(&view, ks_bytes_of(key), &record)) &&
        record.value.len < sizeof(text) && record.value.len > 0) {
        memcpy(text, record.value.ptr, record.value.len);
    }
    return text;
}

int64_t fixture_now_ms(void)
{
    return ks_clock_boot_ns(&ks_clock_system) / KS_NS_PER_MS;
}

void fixture_sleep_ms(int64_t ms)
{
    usleep((useconds_t)(ms * 1000));
}
