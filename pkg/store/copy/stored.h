/*
 * stored: how a record lies in the copy: mod revision 8 bytes | checksum 4 bytes | value.
 *
 * Threads: pure.
 */
#pragma once

#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/base/result.h"
#include "pkg/store/store.h"

#define KS_STORED_HEAD_LEN 12U

/* Write and read an integer at place, big-endian, as all integers that the store has on disk. */
void ks_stored_put_u32(uint8_t *place, uint32_t number);
void ks_stored_put_u64(uint8_t *place, uint64_t number);
uint32_t ks_stored_get_u32(const uint8_t *place);
uint64_t ks_stored_get_u64(const uint8_t *place);

/*
 * Appends a record's stored form.
 * Fails: LIMIT_EXCEEDED (the buffer's len_max); the buffer may then hold a part of it.
 */
KS_MUST_USE ks_result ks_stored_encode(const struct ks_store_record *record,
                                       struct ks_buffer *buffer);

/*
 * Takes a stored form apart.
 * ret_record  borrows key and stored; untouched after a failure.
 * Fails: CORRUPT (it is too short, or the checksum does not match).
 */
KS_MUST_USE ks_result ks_stored_decode(ks_bytes key, ks_bytes stored,
                                       struct ks_store_record *ret_record);
