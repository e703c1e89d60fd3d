#include "services/hsm/hsm_fixture.h"

#include <assert.h>
#include <stdlib.h>

#include "pkg/base/mem.h"
#include "pkg/crypto/crypto.h"
#include "pkg/crypto/ec.h"
#include "pkg/crypto/random.h"
#include "pkg/crypto/x509.h"
#include "pkg/transit/peer.h"
#include "services/hsm/client.h"
#include "services/hsm/key_cache.h"

#define ARENA_MAX (64U * 1024U * 1024U)

/* A failure here says nothing of what is tested. */
static void need(ks_result r)
{
    if (ks_failed(r)) {
        abort();
    }
}

static int64_t boot_ns(void *user)
{
    return ((struct hsm_root *)user)->boot_ns;
}

static int64_t wall_ms(void *user)
{
    return ((struct hsm_root *)user)->now_s * 1000;
}

void hsm_root_init(struct hsm_root *root, int64_t now_s)
{
    const struct ks_x509_ca_spec spec = {
        .subject = {.common_name = "hsm root"},
        .not_before_s = now_s - 1000,
        .not_after_s = now_s + 1000,
    };
    *root = (struct hsm_root){.now_s = now_s, .certificate = {.len_max = KS_X509_DER_MAX}};
    root->clock = (struct ks_clock){boot_ns, wall_ms, root};
    KS_BUFFER_AUTO pem = {.len_max = KS_X509_PEM_MAX};
    need(ks_crypto_init(&(struct ks_crypto_options){0}));
    need(ks_ec_generate(KS_EC_P384, &root->key));
    need(ks_x509_make_ca(root->key, &spec, &pem));
    need(ks_x509_to_der(ks_buffer_bytes(&pem), &root->certificate));
}

void hsm_root_done(struct hsm_root *root)
{
    ks_ec_free(root->key);
    ks_buffer_done(&root->certificate);
}

void hsm_root_certify(const struct hsm_root *root, ks_bytes spki, const char *uri,
                      struct ks_buffer *out)
{
    const struct ks_x509_issuer issuer = {ks_buffer_bytes(&root->certificate), root->key};
    const struct ks_x509_leaf_spec spec = {
        .names = {.uri = uri},
        .not_before_s = root->now_s - 500,
        .not_after_s = root->now_s + 500,
    };
    KS_BUFFER_AUTO pem = {.len_max = KS_X509_PEM_MAX};
    need(ks_x509_issue(&issuer, spki, &spec, &pem, NULL));
    need(ks_x509_to_der(ks_buffer_bytes(&pem), out));
}

void hsm_node_restart(struct hsm_node *node, uint64_t roster_floor)
{
    ks_hsm_free(node->hsm);
    node->hsm = NULL;
    KS_SECRET_AUTO node_key = node->node_key;
    const struct ks_hsm_options options = {
        .region = node->region,
        .zone = node->zone,
        .trust_domain = "keystead",
        .clock = &node->root->clock,
        .node_key = &node_key,
        .identity = node->identity,
        .certificate = ks_buffer_bytes(&node->certificate),
        .root = ks_buffer_bytes(&node->root->certificate),
        .roster_floor = roster_floor,
        .cache_entries = KS_KEY_CACHE_MIN,
    };
    need(ks_hsm_new(&options, &node->hsm));
}

void hsm_node_init(struct hsm_node *node, struct hsm_root *root, const char *region,
                   const char *zone)
{
    *node = (struct hsm_node){
        .root = root,
        .region = region,
        .zone = zone,
        .certificate = {.len_max = KS_X509_DER_MAX},
        .arena = {.len_max = ARENA_MAX},
    };
    KS_BUFFER_AUTO spki = {.len_max = KS_EC_PUBLIC_DER_MAX};
    KS_AUTO_FREE char *uri = ks_peer_uri("keystead", region, zone);
    need(ks_random_secret(KS_NODE_KEY_LEN, &node->node_key));
    need(ks_ec_generate(KS_EC_P384, &node->identity));
    need(ks_ec_write_public_der(node->identity, &spki));
    hsm_root_certify(root, ks_buffer_bytes(&spki), uri, &node->certificate);
    hsm_node_restart(node, 0);
}

void hsm_node_done(struct hsm_node *node)
{
    ks_hsm_free(node->hsm);
    ks_secret_wipe(&node->node_key);
    ks_ec_free(node->identity);
    ks_buffer_done(&node->certificate);
    ks_arena_done(&node->arena);
}

void hsm_root_sign_roster(const struct hsm_root *root, uint64_t number,
                          const struct hsm_node *const *nodes, size_t count, struct ks_buffer *out)
{
    struct ks_roster roster;
    need(ks_roster_init(nodes[0]->region, &roster));
    roster.number = number;
    for (size_t i = 0; i < count; i++) {
        struct ks_x509_info info;
        need(ks_x509_read(ks_buffer_bytes(&nodes[i]->certificate), &info));
        need(ks_roster_add(&roster, info.fingerprint, nodes[i]->zone));
    }
    need(ks_roster_sign(&roster, root->key, out));
}

struct hsm_node hsm_node_behind(int fd, const char *region)
{
    return (struct hsm_node){.region = region, .fd = fd, .arena = {.len_max = ARENA_MAX}};
}

static HsmReply *ask_process(struct hsm_node *node, const HsmRequest *request)
{
    HsmRequest copy = *request;
    HsmRequest *requests[] = {&copy};
    HsmBatch batch = KEYSTEAD__INTERNAL__V1__HSM_BATCH__INIT;
    HsmBatchReply *reply = NULL;
    batch.n_requests = 1;
    batch.requests = requests;
    need(ks_hsm_exchange(node->fd, &batch, &node->arena, &reply));
    return reply->replies[0];
}

HsmReply *hsm_ask(struct hsm_node *node, const HsmRequest *request)
{
    if (!node->hsm) {
        return ask_process(node, request);
    }
    HsmReply *reply = ks_arena_alloc(&node->arena, sizeof(*reply));
    assert(reply);
    ks_hsm_handle(node->hsm, request, &node->arena, reply);
    return reply;
}

static char *text(struct hsm_node *node, const char *chars)
{
    char *copy = ks_arena_dup(&node->arena, ks_bytes_of(chars));
    assert(copy);
    return copy;
}

KeyBinding hsm_binding(struct hsm_node *node, const char *material_id)
{
    KeyBinding binding = KEYSTEAD__INTERNAL__V1__KEY_BINDING__INIT;
    binding.region = text(node, node->region);
    binding.account = text(node, FIXTURE_ACCOUNT);
    binding.key_id = text(node, FIXTURE_KEY_ID);
    binding.material_id = text(node, material_id);
    binding.spec = KEYSTEAD__STORAGE__V1__KEY_SPEC__KEY_SPEC_SYMMETRIC_DEFAULT;
    binding.usage = KEYSTEAD__STORAGE__V1__KEY_USAGE__KEY_USAGE_ENCRYPT_DECRYPT;
    binding.origin = KEYSTEAD__STORAGE__V1__KEY_ORIGIN__KEY_ORIGIN_AWS_KMS;
    return binding;
}

HsmReply *hsm_make_domain_key(struct hsm_node *node, uint32_t generation)
{
    Keystead__Internal__V1__HsmMakeDomainKey make =
        KEYSTEAD__INTERNAL__V1__HSM_MAKE_DOMAIN_KEY__INIT;
    make.generation = generation;
    const HsmRequest request = HSM_REQUEST(MAKE_DOMAIN_KEY, make_domain_key, &make);
    return hsm_ask(node, &request);
}

HsmReply *hsm_install_roster(struct hsm_node *node, const struct ks_buffer *roster)
{
    Keystead__Internal__V1__HsmInstallRoster install =
        KEYSTEAD__INTERNAL__V1__HSM_INSTALL_ROSTER__INIT;
    install.roster = (ProtobufCBinaryData){roster->len, roster->ptr};
    const HsmRequest request = HSM_REQUEST(INSTALL_ROSTER, install_roster, &install);
    return hsm_ask(node, &request);
}

HsmReply *hsm_create_key(struct hsm_node *node, uint32_t generation)
{
    Keystead__Internal__V1__HsmCreateKey create = KEYSTEAD__INTERNAL__V1__HSM_CREATE_KEY__INIT;
    KeyBinding binding = hsm_binding(node, "");
    create.binding = &binding;
    create.generation = generation;
    const HsmRequest request = HSM_REQUEST(CREATE_KEY, create_key, &create);
    return hsm_ask(node, &request);
}

struct hsm_key hsm_new_key(struct hsm_node *node, uint32_t generation)
{
    const HsmReply *reply = hsm_create_key(node, generation);
    assert(reply->code == KS_OK);
    return (struct hsm_key){hsm_binding(node, reply->material_id), reply->ekt};
}

HsmReply *hsm_encrypt(struct hsm_node *node, const struct hsm_key *key, ks_bytes plaintext)
{
    HsmEncrypt encrypt = KEYSTEAD__INTERNAL__V1__HSM_ENCRYPT__INIT;
    KeyBinding binding = key->binding;
    encrypt.binding = &binding;
    encrypt.ekt = key->ekt;
    encrypt.plaintext =
        (ProtobufCBinaryData){plaintext.len, (uint8_t *)ks_arena_dup(&node->arena, plaintext)};
    const HsmRequest request = HSM_REQUEST(ENCRYPT, encrypt, &encrypt);
    return hsm_ask(node, &request);
}

HsmReply *hsm_decrypt(struct hsm_node *node, const struct hsm_key *key, ProtobufCBinaryData blob)
{
    HsmDecrypt decrypt = KEYSTEAD__INTERNAL__V1__HSM_DECRYPT__INIT;
    KeyBinding binding = key->binding;
    decrypt.binding = &binding;
    decrypt.ekt = key->ekt;
    decrypt.blob = blob;
    const HsmRequest request = HSM_REQUEST(DECRYPT, decrypt, &decrypt);
    return hsm_ask(node, &request);
}

HsmReply *hsm_challenge(struct hsm_node *node, uint32_t generation)
{
    Keystead__Internal__V1__HsmChallengeRequest wish =
        KEYSTEAD__INTERNAL__V1__HSM_CHALLENGE_REQUEST__INIT;
    wish.generation = generation;
    const HsmRequest request = HSM_REQUEST(CHALLENGE, challenge, &wish);
    return hsm_ask(node, &request);
}

HsmReply *hsm_seal_domain_key(struct hsm_node *node, uint32_t generation,
                              ProtobufCBinaryData challenge)
{
    Keystead__Internal__V1__HsmSealDomainKey seal =
        KEYSTEAD__INTERNAL__V1__HSM_SEAL_DOMAIN_KEY__INIT;
    seal.generation = generation;
    seal.challenge = challenge;
    const HsmRequest request = HSM_REQUEST(SEAL_DOMAIN_KEY, seal_domain_key, &seal);
    return hsm_ask(node, &request);
}

HsmReply *hsm_open_domain_key(struct hsm_node *node, ProtobufCBinaryData envelope)
{
    Keystead__Internal__V1__HsmOpenDomainKey open =
        KEYSTEAD__INTERNAL__V1__HSM_OPEN_DOMAIN_KEY__INIT;
    open.envelope = envelope;
    const HsmRequest request = HSM_REQUEST(OPEN_DOMAIN_KEY, open_domain_key, &open);
    return hsm_ask(node, &request);
}

HsmReply *hsm_load_domain_key(struct hsm_node *node, uint32_t generation,
                              ProtobufCBinaryData wrapped)
{
    Keystead__Internal__V1__HsmLoadDomainKey load =
        KEYSTEAD__INTERNAL__V1__HSM_LOAD_DOMAIN_KEY__INIT;
    load.generation = generation;
    load.wrapped = wrapped;
    const HsmRequest request = HSM_REQUEST(LOAD_DOMAIN_KEY, load_domain_key, &load);
    return hsm_ask(node, &request);
}

HsmReply *hsm_drop_domain_key(struct hsm_node *node, uint32_t generation)
{
    Keystead__Internal__V1__HsmDropDomainKey drop =
        KEYSTEAD__INTERNAL__V1__HSM_DROP_DOMAIN_KEY__INIT;
    drop.generation = generation;
    const HsmRequest request = HSM_REQUEST(DROP_DOMAIN_KEY, drop_domain_key, &drop);
    return hsm_ask(node, &request);
}

HsmReply *hsm_ask_status(struct hsm_node *node)
{
    Keystead__Internal__V1__HsmStatusRequest wish =
        KEYSTEAD__INTERNAL__V1__HSM_STATUS_REQUEST__INIT;
    const HsmRequest request = HSM_REQUEST(STATUS, status, &wish);
    return hsm_ask(node, &request);
}
