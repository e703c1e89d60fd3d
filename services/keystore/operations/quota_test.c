#include "services/keystore/operations/quota.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/base/mem.h"
#include "pkg/record/record.h"
#include "pkg/store/store_fixture.h"

#define ACCOUNT  "111122223333"
#define OTHER    "444455556666"
#define NOT_YET  KS_CODE_COUNT
#define MAKERS   24U
#define KEYS_MAX 10U

/* Two keystores, as far as quotas go: they share the records and nothing else. */
static struct ks_store *store;
static struct ks_quota *here;
static struct ks_quota *there;
static char *folder;

static int set_up(void **state)
{
    (void)state;
    folder = fixture_folder("quota");
    store = fixture_embedded(folder);
    here = ks_quota_new(store, KEYS_MAX);
    there = ks_quota_new(store, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ks_quota_close(here);
    ks_quota_close(there);
    ks_store_free(store);
    ks_quota_free(here);
    ks_quota_free(there);
    fixture_remove(folder);
    ks_free(folder);
    return 0;
}

static void put_keys(const char *account, size_t from, size_t count)
{
    for (size_t i = 0; i < count;) {
        char keys[KS_STORE_OPS_MAX][64];
        struct ks_store_mutation mutation = {.op_count = 0};
        for (size_t j = 0; j < KS_STORE_OPS_MAX && i < count; j++, i++) {
            snprintf(keys[j], sizeof(keys[j]), "key/%s/%08zu", account, from + i);
            mutation.ops[mutation.op_count++] =
                (struct ks_store_op){ks_bytes_of(keys[j]), ks_bytes_of("a key")};
        }
        assert_int_equal(fixture_commit(store, &mutation).code, KS_OK);
    }
}

static uint64_t count_keys(const char *account)
{
    int64_t newest;
    uint64_t count = 0;
    struct ks_name prefix = ks_name_keys(account);
    KS_STORE_VIEW_AUTO view = fixture_serve(store);
    assert_int_equal(ks_store_prefix(&view, ks_name_bytes(&prefix), &newest, &count).code, KS_OK);
    return count;
}

/* One call that adds a key. */
struct maker {
    struct ks_quota *quota;
    struct ks_quota_claim claim;
    ks_code entered;
};

static void entered(void *user, ks_result result)
{
    ((struct maker *)user)->entered = result.code;
}

static void enter(struct maker *maker, struct ks_quota *quota, const char *account, uint64_t limit)
{
    *maker = (struct maker){
        .quota = quota,
        .claim = {.prefix = ks_name_keys(account), .limit = limit, .done = entered, .user = maker},
        .entered = NOT_YET,
    };
    ks_quota_enter(quota, &maker->claim);
}

/* Commits a new key with the claim's guard. */
static ks_code make(const struct maker *maker, const char *account, const char *name)
{
    struct ks_name key = ks_name_key(account, name);
    KS_CHANGE_AUTO change = {.result = KS_RES(OK)};
    STORED(GateRecord) any = STORED_NEW(GATE_RECORD);
    any.format = 1;
    ks_change_compare(&change, ks_name_bytes(&key), 0);
    ks_change_put(&change, ks_name_bytes(&key), &any.base);
    ks_quota_guard(&maker->claim, &change);
    return fixture_commit(store, &change.mutation).code;
}

static ks_code look(struct maker *maker)
{
    KS_STORE_VIEW_AUTO view = fixture_serve(store);
    return ks_quota_look(&view, &maker->claim).code;
}

static void leave(struct maker *maker)
{
    ks_quota_leave(maker->quota, &maker->claim);
}

static void a_full_prefix_refuses_and_others_do_not(void **state)
{
    (void)state;
    struct maker full;
    struct maker other;
    put_keys(ACCOUNT, 0, 3);

    enter(&full, here, ACCOUNT, 3);
    enter(&other, here, OTHER, 3);

    assert_int_equal(full.entered, KS_LIMIT_EXCEEDED);
    assert_true(full.claim.newest > 0);
    assert_int_equal(other.entered, KS_OK);
    leave(&full); /* it isn't held: nothing happens */
    leave(&other);
    assert_int_equal(ks_quota_keys_max(here), KEYS_MAX);
    assert_int_equal(ks_quota_keys_max(there), KS_QUOTA_KEYS);
}

/* Both keystores see room for one more, and only one of them gets it. */
static void two_keystores_do_not_pass_the_limit_together(void **state)
{
    (void)state;
    struct maker mine;
    struct maker theirs;
    put_keys(ACCOUNT, 0, 2);
    enter(&mine, here, ACCOUNT, 3);
    enter(&theirs, there, ACCOUNT, 3);
    assert_int_equal(mine.entered, KS_OK);
    assert_int_equal(theirs.entered, KS_OK);

    assert_int_equal(make(&mine, ACCOUNT, "mine"), KS_OK);
    assert_int_equal(make(&theirs, ACCOUNT, "theirs"), KS_CONFLICT);
    assert_int_equal(look(&theirs), KS_LIMIT_EXCEEDED);

    leave(&mine);
    leave(&theirs);
    assert_int_equal(count_keys(ACCOUNT), 3);
}

/* One that was made far from the limit and comes late has counted what is not so any more. */
static void the_first_near_the_limit_shuts_the_gate_for_those_before(void **state)
{
    (void)state;
    const uint64_t limit = KS_QUOTA_MARGIN + 3;
    struct maker early;
    struct maker beside;
    struct maker near;
    put_keys(ACCOUNT, 0, 2);
    enter(&early, here, ACCOUNT, limit);
    enter(&beside, here, ACCOUNT, limit);
    assert_false(early.claim.is_near);
    assert_int_equal(make(&beside, ACCOUNT, "beside"), KS_OK); /* the third: it is near now */
    enter(&near, there, ACCOUNT, limit);
    assert_int_equal(near.entered, KS_OK);
    assert_true(near.claim.is_near);

    assert_int_equal(make(&near, ACCOUNT, "near"), KS_OK);
    assert_int_equal(make(&early, ACCOUNT, "early"), KS_CONFLICT);
    assert_int_equal(look(&early), KS_OK);
    assert_true(early.claim.is_near);
    assert_int_equal(make(&early, ACCOUNT, "early"), KS_OK);

    leave(&early);
    leave(&beside);
    leave(&near);
}

static void near_the_limit_claims_have_their_turns(void **state)
{
    (void)state;
    struct maker makers[3];
    for (size_t i = 0; i < KS_COUNT(makers); i++) {
        enter(&makers[i], here, ACCOUNT, 2);
    }
    assert_int_equal(makers[0].entered, KS_OK);
    assert_int_equal(makers[1].entered, NOT_YET);
    assert_int_equal(makers[2].entered, NOT_YET);

    assert_int_equal(make(&makers[0], ACCOUNT, "a"), KS_OK);
    leave(&makers[0]);
    assert_int_equal(makers[1].entered, KS_OK);
    assert_int_equal(makers[2].entered, NOT_YET);
    assert_int_equal(make(&makers[1], ACCOUNT, "b"), KS_OK);
    leave(&makers[1]);
    assert_int_equal(makers[2].entered, KS_LIMIT_EXCEEDED);
}

/* Both sides of the share; another account is not concerned. */
static void one_prefix_has_its_share_of_claims(void **state)
{
    (void)state;
    struct maker *makers = ks_alloc(KS_QUOTA_SHARE + 2, sizeof(*makers));
    for (size_t i = 0; i < KS_QUOTA_SHARE; i++) {
        enter(&makers[i], here, ACCOUNT, 100000);
        assert_int_equal(makers[i].entered, KS_OK);
    }
    struct maker *more = &makers[KS_QUOTA_SHARE];
    struct maker *other = &makers[KS_QUOTA_SHARE + 1];
    enter(more, here, ACCOUNT, 100000);
    enter(other, here, OTHER, 100000);
    assert_int_equal(more->entered, KS_THROTTLED);
    assert_int_equal(other->entered, KS_OK);
    leave(other);

    leave(&makers[0]);
    enter(more, here, ACCOUNT, 100000);
    assert_int_equal(more->entered, KS_OK);
    for (size_t i = 1; i <= KS_QUOTA_SHARE; i++) {
        leave(&makers[i]);
    }
    ks_free(makers);
}

static void the_end_answers_those_that_wait(void **state)
{
    (void)state;
    struct maker first;
    struct maker second;
    struct maker late;
    enter(&first, here, ACCOUNT, 2);
    enter(&second, here, ACCOUNT, 2);
    ks_quota_close(here);
    assert_int_equal(second.entered, KS_UNAVAILABLE);
    enter(&late, here, ACCOUNT, 2);
    assert_int_equal(late.entered, KS_UNAVAILABLE);
    leave(&first);
}

/* ---- All at once ---- */

struct racer {
    pthread_t thread;
    struct maker maker;
    struct ks_quota *quota;
    unsigned number;
    bool made;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    ks_code code;
};

static void racer_entered(void *user, ks_result result)
{
    struct racer *racer = user;
    pthread_mutex_lock(&racer->lock);
    racer->code = result.code;
    pthread_cond_signal(&racer->changed);
    pthread_mutex_unlock(&racer->lock);
}

static void *race(void *user)
{
    struct racer *racer = user;
    struct ks_quota_claim *claim = &racer->maker.claim;
    char name[16];
    snprintf(name, sizeof(name), "racer-%u", racer->number);
    *claim = (struct ks_quota_claim){
        .prefix = ks_name_keys(ACCOUNT), .limit = KEYS_MAX, .done = racer_entered, .user = racer};
    ks_quota_enter(racer->quota, claim);
    pthread_mutex_lock(&racer->lock);
    while (racer->code == NOT_YET) {
        pthread_cond_wait(&racer->changed, &racer->lock);
    }
    pthread_mutex_unlock(&racer->lock);
    ks_code code = racer->code;
    while (code == KS_OK && !racer->made) {
        racer->made = make(&racer->maker, ACCOUNT, name) == KS_OK;
        code = racer->made ? KS_OK : look(&racer->maker);
    }
    ks_quota_leave(racer->quota, claim);
    return NULL;
}

static void many_at_once_make_as_many_as_there_is_room_for(void **state)
{
    (void)state;
    struct racer racers[MAKERS];
    size_t made = 0;
    put_keys(ACCOUNT, 0, 4);
    for (unsigned i = 0; i < MAKERS; i++) {
        racers[i] = (struct racer){.quota = i % 2 ? here : there,
                                   .number = i,
                                   .code = NOT_YET,
                                   .lock = PTHREAD_MUTEX_INITIALIZER,
                                   .changed = PTHREAD_COND_INITIALIZER};
        assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
    }
    for (unsigned i = 0; i < MAKERS; i++) {
        pthread_join(racers[i].thread, NULL);
        made += racers[i].made;
    }
    assert_int_equal(made, KEYS_MAX - 4);
    assert_int_equal(count_keys(ACCOUNT), KEYS_MAX);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_full_prefix_refuses_and_others_do_not),
        TEST(two_keystores_do_not_pass_the_limit_together),
        TEST(the_first_near_the_limit_shuts_the_gate_for_those_before),
        TEST(near_the_limit_claims_have_their_turns),
        TEST(one_prefix_has_its_share_of_claims),
        TEST(the_end_answers_those_that_wait),
        TEST(many_at_once_make_as_many_as_there_is_room_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
