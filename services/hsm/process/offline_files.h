/*
 * offline_files: what the offline commands read and write, with words for what goes wrong. A function
 * that fails has said so on stderr.
 *
 * Threads: one.
 */
#pragma once

#include <sys/types.h>

#include "pkg/base/bytes.h"

struct ks_ec_key;

/* Says "keystead-hsm: " and the text on stderr, and returns KS_EXIT_FAILED. */
__attribute__((format(printf, 1, 2))) int ks_complain(const char *format, ...);

/* The same, and returns KS_EXIT_USAGE. */
__attribute__((format(printf, 1, 2))) int ks_complain_usage(const char *format, ...);

/*
 * Appends the bytes of a file.
 * out  after a failure it may hold a part of them.
 * Fails: VALIDATION.
 */
KS_MUST_USE ks_result ks_offline_read(const char *path, struct ks_buffer *out);

/* Makes a new file of mode 0600, or 0644 if it is public. Fails: VALIDATION (no file is made). */
KS_MUST_USE ks_result ks_offline_make(const char *path, ks_bytes bytes, bool is_public);

/*
 * Reads a private P-384 key, the caller's, from a PEM file.
 * ret_key  untouched after a failure.
 * Fails: VALIDATION.
 */
KS_MUST_USE ks_result ks_offline_read_key(const char *path, struct ks_ec_key **ret_key);

/*
 * Reads the hsm root in a folder: ca.key and ca.pem, which belong together.
 *
 * certificate  DER is appended; after a failure it may hold a part of it.
 * ret_key      the caller's; untouched after a failure.
 *
 * Fails: VALIDATION.
 */
KS_MUST_USE ks_result ks_offline_read_root(const char *folder, struct ks_buffer *certificate,
                                           struct ks_ec_key **ret_key);

/*
 * Sets OpenSSL up, and keeps the process out of core files and, where it may lock memory, out of swap.
 * Fails: INTERNAL.
 */
KS_MUST_USE ks_result ks_offline_begin(void);
