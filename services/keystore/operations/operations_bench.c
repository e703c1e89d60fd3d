/*
 * What an item costs in this process, without gRPC: Encrypt of 36 bytes through a fake hsm, whose
 * own work is counted, too. Items come in messages, as they do from a frontend.
 *
 *     bazel/bazel run --config=release //services/keystore/operations:operations_bench
 */
#include <malloc.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include "pkg/codec/codec.h"
#include "services/keystore/fixture/cell_fixture.h"

#define ITEMS       200000U
#define OUTSTANDING 256
#define MESSAGE     100 /* items */

static sem_t room;
static atomic_uint refused;

static void done(void *user, const INTERNAL(ItemResult) * result)
{
    (void)user;
    atomic_fetch_add(&refused, result->code != KS_OK);
    sem_post(&room);
}

static double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* An item that is allowed, as a frontend sends it that knows the key's version. */
static void pack_item(struct cell *cell, const char *key_id, struct ks_buffer *packed)
{
    KMS(EncryptRequest) message = KMS_NEW(ENCRYPT_REQUEST);
    message.key_id = ks_lend_text(key_id);
    message.plaintext = ks_lend_bytes(KS_LITERAL("0b4f9c9e-6f5d-4b8b-9b0e-000000000001"));
    KS_BUFFER_AUTO request = {.len_max = 4096};
    assert_int_equal(ks_codec_pack(&message.base, &request).code, KS_OK);
    INTERNAL(Item) item = INTERNAL_NEW(ITEM);
    item.tag = 7;
    item.operation = OP(ENCRYPT);
    item.account = ks_lend_text(CELL_ACCOUNT);
    item.principal = ks_lend_text("arn:aws:iam::" CELL_ACCOUNT ":user/alice");
    item.request = ks_lend_bytes(ks_buffer_bytes(&request));
    CELL_ANSWER_AUTO undecided = cell_send(cell, &item, NULL);
    ProtobufCBinaryData versions = ks_lend_bytes(undecided.versions[0]);
    item.versions = &versions;
    item.n_versions = 1;
    item.decision = INTERNAL_ENUM(DECISION__DECISION_ALLOW);
    assert_int_equal(ks_codec_pack(&item.base, packed).code, KS_OK);
}

/* As a stream takes a message of many items. */
static void send_message(struct cell *cell, ks_bytes item)
{
    for (int i = 0; i < MESSAGE; i++) {
        sem_wait(&room);
    }
    struct ks_execute_message message = {0};
    ks_hsm_link_hold(cell->link);
    for (int i = 0; i < MESSAGE; i++) {
        assert_int_equal(ks_execute(&cell->env, &message, item, done, NULL).code, KS_OK);
    }
    ks_execute_message_done(&message);
    ks_hsm_link_release(cell->link);
}

int main(void)
{
    struct cell cell = {.on_change = NULL};
    char key_id[37];
    mallopt(M_TRIM_THRESHOLD, 256 << 20);
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    cell_start(&cell, 0);
    cell_wait_ready(&cell);
    cell_create_key(&cell, key_id);
    KS_BUFFER_AUTO item = {.len_max = 4096};
    pack_item(&cell, key_id, &item);
    sem_init(&room, 0, OUTSTANDING);

    double wall = seconds(CLOCK_MONOTONIC);
    double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    double mine = seconds(CLOCK_THREAD_CPUTIME_ID);
    for (size_t i = 0; i < ITEMS; i += MESSAGE) {
        send_message(&cell, ks_buffer_bytes(&item));
    }
    for (int i = 0; i < OUTSTANDING; i++) {
        sem_wait(&room);
    }
    mine = seconds(CLOCK_THREAD_CPUTIME_ID) - mine;
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    wall = seconds(CLOCK_MONOTONIC) - wall;
    printf("%u items, %u refused: %.2f us of CPU each, %.2f of them before the hsm is asked; "
           "%.0f/s, %.1f in a frame\n",
           ITEMS, atomic_load(&refused), cpu / ITEMS * 1e6, mine / ITEMS * 1e6, ITEMS / wall,
           (double)ITEMS / (double)ks_fake_hsm_batch_count(cell.hsm));
    cell_stop(&cell);
    return 0;
}
