#include "pkg/store/log/history.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct ks_anchor anchor = {
    .source = {.cluster_id = 7, .epoch_revision = 2, .epoch = "e"},
    .revision = 1000,
    .nonce = {"0123456789abcde"},
};

/* The state of an etcd that did nothing since the anchor. */
static struct ks_history_found unchanged(void)
{
    return (struct ks_history_found){
        .source = anchor.source,
        .revision = 1000,
        .rev_revision = 1000,
        .has_nonce = true,
        .nonce = anchor.nonce,
    };
}

static void the_same_nonce_at_the_same_revision_is_the_same_history(void **state)
{
    (void)state;
    struct ks_history_found found = unchanged();
    assert_int_equal(ks_history_judge(&anchor, &found), KS_HISTORY_SAME);
    found.revision = 2000; /* others write to the same etcd */
    assert_int_equal(ks_history_judge(&anchor, &found), KS_HISTORY_SAME);

    found.nonce.bytes[KS_NONCE_LEN - 1] ^= 1;
    assert_int_equal(ks_history_judge(&anchor, &found), KS_HISTORY_LOST);
}

/* The counter alone, in its three places: below, caught up, and past the copy. */
static void a_counter_that_caught_up_proves_nothing(void **state)
{
    (void)state;
    struct ks_history_found found = unchanged();
    found.nonce.bytes[0] ^= 1;
    found.revision = found.rev_revision = 997;
    assert_int_equal(ks_history_judge(&anchor, &found), KS_HISTORY_LOST);
    found.revision = 1001; /* whatever etcd did since 997, it was not what the copy has */
    assert_int_equal(ks_history_judge(&anchor, &found), KS_HISTORY_LOST);
    found.rev_revision = 1000;
    assert_int_equal(ks_history_judge(&anchor, &found), KS_HISTORY_LOST);
    found.rev_revision = 1001;
    assert_int_equal(ks_history_judge(&anchor, &found), KS_HISTORY_ASK);
}

static void what_was_there_at_the_anchor_decides(void **state)
{
    (void)state;
    const ks_bytes nonce = {anchor.nonce.bytes, KS_NONCE_LEN};
    const ks_bytes shorter = {anchor.nonce.bytes, KS_NONCE_LEN - 1};
    assert_int_equal(ks_history_judge_then(&anchor, 1000, nonce), KS_HISTORY_SAME);
    assert_int_equal(ks_history_judge_then(&anchor, 999, nonce), KS_HISTORY_LOST);
    assert_int_equal(ks_history_judge_then(&anchor, 1000, shorter), KS_HISTORY_LOST);
    assert_int_equal(ks_history_judge_then(&anchor, 0, (ks_bytes){0}), KS_HISTORY_LOST);
}

static void another_store_says_nothing_about_the_copy(void **state)
{
    (void)state;
    struct ks_history_found found = unchanged();
    found.source.cluster_id++;
    assert_int_equal(ks_history_judge(&anchor, &found), KS_HISTORY_OTHER);
    found = unchanged();
    found.source.epoch_revision++;
    assert_int_equal(ks_history_judge(&anchor, &found), KS_HISTORY_OTHER);
    found = unchanged();
    found.source.epoch[0] = 'f';
    found.revision = found.rev_revision = 5;
    assert_int_equal(ks_history_judge(&anchor, &found), KS_HISTORY_OTHER);
}

static void an_etcd_without_an_epoch_is_empty(void **state)
{
    (void)state;
    struct ks_history_found found = {.revision = 5000};
    assert_int_equal(ks_history_judge(&anchor, &found), KS_HISTORY_EMPTY);
}

static void a_record_without_a_nonce_is_of_another_version(void **state)
{
    (void)state;
    struct ks_history_found found = unchanged();
    found.has_nonce = false;
    assert_int_equal(ks_history_judge(&anchor, &found), KS_HISTORY_FORM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_nonce_at_the_same_revision_is_the_same_history),
        cmocka_unit_test(a_counter_that_caught_up_proves_nothing),
        cmocka_unit_test(what_was_there_at_the_anchor_decides),
        cmocka_unit_test(another_store_says_nothing_about_the_copy),
        cmocka_unit_test(an_etcd_without_an_epoch_is_empty),
        cmocka_unit_test(a_record_without_a_nonce_is_of_another_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
