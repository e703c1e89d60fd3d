#include "pkg/follow/following.h"

#include <assert.h>

#include "keystead/internal/v1/internal.pb-c.h"
#include "pkg/codec/codec.h"

#define FIELDS_MAX 200000U /* of a message; a record has five */

typedef Keystead__Internal__V1__WatchIdentitiesRequest watch_request;
typedef Keystead__Internal__V1__WatchIdentitiesResponse watch_response;
typedef Keystead__Internal__V1__IdentityRecord identity_record;

void ks_following_open(struct ks_following *following, const struct ks_follow_position *had,
                       struct ks_buffer *request)
{
    assert(following->state == KS_FOLLOWING_CLOSED);

    following->state = KS_FOLLOWING_BETWEEN;
    watch_request message = KEYSTEAD__INTERNAL__V1__WATCH_IDENTITIES_REQUEST__INIT;
    message.epoch = (char *)(uintptr_t)had->epoch;
    message.history = (char *)(uintptr_t)had->history;
    message.revision = had->revision;
    message.number = had->number;
    ks_result packed = ks_codec_pack(&message.base, request);
    assert(!ks_failed(packed));
}

/* The state after a message; CLOSED: it makes no sense in this one. */
static enum ks_following_state next_state(const struct ks_following *following,
                                          const struct ks_follow_part *part)
{
    bool goes_on = following->state == KS_FOLLOWING_TRANSFER && !part->begin &&
                   part->snapshot == following->snapshot;
    if (following->state == KS_FOLLOWING_CLOSED || (!part->begin && !goes_on)) {
        return KS_FOLLOWING_CLOSED;
    }
    return part->whole ? KS_FOLLOWING_BETWEEN : KS_FOLLOWING_TRANSFER;
}

/* An empty value is not NULL, which means that the record was deleted. */
static struct ks_follow_record record_of(const identity_record *from)
{
    struct ks_follow_record record = {.key = ks_bytes_of(from->key),
                                      .revision = from->mod_revision};
    if (!from->deleted) {
        record.value = from->value.len > 0 ? (ks_bytes){from->value.data, from->value.len}
                                           : (ks_bytes){(const uint8_t *)"", 0};
    }
    return record;
}

static ks_result read_records(const watch_response *message, struct ks_arena *arena,
                              struct ks_follow_part *part)
{
    if (message->n_records == 0) {
        return KS_RES(OK);
    }
    struct ks_follow_record *records = ks_arena_alloc(arena, message->n_records * sizeof(*records));
    if (!records) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    for (size_t i = 0; i < message->n_records; i++) {
        if (message->records[i]->key[0] == '\0' || message->records[i]->mod_revision <= 0) {
            return KS_RES(VALIDATION);
        }
        records[i] = record_of(message->records[i]);
    }
    part->records = records;
    part->record_count = message->n_records;
    return KS_RES(OK);
}

static ks_result read_part(struct ks_following *following, ks_bytes bytes, struct ks_arena *arena,
                           struct ks_follow_part *part)
{
    const struct ks_codec_limits limits = {.len_max = KS_FOLLOWING_MESSAGE_MAX,
                                           .field_count_max = FIELDS_MAX};
    ProtobufCMessage *unpacked = NULL;
    KS_TRY(ks_codec_unpack(&keystead__internal__v1__watch_identities_response__descriptor, bytes,
                           &limits, arena, &unpacked));
    const watch_response *message = (const watch_response *)unpacked;
    *part = (struct ks_follow_part){.begin = message->begin,
                                    .snapshot = message->snapshot,
                                    .whole = message->head.len > 0,
                                    .head = {message->head.data, message->head.len}};
    following->state = next_state(following, part);
    return following->state == KS_FOLLOWING_CLOSED ? KS_RES(VALIDATION)
                                                   : read_records(message, arena, part);
}

ks_result ks_following_read(struct ks_following *following, ks_bytes message,
                            struct ks_arena *arena, struct ks_follow_part *ret_part)
{
    if (following->state == KS_FOLLOWING_CLOSED) {
        return KS_RES(VALIDATION);
    }
    struct ks_follow_part part;
    ks_result result = read_part(following, message, arena, &part);
    if (ks_failed(result)) {
        following->state = KS_FOLLOWING_CLOSED;
        return result;
    }
    following->snapshot = part.snapshot;
    *ret_part = part;
    return KS_RES(OK);
}

void ks_following_applied(struct ks_following *following)
{
    following->reopen_ms = 0;
}

int64_t ks_following_close(struct ks_following *following)
{
    int64_t wait_ms =
        following->reopen_ms > 0 ? following->reopen_ms : KS_FOLLOWING_REOPEN_FIRST_MS;
    int64_t longer_ms = 2 * wait_ms;
    following->state = KS_FOLLOWING_CLOSED;
    following->reopen_ms =
        longer_ms < KS_FOLLOWING_REOPEN_MAX_MS ? longer_ms : KS_FOLLOWING_REOPEN_MAX_MS;
    return wait_ms;
}
