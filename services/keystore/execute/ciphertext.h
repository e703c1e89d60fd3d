/*
 * ciphertext: what a keystore needs of a blob's header. It has no key, so this proves nothing: the
 * hsm does.
 *
 * Threads: pure; any.
 */
#pragma once

#include <stdbool.h>

#include "pkg/base/bytes.h"

struct ks_ciphertext {
    ks_bytes region; /* these three are borrowed from the blob */
    ks_bytes account;
    ks_bytes key_id;
    char material_id[65]; /* hex */
};

/* False: it looks like no blob. */
bool ks_ciphertext_read(ks_bytes blob, struct ks_ciphertext *ret_ciphertext);
