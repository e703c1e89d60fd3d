/* key create: a key, and its alias if one is wanted. */

#include <stddef.h>

#include "keystead/kms/v1/kms.pb-c.h"
#include "pkg/arn/name.h"
#include "services/cli/call.h"
#include "services/cli/commands.h"
#include "services/cli/request.h"

#define SERVICE "/keystead.kms.v1.KeyManagementService/"

static const struct ks_call create_key = {
    .method = SERVICE "CreateKey",
    .request = &keystead__kms__v1__create_key_request__descriptor,
    .response = &keystead__kms__v1__create_key_response__descriptor};
static const struct ks_call describe_key = {
    .method = SERVICE "DescribeKey",
    .request = &keystead__kms__v1__describe_key_request__descriptor,
    .response = &keystead__kms__v1__describe_key_response__descriptor};
static const struct ks_call create_alias = {
    .method = SERVICE "CreateAlias",
    .request = &keystead__kms__v1__create_alias_request__descriptor,
    .response = &keystead__kms__v1__create_alias_response__descriptor};

/* Asked before the key is made: one without the name that it was made for helps nobody. */
static ks_result check_alias_is_free(struct ks_cli *cli, const char *alias)
{
    if (!ks_alias_is_valid(ks_bytes_of(alias))) {
        return ks_fail(&cli->failure, KS_INVALID_ALIAS_NAME,
                       "'%.256s' is no alias: it is alias/ and letters, digits, / _ or -", alias);
    }
    Keystead__Kms__V1__DescribeKeyRequest request = KEYSTEAD__KMS__V1__DESCRIBE_KEY_REQUEST__INIT;
    ProtobufCMessage *response;
    request.key_id = (char *)(uintptr_t)alias;
    ks_result r = ks_call(cli, &describe_key, &request.base, &response);
    if (!ks_failed(r)) {
        return ks_fail(&cli->failure, KS_ALREADY_EXISTS, "%.256s names a key already", alias);
    }
    return r.code == KS_NOT_FOUND ? KS_RES(OK) : r;
}

static ks_result name_key(struct ks_cli *cli, const char *alias,
                          const Keystead__Kms__V1__KeyMetadata *key)
{
    ProtobufCMessage *request;
    ProtobufCMessage *response;
    KS_TRY(ks_call_request(cli, &create_alias, &request));
    KS_TRY(ks_request_set(request, "alias_name", alias, &cli->failure));
    KS_TRY(ks_request_set(request, "target_key_id", key->key_id, &cli->failure));
    ks_result r = ks_call(cli, &create_alias, request, &response);
    if (ks_failed(r)) {
        struct ks_failure why = cli->failure;
        return ks_fail(&cli->failure, r.code, "the key %s was made, but not its alias: %.300s",
                       key->key_id, why.text);
    }
    return KS_RES(OK);
}

ks_result ks_run_key_create(struct ks_cli *cli)
{
    const char *alias = ks_argument(&cli->arguments, "alias");
    ProtobufCMessage *request;
    ProtobufCMessage *response;
    KS_TRY(ks_call_request(cli, &create_key, &request));
    if (alias) {
        KS_TRY(check_alias_is_free(cli, alias));
    }
    KS_TRY(ks_call(cli, &create_key, request, &response));
    const Keystead__Kms__V1__KeyMetadata *key =
        ((const Keystead__Kms__V1__CreateKeyResponse *)response)->key_metadata;
    if (!key) {
        return ks_fail(&cli->failure, KS_INTERNAL, "the service's answer cannot be read");
    }
    if (alias) {
        KS_TRY(name_key(cli, alias, key));
    }
    return ks_call_print(cli, response);
}
