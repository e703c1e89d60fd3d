/*
 * descriptors: looks things up in a FileDescriptorSet without unpacking it; what is found is handed
 * on as the bytes that stand there.
 *
 * Private to pkg/rpc. Threads: immutable after init.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "pkg/base/bytes.h"

#define KS_RPC_DESCRIPTOR_FILES_MAX 256U

struct ks_rpc_descriptors {
    ks_bytes files[KS_RPC_DESCRIPTOR_FILES_MAX]; /* each a FileDescriptorProto, borrowed */
    size_t file_count;
};

/* Fails: CORRUPT (not a FileDescriptorSet), LIMIT_EXCEEDED (more files than the maximum). */
KS_MUST_USE ks_result ks_rpc_descriptors_init(struct ks_rpc_descriptors *descriptors, ks_bytes set);

/* The index of a file by its name, or by a full name that it declares (message, enum, service,
 * method, field). false: there is none. */
bool ks_rpc_descriptors_by_name(const struct ks_rpc_descriptors *descriptors, ks_bytes name,
                                size_t *ret_index);
bool ks_rpc_descriptors_by_symbol(const struct ks_rpc_descriptors *descriptors, ks_bytes symbol,
                                  size_t *ret_index);

/*
 * The file and all that it imports, directly or not, each once, the file first. An import that is
 * not in the set is left out.
 *
 * ret_indexes  room for KS_RPC_DESCRIPTOR_FILES_MAX.
 */
void ks_rpc_descriptors_closure(const struct ks_rpc_descriptors *descriptors, size_t index,
                                size_t *ret_indexes, size_t *ret_count);
