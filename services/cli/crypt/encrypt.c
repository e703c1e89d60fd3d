/* encrypt: a short input becomes a blob, a longer one a file under a data key. */

#include <string.h>
#include <unistd.h>

#include "keystead/kms/v1/kms.pb-c.h"
#include "pkg/base/mem.h"
#include "pkg/crypto/crypto.h"
#include "pkg/crypto/random.h"
#include "pkg/operation/operation.h"
#include "services/cli/crypt/crypt.h"
#include "services/cli/crypt/stream.h"
#include "services/cli/file/file.h"
#include "services/cli/service/call.h"
#include "services/cli/service/request.h"

static const struct ks_method data_key_call = KS_KMS_METHOD(GenerateDataKey);

static ks_result encrypt_blob(struct ks_cli *cli, const struct ks_sink *sink, ks_bytes plaintext)
{
    const struct ks_method *method = cli->arguments.command->method;
    ProtobufCMessage *request;
    ProtobufCMessage *response;
    KS_TRY(ks_call_request(cli, method, &request));
    Keystead__Kms__V1__EncryptRequest *encrypt = (Keystead__Kms__V1__EncryptRequest *)request;
    encrypt->plaintext = (ProtobufCBinaryData){plaintext.len, (uint8_t *)(uintptr_t)plaintext.ptr};
    KS_TRY(ks_call(cli, method, request, &response));
    const ProtobufCBinaryData *blob =
        &((const Keystead__Kms__V1__EncryptResponse *)response)->ciphertext_blob;
    return ks_sink_write(sink, (ks_bytes){blob->data, blob->len}, &cli->failure);
}

/* Makes a data key for one file, and the header that holds it. */
static ks_result make_data_key(struct ks_cli *cli, ks_secret *ret_key, struct ks_buffer *header)
{
    ProtobufCMessage *request;
    ProtobufCMessage *response;
    KS_TRY(ks_call_request(cli, &data_key_call, &request));
    KS_TRY(ks_request_set(request, "key_spec", "AES_256", &cli->failure));
    KS_TRY(ks_call(cli, &data_key_call, request, &response));
    Keystead__Kms__V1__GenerateDataKeyResponse *made =
        (Keystead__Kms__V1__GenerateDataKeyResponse *)response;
    if (made->plaintext.len != KS_FILE_DATA_KEY_LEN) {
        return ks_fail(&cli->failure, KS_INTERNAL, "the service's data key has a wrong length");
    }
    memcpy(ret_key->bytes, made->plaintext.data, made->plaintext.len);
    ret_key->len = made->plaintext.len;
    ks_wipe(made->plaintext.data, made->plaintext.len);

    uint8_t nonce[KS_FILE_NONCE_LEN];
    KS_TRY(ks_random_public(nonce, sizeof(nonce)));
    return ks_file_header_write(
        nonce, (ks_bytes){made->ciphertext_blob.data, made->ciphertext_blob.len}, header);
}

static ks_result seal_segments(struct ks_cli *cli, struct ks_file *file, struct ks_source *source,
                               const struct ks_sink *sink)
{
    static uint8_t sealed[KS_FILE_SEALED_LEN];
    struct ks_progress progress;
    ks_progress_begin(&progress, "encrypted", ks_source_size(source));
    ks_result r = KS_RES(OK);
    for (bool is_last = false; !is_last && !ks_failed(r);) {
        ks_bytes content;
        r = ks_source_take(source, KS_FILE_SEGMENT_LEN, &content, &is_last, &cli->failure);
        if (!ks_failed(r)) {
            r = ks_file_seal(file, content, is_last, sealed);
        }
        if (!ks_failed(r)) {
            ks_progress_add(&progress, content.len);
            r = ks_sink_write(sink, (ks_bytes){sealed, content.len + KS_FILE_TAG_LEN},
                              &cli->failure);
        }
    }
    ks_progress_end(&progress);
    return r;
}

static ks_result encrypt_file(struct ks_cli *cli, struct ks_source *source,
                              const struct ks_sink *sink)
{
    KS_SECRET_AUTO key = {0};
    KS_BUFFER_AUTO header = {.len_max = KS_FILE_HEADER_MAX};
    KS_CRYPTO_AUTO *crypto = ks_crypto_new();
    KS_FILE_AUTO *file = NULL;
    KS_TRY(make_data_key(cli, &key, &header));
    KS_TRY(ks_file_new(crypto, &key, ks_buffer_bytes(&header), &file));
    KS_TRY(ks_sink_write(sink, ks_buffer_bytes(&header), &cli->failure));
    return seal_segments(cli, file, source, sink);
}

ks_result ks_run_encrypt(struct ks_cli *cli)
{
    struct ks_sink sink = ks_sink_of(STDOUT_FILENO, ks_argument_given(&cli->arguments, "force"));
    KS_TRY(ks_sink_check_binary(&sink, &cli->failure));
    KS_SOURCE_AUTO source = {.file = STDIN_FILENO};
    ks_bytes front;
    const struct ks_member *plaintext =
        ks_method_member(cli->arguments.command->method, "plaintext");
    size_t len_max = (size_t)plaintext->max;
    KS_TRY(ks_source_peek(&source, len_max + 1, &front, &cli->failure));
    if (front.len >= (size_t)plaintext->min && front.len <= len_max) {
        return encrypt_blob(cli, &sink, front);
    }
    return encrypt_file(cli, &source, &sink);
}
