#include "pkg/backup/form.h"

#include <assert.h>
#include <string.h>

#include "pkg/form/form.h"

#define NUMBERS_LEN (1U + 2U + 4U + 8U) /* of an entry, without key and value */

/* ---- Segments ---- */

ks_result ks_backup_segments_begin(struct ks_backup_segments *segments, ks_bytes front)
{
    segments->index = 0;
    KS_TRY(ks_hash_sha256(segments->crypto, &front, 1, segments->front_digest));
    return ks_hash_sha256(segments->crypto, &front, 1, segments->digest);
}

ks_result ks_backup_segments_pass(struct ks_backup_segments *segments, ks_bytes sealed)
{
    if (segments->index == UINT32_MAX) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    uint8_t next[KS_SHA256_LEN];
    const ks_bytes parts[] = {{segments->digest, KS_SHA256_LEN}, sealed};
    KS_TRY(ks_hash_sha256(segments->crypto, parts, KS_COUNT(parts), next));
    memcpy(segments->digest, next, sizeof(next));
    segments->index++;
    return KS_RES(OK);
}

ks_result ks_backup_segments_seal(struct ks_backup_segments *segments, ks_bytes content,
                                  bool is_last, uint8_t *ret_sealed)
{
    assert(is_last ? content.len <= KS_BACKUP_SEGMENT_LEN : content.len == KS_BACKUP_SEGMENT_LEN);

    uint8_t iv[KS_AEAD_IV_LEN];
    const struct ks_aead_box box = {
        .key = &segments->key, .iv = iv, .aad = {segments->front_digest, KS_SHA256_LEN}};
    ks_aead_segment_iv(NULL, segments->index, is_last, iv);
    KS_TRY(ks_aead_seal(segments->crypto, &box, content, ret_sealed));
    return ks_backup_segments_pass(segments, (ks_bytes){ret_sealed, content.len + KS_AEAD_TAG_LEN});
}

ks_result ks_backup_segments_open(struct ks_backup_segments *segments, ks_bytes sealed,
                                  bool is_last, uint8_t *ret_content)
{
    uint8_t iv[KS_AEAD_IV_LEN];
    const struct ks_aead_box box = {
        .key = &segments->key, .iv = iv, .aad = {segments->front_digest, KS_SHA256_LEN}};
    ks_aead_segment_iv(NULL, segments->index, is_last, iv);
    KS_TRY(ks_aead_open(segments->crypto, &box, sealed, ret_content));
    return ks_backup_segments_pass(segments, sealed);
}

/* ---- Entries ---- */

ks_result ks_backup_entry_write(const struct ks_backup_record *record, struct ks_buffer *out)
{
    uint8_t *place;
    size_t len = NUMBERS_LEN + record->key.len + record->value.len;
    KS_TRY(ks_buffer_extend(out, len, &place));
    struct ks_writer writer = {.ptr = place, .capacity = len};
    ks_write_u8(&writer, KS_BACKUP_ENTRY_RECORD);
    ks_write_long(&writer, record->key);
    ks_write_u32(&writer, (uint32_t)record->value.len);
    ks_write_bytes(&writer, record->value);
    ks_write_u64(&writer, (uint64_t)record->revision);
    assert(!writer.full && writer.len == len);
    return KS_RES(OK);
}

ks_result ks_backup_end_write(const struct ks_backup_tally *tally, struct ks_buffer *out)
{
    uint8_t bytes[KS_BACKUP_END_LEN_MAX];
    struct ks_writer writer = {.ptr = bytes, .capacity = sizeof(bytes)};
    ks_write_u8(&writer, KS_BACKUP_ENTRY_END);
    ks_write_u8(&writer, (uint8_t)tally->kind_count);
    for (size_t i = 0; i < tally->kind_count; i++) {
        ks_write_short(&writer, ks_bytes_of(tally->kinds[i].name));
        ks_write_u64(&writer, tally->kinds[i].count);
    }
    assert(!writer.full);
    return ks_buffer_append(out, ks_written(&writer));
}

static enum ks_backup_found find_record(struct ks_reader *reader,
                                        struct ks_backup_record *ret_record)
{
    struct ks_backup_record record = {.key = ks_read_long(reader)};
    if (record.key.len > KS_BACKUP_KEY_LEN_MAX) {
        return KS_BACKUP_FOUND_DAMAGE;
    }
    uint32_t value_len = ks_read_u32(reader);
    if (value_len > KS_BACKUP_VALUE_LEN_MAX) {
        return KS_BACKUP_FOUND_DAMAGE;
    }
    record.value = ks_read_bytes(reader, value_len);
    record.revision = (int64_t)ks_read_u64(reader);
    if (reader->bad) {
        return KS_BACKUP_FOUND_PART;
    }
    *ret_record = record;
    return KS_BACKUP_FOUND_RECORD;
}

enum ks_backup_found ks_backup_entry_find(ks_bytes content, struct ks_backup_record *ret_record,
                                          size_t *ret_len)
{
    struct ks_reader reader = {.rest = content};
    if (content.len == 0) {
        return KS_BACKUP_FOUND_PART;
    }
    uint8_t kind = ks_read_u8(&reader);
    if (kind == KS_BACKUP_ENTRY_END) {
        return KS_BACKUP_FOUND_END;
    }
    if (kind != KS_BACKUP_ENTRY_RECORD) {
        return KS_BACKUP_FOUND_DAMAGE;
    }
    enum ks_backup_found found = find_record(&reader, ret_record);
    if (found == KS_BACKUP_FOUND_RECORD) {
        *ret_len = content.len - reader.rest.len;
    }
    return found;
}
