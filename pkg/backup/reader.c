#include "pkg/backup/reader.h"

#include <assert.h>
#include <string.h>

#include "pkg/backup/form.h"
#include "pkg/backup/writer.h"
#include "pkg/base/mem.h"

struct ks_backup_reader {
    struct ks_backup_segments segments;
    struct ks_backup_tally tally;
    uint64_t key_count; /* that the header says */
    bool has_key;
    bool ended;               /* or failed: nothing more may be read */
    struct ks_buffer sealed;  /* what has come and was not opened: it may be the last segment */
    struct ks_buffer content; /* what was opened and is no whole entry yet */
    uint8_t opened[KS_BACKUP_SEGMENT_LEN];
    ks_result (*each)(void *user, const struct ks_backup_record *record);
    void *user;
};

/* A segment of full length that may be the last one, with the digest behind it. */
#define HELD_LEN (KS_BACKUP_SEALED_LEN + KS_SHA256_LEN)

ks_result ks_backup_reader_new(const struct ks_backup_reader_options *options,
                               struct ks_backup_reader **ret_reader)
{
    assert(options->crypto && options->front);

    if (options->stream_key && options->stream_key->len != KS_BACKUP_STREAM_KEY_LEN) {
        return KS_RES(VALIDATION);
    }
    KS_BACKUP_READER_AUTO *reader = ks_alloc(1, sizeof(*reader));
    reader->segments.crypto = options->crypto;
    if (options->stream_key) {
        reader->segments.key = *options->stream_key;
        reader->has_key = true;
    }
    reader->key_count = options->front->header.key_count;
    reader->each = options->each;
    reader->user = options->user;
    reader->sealed.len_max = HELD_LEN + KS_BACKUP_SEALED_LEN;
    reader->content.len_max = KS_BACKUP_ENTRY_LEN_MAX + KS_BACKUP_SEGMENT_LEN;
    KS_TRY(ks_backup_segments_begin(&reader->segments, options->front->bytes));
    *ret_reader = reader;
    reader = NULL;
    return KS_RES(OK);
}

void ks_backup_reader_free(struct ks_backup_reader *reader)
{
    if (reader) {
        ks_secret_wipe(&reader->segments.key);
        ks_wipe(reader->opened, sizeof(reader->opened));
        ks_buffer_done(&reader->sealed);
        ks_buffer_done(&reader->content);
        ks_free(reader);
    }
}

void ks_backup_reader_free_at(struct ks_backup_reader **reader)
{
    ks_backup_reader_free(*reader);
}

const struct ks_backup_tally *ks_backup_reader_tally(const struct ks_backup_reader *reader)
{
    return &reader->tally;
}

static ks_result hand_out_one(struct ks_backup_reader *reader,
                              const struct ks_backup_record *record)
{
    if (ks_failed(ks_backup_tally_add(&reader->tally, record))) {
        return KS_RES(INVALID_CIPHERTEXT);
    }
    return reader->each ? reader->each(reader->user, record) : KS_RES(OK);
}

/* Hands out the records that are whole, and keeps the rest of the content. */
static ks_result hand_out(struct ks_backup_reader *reader)
{
    enum ks_backup_found found = KS_BACKUP_FOUND_RECORD;
    ks_result r = KS_RES(OK);
    size_t at = 0;
    while (found == KS_BACKUP_FOUND_RECORD && !ks_failed(r)) {
        struct ks_backup_record record;
        size_t len = 0;
        const ks_bytes rest = {reader->content.ptr + at, reader->content.len - at};
        found = ks_backup_entry_find(rest, &record, &len);
        if (found == KS_BACKUP_FOUND_RECORD) {
            r = hand_out_one(reader, &record);
            at += len;
        }
    }
    ks_buffer_consume(&reader->content, at);
    return found == KS_BACKUP_FOUND_DAMAGE ? KS_RES(INVALID_CIPHERTEXT) : r;
}

/* The last entry says what came before it; nothing stands behind it. */
static ks_result check_end(const struct ks_backup_reader *reader)
{
    KS_BUFFER_AUTO end = {.len_max = KS_BACKUP_END_LEN_MAX};
    KS_TRY(ks_backup_end_write(&reader->tally, &end));
    bool same = ks_bytes_equal(ks_buffer_bytes(&end), ks_buffer_bytes(&reader->content)) &&
                ks_backup_tally_of(&reader->tally, KS_BACKUP_KEYS) == reader->key_count;
    return same ? KS_RES(OK) : KS_RES(INVALID_CIPHERTEXT);
}

static ks_result read_segment(struct ks_backup_reader *reader, ks_bytes sealed, bool is_last)
{
    if (!reader->has_key) {
        return ks_backup_segments_pass(&reader->segments, sealed);
    }
    KS_TRY(ks_backup_segments_open(&reader->segments, sealed, is_last, reader->opened));
    const ks_bytes content = {reader->opened, sealed.len - KS_AEAD_TAG_LEN};
    if (ks_failed(ks_buffer_append(&reader->content, content))) {
        return KS_RES(INVALID_CIPHERTEXT); /* no entry is so long */
    }
    return hand_out(reader);
}

/* What is kept is longer than a last segment can be: its first segment is not the last one. */
static ks_result read_full(struct ks_backup_reader *reader)
{
    while (reader->sealed.len > HELD_LEN) {
        KS_TRY(read_segment(reader, (ks_bytes){reader->sealed.ptr, KS_BACKUP_SEALED_LEN}, false));
        ks_buffer_consume(&reader->sealed, KS_BACKUP_SEALED_LEN);
    }
    return KS_RES(OK);
}

static ks_result push(struct ks_backup_reader *reader, ks_bytes bytes)
{
    while (bytes.len > 0) {
        size_t len = bytes.len < KS_BACKUP_SEALED_LEN ? bytes.len : KS_BACKUP_SEALED_LEN;
        KS_TRY(ks_buffer_append(&reader->sealed, (ks_bytes){bytes.ptr, len}));
        KS_TRY(read_full(reader));
        bytes = (ks_bytes){bytes.ptr + len, bytes.len - len};
    }
    return KS_RES(OK);
}

ks_result ks_backup_reader_push(struct ks_backup_reader *reader, ks_bytes bytes)
{
    assert(!reader->ended);

    ks_result r = push(reader, bytes);
    reader->ended = ks_failed(r);
    return r;
}

ks_result ks_backup_reader_end(struct ks_backup_reader *reader)
{
    assert(!reader->ended);

    reader->ended = true;
    ks_bytes rest = ks_buffer_bytes(&reader->sealed);
    if (rest.len <= KS_AEAD_TAG_LEN + KS_SHA256_LEN) {
        return KS_RES(INVALID_CIPHERTEXT);
    }
    ks_bytes last = {rest.ptr, rest.len - KS_SHA256_LEN};
    ks_bytes digest = {rest.ptr + last.len, KS_SHA256_LEN};
    KS_TRY(read_segment(reader, last, true));
    if (!ks_bytes_equal(digest, (ks_bytes){reader->segments.digest, KS_SHA256_LEN})) {
        return KS_RES(INVALID_CIPHERTEXT);
    }
    return reader->has_key ? check_end(reader) : KS_RES(OK);
}
