/* The command custodians: private keys for the custodians, and their kit. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "pkg/crypto/ec.h"
#include "pkg/crypto/x509.h"
#include "pkg/custody/kit.h"
#include "services/hsm/process/offline.h"
#include "services/hsm/process/offline_files.h"

#define THRESHOLD_DEFAULT "2"
#define COUNT_DEFAULT     "3"
#define KIT_NAME          "custodians.kit"

static bool read_number(const char *text, uint32_t max, uint32_t *ret_number)
{
    char *end = NULL;
    errno = 0;
    unsigned long number = text[0] >= '0' && text[0] <= '9' ? strtoul(text, &end, 10) : 0;
    if (!end || *end != '\0' || errno != 0 || number == 0 || number > max) {
        return false;
    }
    *ret_number = (uint32_t)number;
    return true;
}

static int read_kit(const struct ks_offline_arguments *given, struct ks_kit *ret_kit)
{
    uint32_t needed = 0;
    uint32_t count = 0;
    if (!ks_is_region(ks_bytes_of(given->region))) {
        return ks_complain_usage("'%.64s' is no region", given->region);
    }
    if (!read_number(given->period, UINT32_MAX, &ret_kit->period)) {
        return ks_complain_usage("--period is a number from 1");
    }
    if (!read_number(given->count ? given->count : COUNT_DEFAULT, KS_CUSTODIANS_MAX, &count)) {
        return ks_complain_usage("--count is a number from 1 to %u", KS_CUSTODIANS_MAX);
    }
    if (!read_number(given->threshold ? given->threshold : THRESHOLD_DEFAULT, count, &needed)) {
        return ks_complain_usage("--threshold is a number from 1 to --count");
    }
    memcpy(ret_kit->region, given->region, strlen(given->region) + 1);
    ret_kit->needed = (uint8_t)needed;
    ret_kit->count = (uint8_t)count;
    return KS_EXIT_OK;
}

/* The path of a file in the folder; says so on stderr if it is too long. */
static bool name_file(const char *folder, const char *name, char ret_path[static PATH_MAX])
{
    int len = snprintf(ret_path, PATH_MAX, "%s/%s", folder, name);
    if (len < 0 || len >= PATH_MAX) {
        (void)ks_complain("the path %.200s... is too long", folder);
        return false;
    }
    return true;
}

static ks_result make_custodian(const char *folder, unsigned number, uint8_t *ret_public)
{
    char name[32];
    char path[PATH_MAX];
    KS_EC_AUTO *key = NULL;
    KS_BUFFER_AUTO pem = {.len_max = KS_EC_PRIVATE_PEM_MAX};
    KS_BUFFER_AUTO spki = {.len_max = KS_CUSTODY_PUBLIC_LEN};
    snprintf(name, sizeof(name), "custodian-%u.key", number);
    if (!name_file(folder, name, path)) {
        return KS_RES(VALIDATION);
    }
    KS_TRY(ks_ec_generate(KS_EC_P384, &key));
    KS_TRY(ks_ec_write_private_pem(key, &pem));
    KS_TRY(ks_ec_write_public_der(key, &spki));
    KS_TRY(ks_offline_make(path, ks_buffer_bytes(&pem), false));
    memcpy(ret_public, spki.ptr, spki.len);
    return KS_RES(OK);
}

/* A folder that holds a kit or keys of an earlier run is no place for others. */
static bool is_free(const char *folder, const char *name)
{
    char path[PATH_MAX];
    struct stat status;
    if (!name_file(folder, name, path)) {
        return false;
    }
    if (lstat(path, &status) == 0) {
        (void)ks_complain("%s is there already: make the custodians' keys in an empty folder",
                          path);
        return false;
    }
    return true;
}

static bool take_folder(const char *folder)
{
    if (mkdir(folder, 0700) != 0 && errno != EEXIST) {
        (void)ks_complain("cannot make the folder %.400s: %s", folder, strerror(errno));
        return false;
    }
    for (unsigned i = 1; i <= KS_CUSTODIANS_MAX; i++) {
        char name[32];
        snprintf(name, sizeof(name), "custodian-%u.key", i);
        if (!is_free(folder, name)) {
            return false;
        }
    }
    return is_free(folder, KIT_NAME);
}

/* The kit comes last: where it stands, all keys do. */
static ks_result make_all(const char *folder, const struct ks_ec_key *root, struct ks_kit *kit)
{
    char path[PATH_MAX];
    KS_BUFFER_AUTO bytes = {.len_max = KS_KIT_LEN_MAX};
    for (unsigned i = 0; i < kit->count; i++) {
        KS_TRY(make_custodian(folder, i + 1, kit->keys[i]));
    }
    if (!name_file(folder, KIT_NAME, path)) {
        return KS_RES(VALIDATION);
    }
    KS_TRY(ks_kit_sign(kit, root, &bytes));
    return ks_offline_make(path, ks_buffer_bytes(&bytes), true);
}

int ks_offline_custodians(const struct ks_offline_arguments *given)
{
    struct ks_kit kit = {.period = 0};
    KS_EC_AUTO *root = NULL;
    KS_BUFFER_AUTO certificate = {.len_max = KS_X509_DER_MAX};
    int code = read_kit(given, &kit);
    if (code != KS_EXIT_OK) {
        return code;
    }
    if (ks_failed(ks_offline_begin()) ||
        ks_failed(ks_offline_read_root(given->hsm_root, &certificate, &root)) ||
        !take_folder(given->out)) {
        return KS_EXIT_FAILED;
    }
    ks_result r = make_all(given->out, root, &kit);
    if (ks_failed(r)) {
        return ks_complain("no kit made (%s): remove what is in %.400s", ks_code_name(r.code),
                           given->out);
    }
    printf("custodians of %s, period %u: any %u of %u open its backups together\n"
           "kit         %s/" KIT_NAME " (public: give it to the region)\n"
           "keys        %s/custodian-1.key to custodian-%u.key: take each off this machine, to a\n"
           "            person of its own, and remove them here\n",
           kit.region, kit.period, kit.needed, kit.count, given->out, given->out, kit.count);
    return KS_EXIT_OK;
}
