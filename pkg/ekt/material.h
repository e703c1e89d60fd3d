/*
 * material: the id of one version of a key (proto/formats/material-id.md).
 *
 * Threads: pure over the arguments; the struct ks_mac is the calling thread's.
 */
#pragma once

#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/form/names.h"

struct ks_mac;

/*
 * Derives the id of the key material that is in hbk.
 *
 * hbk     keyed with the HBK.
 * ret_id  written on success only.
 *
 * Fails: VALIDATION (malformed account or key id), INTERNAL (OpenSSL).
 */
KS_MUST_USE ks_result ks_material_id(struct ks_mac *hbk, ks_bytes account, ks_bytes key_id,
                                     uint8_t ret_id[static KS_MATERIAL_ID_LEN]);
