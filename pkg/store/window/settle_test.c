#include "pkg/store/window/settle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define WAIT  1100
#define BEGIN 5000

static struct ks_settling settling;
static struct ks_waiter waiter;
static char struck[64];

/* A list of the keystores whose letters are given; their records' mod revisions count from 10. */
static struct ks_list list_of(const char *letters)
{
    struct ks_list list = {.count = 0};
    for (; *letters; letters++) {
        struct ks_list_entry *entry = &list.entries[list.count];
        entry->id[0] = *letters;
        entry->mod_revision = 10 + (int64_t)list.count;
        list.count++;
    }
    return list;
}

static int setup(void **state)
{
    (void)state;
    settling = (struct ks_settling){.wait_ns = WAIT};
    struck[0] = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ks_settling_reset(&settling);
    return 0;
}

static void note_strike(void *user, const struct ks_listed *silent)
{
    (void)user;
    size_t used = strlen(struck);
    snprintf(struck + used, sizeof(struck) - used, "%s@%lld ", silent->id,
             (long long)silent->mod_revision);
}

/* Keystore "a" has applied so much and looks: does the waiter come back? */
static bool is_settled(const char *listed_now, int64_t applied, int64_t now_ns)
{
    struct ks_list list = list_of(listed_now);
    struct ks_waiter *waiters = NULL;
    ks_settling_step(&settling, &list, applied, "a", now_ns);
    return ks_settling_take(&settling, now_ns, note_strike, NULL, &waiters) && waiters == &waiter;
}

static void begin(const char *listed, int64_t revision)
{
    struct ks_list list = list_of(listed);
    ks_settling_begin(&settling, revision, &list, BEGIN, &waiter);
}

static void ends_when_everyone_listed_has_confirmed(void **state)
{
    (void)state;
    begin("abc", 20);

    ks_settling_say(&settling, "b", 20);
    assert_false(is_settled("abc", 20, BEGIN));
    ks_settling_say(&settling, "c", 19);
    assert_false(is_settled("abc", 20, BEGIN));
    ks_settling_say(&settling, "c", 25);

    assert_true(is_settled("abc", 20, BEGIN));
    assert_int_equal(settling.settled, 20);
    assert_string_equal(struck, "");
}

/* Model: ERR_SELF. */
static void whoever_settles_confirms_by_its_own_copy_only(void **state)
{
    (void)state;
    begin("a", 20);
    ks_settling_say(&settling, "a", 99);

    assert_false(is_settled("a", 19, BEGIN));
    assert_true(is_settled("a", 20, BEGIN));
}

/* Model: ERR_ONLY_REACHABLE, OVER; ERR_STRIKE_LATE: the record that was listed is the one struck. */
static void the_silent_are_waited_for_and_struck(void **state)
{
    (void)state;
    begin("abc", 20);
    ks_settling_say(&settling, "b", 20);

    assert_false(is_settled("abc", 20, BEGIN + WAIT - 1));
    assert_true(is_settled("abc", 20, BEGIN + WAIT));
    assert_int_equal(settling.settled, 20);
    assert_string_equal(struck, "c@12 ");
}

static void a_list_of_nobody_is_settled_at_once(void **state)
{
    (void)state;
    begin("", 20);

    assert_true(is_settled("", 5, BEGIN));
}

static void a_record_that_nobody_can_confirm_is_waited_out(void **state)
{
    (void)state;
    struct ks_list list = list_of("a");
    list.has_unnamed = true;
    ks_settling_begin(&settling, 20, &list, BEGIN, &waiter);
    struct ks_waiter *waiters = NULL;

    ks_settling_step(&settling, &list, 20, "a", BEGIN + WAIT - 1);
    assert_false(ks_settling_take(&settling, BEGIN + WAIT - 1, note_strike, NULL, &waiters));
    ks_settling_step(&settling, &list, 20, "a", BEGIN + WAIT);
    assert_true(ks_settling_take(&settling, BEGIN + WAIT, note_strike, NULL, &waiters));
    assert_string_equal(struck, "");
}

/* It would make every settlement wait until its time is over, for ever. */
static void a_record_that_nobody_can_read_is_struck(void **state)
{
    (void)state;
    struct ks_list list = list_of("a");
    ks_list_add(&list, KS_LITERAL("z"), KS_LITERAL("?"), 17);
    ks_list_add(&list, KS_LITERAL("zz"), KS_LITERAL("?"), 18);
    assert_true(list.has_unnamed);
    ks_settling_begin(&settling, 20, &list, BEGIN, &waiter);
    struct ks_waiter *waiters = NULL;

    ks_settling_step(&settling, &list, 20, "a", BEGIN + WAIT);
    assert_true(ks_settling_take(&settling, BEGIN + WAIT, note_strike, NULL, &waiters));

    assert_string_equal(struck, "z@17 ");
}

static void a_full_list_has_room_for_its_own_only(void **state)
{
    (void)state;
    struct ks_list list = list_of("abcdefghijklmno");
    assert_false(ks_list_is_full_for(&list, "q"));
    list = list_of("abcdefghijklmnop");
    assert_int_equal(list.count, KS_STORE_KEYSTORES_MAX);
    assert_true(ks_list_is_full_for(&list, "q"));
    assert_false(ks_list_is_full_for(&list, "p"));
}

static void grows_without_anybody_waiting(void **state)
{
    (void)state;
    struct ks_list list = list_of("abc");
    ks_settling_say(&settling, "b", 30);
    ks_settling_say(&settling, "c", 25);

    ks_settling_step(&settling, &list, 40, "a", BEGIN);
    assert_int_equal(settling.settled, 25);
    ks_settling_say(&settling, "c", 50);
    ks_settling_step(&settling, &list, 28, "a", BEGIN);
    assert_int_equal(settling.settled, 28);
    ks_settling_step(&settling, &list, 40, "a", BEGIN);
    assert_int_equal(settling.settled, 30);
}

/* What is settled stays settled: a keystore that joins the list later has applied it. */
static void never_goes_back(void **state)
{
    (void)state;
    struct ks_list alone = list_of("a");
    struct ks_list joined = list_of("ab");
    ks_settling_step(&settling, &alone, 40, "a", BEGIN);

    ks_settling_step(&settling, &joined, 41, "a", BEGIN);

    assert_int_equal(settling.settled, 40);
}

static void a_settlement_covers_everything_below_it(void **state)
{
    (void)state;
    struct ks_waiter below = {NULL};
    struct ks_waiter *waiters = NULL;
    struct ks_list list = list_of("ab");
    begin("ab", 20);
    assert_true(ks_settling_join(&settling, 20, &below));
    assert_false(ks_settling_join(&settling, 21, &below));

    ks_settling_say(&settling, "b", 20);
    ks_settling_step(&settling, &list, 20, "a", BEGIN);

    assert_true(ks_settling_take(&settling, BEGIN, note_strike, NULL, &waiters));
    assert_ptr_equal(waiters, &below);
    assert_ptr_equal(waiters->next, &waiter);
}

/* One that ended early by another's end strikes nobody: its own wait was not over. */
static void an_older_settlement_ends_with_a_newer_one(void **state)
{
    (void)state;
    struct ks_waiter newer = {NULL};
    struct ks_waiter *waiters = NULL;
    struct ks_list both = list_of("ab");
    struct ks_list alone = list_of("a");
    ks_settling_begin(&settling, 20, &both, BEGIN, &waiter);
    ks_settling_begin(&settling, 21, &alone, BEGIN, &newer);

    ks_settling_step(&settling, &both, 21, "a", BEGIN);

    assert_int_equal(settling.settled, 21);
    assert_true(ks_settling_take(&settling, BEGIN, note_strike, NULL, &waiters));
    assert_true(ks_settling_take(&settling, BEGIN, note_strike, NULL, &waiters));
    assert_false(ks_settling_take(&settling, BEGIN, note_strike, NULL, &waiters));
    assert_string_equal(struck, "");
}

/* More keystores than are remembered: a forgotten word makes a wait longer, never shorter. */
static void forgets_the_oldest_word(void **state)
{
    (void)state;
    ks_settling_say(&settling, "b", 20);
    for (unsigned i = 0; i < KS_WORDS_MAX; i++) {
        char id[8];
        snprintf(id, sizeof(id), "x%u", i);
        ks_settling_say(&settling, id, 99);
    }
    begin("ab", 20);

    assert_false(is_settled("ab", 20, BEGIN));
    ks_settling_say(&settling, "b", 20);
    assert_true(is_settled("ab", 20, BEGIN));
}

static void a_reset_forgets_words_and_gives_waiters_back(void **state)
{
    (void)state;
    ks_settling_say(&settling, "b", 99);
    begin("ab", 20);

    assert_ptr_equal(ks_settling_reset(&settling), &waiter);
    assert_int_equal(settling.settled, 0);
    begin("ab", 20);
    assert_false(is_settled("ab", 20, BEGIN));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ends_when_everyone_listed_has_confirmed),
        TEST(whoever_settles_confirms_by_its_own_copy_only),
        TEST(the_silent_are_waited_for_and_struck),
        TEST(a_list_of_nobody_is_settled_at_once),
        TEST(a_record_that_nobody_can_confirm_is_waited_out),
        TEST(a_record_that_nobody_can_read_is_struck),
        TEST(a_full_list_has_room_for_its_own_only),
        TEST(grows_without_anybody_waiting),
        TEST(never_goes_back),
        TEST(a_settlement_covers_everything_below_it),
        TEST(an_older_settlement_ends_with_a_newer_one),
        TEST(forgets_the_oldest_word),
        TEST(a_reset_forgets_words_and_gives_waiters_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
