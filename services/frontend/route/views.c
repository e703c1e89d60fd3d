#include "services/frontend/route/views.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "pkg/base/mem.h"

#define COUNT_MIN   4U
#define ENTRY_PART  4U  /* the largest view takes a quarter of the room */
#define CHANCES_MAX 64U /* views in use that are passed over in search of one that is not */

#define OWNER_OF(type, member, link) ((type *)(void *)((char *)(link)-offsetof(type, member)))

/* A ring. Its head stands in the owner: behind it the oldest one, before it the newest. */
struct link {
    struct link *previous;
    struct link *next;
};

/* One view with its bytes behind it: account, name, version, facts. */
struct entry {
    struct link in_all;
    struct link in_share;
    struct entry *chain; /* the next one of its bucket */
    uint64_t hash;
    bool used;       /* since it was last passed over */
    unsigned doubts; /* older views that have come in a row */
    int64_t revision;
    size_t account_len;
    size_t name_len;
    size_t version_len;
    size_t facts_len;
    uint8_t bytes[];
};

struct share {
    struct link entries;
    struct link in_large; /* alone unless the share has more than its part */
    size_t count;
    size_t bytes;
};

struct ks_views {
    size_t count_max;
    size_t bytes_max;
    size_t count;
    size_t bytes;
    struct ks_hash_key hash_key;
    size_t bucket_count; /* a power of two */
    struct entry **buckets;
    struct link all;
    struct link large; /* the shares that have more than their part */
    struct share shares[KS_VIEW_SHARES];
};

/* ---- Rings ---- */

static void link_init(struct link *link)
{
    link->previous = link;
    link->next = link;
}

static bool is_alone(const struct link *link)
{
    return link->next == link;
}

/* Takes it out; a link that is alone stays so. */
static void link_remove(struct link *link)
{
    link->previous->next = link->next;
    link->next->previous = link->previous;
    link_init(link);
}

static void link_add_newest(struct link *head, struct link *link)
{
    link->previous = head->previous;
    link->next = head;
    head->previous->next = link;
    head->previous = link;
}

/* ---- Life ---- */

struct ks_views *ks_views_new(size_t count_max, const struct ks_hash_key *hash_key)
{
    assert(count_max >= COUNT_MIN);

    struct ks_views *views = ks_alloc(1, sizeof(*views));
    views->count_max = count_max;
    views->hash_key = *hash_key;
    views->bytes_max = count_max * KS_VIEW_BYTES;
    views->bucket_count = 1;
    while (views->bucket_count < count_max) {
        views->bucket_count *= 2;
    }
    views->buckets = ks_alloc(views->bucket_count, sizeof(struct entry *));
    link_init(&views->all);
    link_init(&views->large);
    for (size_t i = 0; i < KS_VIEW_SHARES; i++) {
        link_init(&views->shares[i].entries);
        link_init(&views->shares[i].in_large);
    }
    return views;
}

void ks_views_free(struct ks_views *views)
{
    if (!views) {
        return;
    }
    while (!is_alone(&views->all)) {
        struct entry *entry = OWNER_OF(struct entry, in_all, views->all.next);
        link_remove(&entry->in_all);
        ks_free(entry);
    }
    ks_free(views->buckets);
    ks_free(views);
}

/* ---- One view ---- */

/* Names of aliases are their owner's choice: a bucket is not, as nobody outside knows the key. */
static uint64_t hash_of(const struct ks_views *views, ks_bytes account, ks_bytes name)
{
    const ks_bytes parts[] = {account, name};
    return ks_hash(&views->hash_key, parts, KS_COUNT(parts));
}

static ks_bytes account_of(const struct entry *entry)
{
    return (ks_bytes){entry->bytes, entry->account_len};
}

static ks_bytes name_of(const struct entry *entry)
{
    return (ks_bytes){entry->bytes + entry->account_len, entry->name_len};
}

static struct ks_view view_of(const struct entry *entry)
{
    const uint8_t *version = entry->bytes + entry->account_len + entry->name_len;
    return (struct ks_view){
        .version = {version, entry->version_len},
        .facts = {version + entry->version_len, entry->facts_len},
        .revision = entry->revision,
    };
}

static size_t size_of(const struct entry *entry)
{
    return sizeof(*entry) + entry->account_len + entry->name_len + entry->version_len +
           entry->facts_len;
}

/* Where the name stands in its bucket, or would stand: then what is returned points to NULL. */
static struct entry **place_of(const struct ks_views *views, ks_bytes account, ks_bytes name)
{
    uint64_t hash = hash_of(views, account, name);
    struct entry **place = &views->buckets[hash & (views->bucket_count - 1)];
    while (*place && !((*place)->hash == hash && ks_bytes_equal(name_of(*place), name) &&
                       ks_bytes_equal(account_of(*place), account))) {
        place = &(*place)->chain;
    }
    return place;
}

bool ks_views_find(struct ks_views *views, ks_bytes account, ks_bytes name,
                   struct ks_view *ret_view)
{
    struct entry *entry = *place_of(views, account, name);
    if (!entry) {
        return false;
    }
    entry->used = true;
    *ret_view = view_of(entry);
    return true;
}

size_t ks_views_bucket_max(const struct ks_views *views)
{
    size_t max = 0;
    for (size_t i = 0; i < views->bucket_count; i++) {
        size_t count = 0;
        for (const struct entry *entry = views->buckets[i]; entry; entry = entry->chain) {
            count++;
        }
        max = count > max ? count : max;
    }
    return max;
}

static uint8_t *put(uint8_t *place, ks_bytes text)
{
    if (text.len > 0) {
        memcpy(place, text.ptr, text.len);
    }
    return place + text.len;
}

static struct entry *entry_new(const struct ks_views *views, ks_bytes account, ks_bytes name,
                               const struct ks_view *view)
{
    struct entry *entry =
        ks_alloc(1, sizeof(*entry) + account.len + name.len + view->version.len + view->facts.len);
    entry->hash = hash_of(views, account, name);
    entry->revision = view->revision;
    entry->account_len = account.len;
    entry->name_len = name.len;
    entry->version_len = view->version.len;
    entry->facts_len = view->facts.len;
    uint8_t *end = put(put(entry->bytes, account), name);
    (void)put(put(end, view->version), view->facts);
    return entry;
}

/* ---- The room ---- */

/* Of the account whose name it is: who asks for a name of another one cannot move it. */
static struct share *share_of(struct ks_views *views, const struct entry *entry)
{
    return &views->shares[ks_upstream_share(account_of(entry))];
}

static bool has_more(const struct ks_views *views, const struct share *share)
{
    return share->count > views->count_max / KS_VIEW_SHARE_PART ||
           share->bytes > views->bytes_max / KS_VIEW_SHARE_PART;
}

static void sort_share(struct ks_views *views, struct share *share)
{
    bool large = has_more(views, share);
    if (large && is_alone(&share->in_large)) {
        link_add_newest(&views->large, &share->in_large);
    } else if (!large) {
        link_remove(&share->in_large);
    }
}

static void entry_link(struct ks_views *views, struct entry *entry)
{
    struct share *share = share_of(views, entry);
    size_t size = size_of(entry);
    link_add_newest(&views->all, &entry->in_all);
    link_add_newest(&share->entries, &entry->in_share);
    views->count++;
    views->bytes += size;
    share->count++;
    share->bytes += size;
    sort_share(views, share);
}

/* Takes out what stands at the place, and frees it. */
static void entry_drop(struct ks_views *views, struct entry **place)
{
    struct entry *entry = *place;
    assert(entry);
    struct share *share = share_of(views, entry);
    size_t size = size_of(entry);
    *place = entry->chain;
    link_remove(&entry->in_all);
    link_remove(&entry->in_share);
    views->count--;
    views->bytes -= size;
    share->count--;
    share->bytes -= size;
    sort_share(views, share);
    ks_free(entry);
}

/*
 * The oldest one of a ring that was not used for a while.
 * link_at  where in an entry the ring's link stands.
 */
static struct entry *oldest_of(struct link *ring, size_t link_at)
{
    struct entry *entry = (struct entry *)(void *)((char *)ring->next - link_at);
    for (unsigned i = 0; i < CHANCES_MAX && entry->used; i++) {
        struct link *link = ring->next;
        entry->used = false;
        link_remove(link);
        link_add_newest(ring, link);
        entry = (struct entry *)(void *)((char *)ring->next - link_at);
    }
    return entry;
}

/* What gives way to one more view: of a share that has more than its part, if there is one. */
static struct entry *victim_of(struct ks_views *views)
{
    if (!is_alone(&views->large)) {
        struct share *share = OWNER_OF(struct share, in_large, views->large.next);
        return oldest_of(&share->entries, offsetof(struct entry, in_share));
    }
    return oldest_of(&views->all, offsetof(struct entry, in_all));
}

static void make_room(struct ks_views *views, size_t size)
{
    assert(size <= views->bytes_max);

    while (views->count == views->count_max || size > views->bytes_max - views->bytes) {
        struct entry *victim = victim_of(views);
        entry_drop(views, place_of(views, account_of(victim), name_of(victim)));
    }
}

/* Whether the view is older than what is remembered, and that is believed. */
static bool is_doubted(struct entry *entry, const struct ks_view *view)
{
    if (view->revision >= entry->revision || entry->doubts == KS_VIEW_DOUBTS_MAX) {
        return false;
    }
    entry->doubts++;
    return true;
}

void ks_views_put(struct ks_views *views, ks_bytes account, ks_bytes name,
                  const struct ks_view *view)
{
    struct entry **place = place_of(views, account, name);
    if (*place && is_doubted(*place, view)) {
        return;
    }
    if (*place) {
        entry_drop(views, place);
    }
    bool wanted = view->version.len > 0 && name.len <= KS_VIEW_NAME_MAX &&
                  view->version.len <= KS_VIEW_VERSION_MAX && view->facts.len <= KS_VIEW_FACTS_MAX;
    if (!wanted) {
        return;
    }
    struct entry *entry = entry_new(views, account, name, view);
    size_t size = size_of(entry);
    if (size > views->bytes_max / ENTRY_PART) {
        ks_free(entry);
        return;
    }
    make_room(views, size);
    place = place_of(views, account, name);
    *place = entry;
    entry_link(views, entry);
}
