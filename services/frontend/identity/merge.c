#include "services/frontend/identity/merge.h"

#include <assert.h>
#include <string.h>

#include "pkg/base/mem.h"
#include "pkg/rcu/rcu.h"
#include "pkg/signedset/head.h"
#include "services/frontend/identity/identities.h"

struct source {
    bool connected;
    bool starts_over;                /* its changes led to no head: it is asked for a snapshot */
    struct ks_identity_draft *draft; /* a transfer that is being received; else NULL */
};

struct ks_merge {
    struct ks_rcu *rcu;
    struct ks_head_verifier *verifier;
    struct ks_crypto *crypto;
    struct ks_head head;                /* of the newest version; number 0: there is none */
    struct ks_follow_position position; /* what it says of that one */
    int64_t loading_ms; /* before there is a version: when the one that is connected last spoke */
    struct source sources[KS_MERGE_SOURCES_MAX];
};

struct ks_merge *ks_merge_new(struct ks_rcu *rcu, struct ks_head_verifier *verifier)
{
    struct ks_merge *merge = ks_alloc(1, sizeof(*merge));
    merge->rcu = rcu;
    merge->verifier = verifier;
    merge->crypto = ks_crypto_new();
    return merge;
}

void ks_merge_free(struct ks_merge *merge)
{
    if (!merge) {
        return;
    }
    for (size_t i = 0; i < KS_MERGE_SOURCES_MAX; i++) {
        ks_identity_draft_free(merge->sources[i].draft);
    }
    ks_crypto_free(merge->crypto);
    ks_free(merge);
}

bool ks_merge_has_version(const struct ks_merge *merge)
{
    return ks_rcu_current(merge->rcu) != NULL;
}

const struct ks_follow_position *ks_merge_position(const struct ks_merge *merge)
{
    return &merge->position;
}

static struct source *source_at(struct ks_merge *merge, size_t index)
{
    assert(index < KS_MERGE_SOURCES_MAX);

    return &merge->sources[index];
}

static void drop_draft(struct source *source)
{
    ks_identity_draft_free(source->draft);
    source->draft = NULL;
}

static bool another_is_loading(const struct ks_merge *merge, const struct source *source,
                               int64_t now_ms)
{
    bool connected = false;
    for (size_t i = 0; i < KS_MERGE_SOURCES_MAX; i++) {
        connected |= &merge->sources[i] != source && merge->sources[i].connected;
    }
    return connected && now_ms - merge->loading_ms < KS_MERGE_LOADER_MS;
}

bool ks_merge_open(struct ks_merge *merge, size_t index, int64_t now_ms,
                   struct ks_follow_position *position)
{
    struct source *source = source_at(merge, index);
    if (!ks_merge_has_version(merge)) {
        if (another_is_loading(merge, source, now_ms)) {
            return false;
        }
        merge->loading_ms = now_ms;
    }
    source->connected = true;
    drop_draft(source);
    *position = (struct ks_follow_position){.number = merge->position.number};
    if (!source->starts_over) {
        *position = merge->position;
    }
    return true;
}

void ks_merge_closed(struct ks_merge *merge, size_t index)
{
    struct source *source = source_at(merge, index);
    source->connected = false;
    drop_draft(source);
}

/* The head that a version must be the set of. */
struct judging {
    struct ks_merge *merge;
    const struct ks_head *head;
};

static bool accepts(void *user, const struct ks_set_sum *sum)
{
    const struct judging *judging = user;
    return ks_head_is_of(judging->merge->crypto, judging->head, sum);
}

static ks_result publish(struct ks_merge *merge, struct source *source, const struct ks_head *head,
                         bool snapshot)
{
    struct judging judging = {merge, head};
    const struct ks_identity_judge judge = {merge->crypto, accepts, &judging};
    /* The writer may change what only it and versions to come look at. */
    struct ks_identities *old = (struct ks_identities *)(uintptr_t)ks_rcu_current(merge->rcu);
    struct ks_identities *next = ks_identities_next(old, source->draft, snapshot, &judge);
    if (!next) {
        return KS_RES(UNAUTHENTICATED);
    }
    ks_rcu_publish(merge->rcu, next);
    merge->position =
        (struct ks_follow_position){.revision = head->revision, .number = head->number};
    memcpy(merge->position.epoch, head->epoch, sizeof(head->epoch));
    memcpy(merge->position.history, head->history, sizeof(head->history));
    merge->head = *head;
    return KS_RES(OK);
}

/* A first version is a snapshot: there is nothing yet that could have changed. */
static ks_result finish(struct ks_merge *merge, struct source *source,
                        const struct ks_follow_part *part)
{
    struct ks_head head;
    KS_TRY(ks_head_open(merge->verifier, part->head, &head));
    if (head.number <= merge->position.number) {
        return KS_RES(OK); /* another one has brought it, or a later one */
    }
    if (!ks_head_follows(&merge->head, &head)) {
        return KS_RES(CONFLICT);
    }
    return publish(merge, source, &head, part->snapshot);
}

static ks_result receive(struct ks_merge *merge, struct source *source,
                         const struct ks_follow_part *part)
{
    if (part->begin) {
        drop_draft(source);
        source->draft = ks_identity_draft_new();
    }
    for (size_t i = 0; i < part->record_count; i++) {
        const struct ks_follow_record *record = &part->records[i];
        KS_TRY(ks_identity_draft_add(source->draft, merge->crypto, record->key, record->value,
                                     record->revision));
    }
    return part->whole ? finish(merge, source, part) : KS_RES(OK);
}

ks_result ks_merge_received(struct ks_merge *merge, size_t index, int64_t now_ms,
                            const struct ks_follow_part *part)
{
    struct source *source = source_at(merge, index);
    ks_result result = receive(merge, source, part);
    merge->loading_ms = now_ms;
    if (ks_failed(result)) {
        source->starts_over = !part->snapshot;
    } else if (part->whole) {
        source->starts_over = false;
    }
    if (ks_failed(result) || part->whole) {
        drop_draft(source);
    }
    return result;
}
