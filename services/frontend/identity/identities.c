#include "services/frontend/identity/identities.h"

#include <assert.h>
#include <string.h>

#include "keystead/storage/v1/storage.pb-c.h"
#include "pkg/base/hash.h"
#include "pkg/base/mem.h"
#include "pkg/codec/codec.h"

#define FORMAT         1U /* of the records that this version reads */
#define FIRST_CAPACITY 64U
#define RECORD_LEN_MAX 4096U /* bytes of a record, unpacked */

struct list {
    struct ks_identity **items;
    size_t count;
    size_t capacity;
};

struct ks_identity_draft {
    struct list changes;
};

struct ks_identities {
    uint64_t number;
    size_t count;      /* records in slots */
    size_t slot_count; /* a power of two, at least twice count; open addressing */
    const struct ks_identity **slots;
    struct ks_set_sum sum;
    struct list retired; /* records that the next version does not have; freed with this one */
    bool superseded;     /* there is a next version, which owns the other records */
};

static void list_push(struct list *list, struct ks_identity *item)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? 2 * list->capacity : FIRST_CAPACITY;
        list->items = ks_realloc(list->items, list->capacity, sizeof(struct ks_identity *));
    }
    list->items[list->count++] = item;
}

static void list_done(struct list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        ks_free(list->items[i]);
    }
    ks_free(list->items);
    *list = (struct list){0};
}

struct ks_identity_draft *ks_identity_draft_new(void)
{
    return ks_alloc(1, sizeof(struct ks_identity_draft));
}

void ks_identity_draft_free(struct ks_identity_draft *draft)
{
    if (draft) {
        list_done(&draft->changes);
        ks_free(draft);
    }
}

static bool copy(char *to, size_t len_max, const char *from)
{
    size_t len = strlen(from);
    if (len > len_max) {
        return false;
    }
    memcpy(to, from, len + 1);
    return true;
}

static bool read_account(const struct ProtobufCMessage *message, struct ks_identity *identity)
{
    const Keystead__Storage__V1__AccountRecord *record =
        (const Keystead__Storage__V1__AccountRecord *)message;
    return record->format == FORMAT && copy(identity->account, KS_ACCOUNT_LEN, record->account);
}

static bool read_user(const struct ProtobufCMessage *message, struct ks_identity *identity)
{
    const Keystead__Storage__V1__UserRecord *record =
        (const Keystead__Storage__V1__UserRecord *)message;
    return record->format == FORMAT && copy(identity->account, KS_ACCOUNT_LEN, record->account) &&
           copy(identity->user_id, KS_IDENTITY_USER_ID_MAX, record->user_id);
}

static bool read_certificate(const struct ProtobufCMessage *message, struct ks_identity *identity)
{
    const Keystead__Storage__V1__CertificateRecord *record =
        (const Keystead__Storage__V1__CertificateRecord *)message;
    identity->not_after_ms = record->not_after_ms;
    identity->revoked_at_ms = record->revoked_at_ms;
    return record->format == FORMAT && copy(identity->account, KS_ACCOUNT_LEN, record->account) &&
           copy(identity->user, KS_USER_NAME_LEN_MAX, record->user) &&
           copy(identity->user_id, KS_IDENTITY_USER_ID_MAX, record->user_id);
}

struct kind {
    const char *prefix;
    const ProtobufCMessageDescriptor *type;
    bool (*read)(const struct ProtobufCMessage *message, struct ks_identity *identity);
};

static const struct kind kinds[] = {
    {"account/", &keystead__storage__v1__account_record__descriptor, read_account},
    {"user/", &keystead__storage__v1__user_record__descriptor, read_user},
    {"certificate/", &keystead__storage__v1__certificate_record__descriptor, read_certificate},
};

static const struct kind *kind_of(ks_bytes key)
{
    for (size_t i = 0; i < KS_COUNT(kinds); i++) {
        if (ks_bytes_starts_with(key, ks_bytes_of(kinds[i].prefix))) {
            return &kinds[i];
        }
    }
    return NULL;
}

static bool read_record(const struct kind *kind, ks_bytes value, struct ks_identity *identity)
{
    KS_ARENA_AUTO arena = {.len_max = RECORD_LEN_MAX};
    struct ProtobufCMessage *message;
    return !ks_failed(ks_codec_unpack(kind->type, value, NULL, &arena, &message)) &&
           kind->read(message, identity);
}

ks_result ks_identity_draft_add(struct ks_identity_draft *draft, struct ks_crypto *crypto,
                                ks_bytes key, ks_bytes value, int64_t revision)
{
    const struct kind *kind = kind_of(key);
    if (key.len == 0 || key.len > KS_IDENTITY_OTHER_KEY_MAX) {
        return KS_RES(VALIDATION);
    }
    if (draft->changes.count == KS_IDENTITIES_MAX) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    struct ks_set_leaf leaf = {{0}};
    if (value.ptr) {
        KS_TRY(ks_set_leaf(crypto, key, value, revision, &leaf));
    }
    struct ks_identity *identity = ks_alloc(1, sizeof(*identity) + key.len + 1);
    memcpy(identity->key, key.ptr, key.len);
    identity->hash = ks_plain_hash(key);
    identity->leaf = leaf;
    identity->deleted = !value.ptr;
    identity->opaque =
        !value.ptr || !kind || key.len > KS_IDENTITY_KEY_MAX || !read_record(kind, value, identity);
    list_push(&draft->changes, identity);
    return KS_RES(OK);
}

/* The slot of key, or the free one where it belongs. */
static const struct ks_identity **slot_of(const struct ks_identities *identities, const char *key,
                                          uint64_t hash)
{
    size_t mask = identities->slot_count - 1;
    size_t at = (size_t)hash & mask;
    while (identities->slots[at] &&
           (identities->slots[at]->hash != hash || strcmp(identities->slots[at]->key, key) != 0)) {
        at = (at + 1) & mask;
    }
    return &identities->slots[at];
}

static void put(struct ks_identities *identities, const struct ks_identity *identity)
{
    const struct ks_identity **slot = slot_of(identities, identity->key, identity->hash);
    identities->count += !*slot;
    *slot = identity;
}

static struct ks_identities *identities_new(uint64_t number, size_t count_max)
{
    struct ks_identities *identities = ks_alloc(1, sizeof(*identities));
    identities->number = number;
    identities->slot_count = FIRST_CAPACITY;
    while (identities->slot_count < 2 * count_max) {
        identities->slot_count *= 2;
    }
    identities->slots = ks_alloc(identities->slot_count, sizeof(struct ks_identity *));
    return identities;
}

/* A reader of old may still look at the record: it goes when old does. */
static void retire(struct ks_identities *old, const struct ks_identity *identity)
{
    list_push(&old->retired, (struct ks_identity *)(uintptr_t)identity);
}

/* Puts old's records into next, but for those that changes name, which retire. */
static void carry_over(struct ks_identities *old, const struct ks_identities *changes, bool replace,
                       struct ks_identities *next)
{
    for (size_t i = 0; i < old->slot_count; i++) {
        const struct ks_identity *identity = old->slots[i];
        if (!identity) {
            continue;
        }
        if (replace || *slot_of(changes, identity->key, identity->hash)) {
            retire(old, identity);
        } else {
            put(next, identity);
        }
    }
    old->superseded = true;
}

/* The draft's changes as a table of their own, the last one of each key. */
static struct ks_identities *index_changes(struct ks_identity_draft *draft)
{
    struct ks_identities *changes = identities_new(0, draft->changes.count);
    for (size_t i = 0; i < draft->changes.count; i++) {
        struct ks_identity *change = draft->changes.items[i];
        const struct ks_identity **slot = slot_of(changes, change->key, change->hash);
        ks_free((void *)(uintptr_t)*slot);
        changes->count += !*slot;
        *slot = change;
    }
    draft->changes.count = 0;
    return changes;
}

/* before: what the change takes the place of; NULL: nothing. */
static ks_result sum_change(const struct ks_identity *before, const struct ks_identity *change,
                            struct ks_crypto *crypto, struct ks_set_sum *sum)
{
    if (before) {
        KS_TRY(ks_set_remove(crypto, sum, &before->leaf));
    }
    return change->deleted ? KS_RES(OK) : ks_set_add(crypto, sum, &change->leaf);
}

/* Brings the sum up to date. Fails: INTERNAL (OpenSSL); sum is then unspecified. */
static ks_result sum_changes(const struct ks_identities *kept, const struct ks_identities *changes,
                             struct ks_crypto *crypto, struct ks_set_sum *sum)
{
    ks_result r = KS_RES(OK);
    for (size_t i = 0; i < changes->slot_count && !ks_failed(r); i++) {
        const struct ks_identity *change = changes->slots[i];
        if (change) {
            r = sum_change(kept ? *slot_of(kept, change->key, change->hash) : NULL, change, crypto,
                           sum);
        }
    }
    return r;
}

struct ks_identities *ks_identities_next(struct ks_identities *old, struct ks_identity_draft *draft,
                                         bool replace, const struct ks_identity_judge *judge)
{
    assert(!old || !old->superseded);

    struct ks_identities *changes = index_changes(draft);
    const struct ks_identities *kept = replace ? NULL : old;
    struct ks_set_sum sum = kept ? kept->sum : (struct ks_set_sum){0};
    if (ks_failed(sum_changes(kept, changes, judge->crypto, &sum)) ||
        !judge->accepts(judge->user, &sum)) {
        ks_identities_free(changes);
        return NULL;
    }
    size_t kept_max = old && !replace ? old->count : 0;
    struct ks_identities *next =
        identities_new(old ? old->number + 1 : 1, kept_max + changes->count);
    if (old) {
        carry_over(old, changes, replace, next);
    }
    for (size_t i = 0; i < changes->slot_count; i++) {
        const struct ks_identity *change = changes->slots[i];
        if (change && change->deleted) {
            ks_free((void *)(uintptr_t)change);
        } else if (change) {
            put(next, change);
        }
    }
    ks_free(changes->slots);
    ks_free(changes);
    next->sum = sum;
    return next;
}

void ks_identities_free(void *ptr)
{
    struct ks_identities *identities = ptr;
    if (!identities) {
        return;
    }
    for (size_t i = 0; i < identities->slot_count && !identities->superseded; i++) {
        ks_free((void *)(uintptr_t)identities->slots[i]);
    }
    list_done(&identities->retired);
    ks_free(identities->slots);
    ks_free(identities);
}

uint64_t ks_identities_number(const struct ks_identities *identities)
{
    return identities->number;
}

size_t ks_identities_count(const struct ks_identities *identities)
{
    return identities->count;
}

const struct ks_identity *ks_identities_find(const struct ks_identities *identities,
                                             const char *key, uint64_t hash)
{
    const struct ks_identity *identity = *slot_of(identities, key, hash);
    return identity && !identity->opaque ? identity : NULL;
}
