#include "services/keystore/domain_keys/machine.h"

#include <assert.h>
#include <string.h>

#include "pkg/base/mem.h"

#define PASS_STAGGER_MS 1000

/* Both arguments of every rule. */
struct facts {
    const struct ks_domain_records *records;
    const struct ks_domain_self *self;
};

static bool holds(const struct ks_domain_self *self, uint32_t generation)
{
    for (size_t i = 0; i < self->held_count; i++) {
        if (self->held[i] == generation) {
            return true;
        }
    }
    return false;
}

static bool is_listed(const struct ks_domain_self *self, const char *keystore)
{
    for (size_t i = 0; i < self->listed_count; i++) {
        if (strcmp(self->listed[i], keystore) == 0) {
            return true;
        }
    }
    return false;
}

/* As the keys of the records say it: what a keystore's name is does not matter. */
static bool is_same_node(const struct ks_domain_node *one, const struct ks_domain_node *other)
{
    return strcmp(one->zone, other->zone) == 0 && strcmp(one->node_id, other->node_id) == 0;
}

bool ks_domain_is_stale(const struct ks_domain_self *self, const struct ks_domain_node *node)
{
    return strcmp(node->keystore, self->node.keystore) == 0 && !is_same_node(node, &self->node);
}

const struct ks_domain_copy *ks_domain_copy_of(const struct ks_domain_records *records,
                                               uint32_t generation,
                                               const struct ks_domain_node *node)
{
    for (size_t i = 0; i < records->copy_count; i++) {
        const struct ks_domain_copy *copy = &records->copies[i];
        if (copy->generation == generation && is_same_node(&copy->node, node)) {
            return copy;
        }
    }
    return NULL;
}

const struct ks_domain_transit *ks_domain_transit_of(const struct ks_domain_records *records,
                                                     const struct ks_domain_node *node)
{
    for (size_t i = 0; i < records->transit_count; i++) {
        if (is_same_node(&records->transits[i].node, node)) {
            return &records->transits[i];
        }
    }
    return NULL;
}

static bool have_copy(const struct facts *facts, uint32_t generation)
{
    return ks_domain_copy_of(facts->records, generation, &facts->self->node) != NULL;
}

/* Whether an earlier copy of the same generation is of the same zone as this one. */
static bool is_zone_counted(const struct ks_domain_records *records, size_t index)
{
    const struct ks_domain_copy *copy = &records->copies[index];
    for (size_t i = 0; i < index; i++) {
        if (records->copies[i].generation == copy->generation &&
            strcmp(records->copies[i].node.zone, copy->node.zone) == 0) {
            return true;
        }
    }
    return false;
}

/* One zone's loss takes all of its nodes' copies with it, so they count as one. */
static size_t count_zones(const struct ks_domain_records *records, uint32_t generation)
{
    size_t count = 0;
    for (size_t i = 0; i < records->copy_count; i++) {
        count += records->copies[i].generation == generation && !is_zone_counted(records, i);
    }
    return count;
}

/* Copies of the generation that an hsm may still be able to open: all but our own stale ones. */
static size_t count_live(const struct facts *facts, uint32_t generation)
{
    size_t count = 0;
    for (size_t i = 0; i < facts->records->copy_count; i++) {
        const struct ks_domain_copy *copy = &facts->records->copies[i];
        count += copy->generation == generation && !ks_domain_is_stale(facts->self, &copy->node);
    }
    return count;
}

static bool rule_drop(const struct facts *facts, struct ks_domain_step *step)
{
    for (size_t i = 0; i < facts->self->held_count; i++) {
        if (!have_copy(facts, facts->self->held[i])) {
            step->generation = facts->self->held[i];
            return true;
        }
    }
    return false;
}

static bool rule_load(const struct facts *facts, struct ks_domain_step *step)
{
    for (size_t i = 0; i < facts->records->copy_count; i++) {
        const struct ks_domain_copy *copy = &facts->records->copies[i];
        bool room = facts->self->held_count < KS_DOMAIN_HELD_MAX;
        if (room && is_same_node(&copy->node, &facts->self->node) &&
            !holds(facts->self, copy->generation)) {
            step->generation = copy->generation;
            return true;
        }
    }
    return false;
}

/* Generations that this node should hold, the most urgent first: current, newest, older ones. */
static uint32_t wanted_generation(const struct facts *facts)
{
    const struct ks_domain_records *records = facts->records;
    uint32_t current = records->current.generation;
    uint32_t newest = records->newest.generation;
    const uint32_t urgent[] = {current, newest};
    for (size_t i = 0; i < KS_COUNT(urgent); i++) {
        if (urgent[i] > 0 && !have_copy(facts, urgent[i]) && count_live(facts, urgent[i]) > 0) {
            return urgent[i];
        }
    }
    for (size_t i = 0; i < records->copy_count; i++) {
        uint32_t generation = records->copies[i].generation;
        if (generation < current && !have_copy(facts, generation) &&
            count_live(facts, generation) > 0) {
            return generation;
        }
    }
    return 0;
}

bool ks_domain_is_left_over(const struct ks_domain_records *records,
                            const struct ks_domain_self *self,
                            const struct ks_domain_transit *transit)
{
    const struct facts facts = {records, self};
    bool is_unneeded = is_same_node(&transit->node, &self->node) && wanted_generation(&facts) == 0;
    return is_unneeded || ks_domain_is_stale(self, &transit->node);
}

static bool has_left_over(const struct facts *facts, uint32_t *ret_generation)
{
    for (size_t i = 0; i < facts->records->transit_count; i++) {
        const struct ks_domain_transit *transit = &facts->records->transits[i];
        if (ks_domain_is_left_over(facts->records, facts->self, transit)) {
            *ret_generation = transit->generation;
            return true;
        }
    }
    return false;
}

/*
 * Others can't tell that an hsm of ours is gone: where a whole zone is wiped, each of its nodes would
 * wait for the other. Nothing was ever sealed under a generation that was not current, so a copy of
 * it may go. Copies of the others stay until ours takes their place.
 */
static bool rule_clear(const struct facts *facts, struct ks_domain_step *step)
{
    for (size_t i = 0; i < facts->records->copy_count; i++) {
        const struct ks_domain_copy *copy = &facts->records->copies[i];
        if (copy->generation > facts->records->current.generation &&
            ks_domain_is_stale(facts->self, &copy->node)) {
            step->generation = copy->generation;
            return true;
        }
    }
    return has_left_over(facts, &step->generation);
}

/* Whether a keystore of the cell is up that may answer a challenge for the generation. */
static bool somebody_may_answer(const struct facts *facts, uint32_t generation)
{
    for (size_t i = 0; i < facts->records->copy_count; i++) {
        const struct ks_domain_copy *copy = &facts->records->copies[i];
        if (copy->generation == generation && !ks_domain_is_stale(facts->self, &copy->node) &&
            is_listed(facts->self, copy->node.keystore)) {
            return true;
        }
    }
    return false;
}

static int64_t pass_after_ms(const struct ks_domain_self *self)
{
    int64_t before = 0;
    for (size_t i = 0; i < self->listed_count; i++) {
        before += strcmp(self->listed[i], self->node.keystore) < 0;
    }
    return KS_DOMAIN_PASS_MS + before * PASS_STAGGER_MS;
}

/*
 * The newest generation never became current and cannot be had. That is certain if the only copy
 * is our own stale one; if others have put copies and are gone, it is assumed after a while: no
 * key is sealed under it, so to pass over it costs nothing.
 */
static bool newest_is_dead(const struct facts *facts)
{
    uint32_t newest = facts->records->newest.generation;
    if (newest <= facts->records->current.generation || have_copy(facts, newest)) {
        return false;
    }
    if (count_live(facts, newest) == 0) {
        return true;
    }
    return !somebody_may_answer(facts, newest) &&
           facts->self->newest_wait_ms >= pass_after_ms(facts->self);
}

static size_t count_generations(const struct ks_domain_records *records)
{
    size_t count = 0;
    for (size_t i = 0; i < records->copy_count; i++) {
        bool first = true;
        for (size_t j = 0; j < i && first; j++) {
            first = records->copies[j].generation != records->copies[i].generation;
        }
        count += first;
    }
    return count;
}

static bool rotation_is_wanted(const struct facts *facts)
{
    const struct ks_domain_records *records = facts->records;
    uint32_t current = records->current.generation;
    return facts->self->on_duty && current > 0 && records->newest.generation == current &&
           have_copy(facts, current) && count_generations(records) < KS_DOMAIN_GENERATIONS_MAX &&
           (facts->self->rotation_due || records->rotate.generation == current);
}

static bool rule_make(const struct facts *facts, struct ks_domain_step *step)
{
    bool first = facts->records->newest.generation == 0;
    bool wanted = first || newest_is_dead(facts) || rotation_is_wanted(facts);
    step->generation = facts->records->newest.generation + 1;
    return wanted && facts->self->may_make;
}

static bool challenge_is_good(const struct facts *facts, const struct ks_domain_transit *transit,
                              uint32_t generation)
{
    return transit && transit->generation == generation &&
           (transit->answered || transit->revision == facts->self->challenge_revision);
}

static bool rule_ask(const struct facts *facts, struct ks_domain_step *step)
{
    step->generation = wanted_generation(facts);
    if (step->generation == 0) {
        return false;
    }
    const struct ks_domain_transit *transit =
        ks_domain_transit_of(facts->records, &facts->self->node);
    return !challenge_is_good(facts, transit, step->generation);
}

static bool rule_open(const struct facts *facts, struct ks_domain_step *step)
{
    step->generation = wanted_generation(facts);
    const struct ks_domain_transit *transit =
        ks_domain_transit_of(facts->records, &facts->self->node);
    return step->generation > 0 && transit && transit->answered &&
           transit->generation == step->generation;
}

static bool rule_seal(const struct facts *facts, struct ks_domain_step *step)
{
    for (size_t i = 0; i < facts->records->transit_count; i++) {
        const struct ks_domain_transit *transit = &facts->records->transits[i];
        bool foreign = strcmp(transit->node.keystore, facts->self->node.keystore) != 0;
        if (foreign && !transit->answered && !transit->refused &&
            have_copy(facts, transit->generation) && holds(facts->self, transit->generation)) {
            step->generation = transit->generation;
            step->transit = i;
            return true;
        }
    }
    return false;
}

static bool has_put_copy(const struct ks_domain_records *records, uint32_t generation,
                         const char *keystore)
{
    for (size_t i = 0; i < records->copy_count; i++) {
        if (records->copies[i].generation == generation &&
            strcmp(records->copies[i].node.keystore, keystore) == 0) {
            return true;
        }
    }
    return false;
}

static bool all_listed_have(const struct facts *facts, uint32_t generation)
{
    for (size_t i = 0; i < facts->self->listed_count; i++) {
        if (!has_put_copy(facts->records, generation, facts->self->listed[i])) {
            return false;
        }
    }
    return true;
}

/* Only a node that holds it says so: its own copy is certain, the others' are what they put. */
static bool rule_set_current(const struct facts *facts, struct ks_domain_step *step)
{
    const struct ks_domain_records *records = facts->records;
    uint32_t newest = records->newest.generation;
    step->generation = newest;
    if (newest <= records->current.generation || !have_copy(facts, newest) ||
        !holds(facts->self, newest)) {
        return false;
    }
    bool enough = count_zones(records, newest) >= facts->self->min_zones;
    bool first = records->current.generation == 0;
    return enough && (first || all_listed_have(facts, newest) ||
                      facts->self->newest_wait_ms >= KS_DOMAIN_SHARE_MS);
}

static bool rule_retire(const struct facts *facts, struct ks_domain_step *step)
{
    const struct ks_domain_records *records = facts->records;
    uint32_t current = records->current.generation;
    uint32_t below = facts->self->clean_below < current ? facts->self->clean_below : current;
    for (size_t i = 0; i < records->copy_count && facts->self->on_duty; i++) {
        if (records->copies[i].generation < below) {
            step->generation = records->copies[i].generation;
            return true;
        }
    }
    return false;
}

static const struct {
    enum ks_domain_move move;
    const char *name;
    bool (*applies)(const struct facts *facts, struct ks_domain_step *step);
} rules[KS_DOMAIN_MOVE_COUNT] = {
    {KS_DOMAIN_WAIT, "wait", NULL},
    {KS_DOMAIN_DROP, "drop", rule_drop},
    {KS_DOMAIN_LOAD, "load", rule_load},
    {KS_DOMAIN_CLEAR, "clear", rule_clear},
    {KS_DOMAIN_MAKE, "make", rule_make},
    {KS_DOMAIN_ASK, "ask", rule_ask},
    {KS_DOMAIN_OPEN, "open", rule_open},
    {KS_DOMAIN_SEAL, "seal", rule_seal},
    {KS_DOMAIN_SET_CURRENT, "set current", rule_set_current},
    {KS_DOMAIN_RETIRE, "retire", rule_retire},
};

struct ks_domain_step ks_domain_next(const struct ks_domain_records *records,
                                     const struct ks_domain_self *self)
{
    assert(records->copy_count <= KS_DOMAIN_COPIES_MAX);
    assert(self->min_zones >= 1);

    const struct facts facts = {records, self};
    for (size_t i = 0; i < KS_COUNT(rules); i++) {
        struct ks_domain_step step = {.move = rules[i].move};
        if (rules[i].applies && rules[i].applies(&facts, &step)) {
            return step;
        }
    }
    return (struct ks_domain_step){.move = KS_DOMAIN_WAIT};
}

bool ks_domain_puts_copy(enum ks_domain_move move)
{
    return move == KS_DOMAIN_MAKE || move == KS_DOMAIN_OPEN;
}

const char *ks_domain_move_name(enum ks_domain_move move)
{
    assert(move < KS_DOMAIN_MOVE_COUNT);
    return rules[move].name;
}

bool ks_domain_lost(const struct ks_domain_records *records, const struct ks_domain_self *self,
                    uint32_t generation)
{
    const struct facts facts = {records, self};
    return generation > 0 && generation <= records->current.generation &&
           count_live(&facts, generation) == 0;
}
