/* Rosters and domain keys: the hsms of a cell in memory, and nothing but messages between them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/base/mem.h"
#include "pkg/crypto/ec.h"
#include "services/hsm/fixture/hsm_fixture.h"
#include "services/hsm/memory/challenges.h"
#include "services/hsm/memory/domain_keys.h"

static struct hsm_root root;
static struct hsm_node a, b, c;

/* Installs a roster of these nodes at all of them. */
static void admit(uint64_t number, struct hsm_node *const *nodes, size_t count)
{
    KS_BUFFER_AUTO roster = {.len_max = KS_ROSTER_LEN_MAX};
    hsm_root_sign_roster(&root, number, (const struct hsm_node *const *)nodes, count, &roster);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(hsm_install_roster(nodes[i], &roster)->code, KS_OK);
    }
}

static void admit_a_and_b(void)
{
    struct hsm_node *both[] = {&a, &b};
    admit(1, both, 2);
}

/* From a to b; answers b's reply. */
static HsmReply *send_generation(uint32_t generation)
{
    const HsmReply *challenge = hsm_challenge(&b, generation);
    const HsmReply *envelope = hsm_seal_domain_key(&a, generation, challenge->challenge);
    assert_int_equal(envelope->code, KS_OK);
    return hsm_open_domain_key(&b, envelope->envelope);
}

static void two_hsms_share_a_domain_key(void **state)
{
    (void)state;
    admit_a_and_b();
    assert_int_equal(hsm_make_domain_key(&a, 1)->code, KS_OK);
    const struct hsm_key key = hsm_new_key(&a, 1);
    const HsmReply *sealed = hsm_encrypt(&a, &key, KS_LITERAL("for the other zone"));

    const HsmReply *received = send_generation(1);

    assert_int_equal(received->code, KS_OK);
    assert_int_equal(received->generation, 1);
    const HsmReply *opened = hsm_decrypt(&b, &key, sealed->blob);
    assert_int_equal(opened->code, KS_OK);
    assert_int_equal(opened->plaintext.len, 18);

    hsm_node_restart(&b, 0);
    assert_int_equal(hsm_load_domain_key(&b, 1, received->wrapped)->code, KS_OK);
    assert_int_equal(hsm_decrypt(&b, &key, sealed->blob)->code, KS_OK);
}

static void an_hsm_that_is_not_on_the_roster_gets_nothing(void **state)
{
    (void)state;
    admit_a_and_b();
    assert_int_equal(hsm_make_domain_key(&a, 1)->code, KS_OK);
    const HsmReply *challenge = hsm_challenge(&c, 1);

    assert_int_equal(challenge->code, KS_OK);
    assert_int_equal(hsm_seal_domain_key(&a, 1, challenge->challenge)->code, KS_ACCESS_DENIED);
}

static void without_a_roster_nobody_gets_anything(void **state)
{
    (void)state;
    assert_int_equal(hsm_make_domain_key(&a, 1)->code, KS_OK);

    assert_int_equal(hsm_seal_domain_key(&a, 1, hsm_challenge(&b, 1)->challenge)->code,
                     KS_ACCESS_DENIED);
}

/* A domain key from a struck hsm may be one that its thief knows. */
static void takes_nothing_from_an_hsm_that_was_struck(void **state)
{
    (void)state;
    admit_a_and_b();
    assert_int_equal(hsm_make_domain_key(&a, 1)->code, KS_OK);
    const HsmReply *challenge = hsm_challenge(&b, 1);
    const HsmReply *envelope = hsm_seal_domain_key(&a, 1, challenge->challenge);
    struct hsm_node *without_a[] = {&b, &c};
    admit(2, without_a, 2);

    assert_int_equal(hsm_open_domain_key(&b, envelope->envelope)->code, KS_ACCESS_DENIED);
}

static void an_envelope_opens_once(void **state)
{
    (void)state;
    admit_a_and_b();
    assert_int_equal(hsm_make_domain_key(&a, 1)->code, KS_OK);
    const HsmReply *challenge = hsm_challenge(&b, 1);
    const HsmReply *envelope = hsm_seal_domain_key(&a, 1, challenge->challenge);
    const HsmReply *again = hsm_seal_domain_key(&a, 1, challenge->challenge);

    assert_int_equal(hsm_open_domain_key(&b, envelope->envelope)->code, KS_OK);

    assert_int_equal(hsm_open_domain_key(&b, envelope->envelope)->code, KS_INVALID_CIPHERTEXT);
    assert_int_equal(hsm_open_domain_key(&b, again->envelope)->code, KS_INVALID_CIPHERTEXT);
}

static void an_envelope_opens_at_its_receiver_only(void **state)
{
    (void)state;
    struct hsm_node *all[] = {&a, &b, &c};
    admit(1, all, 3);
    assert_int_equal(hsm_make_domain_key(&a, 1)->code, KS_OK);
    const HsmReply *envelope = hsm_seal_domain_key(&a, 1, hsm_challenge(&b, 1)->challenge);

    assert_int_equal(hsm_open_domain_key(&c, envelope->envelope)->code, KS_INVALID_CIPHERTEXT);
    hsm_node_restart(&b, 0);
    assert_int_equal(hsm_open_domain_key(&b, envelope->envelope)->code, KS_INVALID_CIPHERTEXT);
}

static void a_damaged_envelope_uses_its_challenge_up(void **state)
{
    (void)state;
    admit_a_and_b();
    assert_int_equal(hsm_make_domain_key(&a, 1)->code, KS_OK);
    const HsmReply *envelope = hsm_seal_domain_key(&a, 1, hsm_challenge(&b, 1)->challenge);
    size_t last = envelope->envelope.len - 1;
    envelope->envelope.data[last] ^= 1;

    assert_int_equal(hsm_open_domain_key(&b, envelope->envelope)->code, KS_INVALID_CIPHERTEXT);

    envelope->envelope.data[last] ^= 1;
    assert_int_equal(hsm_open_domain_key(&b, envelope->envelope)->code, KS_INVALID_CIPHERTEXT);
}

static void a_challenge_is_for_one_generation(void **state)
{
    (void)state;
    admit_a_and_b();
    assert_int_equal(hsm_make_domain_key(&a, 1)->code, KS_OK);
    assert_int_equal(hsm_make_domain_key(&a, 2)->code, KS_OK);
    const HsmReply *challenge = hsm_challenge(&b, 1);

    assert_int_equal(hsm_seal_domain_key(&a, 2, challenge->challenge)->code, KS_ACCESS_DENIED);
    assert_int_equal(hsm_seal_domain_key(&a, 1, challenge->challenge)->code, KS_OK);
    assert_int_equal(hsm_seal_domain_key(&a, 3, hsm_challenge(&b, 3)->challenge)->code,
                     KS_NOT_FOUND);
    assert_int_equal(hsm_challenge(&b, 0)->code, KS_VALIDATION);
    assert_int_equal(hsm_challenge(&b, 100000000)->code, KS_VALIDATION);
}

static void a_challenge_grows_old(void **state)
{
    (void)state;
    admit_a_and_b();
    assert_int_equal(hsm_make_domain_key(&a, 1)->code, KS_OK);
    const HsmReply *in_time = hsm_seal_domain_key(&a, 1, hsm_challenge(&b, 1)->challenge);
    root.boot_ns += KS_CHALLENGE_LIFETIME_NS;
    assert_int_equal(hsm_open_domain_key(&b, in_time->envelope)->code, KS_OK);

    const HsmReply *late = hsm_seal_domain_key(&a, 1, hsm_challenge(&b, 1)->challenge);
    root.boot_ns += KS_CHALLENGE_LIFETIME_NS + 1;

    assert_int_equal(hsm_open_domain_key(&b, late->envelope)->code, KS_INVALID_CIPHERTEXT);
}

static void the_oldest_challenge_is_forgotten_first(void **state)
{
    (void)state;
    admit_a_and_b();
    assert_int_equal(hsm_make_domain_key(&a, 1)->code, KS_OK);
    const HsmReply *first = hsm_seal_domain_key(&a, 1, hsm_challenge(&b, 1)->challenge);
    root.boot_ns++;
    const HsmReply *second = hsm_seal_domain_key(&a, 1, hsm_challenge(&b, 1)->challenge);
    for (size_t i = 0; i < KS_CHALLENGES_MAX - 1; i++) {
        root.boot_ns++;
        assert_int_equal(hsm_challenge(&b, 1)->code, KS_OK);
    }

    assert_int_equal(hsm_open_domain_key(&b, first->envelope)->code, KS_INVALID_CIPHERTEXT);
    assert_int_equal(hsm_open_domain_key(&b, second->envelope)->code, KS_OK);
}

static void a_roster_number_only_grows(void **state)
{
    (void)state;
    const struct hsm_node *const just_a[] = {&a};
    const struct hsm_node *const both[] = {&a, &b};
    KS_BUFFER_AUTO second = {.len_max = KS_ROSTER_LEN_MAX};
    KS_BUFFER_AUTO other_second = {.len_max = KS_ROSTER_LEN_MAX};
    KS_BUFFER_AUTO first = {.len_max = KS_ROSTER_LEN_MAX};
    KS_BUFFER_AUTO third = {.len_max = KS_ROSTER_LEN_MAX};
    hsm_root_sign_roster(&root, 1, both, 2, &first);
    hsm_root_sign_roster(&root, 2, both, 2, &second);
    hsm_root_sign_roster(&root, 2, just_a, 1, &other_second);
    hsm_root_sign_roster(&root, 3, just_a, 1, &third);

    assert_int_equal(hsm_install_roster(&a, &second)->code, KS_OK);
    assert_int_equal(hsm_install_roster(&a, &second)->code, KS_OK);
    assert_int_equal(hsm_install_roster(&a, &other_second)->code, KS_ACCESS_DENIED);
    assert_int_equal(hsm_install_roster(&a, &first)->code, KS_ACCESS_DENIED);
    assert_int_equal(hsm_install_roster(&a, &third)->code, KS_OK);
}

static void a_roster_below_the_floor_is_refused_after_a_restart(void **state)
{
    (void)state;
    const struct hsm_node *const both[] = {&a, &b};
    KS_BUFFER_AUTO fourth = {.len_max = KS_ROSTER_LEN_MAX};
    KS_BUFFER_AUTO fifth = {.len_max = KS_ROSTER_LEN_MAX};
    hsm_root_sign_roster(&root, 4, both, 2, &fourth);
    hsm_root_sign_roster(&root, 5, both, 2, &fifth);

    hsm_node_restart(&a, 5);

    assert_int_equal(hsm_install_roster(&a, &fourth)->code, KS_ACCESS_DENIED);
    assert_int_equal(hsm_install_roster(&a, &fifth)->code, KS_OK);
}

static void a_roster_of_another_root_or_region_is_refused(void **state)
{
    (void)state;
    struct hsm_root other;
    struct hsm_node abroad;
    hsm_root_init(&other, FIXTURE_NOW_S);
    hsm_node_init(&abroad, &root, "us-oregon-1", "us-oregon-1a");
    const struct hsm_node *const just_a[] = {&a};
    const struct hsm_node *const just_abroad[] = {&abroad};
    KS_BUFFER_AUTO forged = {.len_max = KS_ROSTER_LEN_MAX};
    KS_BUFFER_AUTO elsewhere = {.len_max = KS_ROSTER_LEN_MAX};
    hsm_root_sign_roster(&other, 1, just_a, 1, &forged);
    hsm_root_sign_roster(&root, 1, just_abroad, 1, &elsewhere);

    assert_int_equal(hsm_install_roster(&a, &forged)->code, KS_ACCESS_DENIED);
    assert_int_equal(hsm_install_roster(&a, &elsewhere)->code, KS_ACCESS_DENIED);

    hsm_node_done(&abroad);
    hsm_root_done(&other);
}

static void a_wrapped_copy_is_for_its_node_and_generation(void **state)
{
    (void)state;
    const HsmReply *made = hsm_make_domain_key(&a, 1);
    hsm_node_restart(&a, 0);

    assert_int_equal(hsm_load_domain_key(&b, 1, made->wrapped)->code, KS_INVALID_CIPHERTEXT);
    assert_int_equal(hsm_load_domain_key(&a, 2, made->wrapped)->code, KS_INVALID_CIPHERTEXT);
    assert_int_equal(hsm_load_domain_key(&a, 0, made->wrapped)->code, KS_VALIDATION);
    assert_int_equal(hsm_load_domain_key(&a, 1, made->wrapped)->code, KS_OK);
    assert_int_equal(hsm_load_domain_key(&a, 1, made->wrapped)->code, KS_OK);
}

/* Replacing a held generation would lose every key that was sealed under it. */
static void a_generation_is_never_replaced(void **state)
{
    (void)state;
    const HsmReply *first = hsm_make_domain_key(&a, 1);
    hsm_node_restart(&a, 0);
    assert_int_equal(hsm_make_domain_key(&a, 1)->code, KS_OK);

    assert_int_equal(hsm_make_domain_key(&a, 1)->code, KS_ALREADY_EXISTS);
    assert_int_equal(hsm_load_domain_key(&a, 1, first->wrapped)->code, KS_CONFLICT);
    assert_int_equal(hsm_drop_domain_key(&a, 1)->code, KS_OK);
    assert_int_equal(hsm_load_domain_key(&a, 1, first->wrapped)->code, KS_OK);
}

static void holds_so_many_generations_and_no_more(void **state)
{
    (void)state;
    for (uint32_t i = 1; i <= KS_DOMAIN_KEYS_MAX; i++) {
        assert_int_equal(hsm_make_domain_key(&a, i)->code, KS_OK);
    }

    assert_int_equal(hsm_make_domain_key(&a, KS_DOMAIN_KEYS_MAX + 1)->code, KS_LIMIT_EXCEEDED);
    assert_int_equal(hsm_drop_domain_key(&a, 3)->code, KS_OK);
    assert_int_equal(hsm_make_domain_key(&a, KS_DOMAIN_KEYS_MAX + 1)->code, KS_OK);
}

static void says_who_it_is_and_what_it_holds(void **state)
{
    (void)state;
    assert_int_equal(hsm_make_domain_key(&a, 9)->code, KS_OK);
    assert_int_equal(hsm_make_domain_key(&a, 2)->code, KS_OK);
    admit_a_and_b();

    const HsmReply *reply = hsm_ask_status(&a);

    assert_int_equal(reply->code, KS_OK);
    assert_string_equal(reply->status->region, "ap-seoul-1");
    assert_string_equal(reply->status->zone, "ap-seoul-1a");
    assert_string_equal(reply->status->node_id, ks_hsm_node_id(a.hsm));
    assert_int_equal(strlen(reply->status->node_id), 32);
    assert_memory_equal(reply->status->certificate.data, a.certificate.ptr, a.certificate.len);
    assert_int_equal(reply->status->roster_number, 1);
    assert_int_equal(reply->status->n_generations, 2);
    assert_int_equal(reply->status->generations[0], 2);
    assert_int_equal(reply->status->generations[1], 9);
    assert_false(reply->status->sealed);
}

static ks_code start_as(const char *region, const char *zone, const struct ks_ec_key *identity)
{
    KS_SECRET_AUTO node_key = {.len = KS_NODE_KEY_LEN};
    struct ks_hsm *hsm = NULL;
    const struct ks_hsm_options options = {
        .region = region,
        .zone = zone,
        .trust_domain = "keystead",
        .clock = &root.clock,
        .node_key = &node_key,
        .identity = identity,
        .certificate = ks_buffer_bytes(&a.certificate),
        .root = ks_buffer_bytes(&root.certificate),
        .cache_entries = 64,
    };
    ks_result r = ks_hsm_new(&options, &hsm);
    ks_hsm_free(hsm);
    return r.code;
}

static void starts_as_what_its_certificate_says_only(void **state)
{
    (void)state;

    assert_int_equal(start_as("ap-seoul-1", "ap-seoul-1a", a.identity), KS_OK);
    assert_int_equal(start_as("ap-seoul-1", "ap-seoul-1b", a.identity), KS_ACCESS_DENIED);
    assert_int_equal(start_as("ap-seoul-2", "ap-seoul-2a", a.identity), KS_ACCESS_DENIED);
    assert_int_equal(start_as("ap-seoul-1", "ap-seoul-1a", b.identity), KS_ACCESS_DENIED);
}

static int set_up(void **state)
{
    (void)state;
    hsm_root_init(&root, FIXTURE_NOW_S);
    hsm_node_init(&a, &root, "ap-seoul-1", "ap-seoul-1a");
    hsm_node_init(&b, &root, "ap-seoul-1", "ap-seoul-1b");
    hsm_node_init(&c, &root, "ap-seoul-1", "ap-seoul-1c");
    return 0;
}

static int renew(void **state)
{
    (void)state;
    struct hsm_node *const all[] = {&a, &b, &c};
    for (size_t i = 0; i < KS_COUNT(all); i++) {
        hsm_node_restart(all[i], 0);
        ks_arena_done(&all[i]->arena);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hsm_node_done(&a);
    hsm_node_done(&b);
    hsm_node_done(&c);
    hsm_root_done(&root);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup(name, renew)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(two_hsms_share_a_domain_key),
        TEST(an_hsm_that_is_not_on_the_roster_gets_nothing),
        TEST(without_a_roster_nobody_gets_anything),
        TEST(takes_nothing_from_an_hsm_that_was_struck),
        TEST(an_envelope_opens_once),
        TEST(an_envelope_opens_at_its_receiver_only),
        TEST(a_damaged_envelope_uses_its_challenge_up),
        TEST(a_challenge_is_for_one_generation),
        TEST(a_challenge_grows_old),
        TEST(the_oldest_challenge_is_forgotten_first),
        TEST(a_roster_number_only_grows),
        TEST(a_roster_below_the_floor_is_refused_after_a_restart),
        TEST(a_roster_of_another_root_or_region_is_refused),
        TEST(a_wrapped_copy_is_for_its_node_and_generation),
        TEST(a_generation_is_never_replaced),
        TEST(holds_so_many_generations_and_no_more),
        TEST(says_who_it_is_and_what_it_holds),
        TEST(starts_as_what_its_certificate_says_only),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
