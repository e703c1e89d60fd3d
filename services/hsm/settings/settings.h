/*
 * settings: the options of keystead-hsm. keystead-hsm.example.yaml is made from their table.
 *
 * Threads: values; one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "pkg/config/config.h"

enum ks_hsm_socket_mode { KS_HSM_MODE_0600, KS_HSM_MODE_0660, KS_HSM_MODE_0666 };

struct ks_hsm_settings {
    char *region;
    char *zone;
    char *trust_domain;
    char *token_module;
    char *token_config;
    char *token_label;
    char *pin_file;
    char *csr_file;
    char *socket;
    char *socket_group;
    int socket_mode; /* enum ks_hsm_socket_mode */
    char *peer_user;
    int64_t roster_floor;
    int64_t cache_entries;
    bool allow_unlocked_memory;
    bool development;
    bool fips;
};

extern const struct ks_config_table ks_hsm_settings_table;

/*
 * Reads and checks the file. Says on stderr what is wrong.
 * ret_settings  zeroed by the caller, who frees it with ks_hsm_settings_done; after a failure it
 *               owns nothing.
 * Fails: VALIDATION (the text or a setting is wrong), NOT_FOUND (the file can't be opened or read).
 */
KS_MUST_USE ks_result ks_hsm_settings_load(const char *path, struct ks_hsm_settings *ret_settings);

void ks_hsm_settings_done(struct ks_hsm_settings *settings);
#define KS_HSM_SETTINGS_AUTO KS_CLEANUP(ks_hsm_settings_done) struct ks_hsm_settings
