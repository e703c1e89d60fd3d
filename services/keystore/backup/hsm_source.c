#include "services/keystore/backup/hsm_source.h"

#include <string.h>

#include "pkg/base/arena.h"
#include "services/keystore/domain_keys/requests.h"
#include "services/keystore/hsmlink/link.h"
#include "services/keystore/records/message.h"

#define ARENA_LEN_MAX (1024U * 1024U)

static ks_result describe(void *user, struct ks_backup_header *header)
{
    KS_ARENA_AUTO arena = {.len_max = ARENA_LEN_MAX};
    const INTERNAL(HsmReply) *reply = NULL;
    KS_TRY(ks_request_status(user, &arena, &reply));
    const INTERNAL(HsmStatus) *status = reply->status;
    if (!status || status->kit_period == 0) {
        return KS_RES(INVALID_STATE);
    }
    header->period = status->kit_period;
    header->threshold = (uint8_t)status->custodians_needed;
    header->custodians = (uint8_t)status->custodian_count;
    return KS_RES(OK);
}

static ks_result begin(void *user, const struct ks_backup_header *header, ks_bytes header_bytes,
                       ks_secret *ret_stream_key, struct ks_buffer *ret_key_block)
{
    KS_ARENA_AUTO arena = {.len_max = ARENA_LEN_MAX}; /* wiped when it is done */
    struct ks_backup_keys keys;
    KS_TRY(ks_request_backup(user, header_bytes, header->period, &arena, &keys));
    if (keys.stream_key.len > KS_SECRET_MAX) {
        return KS_RES(INTERNAL);
    }
    KS_TRY(ks_buffer_append(ret_key_block, keys.key_block));
    memcpy(ret_stream_key->bytes, keys.stream_key.ptr, keys.stream_key.len);
    ret_stream_key->len = keys.stream_key.len;
    return KS_RES(OK);
}

struct ks_backup_source ks_backup_hsm_source(struct ks_hsm_link *link)
{
    return (struct ks_backup_source){.describe = describe, .begin = begin, .user = link};
}
