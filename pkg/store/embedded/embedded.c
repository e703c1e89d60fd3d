/*
 * The engine of one node: LMDB alone. Mutations that wait together are one LMDB transaction, forced
 * to disk once (group commit); each has its own revision. Nothing needs a window or settling:
 * nobody else serves.
 */
#include <assert.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "pkg/base/mem.h"
#include "pkg/store/engine/engine.h"

#define BATCH_MAX        128U
#define FIRST_GENERATION 1U
#define FIRST_REVISION   1
#define DELETED_LEN_MAX  (64U << 20) /* keys that one mutation deletes by their prefix */

#define ALARM_FULL                                                                                 \
    "the disk or the database of this node is full: free space or raise the database limit; "      \
    "reads go on, changes are refused"
#define ALARM_DAMAGED                                                                              \
    "the database of this node is damaged or can't be written: stop the process and restore the "  \
    "data folder from a backup; changes are refused"

struct embedded {
    int wake_fd;
    _Atomic(const char *) alarm; /* static text; NULL: none */
};

/* Mutations that are tried together, and what became of each. */
struct batch {
    struct ks_pending *pendings[BATCH_MAX];
    struct ks_store_outcome outcomes[BATCH_MAX];
    char *stored[BATCH_MAX];             /* what outcomes borrow; owned */
    struct ks_buffer deleted[BATCH_MAX]; /* keys that went with a prefix, each with a NUL */
    size_t count;
};

static ks_result start(struct ks_store *store)
{
    struct embedded *engine = ks_alloc(1, sizeof(*engine));
    engine->wake_fd = eventfd(0, EFD_CLOEXEC);
    store->state = engine;
    if (engine->wake_fd < 0) {
        return KS_RES(INTERNAL);
    }
    KS_COPY_WRITE_AUTO write = {0};
    KS_TRY(ks_copy_write_begin(store->copy, &write));
    bool is_empty = write.position.applied <= FIRST_REVISION;
    ks_cell_clock_init(&store->cell_clock, store->options.clock, &store->folder, is_empty);
    ks_cell_clock_begin(&store->cell_clock);
    ks_cell_clock_hear(&store->cell_clock, NULL, 0);
    ks_cell_clock_tick(&store->cell_clock);
    if (write.position.applied == 0) {
        write.position.generation = FIRST_GENERATION;
        write.position.applied = FIRST_REVISION;
    }
    atomic_store(&store->applied, write.position.applied);
    atomic_store(&store->settled, write.position.applied);
    return ks_copy_commit(&write);
}

static void end(struct ks_store *store)
{
    struct embedded *engine = store->state;
    if (!engine) {
        return;
    }
    if (engine->wake_fd >= 0) {
        close(engine->wake_fd);
    }
    ks_free(engine);
}

static void wake(struct ks_store *store)
{
    const struct embedded *engine = store->state;
    uint64_t one = 1;
    ssize_t written = write(engine->wake_fd, &one, sizeof(one));
    assert(written == sizeof(one));
}

/* ---- One mutation ---- */

static int64_t revision_of(ks_result found, const struct ks_store_record *record)
{
    return found.code == KS_NOT_FOUND ? 0 : record->revision;
}

/* Fails: CONFLICT (a compare does not hold), CORRUPT, INTERNAL. */
static ks_result compare(struct ks_copy_write *write, const struct ks_store_mutation *mutation)
{
    for (size_t i = 0; i < mutation->compare_count; i++) {
        struct ks_store_record record;
        ks_result found = ks_copy_find(write, mutation->compares[i].key, &record);
        if (ks_failed(found) && found.code != KS_NOT_FOUND) {
            return found;
        }
        if (revision_of(found, &record) != mutation->compares[i].revision) {
            return KS_RES(CONFLICT);
        }
    }
    return KS_RES(OK);
}

/* Keys that were deleted, as far as there is room. */
struct deletion {
    struct ks_buffer *keys;
    ks_result result;
};

static void note_deleted(void *user, ks_bytes key)
{
    struct deletion *deletion = user;
    if (!ks_failed(deletion->result)) {
        deletion->result = ks_buffer_append(deletion->keys, key);
    }
    if (!ks_failed(deletion->result)) {
        deletion->result = ks_buffer_append(deletion->keys, KS_LITERAL("\0"));
    }
}

static ks_result delete_prefix(struct ks_copy_write *write, ks_bytes prefix, int64_t revision,
                               struct ks_buffer *deleted)
{
    struct deletion deletion = {deleted, KS_RES(OK)};
    deleted->len_max = DELETED_LEN_MAX;
    KS_TRY(ks_copy_delete_prefix(write, prefix, revision, note_deleted, &deletion));
    return deletion.result;
}

/* Fails: ACCESS_DENIED (the guard refuses a part of it), or as ks_copy_put. */
static ks_result change(struct ks_copy_write *write, const struct ks_store_mutation *mutation,
                        int64_t revision, struct ks_buffer *deleted)
{
    uint64_t refused = ks_copy_refused_count(write->copy);
    for (size_t i = 0; i < mutation->op_count; i++) {
        const struct ks_store_op *op = &mutation->ops[i];
        KS_TRY(op->value.ptr ? ks_copy_put(write, op->key, op->value, revision)
                             : ks_copy_delete(write, op->key, revision));
    }
    if (ks_copy_refused_count(write->copy) != refused) {
        return KS_RES(ACCESS_DENIED);
    }
    for (size_t i = 0; i < mutation->prefix_count; i++) {
        KS_TRY(delete_prefix(write, mutation->prefixes[i], revision, deleted));
    }
    if (mutation->request_key.len > 0) {
        KS_TRY(ks_copy_put(write, mutation->request_key, mutation->request_value, revision));
    }
    write->position.applied = revision;
    write->position.data_revision = revision;
    return KS_RES(OK);
}

/* Whether the request's record stands; then the outcome says so. */
static ks_result find_request(struct ks_copy_write *write, struct batch *batch, size_t index,
                              bool *ret_found)
{
    const struct ks_store_mutation *mutation = &batch->pendings[index]->mutation;
    struct ks_store_record record;
    *ret_found = false;
    if (mutation->request_key.len == 0) {
        return KS_RES(OK);
    }
    ks_result found = ks_copy_find(write, mutation->request_key, &record);
    if (found.code == KS_NOT_FOUND) {
        return KS_RES(OK);
    }
    KS_TRY(found);
    batch->stored[index] = ks_bytes_dup(record.value);
    batch->outcomes[index] = (struct ks_store_outcome){
        .result = KS_RES(ALREADY_EXISTS),
        .revision = record.revision,
        .stored = {(const uint8_t *)batch->stored[index], record.value.len},
    };
    *ret_found = true;
    return KS_RES(OK);
}

/* Fails when the whole transaction must be given up; a refusal is in the outcome. */
static ks_result apply_one(struct ks_copy_write *write, struct batch *batch, size_t index)
{
    const struct ks_store_mutation *mutation = &batch->pendings[index]->mutation;
    bool found;
    KS_TRY(find_request(write, batch, index, &found));
    if (found) {
        return KS_RES(OK);
    }
    ks_result compared = compare(write, mutation);
    int64_t revision = write->position.applied + 1;
    if (!ks_failed(compared)) {
        batch->outcomes[index].revision = revision;
        return change(write, mutation, revision, &batch->deleted[index]);
    }
    batch->outcomes[index].result = compared;
    return compared.code == KS_CONFLICT ? KS_RES(OK) : compared;
}

/* ---- A batch ---- */

static void forget_outcomes(struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        ks_free(batch->stored[i]);
        batch->stored[i] = NULL;
        ks_buffer_done(&batch->deleted[i]);
        batch->deleted[i] = (struct ks_buffer){.len = 0};
        batch->outcomes[i] = (struct ks_store_outcome){0};
    }
}

static ks_result try_batch(struct ks_store *store, struct batch *batch)
{
    KS_COPY_WRITE_AUTO write = {0};
    KS_TRY(ks_copy_write_begin(store->copy, &write));
    int64_t before = write.position.applied;
    for (size_t i = 0; i < batch->count; i++) {
        KS_TRY(apply_one(&write, batch, i));
    }
    int64_t applied = write.position.applied;
    if (applied > before) {
        KS_TRY(ks_copy_commit(&write));
        atomic_store(&store->applied, applied);
        atomic_store(&store->settled, applied);
    }
    return KS_RES(OK);
}

static void tell_deleted(const struct ks_store_options *options, ks_bytes keys, int64_t revision)
{
    for (size_t at = 0; at < keys.len;) {
        ks_bytes key = ks_bytes_of((const char *)keys.ptr + at);
        options->on_change(options->user, key, (ks_bytes){0}, revision);
        at += key.len + 1;
    }
}

static void tell_changes(const struct ks_store *store, const struct batch *batch, size_t index)
{
    const struct ks_store_options *options = &store->options;
    const struct ks_store_mutation *mutation = &batch->pendings[index]->mutation;
    int64_t revision = batch->outcomes[index].revision;
    if (!options->on_change) {
        return;
    }
    for (size_t i = 0; i < mutation->op_count; i++) {
        const struct ks_store_op *op = &mutation->ops[i];
        options->on_change(options->user, op->key, op->value, revision);
    }
    tell_deleted(options, ks_buffer_bytes(&batch->deleted[index]), revision);
}

static void answer_batch(struct ks_store *store, struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        if (!ks_failed(batch->outcomes[i].result)) {
            tell_changes(store, batch, i);
        }
    }
    if (store->options.on_applied) {
        store->options.on_applied(store->options.user, atomic_load(&store->applied));
    }
    for (size_t i = 0; i < batch->count; i++) {
        ks_store_answer(store, batch->pendings[i], &batch->outcomes[i]);
        batch->pendings[i] = NULL;
    }
    forget_outcomes(batch);
}

/* Nothing of it was kept, unless the disk failed in the middle: then that can't be known. */
static void answer_failure(struct ks_store *store, struct ks_pending *pending, ks_result failure)
{
    struct embedded *engine = store->state;
    bool full = failure.code == KS_LIMIT_EXCEEDED;
    if (failure.code != KS_ACCESS_DENIED) {
        atomic_store(&engine->alarm, full ? ALARM_FULL : ALARM_DAMAGED);
    }
    struct ks_store_outcome outcome = {.result = full ? failure : KS_RES(UNAVAILABLE)};
    ks_store_answer(store, pending, &outcome);
}

/* One mutation that does not fit must not refuse the others: each is then tried alone. */
static void do_batch(struct ks_store *store, struct batch *batch)
{
    struct embedded *engine = store->state;
    if (batch->count == 0) {
        return;
    }
    if (!ks_failed(try_batch(store, batch))) {
        atomic_store(&engine->alarm, NULL);
        answer_batch(store, batch);
        return;
    }
    forget_outcomes(batch);
    for (size_t i = 0; i < batch->count; i++) {
        struct batch single = {.pendings = {batch->pendings[i]}, .count = 1};
        ks_result tried = try_batch(store, &single);
        if (ks_failed(tried)) {
            forget_outcomes(&single);
            answer_failure(store, batch->pendings[i], tried);
        } else {
            answer_batch(store, &single);
        }
    }
}

/* ---- The thread ---- */

static void take_inbox(struct ks_store *store)
{
    struct batch batch = {.count = 0};
    struct ks_message *next;
    for (struct ks_message *message = ks_inbox_take(&store->inbox); message; message = next) {
        next = message->next;
        assert(message->kind == KS_MESSAGE_COMMIT);
        struct ks_pending *pending = (struct ks_pending *)message;
        if (pending->early != KS_OK) {
            struct ks_store_outcome outcome = {.result = {pending->early}};
            ks_store_answer(store, pending, &outcome);
            continue;
        }
        batch.pendings[batch.count++] = pending;
        if (batch.count == BATCH_MAX) {
            do_batch(store, &batch);
            batch.count = 0;
        }
    }
    do_batch(store, &batch);
}

static void run(struct ks_store *store)
{
    const struct embedded *engine = store->state;
    struct pollfd wake_up = {.fd = engine->wake_fd, .events = POLLIN};
    while (!atomic_load(&store->stopping)) {
        ks_cell_clock_tick(&store->cell_clock);
        if (poll(&wake_up, 1, KS_CELL_CLOCK_TICK_MS) <= 0) {
            continue;
        }
        uint64_t wakes;
        ssize_t got = read(engine->wake_fd, &wakes, sizeof(wakes));
        (void)got; /* Interrupted: the inbox is looked at once more than needed. */
        take_inbox(store);
    }
}

/* ---- Any thread ---- */

static bool may_serve(struct ks_store *store, uint64_t *ret_generation)
{
    (void)store;
    *ret_generation = FIRST_GENERATION;
    return true;
}

static bool on_duty(struct ks_store *store)
{
    (void)store;
    return true;
}

static void status(struct ks_store *store, struct ks_store_status *ret_status)
{
    struct embedded *engine = store->state;
    const char *alarm = atomic_load(&engine->alarm);
    ret_status->state = KS_STORE_FOLLOWING;
    memcpy(ret_status->keystore_id, store->folder.keystore_id, sizeof(store->folder.keystore_id));
    ret_status->life = store->folder.life;
    ret_status->applied_revision = atomic_load(&store->applied);
    ret_status->settled_revision = ret_status->applied_revision;
    ret_status->window_left_ms = store->options.window_ms;
    ret_status->database_bytes = ks_copy_used_len(store->copy);
    if (alarm) {
        strncpy(ret_status->alarm, alarm, sizeof(ret_status->alarm) - 1);
    } else if (ks_copy_is_damaged(store->copy)) {
        strncpy(ret_status->alarm, ALARM_DAMAGED, sizeof(ret_status->alarm) - 1);
    }
}

const struct ks_engine ks_embedded_engine = {
    .start = start,
    .run = run,
    .end = end,
    .wake = wake,
    .may_serve = may_serve,
    .status = status,
    .on_duty = on_duty,
};
