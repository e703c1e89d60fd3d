#include "services/cli/cluster/cluster.h"

#include <stdio.h>
#include <string.h>

#include "pkg/base/mem.h"
#include "pkg/form/names.h"

#define PATH_LEN_MAX    1024
#define ADDRESS_LEN_MAX 255
#define CONTROL_SPIFFE  "spiffe://keystead/control"

static const struct ks_config_option options[] = {
    KS_CONFIG_LIST(struct ks_cluster_file, keystores, NULL, 1, KS_PLACES_MAX,
                   "region/zone/host:port of each keystore."),
    KS_CONFIG_LIST(struct ks_cluster_file, frontends, "", 0, KS_PLACES_MAX,
                   "region/name/host:port of each frontend."),
    KS_CONFIG_TEXT(struct ks_cluster_file, control, "", 0, ADDRESS_LEN_MAX,
                   "host:port of the control plane."),
    KS_CONFIG_TEXT(struct ks_cluster_file, ca_file, NULL, 1, PATH_LEN_MAX,
                   "PEM root of the processes."),
    KS_CONFIG_TEXT(struct ks_cluster_file, cert_file, NULL, 1, PATH_LEN_MAX,
                   "PEM certificate of an operator, of that root."),
    KS_CONFIG_TEXT(struct ks_cluster_file, key_file, NULL, 1, PATH_LEN_MAX,
                   "PEM key of that certificate."),
};

static const struct ks_config_table table = {.program = "keystead",
                                             .about = "where the processes are.",
                                             .options = options,
                                             .option_count = KS_COUNT(options)};

/* Cuts "region/name/host:port" into its parts, in place. kind is a word of SPIFFE paths. */
static bool read_place(char *text, const char *kind, struct ks_place *ret_place)
{
    char *name = strchr(text, '/');
    char *address = name ? strchr(name + 1, '/') : NULL;
    if (!address || !strchr(address, ':')) {
        return false;
    }
    *name++ = '\0';
    *address++ = '\0';
    ret_place->region = text;
    ret_place->name = name;
    ret_place->address = address;
    int len = snprintf(ret_place->spiffe, sizeof(ret_place->spiffe),
                       "spiffe://keystead/region/%s/%s/%s", text, kind, name);
    return ks_is_region(ks_bytes_of(text)) && len > 0 && (size_t)len < sizeof(ret_place->spiffe);
}

static ks_result read_places(const struct ks_config_list *list, const char *kind,
                             struct ks_place *ret_places, struct ks_failure *failure)
{
    for (size_t i = 0; i < list->count; i++) {
        KS_AUTO_FREE char *as_written = ks_strdup(list->items[i]);
        if (!read_place(list->items[i], kind, &ret_places[i])) {
            return ks_fail(failure, KS_VALIDATION,
                           "'%.200s' in the cluster's file must be region/name/host:port",
                           as_written);
        }
    }
    return KS_RES(OK);
}

ks_result ks_cluster_load(struct ks_cli *cli, struct ks_cluster *ret_cluster)
{
    const char *path;
    char text[KS_CONFIG_ERROR_LEN];
    KS_TRY(ks_settings_need(&cli->settings, KS_SETTING_CLUSTER, &path, &cli->failure));
    ks_result r = ks_config_load(&table, path, &ret_cluster->file, text);
    if (ks_failed(r)) {
        return ks_fail(&cli->failure, r.code, "%s", text);
    }
    ret_cluster->keystore_count = ret_cluster->file.keystores.count;
    ret_cluster->frontend_count = ret_cluster->file.frontends.count;
    ret_cluster->control =
        (struct ks_place){.region = "", .name = "control", .address = ret_cluster->file.control};
    snprintf(ret_cluster->control.spiffe, sizeof(ret_cluster->control.spiffe), CONTROL_SPIFFE);
    KS_TRY(read_places(&ret_cluster->file.keystores, "keystore", ret_cluster->keystores,
                       &cli->failure));
    return read_places(&ret_cluster->file.frontends, "frontend", ret_cluster->frontends,
                       &cli->failure);
}

void ks_cluster_done(struct ks_cluster *cluster)
{
    ks_config_done(&table, &cluster->file);
    *cluster = (struct ks_cluster){0};
}

struct ks_rpc_tls ks_cluster_tls(const struct ks_cluster *cluster)
{
    return (struct ks_rpc_tls){cluster->file.ca_file, cluster->file.cert_file,
                               cluster->file.key_file};
}
