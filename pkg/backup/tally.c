#include "pkg/backup/tally.h"

#include <string.h>

/* How long the name of the key's kind is. */
static size_t kind_len_of(ks_bytes key)
{
    const uint8_t *slash = memchr(key.ptr, '/', key.len);
    return slash ? (size_t)(slash - key.ptr) + 1 : key.len;
}

static bool is_within_limits(const struct ks_backup_record *record)
{
    return record->key.len > 0 && record->key.len <= KS_BACKUP_KEY_LEN_MAX &&
           record->value.len <= KS_BACKUP_VALUE_LEN_MAX && record->revision > 0 &&
           !memchr(record->key.ptr, '\0', record->key.len) &&
           kind_len_of(record->key) <= KS_BACKUP_KIND_LEN_MAX;
}

/*
 * Returns whether the record is of the same kind as the last one. A kind's records stand together,
 * because all of them, and no others, begin with its name.
 */
static bool is_of_last_kind(const struct ks_backup_tally *tally, ks_bytes name)
{
    return tally->kind_count > 0 &&
           ks_bytes_equal(ks_bytes_of(tally->kinds[tally->kind_count - 1].name), name);
}

ks_result ks_backup_tally_add(struct ks_backup_tally *tally, const struct ks_backup_record *record)
{
    if (!is_within_limits(record) ||
        ks_bytes_compare((ks_bytes){tally->last, tally->last_len}, record->key) >= 0) {
        return KS_RES(VALIDATION);
    }
    ks_bytes name = {record->key.ptr, kind_len_of(record->key)};
    if (!is_of_last_kind(tally, name)) {
        if (tally->kind_count == KS_BACKUP_KINDS_MAX) {
            return KS_RES(LIMIT_EXCEEDED);
        }
        struct ks_backup_kind *kind = &tally->kinds[tally->kind_count++];
        memcpy(kind->name, name.ptr, name.len);
        kind->name[name.len] = '\0';
    }
    tally->kinds[tally->kind_count - 1].count++;
    tally->record_count++;
    memcpy(tally->last, record->key.ptr, record->key.len);
    tally->last_len = record->key.len;
    return KS_RES(OK);
}

uint64_t ks_backup_tally_of(const struct ks_backup_tally *tally, const char *kind)
{
    for (size_t i = 0; i < tally->kind_count; i++) {
        if (strcmp(tally->kinds[i].name, kind) == 0) {
            return tally->kinds[i].count;
        }
    }
    return 0;
}
