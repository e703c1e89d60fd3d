/*
 * spec: the cryptography of each kind of key spec, as a struct of functions. The handlers (answer/)
 * find the key and the context and check what is allowed; these functions do the rest.
 *
 * A kind of pkg/keyspec/rows.h is implemented by the constant ks_hsm_<name> in a file of this
 * folder; without it the hsm does not link. A function that the kind has no use for is NULL.
 *
 * Threads: one.
 */
#pragma once

#include <stdbool.h>

#include "pkg/base/secret.h"
#include "pkg/ekt/binding.h"
#include "pkg/keyspec/keyspec.h"
#include "services/hsm/request/messages.h"

struct ks_crypto;

/* A binding that was checked, and its encoding. name borrows from the message it was read from. */
struct ks_hsm_binding {
    const struct ks_keyspec *spec;
    const struct ks_keyspec_use *use; /* of spec */
    struct ks_key_name name;
    uint8_t material_id[KS_MATERIAL_ID_LEN];
    uint8_t encoded[KS_BINDING_LEN_MAX];
    size_t encoded_len;
};

/* One use of a key. Everything is borrowed for the call. */
struct ks_hsm_use {
    struct ks_crypto *crypto;
    struct ks_arena *arena; /* holds what the functions give */
    const struct ks_hsm_binding *binding;
    void *key;        /* from load */
    ks_bytes context; /* the encoded encryption context */
};

struct ks_hsm_spec {
    /*
     * Draws new material.
     * ret_material  the caller's to wipe. Written on success only.
     * Fails: INTERNAL (no randomness, OpenSSL).
     */
    ks_result (*make)(const struct ks_keyspec *spec, ks_secret *ret_material);

    /* Returns whether material, imported or from an EKT, can be a key of this spec. */
    bool (*fits)(const struct ks_keyspec *spec, const ks_secret *material);

    /*
     * Makes material ready to be used.
     * ret_key  the caller's; unload. Written on success only.
     * Fails: INTERNAL (OpenSSL).
     */
    ks_result (*load)(const ks_secret *material, void **ret_key);

    /* Wipes and frees what load gave. */
    void (*unload)(void *key);

    /*
     * Encrypts plaintext, of which the handler has checked that it is there.
     * ret_blob  in the arena. Written on success only.
     * Fails: VALIDATION (longer than this algorithm takes), LIMIT_EXCEEDED (the arena is full),
     * INTERNAL (OpenSSL).
     */
    ks_result (*encrypt)(const struct ks_hsm_use *use, ks_bytes plaintext,
                         ProtobufCBinaryData *ret_blob);

    /*
     * Decrypts.
     * ret_plaintext  in the arena. Written on success only.
     * Fails: INVALID_CIPHERTEXT (the blob does not open, whatever the cause), LIMIT_EXCEEDED (the
     * arena is full), INTERNAL (OpenSSL).
     */
    ks_result (*decrypt)(const struct ks_hsm_use *use, ks_bytes blob,
                         ProtobufCBinaryData *ret_plaintext);
};

/* Returns the implementation of a spec's kind; a constant, never NULL. */
const struct ks_hsm_spec *ks_hsm_spec_of(const struct ks_keyspec *spec);
