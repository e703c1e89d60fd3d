/* Status, rosters, and how domain keys are made, kept and shared between the hsms of a cell. */
#include <assert.h>
#include <string.h>

#include "pkg/crypto/crypto.h"
#include "pkg/crypto/ec.h"
#include "pkg/crypto/mac.h"
#include "pkg/crypto/random.h"
#include "pkg/ekt/generation.h"
#include "pkg/ekt/wrap.h"
#include "pkg/transit/envelope.h"
#include "services/hsm/answer/domain.h"
#include "services/hsm/answer/handlers.h"
#include "services/hsm/memory/state.h"

static struct ks_peer_trust trust_of(const struct ks_hsm *hsm)
{
    return (struct ks_peer_trust){
        .root = hsm->root,
        .trust_domain = hsm->trust_domain,
        .now_s = ks_clock_wall_ms(hsm->clock) / 1000,
    };
}

ks_result ks_hsm_status(struct ks_hsm_call *call)
{
    struct ks_hsm *hsm = call->hsm;
    HsmStatus *status = ks_arena_alloc(call->arena, sizeof(*status));
    uint32_t *generations = ks_arena_alloc(call->arena, KS_DOMAIN_KEYS_MAX * sizeof(*generations));
    char *region = ks_arena_dup(call->arena, ks_bytes_of(hsm->region));
    char *zone = ks_arena_dup(call->arena, ks_bytes_of(hsm->zone));
    if (!status || !generations || !region || !zone) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    keystead__internal__v1__hsm_status__init(status);
    KS_TRY(ks_hsm_place(call->arena, hsm->certificate.len, &status->certificate));
    memcpy(status->certificate.data, hsm->certificate.ptr, hsm->certificate.len);
    status->node_id = hsm->node_id;
    status->region = region;
    status->zone = zone;
    status->n_generations = ks_domain_keys_list(&hsm->domain_keys, generations);
    status->generations = generations;
    status->roster_number = hsm->roster.number;
    status->fips = hsm->fips;
    status->sealed = hsm->confined;
    status->kit_period = hsm->kit.period;
    status->custodians_needed = hsm->kit.needed;
    status->custodian_count = hsm->kit.count;
    call->reply->status = status;
    return KS_RES(OK);
}

/* The number only grows; the same roster again changes nothing. */
ks_result ks_hsm_install_roster(struct ks_hsm_call *call)
{
    struct ks_hsm *hsm = call->hsm;
    struct ks_roster roster;
    ks_bytes bytes = ks_hsm_field(&call->request->install_roster->roster);
    if (ks_failed(ks_roster_open(bytes, hsm->root_public, &roster)) ||
        strcmp(roster.region, hsm->region) != 0 || roster.number < hsm->roster_floor ||
        roster.number < hsm->roster.number) {
        return KS_RES(ACCESS_DENIED);
    }
    if (roster.number == hsm->roster.number && !ks_roster_equal(&roster, &hsm->roster)) {
        return KS_RES(ACCESS_DENIED);
    }
    hsm->roster = roster;
    return KS_RES(OK);
}

static struct ks_wrap_place place_of(const struct ks_hsm *hsm, uint32_t generation)
{
    return (struct ks_wrap_place){
        .region = ks_bytes_of(hsm->region),
        .zone = ks_bytes_of(hsm->zone),
        .generation = generation,
    };
}

ks_result ks_hsm_wrap(struct ks_hsm_call *call, uint32_t generation, const ks_secret *key,
                      ProtobufCBinaryData *ret_wrapped)
{
    struct ks_hsm *hsm = call->hsm;
    const struct ks_wrap_place place = place_of(hsm, generation);
    uint8_t salt[KS_WRAP_SALT_LEN];
    ProtobufCBinaryData wrapped;
    KS_TRY(ks_random_nonce(hsm->crypto, salt, sizeof(salt)));
    KS_TRY(ks_hsm_place(call->arena, KS_WRAP_LEN, &wrapped));
    KS_TRY(ks_domain_key_wrap(hsm->crypto, hsm->node, &place, salt, key, wrapped.data));
    *ret_wrapped = wrapped;
    return KS_RES(OK);
}

/* Takes a domain key over and answers it wrapped under this node's key. */
static ks_result keep(struct ks_hsm_call *call, uint32_t generation, ks_secret *key)
{
    struct ks_hsm *hsm = call->hsm;
    ProtobufCBinaryData wrapped;
    KS_TRY(ks_hsm_wrap(call, generation, key, &wrapped));
    KS_TRY(ks_domain_keys_put(&hsm->domain_keys, generation, key));
    call->reply->wrapped = wrapped;
    call->reply->generation = generation;
    return KS_RES(OK);
}

ks_result ks_hsm_make_domain_key(struct ks_hsm_call *call)
{
    uint32_t generation = call->request->make_domain_key->generation;
    if (!ks_is_generation(generation)) {
        return KS_RES(VALIDATION);
    }
    if (ks_domain_keys_find(&call->hsm->domain_keys, generation)) {
        return KS_RES(ALREADY_EXISTS);
    }
    KS_SECRET_AUTO key = {.len = 0};
    KS_TRY(ks_random_secret(KS_DOMAIN_KEY_LEN, &key));
    return keep(call, generation, &key);
}

ks_result ks_hsm_load_domain_key(struct ks_hsm_call *call)
{
    struct ks_hsm *hsm = call->hsm;
    uint32_t generation = call->request->load_domain_key->generation;
    const struct ks_wrap_place place = place_of(hsm, generation);
    KS_SECRET_AUTO key = {.len = 0};
    KS_TRY(ks_domain_key_unwrap(hsm->crypto, hsm->node, &place,
                                ks_hsm_field(&call->request->load_domain_key->wrapped), &key));
    KS_TRY(ks_domain_keys_put(&hsm->domain_keys, generation, &key));
    call->reply->generation = generation;
    return KS_RES(OK);
}

ks_result ks_hsm_drop_domain_key(struct ks_hsm_call *call)
{
    uint32_t generation = call->request->drop_domain_key->generation;
    ks_key_cache_evict_generation(call->hsm->cache, generation);
    ks_record_cache_clear(call->hsm->records);
    return ks_domain_keys_drop(&call->hsm->domain_keys, generation);
}

ks_result ks_hsm_issue(struct ks_hsm_call *call, struct ks_issued *issued, ks_bytes destination,
                       const uint8_t *request_hash)
{
    struct ks_hsm *hsm = call->hsm;
    issued->open = true;
    issued->issued_ns = ks_clock_boot_ns(hsm->clock);
    KS_TRY(ks_random_public(issued->nonce, sizeof(issued->nonce)));
    const struct ks_challenge challenge = {
        .purpose = issued->purpose,
        .nonce = issued->nonce,
        .certificate = hsm->certificate,
        .transit_key = ks_buffer_bytes(&hsm->transit_key),
        .destination = destination,
        .request_hash = request_hash,
    };
    KS_BUFFER_AUTO out = {.len_max = KS_CHALLENGE_LEN_MAX};
    KS_TRY(ks_challenge_sign(&challenge, hsm->identity, &out));
    KS_TRY(ks_challenge_hash(hsm->crypto, ks_buffer_bytes(&out), issued->hash));
    KS_TRY(ks_hsm_place(call->arena, out.len, &call->reply->challenge));
    memcpy(call->reply->challenge.data, out.ptr, out.len);
    ks_challenges_add(&hsm->challenges, issued);
    call->reply->generation = issued->generation;
    return KS_RES(OK);
}

ks_result ks_hsm_challenge(struct ks_hsm_call *call)
{
    struct ks_hsm *hsm = call->hsm;
    struct ks_domain_key_wish wish;
    struct ks_issued issued = {
        .purpose = KS_TRANSIT_DOMAIN_KEY,
        .generation = call->request->challenge->generation,
    };
    if (call->request->challenge->backup.len > 0) {
        return ks_hsm_challenge_restore(call);
    }
    if (!ks_is_generation(issued.generation)) {
        return KS_RES(VALIDATION);
    }
    KS_TRY(ks_domain_key_wish(hsm->crypto, ks_bytes_of(hsm->region), issued.generation, &wish));
    return ks_hsm_issue(call, &issued, (ks_bytes){wish.destination, sizeof(wish.destination)},
                        wish.request_hash);
}

/* Whether the challenge comes from an hsm of the roster that wants exactly this generation. */
static ks_result admit(const struct ks_hsm *hsm, const struct ks_challenge *challenge,
                       uint32_t generation)
{
    const struct ks_peer_trust trust = trust_of(hsm);
    struct ks_domain_key_wish wish;
    struct ks_peer peer;
    KS_TRY(ks_domain_key_wish(hsm->crypto, ks_bytes_of(hsm->region), generation, &wish));
    KS_TRY(ks_challenge_verify(challenge, &trust, &peer));
    if (!ks_roster_admits(&hsm->roster, &peer) || strcmp(peer.region, hsm->region) != 0) {
        return KS_RES(ACCESS_DENIED);
    }
    return ks_challenge_wants(challenge, &wish);
}

ks_result ks_hsm_seal_domain_key(struct ks_hsm_call *call)
{
    struct ks_hsm *hsm = call->hsm;
    uint32_t generation = call->request->seal_domain_key->generation;
    ks_bytes bytes = ks_hsm_field(&call->request->seal_domain_key->challenge);
    struct ks_challenge challenge;
    if (!ks_is_generation(generation)) {
        return KS_RES(VALIDATION);
    }
    KS_TRY(ks_challenge_read(bytes, &challenge));
    KS_TRY(admit(hsm, &challenge, generation));
    const struct ks_domain_key *domain = ks_domain_keys_find(&hsm->domain_keys, generation);
    if (!domain) {
        return KS_RES(NOT_FOUND);
    }
    KS_EC_AUTO *ephemeral = NULL;
    KS_TRY(ks_ec_generate(KS_EC_P384, &ephemeral));
    const struct ks_envelope_sender sender = {
        .certificate = hsm->certificate, .identity = hsm->identity, .ephemeral = ephemeral};
    KS_BUFFER_AUTO out = {.len_max = KS_ENVELOPE_LEN_MAX};
    KS_TRY(ks_envelope_seal(hsm->crypto, bytes, &sender, ks_secret_bytes(&domain->key), &out));
    KS_TRY(ks_hsm_place(call->arena, out.len, &call->reply->envelope));
    memcpy(call->reply->envelope.data, out.ptr, out.len);
    call->reply->generation = generation;
    return KS_RES(OK);
}

/* Opens an envelope that answers issued, from an hsm of the roster. */
static ks_result open_envelope(const struct ks_hsm *hsm, const struct ks_envelope *envelope,
                               const struct ks_issued *issued, ks_secret *ret_key)
{
    const struct ks_peer_trust trust = trust_of(hsm);
    const struct ks_envelope_receiver receiver = {
        .challenge_hash = issued->hash, .purpose = issued->purpose, .transit_key = hsm->transit};
    struct ks_peer peer;
    KS_TRY(ks_envelope_verify(envelope, &receiver, &trust, &peer));
    if (!ks_roster_admits(&hsm->roster, &peer) || strcmp(peer.region, hsm->region) != 0) {
        return KS_RES(ACCESS_DENIED);
    }
    if (envelope->sealed.len != KS_DOMAIN_KEY_LEN + KS_ENVELOPE_TAG_LEN) {
        return KS_RES(INVALID_CIPHERTEXT);
    }
    KS_SECRET_AUTO key = {.len = KS_DOMAIN_KEY_LEN};
    KS_TRY(ks_envelope_open(hsm->crypto, envelope, &receiver, key.bytes));
    ks_secret_move(ret_key, &key);
    return KS_RES(OK);
}

ks_result ks_hsm_open_domain_key(struct ks_hsm_call *call)
{
    struct ks_hsm *hsm = call->hsm;
    struct ks_envelope envelope;
    struct ks_issued issued;
    KS_SECRET_AUTO key = {.len = 0};
    KS_TRY(ks_envelope_read(ks_hsm_field(&call->request->open_domain_key->envelope), &envelope));
    KS_TRY(ks_challenges_take(&hsm->challenges, envelope.nonce, ks_clock_boot_ns(hsm->clock),
                              &issued));
    KS_TRY(open_envelope(hsm, &envelope, &issued, &key));
    return keep(call, issued.generation, &key);
}
