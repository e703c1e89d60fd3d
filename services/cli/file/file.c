#include "services/cli/file/file.h"

#include <assert.h>
#include <string.h>

#include "pkg/base/mem.h"
#include "pkg/crypto/aead.h"
#include "pkg/crypto/crypto.h"
#include "pkg/crypto/hash.h"
#include "pkg/crypto/kdf.h"
#include "pkg/form/form.h"

#define VERSION   1U
#define ALGORITHM 1U

#define FILE_LABEL KS_LITERAL("keystead/file/v1")
#define MAGIC      KS_LITERAL("\x89KSF\r\n\x1a\n")

static_assert(KS_FILE_FRONT_LEN == KS_FILE_MAGIC_LEN + 1 + 1 + KS_FILE_NONCE_LEN + 2, "front");
static_assert(KS_FILE_TAG_LEN == KS_AEAD_TAG_LEN, "tag");

struct ks_file {
    struct ks_crypto *crypto; /* borrowed */
    ks_secret key;
    uint32_t index; /* of the next segment */
    bool ended;     /* the last one was sealed or opened */
};

bool ks_file_is(ks_bytes front)
{
    return ks_bytes_starts_with(front, MAGIC);
}

ks_result ks_file_header_write(const uint8_t nonce[static KS_FILE_NONCE_LEN], ks_bytes blob,
                               struct ks_buffer *out)
{
    if (blob.len == 0 || blob.len > KS_FILE_BLOB_MAX) {
        return KS_RES(VALIDATION);
    }
    uint8_t header[KS_FILE_HEADER_MAX];
    struct ks_writer writer = {.ptr = header, .capacity = sizeof(header)};
    ks_write_bytes(&writer, MAGIC);
    ks_write_u8(&writer, VERSION);
    ks_write_u8(&writer, ALGORITHM);
    ks_write_bytes(&writer, (ks_bytes){nonce, KS_FILE_NONCE_LEN});
    ks_write_long(&writer, blob);
    assert(!writer.full);
    return ks_buffer_append(out, ks_written(&writer));
}

/* Reads the header up to the blob's length, and returns that length. */
static ks_result read_front(struct ks_reader *reader, size_t *ret_blob_len)
{
    ks_bytes magic = ks_read_bytes(reader, KS_FILE_MAGIC_LEN);
    uint8_t version = ks_read_u8(reader);
    uint8_t algorithm = ks_read_u8(reader);
    ks_read_bytes(reader, KS_FILE_NONCE_LEN);
    size_t blob_len = ks_read_u16(reader);
    if (reader->bad || !ks_bytes_equal(magic, MAGIC)) {
        return KS_RES(INVALID_CIPHERTEXT);
    }
    if (version != VERSION || algorithm != ALGORITHM) {
        return KS_RES(UNSUPPORTED);
    }
    if (blob_len == 0 || blob_len > KS_FILE_BLOB_MAX) {
        return KS_RES(INVALID_CIPHERTEXT);
    }
    *ret_blob_len = blob_len;
    return KS_RES(OK);
}

ks_result ks_file_header_len(ks_bytes front, size_t *ret_len)
{
    struct ks_reader reader = {.rest = front};
    size_t blob_len;
    KS_TRY(read_front(&reader, &blob_len));
    *ret_len = KS_FILE_FRONT_LEN + blob_len;
    return KS_RES(OK);
}

ks_result ks_file_header_blob(ks_bytes header, ks_bytes *ret_blob)
{
    struct ks_reader reader = {.rest = header};
    size_t blob_len;
    KS_TRY(read_front(&reader, &blob_len));
    ks_bytes blob = ks_read_bytes(&reader, blob_len);
    if (!ks_read_all(&reader)) {
        return KS_RES(INVALID_CIPHERTEXT);
    }
    *ret_blob = blob;
    return KS_RES(OK);
}

static ks_result derive(struct ks_crypto *crypto, const ks_secret *data_key, ks_bytes header,
                        ks_secret *ret_key)
{
    uint8_t context[KS_FILE_NONCE_LEN + KS_SHA256_LEN];
    memcpy(context, header.ptr + KS_FILE_MAGIC_LEN + 2, KS_FILE_NONCE_LEN);
    KS_TRY(ks_hash_sha256(crypto, &header, 1, context + KS_FILE_NONCE_LEN));
    struct ks_mac *mac;
    KS_TRY(ks_crypto_mac(crypto, data_key, &mac));
    return ks_kdf_counter(mac, FILE_LABEL, (ks_bytes){context, sizeof(context)}, KS_AEAD_KEY_LEN,
                          ret_key);
}

ks_result ks_file_new(struct ks_crypto *crypto, const ks_secret *data_key, ks_bytes header,
                      struct ks_file **ret_file)
{
    assert(crypto && data_key && ret_file);
    assert(header.len > KS_FILE_FRONT_LEN);

    if (data_key->len != KS_FILE_DATA_KEY_LEN) {
        return KS_RES(VALIDATION);
    }
    KS_FILE_AUTO *file = ks_alloc(1, sizeof(*file));
    file->crypto = crypto;
    KS_TRY(derive(crypto, data_key, header, &file->key));
    *ret_file = file;
    file = NULL;
    return KS_RES(OK);
}

void ks_file_free(struct ks_file *file)
{
    if (!file) {
        return;
    }
    ks_secret_wipe(&file->key);
    ks_free(file);
}

void ks_file_free_at(struct ks_file **file)
{
    ks_file_free(*file);
}

/* Returns whether a segment of that length may come next in the file. */
static bool fits(const struct ks_file *file, size_t content_len, bool is_last)
{
    if (!is_last) {
        return content_len == KS_FILE_SEGMENT_LEN;
    }
    return content_len <= KS_FILE_SEGMENT_LEN && (content_len > 0 || file->index == 0);
}

ks_result ks_file_seal(struct ks_file *file, ks_bytes content, bool is_last, uint8_t *ret_sealed)
{
    assert(!file->ended);
    assert(fits(file, content.len, is_last));

    if (file->index == UINT32_MAX) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    uint8_t iv[KS_AEAD_IV_LEN];
    ks_aead_segment_iv(NULL, file->index, is_last, iv);
    const struct ks_aead_box box = {.key = &file->key, .iv = iv};
    KS_TRY(ks_aead_seal(file->crypto, &box, content, ret_sealed));
    file->index++;
    file->ended = is_last;
    return KS_RES(OK);
}

ks_result ks_file_open(struct ks_file *file, ks_bytes sealed, bool is_last, uint8_t *ret_content)
{
    assert(!file->ended);

    if (sealed.len < KS_FILE_TAG_LEN || !fits(file, sealed.len - KS_FILE_TAG_LEN, is_last) ||
        file->index == UINT32_MAX) {
        return KS_RES(INVALID_CIPHERTEXT);
    }
    uint8_t iv[KS_AEAD_IV_LEN];
    ks_aead_segment_iv(NULL, file->index, is_last, iv);
    const struct ks_aead_box box = {.key = &file->key, .iv = iv};
    KS_TRY(ks_aead_open(file->crypto, &box, sealed, ret_content));
    file->index++;
    file->ended = is_last;
    return KS_RES(OK);
}
