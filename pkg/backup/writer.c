#include "pkg/backup/writer.h"

#include <assert.h>

#include "pkg/backup/form.h"
#include "pkg/base/mem.h"

struct ks_backup_writer {
    struct ks_backup_segments segments;
    struct ks_backup_tally tally;
    uint64_t key_count;       /* that the header says */
    struct ks_buffer content; /* of the segment that is being filled, and what goes beyond it */
    uint8_t sealed[KS_BACKUP_SEALED_LEN];
    ks_result (*take)(void *user, ks_bytes bytes);
    void *user;
    bool ended; /* or failed: nothing more may be added */
};

static ks_result write_front(struct ks_backup_writer *writer,
                             const struct ks_backup_writer_options *options)
{
    KS_BUFFER_AUTO header = {.len_max = KS_BACKUP_HEADER_LEN_MAX};
    KS_BUFFER_AUTO front = {.len_max = KS_BACKUP_FRONT_LEN_MAX};
    KS_TRY(ks_backup_header_write(options->header, &header));
    KS_TRY(ks_backup_front_write(ks_buffer_bytes(&header), options->key_block, &front));
    KS_TRY(ks_backup_segments_begin(&writer->segments, ks_buffer_bytes(&front)));
    return writer->take(writer->user, ks_buffer_bytes(&front));
}

ks_result ks_backup_writer_new(const struct ks_backup_writer_options *options,
                               struct ks_backup_writer **ret_writer)
{
    assert(options->crypto && options->header && options->stream_key && options->take);

    if (options->stream_key->len != KS_BACKUP_STREAM_KEY_LEN) {
        return KS_RES(VALIDATION);
    }
    KS_BACKUP_WRITER_AUTO *writer = ks_alloc(1, sizeof(*writer));
    writer->segments.crypto = options->crypto;
    writer->segments.key = *options->stream_key;
    writer->key_count = options->header->key_count;
    writer->take = options->take;
    writer->user = options->user;
    writer->content.len_max = KS_BACKUP_SEGMENT_LEN + KS_BACKUP_ENTRY_LEN_MAX;
    KS_TRY(write_front(writer, options));
    *ret_writer = writer;
    writer = NULL;
    return KS_RES(OK);
}

void ks_backup_writer_free(struct ks_backup_writer *writer)
{
    if (writer) {
        ks_secret_wipe(&writer->segments.key);
        ks_buffer_done(&writer->content);
        ks_free(writer);
    }
}

void ks_backup_writer_free_at(struct ks_backup_writer **writer)
{
    ks_backup_writer_free(*writer);
}

const struct ks_backup_tally *ks_backup_writer_tally(const struct ks_backup_writer *writer)
{
    return &writer->tally;
}

static ks_result seal(struct ks_backup_writer *writer, ks_bytes content, bool is_last)
{
    KS_TRY(ks_backup_segments_seal(&writer->segments, content, is_last, writer->sealed));
    return writer->take(writer->user, (ks_bytes){writer->sealed, content.len + KS_AEAD_TAG_LEN});
}

/* Seals every segment that is full and can't be the last one: content always follows it. */
static ks_result seal_full(struct ks_backup_writer *writer)
{
    size_t at = 0;
    while (writer->content.len - at > KS_BACKUP_SEGMENT_LEN) {
        KS_TRY(seal(writer, (ks_bytes){writer->content.ptr + at, KS_BACKUP_SEGMENT_LEN}, false));
        at += KS_BACKUP_SEGMENT_LEN;
    }
    ks_buffer_consume(&writer->content, at);
    return KS_RES(OK);
}

static ks_result add(struct ks_backup_writer *writer, const struct ks_backup_record *record)
{
    KS_TRY(ks_backup_tally_add(&writer->tally, record));
    KS_TRY(ks_backup_entry_write(record, &writer->content));
    return seal_full(writer);
}

ks_result ks_backup_writer_add(struct ks_backup_writer *writer,
                               const struct ks_backup_record *record)
{
    assert(!writer->ended);

    ks_result r = add(writer, record);
    writer->ended = ks_failed(r);
    return r;
}

ks_result ks_backup_writer_end(struct ks_backup_writer *writer)
{
    assert(!writer->ended);

    writer->ended = true;
    if (ks_backup_tally_of(&writer->tally, KS_BACKUP_KEYS) != writer->key_count) {
        return KS_RES(CONFLICT);
    }
    KS_TRY(ks_backup_end_write(&writer->tally, &writer->content));
    KS_TRY(seal_full(writer));
    KS_TRY(seal(writer, ks_buffer_bytes(&writer->content), true));
    return writer->take(writer->user, (ks_bytes){writer->segments.digest, KS_SHA256_LEN});
}
