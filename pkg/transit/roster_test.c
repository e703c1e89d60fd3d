#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/base/mem.h"
#include "pkg/crypto/crypto.h"
#include "pkg/crypto/ec.h"
#include "pkg/transit/roster.h"
#include "tests/vectors/roster_json.h"
#include "tests/vectors/vectors.h"

static struct ks_json_doc *doc;
static const struct ks_json *vector;
static struct ks_ec_key *root;

static const uint8_t *fingerprint(uint8_t first)
{
    static uint8_t bytes[KS_FINGERPRINT_LEN];
    bytes[0] = first;
    return bytes;
}

static struct ks_roster three_zones(void)
{
    struct ks_roster roster;
    assert_int_equal(ks_roster_init("ap-seoul-1", &roster).code, KS_OK);
    assert_int_equal(ks_roster_add(&roster, fingerprint(2), "ap-seoul-1b").code, KS_OK);
    assert_int_equal(ks_roster_add(&roster, fingerprint(3), "ap-seoul-1c").code, KS_OK);
    assert_int_equal(ks_roster_add(&roster, fingerprint(1), "ap-seoul-1a").code, KS_OK);
    return roster;
}

static struct ks_peer peer(uint8_t first, const char *zone)
{
    struct ks_peer got = {.region = "ap-seoul-1"};
    memcpy(got.fingerprint, fingerprint(first), KS_FINGERPRINT_LEN);
    memcpy(got.zone, zone, strlen(zone) + 1);
    return got;
}

static void opens_the_golden_vector(void **state)
{
    (void)state;
    KS_VECTOR_AUTO spki = ks_vector_hex(vector, "root_spki");
    KS_VECTOR_AUTO bytes = ks_vector_hex(vector, "roster");
    KS_EC_AUTO *public = NULL;
    assert_int_equal(ks_ec_read_public(ks_vector_view(&spki), &public).code, KS_OK);
    struct ks_roster roster;

    assert_int_equal(ks_roster_open(ks_vector_view(&bytes), public, &roster).code, KS_OK);

    assert_int_equal(roster.number, 5);
    assert_string_equal(roster.region, "ap-seoul-1");
    const struct ks_json *entries = ks_json_get(vector, "entries");
    assert_int_equal(roster.count, ks_json_count(entries));
    for (size_t i = 0; i < roster.count; i++) {
        const struct ks_json *entry = ks_json_at(entries, i);
        KS_VECTOR_AUTO wanted = ks_vector_hex_of(ks_json_at(entry, 0));
        ks_bytes zone;
        assert_int_equal(ks_json_text(ks_json_at(entry, 1), &zone).code, KS_OK);
        struct ks_peer one = {.region = "ap-seoul-1"};
        memcpy(one.fingerprint, wanted.ptr, KS_FINGERPRINT_LEN);
        memcpy(one.zone, zone.ptr, zone.len);
        assert_true(ks_roster_admits(&roster, &one));
    }
}

static void opens_what_it_has_signed(void **state)
{
    (void)state;
    struct ks_roster roster = three_zones();
    roster.number = UINT64_MAX;
    KS_BUFFER_AUTO out = {.len_max = KS_ROSTER_LEN_MAX};
    struct ks_roster got;

    assert_int_equal(ks_roster_sign(&roster, root, &out).code, KS_OK);

    assert_int_equal(ks_roster_open(ks_buffer_bytes(&out), root, &got).code, KS_OK);
    assert_true(ks_roster_equal(&got, &roster));
    got.entries[2].zone[10] = 'x';
    assert_false(ks_roster_equal(&got, &roster));
    assert_int_equal(ks_roster_read(ks_buffer_bytes(&out), &got).code, KS_OK);
}

static void refuses_the_signature_of_another_root(void **state)
{
    (void)state;
    struct ks_roster roster = three_zones();
    KS_BUFFER_AUTO out = {.len_max = KS_ROSTER_LEN_MAX};
    KS_EC_AUTO *other = NULL;
    assert_int_equal(ks_ec_generate(KS_EC_P384, &other).code, KS_OK);
    struct ks_roster got = {.number = 77};

    assert_int_equal(ks_roster_sign(&roster, other, &out).code, KS_OK);

    assert_int_equal(ks_roster_open(ks_buffer_bytes(&out), root, &got).code, KS_ACCESS_DENIED);
    assert_int_equal(got.number, 77);
}

static ks_code open_copy(ks_bytes bytes)
{
    uint8_t *copy = ks_alloc(1, bytes.len);
    memcpy(copy, bytes.ptr, bytes.len);
    struct ks_roster got;
    ks_result r = ks_roster_open((ks_bytes){copy, bytes.len}, root, &got);
    ks_free(copy);
    return r.code;
}

static void refuses_every_damage(void **state)
{
    (void)state;
    struct ks_roster roster = three_zones();
    KS_BUFFER_AUTO out = {.len_max = KS_ROSTER_LEN_MAX};
    assert_int_equal(ks_roster_sign(&roster, root, &out).code, KS_OK);
    assert_int_equal(open_copy(ks_buffer_bytes(&out)), KS_OK);

    for (size_t bit = 0; bit < 8 * out.len; bit++) {
        out.ptr[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        ks_code code = open_copy(ks_buffer_bytes(&out));
        assert_true(code == KS_VALIDATION || code == KS_ACCESS_DENIED);
        out.ptr[bit / 8] ^= (uint8_t)(1U << (bit % 8));
    }
    for (size_t len = 0; len < out.len; len++) {
        assert_int_equal(open_copy((ks_bytes){out.ptr, len}), KS_VALIDATION);
    }
    assert_int_equal(ks_buffer_append(&out, KS_LITERAL("\0")).code, KS_OK);
    assert_int_equal(open_copy(ks_buffer_bytes(&out)), KS_VALIDATION);
}

/* One content, one form: a roster in another order is refused though the root signed it. */
static void refuses_entries_out_of_order_or_doubled(void **state)
{
    (void)state;
    struct ks_roster swapped = three_zones();
    struct ks_roster doubled = three_zones();
    struct ks_roster_entry first = swapped.entries[0];
    swapped.entries[0] = swapped.entries[1];
    swapped.entries[1] = first;
    doubled.entries[1] = doubled.entries[0];
    KS_BUFFER_AUTO a = {.len_max = KS_ROSTER_LEN_MAX};
    KS_BUFFER_AUTO b = {.len_max = KS_ROSTER_LEN_MAX};

    assert_int_equal(ks_roster_sign(&swapped, root, &a).code, KS_OK);
    assert_int_equal(ks_roster_sign(&doubled, root, &b).code, KS_OK);

    assert_int_equal(open_copy(ks_buffer_bytes(&a)), KS_VALIDATION);
    assert_int_equal(open_copy(ks_buffer_bytes(&b)), KS_VALIDATION);
}

static void admits_only_the_hsm_in_its_zone(void **state)
{
    (void)state;
    struct ks_roster roster = three_zones();
    struct ks_peer one = peer(1, "ap-seoul-1a");
    struct ks_peer unknown = peer(9, "ap-seoul-1a");
    struct ks_peer moved = peer(1, "ap-seoul-1b");
    struct ks_peer abroad = one;
    memcpy(abroad.region, "us-oregon-1", sizeof("us-oregon-1"));

    assert_true(ks_roster_admits(&roster, &one));
    assert_false(ks_roster_admits(&roster, &unknown));
    assert_false(ks_roster_admits(&roster, &moved));
    assert_false(ks_roster_admits(&roster, &abroad));
    assert_false(ks_roster_admits(&(struct ks_roster){0}, &one));
}

static void strikes_one_or_a_zone(void **state)
{
    (void)state;
    struct ks_roster roster = three_zones();
    struct ks_peer b = peer(2, "ap-seoul-1b");
    assert_int_equal(ks_roster_add(&roster, fingerprint(4), "ap-seoul-1b").code, KS_OK);

    assert_int_equal(ks_roster_strike(&roster, fingerprint(4)).code, KS_OK);
    assert_int_equal(ks_roster_strike(&roster, fingerprint(4)).code, KS_NOT_FOUND);
    assert_true(ks_roster_admits(&roster, &b));

    assert_int_equal(ks_roster_add(&roster, fingerprint(4), "ap-seoul-1b").code, KS_OK);
    assert_int_equal(ks_roster_strike_zone(&roster, "ap-seoul-1b"), 2);
    assert_false(ks_roster_admits(&roster, &b));
    assert_int_equal(roster.count, 2);
}

static void keeps_both_sides_of_its_limits(void **state)
{
    (void)state;
    struct ks_roster roster;
    assert_int_equal(ks_roster_init("seoul", &roster).code, KS_VALIDATION);
    assert_int_equal(ks_roster_init("ap-seoul-1", &roster).code, KS_OK);
    KS_BUFFER_AUTO out = {.len_max = KS_ROSTER_LEN_MAX};
    assert_int_equal(ks_roster_sign(&roster, root, &out).code, KS_VALIDATION);

    for (uint8_t i = 1; i <= KS_ROSTER_ENTRIES_MAX; i++) {
        assert_int_equal(ks_roster_add(&roster, fingerprint(i), "ap-seoul-1a").code, KS_OK);
    }
    assert_int_equal(ks_roster_add(&roster, fingerprint(99), "ap-seoul-1a").code,
                     KS_LIMIT_EXCEEDED);
    assert_int_equal(ks_roster_add(&roster, fingerprint(1), "ap-seoul-1a").code, KS_ALREADY_EXISTS);
    assert_int_equal(ks_roster_add(&roster, fingerprint(99), "ap-seoul-2a").code, KS_VALIDATION);

    assert_int_equal(ks_roster_sign(&roster, root, &out).code, KS_OK);
    assert_int_equal(open_copy(ks_buffer_bytes(&out)), KS_OK);
    roster.number = 0;
    ks_buffer_done(&out);
    assert_int_equal(ks_roster_sign(&roster, root, &out).code, KS_VALIDATION);
}

static int set_up(void **state)
{
    (void)state;
    if (ks_failed(ks_crypto_init(&(struct ks_crypto_options){0})) ||
        ks_failed(ks_ec_generate(KS_EC_P384, &root))) {
        return -1;
    }
    doc = ks_vectors_open(ks_roster_json, ks_roster_json_len);
    vector = ks_vectors_at(doc, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ks_ec_free(root);
    ks_json_free(doc);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_the_golden_vector),
        cmocka_unit_test(opens_what_it_has_signed),
        cmocka_unit_test(refuses_the_signature_of_another_root),
        cmocka_unit_test(refuses_every_damage),
        cmocka_unit_test(refuses_entries_out_of_order_or_doubled),
        cmocka_unit_test(admits_only_the_hsm_in_its_zone),
        cmocka_unit_test(strikes_one_or_a_zone),
        cmocka_unit_test(keeps_both_sides_of_its_limits),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
