/*
 * token: the zone's PKCS#11 token (OASIS PKCS#11 v2.40): one root key that never leaves it, under
 * which the hsm's own keys are wrapped, and small private data objects that hold what was wrapped.
 *
 * The hsm opens the token at its start, and closes it before it serves. SoftHSM2 reads its
 * configuration from the file that SOFTHSM2_CONF in the environment names; the token must have been
 * initialised before.
 *
 * An output is written on success only, and reterr_hint, a static string that says what to
 * do, on failure only.
 *
 * Threads: one; a process has one open token at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "pkg/base/bytes.h"
#include "pkg/base/result.h"

#define KS_TOKEN_LABEL_MAX   32U   /* bytes of a token's label: CK_TOKEN_INFO has no more */
#define KS_TOKEN_NAME_MAX    64U   /* bytes of an object's label */
#define KS_TOKEN_PIN_MAX     255U  /* bytes of a PIN */
#define KS_TOKEN_WRAP_MAX    4096U /* bytes of plaintext that ks_token_wrap takes */
#define KS_TOKEN_WRAP_EXTRA  28U   /* bytes that wrapping adds: IV 12, tag 16 */
#define KS_TOKEN_OBJECT_MAX  4608U /* bytes of a data object: what was wrapped, and a head */
#define KS_TOKEN_OBJECTS_MAX 64U   /* objects of one label that a search gives */

struct ks_token;

/* All borrowed for the call. */
struct ks_token_options {
    const char *module_path; /* the module's shared library, absolute */
    const char *token_label;
    /* A file with the user PIN that its owner alone may touch; one newline behind it is dropped. */
    const char *pin_path;
};

/*
 * Loads the module and logs in. The PIN is wiped before this returns.
 *
 * ret_token    the caller's; ks_token_close frees it. Written on success only.
 * reterr_hint  what to do about it, a static string; written on failure only.
 *
 * Fails: NOT_FOUND (module, PIN file or token label), ALREADY_EXISTS (two tokens have the label),
 * ACCESS_DENIED (wrong PIN, or it is locked), VALIDATION (PIN file is empty or too long, label too
 * long), UNSUPPORTED (the module has no AES-GCM), INTERNAL (anything else the module says).
 */
KS_MUST_USE ks_result ks_token_open(const struct ks_token_options *options,
                                    struct ks_token **ret_token, const char **reterr_hint);

/*
 * Initialises a free slot of the module as a token of that label and PIN. The security officer's PIN
 * is drawn at random and kept nowhere, since it could set the user's PIN anew.
 *
 * Fails: ALREADY_EXISTS (a token has the label), NOT_FOUND (module, PIN file, or no slot is free),
 * ACCESS_DENIED (the PIN file may be touched by others, or the PIN has a length that the module does
 * not take), VALIDATION (as ks_token_open), INTERNAL.
 */
KS_MUST_USE ks_result ks_token_create(const struct ks_token_options *options,
                                      const char **reterr_hint);

/* Logs out, closes the session, and finalizes and unloads the module. NULL is allowed. */
void ks_token_close(struct ks_token *token);

/* A key inside the token; good until the token is closed or the key is destroyed. */
typedef struct ks_token_key {
    unsigned long handle;
} ks_token_key;

/*
 * Finds the AES-256 root key with that label among the token's private objects. Its attributes are
 * read back: it is refused if it could ever leave the token, was not made in it, or may be changed.
 * Fails: NOT_FOUND, ALREADY_EXISTS (two have the label), ACCESS_DENIED (weaker than asked),
 * INTERNAL.
 */
KS_MUST_USE ks_result ks_token_find_root(struct ks_token *token, const char *label,
                                         ks_token_key *ret_key, const char **reterr_hint);

/*
 * Makes the root key: CKA_TOKEN, PRIVATE, SENSITIVE, not EXTRACTABLE, not MODIFIABLE, ENCRYPT and
 * DECRYPT only. What was made is read back as above.
 * Fails: ALREADY_EXISTS (the label is taken), ACCESS_DENIED (the token made a weaker one, which was
 * destroyed again), INTERNAL.
 */
KS_MUST_USE ks_result ks_token_make_root(struct ks_token *token, const char *label,
                                         ks_token_key *ret_key, const char **reterr_hint);

/*
 * Finds the root key with that label, or makes it if there is none. When this succeeds by making a
 * key, reterr_hint holds the hint of the search. Fails: as the two functions above.
 */
KS_MUST_USE ks_result ks_token_find_or_make_root(struct ks_token *token, const char *label,
                                                 ks_token_key *ret_key, const char **reterr_hint);

/*
 * Destroys the key with that label. Nothing that was wrapped under it can be recovered then.
 * Fails: NOT_FOUND, INTERNAL (it may still be there).
 */
KS_MUST_USE ks_result ks_token_destroy_root(struct ks_token *token, const char *label);

/*
 * Appends IV 12 bytes ‖ ciphertext ‖ tag 16 bytes: AES-256-GCM inside the token, with a random IV
 * drawn here. aad is authenticated, not stored.
 * Fails: VALIDATION (empty, or over KS_TOKEN_WRAP_MAX), LIMIT_EXCEEDED (the cap of out), INTERNAL.
 */
KS_MUST_USE ks_result ks_token_wrap(struct ks_token *token, ks_token_key key, ks_bytes aad,
                                    ks_bytes secret, struct ks_buffer *out);

/*
 * Unwraps what ks_token_wrap made, and appends it.
 * Fails: INVALID_CIPHERTEXT (anything wrong with wrapped, key or aad), LIMIT_EXCEEDED (the
 * buffer's cap), INTERNAL.
 */
KS_MUST_USE ks_result ks_token_unwrap(struct ks_token *token, ks_token_key key, ks_bytes aad,
                                      ks_bytes wrapped, struct ks_buffer *out);

/*
 * Stores up to KS_TOKEN_OBJECT_MAX bytes as a private data object. One with the same label is
 * replaced: the new one is there before the old one goes, so that a crash leaves one of them.
 * Fails: VALIDATION (empty or too long), INTERNAL.
 */
KS_MUST_USE ks_result ks_token_put(struct ks_token *token, const char *label, ks_bytes data);

/*
 * Appends the newest private data object of that label. Public ones, which anybody who reaches the
 * token can make without a PIN, are passed over.
 * Fails: NOT_FOUND, LIMIT_EXCEEDED, INTERNAL.
 */
KS_MUST_USE ks_result ks_token_get(struct ks_token *token, const char *label,
                                   struct ks_buffer *out);

/* Destroys the private data objects of that label. Fails: NOT_FOUND, INTERNAL. */
KS_MUST_USE ks_result ks_token_delete(struct ks_token *token, const char *label);

/* Cleanup for `KS_TOKEN_AUTO *token`. */
void ks_token_close_at(struct ks_token **token);
#define KS_TOKEN_AUTO KS_CLEANUP(ks_token_close_at) struct ks_token
