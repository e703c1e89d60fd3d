#include "services/hsm/settings/settings.h"

#include <assert.h>

#include "pkg/form/names.h"
#include "pkg/transit/peer.h"
#include "services/hsm/memory/key_cache.h"

#define PATH_LEN_MAX      1000
#define SOCKET_LEN_MAX    107 /* struct sockaddr_un has room for no more */
#define NAME_LEN_MAX      64
#define ROSTER_NUMBER_MAX 999999999999999 /* all that a number option can say */

#define S struct ks_hsm_settings

static const char *const socket_modes[] = {
    [KS_HSM_MODE_0600] = "0600", [KS_HSM_MODE_0660] = "0660", [KS_HSM_MODE_0666] = "0666", NULL};

static const struct ks_config_option options[] = {
    KS_CONFIG_TEXT(S, region, NULL, 1, KS_REGION_LEN_MAX,
                   "Region of this hsm, such as ap-seoul-1. Keys of other regions are refused."),
    KS_CONFIG_TEXT(S, zone, NULL, 1, KS_ZONE_LEN_MAX,
                   "Zone of this hsm, such as ap-seoul-1a: the region and one letter."),
    KS_CONFIG_TEXT(S, trust_domain, "keystead", 1, KS_TRUST_DOMAIN_MAX,
                   "Trust domain of the hsm certificates: spiffe://<this>/hsm/<region>/<zone>."),
    KS_CONFIG_TEXT(S, token_module, "/usr/lib/softhsm/libsofthsm2.so", 1, PATH_LEN_MAX,
                   "PKCS#11 module of the zone's token."),
    KS_CONFIG_TEXT(S, token_config, "", 0, PATH_LEN_MAX,
                   "SoftHSM's configuration file (becomes SOFTHSM2_CONF). Empty: as in the "
                   "environment."),
    KS_CONFIG_TEXT(S, token_label, "keystead", 1, 32,
                   "Label of the token. It holds the root key, the wrapped node and identity keys, "
                   "the certificate and the pinned hsm root."),
    KS_CONFIG_TEXT(
        S, pin_file, NULL, 1, PATH_LEN_MAX,
        "File with the token's user PIN, which only the hsm's own user may touch. "
        "`credential:NAME` is that credential of systemd. Where the token is SoftHSM2's, "
        "the PIN must lie apart from it: a credential, a file in memory (tmpfs) or "
        "another file system."),
    KS_CONFIG_TEXT(S, csr_file, "", 0, PATH_LEN_MAX,
                   "Where `init` writes the certificate request that the hsm root is to sign."),
    KS_CONFIG_TEXT(S, socket, NULL, 1, SOCKET_LEN_MAX,
                   "Unix socket that the zone's keystore connects to. A socket left behind by an "
                   "earlier process is replaced."),
    KS_CONFIG_TEXT(S, socket_group, "", 0, NAME_LEN_MAX,
                   "Group that the socket is given to, by name. Empty: the hsm's own."),
    KS_CONFIG_CHOICE(S, socket_mode, "0660", socket_modes, "Permissions of the socket."),
    KS_CONFIG_TEXT(S, peer_user, NULL, 1, NAME_LEN_MAX,
                   "User, by name or number, whose processes are served; the connections of all "
                   "others are closed (SO_PEERCRED)."),
    KS_CONFIG_NUMBER(S, roster_floor, "0", 0, ROSTER_NUMBER_MAX,
                     "Rosters with a lower number are refused, also after a restart. Raise it when "
                     "an hsm was stolen."),
    KS_CONFIG_NUMBER(S, cache_entries, "4096", KS_KEY_CACHE_MIN, KS_KEY_CACHE_MAX,
                     "Keys held unsealed, rounded up to a power of two, up to 2 KiB of locked "
                     "memory each. Beyond it the key used longest ago is wiped."),
    KS_CONFIG_BOOL(S, allow_unlocked_memory, "false",
                   "Start even if memory cannot be locked: keys may then reach swap. For trials "
                   "only."),
    KS_CONFIG_BOOL(
        S, development, "false",
        "The PIN may lie where its token does: whoever gets that disk gets every key. For "
        "trials and local installations only."),
    KS_CONFIG_BOOL(S, fips, "false",
                   "Only algorithms of OpenSSL's FIPS provider; does not start without it."),
};

#undef S

const struct ks_config_table ks_hsm_settings_table = {
    .program = "keystead-hsm",
    .about = "Holds the root, node and domain keys of one zone and uses unsealed key material. "
             "Runs as a user of its own.",
    .options = options,
    .option_count = KS_COUNT(options),
};

ks_result ks_hsm_settings_load(const char *path, struct ks_hsm_settings *ret_settings)
{
    assert(path && ret_settings);

    char error[KS_CONFIG_ERROR_LEN] = "";
    ks_result r = ks_config_load(&ks_hsm_settings_table, path, ret_settings, error);
    if (ks_failed(r)) {
        fprintf(stderr, "keystead-hsm: %s\n", error);
        return r;
    }
    if (!ks_is_zone_of(ks_bytes_of(ret_settings->zone), ks_bytes_of(ret_settings->region))) {
        fprintf(stderr, "keystead-hsm: %.150s: 'zone' must be a well-formed region and a letter\n",
                path);
        ks_hsm_settings_done(ret_settings);
        return KS_RES(VALIDATION);
    }
    return KS_RES(OK);
}

void ks_hsm_settings_done(struct ks_hsm_settings *settings)
{
    ks_config_done(&ks_hsm_settings_table, settings);
}
