#include "services/frontend/identity/mirror.h"

#include <assert.h>
#include <string.h>

#include "keystead/internal/v1/internal.pb-c.h"
#include "pkg/base/mem.h"
#include "pkg/codec/codec.h"
#include "pkg/rcu/rcu.h"
#include "services/frontend/identity/identities.h"

/* A message holds up to 4 MiB of records, each of them unpacked with some words around it. */
#define ARENA_LEN_MAX (64U * 1024U * 1024U)
#define FIELDS_MAX    1000000U

typedef Keystead__Internal__V1__WatchIdentitiesResponse watch_response;
typedef Keystead__Internal__V1__WatchIdentitiesRequest watch_request;

struct source {
    bool connected;
    char epoch[KS_MIRROR_EPOCH_MAX + 1]; /* that it had last; "": it has sent nothing yet */
    struct ks_identity_draft *draft;     /* a snapshot that is being received; else NULL */
};

struct ks_mirror {
    struct ks_rcu *rcu;
    char epoch[KS_MIRROR_EPOCH_MAX + 1];
    int64_t revision;
    struct source sources[KS_MIRROR_SOURCES_MAX];
};

struct ks_mirror *ks_mirror_new(struct ks_rcu *rcu)
{
    struct ks_mirror *mirror = ks_alloc(1, sizeof(*mirror));
    mirror->rcu = rcu;
    return mirror;
}

void ks_mirror_free(struct ks_mirror *mirror)
{
    for (size_t i = 0; mirror && i < KS_MIRROR_SOURCES_MAX; i++) {
        ks_identity_draft_free(mirror->sources[i].draft);
    }
    ks_free(mirror);
}

bool ks_mirror_has_version(const struct ks_mirror *mirror)
{
    return ks_rcu_current(mirror->rcu) != NULL;
}

const char *ks_mirror_epoch(const struct ks_mirror *mirror)
{
    return mirror->epoch;
}

int64_t ks_mirror_revision(const struct ks_mirror *mirror)
{
    return mirror->revision;
}

static struct source *source_at(struct ks_mirror *mirror, size_t index)
{
    assert(index < KS_MIRROR_SOURCES_MAX);

    return &mirror->sources[index];
}

static void drop_draft(struct source *source)
{
    ks_identity_draft_free(source->draft);
    source->draft = NULL;
}

ks_result ks_mirror_opened(struct ks_mirror *mirror, size_t index, struct ks_buffer *request)
{
    struct source *source = source_at(mirror, index);
    source->connected = true;
    drop_draft(source);
    watch_request message = KEYSTEAD__INTERNAL__V1__WATCH_IDENTITIES_REQUEST__INIT;
    message.epoch = mirror->epoch;
    message.revision = mirror->revision;
    return ks_codec_pack(&message.base, request);
}

void ks_mirror_closed(struct ks_mirror *mirror, size_t index)
{
    struct source *source = source_at(mirror, index);
    source->connected = false;
    drop_draft(source);
}

/* Whether anybody else that is connected still has the mirror's epoch. */
static bool epoch_is_alive(const struct ks_mirror *mirror, const struct source *but)
{
    for (size_t i = 0; i < KS_MIRROR_SOURCES_MAX; i++) {
        const struct source *source = &mirror->sources[i];
        if (source != but && source->connected && strcmp(source->epoch, mirror->epoch) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether a snapshot is to replace what is here. had is the epoch that its source had before. */
static bool is_wanted(const struct ks_mirror *mirror, const struct source *source, const char *had,
                      int64_t revision)
{
    if (!ks_mirror_has_version(mirror)) {
        return true;
    }
    if (strcmp(source->epoch, mirror->epoch) == 0) {
        return revision > mirror->revision;
    }
    return strcmp(had, mirror->epoch) == 0 || !epoch_is_alive(mirror, source);
}

static void publish(struct ks_mirror *mirror, struct ks_identity_draft *draft, bool replace,
                    const watch_response *message)
{
    /* The writer may change what only it and versions to come look at. */
    struct ks_identities *old = (struct ks_identities *)(uintptr_t)ks_rcu_current(mirror->rcu);
    ks_rcu_publish(mirror->rcu, ks_identities_next(old, draft, replace));
    memcpy(mirror->epoch, message->epoch, strlen(message->epoch) + 1);
    mirror->revision = message->revision;
}

static ks_result add_records(struct ks_identity_draft *draft, const watch_response *message)
{
    for (size_t i = 0; i < message->n_records; i++) {
        const Keystead__Internal__V1__IdentityRecord *record = message->records[i];
        ks_bytes value = {record->value.data, record->value.len};
        KS_TRY(ks_identity_draft_add(draft, ks_bytes_of(record->key), value, record->deleted));
    }
    return KS_RES(OK);
}

static ks_result receive_snapshot(struct ks_mirror *mirror, struct source *source,
                                  const watch_response *message)
{
    if (!source->draft) {
        source->draft = ks_identity_draft_new();
    }
    KS_TRY(add_records(source->draft, message));
    if (!message->snapshot_end) {
        return KS_RES(OK);
    }
    char had[KS_MIRROR_EPOCH_MAX + 1];
    memcpy(had, source->epoch, sizeof(had));
    memcpy(source->epoch, message->epoch, strlen(message->epoch) + 1);
    if (is_wanted(mirror, source, had, message->revision)) {
        publish(mirror, source->draft, true, message);
    }
    drop_draft(source);
    return KS_RES(OK);
}

static ks_result receive_revision(struct ks_mirror *mirror, struct source *source,
                                  const watch_response *message)
{
    if (source->draft) {
        return KS_RES(VALIDATION);
    }
    bool ours = ks_mirror_has_version(mirror) && strcmp(message->epoch, mirror->epoch) == 0;
    if (!ours) {
        /* A source that stays in an epoch that was left is listened to until it moves. */
        return strcmp(message->epoch, source->epoch) == 0 ? KS_RES(OK) : KS_RES(VALIDATION);
    }
    memcpy(source->epoch, message->epoch, strlen(message->epoch) + 1);
    if (message->revision <= mirror->revision) {
        return KS_RES(OK);
    }
    struct ks_identity_draft *draft = ks_identity_draft_new();
    ks_result added = add_records(draft, message);
    if (!ks_failed(added)) {
        publish(mirror, draft, false, message);
    }
    ks_identity_draft_free(draft);
    return added;
}

ks_result ks_mirror_received(struct ks_mirror *mirror, size_t index, ks_bytes bytes)
{
    struct source *source = source_at(mirror, index);
    struct ks_codec_limits limits = {.field_count_max = FIELDS_MAX};
    KS_ARENA_AUTO arena = {.len_max = ARENA_LEN_MAX};
    struct ProtobufCMessage *unpacked;
    KS_TRY(ks_codec_unpack(&keystead__internal__v1__watch_identities_response__descriptor, bytes,
                           &limits, &arena, &unpacked));
    const watch_response *message = (const watch_response *)unpacked;
    size_t epoch_len = strlen(message->epoch);
    if (epoch_len == 0 || epoch_len > KS_MIRROR_EPOCH_MAX) {
        return KS_RES(VALIDATION);
    }
    return message->snapshot ? receive_snapshot(mirror, source, message)
                             : receive_revision(mirror, source, message);
}
