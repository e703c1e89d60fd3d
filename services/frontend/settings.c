#include "services/frontend/settings.h"

#include <stdio.h>
#include <string.h>

#include "pkg/arn/name.h"
#include "pkg/base/mem.h"
#include "pkg/rpc/server.h"

#define PATH_LEN_MAX 1024

static const char *const levels[] = {"debug", "info", "warn", "error", NULL};

#define S                      struct ks_frontend_settings
#define TEXT(...)              KS_CONFIG_TEXT(S, __VA_ARGS__)
#define DURATION(...)          KS_CONFIG_DURATION(S, __VA_ARGS__)
#define NUMBER(...)            KS_CONFIG_NUMBER(S, __VA_ARGS__)
#define FILE_NAME(field, help) TEXT(field, NULL, 1, PATH_LEN_MAX, help)

static const struct ks_config_option options[] = {
    TEXT(region, NULL, 1, KS_REGION_LEN_MAX, "Region that is served, such as ap-seoul-1."),
    TEXT(zone, NULL, 1, KS_ZONE_LEN_MAX,
         "Zone of this machine, such as ap-seoul-1a; its keystore is asked first."),
    TEXT(partition, "aws", 1, KS_PARTITION_LEN_MAX, "Partition of ARNs."),
    KS_CONFIG_LIST(S, regions, "", 0, 64,
                   "All regions of the installation: an error about a ciphertext of another one "
                   "names it. A region that is not listed is not named."),
    TEXT(address, "127.0.0.1:21700", 3, 255,
         "host:port where clients reach keystead.kms.v1, with a certificate of the client root."),
    TEXT(probe_address, "", 0, 255,
         "host:port that answers grpc.health.v1 in plaintext and nothing else; empty: none."),
    KS_CONFIG_LIST(S, keystores, NULL, 1, KS_UPSTREAM_PEERS_MAX,
                   "zone=host:port of the internal listener of each keystore of the region."),
    FILE_NAME(process_ca_file, "PEM root of Keystead's processes."),
    FILE_NAME(process_cert_file,
              "PEM certificate of this process; shown to keystores and to clients."),
    FILE_NAME(process_key_file, "PEM key of that certificate."),
    FILE_NAME(client_ca_file, "PEM root of users and operators."),
    NUMBER(threads, "1", 1, KS_RPC_LOOPS_MAX, "Threads that serve calls, each by itself."),
    DURATION(timeout_ms, "10s", 100, 600000,
             "After this a request is answered UNAVAILABLE, also if its client waits for longer."),
    DURATION(patience_ms, "300ms", 20, 60000,
             "After this a keystore that is silent is not waited for alone: another is asked."),
    DURATION(mutation_patience_ms, "1s", 20, 60000,
             "The same for mutations, which wait for a majority of the zones' disks."),
    NUMBER(views, "65536", 64, 16777216,
           "Key identifiers that each thread remembers, in 512 bytes for each of them at most. One "
           "that is not remembered costs one more exchange with a keystore."),
    DURATION(drain_notice_ms, "1s", 0, 60000,
             "How long it goes on serving after SIGTERM while it says NOT_SERVING."),
    DURATION(drain_grace_ms, "10s", 0, 600000,
             "How long calls in progress may take after that, before they are cancelled."),
    KS_CONFIG_CHOICE(S, log_level, "info", levels,
                     "Least level of lines that are written. debug has one line for each call."),
};

const struct ks_config_table ks_frontend_table = {
    .program = "keystead-frontend",
    .about = "serves keystead.kms.v1 in one region: lets callers in, decides, and asks a keystore.",
    .options = options,
    .option_count = KS_COUNT(options)};

/* Takes "zone=host:port" apart; text is a copy that the place keeps. */
static bool read_place(char *text, ks_bytes region, struct ks_keystore_place *ret_place)
{
    char *equals = strchr(text, '=');
    if (!equals || equals[1] == 0) {
        return false;
    }
    *equals = 0;
    *ret_place = (struct ks_keystore_place){.zone = text, .address = equals + 1};
    return ks_is_zone_of(ks_bytes_of(text), region);
}

static ks_result refuse(char *reterr_text, const char *option, const char *value, const char *form)
{
    (void)snprintf(reterr_text, KS_CONFIG_ERROR_LEN, "%s: \"%.60s\" is not %s", option, value,
                   form);
    return KS_RES(VALIDATION);
}

static ks_result check_names(const struct ks_frontend_settings *settings, char *reterr_text)
{
    ks_bytes region = ks_bytes_of(settings->region);
    if (!ks_is_region(region)) {
        return refuse(reterr_text, "region", settings->region, "a region such as ap-seoul-1");
    }
    if (!ks_is_zone_of(ks_bytes_of(settings->zone), region)) {
        return refuse(reterr_text, "zone", settings->zone, "a zone of the region: ap-seoul-1a");
    }
    if (!ks_partition_is_valid(ks_bytes_of(settings->partition))) {
        return refuse(reterr_text, "partition", settings->partition, "a partition such as aws");
    }
    for (size_t i = 0; i < settings->regions.count; i++) {
        if (!ks_is_region(ks_bytes_of(settings->regions.items[i]))) {
            return refuse(reterr_text, "regions", settings->regions.items[i], "a region");
        }
    }
    return KS_RES(OK);
}

ks_result ks_frontend_settings_check(const struct ks_frontend_settings *settings,
                                     struct ks_keystore_places *ret_places, char *reterr_text)
{
    KS_TRY(check_names(settings, reterr_text));
    struct ks_keystore_places places = {.count = 0};
    for (size_t i = 0; i < settings->keystores.count; i++) {
        const char *text = settings->keystores.items[i];
        places.texts[i] = ks_strdup(text);
        places.count++;
        if (!read_place(places.texts[i], ks_bytes_of(settings->region), &places.items[i])) {
            ks_keystore_places_done(&places);
            return refuse(reterr_text, "keystores", text,
                          "zone=host:port with a zone of the region");
        }
        places.addresses[i] = places.items[i].address;
    }
    *ret_places = places;
    return KS_RES(OK);
}

void ks_keystore_places_done(struct ks_keystore_places *places)
{
    for (size_t i = 0; i < places->count; i++) {
        ks_free(places->texts[i]);
    }
    *places = (struct ks_keystore_places){.count = 0};
}
