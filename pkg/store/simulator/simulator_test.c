#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pkg/store/simulator/simulator.h"

#define SEEDS       100U
#define PLANT_SEEDS 400U
#define STEPS       20000U

/* KS_SIM_SEED runs one seed alone; every failure prints its own. */
static void nobody_ever_reads_what_was_replaced(void **state)
{
    (void)state;
    const char *wanted = getenv("KS_SIM_SEED");
    uint64_t first = wanted ? strtoull(wanted, NULL, 10) : 1;
    struct sim_report sum = {0};
    for (uint64_t seed = first; seed < first + (wanted ? 1 : SEEDS); seed++) {
        struct sim_report report = sim_run(seed, SIM_NONE, STEPS);
        if (report.is_violated) {
            fail_msg("seed %llu, step %llu: read %lld, known before it %lld",
                     (unsigned long long)seed, (unsigned long long)report.step,
                     (long long)report.read, (long long)report.floor);
        }
        sum.read_count += report.read_count;
        sum.mutation_count += report.mutation_count;
        sum.strike_count += report.strike_count;
        sum.reload_count += report.reload_count;
        sum.back_count += report.back_count;
        sum.refusal_count += report.refusal_count;
    }

    print_message("%llu reads, %llu mutations, %llu strikes, %llu reloads, etcd went back %llu "
                  "times, %llu refusals\n",
                  (unsigned long long)sum.read_count, (unsigned long long)sum.mutation_count,
                  (unsigned long long)sum.strike_count, (unsigned long long)sum.reload_count,
                  (unsigned long long)sum.back_count, (unsigned long long)sum.refusal_count);
    assert_true(wanted ||
                (sum.read_count > 10000 && sum.mutation_count > 1000 && sum.strike_count > 10 &&
                 sum.reload_count > 100 && sum.back_count > 50 && sum.refusal_count > 50));
}

/* A simulator that finds nothing proves nothing: it must find every loose reading of the rule. */
static void finds_every_plant(void **state)
{
    (void)state;
    for (unsigned plant = SIM_NONE + 1; plant < SIM_PLANT_COUNT; plant++) {
        uint64_t seed = 1;
        struct sim_report report = {0};
        while (seed <= PLANT_SEEDS && !report.is_violated) {
            report = sim_run(seed++, (enum sim_plant)plant, STEPS);
        }
        print_message("%s: seed %llu, step %llu\n", sim_plant_text((enum sim_plant)plant),
                      (unsigned long long)seed - 1, (unsigned long long)report.step);
        assert_true(report.is_violated);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_ever_reads_what_was_replaced),
        cmocka_unit_test(finds_every_plant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
