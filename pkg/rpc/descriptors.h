/*
 * descriptors: finds files in a FileDescriptorSet without unpacking it, and hands them on as the
 * bytes that are in the set.
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

/*
 * Adds the files of a FileDescriptorSet to descriptors, whose zero value has none. A file whose
 * name is there already is left out. set is borrowed as long as descriptors.
 *
 * Fails: CORRUPT (not a FileDescriptorSet), LIMIT_EXCEEDED (more files than the maximum). Then
 * descriptors may have got some of the files.
 */
KS_MUST_USE ks_result ks_rpc_descriptors_add(struct ks_rpc_descriptors *descriptors, ks_bytes set);

/*
 * Look up a file by its name, or by a full name that it declares: of a message, enum, service,
 * method, field, or enum value (which belongs to the scope around its enum: "p.v1.Outer.ZERO").
 *
 * ret_index  the file's place in files. Not written when false is returned: there is none.
 */
bool ks_rpc_descriptors_by_name(const struct ks_rpc_descriptors *descriptors, ks_bytes name,
                                size_t *ret_index);
bool ks_rpc_descriptors_by_symbol(const struct ks_rpc_descriptors *descriptors, ks_bytes symbol,
                                  size_t *ret_index);

/*
 * Lists the file and all that it imports, directly or not, each once, the file first. An import
 * that is not in the set is left out.
 *
 * ret_indexes  has room for KS_RPC_DESCRIPTOR_FILES_MAX.
 * ret_count    how many were written there, at least 1.
 */
void ks_rpc_descriptors_closure(const struct ks_rpc_descriptors *descriptors, size_t index,
                                size_t *ret_indexes, size_t *ret_count);
