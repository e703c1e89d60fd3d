/*
 * Backups: an hsm seals its domain keys to custodians, is lost with all others and its root, and a new
 * hsm under a new root takes them over with the help of m custodians.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/base/mem.h"
#include "pkg/crypto/crypto.h"
#include "pkg/crypto/ec.h"
#include "pkg/crypto/hash.h"
#include "pkg/custody/restore.h"
#include "pkg/transit/peer.h"
#include "services/hsm/fixture/hsm_fixture.h"
#include "services/hsm/memory/challenges.h"
#include "services/hsm/memory/domain_keys.h"

#define REGION     "ap-seoul-1"
#define CUSTODIANS 3U
#define HEADER     KS_LITERAL("the header of a backup")

static struct hsm_root root, new_root;
static struct hsm_node lost, other, restored, abroad;
static struct ks_ec_key *custodians[CUSTODIANS];
static struct ks_crypto *crypto;

/* A kit of 2 of 3, or with fewer custodians. */
static void sign_kit(const struct hsm_root *signer, const char *region, uint32_t period,
                     uint8_t count, struct ks_buffer *out)
{
    struct ks_kit kit = {.period = period, .needed = count > 1 ? 2 : 1, .count = count};
    memcpy(kit.region, region, strlen(region) + 1);
    for (size_t i = 0; i < count; i++) {
        KS_BUFFER_AUTO spki = {.len_max = KS_CUSTODY_PUBLIC_LEN};
        assert_int_equal(ks_ec_write_public_der(custodians[i], &spki).code, KS_OK);
        memcpy(kit.keys[i], spki.ptr, spki.len);
    }
    assert_int_equal(ks_kit_sign(&kit, signer->key, out).code, KS_OK);
}

static ks_code install(struct hsm_node *node, const struct hsm_root *signer, const char *region,
                       uint32_t period, uint8_t count)
{
    KS_BUFFER_AUTO kit = {.len_max = KS_KIT_LEN_MAX};
    sign_kit(signer, region, period, count, &kit);
    return (ks_code)hsm_install_kit(node, &kit)->code;
}

static const HsmReply *back_up(struct hsm_node *node)
{
    assert_int_equal(install(node, node->root, REGION, 1, CUSTODIANS), KS_OK);
    const HsmReply *reply = hsm_backup_begin(node, HEADER, 1);
    assert_int_equal(reply->code, KS_OK);
    return reply;
}

/* The box of custodians 1 and 3, after the first of them has opened it. */
static void open_first(ks_bytes block_bytes, struct ks_buffer *ret_box)
{
    struct ks_block block;
    struct ks_box box;
    KS_BUFFER_AUTO outer = {.len_max = KS_BOX_LEN_MAX};
    assert_int_equal(ks_block_read(block_bytes, &block).code, KS_OK);
    assert_int_equal(ks_block_box(&block, 5, &outer).code, KS_OK);
    assert_int_equal(ks_box_read(ks_buffer_bytes(&outer), &box).code, KS_OK);
    assert_int_equal(ks_box_open(crypto, &box, custodians[0], ret_box).code, KS_OK);
}

static void hand(ks_bytes challenge, const ks_secret *key, struct ks_buffer *out)
{
    KS_EC_AUTO *ephemeral = NULL;
    assert_int_equal(ks_ec_generate(KS_EC_P384, &ephemeral).code, KS_OK);
    assert_int_equal(ks_handed_key_seal(crypto, challenge, ephemeral, key, out).code, KS_OK);
}

/* What a restoration needs beside the block: custodians 1 and 3 and the operator of new_root. */
struct help {
    struct ks_buffer handed;
    struct ks_buffer order;
};

static void help_done(struct help *help)
{
    ks_buffer_done(&help->handed);
    ks_buffer_done(&help->order);
}

#define HELP_AUTO KS_CLEANUP(help_done) struct help

static struct help get_help(ks_bytes block, ProtobufCBinaryData challenge_field)
{
    struct help help = {{.len_max = KS_HANDED_KEY_LEN}, {.len_max = KS_RESTORE_ORDER_MAX}};
    ks_bytes challenge = {challenge_field.data, challenge_field.len};
    KS_BUFFER_AUTO inner = {.len_max = KS_BOX_LEN_MAX};
    KS_SECRET_AUTO key = {.len = 0};
    struct ks_box box;
    open_first(block, &inner);
    assert_int_equal(ks_box_read(ks_buffer_bytes(&inner), &box).code, KS_OK);
    assert_int_equal(ks_box_open_key(crypto, &box, custodians[2], &key).code, KS_OK);
    hand(challenge, &key, &help.handed);
    assert_int_equal(
        ks_restore_order_sign(crypto, challenge, block, new_root.key, &help.order).code, KS_OK);
    return help;
}

static const HsmReply *challenge_of(struct hsm_node *node, ks_bytes header)
{
    uint8_t backup[KS_SHA256_LEN];
    assert_int_equal(ks_hash_sha256_once(header, backup).code, KS_OK);
    return hsm_challenge_restore(node, (ks_bytes){backup, sizeof(backup)});
}

static ks_bytes bytes_of(ProtobufCBinaryData field)
{
    return (ks_bytes){field.data, field.len};
}

static const HsmReply *restore(struct hsm_node *node, ProtobufCBinaryData block,
                               const struct help *help)
{
    return hsm_restore(node, bytes_of(block), ks_buffer_bytes(&help->handed),
                       ks_buffer_bytes(&help->order));
}

static void m_custodians_give_a_new_hsm_all_domain_keys(void **state)
{
    (void)state;
    assert_int_equal(hsm_make_domain_key(&lost, 3)->code, KS_OK);
    assert_int_equal(hsm_make_domain_key(&lost, 7)->code, KS_OK);
    const struct hsm_key old = hsm_new_key(&lost, 3);
    const struct hsm_key key = hsm_new_key(&lost, 7);
    const HsmReply *sealed = hsm_encrypt(&lost, &old, KS_LITERAL("sealed before the loss"));
    const HsmReply *sealed_too = hsm_encrypt(&lost, &key, KS_LITERAL("and this"));
    const HsmReply *backup = back_up(&lost);

    const HsmReply *challenge = challenge_of(&restored, HEADER);
    assert_int_equal(challenge->code, KS_OK);
    HELP_AUTO help = get_help(bytes_of(backup->key_block), challenge->challenge);
    const HsmReply *reply = restore(&restored, backup->key_block, &help);

    assert_int_equal(reply->code, KS_OK);
    assert_int_equal(reply->n_restored, 2);
    assert_int_equal(hsm_decrypt(&restored, &old, sealed->blob)->code, KS_OK);
    assert_int_equal(hsm_decrypt(&restored, &key, sealed_too->blob)->code, KS_OK);
    hsm_node_restart(&restored, 0);
    assert_int_equal(hsm_decrypt(&restored, &key, sealed_too->blob)->code, KS_UNAVAILABLE);
    for (size_t i = 0; i < reply->n_restored; i++) {
        assert_int_equal(hsm_load_domain_key(&restored, reply->restored[i]->generation,
                                             reply->restored[i]->wrapped)
                             ->code,
                         KS_OK);
    }
    const HsmReply *opened = hsm_decrypt(&restored, &key, sealed_too->blob);
    assert_int_equal(opened->code, KS_OK);
    assert_memory_equal(opened->plaintext.data, "and this", 8);
}

/* The first custodian's box and the keys of one custodian, in every way: nothing comes of it. */
static void fewer_than_m_custodians_give_nothing(void **state)
{
    (void)state;
    assert_int_equal(hsm_make_domain_key(&lost, 1)->code, KS_OK);
    const HsmReply *backup = back_up(&lost);
    ks_bytes block = bytes_of(backup->key_block);
    KS_BUFFER_AUTO inner = {.len_max = KS_BOX_LEN_MAX};
    KS_SECRET_AUTO key = {.len = 0};
    struct ks_box box;
    open_first(block, &inner);
    assert_int_equal(ks_box_read(ks_buffer_bytes(&inner), &box).code, KS_OK);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(ks_box_open_key(crypto, &box, custodians[i], &key).code,
                         KS_INVALID_CIPHERTEXT);
    }

    /* What he holds after his part, as if it were the key. */
    const HsmReply *challenge = challenge_of(&restored, HEADER);
    HELP_AUTO help = get_help(block, challenge->challenge);
    memcpy(key.bytes, box.sealed.ptr, KS_BACKUP_KEY_LEN);
    key.len = KS_BACKUP_KEY_LEN;
    ks_buffer_done(&help.handed);
    help.handed.len_max = KS_HANDED_KEY_LEN;
    hand(bytes_of(challenge->challenge), &key, &help.handed);
    const HsmReply *reply = restore(&restored, backup->key_block, &help);

    assert_int_equal(reply->code, KS_INVALID_CIPHERTEXT);
    assert_int_equal(reply->n_restored, 0);
    assert_int_equal(hsm_ask_status(&restored)->status->n_generations, 0);
}

/*
 * Kits are public: whoever controls a keystore can make a block with domain keys of his own, and open
 * it. Only the hsm root's order lets an hsm take it.
 */
static void no_block_is_taken_over_without_an_order(void **state)
{
    (void)state;
    assert_int_equal(hsm_make_domain_key(&lost, 1)->code, KS_OK);
    const HsmReply *backup = back_up(&lost);
    const HsmReply *challenge = challenge_of(&restored, HEADER);
    HELP_AUTO help = get_help(bytes_of(backup->key_block), challenge->challenge);
    ks_buffer_done(&help.order);
    assert_int_equal(restore(&restored, backup->key_block, &help)->code, KS_ACCESS_DENIED);

    /* The order of the root that was lost. */
    challenge = challenge_of(&restored, HEADER);
    HELP_AUTO again = get_help(bytes_of(backup->key_block), challenge->challenge);
    ks_buffer_done(&again.order);
    again.order.len_max = KS_RESTORE_ORDER_MAX;
    assert_int_equal(ks_restore_order_sign(crypto, bytes_of(challenge->challenge),
                                           bytes_of(backup->key_block), root.key, &again.order)
                         .code,
                     KS_OK);
    assert_int_equal(restore(&restored, backup->key_block, &again)->code, KS_ACCESS_DENIED);

    /* An order for another block of the same backup's header. */
    const HsmReply *second = hsm_backup_begin(&lost, HEADER, 1);
    challenge = challenge_of(&restored, HEADER);
    HELP_AUTO swapped = get_help(bytes_of(second->key_block), challenge->challenge);
    assert_int_equal(restore(&restored, backup->key_block, &swapped)->code, KS_ACCESS_DENIED);
    assert_int_equal(hsm_ask_status(&restored)->status->n_generations, 0);
}

static void a_challenge_to_restore_is_answered_once_and_grows_old(void **state)
{
    (void)state;
    assert_int_equal(hsm_make_domain_key(&lost, 1)->code, KS_OK);
    const HsmReply *backup = back_up(&lost);
    const HsmReply *challenge = challenge_of(&restored, HEADER);
    HELP_AUTO help = get_help(bytes_of(backup->key_block), challenge->challenge);
    for (unsigned i = 0; i < 2 * KS_CHALLENGES_MAX; i++) {
        assert_int_equal(hsm_challenge(&restored, i + 1)->code, KS_OK); /* none takes its place */
    }
    new_root.boot_ns += KS_CHALLENGE_RESTORE_NS;
    assert_int_equal(restore(&restored, backup->key_block, &help)->code, KS_OK);
    assert_int_equal(restore(&restored, backup->key_block, &help)->code, KS_INVALID_CIPHERTEXT);

    challenge = challenge_of(&restored, HEADER);
    HELP_AUTO late = get_help(bytes_of(backup->key_block), challenge->challenge);
    new_root.boot_ns += KS_CHALLENGE_RESTORE_NS + 1;
    assert_int_equal(restore(&restored, backup->key_block, &late)->code, KS_INVALID_CIPHERTEXT);

    challenge = challenge_of(&restored, HEADER);
    HELP_AUTO lost_life = get_help(bytes_of(backup->key_block), challenge->challenge);
    hsm_node_restart(&restored, 0);
    assert_int_equal(restore(&restored, backup->key_block, &lost_life)->code,
                     KS_INVALID_CIPHERTEXT);
}

static void a_challenge_to_restore_is_for_one_backup(void **state)
{
    (void)state;
    assert_int_equal(hsm_make_domain_key(&lost, 1)->code, KS_OK);
    const HsmReply *backup = back_up(&lost);
    const HsmReply *challenge = challenge_of(&restored, KS_LITERAL("another header"));
    HELP_AUTO help = get_help(bytes_of(backup->key_block), challenge->challenge);

    assert_int_equal(restore(&restored, backup->key_block, &help)->code, KS_INVALID_CIPHERTEXT);

    /* Neither is it one for a domain key, which another hsm would answer. */
    challenge = challenge_of(&other, HEADER);
    assert_int_equal(hsm_seal_domain_key(&lost, 1, challenge->challenge)->code, KS_ACCESS_DENIED);
    ks_bytes none = {NULL, 0};
    assert_int_equal(hsm_challenge_restore(&restored, none)->code, KS_VALIDATION);
    assert_int_equal(hsm_challenge_restore(&restored, KS_LITERAL("short"))->code, KS_VALIDATION);
}

/* One bit of the block or of what was handed over, anywhere. */
static void refuses_every_damage(void **state)
{
    (void)state;
    assert_int_equal(hsm_make_domain_key(&lost, 1)->code, KS_OK);
    const HsmReply *backup = back_up(&lost);
    for (size_t at = 0; at < backup->key_block.len; at += 7) {
        const HsmReply *challenge = challenge_of(&restored, HEADER);
        HELP_AUTO help = get_help(bytes_of(backup->key_block), challenge->challenge);
        backup->key_block.data[at] ^= 1;
        ks_code code = (ks_code)restore(&restored, backup->key_block, &help)->code;
        backup->key_block.data[at] ^= 1;
        assert_true(code == KS_INVALID_CIPHERTEXT || code == KS_ACCESS_DENIED);
    }
    assert_int_equal(hsm_ask_status(&restored)->status->n_generations, 0);
}

/* An hsm that holds one of the generations with another key takes none of them. */
static void takes_all_domain_keys_or_none(void **state)
{
    (void)state;
    for (uint32_t generation = 1; generation <= 3; generation++) {
        assert_int_equal(hsm_make_domain_key(&lost, generation)->code, KS_OK);
    }
    assert_int_equal(hsm_make_domain_key(&restored, 3)->code, KS_OK);
    const HsmReply *backup = back_up(&lost);
    const HsmReply *challenge = challenge_of(&restored, HEADER);
    HELP_AUTO help = get_help(bytes_of(backup->key_block), challenge->challenge);

    assert_int_equal(restore(&restored, backup->key_block, &help)->code, KS_CONFLICT);

    const HsmStatus *status = hsm_ask_status(&restored)->status;
    assert_int_equal(status->n_generations, 1);
    assert_int_equal(status->generations[0], 3);
}

static void an_hsm_of_another_region_takes_nothing(void **state)
{
    (void)state;
    assert_int_equal(hsm_make_domain_key(&lost, 1)->code, KS_OK);
    const HsmReply *backup = back_up(&lost);
    const HsmReply *challenge = challenge_of(&abroad, HEADER);
    HELP_AUTO help = get_help(bytes_of(backup->key_block), challenge->challenge);

    assert_int_equal(restore(&abroad, backup->key_block, &help)->code, KS_INVALID_CIPHERTEXT);
}

static void a_backup_needs_a_kit_of_its_period_and_a_domain_key(void **state)
{
    (void)state;
    assert_int_equal(hsm_backup_begin(&lost, HEADER, 1)->code, KS_INVALID_STATE);
    assert_int_equal(install(&lost, &root, REGION, 2, CUSTODIANS), KS_OK);
    assert_int_equal(hsm_backup_begin(&lost, HEADER, 2)->code, KS_NOT_FOUND);
    assert_int_equal(hsm_make_domain_key(&lost, 1)->code, KS_OK);
    assert_int_equal(hsm_backup_begin(&lost, HEADER, 1)->code, KS_CONFLICT);
    assert_int_equal(hsm_backup_begin(&lost, HEADER, 3)->code, KS_CONFLICT);
    assert_int_equal(hsm_backup_begin(&lost, KS_LITERAL(""), 2)->code, KS_VALIDATION);
    static const uint8_t longest[4097];
    assert_int_equal(hsm_backup_begin(&lost, (ks_bytes){longest, 4097}, 2)->code, KS_VALIDATION);
    assert_int_equal(hsm_backup_begin(&lost, (ks_bytes){longest, 4096}, 2)->code, KS_OK);
}

/* Two backups of one header share no key, and an hsm of the region says that it made the block. */
static void each_backup_has_keys_of_its_own(void **state)
{
    (void)state;
    assert_int_equal(hsm_make_domain_key(&lost, 1)->code, KS_OK);
    const HsmReply *one = back_up(&lost);
    const HsmReply *two = hsm_backup_begin(&lost, HEADER, 1);
    struct ks_block block;
    struct ks_peer peer;
    const struct ks_peer_trust trust = {ks_buffer_bytes(&root.certificate), "keystead",
                                        FIXTURE_NOW_S};

    assert_int_equal(one->stream_key.len, 32);
    assert_false(ks_bytes_equal(bytes_of(one->stream_key), bytes_of(two->stream_key)));
    assert_int_equal(ks_block_read(bytes_of(one->key_block), &block).code, KS_OK);
    assert_int_equal(ks_block_verify(&block, &trust, &peer).code, KS_OK);
    assert_string_equal(peer.zone, "ap-seoul-1a");
    const struct ks_peer_trust other_trust = {ks_buffer_bytes(&new_root.certificate), "keystead",
                                              FIXTURE_NOW_S};
    assert_int_equal(ks_block_verify(&block, &other_trust, &peer).code, KS_ACCESS_DENIED);
}

static void a_kits_period_only_grows(void **state)
{
    (void)state;
    assert_int_equal(install(&lost, &root, REGION, 3, CUSTODIANS), KS_OK);
    assert_int_equal(install(&lost, &root, REGION, 3, CUSTODIANS), KS_OK);
    assert_int_equal(install(&lost, &root, REGION, 2, CUSTODIANS), KS_ACCESS_DENIED);
    assert_int_equal(install(&lost, &root, REGION, 3, 1), KS_ACCESS_DENIED);
    assert_int_equal(install(&lost, &root, REGION, 4, 1), KS_OK);

    const HsmStatus *status = hsm_ask_status(&lost)->status;
    assert_int_equal(status->kit_period, 4);
    assert_int_equal(status->custodians_needed, 1);
    assert_int_equal(status->custodian_count, 1);
    hsm_node_restart(&lost, 0);
    assert_int_equal(hsm_ask_status(&lost)->status->kit_period, 0);
}

static void a_kit_of_another_root_or_region_is_refused(void **state)
{
    (void)state;
    KS_BUFFER_AUTO nothing = {.len_max = 1};
    assert_int_equal(install(&lost, &new_root, REGION, 1, CUSTODIANS), KS_ACCESS_DENIED);
    assert_int_equal(install(&lost, &root, "us-oregon-1", 1, CUSTODIANS), KS_ACCESS_DENIED);
    assert_int_equal(hsm_install_kit(&lost, &nothing)->code, KS_ACCESS_DENIED);
    assert_int_equal(hsm_ask_status(&lost)->status->kit_period, 0);
}

static int set_up(void **state)
{
    (void)state;
    hsm_root_init(&root, FIXTURE_NOW_S);
    hsm_root_init(&new_root, FIXTURE_NOW_S);
    hsm_node_init(&lost, &root, REGION, "ap-seoul-1a");
    hsm_node_init(&other, &root, REGION, "ap-seoul-1b");
    hsm_node_init(&restored, &new_root, REGION, "ap-seoul-1a");
    hsm_node_init(&abroad, &new_root, "us-oregon-1", "us-oregon-1a");
    crypto = ks_crypto_new();
    for (size_t i = 0; i < CUSTODIANS; i++) {
        if (ks_failed(ks_ec_generate(KS_EC_P384, &custodians[i]))) {
            return -1;
        }
    }
    return 0;
}

static struct hsm_node *const all[] = {&lost, &other, &restored, &abroad};

static int renew(void **state)
{
    (void)state;
    for (size_t i = 0; i < KS_COUNT(all); i++) {
        hsm_node_restart(all[i], 0);
        ks_arena_done(&all[i]->arena);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < KS_COUNT(all); i++) {
        hsm_node_done(all[i]);
    }
    for (size_t i = 0; i < CUSTODIANS; i++) {
        ks_ec_free(custodians[i]);
    }
    ks_crypto_free(crypto);
    hsm_root_done(&root);
    hsm_root_done(&new_root);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup(name, renew)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(m_custodians_give_a_new_hsm_all_domain_keys),
        TEST(fewer_than_m_custodians_give_nothing),
        TEST(no_block_is_taken_over_without_an_order),
        TEST(a_challenge_to_restore_is_answered_once_and_grows_old),
        TEST(a_challenge_to_restore_is_for_one_backup),
        TEST(refuses_every_damage),
        TEST(takes_all_domain_keys_or_none),
        TEST(an_hsm_of_another_region_takes_nothing),
        TEST(a_backup_needs_a_kit_of_its_period_and_a_domain_key),
        TEST(each_backup_has_keys_of_its_own),
        TEST(a_kits_period_only_grows),
        TEST(a_kit_of_another_root_or_region_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
