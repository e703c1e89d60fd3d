#include "services/control/settings.h"

#include "pkg/base/mem.h"

#define PATH_MAX_LEN 1024

static const char *const engines[] = {"embedded", "replicated", NULL};

#define TEXT(field, fallback, min, max, help)                                                      \
    KS_CONFIG_TEXT(struct ks_control_settings, field, fallback, min, max, help)
#define FILE_NAME(field, help) TEXT(field, NULL, 1, PATH_MAX_LEN, help)

static const struct ks_config_option options[] = {
    TEXT(admin_address, "127.0.0.1:21900", 3, 255,
         "host:port where operators reach admin.v1, with a certificate of the client root."),
    TEXT(internal_address, "127.0.0.1:21901", 3, 255,
         "host:port where keystores mirror from, with a certificate of the process root."),
    FILE_NAME(data_folder, "Folder of the local copy; one process at a time may hold it."),
    KS_CONFIG_CHOICE(struct ks_control_settings, engine, "replicated", engines,
                     "Where records live: in the control plane's etcd, or here alone."),
    KS_CONFIG_LIST(struct ks_control_settings, etcd_endpoints, "", 0, 9,
                   "https://host:port of the control plane's etcd members (replicated only)."),
    TEXT(etcd_ca_file, "", 0, PATH_MAX_LEN, "PEM root of that etcd cluster."),
    TEXT(etcd_cert_file, "", 0, PATH_MAX_LEN, "PEM certificate for it; without a common name."),
    TEXT(etcd_key_file, "", 0, PATH_MAX_LEN, "PEM key of that certificate."),
    FILE_NAME(process_ca_file, "PEM root of Keystead's processes."),
    FILE_NAME(process_cert_file, "PEM certificate of this process."),
    FILE_NAME(process_key_file, "PEM key of that certificate."),
    FILE_NAME(client_ca_file, "PEM root of users and operators."),
    FILE_NAME(client_ca_key_file, "PEM key of that root; no other process may read it."),
    TEXT(partition, "aws", 1, 32, "Partition of ARNs."),
};

const struct ks_config_table ks_control_table = {
    .program = "keystead-control",
    .about = "keeps accounts, users and their certificates, and issues the certificates.",
    .options = options,
    .option_count = KS_COUNT(options)};
