/*
 * settings: the options of keystead-control; keystead-control.example.yaml is made from the table.
 *
 * Threads: read once by main; the table is constant.
 */
#pragma once

#include <stdint.h>

#include "pkg/config/config.h"

/* As the choices of `engine` are listed. */
enum ks_control_engine { KS_CONTROL_EMBEDDED, KS_CONTROL_REPLICATED };

struct ks_control_settings {
    char *admin_address;
    char *internal_address;
    char *data_folder;
    int engine; /* enum ks_control_engine */
    struct ks_config_list etcd_endpoints;
    char *etcd_ca_file;
    char *etcd_cert_file;
    char *etcd_key_file;
    char *process_ca_file;
    char *process_cert_file;
    char *process_key_file;
    char *client_ca_file;
    char *client_ca_key_file;
    char *partition;
};

extern const struct ks_config_table ks_control_table;
