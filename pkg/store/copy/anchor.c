#include "pkg/store/copy/anchor.h"

#include <assert.h>
#include <string.h>

#include "pkg/store/copy/checksum.h"
#include "pkg/store/copy/stored.h"

#define FILE_NAME "refused"
#define FORM      1U
#define NONCE_AT  25U
#define EPOCH_AT  (NONCE_AT + KS_NONCE_LEN)
#define SUM_LEN   4U
#define LEN_MAX   (EPOCH_AT + KS_EPOCH_LEN_MAX + SUM_LEN)

ks_result ks_anchor_write(const struct ks_folder *folder, const struct ks_anchor *anchor)
{
    uint8_t bytes[LEN_MAX];
    static_assert(LEN_MAX <= KS_FOLDER_FILE_MAX, "it is a small file");
    size_t epoch_len = strnlen(anchor->source.epoch, KS_EPOCH_LEN_MAX);
    size_t len = EPOCH_AT + epoch_len;
    bytes[0] = FORM;
    ks_stored_put_u64(bytes + 1, anchor->source.cluster_id);
    ks_stored_put_u64(bytes + 9, (uint64_t)anchor->source.epoch_revision);
    ks_stored_put_u64(bytes + 17, (uint64_t)anchor->revision);
    memcpy(bytes + NONCE_AT, anchor->nonce.bytes, KS_NONCE_LEN);
    memcpy(bytes + EPOCH_AT, anchor->source.epoch, epoch_len);
    ks_stored_put_u32(bytes + len, ks_checksum(0, (ks_bytes){bytes, len}));
    return ks_folder_write(folder, FILE_NAME, (ks_bytes){bytes, len + SUM_LEN});
}

ks_result ks_anchor_read(const struct ks_folder *folder, struct ks_anchor *ret_anchor)
{
    uint8_t bytes[KS_FOLDER_FILE_MAX];
    size_t file_len;
    KS_TRY(ks_folder_read(folder, FILE_NAME, bytes, &file_len));
    if (file_len < EPOCH_AT + SUM_LEN || file_len > LEN_MAX || bytes[0] != FORM) {
        return KS_RES(CORRUPT);
    }
    size_t len = file_len - SUM_LEN;
    if (ks_stored_get_u32(bytes + len) != ks_checksum(0, (ks_bytes){bytes, len})) {
        return KS_RES(CORRUPT);
    }
    *ret_anchor = (struct ks_anchor){
        .source = {.cluster_id = ks_stored_get_u64(bytes + 1),
                   .epoch_revision = (int64_t)ks_stored_get_u64(bytes + 9)},
        .revision = (int64_t)ks_stored_get_u64(bytes + 17),
    };
    memcpy(ret_anchor->nonce.bytes, bytes + NONCE_AT, KS_NONCE_LEN);
    memcpy(ret_anchor->source.epoch, bytes + EPOCH_AT, len - EPOCH_AT);
    return KS_RES(OK);
}

ks_result ks_anchor_remove(const struct ks_folder *folder)
{
    return ks_folder_unlink(folder, FILE_NAME);
}
