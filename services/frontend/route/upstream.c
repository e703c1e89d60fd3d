#include "services/frontend/route/upstream.h"

#include <assert.h>
#include <string.h>

#include "pkg/base/clock.h"
#include "pkg/base/hash.h"
#include "pkg/base/mem.h"
#include "services/frontend/route/item.h"
#include "services/frontend/route/queue.h"

/* What makes a keystore less welcome, counted in items that it would have to have under way. */
#define FAR_SCORE        KS_UPSTREAM_SPILL /* in another zone, or one rank lower */
#define UNACCEPTED_SCORE 100000U           /* not known to be there */
#define SHUNNED_SCORE    1000000U          /* has just failed */

#define SHUN_NS         (1000 * KS_NS_PER_MS) /* after silence */
#define SHUN_BRIEF_NS   (100 * KS_NS_PER_MS)  /* after UNAVAILABLE: its window may be open soon */
#define BUSY_PATIENCES  4                     /* how much longer one that answers others may take */
#define PAUSE_FIRST_NS  (20 * KS_NS_PER_MS)   /* when all keystores were tried in vain */
#define PAUSE_DOUBLINGS 4U                    /* up to 320 ms */

/* Frontends that have lost the same keystores must not turn to the next one at the same moment. */
#define TRIAL_PAUSE_NS (KS_UPSTREAM_TRIAL_PAUSE_MS * KS_NS_PER_MS)
#define TRIAL_STEPS    8U
#define TRIAL_STEP_NS  (KS_UPSTREAM_TICK_MS * KS_NS_PER_MS)

/* How long a message may keep others waiting: one that takes longer waits for something else. */
#define COLLECT_NS (KS_UPSTREAM_TICK_MS * KS_NS_PER_MS)

/* Halvings of the largest message down to one item, the deaths that it has alone, four to spare. */
static_assert(KS_EXECUTE_ITEMS_MAX <= 1U << 8, "eight halvings");
static_assert(8U + KS_UPSTREAM_LONE_DEATHS_MAX + 4U == KS_UPSTREAM_DEATHS_MAX, "derived");

struct peer {
    bool usable;         /* there is a stream */
    bool accepted;       /* and it has been accepted */
    size_t outstanding;  /* items that it has or that wait for it */
    size_t written;      /* of them, those that it has */
    size_t ghosts;       /* that it has or had besides, and that nobody waits for any more */
    int64_t heard_at_ns; /* of its last message */
    int64_t shunned_until_ns;
    struct ks_upstream_queue mutations;
    struct ks_upstream_queue others;   /* collected while a message of them is unanswered */
    struct ks_upstream_queue suspects; /* of both kinds */
    bool flying;                       /* others were sent, and nothing of their kind came back */
    int64_t flying_since_ns;           /* if so */
    bool on_trial;                     /* the last message was one of suspects */
    int64_t trial_since_ns;            /* if so */
    bool clearing;                     /* suspects wait until everything is answered */
    int64_t clearing_since_ns;         /* if so */
};

struct ks_upstream {
    struct ks_upstream_options options;
    struct peer peers[KS_UPSTREAM_PEERS_MAX];
    unsigned holds; /* reasons to collect and not to send yet */
    bool armed;
    struct ks_upstream_counts counts;
    size_t count;
    struct ks_upstream_item *first; /* all items, oldest first */
    struct ks_upstream_item *last;
    /* An item's tag is its slot and how often the slot was used, so that late answers miss. */
    struct ks_upstream_item *slots[KS_UPSTREAM_ITEMS_MAX];
    uint64_t slot_uses[KS_UPSTREAM_ITEMS_MAX];
    uint32_t free_slots[KS_UPSTREAM_ITEMS_MAX];
    uint32_t share_counts[KS_UPSTREAM_SHARES]; /* items under way */
};

static_assert((KS_UPSTREAM_SHARES & (KS_UPSTREAM_SHARES - 1)) == 0, "a power of two");
static_assert((KS_UPSTREAM_ITEMS_MAX & (KS_UPSTREAM_ITEMS_MAX - 1)) == 0, "a power of two");

struct ks_upstream *ks_upstream_new(const struct ks_upstream_options *options)
{
    assert(options->peer_count > 0);
    assert(options->peer_count <= KS_UPSTREAM_PEERS_MAX);

    struct ks_upstream *upstream = ks_alloc(1, sizeof(*upstream));
    upstream->options = *options;
    for (uint32_t i = 0; i < KS_UPSTREAM_ITEMS_MAX; i++) {
        upstream->free_slots[i] = i;
    }
    return upstream;
}

void ks_upstream_free(struct ks_upstream *upstream)
{
    assert(!upstream || upstream->count == 0);

    ks_free(upstream);
}

size_t ks_upstream_count(const struct ks_upstream *upstream)
{
    return upstream->count;
}

const struct ks_upstream_counts *ks_upstream_counts(const struct ks_upstream *upstream)
{
    return &upstream->counts;
}

bool ks_upstream_is_guilty(const struct ks_upstream_item *item)
{
    return item->lone_deaths >= KS_UPSTREAM_LONE_DEATHS_MAX;
}

static uint32_t bit_of(size_t peer)
{
    return 1U << peer;
}

/* ---- The items under way ---- */

static void item_link(struct ks_upstream *upstream, struct ks_upstream_item *item)
{
    uint32_t slot = upstream->free_slots[upstream->count];
    upstream->slots[slot] = item;
    item->tag = ++upstream->slot_uses[slot] * KS_UPSTREAM_ITEMS_MAX + slot;
    item->next = NULL;
    item->previous = upstream->last;
    *(upstream->last ? &upstream->last->next : &upstream->first) = item;
    upstream->last = item;
    upstream->count++;
    upstream->share_counts[item->share]++;
}

static void item_unlink(struct ks_upstream *upstream, struct ks_upstream_item *item)
{
    uint32_t slot = (uint32_t)(item->tag % KS_UPSTREAM_ITEMS_MAX);
    upstream->slots[slot] = NULL;
    upstream->count--;
    upstream->share_counts[item->share]--;
    upstream->free_slots[upstream->count] = slot;
    *(item->previous ? &item->previous->next : &upstream->first) = item->next;
    *(item->next ? &item->next->previous : &upstream->last) = item->previous;
}

static struct ks_upstream_item *item_of(const struct ks_upstream *upstream, uint64_t tag)
{
    struct ks_upstream_item *item = upstream->slots[tag % KS_UPSTREAM_ITEMS_MAX];
    return item && item->tag == tag ? item : NULL;
}

/* ---- Queues: what is to be written to a keystore ---- */

/* Whether the item may be what streams end of: it must not take others with it. */
static bool is_suspect(const struct ks_upstream_item *item)
{
    return item->company_max < KS_EXECUTE_ITEMS_MAX;
}

static struct ks_upstream_queue *queue_of(struct peer *peer, const struct ks_upstream_item *item)
{
    if (is_suspect(item)) {
        return &peer->suspects;
    }
    return item->mutating ? &peer->mutations : &peer->others;
}

/* ---- Messages ---- */

/* A message that is being filled. */
struct draft {
    struct ks_buffer bytes;
    size_t count;
    bool closed; /* takes no more items */
};

/* Makes room for all items of the queue, or for as much as a message takes. */
static void draft_reserve(struct draft *draft, const struct ks_upstream_queue *queue)
{
    size_t left = draft->bytes.len_max - draft->bytes.len;
    size_t room = 0;
    size_t count = 0;
    const struct ks_upstream_item *item = queue->first;
    while (item && count < KS_EXECUTE_ITEMS_MAX && room < KS_EXECUTE_REQUEST_ENOUGH) {
        room += KS_EXECUTE_FIELD_HEAD_MAX + KS_EXECUTE_TAG_MAX + item->body.len;
        count++;
        item = item->queue_next;
    }
    ks_result reserved = ks_buffer_reserve(&draft->bytes, room < left ? room : left);
    assert(!ks_failed(reserved));
}

/* Moves the first item of the queue to the message. */
static void draft_add(struct draft *draft, struct ks_upstream_queue *queue)
{
    const struct ks_upstream_item *item = ks_upstream_queue_pop(queue);
    ks_result added = ks_item_add(item->tag, ks_buffer_bytes(&item->body), &draft->bytes);
    assert(!ks_failed(added)); /* no body is longer than KS_EXECUTE_BODY_MAX */
    draft->count++;
    draft->closed =
        draft->count == KS_EXECUTE_ITEMS_MAX || draft->bytes.len >= KS_EXECUTE_REQUEST_ENOUGH;
}

/* Moves items from the queue to the message, as many as it takes. Returns how many. */
static size_t draft_fill(struct draft *draft, struct ks_upstream_queue *queue)
{
    size_t before = draft->count;
    draft_reserve(draft, queue);
    while (queue->first && !draft->closed) {
        draft_add(draft, queue);
    }
    return draft->count - before;
}

/* The same with suspects: no more than each of them may travel with. */
static void draft_fill_suspects(struct draft *draft, struct ks_upstream_queue *queue)
{
    uint32_t room = KS_EXECUTE_ITEMS_MAX;
    while (queue->first && !draft->closed) {
        room = queue->first->company_max < room ? queue->first->company_max : room;
        if (draft->count >= room) {
            return;
        }
        draft_add(draft, queue);
    }
}

/* Whether a message is still to be waited for before the next one that is no mutation. */
static bool is_flying(const struct peer *peer, int64_t now_ns)
{
    return peer->flying && now_ns - peer->flying_since_ns < COLLECT_NS;
}

/* Whether suspects are still to be waited for, which have the stream to themselves. */
static bool is_on_trial(const struct peer *peer, int64_t now_ns)
{
    return peer->on_trial && peer->written > 0 && now_ns - peer->trial_since_ns < COLLECT_NS;
}

/* Whether suspects go next: by turns with whatever else there is. */
static bool is_suspects_turn(const struct peer *peer)
{
    bool more = peer->mutations.first || peer->others.first;
    return peer->suspects.first && !(peer->on_trial && more);
}

/* Whether the stream is clear for suspects; those who came before may keep it busy for a while. */
static bool is_clear(struct peer *peer, int64_t now_ns)
{
    if (peer->written > 0 && !peer->clearing) {
        peer->clearing = true;
        peer->clearing_since_ns = now_ns;
    }
    return peer->written == 0 || now_ns - peer->clearing_since_ns >= COLLECT_NS;
}

/* Returns whether there is something to say now. */
static bool compose_suspects(struct peer *peer, struct draft *draft, int64_t now_ns)
{
    if (!is_clear(peer, now_ns)) {
        return false;
    }
    draft_fill_suspects(draft, &peer->suspects);
    peer->clearing = false;
    peer->on_trial = true;
    peer->trial_since_ns = now_ns;
    return true;
}

/* Returns whether there is something to say now. */
static bool compose(struct peer *peer, struct draft *draft, int64_t now_ns)
{
    bool others = peer->others.first && !is_flying(peer, now_ns);
    (void)draft_fill(draft, &peer->mutations);
    if (others && draft_fill(draft, &peer->others) > 0) {
        peer->flying = true;
        peer->flying_since_ns = now_ns;
    }
    peer->on_trial = peer->on_trial && draft->count == 0;
    peer->clearing = false;
    return draft->count > 0;
}

/* Writes one message, if there is something to say and the stream takes it at once. */
static bool flush_one(struct ks_upstream *upstream, size_t index, int64_t now_ns)
{
    struct peer *peer = &upstream->peers[index];
    const struct ks_upstream_options *options = &upstream->options;
    bool something = peer->mutations.first || peer->others.first || peer->suspects.first;
    if (!something || is_on_trial(peer, now_ns) || !options->ready(options->user, index)) {
        return false;
    }
    struct draft draft = {.bytes = {.len_max = KS_EXECUTE_REQUEST_MAX}};
    bool composed = is_suspects_turn(peer) ? compose_suspects(peer, &draft, now_ns)
                                           : compose(peer, &draft, now_ns);
    if (composed) {
        peer->written += draft.count;
        /* If it fails, the stream is about to end, and the items go to others then. */
        (void)(options->send(options->user, index, &draft.bytes).code);
    }
    ks_buffer_done(&draft.bytes);
    return composed;
}

static void flush(struct ks_upstream *upstream, size_t index, int64_t now_ns)
{
    while (upstream->holds == 0 && flush_one(upstream, index, now_ns)) {
    }
}

/* Between the two, items are collected. */
static void hold(struct ks_upstream *upstream)
{
    upstream->holds++;
}

static void release(struct ks_upstream *upstream, int64_t now_ns)
{
    assert(upstream->holds > 0);

    upstream->holds--;
    for (size_t i = 0; i < upstream->options.peer_count; i++) {
        flush(upstream, i, now_ns);
    }
}

/* ---- One item ---- */

/* The keystore has answered, or never got the item. Returns whether it got it. */
static bool end_attempt(struct ks_upstream *upstream, size_t index, struct ks_upstream_item *item)
{
    struct peer *peer = &upstream->peers[index];
    assert(item->awaiting & bit_of(index));
    assert(peer->outstanding > 0);

    item->awaiting &= ~bit_of(index);
    peer->outstanding--;
    if (item->queued_at == (int)index) {
        ks_upstream_queue_remove(queue_of(peer, item), item);
        return false;
    }
    assert(peer->written > 0);
    peer->written--;
    return true;
}

/* The keystore is not waited for any more, and may still carry the item out if it got it. */
static void forget_attempt(struct ks_upstream *upstream, size_t index,
                           struct ks_upstream_item *item)
{
    if (end_attempt(upstream, index, item)) {
        item->loose = true;
        upstream->peers[index].ghosts++;
    }
}

/* What became of an item that streams had ended under. */
static void count_suspect(struct ks_upstream_counts *counts, const struct ks_upstream_item *item,
                          ks_code code)
{
    uint64_t *unproved = code == KS_UNAVAILABLE ? &counts->unanswered : &counts->answered;
    ++*(ks_upstream_is_guilty(item) ? &counts->guilty : unproved);
}

static void finish(struct ks_upstream *upstream, struct ks_upstream_item *item,
                   const struct ks_item_result *result)
{
    if (item->deaths > 0) {
        count_suspect(&upstream->counts, item, result->code);
    }
    for (size_t i = 0; item->awaiting; i++) {
        if (item->awaiting & bit_of(i)) {
            forget_attempt(upstream, i, item);
        }
    }
    item_unlink(upstream, item);
    item->done(item, result);
}

static void give_up(struct ks_upstream *upstream, struct ks_upstream_item *item)
{
    finish(upstream, item, &(struct ks_item_result){.code = KS_UNAVAILABLE});
}

/* How far a keystore is: in another zone, or, for a mutation, behind others in rank. */
static uint64_t distance_of(const struct ks_upstream *upstream, size_t index, bool mutating)
{
    if (mutating) {
        return (uint64_t)upstream->options.mutation_ranks[index] * FAR_SCORE;
    }
    return upstream->options.near & bit_of(index) ? 0 : FAR_SCORE;
}

static uint64_t score_of(const struct ks_upstream *upstream, size_t index, bool mutating,
                         int64_t now_ns)
{
    const struct peer *peer = &upstream->peers[index];
    uint64_t score = peer->outstanding + distance_of(upstream, index, mutating);
    score += peer->accepted ? 0 : UNACCEPTED_SCORE;
    score += now_ns < peer->shunned_until_ns ? SHUNNED_SCORE : 0;
    return score;
}

/* The best keystore that the item was not sent to yet; KS_NO_PEER if there is none. */
static int choose(const struct ks_upstream *upstream, const struct ks_upstream_item *item,
                  int64_t now_ns)
{
    int best = KS_NO_PEER;
    uint64_t best_score = UINT64_MAX;
    for (size_t i = 0; i < upstream->options.peer_count; i++) {
        if (!upstream->peers[i].usable || ((item->tried | item->awaiting) & bit_of(i))) {
            continue;
        }
        uint64_t score = score_of(upstream, i, item->mutating, now_ns);
        if (score < best_score) {
            best_score = score;
            best = (int)i;
        }
    }
    return best;
}

static void send_to(struct ks_upstream *upstream, size_t index, struct ks_upstream_item *item,
                    int64_t now_ns)
{
    struct peer *peer = &upstream->peers[index];
    /* It can wait in one queue only; where it waits in vain, it need not be sent any more. */
    if (item->queued_at != KS_NO_PEER) {
        forget_attempt(upstream, (size_t)item->queued_at, item);
    }
    item->attempts++;
    item->tried |= bit_of(index);
    item->awaiting |= bit_of(index);
    item->sent_at_ns = now_ns;
    peer->outstanding++;
    ks_upstream_queue_push(queue_of(peer, item), (int)index, item);
    flush(upstream, index, now_ns);
}

static void pause_item(struct ks_upstream_item *item, int64_t now_ns)
{
    uint32_t doublings = item->rounds < PAUSE_DOUBLINGS ? item->rounds : PAUSE_DOUBLINGS;
    item->retry_at_ns = now_ns + (PAUSE_FIRST_NS << doublings);
    item->rounds++;
    item->tried = 0;
}

/* Nobody has the item: sends it to the best keystore, or lets it wait when all were tried. */
static void dispatch(struct ks_upstream *upstream, struct ks_upstream_item *item, int64_t now_ns)
{
    int peer = choose(upstream, item, now_ns);
    if (peer == KS_NO_PEER) {
        pause_item(item, now_ns);
    } else {
        send_to(upstream, (size_t)peer, item, now_ns);
    }
}

static void arm(struct ks_upstream *upstream)
{
    if (!upstream->armed && upstream->count > 0) {
        upstream->armed = true;
        upstream->options.arm(upstream->options.user);
    }
}

uint32_t ks_upstream_share(ks_bytes account)
{
    return (uint32_t)ks_plain_hash(account) & (KS_UPSTREAM_SHARES - 1);
}

ks_result ks_upstream_send(struct ks_upstream *upstream, struct ks_upstream_item *item,
                           int64_t now_ns)
{
    assert(item->done);
    assert(item->share < KS_UPSTREAM_SHARES);

    if (upstream->count == KS_UPSTREAM_ITEMS_MAX ||
        upstream->share_counts[item->share] == KS_UPSTREAM_SHARE_MAX) {
        return KS_RES(THROTTLED);
    }
    item->awaiting = 0;
    item->tried = 0;
    item->attempts = 0;
    item->deaths = 0;
    item->lone_deaths = 0;
    item->on_last_trial = false;
    item->company_max = KS_EXECUTE_ITEMS_MAX;
    item->rounds = 0;
    item->queued_at = KS_NO_PEER;
    item_link(upstream, item);
    dispatch(upstream, item, now_ns);
    arm(upstream);
    return KS_RES(OK);
}

void ks_upstream_cork(struct ks_upstream *upstream)
{
    hold(upstream);
}

void ks_upstream_uncork(struct ks_upstream *upstream, int64_t now_ns)
{
    release(upstream, now_ns);
}

/* ---- What happens on the streams ---- */

void ks_upstream_opened(struct ks_upstream *upstream, size_t index, int64_t now_ns)
{
    assert(index < upstream->options.peer_count);

    hold(upstream);
    upstream->peers[index].usable = true;
    upstream->peers[index].accepted = false;
    upstream->peers[index].flying = false;
    upstream->peers[index].on_trial = false;
    upstream->peers[index].clearing = false;
    /* These items waited only because no keystore could be reached. Now one can. */
    for (struct ks_upstream_item *item = upstream->first; item; item = item->next) {
        bool pauses = item->on_last_trial && now_ns < item->retry_at_ns;
        if (!item->awaiting && !pauses) {
            dispatch(upstream, item, now_ns);
        }
    }
    release(upstream, now_ns);
}

void ks_upstream_accepted(struct ks_upstream *upstream, size_t index)
{
    upstream->peers[index].accepted = true;
}

void ks_upstream_writable(struct ks_upstream *upstream, size_t index, int64_t now_ns)
{
    flush(upstream, index, now_ns);
}

static void shun(struct ks_upstream *upstream, size_t index, int64_t until_ns)
{
    struct peer *peer = &upstream->peers[index];
    if (peer->shunned_until_ns < until_ns) {
        peer->shunned_until_ns = until_ns;
    }
}

/*
 * Whether a refusal is not the last word on a mutation: a keystore that is cut off or slow has it,
 * too, and may do later what this one has refused (CreateAlias, once the alias is deleted).
 */
static bool may_still_happen(const struct ks_upstream_item *item, size_t index, ks_code code)
{
    if (!item->mutating || code == KS_OK || code == KS_STALE_VIEW || code == KS_UNAVAILABLE) {
        return false;
    }
    uint32_t elsewhere = item->awaiting & ~bit_of(index);
    if (item->queued_at != KS_NO_PEER) {
        elsewhere &= ~bit_of((size_t)item->queued_at);
    }
    return item->loose || elsewhere != 0;
}

static void receive(struct ks_upstream *upstream, size_t index, const struct ks_item_result *result,
                    int64_t now_ns)
{
    struct ks_upstream_item *item = item_of(upstream, result->tag);
    if (!item || !item->mutating) {
        upstream->peers[index].flying = false;
    }
    if (!item || !(item->awaiting & bit_of(index))) {
        /* Another keystore was faster, or it took too long. */
        size_t *ghosts = &upstream->peers[index].ghosts;
        *ghosts -= *ghosts > 0 ? 1 : 0;
        return;
    }
    if (may_still_happen(item, index, result->code)) {
        give_up(upstream, item);
        return;
    }
    if (result->code != KS_UNAVAILABLE) {
        /*
         * A new view is no refusal, and the item comes back with another decision. The keystore
         * that sent it may be the one that lags: whatever others have got stays loose.
         */
        (void)end_attempt(upstream, index, item);
        finish(upstream, item, result);
        return;
    }
    /* It has answered, so there is no ghost; but it may have begun, and others may still do it. */
    (void)end_attempt(upstream, index, item);
    item->loose = true;
    shun(upstream, index, now_ns + SHUN_BRIEF_NS);
    if (!item->awaiting) {
        dispatch(upstream, item, now_ns);
    }
}

ks_result ks_upstream_received(struct ks_upstream *upstream, size_t index, ks_bytes message,
                               int64_t now_ns)
{
    assert(index < upstream->options.peer_count);

    KS_TRY(ks_item_check_response(message));
    upstream->peers[index].shunned_until_ns = 0;
    upstream->peers[index].heard_at_ns = now_ns;
    hold(upstream);
    struct ks_item_result result;
    while (ks_item_next_result(&message, &result)) {
        receive(upstream, index, &result, now_ns);
    }
    release(upstream, now_ns);
    return KS_RES(OK);
}

/* What a keystore had when its stream ended. */
struct loss {
    size_t written; /* items; 0: it never accepted the stream or refused it, and none is to blame */
    size_t ghosts;
};

/*
 * A stream has ended that had these items, and this is one of them. It may be the one to blame, so
 * it travels in half of that company from now on. With a ghost beside it, it was not alone.
 */
static void suspect(struct ks_upstream *upstream, struct ks_upstream_item *item,
                    const struct loss *loss)
{
    bool alone = loss->written + loss->ghosts == 1;
    bool last = item->lone_deaths == KS_UPSTREAM_LONE_DEATHS_MAX - 1;
    upstream->counts.suspects += item->deaths == 0 ? 1 : 0;
    item->deaths++;
    item->lone_deaths += alone && (!last || item->on_last_trial) ? 1 : 0;
    int queued_at = item->queued_at;
    if (queued_at != KS_NO_PEER) {
        ks_upstream_queue_remove(queue_of(&upstream->peers[queued_at], item), item);
    }
    uint32_t company = item->company_max;
    company = (loss->written < company ? (uint32_t)loss->written : company) / 2;
    item->company_max = company > 1 ? company : 1;
    if (queued_at != KS_NO_PEER) {
        ks_upstream_queue_push(queue_of(&upstream->peers[queued_at], item), queued_at, item);
    }
}

/* Whether the item has cost streams enough; ret_code then says how it ends. */
static bool is_spent(const struct ks_upstream_item *item, ks_code *ret_code)
{
    bool guilty = ks_upstream_is_guilty(item);
    /* Whether a mutation was done is not known. Anything else that is guilty was not done. */
    *ret_code = guilty && !item->mutating ? KS_INTERNAL : KS_UNAVAILABLE;
    return guilty || item->deaths >= KS_UPSTREAM_DEATHS_MAX;
}

/* Nobody has the item, and a stream has just ended: it goes on, or pauses before its last trial. */
static void go_on(struct ks_upstream *upstream, struct ks_upstream_item *item, int64_t now_ns)
{
    if (item->lone_deaths < KS_UPSTREAM_LONE_DEATHS_MAX - 1 || item->on_last_trial) {
        dispatch(upstream, item, now_ns);
        return;
    }
    int64_t step = (int64_t)(item->tag / KS_UPSTREAM_ITEMS_MAX % TRIAL_STEPS);
    item->on_last_trial = true;
    item->retry_at_ns = now_ns + TRIAL_PAUSE_NS + step * TRIAL_STEP_NS;
}

/* A stream has ended that had the item, written or still in its queue. */
static void lose(struct ks_upstream *upstream, size_t index, struct ks_upstream_item *item,
                 const struct loss *loss, int64_t now_ns)
{
    bool written = item->queued_at != (int)index;
    forget_attempt(upstream, index, item);
    if (written && loss->written > 0) {
        suspect(upstream, item, loss);
    }
    ks_code code = KS_OK;
    if (is_spent(item, &code)) {
        finish(upstream, item, &(struct ks_item_result){.code = code});
    } else if (!item->awaiting) {
        go_on(upstream, item, now_ns);
    }
}

void ks_upstream_closed(struct ks_upstream *upstream, size_t index, bool is_refused, int64_t now_ns)
{
    assert(index < upstream->options.peer_count);

    struct peer *peer = &upstream->peers[index];
    const struct loss loss = {peer->accepted && !is_refused ? peer->written : 0, peer->ghosts};
    upstream->counts.streams += loss.written > 0 ? 1 : 0;
    hold(upstream);
    peer->usable = false;
    peer->accepted = false;
    struct ks_upstream_item *next = NULL;
    for (struct ks_upstream_item *item = upstream->first; item; item = next) {
        next = item->next;
        if (item->awaiting & bit_of(index)) {
            lose(upstream, index, item, &loss, now_ns);
        }
    }
    peer->ghosts = 0; /* with the stream they are gone, too */
    assert(peer->outstanding == 0 && peer->written == 0);
    assert(!peer->mutations.first && !peer->others.first && !peer->suspects.first);
    release(upstream, now_ns);
}

/* ---- Time ---- */

/* Asks another keystore, too. */
static void hedge(struct ks_upstream *upstream, struct ks_upstream_item *item, int64_t now_ns)
{
    int peer = choose(upstream, item, now_ns);
    if (peer == KS_NO_PEER) {
        item->tried = 0;
        peer = choose(upstream, item, now_ns);
    }
    if (peer == KS_NO_PEER) {
        item->sent_at_ns = now_ns;
        return;
    }
    send_to(upstream, (size_t)peer, item, now_ns);
}

/*
 * Whether those who have the item have fallen silent altogether. A keystore that answers others is
 * busy, and to send everything twice then would make it worse.
 */
static bool is_silent(struct ks_upstream *upstream, const struct ks_upstream_item *item,
                      int64_t patience_ns, int64_t now_ns)
{
    bool silent = true;
    for (size_t i = 0; i < upstream->options.peer_count; i++) {
        if (!(item->awaiting & bit_of(i))) {
            continue;
        }
        if (now_ns - upstream->peers[i].heard_at_ns >= patience_ns) {
            shun(upstream, i, now_ns + SHUN_NS);
        } else {
            silent = false;
        }
    }
    return silent;
}

static void look_at(struct ks_upstream *upstream, struct ks_upstream_item *item, int64_t now_ns)
{
    if (now_ns >= item->deadline_ns || item->attempts >= KS_UPSTREAM_ATTEMPTS_MAX) {
        give_up(upstream, item);
        return;
    }
    if (!item->awaiting) {
        if (now_ns >= item->retry_at_ns) {
            dispatch(upstream, item, now_ns);
        }
        return;
    }
    int64_t patience_ns =
        item->mutating ? upstream->options.mutation_patience_ns : upstream->options.patience_ns;
    int64_t waited_ns = now_ns - item->sent_at_ns;
    if (waited_ns >= patience_ns && (is_silent(upstream, item, patience_ns, now_ns) ||
                                     waited_ns >= BUSY_PATIENCES * patience_ns)) {
        hedge(upstream, item, now_ns);
    }
}

void ks_upstream_tick(struct ks_upstream *upstream, int64_t now_ns)
{
    upstream->armed = false;
    hold(upstream);
    struct ks_upstream_item *next = NULL;
    for (struct ks_upstream_item *item = upstream->first; item; item = next) {
        next = item->next;
        look_at(upstream, item, now_ns);
    }
    release(upstream, now_ns);
    arm(upstream);
}
