/* zone add, zone replace: the operator's signature on which hsms belong to a region. */

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "keystead/internal/v1/internal.pb-c.h"
#include "pkg/arn/spiffe.h"
#include "pkg/base/clock.h"
#include "pkg/codec/codec.h"
#include "pkg/crypto/ec.h"
#include "pkg/crypto/x509.h"
#include "pkg/custody/kit.h"
#include "pkg/json/json.h"
#include "pkg/transit/roster.h"
#include "services/cli/cluster/cluster.h"
#include "services/cli/cluster/zone.h"
#include "services/cli/output/emit.h"
#include "services/cli/service/connections.h"
#include "services/cli/setup/disk.h"
#include "services/cli/setup/duration.h"

#define SERVICE         "/keystead.internal.v1.KeystoreService/"
#define WAIT_DEFAULT_MS 60000
#define PAUSE_MS        500
#define PEM_LEN_MAX     8192U
#define ROSTER_MODE     0644
#define CALL_LEN_MAX    65536U
#define TRY_MS          5000
#define MS_PER_S        1000

/* What the commands work with; a rotation needs no roster. */
struct enrolment {
    struct ks_cli *cli;
    const char *region;
    const char *file; /* of the roster */
    struct ks_buffer ca;
    struct ks_ec_key *key; /* of the hsm root */
    struct ks_roster roster;
    struct ks_cluster cluster;
    int64_t end_ns;
};

static void enrolment_done(struct enrolment *enrolment)
{
    ks_buffer_done(&enrolment->ca);
    ks_ec_free(enrolment->key);
    ks_cluster_done(&enrolment->cluster);
}

#define ENROLMENT_AUTO KS_CLEANUP(enrolment_done) struct enrolment

/* Where the next roster waits until a keystore has taken it. */
static void next_file(const struct enrolment *enrolment, char ret_path[static PATH_MAX])
{
    snprintf(ret_path, PATH_MAX, "%s.next", enrolment->file);
}

/* ---- What the operator holds ---- */

static ks_result read_root(struct enrolment *enrolment)
{
    struct ks_failure *failure = &enrolment->cli->failure;
    const char *folder = ks_argument(&enrolment->cli->arguments, "hsm-root");
    char path[PATH_MAX];
    KS_BUFFER_AUTO pem = {.len_max = PEM_LEN_MAX};
    enrolment->ca.len_max = PEM_LEN_MAX;
    snprintf(path, sizeof(path), "%s/ca.pem", folder);
    KS_TRY(ks_disk_read(path, &enrolment->ca, failure));
    snprintf(path, sizeof(path), "%s/ca.key", folder);
    KS_TRY(ks_disk_read(path, &pem, failure));
    if (ks_failed(ks_ec_read_private(ks_buffer_bytes(&pem), &enrolment->key)) ||
        ks_ec_curve_of(enrolment->key) != KS_EC_P384) {
        return ks_fail(failure, KS_VALIDATION, "%.400s is no P-384 key in PEM", path);
    }
    return KS_RES(OK);
}

/*
 * Reads a roster that was signed and perhaps given out before the operator's file was written: its
 * number must not be used again. If it is damaged or absent, it is ignored.
 */
static void skip_number_begun(struct enrolment *enrolment)
{
    struct ks_failure ignored = {0};
    struct ks_roster begun;
    char path[PATH_MAX];
    KS_BUFFER_AUTO bytes = {.len_max = KS_ROSTER_LEN_MAX + 1};
    next_file(enrolment, path);
    if (ks_failed(ks_disk_read(path, &bytes, &ignored)) ||
        ks_failed(ks_roster_open(ks_buffer_bytes(&bytes), enrolment->key, &begun))) {
        return;
    }
    if (begun.number > enrolment->roster.number) {
        enrolment->roster.number = begun.number;
    }
}

/* Reads the newest roster. If there is none yet, it is empty and has number 0. */
static ks_result read_roster(struct enrolment *enrolment)
{
    struct ks_failure *failure = &enrolment->cli->failure;
    KS_BUFFER_AUTO bytes = {.len_max = KS_ROSTER_LEN_MAX + 1};
    ks_result r = ks_disk_read(enrolment->file, &bytes, failure);
    if (r.code == KS_NOT_FOUND) {
        r = ks_roster_init(enrolment->region, &enrolment->roster);
        enrolment->roster.number = 0;
        return ks_failed(r) ? ks_fail(failure, r.code, "'%.40s' is no region", enrolment->region)
                            : r;
    }
    KS_TRY(r);
    r = ks_roster_open(ks_buffer_bytes(&bytes), enrolment->key, &enrolment->roster);
    if (ks_failed(r)) {
        return ks_fail(failure, KS_VALIDATION, "%.400s is no roster that this hsm root signed",
                       enrolment->file);
    }
    if (strcmp(enrolment->roster.region, enrolment->region) != 0) {
        return ks_fail(failure, KS_VALIDATION, "%.300s is the roster of %s, not of %.40s",
                       enrolment->file, enrolment->roster.region, enrolment->region);
    }
    return KS_RES(OK);
}

/* ---- The next roster ---- */

/* word is "zone=certificate.pem"; ret_zone takes its first part. */
static ks_result split(struct enrolment *enrolment, const char *word,
                       char ret_zone[static KS_ZONE_LEN_MAX + 1], const char **ret_path)
{
    const char *equals = strchr(word, '=');
    size_t len = equals ? (size_t)(equals - word) : 0;
    if (len == 0 || len > KS_ZONE_LEN_MAX ||
        !ks_is_zone_of((ks_bytes){(const uint8_t *)word, len}, ks_bytes_of(enrolment->region))) {
        return ks_fail(&enrolment->cli->failure, KS_VALIDATION,
                       "'%.200s' must be ZONE=CERTIFICATE, with a zone of %s", word,
                       enrolment->region);
    }
    memcpy(ret_zone, word, len);
    ret_zone[len] = '\0';
    *ret_path = equals + 1;
    return KS_RES(OK);
}

/* Reads the certificate in a file, if the hsm root issued it to that zone's hsm. */
static ks_result read_certificate(struct enrolment *enrolment, const char *zone, const char *path,
                                  struct ks_x509_info *ret_info)
{
    struct ks_failure *failure = &enrolment->cli->failure;
    struct ks_spiffe named;
    KS_BUFFER_AUTO pem = {.len_max = PEM_LEN_MAX};
    KS_TRY(ks_disk_read(path, &pem, failure));
    int64_t now_s = ks_clock_wall_ms(&ks_clock_system) / MS_PER_S;
    if (ks_failed(ks_x509_verify(ks_buffer_bytes(&pem), ks_buffer_bytes(&enrolment->ca), now_s,
                                 KS_X509_ANY, ret_info))) {
        return ks_fail(failure, KS_VALIDATION,
                       "%.400s is no certificate that this hsm root issued and that is valid now",
                       path);
    }
    if (ks_failed(ks_spiffe_parse(ks_bytes_of(ret_info->uri), &named)) ||
        named.kind != KS_SPIFFE_HSM || strcmp(named.zone, zone) != 0) {
        return ks_fail(failure, KS_VALIDATION, "%.300s names %.200s, not the hsm of %s", path,
                       ret_info->uri, zone);
    }
    return KS_RES(OK);
}

/* Adds the certificate. If `replace`, the zone's entry so far is removed first. */
static ks_result enter(struct enrolment *enrolment, const char *word, bool replace)
{
    char zone[KS_ZONE_LEN_MAX + 1];
    const char *path = NULL;
    struct ks_x509_info info;
    KS_TRY(split(enrolment, word, zone, &path));
    KS_TRY(read_certificate(enrolment, zone, path, &info));
    if (replace && ks_roster_strike_zone(&enrolment->roster, zone) == 0) {
        return ks_fail(&enrolment->cli->failure, KS_NOT_FOUND,
                       "%s has no hsm on the roster yet; use 'zone add'", zone);
    }
    ks_result r = ks_roster_add(&enrolment->roster, info.fingerprint, zone);
    if (ks_failed(r) && r.code != KS_ALREADY_EXISTS) {
        return ks_fail(&enrolment->cli->failure, r.code, "the roster has no room for %s", zone);
    }
    return KS_RES(OK);
}

static ks_result build(struct enrolment *enrolment, bool replace, struct ks_buffer *out)
{
    const char *word;
    for (size_t i = 0; (word = ks_argument_at(&enrolment->cli->arguments, "hsm", i)); i++) {
        KS_TRY(enter(enrolment, word, replace));
    }
    enrolment->roster.number++;
    return ks_roster_sign(&enrolment->roster, enrolment->key, out);
}

/* ---- What the region is told ---- */

static ks_result add_address(const struct ks_place *place, const char *region,
                             struct ks_buffer *out)
{
    if (strcmp(place->region, region) != 0) {
        return KS_RES(OK);
    }
    KS_TRY(ks_buffer_append(out, ks_bytes_of(out->len > 0 ? "," : "")));
    return ks_buffer_append(out, ks_bytes_of(place->address));
}

/* The addresses of the region's keystores, with commas between. */
static ks_result find_keystores(struct enrolment *enrolment, struct ks_buffer *out)
{
    const struct ks_cluster *cluster = &enrolment->cluster;
    for (size_t i = 0; i < cluster->keystore_count; i++) {
        KS_TRY(add_address(&cluster->keystores[i], enrolment->region, out));
    }
    if (out->len == 0) {
        return ks_fail(&enrolment->cli->failure, KS_NOT_FOUND,
                       "the cluster's file has no keystore of %s", enrolment->region);
    }
    return KS_RES(OK);
}

/* Calls the keystores of the region in turn, until one has done it or the time is over. */
static ks_result tell(struct enrolment *enrolment, const char *method,
                      const ProtobufCMessage *request, struct ks_buffer *ret_response)
{
    char spiffe[KS_SPIFFE_LEN_MAX + 1];
    KS_BUFFER_AUTO addresses = {.len_max = KS_PLACES_MAX * 300};
    KS_BUFFER_AUTO packed = {.len_max = CALL_LEN_MAX};
    KS_TRY(find_keystores(enrolment, &addresses));
    KS_TRY(ks_buffer_append(&addresses, (ks_bytes){(const uint8_t *)"", 1}));
    KS_TRY(ks_codec_pack(request, &packed));
    snprintf(spiffe, sizeof(spiffe), "spiffe://keystead/region/%s/keystore/", enrolment->region);
    const struct ks_door door = {.addresses = (const char *)addresses.ptr,
                                 .spiffe = spiffe,
                                 .tls = ks_cluster_tls(&enrolment->cluster)};
    int64_t left_ms = (enrolment->end_ns - ks_clock_boot_ns(&ks_clock_system)) / KS_NS_PER_MS;
    const struct ks_outgoing call = {.method = method,
                                     .request = ks_buffer_bytes(&packed),
                                     .patience_ms = left_ms > 1 ? left_ms : 1,
                                     .repeatable = true};
    struct ks_rpc_error error = {0};
    ks_result r =
        ks_connections_call(enrolment->cli->connections, &door, &call, ret_response, &error);
    return ks_failed(r) ? ks_fail_call(&enrolment->cli->failure, &error) : r;
}

static ks_result put_roster(struct enrolment *enrolment, ks_bytes roster)
{
    Keystead__Internal__V1__PutRosterRequest request =
        KEYSTEAD__INTERNAL__V1__PUT_ROSTER_REQUEST__INIT;
    KS_BUFFER_AUTO response = {.len_max = CALL_LEN_MAX};
    request.number = enrolment->roster.number;
    request.roster = (ProtobufCBinaryData){roster.len, (uint8_t *)(uintptr_t)roster.ptr};
    return tell(enrolment, SERVICE "PutRoster", &request.base, &response);
}

/* Finds the current generation. A rotation names it, so that asking twice rotates once. */
static ks_result read_generation(struct enrolment *enrolment, uint32_t *ret_generation)
{
    Keystead__Internal__V1__GetStatusRequest request =
        KEYSTEAD__INTERNAL__V1__GET_STATUS_REQUEST__INIT;
    KS_BUFFER_AUTO response = {.len_max = CALL_LEN_MAX};
    ProtobufCMessage *message;
    KS_TRY(tell(enrolment, SERVICE "GetStatus", &request.base, &response));
    KS_TRY(ks_codec_unpack(&keystead__internal__v1__get_status_response__descriptor,
                           ks_buffer_bytes(&response), NULL, &enrolment->cli->arena, &message));
    *ret_generation =
        ((const Keystead__Internal__V1__GetStatusResponse *)message)->domain_generation;
    return KS_RES(OK);
}

static ks_result rotate(struct enrolment *enrolment)
{
    Keystead__Internal__V1__RotateDomainKeyRequest request =
        KEYSTEAD__INTERNAL__V1__ROTATE_DOMAIN_KEY_REQUEST__INIT;
    KS_BUFFER_AUTO response = {.len_max = CALL_LEN_MAX};
    KS_TRY(read_generation(enrolment, &request.from_generation));
    return tell(enrolment, SERVICE "RotateDomainKey", &request.base, &response);
}

/* ---- The commands ---- */

static ks_result begin_calls(struct enrolment *enrolment)
{
    struct ks_cli *cli = enrolment->cli;
    int64_t wait_ms;
    KS_TRY(ks_duration_option(cli, "wait", WAIT_DEFAULT_MS, &wait_ms));
    enrolment->end_ns = ks_clock_boot_ns(&ks_clock_system) + wait_ms * KS_NS_PER_MS;
    KS_TRY(ks_settings_need(&cli->settings, KS_SETTING_REGION, &enrolment->region, &cli->failure));
    return ks_cluster_load(cli, &enrolment->cluster);
}

static ks_result begin(struct enrolment *enrolment)
{
    struct ks_cli *cli = enrolment->cli;
    KS_TRY(begin_calls(enrolment));
    enrolment->file = ks_argument(&cli->arguments, "roster");
    KS_TRY(read_root(enrolment));
    KS_TRY(read_roster(enrolment));
    skip_number_begun(enrolment);
    return KS_RES(OK);
}

static ks_result print(const struct enrolment *enrolment, const char *rest)
{
    struct ks_cli *cli = enrolment->cli;
    const struct ks_roster *roster = &enrolment->roster;
    char text[256];
    int len = cli->output == KS_OUTPUT_JSON
                  ? snprintf(text, sizeof(text), "{\"Region\": \"%s\", \"Number\": %llu}\n",
                             roster->region, (unsigned long long)roster->number)
                  : snprintf(text, sizeof(text), "roster %llu of %s: %zu hsm%s%s\n",
                             (unsigned long long)roster->number, roster->region, roster->count,
                             roster->count == 1 ? "" : "s", rest);
    return ks_emit(STDOUT_FILENO, (ks_bytes){(const uint8_t *)text, (size_t)len}, &cli->failure);
}

/*
 * The region gets the roster first, and the operator's file is written second: so the file holds
 * only what was given out. Wherever this stops, there are never two rosters of one number.
 */
static ks_result enrol(struct enrolment *enrolment, bool replace)
{
    struct ks_failure *failure = &enrolment->cli->failure;
    char next[PATH_MAX];
    KS_BUFFER_AUTO roster = {.len_max = KS_ROSTER_LEN_MAX};
    KS_TRY(begin(enrolment));
    next_file(enrolment, next);
    KS_TRY(build(enrolment, replace, &roster));
    KS_TRY(ks_disk_write(next, ks_buffer_bytes(&roster), ROSTER_MODE, failure));
    KS_TRY(put_roster(enrolment, ks_buffer_bytes(&roster)));
    KS_TRY(ks_disk_write(enrolment->file, ks_buffer_bytes(&roster), ROSTER_MODE, failure));
    (void)unlink(next);
    return KS_RES(OK);
}

ks_result ks_run_cluster_rotate(struct ks_cli *cli)
{
    ENROLMENT_AUTO enrolment = {.cli = cli};
    char text[128];
    KS_TRY(begin_calls(&enrolment));
    KS_TRY(rotate(&enrolment));
    int len = snprintf(text, sizeof(text),
                       cli->output == KS_OUTPUT_JSON ? "{\"Region\": \"%s\"}\n"
                                                     : "the domain key of %s is being rotated\n",
                       enrolment.region);
    return ks_emit(STDOUT_FILENO, (ks_bytes){(const uint8_t *)text, (size_t)len}, &cli->failure);
}

/* Reads the kit in a file, if it is one for the region. */
static ks_result read_kit(struct enrolment *enrolment, struct ks_buffer *out,
                          struct ks_kit *ret_kit)
{
    struct ks_failure *failure = &enrolment->cli->failure;
    const char *path = ks_argument(&enrolment->cli->arguments, "kit");
    KS_TRY(ks_disk_read(path, out, failure));
    if (ks_failed(ks_kit_read(ks_buffer_bytes(out), ret_kit))) {
        return ks_fail(failure, KS_VALIDATION, "%.400s is no custodian kit", path);
    }
    if (strcmp(ret_kit->region, enrolment->region) != 0) {
        return ks_fail(failure, KS_VALIDATION, "%.300s is the kit of %s, not of %.40s", path,
                       ret_kit->region, enrolment->region);
    }
    return KS_RES(OK);
}

ks_result ks_run_cluster_custodians(struct ks_cli *cli)
{
    ENROLMENT_AUTO enrolment = {.cli = cli};
    Keystead__Internal__V1__PutCustodiansRequest request =
        KEYSTEAD__INTERNAL__V1__PUT_CUSTODIANS_REQUEST__INIT;
    KS_BUFFER_AUTO bytes = {.len_max = KS_KIT_LEN_MAX + 1};
    KS_BUFFER_AUTO response = {.len_max = CALL_LEN_MAX};
    struct ks_kit kit;
    char text[256];
    KS_TRY(begin_calls(&enrolment));
    KS_TRY(read_kit(&enrolment, &bytes, &kit));
    request.period = kit.period;
    request.kit = (ProtobufCBinaryData){bytes.len, bytes.ptr};
    KS_TRY(tell(&enrolment, SERVICE "PutCustodians", &request.base, &response));
    int len =
        snprintf(text, sizeof(text),
                 cli->output == KS_OUTPUT_JSON
                     ? "{\"Region\": \"%s\", \"Period\": %u}\n"
                     : "backups of %s are sealed to the custodians of period %u from now on\n",
                 kit.region, kit.period);
    return ks_emit(STDOUT_FILENO, (ks_bytes){(const uint8_t *)text, (size_t)len}, &cli->failure);
}

ks_result ks_run_zone_add(struct ks_cli *cli)
{
    ENROLMENT_AUTO enrolment = {.cli = cli};
    KS_TRY(enrol(&enrolment, false));
    return print(&enrolment, "");
}

ks_result ks_run_zone_replace(struct ks_cli *cli)
{
    ENROLMENT_AUTO enrolment = {.cli = cli};
    KS_TRY(enrol(&enrolment, true));
    KS_TRY(rotate(&enrolment));
    return print(&enrolment, "; the domain key is being rotated");
}
