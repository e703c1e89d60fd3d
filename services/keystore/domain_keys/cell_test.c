/*
 * A whole cell in memory: three zones, the first with two nodes, each with an hsm and the machine,
 * on one map of records. Nodes take turns in any order; commits get lost, stay unknown and arrive
 * late; zones are wiped (the hsms with their node keys are gone, other ones come) or vanish, at each
 * step.
 *
 * What must hold: a key that was acknowledged, sealed under some generation's value, can be opened
 * in the end by every node that stands; and no two values are ever used under one generation.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/base/mem.h"
#include "services/keystore/domain_keys/ledger.h"
#include "services/keystore/domain_keys/machine.h"
#include "services/keystore/records/key.h"

#define ZONES       3U
#define NODES       4U
#define RECORDS_MAX 64U
#define VALUE_MAX   512U
#define HELD_MAX    KS_DOMAIN_HELD_MAX
#define KEYS_MAX    512U
#define STEPS       400U
#define STEP_MS     500
#define SEEDS       400U

static const char *const zone_names[ZONES] = {"r-1a", "r-1b", "r-1c"};

/* Of a node: its zone, and the name of its keystore. */
static const size_t zone_of[NODES] = {0, 0, 1, 2};
static const char *const keystore_names[NODES] = {"keystore-1", "keystore-2", "keystore-3",
                                                  "keystore-4"};

struct stored {
    char key[96];
    uint8_t value[VALUE_MAX];
    size_t len;
    int64_t revision; /* 0: free */
};

/* What an hsm puts into a wrapped copy, a challenge and an envelope: all in the clear here. */
struct parcel {
    uint32_t hsm; /* that wraps it, or whose challenge it is */
    uint32_t generation;
    uint32_t value;
    uint32_t nonce;
};

struct node {
    bool gone;
    uint32_t hsm; /* another one after each wipe */
    struct parcel held[HELD_MAX];
    size_t held_count;
    uint32_t nonce; /* of the challenge that is open; 0: none */
    int64_t challenge_revision;
    int64_t newest_revision; /* as this node knows it */
    int64_t newest_since_ms;
};

/* A key that was acknowledged: sealed under this value of this generation. */
struct sealed_key {
    uint32_t generation;
    uint32_t value;
};

/* A mutation on its way, when its outcome was reported as unknown. */
struct late {
    struct ks_change change;
    bool used;
};

struct cell {
    struct stored records[RECORDS_MAX];
    int64_t revision;
    struct node nodes[NODES];
    struct sealed_key keys[KEYS_MAX];
    size_t key_count;
    struct late late;
    uint32_t counter; /* of values, nodes and nonces */
    int64_t now_ms;
    uint64_t random;
    unsigned faults_percent;
    uint32_t clean_below;
    struct ks_domain_records seen; /* scratch: it is large */
};

static uint32_t draw(struct cell *cell, uint32_t below)
{
    cell->random = cell->random * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)(cell->random >> 33) % below;
}

/* The map */

static struct stored *find(struct cell *cell, ks_bytes key)
{
    for (size_t i = 0; i < RECORDS_MAX; i++) {
        struct stored *stored = &cell->records[i];
        if (stored->revision && ks_bytes_equal(ks_bytes_of(stored->key), key)) {
            return stored;
        }
    }
    return NULL;
}

static struct stored *find_free(struct cell *cell)
{
    for (size_t i = 0; i < RECORDS_MAX; i++) {
        if (!cell->records[i].revision) {
            return &cell->records[i];
        }
    }
    fail_msg("the map is full");
    return NULL;
}

static void carry_out(struct cell *cell, const struct ks_store_op *op)
{
    struct stored *stored = find(cell, op->key);
    if (!op->value.ptr) {
        if (stored) {
            stored->revision = 0;
        }
        return;
    }
    stored = stored ? stored : find_free(cell);
    assert_true(op->key.len < sizeof(stored->key) && op->value.len <= VALUE_MAX);
    memcpy(stored->key, op->key.ptr, op->key.len);
    stored->key[op->key.len] = '\0';
    memcpy(stored->value, op->value.ptr, op->value.len);
    stored->len = op->value.len;
    stored->revision = cell->revision;
}

static bool apply(struct cell *cell, const struct ks_store_mutation *mutation)
{
    for (size_t i = 0; i < mutation->compare_count; i++) {
        const struct stored *stored = find(cell, mutation->compares[i].key);
        if ((stored ? stored->revision : 0) != mutation->compares[i].revision) {
            return false;
        }
    }
    cell->revision++;
    for (size_t i = 0; i < mutation->op_count; i++) {
        carry_out(cell, &mutation->ops[i]);
    }
    return true;
}

static void land_late(struct cell *cell)
{
    if (cell->late.used) {
        apply(cell, &cell->late.change.mutation);
        ks_change_done(&cell->late.change);
        cell->late.used = false;
    }
}

/* Answers whether the node learned that it is done. */
static bool commit(struct cell *cell, struct ks_change *change)
{
    /* The late one may arrive between this node's look and its commit. */
    if (cell->faults_percent > 0 && draw(cell, 3) == 0) {
        land_late(cell);
    }
    uint32_t dice = draw(cell, 100);
    if (dice >= cell->faults_percent) {
        return apply(cell, &change->mutation);
    }
    if (dice % 3 == 0) {
        return false;
    }
    if (dice % 3 == 1 || cell->late.used) {
        apply(cell, &change->mutation);
        return false;
    }
    cell->late = (struct late){*change, true};
    *change = (struct ks_change){.result = KS_RES(OK)};
    return false;
}

/* The hsm */

static struct parcel *held(struct node *node, uint32_t generation)
{
    for (size_t i = 0; i < node->held_count; i++) {
        if (node->held[i].generation == generation) {
            return &node->held[i];
        }
    }
    return NULL;
}

static void hold(struct node *node, uint32_t generation, uint32_t value)
{
    struct parcel *there = held(node, generation);
    assert_true(there || node->held_count < HELD_MAX);
    there = there ? there : &node->held[node->held_count++];
    *there = (struct parcel){node->hsm, generation, value, 0};
}

static void forget(struct node *node, uint32_t generation)
{
    struct parcel *there = held(node, generation);
    assert_non_null(there);
    *there = node->held[--node->held_count];
}

static ks_bytes parcel_bytes(const struct parcel *parcel)
{
    return (ks_bytes){(const uint8_t *)parcel, sizeof(*parcel)};
}

static struct parcel parcel_of(ProtobufCBinaryData bytes)
{
    struct parcel parcel;
    assert_int_equal(bytes.len, sizeof(parcel));
    memcpy(&parcel, bytes.data, sizeof(parcel));
    return parcel;
}

/* One node's turn */

static struct ks_domain_node name_node(const struct cell *cell, size_t index)
{
    struct ks_domain_node name = {.zone = ""};
    snprintf(name.zone, sizeof(name.zone), "%s", zone_names[zone_of[index]]);
    snprintf(name.node_id, sizeof(name.node_id), "hsm%" PRIu32, cell->nodes[index].hsm);
    snprintf(name.keystore, sizeof(name.keystore), "%s", keystore_names[index]);
    return name;
}

static void look(struct cell *cell, size_t index, struct ks_domain_self *self)
{
    struct node *node = &cell->nodes[index];
    memset(&cell->seen, 0, sizeof(cell->seen));
    for (size_t i = 0; i < RECORDS_MAX; i++) {
        const struct stored *stored = &cell->records[i];
        if (stored->revision) {
            struct ks_store_record record = {
                ks_bytes_of(stored->key), {stored->value, stored->len}, stored->revision};
            assert_int_equal(ks_ledger_add(&cell->seen, &record).code, KS_OK);
        }
    }
    if (node->newest_revision != cell->seen.newest.revision) {
        node->newest_revision = cell->seen.newest.revision;
        node->newest_since_ms = cell->now_ms;
    }

    memset(self, 0, sizeof(*self));
    self->node = name_node(cell, index);
    for (size_t i = 0; i < node->held_count; i++) {
        self->held[self->held_count++] = node->held[i].generation;
    }
    self->challenge_revision = node->challenge_revision;
    self->may_make = true;
    self->newest_wait_ms = cell->now_ms - node->newest_since_ms;
    self->clean_below = cell->clean_below;
    self->min_zones = 2;
    self->on_duty = true;
    for (size_t i = 0; i < NODES; i++) {
        if (!cell->nodes[i].gone) {
            snprintf(self->listed[self->listed_count++], KS_DOMAIN_KEYSTORE_LEN, "%s",
                     keystore_names[i]);
            self->on_duty = self->on_duty && i >= index;
        }
    }
}

static const struct stored *record_of(struct cell *cell, struct ks_name name)
{
    const struct stored *stored = find(cell, ks_name_bytes(&name));
    assert_non_null(stored);
    return stored;
}

static void load(struct cell *cell, size_t index, uint32_t generation)
{
    KS_ARENA_AUTO arena = {.len_max = 4096};
    const struct ks_domain_node name = name_node(cell, index);
    const struct stored *stored =
        record_of(cell, ks_name_domain_copy(generation, name.zone, name.node_id));
    ProtobufCMessage *message = NULL;
    assert_int_equal(ks_record_read(STORED_TYPE(domain_key_copy),
                                    (ks_bytes){stored->value, stored->len}, &arena, &message)
                         .code,
                     KS_OK);
    struct parcel parcel = parcel_of(((const STORED(DomainKeyCopy) *)message)->wrapped);
    assert_int_equal(parcel.hsm, cell->nodes[index].hsm);
    assert_int_equal(parcel.generation, generation);
    hold(&cell->nodes[index], generation, parcel.value);
}

static void read_transit(struct cell *cell, const struct ks_domain_node *name,
                         struct parcel *ret_challenge, struct parcel *ret_envelope)
{
    KS_ARENA_AUTO arena = {.len_max = 4096};
    const struct stored *stored = record_of(cell, ks_name_transit(name->zone, name->node_id));
    ProtobufCMessage *message = NULL;
    assert_int_equal(ks_record_read(STORED_TYPE(transit_record),
                                    (ks_bytes){stored->value, stored->len}, &arena, &message)
                         .code,
                     KS_OK);
    const STORED(TransitRecord) *transit = (const STORED(TransitRecord) *)message;
    *ret_challenge = parcel_of(transit->challenge);
    if (ret_envelope) {
        *ret_envelope = parcel_of(transit->envelope);
    }
}

/* What the hsm does for a step; false: it refuses. */
static bool ask_hsm(struct cell *cell, size_t index, const struct ks_domain_step *step,
                    struct parcel *ret_made, struct parcel *ret_challenge)
{
    struct node *node = &cell->nodes[index];
    const struct ks_domain_node name = name_node(cell, index);
    struct parcel envelope;
    switch (step->move) {
    case KS_DOMAIN_MAKE:
        *ret_made = (struct parcel){node->hsm, step->generation, ++cell->counter, 0};
        hold(node, step->generation, ret_made->value);
        return true;
    case KS_DOMAIN_ASK:
        node->nonce = ++cell->counter;
        *ret_challenge = (struct parcel){node->hsm, step->generation, 0, node->nonce};
        return true;
    case KS_DOMAIN_SEAL:
        read_transit(cell, &cell->seen.transits[step->transit].node, ret_challenge, NULL);
        *ret_made = *held(node, step->generation);
        ret_made->nonce = ret_challenge->nonce;
        return true;
    case KS_DOMAIN_OPEN:
        read_transit(cell, &name, ret_challenge, &envelope);
        if (node->nonce == 0 || envelope.nonce != node->nonce) {
            return false;
        }
        node->nonce = 0;
        *ret_made = (struct parcel){node->hsm, step->generation, envelope.value, 0};
        hold(node, step->generation, envelope.value);
        return true;
    default:
        return true;
    }
}

static void write_down(struct cell *cell, size_t index, const struct ks_domain_self *self,
                       const struct ks_domain_step *step)
{
    struct node *node = &cell->nodes[index];
    struct parcel made = {0};
    struct parcel challenge = {0};
    KS_CHANGE_AUTO change = {.result = KS_RES(OK)};
    if (!ask_hsm(cell, index, step, &made, &challenge)) {
        ks_ledger_forget_transit(&cell->seen, self, &change);
        commit(cell, &change);
        return;
    }
    struct ks_ledger_material material = {parcel_bytes(&made), parcel_bytes(&challenge), {NULL, 0}};
    if (step->move == KS_DOMAIN_SEAL) {
        material.envelope = parcel_bytes(&made);
    }
    ks_ledger_write(&cell->seen, self, step, &material, cell->now_ms, &change);
    assert_int_equal(change.result.code, KS_OK);
    bool done = commit(cell, &change);
    if (done && step->move == KS_DOMAIN_ASK) {
        node->challenge_revision = cell->revision;
    }
    if (!done && held(node, step->generation) && ks_domain_puts_copy(step->move)) {
        forget(node, step->generation);
    }
}

static enum ks_domain_move take_turn(struct cell *cell, size_t index)
{
    struct ks_domain_self *self = ks_alloc(1, sizeof(*self));
    look(cell, index, self);
    struct ks_domain_step step = ks_domain_next(&cell->seen, self);
    if (step.move == KS_DOMAIN_DROP) {
        forget(&cell->nodes[index], step.generation);
    } else if (step.move == KS_DOMAIN_LOAD) {
        load(cell, index, step.generation);
    } else if (step.move != KS_DOMAIN_WAIT) {
        write_down(cell, index, self, &step);
    }
    ks_free(self);
    return step.move;
}

/* 0: none. */
static uint32_t current_generation(struct cell *cell)
{
    const struct stored *stored = find(cell, KS_NAME_DOMAIN_CURRENT);
    if (!stored) {
        return 0;
    }
    struct ks_domain_records *records = ks_alloc(1, sizeof(*records));
    struct ks_store_record record = {
        KS_NAME_DOMAIN_CURRENT, {stored->value, stored->len}, stored->revision};
    assert_int_equal(ks_ledger_add(records, &record).code, KS_OK);
    uint32_t generation = records->current.generation;
    ks_free(records);
    return generation;
}

/* CreateKey at a node: acknowledged if its hsm holds the current generation. */
static void create_key(struct cell *cell, size_t index)
{
    const struct parcel *with = held(&cell->nodes[index], current_generation(cell));
    if (with && cell->key_count < KEYS_MAX) {
        cell->keys[cell->key_count++] = (struct sealed_key){with->generation, with->value};
    }
}

static void check_keys_of(struct cell *cell, size_t index)
{
    for (size_t i = 0; i < cell->key_count; i++) {
        const struct parcel *with = held(&cell->nodes[index], cell->keys[i].generation);
        assert_non_null(with);
        assert_int_equal(with->value, cell->keys[i].value);
    }
}

/* One value a generation, among all that keys were sealed under. */
static void check_values(const struct cell *cell)
{
    for (size_t i = 1; i < cell->key_count; i++) {
        bool other = cell->keys[i].generation != cell->keys[i - 1].generation;
        assert_true(other || cell->keys[i].value == cell->keys[i - 1].value);
    }
}

static void wipe_node(struct cell *cell, size_t index)
{
    struct node fresh = {.hsm = ++cell->counter, .newest_since_ms = cell->now_ms};
    cell->nodes[index] = fresh;
}

/* All nodes of a zone. */
static void wipe(struct cell *cell, size_t zone)
{
    for (size_t i = 0; i < NODES; i++) {
        if (zone_of[i] == zone) {
            wipe_node(cell, i);
        }
    }
}

static void take_away(struct cell *cell, size_t zone)
{
    for (size_t i = 0; i < NODES; i++) {
        cell->nodes[i].gone = cell->nodes[i].gone || zone_of[i] == zone;
    }
}

/* The hsm's memory is gone, its node key is not. */
static void restart_hsm(struct cell *cell, size_t index)
{
    cell->nodes[index].held_count = 0;
    cell->nodes[index].nonce = 0;
    cell->nodes[index].challenge_revision = 0;
}

static struct cell *new_cell(uint64_t seed, unsigned faults_percent)
{
    struct cell *cell = ks_alloc(1, sizeof(*cell));
    cell->random = seed;
    cell->faults_percent = faults_percent;
    for (size_t i = 0; i < ZONES; i++) {
        wipe(cell, i);
    }
    return cell;
}

static void free_cell(struct cell *cell)
{
    land_late(cell);
    ks_free(cell);
}

/* One node after the other, or any at random, until nobody has anything to do. */
static void run(struct cell *cell, size_t steps, bool at_random)
{
    size_t idle = 0;
    for (size_t i = 0; i < steps; i++) {
        size_t index = at_random ? draw(cell, NODES) : i % NODES;
        cell->now_ms += STEP_MS;
        if (cell->nodes[index].gone) {
            continue;
        }
        idle = take_turn(cell, index) == KS_DOMAIN_WAIT ? idle + 1 : 0;
        create_key(cell, index);
        if (draw(cell, 10) == 0) {
            land_late(cell);
        }
        if (cell->faults_percent > 0 && draw(cell, 12) == 0) {
            restart_hsm(cell, draw(cell, NODES));
        }
        if (!at_random && idle > 100) {
            return;
        }
    }
}

static void settle_and_check(struct cell *cell)
{
    cell->faults_percent = 0;
    land_late(cell);
    for (size_t i = 0; i < NODES; i++) {
        restart_hsm(cell, i);
    }
    run(cell, STEPS, false);
    check_values(cell);
    size_t standing = 0;
    for (size_t i = 0; i < NODES; i++) {
        if (!cell->nodes[i].gone) {
            check_keys_of(cell, i);
            standing++;
        }
    }
    assert_true(standing >= 2);
    assert_non_null(find(cell, KS_NAME_DOMAIN_CURRENT));
    assert_true(cell->key_count > 0);
}

static void a_first_start_ends_with_one_generation_that_all_nodes_hold(void **state)
{
    (void)state;
    struct cell *cell = new_cell(1, 0);

    run(cell, STEPS, false);

    settle_and_check(cell);
    for (size_t i = 0; i < NODES; i++) {
        assert_int_equal(cell->nodes[i].held_count, 1);
        assert_int_equal(cell->nodes[i].held[0].generation, 1);
    }
    free_cell(cell);
}

/* The claim: the first zone wiped at each step of a region's first start. */
static void nothing_acknowledged_is_lost_when_a_zone_is_wiped_at_any_step(void **state)
{
    (void)state;
    for (size_t wiped = 0; wiped < ZONES; wiped++) {
        for (size_t at = 0; at < 60; at++) {
            struct cell *cell = new_cell(1, 0);
            run(cell, at, false);
            wipe(cell, wiped);
            settle_and_check(cell);
            free_cell(cell);
        }
    }
}

static void the_others_go_on_when_a_zone_vanishes_at_any_step(void **state)
{
    (void)state;
    for (size_t gone = 0; gone < ZONES; gone++) {
        for (size_t at = 0; at < 60; at++) {
            struct cell *cell = new_cell(1, 0);
            run(cell, at, false);
            take_away(cell, gone);
            settle_and_check(cell);
            free_cell(cell);
        }
    }
}

static void any_order_lost_unknown_and_late_commits_and_a_wipe_lose_nothing(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct cell *cell = new_cell(seed, 40);
        run(cell, draw(cell, 80), true);
        size_t hit = draw(cell, ZONES);
        if (draw(cell, 2)) {
            wipe(cell, hit);
        } else {
            take_away(cell, hit);
        }
        run(cell, draw(cell, 80), true);
        settle_and_check(cell);
        free_cell(cell);
    }
}

static void put_rotate(struct cell *cell, uint32_t from)
{
    STORED(RotateDomainKey) rotate = STORED_NEW(ROTATE_DOMAIN_KEY);
    rotate.format = KS_RECORD_FORMAT;
    rotate.from_generation = from;
    KS_BUFFER_AUTO value = {.len_max = VALUE_MAX};
    assert_int_equal(ks_record_write(&rotate.base, &value).code, KS_OK);
    struct ks_store_op op = {KS_NAME_DOMAIN_ROTATE, ks_buffer_bytes(&value)};
    cell->revision++;
    carry_out(cell, &op);
}

/* As the keystore on duty does: everything anew under the current generation, then say so. */
static void reseal(struct cell *cell)
{
    uint32_t current = current_generation(cell);
    const struct parcel *with = held(&cell->nodes[0], current);
    assert_non_null(with);
    for (size_t key = 0; key < cell->key_count; key++) {
        cell->keys[key] = (struct sealed_key){current, with->value};
    }
    cell->clean_below = current;
}

static void a_rotation_ends_with_the_old_generation_gone_whoever_is_wiped(void **state)
{
    (void)state;
    for (size_t at = 0; at < 60; at++) {
        struct cell *cell = new_cell(7, 0);
        run(cell, STEPS, false);
        put_rotate(cell, 1);
        run(cell, at, false);
        wipe(cell, at % ZONES);
        settle_and_check(cell);

        reseal(cell);
        settle_and_check(cell);

        for (size_t i = 0; i < NODES; i++) {
            assert_int_equal(cell->nodes[i].held_count, 1);
            assert_true(cell->nodes[i].held[0].generation >= 2);
        }
        free_cell(cell);
    }
}

static size_t count_copies(struct cell *cell)
{
    struct ks_domain_self *self = ks_alloc(1, sizeof(*self));
    look(cell, 0, self);
    ks_free(self);
    return cell->seen.copy_count;
}

/* Reviewed: each overwrote the copy of the other, and dropped its own key when that was done to it. */
static void two_keystores_of_a_zone_each_keep_their_copy(void **state)
{
    (void)state;
    struct cell *cell = new_cell(1, 0);

    run(cell, STEPS, false);

    assert_int_equal(count_copies(cell), NODES);
    for (size_t i = 0; i < NODES; i++) {
        restart_hsm(cell, i);
        assert_int_equal(take_turn(cell, i), KS_DOMAIN_LOAD);
        assert_int_equal(take_turn(cell, i), KS_DOMAIN_WAIT);
    }
    free_cell(cell);
}

static void two_nodes_of_one_zone_alone_make_nothing_current(void **state)
{
    (void)state;
    struct cell *cell = new_cell(1, 0);
    take_away(cell, 1);
    take_away(cell, 2);

    run(cell, STEPS, false);

    assert_int_equal(count_copies(cell), 2);
    assert_null(find(cell, KS_NAME_DOMAIN_CURRENT));
    assert_int_equal(cell->key_count, 0);
    free_cell(cell);
}

/* Once the new hsm has what it needs. */
static void a_replaced_hsm_leaves_no_copy_and_no_request_behind(void **state)
{
    (void)state;
    struct ks_domain_self *self = ks_alloc(1, sizeof(*self));
    for (size_t at = 0; at < 60; at++) {
        struct cell *cell = new_cell(1, 0);
        run(cell, at, false);
        wipe_node(cell, at % NODES);
        settle_and_check(cell);
        look(cell, at % NODES, self);
        for (size_t i = 0; i < cell->seen.transit_count; i++) {
            assert_false(ks_domain_is_stale(self, &cell->seen.transits[i].node));
        }
        for (size_t i = 0; i < cell->seen.copy_count; i++) {
            assert_false(ks_domain_is_stale(self, &cell->seen.copies[i].node));
        }
        free_cell(cell);
    }
    ks_free(self);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_first_start_ends_with_one_generation_that_all_nodes_hold),
        cmocka_unit_test(nothing_acknowledged_is_lost_when_a_zone_is_wiped_at_any_step),
        cmocka_unit_test(the_others_go_on_when_a_zone_vanishes_at_any_step),
        cmocka_unit_test(any_order_lost_unknown_and_late_commits_and_a_wipe_lose_nothing),
        cmocka_unit_test(two_keystores_of_a_zone_each_keep_their_copy),
        cmocka_unit_test(two_nodes_of_one_zone_alone_make_nothing_current),
        cmocka_unit_test(a_replaced_hsm_leaves_no_copy_and_no_request_behind),
        cmocka_unit_test(a_rotation_ends_with_the_old_generation_gone_whoever_is_wiped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
