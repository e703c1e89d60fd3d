#include "services/frontend/identity/merge.h"

#include <assert.h>

#include "pkg/base/mem.h"
#include "pkg/rcu/rcu.h"
#include "services/frontend/identity/identities.h"

struct source {
    bool connected;
    struct ks_follow_position told;  /* last; its epoch is "" until it has told something */
    struct ks_identity_draft *draft; /* a snapshot that is being received; else NULL */
};

struct ks_merge {
    struct ks_rcu *rcu;
    struct ks_follow_position position;
    struct source sources[KS_MERGE_SOURCES_MAX];
};

struct ks_merge *ks_merge_new(struct ks_rcu *rcu)
{
    struct ks_merge *merge = ks_alloc(1, sizeof(*merge));
    merge->rcu = rcu;
    return merge;
}

void ks_merge_free(struct ks_merge *merge)
{
    for (size_t i = 0; merge && i < KS_MERGE_SOURCES_MAX; i++) {
        ks_identity_draft_free(merge->sources[i].draft);
    }
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

void ks_merge_opened(struct ks_merge *merge, size_t index)
{
    struct source *source = source_at(merge, index);
    source->connected = true;
    drop_draft(source);
}

void ks_merge_closed(struct ks_merge *merge, size_t index)
{
    struct source *source = source_at(merge, index);
    source->connected = false;
    drop_draft(source);
}

/* Whether any other source that is connected still has the merge's epoch. */
static bool epoch_is_alive(const struct ks_merge *merge, const struct source *but)
{
    for (size_t i = 0; i < KS_MERGE_SOURCES_MAX; i++) {
        const struct source *source = &merge->sources[i];
        if (source != but && source->connected &&
            ks_follow_same_epoch(&source->told, &merge->position)) {
            return true;
        }
    }
    return false;
}

/* Whether a snapshot is to replace what is here. had is what its source had told before. */
static bool is_wanted(const struct ks_merge *merge, const struct source *source,
                      const struct ks_follow_position *had)
{
    if (!ks_merge_has_version(merge)) {
        return true;
    }
    if (ks_follow_same_epoch(&source->told, &merge->position)) {
        return source->told.revision > merge->position.revision;
    }
    return ks_follow_same_epoch(had, &merge->position) || !epoch_is_alive(merge, source);
}

static void publish(struct ks_merge *merge, struct ks_identity_draft *draft,
                    const struct ks_follow_part *part)
{
    /* The writer may change what only it and versions to come look at. */
    struct ks_identities *old = (struct ks_identities *)(uintptr_t)ks_rcu_current(merge->rcu);
    ks_rcu_publish(merge->rcu, ks_identities_next(old, draft, part->snapshot));
    merge->position = part->position;
}

static ks_result add_records(struct ks_identity_draft *draft, const struct ks_follow_part *part)
{
    for (size_t i = 0; i < part->record_count; i++) {
        const struct ks_follow_record *record = &part->records[i];
        KS_TRY(ks_identity_draft_add(draft, record->key, record->value, !record->value.ptr));
    }
    return KS_RES(OK);
}

static ks_result receive_snapshot(struct ks_merge *merge, struct source *source,
                                  const struct ks_follow_part *part)
{
    if (!source->draft) {
        source->draft = ks_identity_draft_new();
    }
    KS_TRY(add_records(source->draft, part));
    if (!part->whole) {
        return KS_RES(OK);
    }
    const struct ks_follow_position had = source->told;
    source->told = part->position;
    if (is_wanted(merge, source, &had)) {
        publish(merge, source->draft, part);
    }
    drop_draft(source);
    return KS_RES(OK);
}

/* A source that stays in an epoch that was left is listened to until it moves. */
static ks_result receive_change(struct ks_merge *merge, struct source *source,
                                const struct ks_follow_part *part)
{
    source->told = part->position;
    bool later = part->position.revision > merge->position.revision;
    if (!ks_follow_same_epoch(&part->position, &merge->position) || !later) {
        return KS_RES(OK);
    }
    struct ks_identity_draft *draft = ks_identity_draft_new();
    ks_result added = add_records(draft, part);
    if (!ks_failed(added)) {
        publish(merge, draft, part);
    }
    ks_identity_draft_free(draft);
    return added;
}

ks_result ks_merge_received(struct ks_merge *merge, size_t index, const struct ks_follow_part *part)
{
    struct source *source = source_at(merge, index);
    return part->snapshot ? receive_snapshot(merge, source, part)
                          : receive_change(merge, source, part);
}
