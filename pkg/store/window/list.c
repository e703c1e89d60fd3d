#include "pkg/store/window/list.h"

#include <assert.h>
#include <string.h>

#include "keystead/storage/v1/storage.pb-c.h"

#define RECORD_FORMAT  1U
#define RECORD_LEN_MAX 4096U

/* A text that does not fit is no record of ours. */
static bool take_text(const char *text, char *ret_text, size_t size)
{
    size_t len = strlen(text);
    if (len >= size) {
        return false;
    }
    memcpy(ret_text, text, len + 1);
    return true;
}

static bool take(const Keystead__Storage__V1__KeystoreRecord *record,
                 struct ks_list_entry *ret_keystore)
{
    struct ks_list_entry *keystore = ret_keystore;
    keystore->life = record->life;
    keystore->beat = record->beat;
    keystore->applied = record->applied_revision;
    keystore->wall_ms = record->wall_ms;
    return record->format == RECORD_FORMAT && record->keystore_id[0] != '\0' &&
           take_text(record->keystore_id, keystore->id, sizeof(keystore->id)) &&
           take_text(record->name, keystore->name, sizeof(keystore->name)) &&
           take_text(record->zone, keystore->zone, sizeof(keystore->zone)) &&
           take_text(record->address, keystore->address, sizeof(keystore->address));
}

static bool decode(ks_bytes id, ks_bytes value, struct ks_list_entry *ret_keystore)
{
    if (value.len > RECORD_LEN_MAX) {
        return false;
    }
    Keystead__Storage__V1__KeystoreRecord *record =
        keystead__storage__v1__keystore_record__unpack(NULL, value.len, value.ptr);
    if (!record) {
        return false;
    }
    bool taken = take(record, ret_keystore);
    keystead__storage__v1__keystore_record__free_unpacked(record, NULL);
    return taken && ks_bytes_equal(id, ks_bytes_of(ret_keystore->id));
}

static void add_unnamed(struct ks_list *list, ks_bytes id, int64_t mod_revision)
{
    list->has_unnamed = true;
    if (list->unnamed_id[0] == '\0' && id.len < sizeof(list->unnamed_id)) {
        memcpy(list->unnamed_id, id.ptr, id.len);
        list->unnamed_id[id.len] = '\0';
        list->unnamed_revision = mod_revision;
    }
}

void ks_list_add(struct ks_list *list, ks_bytes id, ks_bytes value, int64_t mod_revision)
{
    struct ks_list_entry keystore = {.mod_revision = mod_revision};
    if (list->count == KS_COUNT(list->entries) || !decode(id, value, &keystore)) {
        add_unnamed(list, id, mod_revision);
        return;
    }
    list->entries[list->count++] = keystore;
}

const struct ks_list_entry *ks_list_find(const struct ks_list *list, const char *id)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->entries[i].id, id) == 0) {
            return &list->entries[i];
        }
    }
    return NULL;
}

bool ks_list_is_full_for(const struct ks_list *list, const char *id)
{
    return list->count == KS_COUNT(list->entries) && !ks_list_find(list, id);
}

bool ks_list_is_lowest(const struct ks_list *list, const char *id)
{
    if (!ks_list_find(list, id)) {
        return false;
    }
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->entries[i].id, id) < 0) {
            return false;
        }
    }
    return true;
}

ks_result ks_list_encode(const struct ks_list_entry *keystore, struct ks_buffer *buffer)
{
    struct ks_list_entry copy = *keystore;
    Keystead__Storage__V1__KeystoreRecord record = KEYSTEAD__STORAGE__V1__KEYSTORE_RECORD__INIT;
    record.format = RECORD_FORMAT;
    record.keystore_id = copy.id;
    record.name = copy.name;
    record.zone = copy.zone;
    record.address = copy.address;
    record.life = copy.life;
    record.beat = copy.beat;
    record.applied_revision = copy.applied;
    record.wall_ms = copy.wall_ms;
    uint8_t *place;
    size_t len = keystead__storage__v1__keystore_record__get_packed_size(&record);
    KS_TRY(ks_buffer_extend(buffer, len, &place));
    keystead__storage__v1__keystore_record__pack(&record, place);
    return KS_RES(OK);
}
