#include "pkg/record/marker.h"

#include <assert.h>
#include <string.h>

#include "pkg/crypto/hash.h"
#include "pkg/json/base64.h"

#define VERSION   1U
#define HASH_LEN  8U
#define HEAD_LEN  (1U + HASH_LEN)
#define BYTES_MAX (HEAD_LEN + KS_MARKER_POSITION_MAX)
#define INPUT_MAX 2048U

static ks_result append_part(struct ks_buffer *input, ks_bytes part)
{
    const uint8_t len[] = {(uint8_t)(part.len >> 8), (uint8_t)part.len};
    KS_TRY(ks_buffer_append(input, (ks_bytes){len, sizeof(len)}));
    return ks_buffer_append(input, part);
}

static ks_result hash(const struct ks_marker_list *list, ks_bytes position,
                      uint8_t ret_hash[static KS_SHA256_LEN])
{
    KS_BUFFER_AUTO input = {.len_max = INPUT_MAX};
    KS_TRY(append_part(&input, KS_LITERAL("keystead/marker/v1")));
    KS_TRY(append_part(&input, ks_bytes_of(list->list)));
    KS_TRY(append_part(&input, ks_bytes_of(list->account)));
    KS_TRY(append_part(&input, ks_bytes_of(list->filter)));
    KS_TRY(append_part(&input, position));
    return ks_hash_sha256_once(ks_buffer_bytes(&input), ret_hash);
}

ks_result ks_marker_write(const struct ks_marker_list *list, ks_bytes position, char *ret_text)
{
    assert(position.len <= KS_MARKER_POSITION_MAX);

    uint8_t bytes[BYTES_MAX] = {VERSION};
    uint8_t digest[KS_SHA256_LEN];
    KS_TRY(hash(list, position, digest));
    memcpy(bytes + 1, digest, HASH_LEN);
    memcpy(bytes + HEAD_LEN, position.ptr, position.len);

    size_t len = HEAD_LEN + position.len;
    ks_base64_write((ks_bytes){bytes, len}, (uint8_t *)ret_text);
    ret_text[KS_BASE64_LEN(len)] = '\0';
    return KS_RES(OK);
}

ks_result ks_marker_read(const struct ks_marker_list *list, const char *text, char *ret_position)
{
    uint8_t bytes[KS_MARKER_LEN_MAX];
    size_t len = 0;
    ks_bytes encoded = ks_bytes_of(text);
    if (encoded.len > KS_MARKER_LEN_MAX || ks_failed(ks_base64_read(encoded, bytes, &len)) ||
        len <= HEAD_LEN || len > BYTES_MAX || bytes[0] != VERSION) {
        return KS_RES(INVALID_MARKER);
    }
    ks_bytes position = {bytes + HEAD_LEN, len - HEAD_LEN};
    uint8_t digest[KS_SHA256_LEN];
    KS_TRY(hash(list, position, digest));
    if (!ks_bytes_equal((ks_bytes){digest, HASH_LEN}, (ks_bytes){bytes + 1, HASH_LEN})) {
        return KS_RES(INVALID_MARKER);
    }
    memcpy(ret_position, position.ptr, position.len);
    ret_position[position.len] = '\0';
    return KS_RES(OK);
}
