/* The commands custodian box, custodian open and restore-order: what people do for a restoration. */
#include <stdio.h>
#include <string.h>

#include "pkg/base/clock.h"
#include "pkg/crypto/crypto.h"
#include "pkg/crypto/ec.h"
#include "pkg/crypto/x509.h"
#include "pkg/custody/restore.h"
#include "pkg/form/names.h"
#include "pkg/transit/peer.h"
#include "services/hsm/process/offline.h"
#include "services/hsm/process/offline_files.h"

#define TRUST_DOMAIN_DEFAULT "keystead"

static void print_backup(const struct ks_custody_head *head)
{
    char hex[2 * KS_CUSTODY_HASH_LEN + 1];
    ks_hex_write((ks_bytes){head->backup, KS_CUSTODY_HASH_LEN}, hex);
    printf("backup      %s\nregion      %s\ncustodians  period %u, %u of %u\n", hex, head->region,
           head->period, head->needed, head->count);
}

static const char *domain_of(const struct ks_offline_arguments *given)
{
    return given->trust_domain ? given->trust_domain : TRUST_DOMAIN_DEFAULT;
}

/* Custodian box */

/* "1,3" as a subset; 0: it is none of the block's. */
static uint8_t read_subset(const char *text, const struct ks_custody_head *head)
{
    uint8_t subset = 0;
    uint8_t subsets[KS_CUSTODY_SUBSETS_MAX];
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++) {
        bool is_digit = text[i] >= '1' && text[i] <= '0' + (char)KS_CUSTODIANS_MAX;
        if (i % 2 == 1 ? text[i] != ',' : !is_digit) {
            return 0;
        }
        uint8_t bit = (uint8_t)(i % 2 == 1 ? 0U : 1U << (unsigned)(text[i] - '1'));
        if (subset & bit) {
            return 0;
        }
        subset |= bit;
    }
    size_t count = ks_custody_subsets(head->needed, head->count, subsets);
    for (size_t i = 0; i < count; i++) {
        if (subsets[i] == subset && len % 2 == 1) {
            return subset;
        }
    }
    return 0;
}

int ks_offline_box(const struct ks_offline_arguments *given)
{
    struct ks_block block;
    KS_BUFFER_AUTO bytes = {.len_max = KS_BLOCK_LEN_MAX + 1};
    KS_BUFFER_AUTO box = {.len_max = KS_BOX_LEN_MAX};
    if (ks_failed(ks_offline_begin()) || ks_failed(ks_offline_read(given->block, &bytes))) {
        return KS_EXIT_FAILED;
    }
    if (ks_failed(ks_block_read(ks_buffer_bytes(&bytes), &block))) {
        return ks_complain("%s is no key block of a backup", given->block);
    }
    uint8_t subset = read_subset(given->custodians, &block.head);
    if (subset == 0) {
        return ks_complain_usage("--custodians names %u different ones of 1 to %u, as in 1,2",
                                 block.head.needed, block.head.count);
    }
    if (ks_failed(ks_block_box(&block, subset, &box)) ||
        ks_failed(ks_offline_make(given->out, ks_buffer_bytes(&box), false))) {
        return KS_EXIT_FAILED;
    }
    print_backup(&block.head);
    printf("next        custodian %u opens %s\n", ks_custody_member(subset, 1), given->out);
    return KS_EXIT_OK;
}

/* Custodian open */

static int open_box(const struct ks_offline_arguments *given, const struct ks_box *box,
                    const struct ks_ec_key *own, struct ks_crypto *crypto)
{
    KS_BUFFER_AUTO next = {.len_max = KS_BOX_LEN_MAX};
    if (given->challenge || given->root) {
        return ks_complain_usage("a challenge is for the last custodian: leave --challenge and "
                                 "--root out at this turn");
    }
    if (ks_failed(ks_box_open(crypto, box, own, &next))) {
        return ks_complain("it does not open: not the key of custodian %u of this period, or the "
                           "file is damaged",
                           ks_custody_member(box->subset, box->position));
    }
    if (ks_failed(ks_offline_make(given->out, ks_buffer_bytes(&next), false))) {
        return KS_EXIT_FAILED;
    }
    printf("next        custodian %u opens %s\n",
           ks_custody_member(box->subset, (uint8_t)(box->position + 1)), given->out);
    return KS_EXIT_OK;
}

/* Verifies that an hsm of the root asks for this backup, and says which hsm it is. */
static bool is_asked_for(const struct ks_offline_arguments *given, ks_bytes challenge_bytes,
                         ks_bytes root, const struct ks_custody_head *head,
                         struct ks_crypto *crypto)
{
    struct ks_challenge challenge;
    struct ks_peer peer;
    char fingerprint[2 * KS_FINGERPRINT_LEN + 1];
    const struct ks_peer_trust trust = {
        .root = root,
        .trust_domain = domain_of(given),
        .now_s = ks_clock_wall_ms(&ks_clock_system) / 1000,
    };
    if (ks_failed(ks_challenge_read(challenge_bytes, &challenge)) ||
        ks_failed(ks_challenge_verify(&challenge, &trust, &peer))) {
        (void)ks_complain("%s is no challenge of an hsm that this hsm root has certified",
                          given->challenge);
        return false;
    }
    if (strcmp(peer.region, head->region) != 0 ||
        ks_failed(ks_challenge_wants_backup(crypto, &challenge, ks_bytes_of(head->region),
                                            head->backup))) {
        (void)ks_complain("%s asks for something else than this backup of %s", given->challenge,
                          head->region);
        return false;
    }
    ks_hex_write((ks_bytes){peer.fingerprint, sizeof(peer.fingerprint)}, fingerprint);
    printf("hsm         of %s, certificate %s\n", peer.zone, fingerprint);
    return true;
}

static int open_last(const struct ks_offline_arguments *given, const struct ks_box *box,
                     const struct ks_ec_key *own, struct ks_crypto *crypto)
{
    KS_BUFFER_AUTO challenge = {.len_max = KS_CHALLENGE_LEN_MAX + 1};
    KS_BUFFER_AUTO root = {.len_max = KS_X509_PEM_MAX};
    KS_BUFFER_AUTO handed = {.len_max = KS_HANDED_KEY_LEN};
    KS_EC_AUTO *ephemeral = NULL;
    KS_SECRET_AUTO key = {.len = 0};
    if (!given->challenge || !given->root) {
        return ks_complain_usage("it is the last turn: --challenge and --root (the certificate of "
                                 "the new hsm's root) are needed");
    }
    if (ks_failed(ks_offline_read(given->challenge, &challenge)) ||
        ks_failed(ks_offline_read(given->root, &root)) ||
        !is_asked_for(given, ks_buffer_bytes(&challenge), ks_buffer_bytes(&root), &box->head,
                      crypto)) {
        return KS_EXIT_FAILED;
    }
    if (ks_failed(ks_box_open_key(crypto, box, own, &key))) {
        return ks_complain("it does not open: not the key of custodian %u of this period, or the "
                           "file is damaged",
                           ks_custody_member(box->subset, box->position));
    }
    ks_result r = ks_ec_generate(KS_EC_P384, &ephemeral);
    if (!ks_failed(r)) {
        r = ks_handed_key_seal(crypto, ks_buffer_bytes(&challenge), ephemeral, &key, &handed);
    }
    if (ks_failed(r)) {
        return ks_complain("the key cannot be sealed to that hsm (%s)", ks_code_name(r.code));
    }
    if (ks_failed(ks_offline_make(given->out, ks_buffer_bytes(&handed), false))) {
        return KS_EXIT_FAILED;
    }
    printf("next        give %s to the operator: it opens in that hsm only\n", given->out);
    return KS_EXIT_OK;
}

int ks_offline_open(const struct ks_offline_arguments *given)
{
    struct ks_box box;
    KS_BUFFER_AUTO bytes = {.len_max = KS_BOX_LEN_MAX + 1};
    KS_EC_AUTO *own = NULL;
    if (ks_failed(ks_offline_begin()) || ks_failed(ks_offline_read(given->in, &bytes))) {
        return KS_EXIT_FAILED;
    }
    if (ks_failed(ks_box_read(ks_buffer_bytes(&bytes), &box))) {
        return ks_complain("%s is no box of a backup", given->in);
    }
    if (ks_failed(ks_offline_read_key(given->key, &own))) {
        return KS_EXIT_FAILED;
    }
    KS_CRYPTO_AUTO *crypto = ks_crypto_new();
    print_backup(&box.head);
    printf("turn        %u of %u, of custodian %u\n", box.position, box.head.needed,
           ks_custody_member(box.subset, box.position));
    return box.position < box.head.needed ? open_box(given, &box, own, crypto)
                                          : open_last(given, &box, own, crypto);
}

/* Restore-order */

/*
 * Verifies that an hsm of the region made the block. A certificate that has ended since still proves
 * it: backups outlive certificates.
 */
static bool is_genuine(const struct ks_offline_arguments *given, const struct ks_block *block,
                       ks_bytes root)
{
    struct ks_x509_info info;
    struct ks_peer peer;
    int64_t now_s = ks_clock_wall_ms(&ks_clock_system) / 1000;
    bool read = !ks_failed(ks_x509_read(block->certificate, &info));
    const struct ks_peer_trust trust = {
        .root = root,
        .trust_domain = domain_of(given),
        .now_s = read && info.not_after_s < now_s ? info.not_after_s : now_s,
    };
    if (!read || ks_failed(ks_block_verify(block, &trust, &peer))) {
        (void)ks_complain("no hsm of that root made %s: if the backup is from before the root was "
                          "replaced, give the old root's certificate with --source-root",
                          given->block);
        return false;
    }
    printf("made by     the hsm of %s\n", peer.zone);
    return true;
}

int ks_offline_order(const struct ks_offline_arguments *given)
{
    struct ks_block block;
    KS_EC_AUTO *root = NULL;
    KS_BUFFER_AUTO certificate = {.len_max = KS_X509_DER_MAX};
    KS_BUFFER_AUTO source = {.len_max = KS_X509_PEM_MAX};
    KS_BUFFER_AUTO bytes = {.len_max = KS_BLOCK_LEN_MAX + 1};
    KS_BUFFER_AUTO challenge = {.len_max = KS_CHALLENGE_LEN_MAX + 1};
    KS_BUFFER_AUTO order = {.len_max = KS_RESTORE_ORDER_MAX};
    if (ks_failed(ks_offline_begin()) ||
        ks_failed(ks_offline_read_root(given->hsm_root, &certificate, &root)) ||
        (given->source_root && ks_failed(ks_offline_read(given->source_root, &source))) ||
        ks_failed(ks_offline_read(given->block, &bytes)) ||
        ks_failed(ks_offline_read(given->challenge, &challenge))) {
        return KS_EXIT_FAILED;
    }
    if (ks_failed(ks_block_read(ks_buffer_bytes(&bytes), &block))) {
        return ks_complain("%s is no key block of a backup", given->block);
    }
    KS_CRYPTO_AUTO *crypto = ks_crypto_new();
    print_backup(&block.head);
    if (!is_genuine(given, &block, ks_buffer_bytes(given->source_root ? &source : &certificate)) ||
        !is_asked_for(given, ks_buffer_bytes(&challenge), ks_buffer_bytes(&certificate),
                      &block.head, crypto)) {
        return KS_EXIT_FAILED;
    }
    if (ks_failed(ks_restore_order_sign(crypto, ks_buffer_bytes(&challenge),
                                        ks_buffer_bytes(&bytes), root, &order))) {
        return ks_complain("the order cannot be signed");
    }
    if (ks_failed(ks_offline_make(given->out, ks_buffer_bytes(&order), false))) {
        return KS_EXIT_FAILED;
    }
    printf("order       %s: that hsm may take this block over, once\n", given->out);
    return KS_EXIT_OK;
}
