#include "services/keystore/compare/answer.h"

#include <string.h>

#include "keystead/internal/v1/internal.pb-c.h"
#include "pkg/base/arena.h"
#include "pkg/base/mem.h"
#include "pkg/codec/codec.h"
#include "services/keystore/compare/digests.h"
#include "services/keystore/records/message.h"
#include "services/keystore/records/name.h"

#define DIGESTS_LEN   (KS_COMPARE_BUCKETS * KS_COMPARE_DIGEST_LEN)
#define ARENA_LEN_MAX (64U * 1024U * 1024U)
#define RECORD_LEN    32U /* of an answer's record, without its name */
#define FIELDS_MAX    (1U << 20)

static void free_digests(struct ks_compare_digests **digests)
{
    ks_free(*digests);
}

#define DIGESTS_AUTO KS_CLEANUP(free_digests) struct ks_compare_digests

/* ---- Asking ---- */

ks_result ks_compare_ask(struct ks_store *store, uint32_t bucket, struct ks_buffer *request)
{
    DIGESTS_AUTO *digests = ks_alloc(1, sizeof(*digests));
    KS_STORE_VIEW_AUTO view = {0};
    KS_TRY(ks_store_peek(store, &view));
    KS_TRY(ks_compare_digests_of(&view, digests));
    INTERNAL(CompareRequest) message = INTERNAL_NEW(COMPARE_REQUEST);
    message.digests = (ProtobufCBinaryData){DIGESTS_LEN, digests->bytes[0]};
    message.from_bucket = bucket;
    return ks_codec_pack(&message.base, request);
}

/* ---- Answering ---- */

struct answering {
    struct ks_arena *arena;
    bool wanted[KS_COMPARE_BUCKETS];
    INTERNAL(KnownRecord) * *records;
    size_t count;
    size_t count_max;
    ks_result result;
};

/* Chooses buckets that differ, as many as an answer holds. Returns the one to go on with. */
static uint32_t choose(const struct ks_compare_digests *own, const uint8_t *theirs, uint32_t from,
                       struct answering *answering)
{
    size_t len = 0;
    for (uint32_t i = from; i < KS_COMPARE_BUCKETS; i++) {
        if (ks_bytes_equal(
                (ks_bytes){own->bytes[i], KS_COMPARE_DIGEST_LEN},
                (ks_bytes){theirs + (size_t)i * KS_COMPARE_DIGEST_LEN, KS_COMPARE_DIGEST_LEN})) {
            continue;
        }
        size_t more = own->lens[i] + own->counts[i] * RECORD_LEN;
        if (answering->count_max > 0 && len + more > KS_COMPARE_ANSWER_LEN) {
            return i;
        }
        len += more;
        answering->wanted[i] = true;
        answering->count_max += own->counts[i];
    }
    return KS_COMPARE_BUCKETS;
}

static bool gather(void *user, ks_bytes name, uint64_t counter, int64_t revision)
{
    struct answering *answering = user;
    if (!answering->wanted[ks_compare_bucket(name)]) {
        return true;
    }
    INTERNAL(KnownRecord) *record = ks_arena_alloc(answering->arena, sizeof(*record));
    char *text = ks_arena_dup(answering->arena, name);
    if (!record || !text || answering->count == answering->count_max) {
        answering->result = KS_RES(LIMIT_EXCEEDED);
        return false;
    }
    *record = (INTERNAL(KnownRecord))INTERNAL_NEW(KNOWN_RECORD);
    record->name = text;
    record->counter = counter;
    record->revision = revision;
    answering->records[answering->count++] = record;
    return true;
}

static ks_result fill(const struct ks_store_view *view, const INTERNAL(CompareRequest) * request,
                      struct ks_arena *arena, struct ks_buffer *response)
{
    DIGESTS_AUTO *own = ks_alloc(1, sizeof(*own));
    struct answering answering = {.arena = arena, .result = KS_RES(OK)};
    INTERNAL(CompareResponse) message = INTERNAL_NEW(COMPARE_RESPONSE);
    KS_TRY(ks_compare_digests_of(view, own));
    message.next_bucket = choose(own, request->digests.data, request->from_bucket, &answering);
    if (answering.count_max > 0) {
        answering.records = ks_arena_alloc(arena, answering.count_max * sizeof(void *));
        if (!answering.records) {
            return KS_RES(LIMIT_EXCEEDED);
        }
        KS_TRY(ks_store_scan_ordinals(view, gather, &answering));
        KS_TRY(answering.result);
    }
    message.records = answering.records;
    message.n_records = answering.count;
    return ks_codec_pack(&message.base, response);
}

ks_result ks_compare_answer(struct ks_store *store, ks_bytes request, struct ks_buffer *response)
{
    KS_ARENA_AUTO arena = {.len_max = ARENA_LEN_MAX};
    KS_STORE_VIEW_AUTO view = {0};
    ProtobufCMessage *message = NULL;
    if (ks_failed(
            ks_codec_unpack(INTERNAL_TYPE(compare_request), request, NULL, &arena, &message))) {
        return KS_RES(VALIDATION);
    }
    const INTERNAL(CompareRequest) *asked = (const INTERNAL(CompareRequest) *)message;
    if (asked->digests.len != DIGESTS_LEN || asked->from_bucket >= KS_COMPARE_BUCKETS) {
        return KS_RES(VALIDATION);
    }
    KS_TRY(ks_store_peek(store, &view));
    return fill(&view, asked, &arena, response);
}

/* ---- Taking ---- */

/* A key that is destroyed here, and not there yet, is no older record. */
static bool is_destroyed(struct ks_store *store, ks_bytes name, uint64_t counter)
{
    struct ks_name gone;
    return ks_bytes_starts_with(name, KS_NAME_KEYS) && ks_name_gone_of(name, &gone) &&
           ks_store_ordinal(store, ks_name_bytes(&gone)) > counter;
}

/* Whether the record is older here than the other one knows. */
static bool take_record(struct ks_store *store, int64_t revision,
                        const INTERNAL(KnownRecord) * known, struct ks_compare_outcome *outcome)
{
    ks_bytes name = ks_bytes_of(known->name);
    if (name.len > KS_STORE_KEY_LEN_MAX || is_destroyed(store, name, known->counter)) {
        return false;
    }
    if (known->revision > revision) {
        outcome->ahead_count++;
        return false;
    }
    bool is_older = ks_store_raise_ordinal(store, name, known->counter);
    outcome->found_count += is_older;
    return is_older;
}

ks_result ks_compare_take(struct ks_store *store, ks_bytes response,
                          void (*on_found)(void *user, ks_bytes name), void *user,
                          struct ks_compare_outcome *ret_outcome)
{
    KS_ARENA_AUTO arena = {.len_max = ARENA_LEN_MAX};
    KS_STORE_VIEW_AUTO view = {0};
    ProtobufCMessage *message = NULL;
    const struct ks_codec_limits limits = {.field_count_max = FIELDS_MAX};
    if (ks_failed(ks_codec_unpack(INTERNAL_TYPE(compare_response), response, &limits, &arena,
                                  &message))) {
        return KS_RES(VALIDATION);
    }
    const INTERNAL(CompareResponse) *answer = (const INTERNAL(CompareResponse) *)message;
    struct ks_compare_outcome outcome = {.next_bucket = answer->next_bucket};
    KS_TRY(ks_store_peek(store, &view));
    for (size_t i = 0; i < answer->n_records; i++) {
        if (take_record(store, view.revision, answer->records[i], &outcome)) {
            on_found(user, ks_bytes_of(answer->records[i]->name));
        }
    }
    if (outcome.found_count > 0) {
        ks_store_doubt(store);
    }
    *ret_outcome = outcome;
    return KS_RES(OK);
}
