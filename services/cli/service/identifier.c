#include "services/cli/service/identifier.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "keystead/kms/v1/kms.pb-c.h"
#include "pkg/operation/operation.h"
#include "services/cli/service/call.h"

#define ALIAS_PREFIX "alias/"

static const struct ks_method describe_key = KS_KMS_METHOD(DescribeKey);

ks_result ks_identifier_look_up(struct ks_cli *cli, const char *word,
                                const Keystead__Kms__V1__KeyMetadata **ret_key)
{
    Keystead__Kms__V1__DescribeKeyRequest request = KEYSTEAD__KMS__V1__DESCRIBE_KEY_REQUEST__INIT;
    ProtobufCMessage *response;
    request.key_id = (char *)(uintptr_t)word;
    KS_TRY(ks_call(cli, &describe_key, &request.base, &response));
    const Keystead__Kms__V1__KeyMetadata *key =
        ((const Keystead__Kms__V1__DescribeKeyResponse *)response)->key_metadata;
    if (!key || !key->arn[0]) {
        return ks_fail(&cli->failure, KS_INTERNAL, "the service's answer cannot be read");
    }
    *ret_key = key;
    return KS_RES(OK);
}

/* Whether a word is an alias name or an alias ARN; whether it is a valid one, the service says. */
static bool is_alias(const char *word)
{
    bool is_arn = strncmp(word, "arn:", strlen("arn:")) == 0;
    const char *resource = is_arn ? strrchr(word, ':') + 1 : word;
    return strncmp(resource, ALIAS_PREFIX, strlen(ALIAS_PREFIX)) == 0;
}

ks_result ks_identifier_resolve(struct ks_cli *cli, const struct ks_method *method,
                                const char *field, const char **word)
{
    const struct ks_member *member = ks_method_member(method, field);
    if (!member || member->key_form != KS_KEY_FORM_KEY || !is_alias(*word)) {
        return KS_RES(OK);
    }
    const Keystead__Kms__V1__KeyMetadata *key = NULL;
    KS_TRY(ks_identifier_look_up(cli, *word, &key));
    assert(key);

    *word = key->arn;
    return KS_RES(OK);
}
