#include "services/keystore/domain_keys/ledger.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "services/keystore/records/key.h"

#define ARENA_LEN_MAX (64U * 1024U) /* one record; the longest holds an envelope of some 4 KiB */

/* Reading */

static ks_result copy_text(const char *from, char *to, size_t capacity)
{
    size_t len = strlen(from);
    if (len >= capacity) {
        return KS_RES(CORRUPT);
    }
    memcpy(to, from, len + 1);
    return KS_RES(OK);
}

static ks_result copy_node(const char *zone, const char *node_id, const char *keystore,
                           struct ks_domain_node *ret_node)
{
    KS_TRY(copy_text(zone, ret_node->zone, sizeof(ret_node->zone)));
    KS_TRY(copy_text(node_id, ret_node->node_id, sizeof(ret_node->node_id)));
    return copy_text(keystore, ret_node->keystore, sizeof(ret_node->keystore));
}

static ks_result add_copy(struct ks_domain_records *records, const ProtobufCMessage *message,
                          int64_t revision)
{
    const STORED(DomainKeyCopy) *stored = (const STORED(DomainKeyCopy) *)message;
    if (records->copy_count == KS_DOMAIN_COPIES_MAX) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    struct ks_domain_copy *copy = &records->copies[records->copy_count];
    copy->generation = stored->generation;
    copy->revision = revision;
    KS_TRY(copy_node(stored->zone, stored->node_id, stored->keystore, &copy->node));
    records->copy_count++;
    return KS_RES(OK);
}

static ks_result add_newest(struct ks_domain_records *records, const ProtobufCMessage *message,
                            int64_t revision)
{
    const STORED(NewestDomainKey) *stored = (const STORED(NewestDomainKey) *)message;
    records->newest = (struct ks_domain_mark){stored->generation, revision, stored->made_at_ms};
    return KS_RES(OK);
}

static ks_result add_current(struct ks_domain_records *records, const ProtobufCMessage *message,
                             int64_t revision)
{
    const STORED(CurrentDomainKey) *stored = (const STORED(CurrentDomainKey) *)message;
    records->current =
        (struct ks_domain_mark){stored->generation, revision, stored->current_since_ms};
    return KS_RES(OK);
}

static ks_result add_rotate(struct ks_domain_records *records, const ProtobufCMessage *message,
                            int64_t revision)
{
    const STORED(RotateDomainKey) *stored = (const STORED(RotateDomainKey) *)message;
    records->rotate = (struct ks_domain_mark){stored->from_generation, revision, 0};
    return KS_RES(OK);
}

static ks_result add_transit(struct ks_domain_records *records, const ProtobufCMessage *message,
                             int64_t revision)
{
    const STORED(TransitRecord) *stored = (const STORED(TransitRecord) *)message;
    if (records->transit_count == KS_DOMAIN_TRANSITS_MAX) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    struct ks_domain_transit *transit = &records->transits[records->transit_count];
    transit->generation = stored->generation;
    transit->answered = stored->envelope.len > 0;
    transit->refused = false;
    transit->revision = revision;
    KS_TRY(copy_node(stored->zone, stored->node_id, stored->keystore, &transit->node));
    records->transit_count++;
    return KS_RES(OK);
}

/* The first row whose prefix fits says how to read the record. */
static const struct {
    const char *prefix;
    const ProtobufCMessageDescriptor *type;
    ks_result (*add)(struct ks_domain_records *records, const ProtobufCMessage *message,
                     int64_t revision);
} forms[] = {
    {"domain/newest", STORED_TYPE(newest_domain_key), add_newest},
    {"domain/current", STORED_TYPE(current_domain_key), add_current},
    {"domain/rotate", STORED_TYPE(rotate_domain_key), add_rotate},
    {"domain/", STORED_TYPE(domain_key_copy), add_copy},
    {"transit/", STORED_TYPE(transit_record), add_transit},
};

ks_result ks_ledger_add(struct ks_domain_records *records, const struct ks_store_record *record)
{
    for (size_t i = 0; i < KS_COUNT(forms); i++) {
        if (!ks_bytes_starts_with(record->key, ks_bytes_of(forms[i].prefix))) {
            continue;
        }
        KS_ARENA_AUTO arena = {.len_max = ARENA_LEN_MAX};
        ProtobufCMessage *message = NULL;
        KS_TRY(ks_record_read(forms[i].type, record->value, &arena, &message));
        return forms[i].add(records, message, record->revision);
    }
    return KS_RES(OK);
}

struct reading {
    struct ks_domain_records *records;
    ks_result result;
};

static bool read_one(void *user, const struct ks_store_record *record)
{
    struct reading *reading = user;
    reading->result = ks_ledger_add(reading->records, record);
    return !ks_failed(reading->result);
}

ks_result ks_ledger_read(const struct ks_store_view *view, struct ks_domain_records *ret_records)
{
    struct reading reading = {ret_records, KS_RES(OK)};
    memset(ret_records, 0, sizeof(*ret_records));
    KS_TRY(ks_store_scan(view, KS_NAME_DOMAIN, (ks_bytes){0}, read_one, &reading));
    KS_TRY(reading.result);
    KS_TRY(ks_store_scan(view, KS_NAME_TRANSIT, (ks_bytes){0}, read_one, &reading));
    return reading.result;
}

/* Writing */

/* What all writers get. */
struct draft {
    const struct ks_domain_records *records;
    const struct ks_domain_self *self;
    const struct ks_domain_step *step;
    const struct ks_ledger_material *material;
    int64_t now_ms;
    struct ks_change *change;
};

static struct ks_name name_of_copy(uint32_t generation, const struct ks_domain_node *node)
{
    return ks_name_domain_copy(generation, node->zone, node->node_id);
}

static struct ks_name name_of_transit(const struct ks_domain_node *node)
{
    return ks_name_transit(node->zone, node->node_id);
}

static bool has_room(const struct draft *draft)
{
    return draft->change->mutation.op_count < KS_STORE_OPS_MAX;
}

/* Ours takes the place of copies for hsms that this keystore had before, as far as there is room. */
static void delete_stale_copies(const struct draft *draft)
{
    for (size_t i = 0; i < draft->records->copy_count && has_room(draft); i++) {
        const struct ks_domain_copy *copy = &draft->records->copies[i];
        if (copy->generation == draft->step->generation &&
            ks_domain_is_stale(draft->self, &copy->node)) {
            struct ks_name key = name_of_copy(copy->generation, &copy->node);
            ks_change_delete(draft->change, ks_name_bytes(&key));
        }
    }
}

static void put_our_copy(const struct draft *draft)
{
    const struct ks_domain_node *node = &draft->self->node;
    const struct ks_domain_copy *old =
        ks_domain_copy_of(draft->records, draft->step->generation, node);
    struct ks_name key = name_of_copy(draft->step->generation, node);
    ks_change_compare(draft->change, ks_name_bytes(&key), old ? old->revision : 0);

    STORED(DomainKeyCopy) copy = STORED_NEW(DOMAIN_KEY_COPY);
    copy.format = KS_RECORD_FORMAT;
    copy.generation = draft->step->generation;
    copy.zone = ks_lend_text(node->zone);
    copy.node_id = ks_lend_text(node->node_id);
    copy.keystore = ks_lend_text(node->keystore);
    copy.wrapped = ks_lend_bytes(draft->material->wrapped);
    copy.created_at_ms = draft->now_ms;
    ks_change_put(draft->change, ks_name_bytes(&key), &copy.base);
    delete_stale_copies(draft);
}

static void write_clear(const struct draft *draft)
{
    ks_change_compare(draft->change, KS_NAME_DOMAIN_CURRENT, draft->records->current.revision);
    if (draft->step->generation > draft->records->current.generation) {
        delete_stale_copies(draft);
    }
    for (size_t i = 0; i < draft->records->transit_count && has_room(draft); i++) {
        const struct ks_domain_transit *transit = &draft->records->transits[i];
        if (ks_domain_is_left_over(draft->records, draft->self, transit)) {
            struct ks_name key = name_of_transit(&transit->node);
            ks_change_delete(draft->change, ks_name_bytes(&key));
        }
    }
}

static void write_make(const struct draft *draft)
{
    ks_change_compare(draft->change, KS_NAME_DOMAIN_NEWEST, draft->records->newest.revision);

    STORED(NewestDomainKey) newest = STORED_NEW(NEWEST_DOMAIN_KEY);
    newest.format = KS_RECORD_FORMAT;
    newest.generation = draft->step->generation;
    newest.zone = ks_lend_text(draft->self->node.zone);
    newest.made_at_ms = draft->now_ms;
    ks_change_put(draft->change, KS_NAME_DOMAIN_NEWEST, &newest.base);
    put_our_copy(draft);
}

static void put_transit(const struct draft *draft, const struct ks_domain_node *node,
                        int64_t revision)
{
    struct ks_name key = name_of_transit(node);
    ks_change_compare(draft->change, ks_name_bytes(&key), revision);

    STORED(TransitRecord) transit = STORED_NEW(TRANSIT_RECORD);
    transit.format = KS_RECORD_FORMAT;
    transit.generation = draft->step->generation;
    transit.challenge = ks_lend_bytes(draft->material->challenge);
    transit.envelope = ks_lend_bytes(draft->material->envelope);
    transit.created_at_ms = draft->now_ms;
    transit.zone = ks_lend_text(node->zone);
    transit.node_id = ks_lend_text(node->node_id);
    transit.keystore = ks_lend_text(node->keystore);
    ks_change_put(draft->change, ks_name_bytes(&key), &transit.base);
}

static void write_ask(const struct draft *draft)
{
    const struct ks_domain_node *node = &draft->self->node;
    const struct ks_domain_transit *old = ks_domain_transit_of(draft->records, node);
    put_transit(draft, node, old ? old->revision : 0);
}

static void write_seal(const struct draft *draft)
{
    const struct ks_domain_transit *asked = &draft->records->transits[draft->step->transit];
    put_transit(draft, &asked->node, asked->revision);
}

static bool is_of_another_keystore(const struct draft *draft, const struct ks_domain_node *node)
{
    return strcmp(node->keystore, draft->self->node.keystore) != 0;
}

static bool is_of_another_zone(const struct draft *draft, const struct ks_domain_node *node)
{
    return strcmp(node->zone, draft->self->node.zone) != 0;
}

/* Another copy of the step's generation, which must still be there when we write. */
static void compare_another_copy(const struct draft *draft,
                                 bool (*is_wanted)(const struct draft *draft,
                                                   const struct ks_domain_node *node))
{
    for (size_t i = 0; i < draft->records->copy_count; i++) {
        const struct ks_domain_copy *copy = &draft->records->copies[i];
        if (copy->generation == draft->step->generation && is_wanted(draft, &copy->node)) {
            struct ks_name key = name_of_copy(copy->generation, &copy->node);
            ks_change_compare(draft->change, ks_name_bytes(&key), copy->revision);
            return;
        }
    }
}

/* A generation that has been retired meanwhile must not come back. */
static void write_open(const struct draft *draft)
{
    const struct ks_domain_node *node = &draft->self->node;
    const struct ks_domain_transit *ours = ks_domain_transit_of(draft->records, node);
    assert(ours);
    struct ks_name key = name_of_transit(node);
    ks_change_compare(draft->change, ks_name_bytes(&key), ours->revision);
    ks_change_delete(draft->change, ks_name_bytes(&key));
    compare_another_copy(draft, is_of_another_keystore);
    put_our_copy(draft);
}

static void write_set_current(const struct draft *draft)
{
    const struct ks_domain_copy *ours =
        ks_domain_copy_of(draft->records, draft->step->generation, &draft->self->node);
    assert(ours);
    ks_change_compare(draft->change, KS_NAME_DOMAIN_NEWEST, draft->records->newest.revision);
    ks_change_compare(draft->change, KS_NAME_DOMAIN_CURRENT, draft->records->current.revision);
    struct ks_name key = name_of_copy(ours->generation, &ours->node);
    ks_change_compare(draft->change, ks_name_bytes(&key), ours->revision);
    compare_another_copy(draft, is_of_another_zone);

    STORED(CurrentDomainKey) current = STORED_NEW(CURRENT_DOMAIN_KEY);
    current.format = KS_RECORD_FORMAT;
    current.generation = draft->step->generation;
    current.current_since_ms = draft->now_ms;
    ks_change_put(draft->change, KS_NAME_DOMAIN_CURRENT, &current.base);
}

/*
 * Requests for the generation go first: one that is left over, of a node that is gone for good,
 * would stand for ever. Copies that don't fit are deleted by the next step.
 */
static void write_retire(const struct draft *draft)
{
    for (size_t i = 0; i < draft->records->transit_count && has_room(draft); i++) {
        const struct ks_domain_transit *transit = &draft->records->transits[i];
        if (transit->generation == draft->step->generation) {
            struct ks_name key = name_of_transit(&transit->node);
            ks_change_delete(draft->change, ks_name_bytes(&key));
        }
    }
    ks_change_compare(draft->change, KS_NAME_DOMAIN_CURRENT, draft->records->current.revision);
    for (size_t i = 0; i < draft->records->copy_count; i++) {
        const struct ks_domain_copy *copy = &draft->records->copies[i];
        if (copy->generation == draft->step->generation && has_room(draft)) {
            struct ks_name key = name_of_copy(copy->generation, &copy->node);
            ks_change_delete(draft->change, ks_name_bytes(&key));
        }
    }
}

static void (*const writers[KS_DOMAIN_MOVE_COUNT])(const struct draft *draft) = {
    [KS_DOMAIN_CLEAR] = write_clear,   [KS_DOMAIN_MAKE] = write_make,
    [KS_DOMAIN_ASK] = write_ask,       [KS_DOMAIN_OPEN] = write_open,
    [KS_DOMAIN_SEAL] = write_seal,     [KS_DOMAIN_SET_CURRENT] = write_set_current,
    [KS_DOMAIN_RETIRE] = write_retire,
};

void ks_ledger_write(const struct ks_domain_records *records, const struct ks_domain_self *self,
                     const struct ks_domain_step *step, const struct ks_ledger_material *material,
                     int64_t now_ms, struct ks_change *change)
{
    assert(step->move < KS_DOMAIN_MOVE_COUNT && writers[step->move]);

    const struct draft draft = {records, self, step, material, now_ms, change};
    writers[step->move](&draft);
}

void ks_ledger_forget_transit(const struct ks_domain_records *records,
                              const struct ks_domain_self *self, struct ks_change *change)
{
    const struct ks_domain_transit *ours = ks_domain_transit_of(records, &self->node);
    assert(ours);

    struct ks_name key = name_of_transit(&self->node);
    ks_change_compare(change, ks_name_bytes(&key), ours->revision);
    ks_change_delete(change, ks_name_bytes(&key));
}
