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
#include "pkg/crypto/random.h"
#include "pkg/custody/restore.h"
#include "pkg/transit/peer.h"
#include "tests/vectors/custody_json.h"
#include "tests/vectors/vectors.h"

static struct ks_json_doc *doc;
static const struct ks_json *vector;
static struct ks_crypto *crypto;
static struct ks_ec_key *root;
static struct ks_ec_key *custodians[KS_CUSTODIANS_MAX];

/* What a vector's member holds, as a key pair. */
static struct ks_ec_key *key_of(const char *member)
{
    KS_VECTOR_AUTO der = ks_vector_hex(vector, member);
    struct ks_ec_key *key = NULL;
    assert_int_equal(ks_ec_read_private(ks_vector_view(&der), &key).code, KS_OK);
    return key;
}

static struct ks_kit kit_of(uint8_t needed, uint8_t count)
{
    struct ks_kit kit = {.region = "ap-seoul-1", .period = 1, .needed = needed, .count = count};
    for (size_t i = 0; i < count; i++) {
        KS_BUFFER_AUTO spki = {.len_max = KS_CUSTODY_PUBLIC_LEN};
        assert_int_equal(ks_ec_write_public_der(custodians[i], &spki).code, KS_OK);
        assert_int_equal(spki.len, KS_CUSTODY_PUBLIC_LEN);
        memcpy(kit.keys[i], spki.ptr, spki.len);
    }
    return kit;
}

/* As kit_of, with the id that reading gives it. */
static struct ks_kit signed_kit(uint8_t needed, uint8_t count)
{
    struct ks_kit kit = kit_of(needed, count);
    KS_BUFFER_AUTO bytes = {.len_max = KS_KIT_LEN_MAX};
    assert_int_equal(ks_kit_sign(&kit, root, &bytes).code, KS_OK);
    assert_int_equal(ks_kit_open(ks_buffer_bytes(&bytes), root, &kit).code, KS_OK);
    return kit;
}

static struct ks_block_keys two_keys(void)
{
    struct ks_block_keys keys = {.count = 2};
    for (size_t i = 0; i < keys.count; i++) {
        keys.keys[i].generation = (uint32_t)(3 + i);
        memset(keys.keys[i].key.bytes, (int)(0xa0 + i), KS_BLOCK_DOMAIN_KEY_LEN);
        keys.keys[i].key.len = KS_BLOCK_DOMAIN_KEY_LEN;
    }
    return keys;
}

static const uint8_t backup[KS_CUSTODY_HASH_LEN] = "a backup's header, as a SHA-256";

/* A block of two keys; its certificate is bytes of any kind. */
static void seal(const struct ks_kit *kit, const ks_secret *key, struct ks_buffer *out)
{
    const struct ks_block_keys keys = two_keys();
    KS_EC_AUTO *ephemeral = NULL;
    assert_int_equal(ks_ec_generate(KS_EC_P384, &ephemeral).code, KS_OK);
    const struct ks_block_maker maker = {kit, backup, ephemeral, KS_LITERAL("certificate"), root};
    assert_int_equal(ks_block_seal(crypto, &maker, key, &keys, out).code, KS_OK);
}

static ks_secret new_key(void)
{
    ks_secret key = {.len = 0};
    assert_int_equal(ks_random_secret(KS_BACKUP_KEY_LEN, &key).code, KS_OK);
    return key;
}

/* Opens one box with a custodian's key: the next box, or the backup key of the last. */
static ks_code open_once(ks_bytes bytes, const struct ks_ec_key *own, struct ks_buffer *ret_next,
                         ks_secret *ret_key)
{
    struct ks_box box;
    ks_result r = ks_box_read(bytes, &box);
    if (ks_failed(r)) {
        return r.code;
    }
    r = box.position < box.head.needed ? ks_box_open(crypto, &box, own, ret_next)
                                       : ks_box_open_key(crypto, &box, own, ret_key);
    return r.code;
}

/*
 * Has the custodians of `order`, from the first on, open the box of a subset. KS_OK only if the last
 * one got the key; whoever fails is the last one asked.
 */
static ks_code open_in_order(const struct ks_block *block, uint8_t subset, const unsigned *order,
                             size_t count, ks_secret *ret_key)
{
    KS_BUFFER_AUTO box = {.len_max = KS_BOX_LEN_MAX};
    assert_int_equal(ks_block_box(block, subset, &box).code, KS_OK);
    for (size_t i = 0; i < count; i++) {
        KS_BUFFER_AUTO next = {.len_max = KS_BOX_LEN_MAX};
        ks_code code = open_once(ks_buffer_bytes(&box), custodians[order[i] - 1], &next, ret_key);
        if (code != KS_OK) {
            return code;
        }
        ks_buffer_done(&box);
        box.len_max = KS_BOX_LEN_MAX;
        assert_int_equal(ks_buffer_append(&box, ks_buffer_bytes(&next)).code, KS_OK);
    }
    return ret_key->len > 0 ? KS_OK : KS_NOT_FOUND;
}

/* Kits */

static void opens_the_golden_kit(void **state)
{
    (void)state;
    KS_VECTOR_AUTO bytes = ks_vector_hex(vector, "kit");
    KS_EC_AUTO *golden_root = key_of("root_key");
    struct ks_kit kit;

    assert_int_equal(ks_kit_open(ks_vector_view(&bytes), golden_root, &kit).code, KS_OK);

    assert_string_equal(kit.region, "ap-seoul-1");
    assert_int_equal(kit.period, ks_vector_number(vector, "period"));
    assert_int_equal(kit.needed, 2);
    assert_int_equal(kit.count, 3);
    assert_int_equal(ks_kit_open(ks_vector_view(&bytes), root, &kit).code, KS_ACCESS_DENIED);
}

static ks_code open_copy(ks_bytes bytes)
{
    uint8_t *copy = ks_alloc(1, bytes.len + 1);
    memcpy(copy, bytes.ptr, bytes.len);
    struct ks_kit got;
    ks_result r = ks_kit_open((ks_bytes){copy, bytes.len}, root, &got);
    ks_free(copy);
    return r.code;
}

static void refuses_every_damage_of_a_kit(void **state)
{
    (void)state;
    const struct ks_kit kit = kit_of(2, 3);
    KS_BUFFER_AUTO out = {.len_max = KS_KIT_LEN_MAX};
    assert_int_equal(ks_kit_sign(&kit, root, &out).code, KS_OK);
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

static ks_code sign(const struct ks_kit *kit)
{
    KS_BUFFER_AUTO out = {.len_max = KS_KIT_LEN_MAX};
    return ks_kit_sign(kit, root, &out).code;
}

static void keeps_both_sides_of_the_limits_of_a_kit(void **state)
{
    (void)state;
    struct ks_kit kit = kit_of(5, 5);
    assert_int_equal(sign(&kit), KS_OK);
    kit.needed = 1;
    assert_int_equal(sign(&kit), KS_OK);
    kit.needed = 0;
    assert_int_equal(sign(&kit), KS_VALIDATION);
    kit.needed = 5;
    kit.count = 4;
    assert_int_equal(sign(&kit), KS_VALIDATION);
    kit = kit_of(1, 1);
    assert_int_equal(sign(&kit), KS_OK);
    kit.period = UINT32_MAX;
    assert_int_equal(sign(&kit), KS_OK);
    kit.period = 0;
    assert_int_equal(sign(&kit), KS_VALIDATION);
    kit = kit_of(2, 2);
    kit.count = 6;
    assert_int_equal(sign(&kit), KS_VALIDATION);
    kit = kit_of(2, 2);
    kit.region[0] = '\0';
    assert_int_equal(sign(&kit), KS_VALIDATION);
}

/* One person would be two. */
static void a_custodian_stands_once(void **state)
{
    (void)state;
    struct ks_kit kit = kit_of(2, 3);
    memcpy(kit.keys[2], kit.keys[0], sizeof(kit.keys[0]));
    assert_int_equal(sign(&kit), KS_VALIDATION);
    memset(kit.keys[2], 0, sizeof(kit.keys[2]));
    assert_int_equal(sign(&kit), KS_VALIDATION);
}

/* After the loss of everything a new hsm root signs the kit of the backup anew. */
static void a_kit_that_another_root_signs_is_the_same_kit(void **state)
{
    (void)state;
    const struct ks_kit kit = signed_kit(2, 3);
    KS_EC_AUTO *new_root = NULL;
    KS_BUFFER_AUTO bytes = {.len_max = KS_KIT_LEN_MAX};
    struct ks_kit again;
    assert_int_equal(ks_ec_generate(KS_EC_P384, &new_root).code, KS_OK);

    assert_int_equal(ks_kit_sign(&kit, new_root, &bytes).code, KS_OK);

    assert_int_equal(ks_kit_open(ks_buffer_bytes(&bytes), new_root, &again).code, KS_OK);
    assert_memory_equal(again.id, kit.id, sizeof(kit.id));
}

static void counts_the_choices(void **state)
{
    (void)state;
    static const size_t binomials[6][6] = {{0},          {0, 1},          {0, 2, 1},
                                           {0, 3, 3, 1}, {0, 4, 6, 4, 1}, {0, 5, 10, 10, 5, 1}};
    uint8_t subsets[KS_CUSTODY_SUBSETS_MAX];
    for (uint8_t count = 0; count <= 5; count++) {
        for (uint8_t needed = 0; needed <= 5; needed++) {
            size_t found = ks_custody_subsets(needed, count, subsets);
            assert_int_equal(found, needed > count ? 0 : binomials[count][needed]);
            for (size_t i = 0; i < found; i++) {
                assert_true(i == 0 || subsets[i] > subsets[i - 1]);
                assert_true(ks_custody_member(subsets[i], needed) > 0);
                assert_int_equal(ks_custody_member(subsets[i], (uint8_t)(needed + 1)), 0);
            }
        }
    }
    assert_int_equal(ks_custody_subsets(1, 6, subsets), 0);
    assert_int_equal(ks_custody_member(5, 1), 1);
    assert_int_equal(ks_custody_member(5, 2), 3);
    assert_int_equal(ks_custody_member(5, 0), 0);
}

/* Blocks */

static void opens_the_golden_block(void **state)
{
    (void)state;
    KS_VECTOR_AUTO bytes = ks_vector_hex(vector, "block");
    KS_VECTOR_AUTO root_certificate = ks_vector_hex(vector, "root_certificate");
    KS_VECTOR_AUTO k = ks_vector_hex(vector, "backup_key");
    KS_VECTOR_AUTO stream = ks_vector_hex(vector, "stream_key");
    KS_VECTOR_AUTO header = ks_vector_hex(vector, "header");
    KS_EC_AUTO *first = key_of("custodian_1");
    KS_EC_AUTO *third = key_of("custodian_3");
    KS_BUFFER_AUTO box = {.len_max = KS_BOX_LEN_MAX};
    KS_BUFFER_AUTO next = {.len_max = KS_BOX_LEN_MAX};
    KS_SECRET_AUTO key = {.len = 0};
    KS_SECRET_AUTO stream_key = {.len = 0};
    KS_BLOCK_KEYS_AUTO keys = {.count = 0};
    uint8_t hash[KS_SHA256_LEN];
    struct ks_block block;
    struct ks_peer peer;
    const struct ks_peer_trust trust = {ks_vector_view(&root_certificate), "keystead",
                                        ks_vector_number(vector, "at_s")};
    assert_int_equal(ks_block_read(ks_vector_view(&bytes), &block).code, KS_OK);
    assert_int_equal(ks_block_verify(&block, &trust, &peer).code, KS_OK);
    assert_string_equal(peer.zone, "ap-seoul-1a");
    assert_int_equal(ks_hash_sha256_once(ks_vector_view(&header), hash).code, KS_OK);
    assert_memory_equal(hash, block.head.backup, sizeof(hash));

    assert_int_equal(ks_block_box(&block, 5, &box).code, KS_OK);
    assert_int_equal(open_once(ks_buffer_bytes(&box), first, &next, &key), KS_OK);
    assert_int_equal(open_once(ks_buffer_bytes(&next), third, &next, &key), KS_OK);

    assert_true(ks_bytes_equal(ks_secret_bytes(&key), ks_vector_view(&k)));
    assert_int_equal(ks_backup_stream_key(crypto, &key, hash, &stream_key).code, KS_OK);
    assert_true(ks_bytes_equal(ks_secret_bytes(&stream_key), ks_vector_view(&stream)));
    assert_int_equal(ks_block_open(crypto, &block, &key, &keys).code, KS_OK);
    assert_int_equal(keys.count, 2);
    assert_int_equal(keys.keys[0].generation, 3);
    assert_int_equal(keys.keys[1].generation, 99999999);
    KS_VECTOR_AUTO last = ks_vector_hex_of(ks_json_at(ks_json_get(vector, "domain_keys"), 1));
    assert_memory_equal(keys.keys[1].key.bytes, last.ptr + 4, KS_BLOCK_DOMAIN_KEY_LEN);
}

static void assert_opens(const struct ks_block *block, uint8_t subset, uint8_t needed,
                         const struct ks_secret *key)
{
    unsigned order[KS_CUSTODIANS_MAX];
    KS_SECRET_AUTO got = {.len = 0};
    for (uint8_t p = 1; p <= needed; p++) {
        order[p - 1] = ks_custody_member(subset, p);
    }
    assert_int_equal(open_in_order(block, subset, order, needed, &got), KS_OK);
    assert_true(ks_secret_equal(ks_secret_bytes(&got), ks_secret_bytes(key)));
}

static void assert_each_choice_opens(uint8_t needed, uint8_t count)
{
    const struct ks_kit kit = signed_kit(needed, count);
    KS_SECRET_AUTO key = new_key();
    KS_BUFFER_AUTO bytes = {.len_max = KS_BLOCK_LEN_MAX};
    struct ks_block block;
    uint8_t subsets[KS_CUSTODY_SUBSETS_MAX];
    seal(&kit, &key, &bytes);
    assert_int_equal(ks_block_read(ks_buffer_bytes(&bytes), &block).code, KS_OK);
    size_t choices = ks_custody_subsets(needed, count, subsets);
    for (size_t i = 0; i < choices; i++) {
        assert_opens(&block, subsets[i], needed, &key);
    }
}

/* Every size of kit: each choice of m opens the block, in its order. */
static void every_m_custodians_open_a_block(void **state)
{
    (void)state;
    for (uint8_t count = 1; count <= KS_CUSTODIANS_MAX; count++) {
        for (uint8_t needed = 1; needed <= count; needed++) {
            assert_each_choice_opens(needed, count);
        }
    }
}

/*
 * Any m - 1 of them, each as often as they like and in every place: somewhere in each box stands one
 * who is not among them, and there it ends.
 */
static void fewer_than_m_open_nothing(void **state)
{
    (void)state;
    const struct ks_kit kit = signed_kit(3, 4);
    KS_SECRET_AUTO key = new_key();
    KS_BUFFER_AUTO bytes = {.len_max = KS_BLOCK_LEN_MAX};
    struct ks_block block;
    uint8_t subsets[KS_CUSTODY_SUBSETS_MAX];
    uint8_t pairs[KS_CUSTODY_SUBSETS_MAX];
    seal(&kit, &key, &bytes);
    assert_int_equal(ks_block_read(ks_buffer_bytes(&bytes), &block).code, KS_OK);
    size_t choices = ks_custody_subsets(3, 4, subsets);
    size_t pair_count = ks_custody_subsets(2, 4, pairs);

    for (size_t i = 0; i < choices * pair_count * 8; i++) {
        uint8_t pair = pairs[i / 8 % pair_count];
        unsigned order[3];
        KS_SECRET_AUTO got = {.len = 0};
        for (unsigned turn = 0; turn < 3; turn++) {
            order[turn] = ks_custody_member(pair, (i >> turn & 1U) ? 2 : 1);
        }
        ks_code code = open_in_order(&block, subsets[i / 8 / pair_count], order, 3, &got);
        assert_int_equal(code, KS_INVALID_CIPHERTEXT);
        assert_int_equal(got.len, 0);
    }
    const unsigned first_two[] = {1, 2};
    KS_SECRET_AUTO got = {.len = 0};
    assert_int_equal(open_in_order(&block, 7, first_two, 2, &got), KS_NOT_FOUND);
}

static void another_order_opens_nothing(void **state)
{
    (void)state;
    static const unsigned orders[][3] = {{1, 3, 2}, {2, 1, 3}, {2, 3, 1}, {3, 1, 2}, {3, 2, 1}};
    const struct ks_kit kit = signed_kit(3, 3);
    KS_SECRET_AUTO key = new_key();
    KS_BUFFER_AUTO bytes = {.len_max = KS_BLOCK_LEN_MAX};
    struct ks_block block;
    seal(&kit, &key, &bytes);
    assert_int_equal(ks_block_read(ks_buffer_bytes(&bytes), &block).code, KS_OK);

    for (size_t i = 0; i < KS_COUNT(orders); i++) {
        KS_SECRET_AUTO got = {.len = 0};
        assert_int_equal(open_in_order(&block, 7, orders[i], 3, &got), KS_INVALID_CIPHERTEXT);
    }
}

/* Every bit of a box, its head included, and every length: one answer. */
static void refuses_every_damage_of_a_box(void **state)
{
    (void)state;
    const struct ks_kit kit = signed_kit(2, 3);
    KS_SECRET_AUTO key = new_key();
    KS_BUFFER_AUTO bytes = {.len_max = KS_BLOCK_LEN_MAX};
    KS_BUFFER_AUTO box = {.len_max = KS_BOX_LEN_MAX};
    KS_BUFFER_AUTO next = {.len_max = KS_BOX_LEN_MAX};
    KS_SECRET_AUTO got = {.len = 0};
    struct ks_block block;
    seal(&kit, &key, &bytes);
    assert_int_equal(ks_block_read(ks_buffer_bytes(&bytes), &block).code, KS_OK);
    assert_int_equal(ks_block_box(&block, 3, &box).code, KS_OK);

    for (size_t bit = 0; bit < 8 * box.len; bit++) {
        box.ptr[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        assert_int_equal(open_once(ks_buffer_bytes(&box), custodians[0], &next, &got),
                         KS_INVALID_CIPHERTEXT);
        box.ptr[bit / 8] ^= (uint8_t)(1U << (bit % 8));
    }
    for (size_t len = 0; len < box.len; len++) {
        assert_int_equal(open_once((ks_bytes){box.ptr, len}, custodians[0], &next, &got),
                         KS_INVALID_CIPHERTEXT);
    }
    assert_int_equal(next.len + got.len, 0);
    assert_int_equal(ks_buffer_append(&box, KS_LITERAL("\0")).code, KS_OK);
    assert_int_equal(open_once(ks_buffer_bytes(&box), custodians[0], &next, &got),
                     KS_INVALID_CIPHERTEXT);
}

/* A bit of the domain keys, or of what stands before them: the key that is right opens nothing. */
static void refuses_every_damage_of_a_blocks_domain_keys(void **state)
{
    (void)state;
    const struct ks_kit kit = signed_kit(1, 1);
    KS_SECRET_AUTO key = new_key();
    KS_BUFFER_AUTO bytes = {.len_max = KS_BLOCK_LEN_MAX};
    struct ks_block block;
    KS_BLOCK_KEYS_AUTO keys = {.count = 0};
    seal(&kit, &key, &bytes);
    assert_int_equal(ks_block_read(ks_buffer_bytes(&bytes), &block).code, KS_OK);
    assert_int_equal(ks_block_open(crypto, &block, &key, &keys).code, KS_OK);
    assert_int_equal(keys.count, 2);
    size_t end = block.before.len + 2 + block.domain_keys.len;

    ks_block_keys_done(&keys);
    for (size_t bit = 0; bit < 8 * end; bit++) {
        bytes.ptr[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        ks_result r = ks_block_read(ks_buffer_bytes(&bytes), &block);
        if (!ks_failed(r)) {
            r = ks_block_open(crypto, &block, &key, &keys);
        }
        assert_int_equal(r.code, KS_INVALID_CIPHERTEXT);
        assert_int_equal(keys.count, 0);
        bytes.ptr[bit / 8] ^= (uint8_t)(1U << (bit % 8));
    }
    for (size_t len = 0; len < bytes.len; len++) {
        assert_int_equal(ks_block_read((ks_bytes){bytes.ptr, len}, &block).code,
                         KS_INVALID_CIPHERTEXT);
    }
}

/* The golden block is signed: with any bit changed it is no hsm's. */
static void a_changed_block_is_no_hsms(void **state)
{
    (void)state;
    KS_VECTOR_AUTO bytes = ks_vector_hex(vector, "block");
    KS_VECTOR_AUTO root_certificate = ks_vector_hex(vector, "root_certificate");
    const struct ks_peer_trust trust = {ks_vector_view(&root_certificate), "keystead",
                                        ks_vector_number(vector, "at_s")};
    struct ks_peer peer;
    for (size_t at = 0; at < bytes.len; at++) {
        struct ks_block block;
        bytes.ptr[at] ^= 1;
        ks_result r = ks_block_read(ks_vector_view(&bytes), &block);
        if (!ks_failed(r)) {
            r = ks_block_verify(&block, &trust, &peer);
        }
        assert_true(r.code == KS_INVALID_CIPHERTEXT || r.code == KS_ACCESS_DENIED);
        bytes.ptr[at] ^= 1;
    }
}

static void a_box_of_one_backup_opens_in_no_other(void **state)
{
    (void)state;
    const struct ks_kit kit = signed_kit(1, 1);
    KS_SECRET_AUTO key = new_key();
    KS_SECRET_AUTO other_key = new_key();
    KS_SECRET_AUTO got = {.len = 0};
    KS_BUFFER_AUTO one = {.len_max = KS_BLOCK_LEN_MAX};
    KS_BUFFER_AUTO other = {.len_max = KS_BLOCK_LEN_MAX};
    KS_BLOCK_KEYS_AUTO keys = {.count = 0};
    struct ks_block block;
    const unsigned order[] = {1};
    seal(&kit, &key, &one);
    seal(&kit, &other_key, &other);
    assert_int_equal(ks_block_read(ks_buffer_bytes(&one), &block).code, KS_OK);
    assert_int_equal(ks_block_open(crypto, &block, &other_key, &keys).code, KS_INVALID_CIPHERTEXT);

    memcpy(one.ptr + block.head.bytes.len, other.ptr + block.head.bytes.len, block.boxes.len);

    assert_int_equal(open_in_order(&block, 1, order, 1, &got), KS_INVALID_CIPHERTEXT);
}

static void refuses_to_seal_what_is_out_of_bounds(void **state)
{
    (void)state;
    const struct ks_kit kit = signed_kit(1, 1);
    KS_SECRET_AUTO key = new_key();
    struct ks_block_keys keys[4] = {two_keys(), two_keys(), two_keys(), {.count = 0}};
    KS_EC_AUTO *ephemeral = NULL;
    assert_int_equal(ks_ec_generate(KS_EC_P384, &ephemeral).code, KS_OK);
    const struct ks_block_maker maker = {&kit, backup, ephemeral, KS_LITERAL("x"), root};
    keys[0].keys[1].generation = 3;
    keys[1].keys[0].generation = 0;
    keys[2].keys[1].key.len = 31;
    for (size_t i = 0; i < KS_COUNT(keys); i++) {
        KS_BUFFER_AUTO out = {.len_max = KS_BLOCK_LEN_MAX};
        assert_int_equal(ks_block_seal(crypto, &maker, &key, &keys[i], &out).code, KS_VALIDATION);
    }
}

/* Restoring */

static void opens_the_golden_handed_key_by_its_order(void **state)
{
    (void)state;
    KS_VECTOR_AUTO block = ks_vector_hex(vector, "block");
    KS_VECTOR_AUTO challenge = ks_vector_hex(vector, "challenge");
    KS_VECTOR_AUTO handed = ks_vector_hex(vector, "handed");
    KS_VECTOR_AUTO order = ks_vector_hex(vector, "order");
    KS_VECTOR_AUTO k = ks_vector_hex(vector, "backup_key");
    KS_EC_AUTO *golden_root = key_of("root_key");
    KS_EC_AUTO *transit = key_of("transit_key");
    KS_SECRET_AUTO key = {.len = 0};
    uint8_t hash[KS_TRANSIT_HASH_LEN];
    assert_int_equal(ks_challenge_hash(crypto, ks_vector_view(&challenge), hash).code, KS_OK);

    assert_int_equal(ks_restore_order_check(crypto, ks_vector_view(&order), hash,
                                            ks_vector_view(&block), golden_root)
                         .code,
                     KS_OK);
    assert_int_equal(ks_handed_key_open(crypto, ks_vector_view(&handed), hash, transit, &key).code,
                     KS_OK);

    assert_true(ks_bytes_equal(ks_secret_bytes(&key), ks_vector_view(&k)));
}

static void refuses_every_damage_on_the_way_to_the_hsm(void **state)
{
    (void)state;
    KS_VECTOR_AUTO block = ks_vector_hex(vector, "block");
    KS_VECTOR_AUTO challenge = ks_vector_hex(vector, "challenge");
    KS_VECTOR_AUTO order = ks_vector_hex(vector, "order");
    KS_EC_AUTO *golden_root = key_of("root_key");
    KS_EC_AUTO *transit = key_of("transit_key");
    KS_EC_AUTO *ephemeral = NULL;
    KS_SECRET_AUTO key = new_key();
    KS_SECRET_AUTO got = {.len = 0};
    KS_BUFFER_AUTO handed = {.len_max = KS_HANDED_KEY_LEN + 1};
    uint8_t hash[KS_TRANSIT_HASH_LEN];
    assert_int_equal(ks_ec_generate(KS_EC_P384, &ephemeral).code, KS_OK);
    assert_int_equal(ks_challenge_hash(crypto, ks_vector_view(&challenge), hash).code, KS_OK);
    assert_int_equal(
        ks_handed_key_seal(crypto, ks_vector_view(&challenge), ephemeral, &key, &handed).code,
        KS_OK);
    assert_int_equal(handed.len, KS_HANDED_KEY_LEN);
    assert_int_equal(ks_handed_key_open(crypto, ks_buffer_bytes(&handed), hash, transit, &got).code,
                     KS_OK);
    assert_true(ks_secret_equal(ks_secret_bytes(&got), ks_secret_bytes(&key)));

    ks_secret_wipe(&got);
    for (size_t bit = 0; bit < 8 * handed.len; bit++) {
        handed.ptr[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        assert_int_equal(
            ks_handed_key_open(crypto, ks_buffer_bytes(&handed), hash, transit, &got).code,
            KS_INVALID_CIPHERTEXT);
        handed.ptr[bit / 8] ^= (uint8_t)(1U << (bit % 8));
    }
    for (size_t bit = 0; bit < 8 * order.len; bit++) {
        order.ptr[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        assert_int_equal(ks_restore_order_check(crypto, ks_vector_view(&order), hash,
                                                ks_vector_view(&block), golden_root)
                             .code,
                         KS_ACCESS_DENIED);
        order.ptr[bit / 8] ^= (uint8_t)(1U << (bit % 8));
    }
    hash[0] ^= 1; /* another challenge */
    assert_int_equal(ks_handed_key_open(crypto, ks_buffer_bytes(&handed), hash, transit, &got).code,
                     KS_INVALID_CIPHERTEXT);
    assert_int_equal(ks_restore_order_check(crypto, ks_vector_view(&order), hash,
                                            ks_vector_view(&block), golden_root)
                         .code,
                     KS_ACCESS_DENIED);
    assert_int_equal(got.len, 0);
}

static void an_order_is_for_one_block_and_signed_by_the_root(void **state)
{
    (void)state;
    KS_VECTOR_AUTO challenge = ks_vector_hex(vector, "challenge");
    KS_BUFFER_AUTO order = {.len_max = KS_RESTORE_ORDER_MAX};
    uint8_t hash[KS_TRANSIT_HASH_LEN];
    assert_int_equal(ks_challenge_hash(crypto, ks_vector_view(&challenge), hash).code, KS_OK);

    assert_int_equal(
        ks_restore_order_sign(crypto, ks_vector_view(&challenge), KS_LITERAL("block"), root, &order)
            .code,
        KS_OK);

    ks_bytes bytes = ks_buffer_bytes(&order);
    assert_int_equal(ks_restore_order_check(crypto, bytes, hash, KS_LITERAL("block"), root).code,
                     KS_OK);
    assert_int_equal(ks_restore_order_check(crypto, bytes, hash, KS_LITERAL("blocj"), root).code,
                     KS_ACCESS_DENIED);
    assert_int_equal(
        ks_restore_order_check(crypto, bytes, hash, KS_LITERAL("block"), custodians[0]).code,
        KS_ACCESS_DENIED);
}

static void a_challenge_asks_for_one_backup_of_one_region(void **state)
{
    (void)state;
    KS_VECTOR_AUTO bytes = ks_vector_hex(vector, "challenge");
    KS_VECTOR_AUTO block_bytes = ks_vector_hex(vector, "block");
    struct ks_challenge challenge;
    struct ks_block block;
    assert_int_equal(ks_challenge_read(ks_vector_view(&bytes), &challenge).code, KS_OK);
    assert_int_equal(ks_block_read(ks_vector_view(&block_bytes), &block).code, KS_OK);

    assert_int_equal(
        ks_challenge_wants_backup(crypto, &challenge, KS_LITERAL("ap-seoul-1"), block.head.backup)
            .code,
        KS_OK);
    assert_int_equal(
        ks_challenge_wants_backup(crypto, &challenge, KS_LITERAL("us-oregon-1"), block.head.backup)
            .code,
        KS_ACCESS_DENIED);
    assert_int_equal(
        ks_challenge_wants_backup(crypto, &challenge, KS_LITERAL("ap-seoul-1"), backup).code,
        KS_ACCESS_DENIED);
}

static int set_up(void **state)
{
    (void)state;
    if (ks_failed(ks_crypto_init(&(struct ks_crypto_options){0})) ||
        ks_failed(ks_ec_generate(KS_EC_P384, &root))) {
        return -1;
    }
    for (size_t i = 0; i < KS_CUSTODIANS_MAX; i++) {
        if (ks_failed(ks_ec_generate(KS_EC_P384, &custodians[i]))) {
            return -1;
        }
    }
    crypto = ks_crypto_new();
    doc = ks_vectors_open(ks_custody_json, ks_custody_json_len);
    vector = ks_vectors_at(doc, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < KS_CUSTODIANS_MAX; i++) {
        ks_ec_free(custodians[i]);
    }
    ks_ec_free(root);
    ks_crypto_free(crypto);
    ks_json_free(doc);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_the_golden_kit),
        cmocka_unit_test(refuses_every_damage_of_a_kit),
        cmocka_unit_test(keeps_both_sides_of_the_limits_of_a_kit),
        cmocka_unit_test(a_custodian_stands_once),
        cmocka_unit_test(a_kit_that_another_root_signs_is_the_same_kit),
        cmocka_unit_test(counts_the_choices),
        cmocka_unit_test(opens_the_golden_block),
        cmocka_unit_test(every_m_custodians_open_a_block),
        cmocka_unit_test(fewer_than_m_open_nothing),
        cmocka_unit_test(another_order_opens_nothing),
        cmocka_unit_test(refuses_every_damage_of_a_box),
        cmocka_unit_test(refuses_every_damage_of_a_blocks_domain_keys),
        cmocka_unit_test(a_changed_block_is_no_hsms),
        cmocka_unit_test(a_box_of_one_backup_opens_in_no_other),
        cmocka_unit_test(refuses_to_seal_what_is_out_of_bounds),
        cmocka_unit_test(opens_the_golden_handed_key_by_its_order),
        cmocka_unit_test(refuses_every_damage_on_the_way_to_the_hsm),
        cmocka_unit_test(an_order_is_for_one_block_and_signed_by_the_root),
        cmocka_unit_test(a_challenge_asks_for_one_backup_of_one_region),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
