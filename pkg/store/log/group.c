#include "pkg/store/log/group.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "pkg/base/hash.h"
#include "pkg/base/mem.h"
#include "pkg/etcd/etcd.h"

#define OP_OVERHEAD         64U /* bytes of one op or compare in etcd's binary form, at most */
#define BASE_LEN            2048U
#define COMPARES_PER_MEMBER (KS_STORE_COMPARES_MAX + 1U)
#define CHANGES_PER_MEMBER  (KS_STORE_OPS_MAX + KS_STORE_PREFIXES_MAX + 1U)
#define TOUCHED_PER_ENTRY   (KS_STORE_COMPARES_MAX + CHANGES_PER_MEMBER)
#define ENTRIES_MAX         (KS_ETCD_OPS_MAX - 8U) /* compares, or changes, of a plain transaction */
#define ARENA_LEN_MAX       (64U << 20)            /* both forms: keys, values and arrays */

enum { REV_OP, LIST_OP, FIRST_MEMBER_OP };

/* A key that some member looks at or changes. */
struct touched {
    uint64_t hash;
    ks_bytes key;
    bool is_changed;
    bool is_prefix; /* all keys that start with it */
};

struct ks_group {
    const struct ks_layout *layout;
    int64_t epoch_revision;
    struct ks_pending *members[KS_GROUP_MEMBERS_MAX];
    size_t count;
    size_t len;
    struct touched *touched;
    size_t touched_count;
    struct ks_arena arena;
    bool is_careful;
    bool is_shielded;
    bool is_built;
    struct ks_nonce nonce; /* of the attempt that is sent next */
    struct ks_etcd_txn txn;
};

struct ks_group *ks_group_new(const struct ks_layout *layout, int64_t epoch_revision)
{
    struct ks_group *group = ks_alloc(1, sizeof(*group));
    group->layout = layout;
    group->epoch_revision = epoch_revision;
    group->len = BASE_LEN;
    group->touched = ks_alloc(ENTRIES_MAX, sizeof(*group->touched));
    group->arena.len_max = ARENA_LEN_MAX;
    return group;
}

void ks_group_free(struct ks_group *group)
{
    if (!group) {
        return;
    }
    for (size_t i = 0; i < group->count; i++) {
        assert(!group->members[i]);
    }
    ks_arena_done(&group->arena);
    ks_free(group->touched);
    ks_free(group);
}

/* ---- Adding ---- */

static bool overlap(const struct touched *one, const struct touched *other)
{
    if (!one->is_prefix && !other->is_prefix) {
        return one->hash == other->hash && ks_bytes_equal(one->key, other->key);
    }
    return (one->is_prefix && ks_bytes_starts_with(other->key, one->key)) ||
           (other->is_prefix && ks_bytes_starts_with(one->key, other->key));
}

/* Two members may look at the same key; none may touch what another one changes. */
static bool collides(const struct ks_group *group, const struct touched *wanted)
{
    for (size_t i = 0; i < group->touched_count; i++) {
        const struct touched *other = &group->touched[i];
        if ((other->is_changed || wanted->is_changed) && overlap(other, wanted)) {
            return true;
        }
    }
    return false;
}

static size_t keys_of(const struct ks_store_mutation *mutation,
                      struct touched ret_keys[TOUCHED_PER_ENTRY])
{
    size_t count = 0;
    for (size_t i = 0; i < mutation->compare_count; i++) {
        ret_keys[count++] = (struct touched){.key = mutation->compares[i].key};
    }
    for (size_t i = 0; i < mutation->op_count; i++) {
        ret_keys[count++] = (struct touched){.key = mutation->ops[i].key, .is_changed = true};
    }
    for (size_t i = 0; i < mutation->prefix_count; i++) {
        ret_keys[count++] =
            (struct touched){.key = mutation->prefixes[i], .is_changed = true, .is_prefix = true};
    }
    if (mutation->request_key.len > 0) {
        ret_keys[count++] = (struct touched){.key = mutation->request_key, .is_changed = true};
    }
    for (size_t i = 0; i < count; i++) {
        ret_keys[i].hash = ks_plain_hash(ret_keys[i].key);
    }
    return count;
}

/* Bytes in etcd's binary form, at most. Keys count twice: a failed mutation ranges what it puts. */
static size_t request_len(const struct ks_group *group, const struct ks_pending *pending)
{
    const struct ks_store_mutation *mutation = &pending->mutation;
    size_t values_len = mutation->request_value.len;
    for (size_t i = 0; i < mutation->op_count; i++) {
        values_len += mutation->ops[i].value.len;
    }
    size_t keys_len = pending->len - values_len; /* a prefix is sent as two of them */
    size_t entries =
        mutation->compare_count + 2 * (mutation->op_count + mutation->prefix_count + 1);
    return values_len + 2 * keys_len + entries * (OP_OVERHEAD + strlen(group->layout->prefix));
}

enum ks_group_add ks_group_add(struct ks_group *group, struct ks_pending *pending)
{
    assert(!group->is_built);

    struct touched keys[TOUCHED_PER_ENTRY];
    size_t len = request_len(group, pending);
    if (BASE_LEN + len > KS_GROUP_LEN_MAX) {
        return KS_GROUP_NEVER;
    }
    if (group->count == KS_GROUP_MEMBERS_MAX || group->len + len > KS_GROUP_LEN_MAX) {
        return KS_GROUP_NOT_NOW;
    }
    size_t count = keys_of(&pending->mutation, keys);
    if (group->touched_count + count > ENTRIES_MAX) {
        return KS_GROUP_NOT_NOW;
    }
    for (size_t i = 0; i < count; i++) {
        if (collides(group, &keys[i])) {
            return KS_GROUP_NOT_NOW;
        }
    }
    memcpy(group->touched + group->touched_count, keys, count * sizeof(keys[0]));
    group->touched_count += count;
    group->len += len;
    group->members[group->count++] = pending;
    return KS_GROUP_ADDED;
}

size_t ks_group_count(const struct ks_group *group)
{
    return group->count;
}

struct ks_pending *ks_group_member(const struct ks_group *group, size_t index)
{
    assert(index < group->count);
    return group->members[index];
}

struct ks_pending *ks_group_take(struct ks_group *group, size_t index)
{
    struct ks_pending *pending = ks_group_member(group, index);
    group->members[index] = NULL;
    return pending;
}

/* ---- Building ---- */

static void *make(struct ks_group *group, size_t count, size_t size)
{
    void *place = ks_arena_alloc(&group->arena, count * size);
    assert(place);
    return place;
}

static ks_bytes data_key(struct ks_group *group, ks_bytes key)
{
    return ks_layout_data_key(group->layout, &group->arena, key);
}

static bool has_request(const struct ks_pending *pending)
{
    return pending->mutation.request_key.len > 0;
}

/* The caller keeps the pending's bytes as long as the transaction may be repeated. */
static ks_bytes keep(struct ks_group *group, ks_bytes value)
{
    char *copy = ks_arena_dup(&group->arena, value);
    assert(copy);
    return (ks_bytes){(const uint8_t *)copy, value.len};
}

/* The op of etcd that deletes all of a prefix, or shows whether there is something (RANGE). */
static struct ks_etcd_op prefix_op(struct ks_group *group, enum ks_etcd_op_kind kind,
                                   ks_bytes prefix)
{
    struct ks_etcd_op op = {.kind = kind, .limit = kind == KS_ETCD_RANGE ? 1 : 0};
    ks_layout_prefix_range(group->layout, &group->arena, prefix, &op.key, &op.range_end);
    return op;
}

/* The member's compares, at places that have room for them. */
static size_t put_compares(struct ks_group *group, const struct ks_pending *pending,
                           struct ks_etcd_compare *places)
{
    const struct ks_store_mutation *mutation = &pending->mutation;
    size_t count = 0;
    for (size_t i = 0; i < mutation->compare_count; i++) {
        places[count++] = (struct ks_etcd_compare){data_key(group, mutation->compares[i].key),
                                                   mutation->compares[i].revision};
    }
    if (has_request(pending)) {
        places[count++] = (struct ks_etcd_compare){data_key(group, mutation->request_key), 0};
    }
    return count;
}

/* The member's changes, at places that have room for them. */
static size_t put_changes(struct ks_group *group, const struct ks_pending *pending,
                          struct ks_etcd_op *places)
{
    const struct ks_store_mutation *mutation = &pending->mutation;
    size_t count = 0;
    for (size_t i = 0; i < mutation->op_count; i++) {
        const struct ks_store_op *op = &mutation->ops[i];
        places[count++] = (struct ks_etcd_op){.kind = op->value.ptr ? KS_ETCD_PUT : KS_ETCD_DELETE,
                                              .key = data_key(group, op->key),
                                              .value = keep(group, op->value)};
    }
    for (size_t i = 0; i < mutation->prefix_count; i++) {
        places[count++] = prefix_op(group, KS_ETCD_DELETE, mutation->prefixes[i]);
    }
    if (has_request(pending)) {
        places[count++] = (struct ks_etcd_op){.kind = KS_ETCD_PUT,
                                              .key = data_key(group, mutation->request_key),
                                              .value = keep(group, mutation->request_value)};
    }
    return count;
}

/* If it fails, the ranges that show why: the request's record, or what is at the keys. */
static void build_failure(struct ks_group *group, const struct ks_pending *pending,
                          struct ks_etcd_txn *txn)
{
    const struct ks_store_mutation *mutation = &pending->mutation;
    struct ks_etcd_op *ops = make(group, CHANGES_PER_MEMBER, sizeof(*ops));
    size_t count = 0;
    if (has_request(pending)) {
        ops[count++] = (struct ks_etcd_op){.kind = KS_ETCD_RANGE,
                                           .key = data_key(group, mutation->request_key)};
    } else {
        for (size_t i = 0; i < mutation->op_count; i++) {
            ops[count++] = (struct ks_etcd_op){.kind = KS_ETCD_RANGE,
                                               .key = data_key(group, mutation->ops[i].key)};
        }
        for (size_t i = 0; i < mutation->prefix_count; i++) {
            ops[count++] = prefix_op(group, KS_ETCD_RANGE, mutation->prefixes[i]);
        }
    }
    txn->failure = ops;
    txn->failure_count = count;
}

static const struct ks_etcd_txn *build_member(struct ks_group *group,
                                              const struct ks_pending *pending)
{
    struct ks_etcd_txn *txn = make(group, 1, sizeof(*txn));
    struct ks_etcd_compare *compares = make(group, COMPARES_PER_MEMBER, sizeof(*compares));
    struct ks_etcd_op *changes = make(group, CHANGES_PER_MEMBER, sizeof(*changes));
    txn->compares = compares;
    txn->compare_count = put_compares(group, pending, compares);
    txn->success = changes;
    txn->success_count = put_changes(group, pending, changes);
    build_failure(group, pending, txn);
    return txn;
}

/* A member that was taken out meanwhile leaves a harmless op in its place. */
static size_t build_careful(struct ks_group *group, struct ks_etcd_op *places)
{
    for (size_t i = 0; i < group->count; i++) {
        places[i] =
            (struct ks_etcd_op){.kind = KS_ETCD_RANGE, .key = ks_bytes_of(group->layout->rev)};
        if (group->members[i]) {
            places[i] = (struct ks_etcd_op){.kind = KS_ETCD_TXN,
                                            .txn = build_member(group, group->members[i])};
        }
    }
    return group->count;
}

/* The revision record, as each transaction puts it. */
static struct ks_etcd_op build_rev(struct ks_group *group)
{
    const struct ks_etcd_op put = {.kind = KS_ETCD_PUT,
                                   .key = ks_bytes_of(group->layout->rev),
                                   .value = {group->nonce.bytes, KS_NONCE_LEN}};
    if (!group->is_shielded) {
        return put;
    }
    struct ks_etcd_op *nested = make(group, 1, sizeof(*nested));
    struct ks_etcd_txn *txn = make(group, 1, sizeof(*txn));
    *nested = put;
    *txn = (struct ks_etcd_txn){.success = nested, .success_count = 1};
    return (struct ks_etcd_op){.kind = KS_ETCD_TXN, .txn = txn};
}

static void build(struct ks_group *group)
{
    const struct ks_layout *layout = group->layout;
    size_t compare_max = 1 + group->count * COMPARES_PER_MEMBER;
    struct ks_etcd_compare *compares = make(group, compare_max, sizeof(*compares));
    size_t op_max = FIRST_MEMBER_OP + group->count * CHANGES_PER_MEMBER;
    struct ks_etcd_op *success = make(group, op_max, sizeof(*success));
    struct ks_etcd_op *failure = make(group, 1, sizeof(*failure));
    size_t compare_count = 1;
    size_t success_count = FIRST_MEMBER_OP;
    compares[0] = (struct ks_etcd_compare){ks_bytes_of(layout->epoch), group->epoch_revision};
    success[REV_OP] = build_rev(group);
    success[LIST_OP] = (struct ks_etcd_op){.kind = KS_ETCD_RANGE,
                                           .key = ks_bytes_of(layout->list),
                                           .range_end = ks_bytes_of(layout->list_end)};
    *failure = (struct ks_etcd_op){.kind = KS_ETCD_RANGE, .key = ks_bytes_of(layout->epoch)};
    if (group->is_careful) {
        success_count += build_careful(group, success + success_count);
    }
    for (size_t i = 0; !group->is_careful && i < group->count; i++) {
        compare_count += put_compares(group, group->members[i], compares + compare_count);
        success_count += put_changes(group, group->members[i], success + success_count);
    }
    group->txn = (struct ks_etcd_txn){compares, compare_count, success, success_count, failure, 1};
    group->is_built = true;
}

void ks_group_make_careful(struct ks_group *group)
{
    group->is_built = group->is_built && group->is_careful;
    group->is_careful = true;
}

void ks_group_shield(struct ks_group *group)
{
    group->is_built = group->is_built && group->is_shielded;
    group->is_careful = true;
    group->is_shielded = true;
}

bool ks_group_is_shielded(const struct ks_group *group)
{
    return group->is_shielded;
}

bool ks_group_is_careful(const struct ks_group *group)
{
    return group->is_careful;
}

const struct ks_etcd_txn *ks_group_txn(struct ks_group *group, const struct ks_nonce *nonce)
{
    assert(group->count > 0);
    group->nonce = *nonce;
    if (!group->is_built) {
        build(group);
    }
    return &group->txn;
}

/* ---- Answers ---- */

static bool members_are_answered(const struct ks_group *group, const struct ks_etcd_answer *answer)
{
    for (size_t i = 0; i < group->count; i++) {
        if (group->members[i] && answer->ops[FIRST_MEMBER_OP + i].kind != KS_ETCD_TXN) {
            return false;
        }
    }
    return true;
}

bool ks_group_is_answered(const struct ks_group *group, const struct ks_etcd_answer *answer)
{
    return answer->succeeded && answer->op_count == group->txn.success_count &&
           answer->ops[LIST_OP].kind == KS_ETCD_RANGE &&
           (!group->is_careful || members_are_answered(group, answer));
}

bool ks_group_needs_care(const struct ks_group *group, const struct ks_etcd_answer *answer)
{
    return !group->is_careful && !answer->succeeded && answer->op_count == 1 &&
           answer->ops[0].kv_count == 1 &&
           answer->ops[0].kvs[0].mod_revision == group->epoch_revision;
}

/* The one record of a range; NULL if there is none. */
static const struct ks_etcd_kv *found(const struct ks_etcd_op_answer *op)
{
    return op->kind == KS_ETCD_RANGE && op->kv_count == 1 ? &op->kvs[0] : NULL;
}

static struct ks_store_outcome by_request(const struct ks_pending *pending,
                                          const struct ks_etcd_op_answer *txn, bool is_repeated)
{
    const struct ks_etcd_kv *kv = txn->op_count == 1 ? found(&txn->ops[0]) : NULL;
    if (!kv) {
        return (struct ks_store_outcome){.result = KS_RES(CONFLICT)};
    }
    if (is_repeated && ks_bytes_equal(kv->value, pending->mutation.request_value)) {
        return (struct ks_store_outcome){.revision = kv->mod_revision};
    }
    return (struct ks_store_outcome){
        .result = KS_RES(ALREADY_EXISTS), .revision = kv->mod_revision, .stored = kv->value};
}

/*
 * Done if everything is as this mutation would have put it: that is what the caller wanted,
 * whichever mutation put it. now_revision serves as the revision of a deletion, which nothing
 * records.
 */
static struct ks_store_outcome by_keys(const struct ks_pending *pending,
                                       const struct ks_etcd_op_answer *txn, int64_t now_revision)
{
    const struct ks_store_mutation *mutation = &pending->mutation;
    struct ks_store_outcome conflict = {.result = KS_RES(CONFLICT)};
    struct ks_store_outcome done = {.revision = 0};
    if (txn->op_count != mutation->op_count + mutation->prefix_count) {
        return conflict;
    }
    for (size_t i = 0; i < mutation->prefix_count; i++) {
        if (found(&txn->ops[mutation->op_count + i])) {
            return conflict;
        }
        done.revision = now_revision;
    }
    for (size_t i = 0; i < mutation->op_count; i++) {
        const struct ks_etcd_kv *kv = found(&txn->ops[i]);
        ks_bytes wanted = mutation->ops[i].value;
        if ((kv != NULL) != (wanted.ptr != NULL) || (kv && !ks_bytes_equal(kv->value, wanted))) {
            return conflict;
        }
        int64_t revision = kv ? kv->mod_revision : now_revision;
        done.revision = revision > done.revision ? revision : done.revision;
    }
    return done;
}

static struct ks_store_outcome careful_outcome(const struct ks_pending *pending,
                                               const struct ks_etcd_op_answer *txn,
                                               int64_t now_revision, bool is_repeated)
{
    if (txn->succeeded) {
        return (struct ks_store_outcome){.revision = now_revision};
    }
    if (has_request(pending)) {
        return by_request(pending, txn, is_repeated);
    }
    return is_repeated ? by_keys(pending, txn, now_revision)
                       : (struct ks_store_outcome){.result = KS_RES(CONFLICT)};
}

struct ks_store_outcome ks_group_outcome(const struct ks_group *group, size_t index,
                                         const struct ks_etcd_answer *answer, bool is_repeated)
{
    assert(ks_group_is_answered(group, answer));

    const struct ks_pending *pending = ks_group_member(group, index);
    if (!group->is_careful) {
        return (struct ks_store_outcome){.revision = answer->header.revision};
    }
    struct ks_store_outcome outcome = careful_outcome(
        pending, &answer->ops[FIRST_MEMBER_OP + index], answer->header.revision, is_repeated);
    if (is_repeated && outcome.result.code == KS_CONFLICT) {
        outcome.result = KS_RES(UNAVAILABLE);
    }
    return outcome;
}

void ks_group_list_of(const struct ks_layout *layout, const struct ks_etcd_op_answer *range,
                      struct ks_list *ret_list)
{
    *ret_list = (struct ks_list){.count = 0};
    for (size_t i = 0; i < range->kv_count; i++) {
        ks_bytes id = {0};
        const struct ks_etcd_kv *kv = &range->kvs[i];
        if (ks_layout_parse(layout, kv->key, &id) == KS_LAYOUT_KEYSTORE) {
            ks_list_add(ret_list, id, kv->value, kv->mod_revision);
        }
    }
}

void ks_group_list(const struct ks_layout *layout, const struct ks_etcd_answer *answer,
                   struct ks_list *ret_list)
{
    ks_group_list_of(layout, &answer->ops[LIST_OP], ret_list);
}
