/*
 * Any bytes as a backup: read without a key, and with one that the bytes do not choose; and, what
 * no tag would let through, as content of a backup that is sealed under that key. Nothing is read
 * or written outside, and what is read is what a writer would have written again.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "pkg/backup/form.h"
#include "pkg/backup/front.h"
#include "pkg/backup/reader.h"
#include "pkg/backup/writer.h"
#include "pkg/base/mem.h"
#include "pkg/crypto/crypto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PIECE_LEN 1000U

static struct ks_crypto *crypto(void)
{
    static struct ks_crypto *kept;
    if (!kept) {
        ks_result r = ks_crypto_init(&(struct ks_crypto_options){0});
        assert(!ks_failed(r));
        kept = ks_crypto_new();
    }
    return kept;
}

static ks_result add(void *user, const struct ks_backup_record *record)
{
    return ks_backup_writer_add(user, record);
}

static ks_result keep(void *user, ks_bytes bytes)
{
    return ks_buffer_append(user, bytes);
}

static ks_result read_rest(struct ks_backup_reader *reader, ks_bytes rest)
{
    while (rest.len > 0) {
        size_t len = rest.len < PIECE_LEN ? rest.len : PIECE_LEN;
        KS_TRY(ks_backup_reader_push(reader, (ks_bytes){rest.ptr, len}));
        rest = (ks_bytes){rest.ptr + len, rest.len - len};
    }
    return ks_backup_reader_end(reader);
}

/* Reads the whole, writes each record again as it comes, and compares. */
static void read_and_write_again(ks_bytes bytes, const struct ks_backup_front *front,
                                 const ks_secret *key)
{
    KS_BUFFER_AUTO again = {.len_max = 2 * bytes.len + KS_BACKUP_FRONT_LEN_MAX};
    KS_BACKUP_WRITER_AUTO *writer = NULL;
    KS_BACKUP_READER_AUTO *reader = NULL;
    const struct ks_backup_writer_options writing = {.crypto = crypto(),
                                                     .header = &front->header,
                                                     .key_block = front->key_block,
                                                     .stream_key = key,
                                                     .take = keep,
                                                     .user = &again};
    ks_result r = ks_backup_writer_new(&writing, &writer);
    assert(!ks_failed(r));
    const struct ks_backup_reader_options reading = {
        .crypto = crypto(), .front = front, .stream_key = key, .each = add, .user = writer};
    r = ks_backup_reader_new(&reading, &reader);
    assert(!ks_failed(r));
    const ks_bytes rest = {bytes.ptr + front->bytes.len, bytes.len - front->bytes.len};
    if (ks_failed(read_rest(reader, rest))) {
        return;
    }
    r = ks_backup_writer_end(writer);
    assert(!ks_failed(r));
    assert(ks_bytes_equal(bytes, ks_buffer_bytes(&again)));
}

/* The bytes behind the front as content: sealed as a writer would, whatever they say. */
static void seal_and_read(ks_bytes content, const struct ks_backup_front *front,
                          const ks_secret *key)
{
    KS_BUFFER_AUTO sealed = {.len_max = KS_BACKUP_FRONT_LEN_MAX + 2 * content.len + 128};
    struct ks_backup_segments segments = {.crypto = crypto(), .key = *key};
    ks_result r = ks_buffer_append(&sealed, front->bytes);
    assert(!ks_failed(r));
    r = ks_backup_segments_begin(&segments, front->bytes);
    assert(!ks_failed(r));
    for (bool is_last = false; !is_last;) {
        uint8_t *place;
        size_t len = content.len < KS_BACKUP_SEGMENT_LEN ? content.len : KS_BACKUP_SEGMENT_LEN;
        is_last = len == content.len;
        r = ks_buffer_extend(&sealed, len + KS_AEAD_TAG_LEN, &place);
        assert(!ks_failed(r));
        r = ks_backup_segments_seal(&segments, (ks_bytes){content.ptr, len}, is_last, place);
        assert(!ks_failed(r));
        content = (ks_bytes){content.ptr + len, content.len - len};
    }
    r = ks_buffer_append(&sealed, (ks_bytes){segments.digest, KS_SHA256_LEN});
    assert(!ks_failed(r));
    struct ks_backup_front again;
    r = ks_backup_front_read(ks_buffer_bytes(&sealed), &again);
    assert(!ks_failed(r));
    read_and_write_again(ks_buffer_bytes(&sealed), &again, key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const ks_bytes bytes = {data, size};
    struct ks_backup_front front;
    if (ks_failed(ks_backup_front_read(bytes, &front))) {
        return 0;
    }
    assert(ks_backup_is(bytes));
    assert(front.bytes.len <= size && ks_backup_header_is_valid(&front.header));
    const ks_secret key = {.len = KS_BACKUP_STREAM_KEY_LEN};
    const ks_bytes rest = {data + front.bytes.len, size - front.bytes.len};
    read_and_write_again(bytes, &front, &key);
    if (rest.len > 0) {
        seal_and_read(rest, &front, &key);
    }
    KS_BACKUP_READER_AUTO *reader = NULL;
    const struct ks_backup_reader_options without = {.crypto = crypto(), .front = &front};
    ks_result r = ks_backup_reader_new(&without, &reader);
    assert(!ks_failed(r));
    r = read_rest(reader, rest);
    assert(r.code == KS_OK || r.code == KS_INVALID_CIPHERTEXT);
    return 0;
}
