#include "pkg/store/window/settle.h"

#include <assert.h>
#include <string.h>

#include "pkg/base/mem.h"

static struct ks_said *find_said(struct ks_settling *settling, const char *id)
{
    for (size_t i = 0; i < KS_WORDS_MAX; i++) {
        if (strcmp(settling->said[i].id, id) == 0) {
            return &settling->said[i];
        }
    }
    return NULL;
}

void ks_settling_say(struct ks_settling *settling, const char *id, int64_t revision)
{
    assert(id[0] && strlen(id) < sizeof(settling->said[0].id));

    struct ks_said *said = find_said(settling, id);
    if (!said) {
        said = &settling->said[settling->said_next++ % KS_WORDS_MAX];
        *said = (struct ks_said){.revision = 0};
        memcpy(said->id, id, strlen(id) + 1);
    }
    if (revision > said->revision) {
        said->revision = revision;
    }
}

static int64_t said_by(struct ks_settling *settling, const char *id)
{
    const struct ks_said *said = find_said(settling, id);
    return said ? said->revision : 0;
}

/* ---- Beginning ---- */

static void add_waiter(struct ks_settlement *settlement, struct ks_waiter *waiter)
{
    waiter->next = settlement->waiters;
    settlement->waiters = waiter;
}

void ks_settling_begin(struct ks_settling *settling, int64_t revision, const struct ks_list *list,
                       int64_t now_ns, struct ks_waiter *waiter)
{
    assert(revision > 0);
    assert(settling->wait_ns > 0);

    struct ks_settlement *settlement = ks_alloc(1, sizeof(*settlement));
    settlement->revision = revision;
    settlement->over_ns = now_ns + settling->wait_ns;
    settlement->has_unnamed = list->has_unnamed;
    memcpy(settlement->unnamed.id, list->unnamed_id, sizeof(list->unnamed_id));
    settlement->unnamed.mod_revision = list->unnamed_revision;
    for (size_t i = 0; i < list->count; i++) {
        struct ks_listed *listed = &settlement->listed[settlement->listed_count++];
        memcpy(listed->id, list->entries[i].id, sizeof(listed->id));
        listed->mod_revision = list->entries[i].mod_revision;
    }
    add_waiter(settlement, waiter);
    settlement->next = settling->first;
    settling->first = settlement;
    settling->count++;
}

bool ks_settling_join(struct ks_settling *settling, int64_t revision, struct ks_waiter *waiter)
{
    for (struct ks_settlement *s = settling->first; s; s = s->next) {
        if (s->revision >= revision) {
            add_waiter(s, waiter);
            return true;
        }
    }
    return false;
}

/* ---- Ending ---- */

static void raise_settled(struct ks_settling *settling, int64_t revision)
{
    if (revision > settling->settled) {
        settling->settled = revision;
    }
}

static bool all_have_confirmed(struct ks_settling *settling, struct ks_settlement *settlement,
                               const char *own_id, int64_t applied)
{
    bool all = !settlement->has_unnamed;
    for (size_t i = 0; i < settlement->listed_count; i++) {
        struct ks_listed *listed = &settlement->listed[i];
        int64_t has_applied =
            strcmp(listed->id, own_id) == 0 ? applied : said_by(settling, listed->id);
        listed->has_confirmed = listed->has_confirmed || has_applied >= settlement->revision;
        all = all && listed->has_confirmed;
    }
    return all;
}

/* As far as everyone on the copy's own list has applied. */
static int64_t applied_by_all(struct ks_settling *settling, const struct ks_list *list,
                              int64_t applied, const char *own_id)
{
    int64_t least = applied;
    for (size_t i = 0; i < list->count; i++) {
        const char *id = list->entries[i].id;
        int64_t said = strcmp(id, own_id) == 0 ? applied : said_by(settling, id);
        least = said < least ? said : least;
    }
    return list->has_unnamed ? 0 : least;
}

int64_t ks_settling_step(struct ks_settling *settling, const struct ks_list *list, int64_t applied,
                         const char *own_id, int64_t now_ns)
{
    int64_t next_ns = INT64_MAX;
    raise_settled(settling, applied_by_all(settling, list, applied, own_id));
    for (struct ks_settlement *s = settling->first; s; s = s->next) {
        if (all_have_confirmed(settling, s, own_id, applied) || now_ns >= s->over_ns) {
            raise_settled(settling, s->revision);
        }
        next_ns = s->over_ns < next_ns ? s->over_ns : next_ns;
    }
    return next_ns;
}

static void strike_silent(const struct ks_settlement *settlement, ks_settling_strike *strike,
                          void *user)
{
    for (size_t i = 0; i < settlement->listed_count; i++) {
        if (!settlement->listed[i].has_confirmed) {
            strike(user, &settlement->listed[i]);
        }
    }
    if (settlement->unnamed.id[0] != '\0') {
        strike(user, &settlement->unnamed);
    }
}

bool ks_settling_take(struct ks_settling *settling, int64_t now_ns, ks_settling_strike *strike,
                      void *user, struct ks_waiter **ret_waiters)
{
    struct ks_settlement **place = &settling->first;
    while (*place && (*place)->revision > settling->settled) {
        place = &(*place)->next;
    }
    struct ks_settlement *settlement = *place;
    if (!settlement) {
        return false;
    }
    if (now_ns >= settlement->over_ns) {
        strike_silent(settlement, strike, user);
    }
    *place = settlement->next;
    settling->count--;
    *ret_waiters = settlement->waiters;
    ks_free(settlement);
    return true;
}

static void do_not_strike(void *user, const struct ks_listed *silent)
{
    (void)user;
    (void)silent;
}

struct ks_waiter *ks_settling_reset(struct ks_settling *settling)
{
    struct ks_waiter *all = NULL;
    struct ks_waiter *waiters;
    settling->settled = INT64_MAX;
    while (ks_settling_take(settling, 0, do_not_strike, NULL, &waiters)) {
        while (waiters) {
            struct ks_waiter *next = waiters->next;
            waiters->next = all;
            all = waiters;
            waiters = next;
        }
    }
    *settling = (struct ks_settling){.wait_ns = settling->wait_ns};
    return all;
}
