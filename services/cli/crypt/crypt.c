/* re-encrypt, data-key and random: one call each, with something before or behind it. */

#include <stdint.h>
#include <unistd.h>

#include "keystead/kms/v1/kms.pb-c.h"
#include "services/cli/crypt/crypt.h"
#include "services/cli/crypt/stream.h"
#include "services/cli/file/file.h"
#include "services/cli/service/call.h"
#include "services/cli/service/request.h"

#define BLOB_MAX KS_FILE_BLOB_MAX

ks_result ks_run_re_encrypt(struct ks_cli *cli)
{
    const struct ks_method *method = cli->arguments.command->method;
    struct ks_sink sink = ks_sink_of(STDOUT_FILENO, ks_argument_given(&cli->arguments, "force"));
    KS_TRY(ks_sink_check_binary(&sink, &cli->failure));
    KS_SOURCE_AUTO source = {.file = STDIN_FILENO};
    ks_bytes blob;
    KS_TRY(ks_source_peek(&source, BLOB_MAX + 1, &blob, &cli->failure));
    if (blob.len == 0 || blob.len > BLOB_MAX || ks_file_is(blob)) {
        return ks_fail(&cli->failure, KS_INVALID_CIPHERTEXT,
                       "the input is no ciphertext blob; decrypt and encrypt a file anew");
    }
    ProtobufCMessage *request;
    ProtobufCMessage *response;
    KS_TRY(ks_call_request(cli, method, &request));
    ((Keystead__Kms__V1__ReEncryptRequest *)request)->ciphertext_blob =
        (ProtobufCBinaryData){blob.len, (uint8_t *)(uintptr_t)blob.ptr};
    KS_TRY(ks_call(cli, method, request, &response));
    const ProtobufCBinaryData *made =
        &((const Keystead__Kms__V1__ReEncryptResponse *)response)->ciphertext_blob;
    return ks_sink_write(&sink, (ks_bytes){made->data, made->len}, &cli->failure);
}

static const struct ks_method without_plaintext = KS_KMS_METHOD(GenerateDataKeyWithoutPlaintext);

ks_result ks_run_data_key(struct ks_cli *cli)
{
    const struct ks_arguments *arguments = &cli->arguments;
    const struct ks_method *method = ks_argument_given(arguments, "without-plaintext")
                                         ? &without_plaintext
                                         : arguments->command->method;
    ProtobufCMessage *request;
    ProtobufCMessage *response;
    KS_TRY(ks_call_request(cli, method, &request));
    if (!ks_argument_given(arguments, "bytes") && !ks_argument_given(arguments, "spec")) {
        KS_TRY(ks_request_set(request, "key_spec", "AES_256", &cli->failure));
    }
    KS_TRY(ks_call(cli, method, request, &response));
    return ks_call_print(cli, response);
}

ks_result ks_run_random(struct ks_cli *cli)
{
    const struct ks_method *method = cli->arguments.command->method;
    struct ks_sink sink = ks_sink_of(STDOUT_FILENO, ks_argument_given(&cli->arguments, "force"));
    bool raw = ks_argument_given(&cli->arguments, "raw");
    if (raw) {
        KS_TRY(ks_sink_check_binary(&sink, &cli->failure));
    }
    ProtobufCMessage *request;
    ProtobufCMessage *response;
    KS_TRY(ks_call_request(cli, method, &request));
    KS_TRY(ks_call(cli, method, request, &response));
    if (!raw) {
        return ks_call_print(cli, response);
    }
    const ProtobufCBinaryData *drawn =
        &((const Keystead__Kms__V1__GenerateRandomResponse *)response)->plaintext;
    return ks_sink_write(&sink, (ks_bytes){drawn->data, drawn->len}, &cli->failure);
}
