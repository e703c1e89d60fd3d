/* key create: a key, and its alias if one is wanted. */

#include <stddef.h>

#include "keystead/kms/v1/kms.pb-c.h"
#include "pkg/arn/name.h"
#include "services/cli/commands/commands.h"
#include "services/cli/service/call.h"
#include "services/cli/service/request.h"

static const struct ks_method create_key = KS_KMS_METHOD(CreateKey, create_key);
static const struct ks_method describe_key = KS_KMS_METHOD(DescribeKey, describe_key);
static const struct ks_method create_alias = KS_KMS_METHOD(CreateAlias, create_alias);

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
