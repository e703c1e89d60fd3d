/* decrypt: opens blobs and files, which differ in their first bytes. */

#include <string.h>
#include <unistd.h>

#include "keystead/kms/v1/kms.pb-c.h"
#include "pkg/base/mem.h"
#include "pkg/crypto/crypto.h"
#include "services/cli/crypt/crypt.h"
#include "services/cli/crypt/stream.h"
#include "services/cli/file/file.h"
#include "services/cli/service/call.h"
#include "services/cli/service/request.h"

#define BLOB_MAX KS_FILE_BLOB_MAX /* AWS KMS API: Decrypt */

/* ret_plaintext is borrowed from cli->arena; the caller wipes it. */
static ks_result open_blob(struct ks_cli *cli, ks_bytes blob, ProtobufCBinaryData **ret_plaintext)
{
    const struct ks_method *method = cli->arguments.command->method;
    ProtobufCMessage *request;
    ProtobufCMessage *response;
    KS_TRY(ks_call_request(cli, method, &request));
    Keystead__Kms__V1__DecryptRequest *decrypt = (Keystead__Kms__V1__DecryptRequest *)request;
    decrypt->ciphertext_blob = (ProtobufCBinaryData){blob.len, (uint8_t *)(uintptr_t)blob.ptr};
    KS_TRY(ks_call(cli, method, request, &response));
    *ret_plaintext = &((Keystead__Kms__V1__DecryptResponse *)response)->plaintext;
    return KS_RES(OK);
}

static ks_result decrypt_blob(struct ks_cli *cli, struct ks_source *source,
                              const struct ks_sink *sink)
{
    ks_bytes blob;
    KS_TRY(ks_source_peek(source, BLOB_MAX + 1, &blob, &cli->failure));
    if (blob.len == 0) {
        return ks_fail(&cli->failure, KS_INVALID_CIPHERTEXT, "the input is empty");
    }
    if (blob.len > BLOB_MAX) {
        return ks_fail(
            &cli->failure, KS_INVALID_CIPHERTEXT,
            "the input was not made by 'keystead encrypt': it is longer than a blob, and "
            "does not begin as a file");
    }
    ProtobufCBinaryData *plaintext;
    KS_TRY(open_blob(cli, blob, &plaintext));
    ks_result r = ks_sink_write(sink, (ks_bytes){plaintext->data, plaintext->len}, &cli->failure);
    ks_wipe(plaintext->data, plaintext->len);
    return r;
}

/* ---- Files ---- */

/* The header, appended to out. */
static ks_result take_header(struct ks_cli *cli, struct ks_source *source, struct ks_buffer *out)
{
    ks_bytes front;
    size_t len;
    bool is_last;
    KS_TRY(ks_source_peek(source, KS_FILE_FRONT_LEN, &front, &cli->failure));
    ks_result r = ks_file_header_len(front, &len);
    if (r.code == KS_UNSUPPORTED) {
        return ks_fail(&cli->failure, r.code,
                       "the file is of a version that this program does not know; a newer one may");
    }
    if (ks_failed(r)) {
        return ks_fail(&cli->failure, r.code, "the file's header is damaged or cut short");
    }
    KS_TRY(ks_source_take(source, len, &front, &is_last, &cli->failure));
    return ks_buffer_append(out, front);
}

/* Has the service open the data key in the header. */
static ks_result open_data_key(struct ks_cli *cli, ks_bytes header, ks_secret *ret_key)
{
    ks_bytes blob;
    ProtobufCBinaryData *plaintext;
    ks_result r = ks_file_header_blob(header, &blob);
    if (ks_failed(r)) {
        return ks_fail(&cli->failure, r.code, "the file's header is damaged or cut short");
    }
    KS_TRY(open_blob(cli, blob, &plaintext));
    if (plaintext->len != KS_FILE_DATA_KEY_LEN) {
        ks_wipe(plaintext->data, plaintext->len);
        return ks_fail(&cli->failure, KS_INVALID_CIPHERTEXT,
                       "what the file's header holds is no data key");
    }
    memcpy(ret_key->bytes, plaintext->data, plaintext->len);
    ret_key->len = plaintext->len;
    ks_wipe(plaintext->data, plaintext->len);
    return KS_RES(OK);
}

static ks_result complain_of_segment(struct ks_cli *cli, ks_code code, uint64_t written)
{
    if (code != KS_INVALID_CIPHERTEXT) {
        return (ks_result){code};
    }
    if (written == 0) {
        return ks_fail(&cli->failure, code,
                       "the file is damaged or cut short; nothing was written");
    }
    return ks_fail(&cli->failure, code,
                   "the file is damaged or cut short after %llu bytes: the output so far is what "
                   "was encrypted, but INCOMPLETE; do not use it as a whole",
                   (unsigned long long)written);
}

static ks_result open_segments(struct ks_cli *cli, struct ks_file *file, struct ks_source *source,
                               const struct ks_sink *sink)
{
    static uint8_t content[KS_FILE_SEGMENT_LEN];
    struct ks_progress progress;
    ks_progress_begin(&progress, "decrypted", ks_source_size(source));
    ks_result r = KS_RES(OK);
    for (bool is_last = false; !is_last && !ks_failed(r);) {
        ks_bytes sealed;
        r = ks_source_take(source, KS_FILE_SEALED_LEN, &sealed, &is_last, &cli->failure);
        if (ks_failed(r)) {
            break;
        }
        r = ks_file_open(file, sealed, is_last, content);
        if (ks_failed(r)) {
            r = complain_of_segment(cli, r.code, progress.done);
            break;
        }
        size_t len = sealed.len - KS_FILE_TAG_LEN;
        r = ks_sink_write(sink, (ks_bytes){content, len}, &cli->failure);
        ks_progress_add(&progress, len);
    }
    ks_progress_end(&progress);
    ks_wipe(content, sizeof(content));
    return r;
}

static ks_result decrypt_file(struct ks_cli *cli, struct ks_source *source,
                              const struct ks_sink *sink)
{
    KS_SECRET_AUTO key = {0};
    KS_BUFFER_AUTO header = {.len_max = KS_FILE_HEADER_MAX};
    KS_CRYPTO_AUTO *crypto = ks_crypto_new();
    KS_FILE_AUTO *file = NULL;
    KS_TRY(take_header(cli, source, &header));
    KS_TRY(open_data_key(cli, ks_buffer_bytes(&header), &key));
    KS_TRY(ks_file_new(crypto, &key, ks_buffer_bytes(&header), &file));
    return open_segments(cli, file, source, sink);
}

ks_result ks_run_decrypt(struct ks_cli *cli)
{
    struct ks_sink sink = ks_sink_of(STDOUT_FILENO, ks_argument_given(&cli->arguments, "force"));
    KS_SOURCE_AUTO source = {.file = STDIN_FILENO};
    ks_bytes front;
    KS_TRY(ks_source_peek(&source, KS_FILE_MAGIC_LEN, &front, &cli->failure));
    return ks_file_is(front) ? decrypt_file(cli, &source, &sink)
                             : decrypt_blob(cli, &source, &sink);
}
