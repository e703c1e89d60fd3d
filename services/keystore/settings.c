#include "services/keystore/settings.h"

#include <stdio.h>

#include "pkg/arn/name.h"
#include "pkg/base/log.h"
#include "pkg/base/mem.h"

#define PATH_LEN_MAX 1024
#define EXIT_USAGE   2

static const char *const engines[] = {"embedded", "replicated", NULL};
static const char *const servings[] = {"windows", "log", NULL};
static const char *const levels[] = {"debug", "info", "warn", "error", NULL};

#define S                      struct ks_keystore_settings
#define TEXT(...)              KS_CONFIG_TEXT(S, __VA_ARGS__)
#define FILE_NAME(field, help) TEXT(field, NULL, 1, PATH_LEN_MAX, help)
#define DURATION(...)          KS_CONFIG_DURATION(S, __VA_ARGS__)
#define NUMBER(...)            KS_CONFIG_NUMBER(S, __VA_ARGS__)
#define CHOICE(...)            KS_CONFIG_CHOICE(S, __VA_ARGS__)

static const struct ks_config_option options[] = {
    TEXT(region, NULL, 1, 32, "Region that is served, such as ap-seoul-1."),
    TEXT(zone, NULL, 1, 33, "Zone of this machine, such as ap-seoul-1a; its hsm's zone, too."),
    TEXT(partition, "aws", 1, 16, "Partition of ARNs."),
    TEXT(name, NULL, 1, 63, "Name of this keystore in the cell's list: keystore-ap-seoul-1a."),
    TEXT(address, "127.0.0.1:21800", 3, 63,
         "host:port of the internal listener, for certificates of the process root."),
    TEXT(advertised_address, "", 0, 63,
         "host:port at which the cell's other keystores reach it; empty: address."),
    FILE_NAME(data_folder, "Folder of the local copy; one process at a time may hold it."),
    KS_CONFIG_SIZE(S, database_bytes, "16GiB", 16777216, 1099511627776,
                   "Size that the local copy may reach. When it is full, changes are refused with "
                   "LimitExceededException; everything else goes on."),
    CHOICE(engine, "replicated", engines,
           "Where records live: in the cell's etcd with a copy here, or here alone (one node)."),
    KS_CONFIG_LIST(S, etcd_endpoints, "", 0, 9,
                   "https://host:port of the cell's etcd members, this zone's first (replicated "
                   "only)."),
    TEXT(etcd_ca_file, "", 0, PATH_LEN_MAX, "PEM root of that etcd cluster."),
    TEXT(etcd_cert_file, "", 0, PATH_LEN_MAX, "PEM certificate for it; without a common name."),
    TEXT(etcd_key_file, "", 0, PATH_LEN_MAX, "PEM key of that certificate."),
    KS_CONFIG_SIZE(S, etcd_quota_bytes, "4GiB", 16777216, 1099511627776,
                   "--quota-backend-bytes of the etcd members (replicated only). At 70 % of it "
                   "nothing new is made, at 90 % only permissions and records are taken away."),
    DURATION(window_ms, "2s", 200, 60000,
             "How long a serving window lasts: how long a keystore that is cut off from its cell's "
             "majority goes on serving. The same for all keystores of the cell."),
    CHOICE(serving, "windows", servings,
           "windows: answers rest on serving windows, and on clocks of which the faster runs less "
           "than 1.1 times as fast as the slower. log: each batch of answers waits for a committed "
           "write instead; it is not there yet and refuses to start."),
    FILE_NAME(process_ca_file, "PEM root of Keystead's processes."),
    FILE_NAME(process_cert_file, "PEM certificate of this process."),
    FILE_NAME(process_key_file, "PEM key of that certificate."),
    TEXT(hsm_socket, NULL, 1, 107, "Unix socket of this zone's hsm."),
    TEXT(control_address, "", 0, 255,
         "host:port of control's internal listener; empty: no identities are mirrored."),
    FILE_NAME(
        client_ca_file,
        "PEM root of users and operators, under which control signs what it says of identities."),
    NUMBER(min_zones, "2", 1, 2,
           "Zones whose hsms must hold a domain key before it is used: what one zone's loss "
           "leaves. With the embedded engine it is 1."),
    DURATION(
        rotation_ms, "30d", 60000, 2592000000,
        "Age at which the domain key is replaced by a new one, and every key re-sealed under it. "
        "It is rotated on command, too (keystead cluster rotate)."),
    NUMBER(threads, "1", 1, 16, "Threads that serve streams."),
    DURATION(drain_notice_ms, "500ms", 0, 60000,
             "How long it goes on serving after SIGTERM while it says NOT_SERVING."),
    DURATION(drain_grace_ms, "1s", 0, 600000,
             "How long requests in progress may take after that. Streams that are still open then "
             "are ended."),
    CHOICE(log_level, "info", levels, "Least level of lines that are written."),
};

const struct ks_config_table ks_keystore_table = {
    .program = "keystead-keystore",
    .about = "keeps the key records of its cell and answers the region's frontends.",
    .options = options,
    .option_count = KS_COUNT(options)};

static const char *find_fault(const struct ks_keystore_settings *settings)
{
    bool replicated = settings->engine == KS_KEYSTORE_REPLICATED;
    if (!ks_is_region(ks_bytes_of(settings->region))) {
        return "region: not of the form ap-seoul-1";
    }
    if (!ks_is_zone_of(ks_bytes_of(settings->zone), ks_bytes_of(settings->region))) {
        return "zone: not a zone of the region, such as ap-seoul-1a";
    }
    if (!ks_partition_is_valid(ks_bytes_of(settings->partition))) {
        return "partition: not of the form aws";
    }
    if (!ks_node_name_is_valid(ks_bytes_of(settings->name))) {
        return "name: letters a to z, digits and hyphens only";
    }
    if (replicated && settings->etcd_endpoints.count == 0) {
        return "etcd_endpoints: the replicated engine needs the cell's members";
    }
    if (replicated && (settings->etcd_ca_file[0] == '\0' || settings->etcd_cert_file[0] == '\0' ||
                       settings->etcd_key_file[0] == '\0')) {
        return "etcd_ca_file, etcd_cert_file, etcd_key_file: the replicated engine needs all three";
    }
    return NULL;
}

int ks_keystore_settings_main(int argc, char **argv, struct ks_keystore_settings *ret_settings)
{
    int status = ks_config_main(&ks_keystore_table, argc, argv, ret_settings);
    if (status >= 0) {
        return status;
    }
    const char *fault = find_fault(ret_settings);
    if (fault) {
        fprintf(stderr, "keystead-keystore: %s\n", fault);
        ks_config_done(&ks_keystore_table, ret_settings);
        return EXIT_USAGE;
    }
    return -1;
}
