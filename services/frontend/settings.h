/*
 * settings: the frontend's configuration file.
 *
 * Threads: read once by main.
 */
#pragma once

#include <stdint.h>

#include "pkg/base/result.h"
#include "pkg/config/config.h"
#include "services/frontend/route/lane.h"

struct ks_frontend_settings {
    char *region;
    char *zone;
    char *partition;
    struct ks_config_list regions;
    char *address;
    char *probe_address;
    struct ks_config_list keystores;
    char *process_ca_file;
    char *process_cert_file;
    char *process_key_file;
    char *client_ca_file;
    int64_t threads;
    int64_t timeout_ms;
    int64_t patience_ms;
    int64_t mutation_patience_ms;
    int64_t views;
    int64_t drain_notice_ms;
    int64_t drain_grace_ms;
    int log_level; /* enum ks_log_level */
};

extern const struct ks_config_table ks_frontend_table;

/* The entries of `keystores`, taken apart. It owns its strings. */
struct ks_keystore_places {
    char *texts[KS_UPSTREAM_PEERS_MAX];
    struct ks_keystore_place items[KS_UPSTREAM_PEERS_MAX];
    const char *addresses[KS_UPSTREAM_PEERS_MAX];
    size_t count;
};

/*
 * Checks what the table alone cannot: the forms of names, and `keystores`.
 *
 * ret_places   the caller's; free with ks_keystore_places_done. Untouched after a failure.
 * reterr_text  KS_CONFIG_ERROR_LEN bytes; after a failure it says what is wrong, else untouched.
 *
 * Fails: VALIDATION (a name or an entry of `keystores` is malformed).
 */
KS_MUST_USE ks_result ks_frontend_settings_check(const struct ks_frontend_settings *settings,
                                                 struct ks_keystore_places *ret_places,
                                                 char *reterr_text);

/* Frees its strings and makes it empty, for which it does nothing. */
void ks_keystore_places_done(struct ks_keystore_places *places);
