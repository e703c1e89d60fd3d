#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/base/mem.h"
#include "pkg/ekt/ekt.h"
#include "services/hsm/memory/key_cache.h"

static struct ks_key_cache *cache;

/* A key whose first byte of the material id is its bucket's number. */
struct key {
    uint8_t material_id[KS_MATERIAL_ID_LEN];
    uint8_t ekt[85];
    uint8_t binding[100];
};

static struct key key_of(uint8_t bucket, uint8_t number)
{
    struct key key = {.material_id = {bucket}, .ekt = {1, 0, 0, 0, 5}};
    key.material_id[KS_MATERIAL_ID_LEN - 1] = number;
    key.ekt[84] = number;
    return key;
}

static struct ks_key_cache_id id_of(const struct key *key)
{
    return (struct ks_key_cache_id){
        .material_id = key->material_id,
        .ekt = {key->ekt, sizeof(key->ekt)},
        .binding = {key->binding, sizeof(key->binding)},
    };
}

/* What the cache has unloaded, by the number that each key holds. */
static unsigned unloaded[256];

static void unload(void *key)
{
    unloaded[*(const uint8_t *)key]++;
    ks_free(key);
}

static void *put(const struct key *key)
{
    const struct ks_key_cache_id id = id_of(key);
    uint8_t *loaded = ks_alloc(1, 1);
    *loaded = key->material_id[KS_MATERIAL_ID_LEN - 1];
    ks_key_cache_put(cache, &id, (struct ks_loaded_key){loaded, unload});
    return loaded;
}

static void *find(const struct key *key)
{
    const struct ks_key_cache_id id = id_of(key);
    return ks_key_cache_find(cache, &id);
}

static void gives_what_was_put(void **state)
{
    (void)state;
    const struct key one = key_of(1, 1);
    const struct key other = key_of(1, 2);

    assert_null(find(&one));
    const void *loaded = put(&one);
    put(&other);

    assert_ptr_equal(find(&one), loaded);
    assert_ptr_not_equal(find(&other), loaded);
}

/* An entry that answered for a changed EKT or binding would pass over their authentication. */
static void answers_for_exactly_the_ekt_and_binding(void **state)
{
    (void)state;
    const struct key key = key_of(1, 1);
    put(&key);
    for (size_t bit = 0; bit < 8 * sizeof(key.ekt); bit++) {
        struct key other = key;
        other.ekt[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        assert_null(find(&other));
    }
    for (size_t bit = 0; bit < 8 * sizeof(key.binding); bit++) {
        struct key other = key;
        other.binding[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        assert_null(find(&other));
    }
    struct ks_key_cache_id shorter = id_of(&key);
    shorter.ekt.len--;
    assert_null(ks_key_cache_find(cache, &shorter));
}

static void a_full_bucket_gives_up_what_was_used_longest_ago(void **state)
{
    (void)state;
    struct key keys[KS_KEY_CACHE_WAYS + 1];
    for (uint8_t i = 0; i < KS_KEY_CACHE_WAYS; i++) {
        keys[i] = key_of(3, i + 1);
        put(&keys[i]);
    }
    assert_non_null(find(&keys[0]));

    keys[KS_KEY_CACHE_WAYS] = key_of(3, 99);
    put(&keys[KS_KEY_CACHE_WAYS]);

    assert_non_null(find(&keys[0]));
    assert_null(find(&keys[1]));
    assert_non_null(find(&keys[2]));
    assert_non_null(find(&keys[KS_KEY_CACHE_WAYS]));
    assert_int_equal(ks_key_cache_count(cache), KS_KEY_CACHE_WAYS);
}

static void putting_a_key_again_takes_no_further_place(void **state)
{
    (void)state;
    const struct key key = key_of(1, 1);

    put(&key);
    put(&key);

    assert_int_equal(ks_key_cache_count(cache), 1);
    assert_int_equal(unloaded[1], 1);
}

static void evicts_all_of_a_material(void **state)
{
    (void)state;
    const struct key key = key_of(1, 1);
    struct key resealed = key;
    const struct key other = key_of(1, 2);
    resealed.ekt[4] = 6;
    put(&key);
    put(&resealed);
    put(&other);

    ks_key_cache_evict(cache, key.material_id);

    assert_null(find(&key));
    assert_null(find(&resealed));
    assert_non_null(find(&other));
    assert_int_equal(unloaded[1], 2);
    assert_int_equal(unloaded[2], 0);
}

static void evicts_all_of_a_generation(void **state)
{
    (void)state;
    const struct key old = key_of(1, 1);
    const struct key elsewhere = key_of(7, 3);
    struct key current = key_of(1, 2);
    current.ekt[4] = 6;
    put(&old);
    put(&elsewhere);
    put(&current);

    ks_key_cache_evict_generation(cache, 5);

    assert_null(find(&old));
    assert_null(find(&elsewhere));
    assert_non_null(find(&current));
}

static void never_holds_more_than_it_was_made_for(void **state)
{
    (void)state;
    for (unsigned bucket = 0; bucket < 256; bucket++) {
        for (uint8_t number = 0; number < 10; number++) {
            const struct key key = key_of((uint8_t)bucket, number);
            put(&key);
            assert_non_null(find(&key));
        }
    }

    assert_int_equal(ks_key_cache_count(cache), KS_KEY_CACHE_MIN);
}

static int set_up(void **state)
{
    (void)state;
    memset(unloaded, 0, sizeof(unloaded));
    cache = ks_key_cache_new(KS_KEY_CACHE_MIN);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ks_key_cache_free(cache);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(gives_what_was_put),
        TEST(answers_for_exactly_the_ekt_and_binding),
        TEST(a_full_bucket_gives_up_what_was_used_longest_ago),
        TEST(putting_a_key_again_takes_no_further_place),
        TEST(evicts_all_of_a_material),
        TEST(evicts_all_of_a_generation),
        TEST(never_holds_more_than_it_was_made_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
