#include "services/hsm/answer/hsm.h"

#include <assert.h>
#include <string.h>

#include "pkg/authentic/authentic.h"
#include "pkg/base/mem.h"
#include "pkg/blob/blob.h"
#include "pkg/crypto/crypto.h"
#include "pkg/crypto/ec.h"
#include "pkg/crypto/hash.h"
#include "pkg/crypto/kdf.h"
#include "pkg/crypto/mac.h"
#include "pkg/crypto/x509.h"
#include "pkg/custody/block.h"
#include "pkg/ekt/ekt.h"
#include "pkg/frame/frame.h"
#include "pkg/transit/challenge.h"
#include "pkg/transit/envelope.h"
#include "pkg/transit/peer.h"
#include "proto/keystead/internal/v1/hsm_limits.h"
#include "services/hsm/answer/handlers.h"
#include "services/hsm/answer/records.h"
#include "services/hsm/memory/state.h"

/* In a frame of replies. */
#define ELEMENT_HEAD_MAX 4U  /* bytes: tag and length of what is within 1 MiB */
#define CODE_REPLY_MAX   16U /* bytes of a reply that holds a code alone, and its head */

#define HEADS_MAX 40U /* bytes: that head, code, generation, the heads of two fields */

static_assert(KS_HSM_BATCH_MAX * CODE_REPLY_MAX < KS_FRAME_LEN_MAX, "codes always fit");

/* Numbers of hsm_limits.h: a keystore fills its frames by them. */
static_assert(2U * KS_HSM_DRAWN_MAX + KS_BLOB_EXTRA_MAX + HEADS_MAX <= KS_HSM_REPLY_EXTRA_MAX,
              "a data key and its blob; a blob alone has less");
static_assert(KS_EKT_LEN_MAX + 2U * KS_MATERIAL_ID_LEN + KS_AUTHENTIC_EXTRA_MAX + 2U * HEADS_MAX <=
                  KS_HSM_REPLY_EXTRA_MAX,
              "a new key: its material and its record's envelope");
static_assert(KS_HSM_CHANGES_MAX * (KS_AUTHENTIC_EXTRA_MAX + ELEMENT_HEAD_MAX) + HEADS_MAX <=
                  KS_HSM_REPLY_EXTRA_MAX,
              "the envelopes of records that are changed");
static_assert(KS_ENVELOPE_LEN_MAX + HEADS_MAX <= KS_HSM_REPLY_OWN_EXTRA_MAX, "a domain key");
static_assert(KS_CHALLENGE_LEN_MAX + HEADS_MAX <= KS_HSM_REPLY_OWN_EXTRA_MAX, "a challenge");
static_assert(KS_PEER_CERTIFICATE_MAX + 512U <= KS_HSM_REPLY_OWN_EXTRA_MAX, "a status");
static_assert(KS_BLOCK_LEN_MAX + 128U <= KS_HSM_REPLY_OWN_EXTRA_MAX, "a backup's keys");

#define ROW(NAME, function, dry)                                                                   \
    [KEYSTEAD__INTERNAL__V1__HSM_REQUEST__OPERATION_##NAME] = {ks_hsm_##function, dry}
#define CHANGES(NAME, function) ROW(NAME, function, false)
#define USES(NAME, function)    ROW(NAME, function, true)

/* CHANGES: what the hsm holds is another afterwards. USES: it is the same, but for the cache. */
static const struct {
    ks_result (*run)(struct ks_hsm_call *call);
    bool can_be_dry;
} handlers[] = {
    USES(STATUS, status),
    CHANGES(INSTALL_ROSTER, install_roster),
    CHANGES(MAKE_DOMAIN_KEY, make_domain_key),
    CHANGES(LOAD_DOMAIN_KEY, load_domain_key),
    CHANGES(DROP_DOMAIN_KEY, drop_domain_key),
    CHANGES(CHALLENGE, challenge),
    USES(SEAL_DOMAIN_KEY, seal_domain_key),
    CHANGES(OPEN_DOMAIN_KEY, open_domain_key),
    USES(CREATE_KEY, create_key),
    USES(ENCRYPT, encrypt),
    USES(DECRYPT, decrypt),
    USES(GENERATE_DATA_KEY, generate_data_key),
    USES(RE_ENCRYPT, re_encrypt),
    USES(GENERATE_RANDOM, generate_random),
    USES(RESEAL, reseal),
    CHANGES(EVICT, evict),
    USES(SEAL_RECORDS, seal_records),
    USES(CHECK_RECORDS, check_records),
    CHANGES(INSTALL_KIT, install_kit),
    USES(BACKUP_BEGIN, backup_begin),
    CHANGES(RESTORE, restore),
};

/* Who this hsm is, by its own certificate; it must be what its configuration says. */
static ks_result check_certificate(const struct ks_hsm_options *options)
{
    const struct ks_peer_trust trust = {
        .root = options->root,
        .trust_domain = options->trust_domain,
        .now_s = ks_clock_wall_ms(options->clock) / 1000,
    };
    struct ks_peer self;
    KS_EC_AUTO *certified = NULL;
    KS_BUFFER_AUTO certified_der = {.len_max = KS_EC_PUBLIC_DER_MAX};
    KS_BUFFER_AUTO own_der = {.len_max = KS_EC_PUBLIC_DER_MAX};
    KS_TRY(ks_peer_check(&trust, options->certificate, &self, &certified));
    KS_TRY(ks_ec_write_public_der(certified, &certified_der));
    KS_TRY(ks_ec_write_public_der(options->identity, &own_der));
    bool mine = strcmp(self.region, options->region) == 0 &&
                strcmp(self.zone, options->zone) == 0 &&
                ks_bytes_equal(ks_buffer_bytes(&certified_der), ks_buffer_bytes(&own_der));
    return mine ? KS_RES(OK) : KS_RES(ACCESS_DENIED);
}

/* The node key gives the name, too: copies that an earlier node key wraps are another node's. */
static ks_result name_node(struct ks_hsm *hsm)
{
    KS_BUFFER_AUTO der = {.len_max = KS_EC_PUBLIC_DER_MAX};
    KS_SECRET_AUTO name = {.len = 0};
    uint8_t digest[KS_SHA256_LEN];
    KS_TRY(ks_ec_write_public_der(hsm->identity, &der));
    ks_bytes bytes = ks_buffer_bytes(&der);
    KS_TRY(ks_hash_sha256(hsm->crypto, &bytes, 1, digest));
    KS_TRY(ks_kdf_counter(hsm->node, KS_LITERAL("keystead/node-id/v1"),
                          (ks_bytes){digest, sizeof(digest)}, KS_NODE_ID_LEN / 2, &name));
    ks_hex_write(ks_secret_bytes(&name), hsm->node_id);
    return KS_RES(OK);
}

static ks_result read_root(struct ks_hsm *hsm)
{
    struct ks_x509_info info;
    KS_TRY(ks_x509_read(hsm->root, &info));
    return ks_ec_read_public((ks_bytes){info.spki, info.spki_len}, &hsm->root_public);
}

static ks_result fill(struct ks_hsm *hsm, const struct ks_hsm_options *options)
{
    KS_TRY(check_certificate(options));
    KS_TRY(ks_mac_new(options->node_key, &hsm->node));
    KS_TRY(name_node(hsm));
    KS_TRY(read_root(hsm));
    KS_TRY(ks_ec_generate(KS_EC_P384, &hsm->transit));
    hsm->transit_key = (struct ks_buffer){.len_max = KS_TRANSIT_KEY_MAX};
    return ks_ec_write_public_der(hsm->transit, &hsm->transit_key);
}

ks_result ks_hsm_new(const struct ks_hsm_options *options, struct ks_hsm **ret_hsm)
{
    assert(options && ret_hsm);
    assert(options->node_key->len == KS_NODE_KEY_LEN);

    struct ks_hsm *hsm = ks_alloc(1, sizeof(*hsm));
    hsm->region = options->region;
    hsm->zone = options->zone;
    hsm->trust_domain = options->trust_domain;
    hsm->clock = options->clock;
    hsm->identity = options->identity;
    hsm->certificate = options->certificate;
    hsm->root = options->root;
    hsm->roster_floor = options->roster_floor;
    hsm->fips = options->fips;
    hsm->confined = options->confined;
    hsm->crypto = ks_crypto_new();
    hsm->cache = ks_key_cache_new(options->cache_entries);
    hsm->records = ks_record_cache_new(options->cache_entries);
    hsm->domain_keys.region = options->region;
    ks_result r = fill(hsm, options);
    ks_secret_wipe(options->node_key);
    if (ks_failed(r)) {
        ks_hsm_free(hsm);
        return r;
    }
    *ret_hsm = hsm;
    return KS_RES(OK);
}

void ks_hsm_free(struct ks_hsm *hsm)
{
    if (!hsm) {
        return;
    }
    ks_key_cache_free(hsm->cache);
    ks_record_cache_free(hsm->records);
    ks_domain_keys_wipe(&hsm->domain_keys);
    ks_mac_free(hsm->node);
    ks_ec_free(hsm->transit);
    ks_ec_free(hsm->root_public);
    ks_buffer_done(&hsm->transit_key);
    ks_crypto_free(hsm->crypto);
    ks_wipe(hsm, sizeof(*hsm));
    ks_free(hsm);
}

const char *ks_hsm_node_id(const struct ks_hsm *hsm)
{
    return hsm->node_id;
}

static ks_result run(struct ks_hsm_call *call)
{
    const HsmRequest *request = call->request;
    if (!handlers[request->operation_case].run ||
        (request->dry_run && !handlers[request->operation_case].can_be_dry)) {
        return KS_RES(VALIDATION);
    }
    KS_TRY(ks_hsm_check_all(call));
    return handlers[request->operation_case].run(call);
}

/* After a failure, and after a dry run, a reply carries its code and nothing else. */
void ks_hsm_handle(struct ks_hsm *hsm, struct ks_hsm_carried *carried, const HsmRequest *request,
                   struct ks_arena *arena, HsmReply *ret_reply)
{
    assert(hsm && request && ret_reply);
    assert((size_t)request->operation_case < KS_COUNT(handlers));

    keystead__internal__v1__hsm_reply__init(ret_reply);
    struct ks_hsm_call call = {hsm, request, carried, arena, ret_reply};
    ks_result r = run(&call);
    if (ks_failed(r) || request->dry_run) {
        keystead__internal__v1__hsm_reply__init(ret_reply);
        ret_reply->code = r.code;
    }
}

/* Of HsmBatchReply.replies. */
static size_t len_in_frame(const HsmReply *reply)
{
    return ELEMENT_HEAD_MAX + protobuf_c_message_get_packed_size(&reply->base);
}

/*
 * Answers a request in what is left of the frame. Each request that follows keeps room for a code,
 * so that every one of a batch is answered, and the peer is never cut off for what it asked.
 */
static void answer_one(struct ks_hsm_call *call, size_t following, size_t *used)
{
    size_t room = KS_FRAME_LEN_MAX - *used - following * CODE_REPLY_MAX;
    ks_hsm_handle(call->hsm, call->carried, call->request, call->arena, call->reply);
    if (len_in_frame(call->reply) > room) {
        keystead__internal__v1__hsm_reply__init(call->reply);
        call->reply->code = KS_LIMIT_EXCEEDED;
    }
    *used += len_in_frame(call->reply);
}

static ks_result answer(struct ks_hsm *hsm, ks_bytes frame, struct ks_arena *arena,
                        struct ks_buffer *out)
{
    HsmBatch *batch = NULL;
    struct ks_hsm_carried *carried = NULL;
    KS_TRY(ks_hsm_batch_read(frame, arena, &batch));
    KS_TRY(ks_hsm_carry(batch, arena, &carried));
    HsmReply *replies = ks_arena_alloc(arena, batch->n_requests * sizeof(*replies));
    HsmReply **pointers = ks_arena_alloc(arena, batch->n_requests * sizeof(HsmReply *));
    if (!replies || !pointers) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    HsmBatchReply reply = KEYSTEAD__INTERNAL__V1__HSM_BATCH_REPLY__INIT;
    size_t used = 0;
    for (size_t i = 0; i < batch->n_requests; i++) {
        struct ks_hsm_call call = {hsm, batch->requests[i], carried, arena, &replies[i]};
        answer_one(&call, batch->n_requests - i - 1, &used);
        pointers[i] = &replies[i];
    }
    reply.n_replies = batch->n_requests;
    reply.replies = pointers;
    return ks_hsm_reply_append(&reply, out);
}

ks_result ks_hsm_answer(struct ks_hsm *hsm, ks_bytes frame, struct ks_buffer *out)
{
    assert(hsm && out);

    KS_ARENA_AUTO arena = {.len_max = KS_HSM_ARENA_MAX};
    return answer(hsm, frame, &arena, out);
}
