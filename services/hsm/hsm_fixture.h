/*
 * hsm_fixture: an hsm root and hsms in memory under it, for tests and measurements. Whatever fails
 * ends the process.
 *
 * Threads: one.
 */
#pragma once

#include "pkg/base/arena.h"
#include "pkg/transit/roster.h"
#include "services/hsm/hsm.h"
#include "services/hsm/messages.h"

#define FIXTURE_ACCOUNT "111122223333"
#define FIXTURE_KEY_ID  "1234abcd-12ab-34cd-56ef-1234567890ab"
#define FIXTURE_NOW_S   1800000000LL

/* The root of all hsms of a test, and the time they see. */
struct hsm_root {
    struct ks_ec_key *key;
    struct ks_buffer certificate; /* DER */
    int64_t boot_ns;
    int64_t now_s;
    struct ks_clock clock;
};

/* now_s  seconds since 1970: what the clock says, and the middle of all certificates' lives. */
void hsm_root_init(struct hsm_root *root, int64_t now_s);
void hsm_root_done(struct hsm_root *root);

/* One hsm and what would stand in its token. */
struct hsm_node {
    const struct hsm_root *root;
    const char *region;
    const char *zone;
    ks_secret node_key;
    struct ks_ec_key *identity;
    struct ks_buffer certificate; /* DER */
    struct ks_hsm *hsm;           /* NULL: it is a process, and fd is connected to it */
    int fd;                       /* borrowed */
    struct ks_arena arena;        /* of the replies */
};

/* region and zone are borrowed. */
void hsm_node_init(struct hsm_node *node, struct hsm_root *root, const char *region,
                   const char *zone);
void hsm_node_done(struct hsm_node *node);

/* A node behind a socket: only what asks it may be used. */
struct hsm_node hsm_node_behind(int fd, const char *region);

/* Forgets everything but what stands in the token. */
void hsm_node_restart(struct hsm_node *node, uint64_t roster_floor);

/* The leaf of spki as the hsm root gives it. DER is appended to out. */
void hsm_root_certify(const struct hsm_root *root, ks_bytes spki, const char *uri,
                      struct ks_buffer *out);

/* Signs a roster of these nodes. */
void hsm_root_sign_roster(const struct hsm_root *root, uint64_t number,
                          const struct hsm_node *const *nodes, size_t count, struct ks_buffer *out);

/* The answer to one request; the reply lasts until the node is done. */
HsmReply *hsm_ask(struct hsm_node *node, const HsmRequest *request);

/* The binding of FIXTURE_KEY_ID in the node's region; lasts as the replies do. */
KeyBinding hsm_binding(struct hsm_node *node, const char *material_id);

/* A request of one operation whose message is borrowed. */
#define HSM_REQUEST(NAME, member, message)                                                         \
    ((HsmRequest){.base =                                                                          \
                      PROTOBUF_C_MESSAGE_INIT(&keystead__internal__v1__hsm_request__descriptor),   \
                  .operation_case = KEYSTEAD__INTERNAL__V1__HSM_REQUEST__OPERATION_##NAME,         \
                  .member = (message)})

/* A key as a keystore keeps it; lasts as the replies do. */
struct hsm_key {
    KeyBinding binding;
    ProtobufCBinaryData ekt;
};

/* hsm_create_key, which must succeed. */
struct hsm_key hsm_new_key(struct hsm_node *node, uint32_t generation);

/* One request each, without an encryption context. */
HsmReply *hsm_ask_status(struct hsm_node *node);
HsmReply *hsm_create_key(struct hsm_node *node, uint32_t generation);
HsmReply *hsm_encrypt(struct hsm_node *node, const struct hsm_key *key, ks_bytes plaintext);
HsmReply *hsm_decrypt(struct hsm_node *node, const struct hsm_key *key, ProtobufCBinaryData blob);
HsmReply *hsm_install_roster(struct hsm_node *node, const struct ks_buffer *roster);
HsmReply *hsm_make_domain_key(struct hsm_node *node, uint32_t generation);
HsmReply *hsm_load_domain_key(struct hsm_node *node, uint32_t generation,
                              ProtobufCBinaryData wrapped);
HsmReply *hsm_drop_domain_key(struct hsm_node *node, uint32_t generation);
HsmReply *hsm_challenge(struct hsm_node *node, uint32_t generation);
HsmReply *hsm_seal_domain_key(struct hsm_node *node, uint32_t generation,
                              ProtobufCBinaryData challenge);
HsmReply *hsm_open_domain_key(struct hsm_node *node, ProtobufCBinaryData envelope);
