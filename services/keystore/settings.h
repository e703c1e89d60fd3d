/*
 * settings: the options of keystead-keystore; keystead-keystore.example.yaml is made from the
 * table.
 *
 * Threads: read once by main; the table is constant.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "pkg/config/config.h"

/* The values of the option `engine`, in the order of its choices. */
enum ks_keystore_engine { KS_KEYSTORE_EMBEDDED, KS_KEYSTORE_REPLICATED };

/* The values of the option `serving`, in the order of its choices. */
enum ks_keystore_serving { KS_KEYSTORE_BY_WINDOWS, KS_KEYSTORE_BY_LOG };

struct ks_keystore_settings {
    char *region;
    char *zone;
    char *partition;
    char *name;
    char *address;
    char *advertised_address;
    char *data_folder;
    int64_t database_bytes;
    int64_t etcd_quota_bytes;
    int engine; /* enum ks_keystore_engine */
    struct ks_config_list etcd_endpoints;
    char *etcd_ca_file;
    char *etcd_cert_file;
    char *etcd_key_file;
    int64_t window_ms;
    int serving; /* enum ks_keystore_serving */
    char *process_ca_file;
    char *process_cert_file;
    char *process_key_file;
    char *hsm_socket;
    char *control_address;
    char *client_ca_file;
    int64_t min_zones;
    int64_t rotation_ms;
    int64_t threads;
    int64_t drain_notice_ms;
    int64_t drain_grace_ms;
    int log_level; /* enum ks_log_level */
};

extern const struct ks_config_table ks_keystore_table;

/*
 * Does what `--config FILE`, `--help` and `--example` ask for, as ks_config_main does; also checks
 * the forms of names, and which options go together.
 *
 * ret_settings  the caller's; free with ks_config_done if -1 is returned. Otherwise it owns
 *               nothing.
 *
 * Returns -1 if the process is to go on. Otherwise returns its exit code, and has said on stderr
 * what is wrong, if anything is.
 */
KS_MUST_USE int ks_keystore_settings_main(int argc, char **argv,
                                          struct ks_keystore_settings *ret_settings);
