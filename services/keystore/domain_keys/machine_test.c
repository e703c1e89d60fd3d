#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "services/keystore/domain_keys/machine.h"

/*
 * Zone b of three, which all stand, each with one node: keystore kb with the hsm b1, and so on. Each
 * test changes what it is about.
 */
static struct ks_domain_records records;
static struct ks_domain_self self;

static int set_up(void **state)
{
    (void)state;
    records = (struct ks_domain_records){.newest = {0, 0, 0}};
    self = (struct ks_domain_self){
        .node = {"b", "b1", "kb"},
        .may_make = true,
        .min_zones = 2,
        .listed = {"ka", "kb", "kc"},
        .listed_count = 3,
    };
    return 0;
}

static struct ks_domain_node node_of(const char *zone, const char *node_id, const char *keystore)
{
    struct ks_domain_node node = {.zone = ""};
    snprintf(node.zone, sizeof(node.zone), "%s", zone);
    snprintf(node.node_id, sizeof(node.node_id), "%s", node_id);
    snprintf(node.keystore, sizeof(node.keystore), "%s", keystore);
    return node;
}

static void add_copy_of(uint32_t generation, struct ks_domain_node node)
{
    struct ks_domain_copy *copy = &records.copies[records.copy_count++];
    copy->generation = generation;
    copy->revision = 10 + (int64_t)records.copy_count;
    copy->node = node;
}

/* The copy of the one keystore of a zone. */
static void add_copy(uint32_t generation, const char *zone, const char *node_id)
{
    char keystore[8];
    snprintf(keystore, sizeof(keystore), "k%.6s", zone);
    add_copy_of(generation, node_of(zone, node_id, keystore));
}

static void add_transit_of(struct ks_domain_node node, uint32_t generation, bool answered,
                           int64_t revision)
{
    records.transits[records.transit_count++] = (struct ks_domain_transit){
        .node = node, .generation = generation, .answered = answered, .revision = revision};
}

/* The request of the one keystore of a zone. */
static void add_transit(const char *zone, uint32_t generation, bool answered, int64_t revision)
{
    char node_id[8];
    char keystore[8];
    snprintf(node_id, sizeof(node_id), "%.6s1", zone);
    snprintf(keystore, sizeof(keystore), "k%.6s", zone);
    add_transit_of(node_of(zone, node_id, keystore), generation, answered, revision);
}

static void hold(uint32_t generation)
{
    self.held[self.held_count++] = generation;
}

static void expect(enum ks_domain_move move, uint32_t generation)
{
    struct ks_domain_step step = ks_domain_next(&records, &self);
    assert_string_equal(ks_domain_move_name(step.move), ks_domain_move_name(move));
    assert_int_equal(step.generation, generation);
}

static void makes_the_first_generation_where_there_is_none(void **state)
{
    (void)state;
    expect(KS_DOMAIN_MAKE, 1);
}

/* An hsm without a roster could never share what it makes. */
static void makes_nothing_without_a_roster(void **state)
{
    (void)state;
    self.may_make = false;
    expect(KS_DOMAIN_WAIT, 0);
}

static void drops_what_the_hsm_holds_and_no_record_of_ours_stands_for(void **state)
{
    (void)state;
    records.newest = (struct ks_domain_mark){1, 5, 0};
    add_copy(1, "a", "a1");
    hold(1);
    expect(KS_DOMAIN_DROP, 1);
}

static void loads_our_copy_after_a_restart_of_the_hsm(void **state)
{
    (void)state;
    records.newest = records.current = (struct ks_domain_mark){1, 5, 0};
    add_copy(1, "a", "a1");
    add_copy(1, "b", "b1");
    expect(KS_DOMAIN_LOAD, 1);
}

static void asks_for_what_another_zone_holds(void **state)
{
    (void)state;
    records.newest = (struct ks_domain_mark){1, 5, 0};
    add_copy(1, "a", "a1");
    expect(KS_DOMAIN_ASK, 1);

    add_transit("b", 1, false, 20);
    self.challenge_revision = 20;
    expect(KS_DOMAIN_WAIT, 0);
}

/* The challenge's key is gone with the hsm's last life. */
static void asks_again_when_the_challenge_is_not_of_this_life(void **state)
{
    (void)state;
    records.newest = (struct ks_domain_mark){1, 5, 0};
    add_copy(1, "a", "a1");
    add_transit("b", 1, false, 20);
    expect(KS_DOMAIN_ASK, 1);
}

static void asks_for_the_current_generation_before_the_newest_and_older_ones(void **state)
{
    (void)state;
    records.newest = (struct ks_domain_mark){3, 5, 0};
    records.current = (struct ks_domain_mark){2, 6, 0};
    add_copy(1, "a", "a1");
    add_copy(2, "a", "a1");
    add_copy(3, "a", "a1");
    expect(KS_DOMAIN_ASK, 2);

    add_copy(2, "b", "b1");
    hold(2);
    expect(KS_DOMAIN_ASK, 3);

    add_copy(3, "b", "b1");
    hold(3);
    self.newest_wait_ms = 0;
    expect(KS_DOMAIN_ASK, 1);
}

static void a_replaced_zone_asks_although_a_copy_of_it_stands(void **state)
{
    (void)state;
    records.newest = records.current = (struct ks_domain_mark){1, 5, 0};
    add_copy(1, "a", "a1");
    add_copy(1, "b", "b0");
    expect(KS_DOMAIN_ASK, 1);
}

static void opens_the_answer(void **state)
{
    (void)state;
    records.newest = (struct ks_domain_mark){1, 5, 0};
    add_copy(1, "a", "a1");
    add_transit("b", 1, true, 21);
    expect(KS_DOMAIN_OPEN, 1);
}

static void answers_another_zone_unless_its_hsm_refused_that_challenge(void **state)
{
    (void)state;
    records.newest = records.current = (struct ks_domain_mark){1, 5, 0};
    add_copy(1, "b", "b1");
    hold(1);
    add_transit("c", 1, false, 20);
    expect(KS_DOMAIN_SEAL, 1);

    records.transits[0].refused = true;
    expect(KS_DOMAIN_WAIT, 0);
}

static void a_generation_becomes_current_with_two_copies_and_not_with_one(void **state)
{
    (void)state;
    records.newest = (struct ks_domain_mark){1, 5, 0};
    add_copy(1, "b", "b1");
    hold(1);
    expect(KS_DOMAIN_WAIT, 0);

    add_copy(1, "a", "a1");
    expect(KS_DOMAIN_SET_CURRENT, 1);
}

static void one_node_alone_needs_one_copy(void **state)
{
    (void)state;
    self.min_zones = 1;
    records.newest = (struct ks_domain_mark){1, 5, 0};
    add_copy(1, "b", "b1");
    hold(1);
    expect(KS_DOMAIN_SET_CURRENT, 1);
}

/* Whoever says so is certain of its own copy at least. */
static void only_a_zone_that_holds_it_makes_a_generation_current(void **state)
{
    (void)state;
    records.newest = (struct ks_domain_mark){1, 5, 0};
    add_copy(1, "a", "a1");
    add_copy(1, "c", "c1");
    add_transit("b", 1, false, 20);
    self.challenge_revision = 20;
    expect(KS_DOMAIN_WAIT, 0);
}

static void a_rotation_waits_a_while_for_zones_that_stand(void **state)
{
    (void)state;
    records.newest = (struct ks_domain_mark){2, 7, 0};
    records.current = (struct ks_domain_mark){1, 5, 0};
    add_copy(1, "b", "b1");
    add_copy(2, "a", "a1");
    add_copy(2, "b", "b1");
    hold(1);
    hold(2);
    self.newest_wait_ms = KS_DOMAIN_SHARE_MS - 1;
    expect(KS_DOMAIN_WAIT, 0);

    self.newest_wait_ms = KS_DOMAIN_SHARE_MS;
    expect(KS_DOMAIN_SET_CURRENT, 2);
}

static void passes_over_a_generation_that_only_our_wiped_hsm_had(void **state)
{
    (void)state;
    records.newest = (struct ks_domain_mark){1, 5, 0};
    add_copy(1, "b", "b0");
    expect(KS_DOMAIN_CLEAR, 1);

    records.copy_count = 0;
    expect(KS_DOMAIN_MAKE, 2);
}

/* Both nodes of a zone were wiped: each would wait for the other's copy. */
static void clears_what_its_wiped_hsm_had_although_another_copy_stands(void **state)
{
    (void)state;
    records.newest = (struct ks_domain_mark){1, 5, 0};
    add_copy_of(1, node_of("b", "b9", "kb9"));
    add_copy(1, "b", "b0");
    expect(KS_DOMAIN_CLEAR, 1);

    records.current = records.newest;
    expect(KS_DOMAIN_ASK, 1);
}

static void waits_for_a_zone_that_stands_before_it_passes_over_its_generation(void **state)
{
    (void)state;
    records.newest = (struct ks_domain_mark){1, 5, 0};
    add_copy(1, "a", "a1");
    add_transit("b", 1, false, 20);
    self.challenge_revision = 20;
    self.newest_wait_ms = 100 * KS_DOMAIN_PASS_MS;
    expect(KS_DOMAIN_WAIT, 0);
}

static void passes_over_a_generation_whose_zones_are_gone_after_a_while(void **state)
{
    (void)state;
    records.newest = (struct ks_domain_mark){1, 5, 0};
    add_copy(1, "a", "a1");
    add_transit("b", 1, false, 20);
    self.challenge_revision = 20;
    snprintf(self.listed[0], sizeof(self.listed[0]), "kb");
    self.listed_count = 1;
    self.newest_wait_ms = KS_DOMAIN_PASS_MS - 1;
    expect(KS_DOMAIN_WAIT, 0);

    self.newest_wait_ms = KS_DOMAIN_PASS_MS;
    expect(KS_DOMAIN_MAKE, 2);
}

/* Keys are sealed under it: a new generation would only hide that they are lost. */
static void never_passes_over_the_current_generation(void **state)
{
    (void)state;
    records.newest = records.current = (struct ks_domain_mark){1, 5, 0};
    add_copy(1, "b", "b0");
    self.listed_count = 0;
    self.newest_wait_ms = 100 * KS_DOMAIN_PASS_MS;
    self.on_duty = true;
    self.rotation_due = true;
    expect(KS_DOMAIN_WAIT, 0);
    assert_true(ks_domain_lost(&records, &self, 1));

    add_copy(1, "a", "a1");
    assert_false(ks_domain_lost(&records, &self, 1));
}

static void rotates_on_command_and_by_age_on_duty_only(void **state)
{
    (void)state;
    records.newest = records.current = (struct ks_domain_mark){1, 5, 0};
    add_copy(1, "b", "b1");
    hold(1);
    expect(KS_DOMAIN_WAIT, 0);

    records.rotate = (struct ks_domain_mark){1, 9, 0};
    expect(KS_DOMAIN_WAIT, 0);
    self.on_duty = true;
    expect(KS_DOMAIN_MAKE, 2);

    records.rotate = (struct ks_domain_mark){0, 0, 0};
    expect(KS_DOMAIN_WAIT, 0);
    self.rotation_due = true;
    expect(KS_DOMAIN_MAKE, 2);
}

static void does_not_rotate_while_too_many_generations_stand(void **state)
{
    (void)state;
    for (uint32_t i = 1; i <= KS_DOMAIN_GENERATIONS_MAX; i++) {
        add_copy(i, "b", "b1");
        hold(i);
    }
    records.newest = records.current = (struct ks_domain_mark){KS_DOMAIN_GENERATIONS_MAX, 5, 0};
    self.on_duty = true;
    self.rotation_due = true;
    expect(KS_DOMAIN_WAIT, 0);
}

static void retires_only_what_nothing_is_sealed_under(void **state)
{
    (void)state;
    records.newest = records.current = (struct ks_domain_mark){3, 5, 0};
    for (uint32_t i = 1; i <= 3; i++) {
        add_copy(i, "b", "b1");
        hold(i);
    }
    self.on_duty = true;
    expect(KS_DOMAIN_WAIT, 0);

    self.clean_below = 2;
    expect(KS_DOMAIN_RETIRE, 1);

    self.clean_below = 99;
    records.copies[0].generation = 3;
    expect(KS_DOMAIN_DROP, 1);
}

/* Reviewed: two keystores of one zone overwrote each other's copy, and each dropped its key. */
static void two_nodes_of_one_zone_each_keep_their_copy(void **state)
{
    (void)state;
    records.newest = records.current = (struct ks_domain_mark){1, 5, 0};
    add_copy(1, "a", "a1");
    add_copy_of(1, node_of("b", "b9", "kb9"));
    expect(KS_DOMAIN_ASK, 1);

    add_copy(1, "b", "b1");
    hold(1);
    expect(KS_DOMAIN_WAIT, 0);
}

static void two_nodes_of_one_zone_ask_and_answer_each_other(void **state)
{
    (void)state;
    records.newest = (struct ks_domain_mark){1, 5, 0};
    add_copy(1, "b", "b1");
    hold(1);
    add_transit_of(node_of("b", "b9", "kb9"), 1, false, 20);
    expect(KS_DOMAIN_SEAL, 1);
}

static void two_nodes_of_one_zone_count_as_one_zone(void **state)
{
    (void)state;
    records.newest = (struct ks_domain_mark){1, 5, 0};
    add_copy(1, "b", "b1");
    add_copy_of(1, node_of("b", "b9", "kb9"));
    hold(1);
    expect(KS_DOMAIN_WAIT, 0);

    add_copy(1, "a", "a1");
    expect(KS_DOMAIN_SET_CURRENT, 1);
}

/* Nobody can open the answer; but the hsm with the copy may be put back. */
static void
clears_the_request_of_an_hsm_that_is_gone_and_keeps_copies_of_the_current_one(void **state)
{
    (void)state;
    records.newest = records.current = (struct ks_domain_mark){1, 5, 0};
    add_copy(1, "b", "b1");
    hold(1);
    add_copy(1, "b", "b0");
    expect(KS_DOMAIN_WAIT, 0);

    add_transit_of(node_of("b", "b0", "kb"), 1, false, 20);
    expect(KS_DOMAIN_CLEAR, 1);
}

/* The one that had the generation was replaced meanwhile, and another generation was made here. */
static void clears_its_own_request_for_what_it_needs_no_more(void **state)
{
    (void)state;
    records.newest = records.current = (struct ks_domain_mark){4, 5, 0};
    add_copy(4, "b", "b1");
    hold(4);
    add_transit("b", 3, false, 20);
    expect(KS_DOMAIN_CLEAR, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(makes_the_first_generation_where_there_is_none, set_up),
        cmocka_unit_test_setup(makes_nothing_without_a_roster, set_up),
        cmocka_unit_test_setup(drops_what_the_hsm_holds_and_no_record_of_ours_stands_for, set_up),
        cmocka_unit_test_setup(loads_our_copy_after_a_restart_of_the_hsm, set_up),
        cmocka_unit_test_setup(asks_for_what_another_zone_holds, set_up),
        cmocka_unit_test_setup(asks_again_when_the_challenge_is_not_of_this_life, set_up),
        cmocka_unit_test_setup(asks_for_the_current_generation_before_the_newest_and_older_ones,
                               set_up),
        cmocka_unit_test_setup(a_replaced_zone_asks_although_a_copy_of_it_stands, set_up),
        cmocka_unit_test_setup(opens_the_answer, set_up),
        cmocka_unit_test_setup(answers_another_zone_unless_its_hsm_refused_that_challenge, set_up),
        cmocka_unit_test_setup(a_generation_becomes_current_with_two_copies_and_not_with_one,
                               set_up),
        cmocka_unit_test_setup(one_node_alone_needs_one_copy, set_up),
        cmocka_unit_test_setup(only_a_zone_that_holds_it_makes_a_generation_current, set_up),
        cmocka_unit_test_setup(a_rotation_waits_a_while_for_zones_that_stand, set_up),
        cmocka_unit_test_setup(passes_over_a_generation_that_only_our_wiped_hsm_had, set_up),
        cmocka_unit_test_setup(clears_what_its_wiped_hsm_had_although_another_copy_stands, set_up),
        cmocka_unit_test_setup(waits_for_a_zone_that_stands_before_it_passes_over_its_generation,
                               set_up),
        cmocka_unit_test_setup(passes_over_a_generation_whose_zones_are_gone_after_a_while, set_up),
        cmocka_unit_test_setup(never_passes_over_the_current_generation, set_up),
        cmocka_unit_test_setup(rotates_on_command_and_by_age_on_duty_only, set_up),
        cmocka_unit_test_setup(does_not_rotate_while_too_many_generations_stand, set_up),
        cmocka_unit_test_setup(retires_only_what_nothing_is_sealed_under, set_up),
        cmocka_unit_test_setup(two_nodes_of_one_zone_each_keep_their_copy, set_up),
        cmocka_unit_test_setup(two_nodes_of_one_zone_ask_and_answer_each_other, set_up),
        cmocka_unit_test_setup(two_nodes_of_one_zone_count_as_one_zone, set_up),
        cmocka_unit_test_setup(
            clears_the_request_of_an_hsm_that_is_gone_and_keeps_copies_of_the_current_one, set_up),
        cmocka_unit_test_setup(clears_its_own_request_for_what_it_needs_no_more, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
