#include "services/hsm/process/safe.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "pkg/crypto/ec.h"
#include "pkg/crypto/random.h"
#include "pkg/crypto/x509.h"
#include "pkg/form/form.h"
#include "pkg/form/names.h"
#include "pkg/pkcs11/pin.h"
#include "pkg/pkcs11/token.h"
#include "pkg/transit/peer.h"
#include "pkg/transit/roster.h"
#include "services/hsm/answer/hsm.h"
#include "services/hsm/process/pin_place.h"

#define VERSION       1U
#define ROOT_KEY      "keystead-root"
#define AAD_MAX       (64U + 1U + 2U + KS_REGION_LEN_MAX + KS_ZONE_LEN_MAX)
#define NOT_THERE     "run `keystead-hsm init`, have the request signed, then `keystead-hsm enrol`"
#define NOT_THIS_ONES "the token was initialised for another region, zone or root key"

/*
 * What the root key wraps. The names of two objects never stand for each other, because the label is
 * authenticated with what is wrapped.
 */
static const struct object {
    const char *name;  /* in the token */
    const char *label; /* of proto/formats/labels.md */
} NODE_KEY = {"keystead-node-key", "keystead/node-key/v1"},
  IDENTITY_KEY = {"keystead-identity-key", "keystead/identity-key/v1"},
  CERTIFICATE = {"keystead-certificate", "keystead/hsm-certificate/v1"},
  HSM_ROOT = {"keystead-hsm-root", "keystead/hsm-root/v1"},
  ROSTER_FLOOR = {"keystead-roster-floor", "keystead/roster-floor/v1"};

/* An open token and what its objects are bound to. */
struct safe {
    const struct ks_hsm_settings *settings;
    struct ks_token *token;
    ks_token_key root_key;
    const char **reterr_hint;
};

static void close_safe(struct safe *safe)
{
    ks_token_close(safe->token);
}

#define SAFE_AUTO KS_CLEANUP(close_safe) struct safe

static ks_result fail(const struct safe *safe, ks_result r, const char *hint)
{
    *safe->reterr_hint = hint;
    return r;
}

/* A token, and where its PIN is. */
struct place {
    struct ks_token_options options;
    char pin_path[KS_PIN_PATH_LEN_MAX];
};

/* ret_place must stay where it is while it is used. */
static ks_result find_token(const struct ks_hsm_settings *settings, struct place *ret_place,
                            const char **reterr_hint)
{
    if (settings->token_config[0] != '\0' &&
        setenv("SOFTHSM2_CONF", settings->token_config, 1) != 0) {
        *reterr_hint = "the environment cannot be set";
        return KS_RES(INTERNAL);
    }
    KS_TRY(ks_pin_place_find(settings, ret_place->pin_path, reterr_hint));
    ret_place->options = (struct ks_token_options){
        .module_path = settings->token_module,
        .token_label = settings->token_label,
        .pin_path = ret_place->pin_path,
    };
    return ks_pin_place_check(settings, ret_place->pin_path, reterr_hint);
}

ks_result ks_safe_make_token(const struct ks_hsm_settings *settings, const char **reterr_hint)
{
    assert(settings && reterr_hint);

    struct place place;
    KS_TRY(find_token(settings, &place, reterr_hint));
    return ks_token_create(&place.options, reterr_hint);
}

static ks_result open_safe(struct safe *safe)
{
    struct place place;
    KS_TRY(find_token(safe->settings, &place, safe->reterr_hint));
    return ks_token_open(&place.options, &safe->token, safe->reterr_hint);
}

static ks_bytes write_aad(const struct safe *safe, const char *label, uint8_t *place)
{
    struct ks_writer out = {.ptr = place, .capacity = AAD_MAX};
    ks_write_bytes(&out, ks_bytes_of(label));
    ks_write_u8(&out, 0);
    ks_write_short(&out, ks_bytes_of(safe->settings->region));
    ks_write_short(&out, ks_bytes_of(safe->settings->zone));
    assert(!out.full);
    return ks_written(&out);
}

/* Stores content, wrapped by the root key. */
static ks_result put_wrapped(struct safe *safe, struct object what, ks_bytes content)
{
    uint8_t aad[AAD_MAX];
    static const uint8_t version = VERSION;
    KS_BUFFER_AUTO object = {.len_max = KS_TOKEN_OBJECT_MAX};
    KS_TRY(ks_buffer_append(&object, (ks_bytes){&version, 1}));
    KS_TRY(ks_token_wrap(safe->token, safe->root_key, write_aad(safe, what.label, aad), content,
                         &object));
    return ks_token_put(safe->token, what.name, ks_buffer_bytes(&object));
}

/* Fails: NOT_FOUND, INVALID_CIPHERTEXT, INTERNAL. */
static ks_result get_wrapped(struct safe *safe, struct object what, struct ks_buffer *out)
{
    uint8_t aad[AAD_MAX];
    KS_BUFFER_AUTO object = {.len_max = KS_TOKEN_OBJECT_MAX};
    ks_result r = ks_token_get(safe->token, what.name, &object);
    if (ks_failed(r)) {
        return fail(safe, r, NOT_THERE);
    }
    if (object.len == 0 || object.ptr[0] != VERSION) {
        return fail(safe, KS_RES(INVALID_CIPHERTEXT), "the token was written by a newer version");
    }
    ks_buffer_consume(&object, 1);
    r = ks_token_unwrap(safe->token, safe->root_key, write_aad(safe, what.label, aad),
                        ks_buffer_bytes(&object), out);
    return ks_failed(r) ? fail(safe, r, NOT_THIS_ONES) : r;
}

static ks_result read_identity(struct safe *safe, struct ks_ec_key **ret_identity)
{
    KS_BUFFER_AUTO der = {.len_max = KS_TOKEN_WRAP_MAX};
    KS_TRY(get_wrapped(safe, IDENTITY_KEY, &der));
    return ks_ec_read_private(ks_buffer_bytes(&der), ret_identity);
}

static ks_result make_identity(struct safe *safe, struct ks_ec_key **ret_identity)
{
    KS_EC_AUTO *key = NULL;
    KS_BUFFER_AUTO der = {.len_max = KS_TOKEN_WRAP_MAX};
    KS_TRY(ks_ec_generate(KS_EC_P384, &key));
    KS_TRY(ks_ec_write_private_der(key, &der));
    KS_TRY(put_wrapped(safe, IDENTITY_KEY, ks_buffer_bytes(&der)));
    *ret_identity = key;
    key = NULL;
    return KS_RES(OK);
}

static ks_result read_node_key(struct safe *safe, ks_secret *ret_node_key)
{
    KS_BUFFER_AUTO bytes = {.len_max = KS_TOKEN_WRAP_MAX};
    KS_TRY(get_wrapped(safe, NODE_KEY, &bytes));
    if (bytes.len != KS_NODE_KEY_LEN) {
        return fail(safe, KS_RES(INVALID_CIPHERTEXT), "the node key has another length");
    }
    memcpy(ret_node_key->bytes, bytes.ptr, KS_NODE_KEY_LEN);
    ret_node_key->len = KS_NODE_KEY_LEN;
    return KS_RES(OK);
}

static ks_result make_node_key(struct safe *safe)
{
    KS_SECRET_AUTO key = {.len = 0};
    KS_TRY(ks_random_secret(KS_NODE_KEY_LEN, &key));
    return put_wrapped(safe, NODE_KEY, ks_secret_bytes(&key));
}

/* What is there already must open: making a key anew would lose all that hangs on the old one. */
ks_result ks_safe_init(const struct ks_hsm_settings *settings, struct ks_ec_key **ret_identity,
                       const char **reterr_hint)
{
    assert(settings && ret_identity && reterr_hint);

    SAFE_AUTO safe = {.settings = settings, .reterr_hint = reterr_hint};
    KS_SECRET_AUTO node_key = {.len = 0};
    *reterr_hint = "the token does not work";
    KS_TRY(open_safe(&safe));
    KS_TRY(ks_token_find_or_make_root(safe.token, ROOT_KEY, &safe.root_key, reterr_hint));
    ks_result r = read_node_key(&safe, &node_key);
    if (r.code == KS_NOT_FOUND) {
        r = make_node_key(&safe);
    }
    KS_TRY(r);
    r = read_identity(&safe, ret_identity);
    return r.code == KS_NOT_FOUND ? make_identity(&safe, ret_identity) : r;
}

static ks_result open_with_root(struct safe *safe)
{
    *safe->reterr_hint = "the token does not work";
    KS_TRY(open_safe(safe));
    const char *hint = NULL;
    ks_result r = ks_token_find_root(safe->token, ROOT_KEY, &safe->root_key, &hint);
    return ks_failed(r) ? fail(safe, r, r.code == KS_NOT_FOUND ? NOT_THERE : hint) : r;
}

static bool has_key(const struct ks_ec_key *key, const struct ks_ec_key *other)
{
    KS_BUFFER_AUTO a = {.len_max = KS_EC_PUBLIC_DER_MAX};
    KS_BUFFER_AUTO b = {.len_max = KS_EC_PUBLIC_DER_MAX};
    return !ks_failed(ks_ec_write_public_der(key, &a)) &&
           !ks_failed(ks_ec_write_public_der(other, &b)) &&
           ks_bytes_equal(ks_buffer_bytes(&a), ks_buffer_bytes(&b));
}

static ks_result check_certificate(struct safe *safe, const struct ks_peer_trust *trust,
                                   ks_bytes certificate)
{
    struct ks_peer self;
    KS_EC_AUTO *identity = NULL;
    KS_EC_AUTO *certified = NULL;
    KS_TRY(read_identity(safe, &identity));
    if (ks_failed(ks_peer_check(trust, certificate, &self, &certified))) {
        return fail(safe, KS_RES(ACCESS_DENIED),
                    "the certificate is not of that root, not valid now, or names no hsm");
    }
    if (strcmp(self.region, safe->settings->region) != 0 ||
        strcmp(self.zone, safe->settings->zone) != 0) {
        return fail(safe, KS_RES(ACCESS_DENIED), "the certificate names another region or zone");
    }
    if (!has_key(identity, certified)) {
        return fail(safe, KS_RES(ACCESS_DENIED), "the certificate is for another hsm's key");
    }
    return KS_RES(OK);
}

ks_result ks_safe_enrol(const struct ks_hsm_settings *settings, ks_bytes certificate, ks_bytes root,
                        int64_t now_s, const char **reterr_hint)
{
    assert(settings && reterr_hint);

    SAFE_AUTO safe = {.settings = settings, .reterr_hint = reterr_hint};
    KS_BUFFER_AUTO certificate_der = {.len_max = KS_X509_DER_MAX};
    KS_BUFFER_AUTO root_der = {.len_max = KS_X509_DER_MAX};
    if (ks_failed(ks_x509_to_der(certificate, &certificate_der)) ||
        ks_failed(ks_x509_to_der(root, &root_der))) {
        return fail(&safe, KS_RES(ACCESS_DENIED), "certificate or root is not a certificate");
    }
    const struct ks_peer_trust trust = {
        .root = ks_buffer_bytes(&root_der), .trust_domain = settings->trust_domain, .now_s = now_s};
    KS_TRY(open_with_root(&safe));
    KS_TRY(check_certificate(&safe, &trust, ks_buffer_bytes(&certificate_der)));
    KS_TRY(put_wrapped(&safe, HSM_ROOT, ks_buffer_bytes(&root_der)));
    return put_wrapped(&safe, CERTIFICATE, ks_buffer_bytes(&certificate_der));
}

/* Fails: INVALID_CIPHERTEXT, INTERNAL. */
static ks_result read_floor(struct safe *safe, uint64_t *ret_floor)
{
    KS_BUFFER_AUTO bytes = {.len_max = KS_TOKEN_WRAP_MAX};
    ks_result r = get_wrapped(safe, ROSTER_FLOOR, &bytes);
    if (r.code == KS_NOT_FOUND) {
        *ret_floor = 0;
        return KS_RES(OK);
    }
    KS_TRY(r);
    struct ks_reader in = {.rest = ks_buffer_bytes(&bytes)};
    uint64_t floor = ks_read_u64(&in);
    if (!ks_read_all(&in)) {
        return fail(safe, KS_RES(INVALID_CIPHERTEXT), "the roster floor has another length");
    }
    *ret_floor = floor;
    return KS_RES(OK);
}

ks_result ks_safe_load(const struct ks_hsm_settings *settings, struct ks_safe_content *ret_content,
                       const char **reterr_hint)
{
    assert(settings && ret_content && reterr_hint);

    SAFE_AUTO safe = {.settings = settings, .reterr_hint = reterr_hint};
    ret_content->certificate = (struct ks_buffer){.len_max = KS_X509_DER_MAX};
    ret_content->root = (struct ks_buffer){.len_max = KS_X509_DER_MAX};
    KS_TRY(open_with_root(&safe));
    KS_TRY(read_node_key(&safe, &ret_content->node_key));
    KS_TRY(read_identity(&safe, &ret_content->identity));
    KS_TRY(get_wrapped(&safe, CERTIFICATE, &ret_content->certificate));
    KS_TRY(get_wrapped(&safe, HSM_ROOT, &ret_content->root));
    return read_floor(&safe, &ret_content->roster_floor);
}

/* Renewal */

static bool is_same_pin(const char *one, const char *other)
{
    KS_BUFFER_AUTO a = {.len_max = KS_TOKEN_PIN_MAX};
    KS_BUFFER_AUTO b = {.len_max = KS_TOKEN_PIN_MAX};
    const char *hint = NULL;
    return !ks_failed(ks_pin_read(one, &a, &hint)) && !ks_failed(ks_pin_read(other, &b, &hint)) &&
           ks_secret_equal(ks_buffer_bytes(&a), ks_buffer_bytes(&b));
}

/* Whether an hsm of another zone can give this one what its new node key does not open. */
static ks_result check_roster(const struct ks_hsm_settings *settings,
                              const struct ks_safe_content *content, ks_bytes bytes,
                              struct ks_roster *ret_roster)
{
    KS_EC_AUTO *root = NULL;
    struct ks_x509_info info;
    KS_TRY(ks_x509_read(ks_buffer_bytes(&content->root), &info));
    KS_TRY(ks_ec_read_public((ks_bytes){info.spki, info.spki_len}, &root));
    if (ks_failed(ks_roster_open(bytes, root, ret_roster)) ||
        strcmp(ret_roster->region, settings->region) != 0 ||
        ret_roster->number < content->roster_floor) {
        return KS_RES(ACCESS_DENIED);
    }
    for (size_t i = 0; i < ret_roster->count; i++) {
        if (strcmp(ret_roster->entries[i].zone, settings->zone) != 0) {
            return KS_RES(OK);
        }
    }
    return KS_RES(ACCESS_DENIED);
}

/* Makes what the new token lacks. A first try may have been interrupted. */
static ks_result fill_new(struct safe *safe, const struct ks_safe_content *content, uint64_t floor)
{
    KS_SECRET_AUTO node_key = {.len = 0};
    KS_BUFFER_AUTO der = {.len_max = KS_TOKEN_WRAP_MAX};
    uint8_t number[8];
    struct ks_writer out = {.ptr = number, .capacity = sizeof(number)};
    ks_write_u64(&out, floor);
    KS_TRY(open_safe(safe));
    KS_TRY(ks_token_find_or_make_root(safe->token, ROOT_KEY, &safe->root_key, safe->reterr_hint));
    ks_result r = read_node_key(safe, &node_key);
    if (r.code == KS_NOT_FOUND) {
        r = make_node_key(safe);
    }
    KS_TRY(r);
    KS_TRY(ks_ec_write_private_der(content->identity, &der));
    KS_TRY(put_wrapped(safe, IDENTITY_KEY, ks_buffer_bytes(&der)));
    KS_TRY(put_wrapped(safe, CERTIFICATE, ks_buffer_bytes(&content->certificate)));
    KS_TRY(put_wrapped(safe, HSM_ROOT, ks_buffer_bytes(&content->root)));
    return put_wrapped(safe, ROSTER_FLOOR, ks_written(&out));
}

static ks_result check_new(const struct ks_hsm_settings *target,
                           const struct ks_safe_content *content, const char **reterr_hint)
{
    KS_SAFE_CONTENT_AUTO made = {.identity = NULL};
    KS_TRY(ks_safe_load(target, &made, reterr_hint));
    if (content && !has_key(content->identity, made.identity)) {
        *reterr_hint = "the other token holds another hsm";
        return KS_RES(CONFLICT);
    }
    return KS_RES(OK);
}

/* The root key first: an object that is left over opens no more. */
static ks_result destroy_old(struct safe *safe)
{
    static const struct object *const objects[] = {&NODE_KEY, &IDENTITY_KEY, &CERTIFICATE,
                                                   &HSM_ROOT, &ROSTER_FLOOR};
    KS_TRY(open_safe(safe));
    *safe->reterr_hint = "the old token does not let go of its keys: try again";
    KS_TRY(ks_token_destroy_root(safe->token, ROOT_KEY));
    for (size_t i = 0; i < KS_COUNT(objects); i++) {
        ks_result r = ks_token_delete(safe->token, objects[i]->name);
        KS_TRY(r.code == KS_NOT_FOUND ? KS_RES(OK) : r);
    }
    return KS_RES(OK);
}

/* Each opens its token and closes it: a process has one open token at a time. */
static ks_result renew(const struct ks_hsm_settings *settings, const struct ks_hsm_settings *target,
                       const struct ks_safe_content *content, uint64_t floor,
                       const char **reterr_hint)
{
    {
        SAFE_AUTO safe = {.settings = target, .reterr_hint = reterr_hint};
        KS_TRY(fill_new(&safe, content, floor));
    }
    KS_TRY(check_new(target, content, reterr_hint));
    SAFE_AUTO safe = {.settings = settings, .reterr_hint = reterr_hint};
    return destroy_old(&safe);
}

ks_result ks_safe_renew(const struct ks_hsm_settings *settings, const struct ks_safe_renewal *to,
                        const char **reterr_hint)
{
    assert(settings && to && reterr_hint);

    KS_SAFE_CONTENT_AUTO content = {.identity = NULL};
    struct ks_roster roster;
    struct ks_hsm_settings target = *settings; /* its texts are borrowed */
    target.token_label = (char *)(uintptr_t)to->token_label;
    target.pin_file = (char *)(uintptr_t)to->pin_file;
    if (strcmp(settings->token_label, to->token_label) == 0 ||
        is_same_pin(settings->pin_file, to->pin_file)) {
        *reterr_hint = "a renewal needs another token and another PIN";
        return KS_RES(VALIDATION);
    }
    ks_result r = ks_safe_load(settings, &content, reterr_hint);
    if (r.code == KS_NOT_FOUND && !ks_failed(check_new(&target, NULL, reterr_hint))) {
        return KS_RES(OK); /* it was done, and nobody learned of it */
    }
    KS_TRY(r);
    r = check_roster(settings, &content, to->roster, &roster);
    if (ks_failed(r)) {
        *reterr_hint = "the roster is not the region's newest, or names no hsm of another zone: "
                       "nobody could give this hsm its domain keys again";
        return r;
    }
    return renew(settings, &target, &content, roster.number, reterr_hint);
}

void ks_safe_content_done(struct ks_safe_content *content)
{
    ks_secret_wipe(&content->node_key);
    ks_ec_free(content->identity);
    content->identity = NULL;
    ks_buffer_done(&content->certificate);
    ks_buffer_done(&content->root);
}
