/*
 * What a cell of many keys costs one node: a store of the embedded engine with so many records of
 * keys, how long it takes to open, what memory it takes, and what CreateKey's mutation costs beside
 * them, in turns with a store that began empty.
 *
 *     bazel/bazel run --config=release //services/keystore/operations:million_bench -- 1000000
 */
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "pkg/base/mem.h"
#include "pkg/record/change.h"
#include "pkg/record/record.h"
#include "pkg/store/store_fixture.h"
#include "services/keystore/records/due.h"
#include "services/keystore/records/name.h"

#define ACCOUNTS    100U
#define EKT_LEN     180U /* about that of a symmetric key */
#define OUTSTANDING 64
#define CREATES     4000U /* in each of the rounds */
#define ROUNDS      5U
#define BYTES_MAX   (8ULL << 30)

static sem_t room;
static atomic_uint refused;

static double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double resident_mib(void)
{
    char line[128];
    char *rest = NULL;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof(line), file));
    fclose(file);
    (void)strtol(line, &rest, 10); /* of the whole address space */
    long pages = strtol(rest, NULL, 10);
    return (double)pages * (double)sysconf(_SC_PAGESIZE) / (1 << 20);
}

static struct ks_store *open_store(const char *folder)
{
    const struct ks_store_options options = {.engine = KS_STORE_EMBEDDED,
                                             .folder = folder,
                                             .database_bytes_max = BYTES_MAX,
                                             .due_ms = ks_record_due_ms,
                                             .name = "bench",
                                             .zone = "a",
                                             .address = "127.0.0.1:1"};
    struct ks_store *store = NULL;
    assert_int_equal(ks_store_new(&options, &store).code, KS_OK);
    return store;
}

/* The keys' ids are spread, as random ones are. */
static void put_key(struct ks_change *change, uint32_t number)
{
    static const uint8_t ekt[EKT_LEN] = {1};
    char account[13];
    char key_id[37];
    char material_id[65];
    snprintf(account, sizeof(account), "%012u", number % ACCOUNTS);
    snprintf(key_id, sizeof(key_id), "%08x-0000-4000-8000-%012x", number * 2654435761U, number);
    snprintf(material_id, sizeof(material_id), "%064x", number);
    STORED(KeyMaterial) material = STORED_NEW(KEY_MATERIAL);
    material.material_id = material_id;
    material.ekt = ks_lend_bytes((ks_bytes){ekt, sizeof(ekt)});
    material.created_at_ms = 1;
    STORED(KeyMaterial) * materials[] = {&material};
    STORED(KeyRecord) record = STORED_NEW(KEY_RECORD);
    record.format = KS_RECORD_FORMAT;
    record.account = account;
    record.key_id = key_id;
    record.state = STORED_ENUM(KEY_STATE__KEY_STATE_ENABLED);
    record.materials = materials;
    record.n_materials = 1;
    struct ks_name name = ks_name_key(account, key_id);
    ks_change_compare(change, ks_name_bytes(&name), 0);
    ks_change_put(change, ks_name_bytes(&name), &record.base);
}

static void done(void *user, const struct ks_store_outcome *outcome)
{
    (void)user;
    atomic_fetch_add(&refused, outcome->result.code != KS_OK);
    sem_post(&room);
}

static void await_all(int outstanding)
{
    for (int i = 0; i < outstanding; i++) {
        sem_wait(&room);
    }
    for (int i = 0; i < outstanding; i++) {
        sem_post(&room);
    }
}

/* As CreateKey does, with a record of the request; keys_each of them in one mutation. */
static double create(struct ks_store *store, uint32_t from, uint32_t count, uint32_t keys_each)
{
    double begun = seconds(CLOCK_MONOTONIC);
    for (uint32_t i = 0; i < count; i += keys_each) {
        KS_CHANGE_AUTO change = {.result = KS_RES(OK)};
        char request[96];
        for (uint32_t j = 0; j < keys_each; j++) {
            put_key(&change, from + i + j);
        }
        STORED(RequestRecord) record = STORED_NEW(REQUEST_RECORD);
        record.format = KS_RECORD_FORMAT;
        record.created_at_ms = 1;
        snprintf(request, sizeof(request), "request/%012u/%064x", i % ACCOUNTS, from + i);
        if (keys_each == 1) {
            ks_change_request(&change, ks_bytes_of(request), &record.base);
        }
        assert_int_equal(change.result.code, KS_OK);
        sem_wait(&room);
        ks_store_commit(store, &change.mutation, INT64_MAX, done, NULL);
    }
    await_all(OUTSTANDING);
    return seconds(CLOCK_MONOTONIC) - begun;
}

static void report_prefix(struct ks_store *store)
{
    int64_t newest;
    uint64_t keys = 0;
    KS_STORE_VIEW_AUTO view = {0};
    assert_int_equal(ks_store_serve(store, &view).code, KS_OK);
    double begun = seconds(CLOCK_MONOTONIC);
    assert_int_equal(ks_store_prefix(&view, KS_NAME_KEYS, &newest, &keys).code, KS_OK);
    printf("%llu keys, counted in %.0f us\n", (unsigned long long)keys,
           (seconds(CLOCK_MONOTONIC) - begun) * 1e6);
}

int main(int argc, char **argv)
{
    uint32_t count = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1000000;
    KS_AUTO_FREE char *folder = fixture_folder("million");
    KS_AUTO_FREE char *empty_folder = fixture_folder("empty");
    sem_init(&room, 0, OUTSTANDING);
    struct ks_store *store = open_store(folder);
    printf("%u keys: %.1f s\n", count, create(store, 0, count, KS_STORE_OPS_MAX));
    ks_store_free(store);

    double begun = seconds(CLOCK_MONOTONIC);
    store = open_store(folder);
    printf("opened in %.0f ms; %.0f MiB resident\n", (seconds(CLOCK_MONOTONIC) - begun) * 1e3,
           resident_mib());
    report_prefix(store);
    struct ks_store *empty = open_store(empty_folder);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        double full_s = create(store, count + i * CREATES, CREATES, 1);
        double empty_s = create(empty, i * CREATES, CREATES, 1);
        printf("CreateKey's mutation, %d outstanding: %.0f/s full, %.0f/s empty\n", OUTSTANDING,
               CREATES / full_s, CREATES / empty_s);
    }
    struct ks_store_status status;
    ks_store_get_status(store, &status);
    printf("%.0f MiB on disk, %.0f MiB resident; %u refused\n",
           (double)status.database_bytes / (1 << 20), resident_mib(), atomic_load(&refused));
    ks_store_free(store);
    ks_store_free(empty);
    fixture_remove(folder);
    fixture_remove(empty_folder);
    return 0;
}
