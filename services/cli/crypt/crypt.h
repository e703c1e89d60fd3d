/*
 * crypt: the commands whose input or output is raw bytes: encrypt, decrypt, re-encrypt, data-key
 * and random.
 *
 * Each function runs the command that cli->arguments holds, and notes the reason of a failure in
 * cli->failure. When one fails, what was written to stdout so far is authentic but incomplete.
 *
 * Threads: one; main calls one of them, once.
 */
#pragma once

#include "pkg/base/result.h"

struct ks_cli;

/* Encrypts stdin: as one blob when it is short enough for the service, else as a file. */
KS_MUST_USE ks_result ks_run_encrypt(struct ks_cli *cli);

/* Decrypts stdin, which is a blob or a file, as its first bytes tell. */
KS_MUST_USE ks_result ks_run_decrypt(struct ks_cli *cli);

/* Has the service encrypt the blob on stdin under another key. */
KS_MUST_USE ks_result ks_run_re_encrypt(struct ks_cli *cli);

/* Prints a data key, with its plaintext unless --without-plaintext was given. */
KS_MUST_USE ks_result ks_run_data_key(struct ks_cli *cli);

/* Prints random bytes, in base64 unless --raw was given. */
KS_MUST_USE ks_result ks_run_random(struct ks_cli *cli);
