#include "services/frontend/route/views.h"

#include <assert.h>
#include <string.h>

#include "pkg/base/mem.h"

#define WAYS 4U

/* One view with its bytes behind it: account, name, version, facts. */
struct entry {
    uint64_t hash;
    uint64_t used; /* number of the use, for the age */
    size_t account_len;
    size_t name_len;
    size_t version_len;
    size_t facts_len;
    uint8_t bytes[];
};

struct ks_views {
    size_t set_count; /* a power of two */
    uint64_t uses;
    struct entry **entries; /* set_count times WAYS */
};

struct ks_views *ks_views_new(size_t count_max)
{
    assert(count_max >= WAYS);

    struct ks_views *views = ks_alloc(1, sizeof(*views));
    views->set_count = 1;
    while (2 * views->set_count * WAYS <= count_max) {
        views->set_count *= 2;
    }
    views->entries = ks_alloc(views->set_count * WAYS, sizeof(struct entry *));
    return views;
}

void ks_views_free(struct ks_views *views)
{
    if (!views) {
        return;
    }
    for (size_t i = 0; i < views->set_count * WAYS; i++) {
        ks_free(views->entries[i]);
    }
    ks_free(views->entries);
    ks_free(views);
}

static uint64_t add_to_hash(uint64_t hash, ks_bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        hash = (hash ^ text.ptr[i]) * 0x100000001b3U;
    }
    return hash;
}

/* FNV-1a. Names that collide on purpose cost their maker's own views only a place. */
static uint64_t hash_of(ks_bytes account, ks_bytes name)
{
    uint64_t hash = add_to_hash(add_to_hash(0xcbf29ce484222325U, account), name);
    return hash ^ (hash >> 29);
}

static ks_bytes account_of(const struct entry *entry)
{
    return (ks_bytes){entry->bytes, entry->account_len};
}

static ks_bytes name_of(const struct entry *entry)
{
    return (ks_bytes){entry->bytes + entry->account_len, entry->name_len};
}

static struct entry **set_of(struct ks_views *views, uint64_t hash)
{
    return &views->entries[(hash & (views->set_count - 1)) * WAYS];
}

/* The place of a name in its set; NULL if it is not there. */
static struct entry **place_of(struct entry **set, uint64_t hash, ks_bytes account, ks_bytes name)
{
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i] && set[i]->hash == hash && ks_bytes_equal(name_of(set[i]), name) &&
            ks_bytes_equal(account_of(set[i]), account)) {
            return &set[i];
        }
    }
    return NULL;
}

bool ks_views_find(struct ks_views *views, ks_bytes account, ks_bytes name,
                   struct ks_view *ret_view)
{
    uint64_t hash = hash_of(account, name);
    struct entry **place = place_of(set_of(views, hash), hash, account, name);
    if (!place) {
        return false;
    }
    struct entry *entry = *place;
    const uint8_t *version = entry->bytes + entry->account_len + entry->name_len;
    entry->used = ++views->uses;
    *ret_view = (struct ks_view){
        .version = {version, entry->version_len},
        .facts = {version + entry->version_len, entry->facts_len},
    };
    return true;
}

static uint8_t *put(uint8_t *place, ks_bytes text)
{
    if (text.len > 0) {
        memcpy(place, text.ptr, text.len);
    }
    return place + text.len;
}

static struct entry *entry_new(uint64_t hash, ks_bytes account, ks_bytes name,
                               const struct ks_view *view)
{
    struct entry *entry =
        ks_alloc(1, sizeof(*entry) + account.len + name.len + view->version.len + view->facts.len);
    entry->hash = hash;
    entry->account_len = account.len;
    entry->name_len = name.len;
    entry->version_len = view->version.len;
    entry->facts_len = view->facts.len;
    uint8_t *end = put(put(entry->bytes, account), name);
    (void)put(put(end, view->version), view->facts);
    return entry;
}

/* A free place, or that of the oldest. */
static struct entry **victim_of(struct entry **set)
{
    struct entry **victim = &set[0];
    for (size_t i = 0; i < WAYS; i++) {
        if (!set[i]) {
            return &set[i];
        }
        if (set[i]->used < (*victim)->used) {
            victim = &set[i];
        }
    }
    return victim;
}

void ks_views_put(struct ks_views *views, ks_bytes account, ks_bytes name,
                  const struct ks_view *view)
{
    uint64_t hash = hash_of(account, name);
    struct entry **set = set_of(views, hash);
    struct entry **place = place_of(set, hash, account, name);
    bool wanted = view->version.len > 0 && name.len <= KS_VIEW_NAME_MAX &&
                  view->version.len <= KS_VIEW_VERSION_MAX && view->facts.len <= KS_VIEW_FACTS_MAX;
    if (!wanted && !place) {
        return;
    }
    if (!place) {
        place = victim_of(set);
    }
    struct entry *old = *place;
    *place = wanted ? entry_new(hash, account, name, view) : NULL;
    if (*place) {
        (*place)->used = ++views->uses;
    }
    ks_free(old);
}
