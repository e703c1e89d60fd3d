#include "pkg/backup/front.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "pkg/form/form.h"

#define VERSION   1U
#define ALGORITHM 1U
#define MAGIC     KS_LITERAL("\x89KSB\r\n\x1a\n")

/* What always stands in a header: magic, version, algorithm, id, two lengths, the numbers. */
#define FIXED_LEN (KS_BACKUP_MAGIC_LEN + 2U + KS_BACKUP_ID_LEN + 2U + 8U + 8U + 4U + 2U + 4U + 8U)

static_assert(KS_BACKUP_HEADER_LEN_MAX >= FIXED_LEN + KS_REGION_LEN_MAX + KS_BACKUP_EPOCH_LEN_MAX,
              "the longest header");

static bool is_epoch(const char *epoch)
{
    for (const char *at = epoch; *at; at++) {
        if (*at <= ' ' || *at > '~') {
            return false;
        }
    }
    return true;
}

bool ks_backup_header_is_valid(const struct ks_backup_header *header)
{
    bool kit = header->period > 0 && header->threshold > 0 &&
               header->threshold <= header->custodians &&
               header->custodians <= KS_BACKUP_CUSTODIANS_MAX;
    return kit && ks_is_region(ks_bytes_of(header->region)) && is_epoch(header->epoch) &&
           header->revision > 0 && header->time_ms > 0 && header->generation > 0;
}

ks_result ks_backup_header_write(const struct ks_backup_header *header, struct ks_buffer *out)
{
    if (!ks_backup_header_is_valid(header)) {
        return KS_RES(VALIDATION);
    }
    uint8_t bytes[KS_BACKUP_HEADER_LEN_MAX];
    struct ks_writer writer = {.ptr = bytes, .capacity = sizeof(bytes)};
    ks_write_bytes(&writer, MAGIC);
    ks_write_u8(&writer, VERSION);
    ks_write_u8(&writer, ALGORITHM);
    ks_write_bytes(&writer, (ks_bytes){header->id, sizeof(header->id)});
    ks_write_short(&writer, ks_bytes_of(header->region));
    ks_write_short(&writer, ks_bytes_of(header->epoch));
    ks_write_u64(&writer, (uint64_t)header->revision);
    ks_write_u64(&writer, (uint64_t)header->time_ms);
    ks_write_u32(&writer, header->period);
    ks_write_u8(&writer, header->threshold);
    ks_write_u8(&writer, header->custodians);
    ks_write_u32(&writer, header->generation);
    ks_write_u64(&writer, header->key_count);
    assert(!writer.full);
    return ks_buffer_append(out, ks_written(&writer));
}

void ks_backup_id_text(const uint8_t id[static KS_BACKUP_ID_LEN],
                       char ret_text[static KS_BACKUP_ID_TEXT_LEN + 1])
{
    char hex[2 * KS_BACKUP_ID_LEN + 1];
    ks_hex_write((ks_bytes){id, KS_BACKUP_ID_LEN}, hex);
    snprintf(ret_text, KS_BACKUP_ID_TEXT_LEN + 1, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8,
             hex + 12, hex + 16, hex + 20);
}

ks_result ks_backup_front_write(ks_bytes header_bytes, ks_bytes key_block, struct ks_buffer *out)
{
    if (key_block.len == 0 || key_block.len > KS_BACKUP_KEY_BLOCK_MAX) {
        return KS_RES(VALIDATION);
    }
    uint8_t *place;
    size_t len = header_bytes.len + sizeof(uint32_t) + key_block.len;
    KS_TRY(ks_buffer_extend(out, len, &place));
    struct ks_writer writer = {.ptr = place, .capacity = len};
    ks_write_bytes(&writer, header_bytes);
    ks_write_u32(&writer, (uint32_t)key_block.len);
    ks_write_bytes(&writer, key_block);
    assert(!writer.full && writer.len == len);
    return KS_RES(OK);
}

bool ks_backup_is(ks_bytes bytes)
{
    return ks_bytes_starts_with(bytes, MAGIC);
}

/* Copies a text, with its NUL. A NUL in it would end it early: then nothing is written. */
static bool read_text(struct ks_reader *reader, char *ret_text, size_t len_max)
{
    ks_bytes text = ks_read_short(reader);
    if (text.len > len_max || (text.len > 0 && memchr(text.ptr, '\0', text.len))) {
        return false;
    }
    if (text.len > 0) {
        memcpy(ret_text, text.ptr, text.len);
    }
    ret_text[text.len] = '\0';
    return true;
}

static bool read_fields(struct ks_reader *reader, struct ks_backup_header *ret_header)
{
    ks_bytes id = ks_read_bytes(reader, KS_BACKUP_ID_LEN);
    if (id.len == KS_BACKUP_ID_LEN) {
        memcpy(ret_header->id, id.ptr, id.len);
    }
    if (!read_text(reader, ret_header->region, KS_REGION_LEN_MAX) ||
        !read_text(reader, ret_header->epoch, KS_BACKUP_EPOCH_LEN_MAX)) {
        return false;
    }
    ret_header->revision = (int64_t)ks_read_u64(reader);
    ret_header->time_ms = (int64_t)ks_read_u64(reader);
    ret_header->period = ks_read_u32(reader);
    ret_header->threshold = ks_read_u8(reader);
    ret_header->custodians = ks_read_u8(reader);
    ret_header->generation = ks_read_u32(reader);
    ret_header->key_count = ks_read_u64(reader);
    return !reader->bad && ks_backup_header_is_valid(ret_header);
}

ks_result ks_backup_front_read(ks_bytes bytes, struct ks_backup_front *ret_front)
{
    struct ks_reader reader = {.rest = bytes};
    struct ks_backup_front front = {.bytes = bytes};
    ks_bytes magic = ks_read_bytes(&reader, KS_BACKUP_MAGIC_LEN);
    uint8_t version = ks_read_u8(&reader);
    uint8_t algorithm = ks_read_u8(&reader);
    if (reader.bad || !ks_bytes_equal(magic, MAGIC)) {
        return KS_RES(INVALID_CIPHERTEXT);
    }
    if (version != VERSION || algorithm != ALGORITHM) {
        return KS_RES(UNSUPPORTED);
    }
    if (!read_fields(&reader, &front.header)) {
        return KS_RES(INVALID_CIPHERTEXT);
    }
    front.header_bytes = (ks_bytes){bytes.ptr, bytes.len - reader.rest.len};
    uint32_t key_block_len = ks_read_u32(&reader);
    if (key_block_len == 0 || key_block_len > KS_BACKUP_KEY_BLOCK_MAX) {
        return KS_RES(INVALID_CIPHERTEXT);
    }
    front.key_block = ks_read_bytes(&reader, key_block_len);
    if (reader.bad) {
        return KS_RES(INVALID_CIPHERTEXT);
    }
    front.bytes.len = bytes.len - reader.rest.len;
    *ret_front = front;
    return KS_RES(OK);
}
