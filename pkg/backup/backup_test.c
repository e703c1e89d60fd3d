#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/backup/form.h"
#include "pkg/backup/front.h"
#include "pkg/backup/reader.h"
#include "pkg/backup/tally.h"
#include "pkg/backup/writer.h"
#include "pkg/base/mem.h"
#include "pkg/crypto/aead.h"
#include "pkg/crypto/crypto.h"
#include "pkg/crypto/hash.h"
#include "tests/vectors/backup_json.h"
#include "tests/vectors/vectors.h"

#define BACKUP_MAX (2U * 1024U * 1024U)
#define KIND_MAX   2U /* kinds of which a sample has several records */
#define KEY_LEN    64U

static struct ks_crypto *crypto;

static int setup(void **state)
{
    (void)state;
    if (ks_failed(ks_crypto_init(&(struct ks_crypto_options){0}))) {
        return -1;
    }
    crypto = ks_crypto_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ks_crypto_free(crypto);
    return 0;
}

static struct ks_backup_header header_of(uint64_t key_count)
{
    struct ks_backup_header header = {
        .id = {1, 2, 3},
        .region = "ap-seoul-1",
        .epoch = "0b9c3f6e-8a55-4a7e-9d0e-2f6f5f0c7a11",
        .revision = 4711,
        .time_ms = 1790000000000,
        .period = 3,
        .threshold = 2,
        .custodians = 3,
        .generation = 7,
        .key_count = key_count,
    };
    return header;
}

static ks_secret test_key(uint8_t byte)
{
    ks_secret key = {.len = KS_BACKUP_STREAM_KEY_LEN};
    memset(key.bytes, byte, key.len);
    return key;
}

/* ---- Writing a sample ---- */

/* `take` of writers: everything into a buffer. */
static ks_result keep(void *user, ks_bytes bytes)
{
    return ks_buffer_append(user, bytes);
}

/* The sample's records: count aliases and keys, and a roster if there is any. */
struct sample {
    size_t count;
    size_t value_len;
};

static size_t record_count_of(const struct sample *sample)
{
    return KIND_MAX * sample->count + (sample->count > 0);
}

static struct ks_backup_record record_of(const struct sample *sample, size_t i,
                                         char key[static KEY_LEN], struct ks_buffer *value)
{
    static const char *const roots[] = {"alias/111122223333/", "key/111122223333/"};
    size_t kind = i / sample->count;
    uint8_t *place = NULL;
    if (kind < KIND_MAX) {
        snprintf(key, KEY_LEN, "%s%08zu", roots[kind], i % sample->count);
    } else {
        snprintf(key, KEY_LEN, "roster");
    }
    value->len = 0;
    assert_int_equal(ks_buffer_extend(value, sample->value_len, &place).code, KS_OK);
    for (size_t j = 0; j < sample->value_len; j++) {
        place[j] = (uint8_t)(7 * j + i);
    }
    return (struct ks_backup_record){ks_bytes_of(key), ks_buffer_bytes(value), 100 + (int64_t)i};
}

static void write_sample(const struct ks_backup_writer_options *options,
                         const struct sample *sample)
{
    KS_BACKUP_WRITER_AUTO *writer = NULL;
    KS_BUFFER_AUTO value = {.len_max = KS_BACKUP_VALUE_LEN_MAX};
    assert_int_equal(ks_backup_writer_new(options, &writer).code, KS_OK);
    for (size_t i = 0; i < record_count_of(sample); i++) {
        char key[KEY_LEN];
        struct ks_backup_record record = record_of(sample, i, key, &value);
        assert_int_equal(ks_backup_writer_add(writer, &record).code, KS_OK);
    }
    assert_int_equal(ks_backup_writer_end(writer).code, KS_OK);
    assert_int_equal(ks_backup_writer_tally(writer)->record_count, record_count_of(sample));
}

static void make(const struct sample *sample, uint8_t key_byte, struct ks_buffer *out)
{
    struct ks_backup_header header = header_of(sample->count);
    ks_secret key = test_key(key_byte);
    const struct ks_backup_writer_options options = {.crypto = crypto,
                                                     .header = &header,
                                                     .key_block = KS_LITERAL("a key block"),
                                                     .stream_key = &key,
                                                     .take = keep,
                                                     .user = out};
    write_sample(&options, sample);
}

/* ---- Reading it back ---- */

struct reading {
    const struct sample *sample; /* NULL: any records are fine */
    size_t count;
};

static ks_result check_record(void *user, const struct ks_backup_record *record)
{
    struct reading *reading = user;
    if (reading->sample) {
        char key[KEY_LEN];
        KS_BUFFER_AUTO value = {.len_max = KS_BACKUP_VALUE_LEN_MAX};
        struct ks_backup_record wanted = record_of(reading->sample, reading->count, key, &value);
        assert_true(ks_bytes_equal(record->key, wanted.key));
        assert_true(ks_bytes_equal(record->value, wanted.value));
        assert_int_equal(record->revision, wanted.revision);
    }
    reading->count++;
    return KS_RES(OK);
}

/* Reads a whole backup in pieces of piece_len bytes. */
static ks_result read_all(ks_bytes bytes, const ks_secret *key, size_t piece_len,
                          struct reading *reading)
{
    struct ks_backup_front front;
    KS_BACKUP_READER_AUTO *reader = NULL;
    KS_TRY(ks_backup_front_read(bytes, &front));
    const struct ks_backup_reader_options options = {.crypto = crypto,
                                                     .front = &front,
                                                     .stream_key = key,
                                                     .each = check_record,
                                                     .user = reading};
    KS_TRY(ks_backup_reader_new(&options, &reader));
    for (size_t at = front.bytes.len; at < bytes.len;) {
        size_t len = bytes.len - at < piece_len ? bytes.len - at : piece_len;
        KS_TRY(ks_backup_reader_push(reader, (ks_bytes){bytes.ptr + at, len}));
        at += len;
    }
    return ks_backup_reader_end(reader);
}

static void assert_refused(ks_bytes bytes)
{
    ks_secret key = test_key(0x5a);
    struct reading reading = {0};
    ks_code with_key = read_all(bytes, &key, bytes.len + 1, &reading).code;
    ks_code without = read_all(bytes, NULL, bytes.len + 1, &reading).code;

    assert_true(with_key == KS_INVALID_CIPHERTEXT || with_key == KS_UNSUPPORTED);
    assert_true(without == KS_INVALID_CIPHERTEXT || without == KS_UNSUPPORTED);
}

/* ---- Claims ---- */

/* What another implementation made of the page is what we make of it, and read. */
static void golden_backups_are_written_and_read(void **state)
{
    (void)state;
    KS_JSON_AUTO *doc = ks_vectors_open(ks_backup_json, ks_backup_json_len);
    for (size_t i = 0; i < ks_vectors_count(doc); i++) {
        const struct ks_json *vector = ks_vectors_at(doc, i);
        const struct sample sample = {ks_vector_number(vector, "records"),
                                      ks_vector_number(vector, "value")};
        KS_VECTOR_AUTO id = ks_vector_hex(vector, "id");
        KS_VECTOR_AUTO stream_key = ks_vector_hex(vector, "stream_key");
        KS_VECTOR_AUTO key_block = ks_vector_hex(vector, "key_block");
        KS_VECTOR_AUTO digest = ks_vector_hex(vector, "sha256");
        KS_VECTOR_AUTO their_header = ks_vector_hex(vector, "header");
        struct ks_backup_header header = header_of(sample.count);
        memcpy(header.id, id.ptr, sizeof(header.id));
        ks_secret key = {.len = stream_key.len};
        memcpy(key.bytes, stream_key.ptr, stream_key.len);
        KS_BUFFER_AUTO ours = {.len_max = BACKUP_MAX};
        const struct ks_backup_writer_options options = {.crypto = crypto,
                                                         .header = &header,
                                                         .key_block = ks_vector_view(&key_block),
                                                         .stream_key = &key,
                                                         .take = keep,
                                                         .user = &ours};

        write_sample(&options, &sample);

        uint8_t our_digest[KS_SHA256_LEN];
        struct reading reading = {.sample = &sample};
        assert_int_equal(ks_hash_sha256_once(ks_buffer_bytes(&ours), our_digest).code, KS_OK);
        assert_true(ks_bytes_starts_with(ks_buffer_bytes(&ours), ks_vector_view(&their_header)));
        assert_memory_equal(our_digest, digest.ptr, sizeof(our_digest));
        assert_int_equal(read_all(ks_buffer_bytes(&ours), &key, 7777, &reading).code, KS_OK);
        assert_int_equal(reading.count, record_count_of(&sample));
    }
}

/* Bytes that another implementation wrote are read for ever. */
static void golden_bytes_are_read(void **state)
{
    (void)state;
    KS_JSON_AUTO *doc = ks_vectors_open(ks_backup_json, ks_backup_json_len);
    size_t read = 0;
    for (size_t i = 0; i < ks_vectors_count(doc); i++) {
        const struct ks_json *vector = ks_vectors_at(doc, i);
        if (!ks_json_get(vector, "file")) {
            continue;
        }
        const struct sample sample = {ks_vector_number(vector, "records"),
                                      ks_vector_number(vector, "value")};
        KS_VECTOR_AUTO stream_key = ks_vector_hex(vector, "stream_key");
        KS_VECTOR_AUTO file = ks_vector_hex(vector, "file");
        ks_secret key = {.len = stream_key.len};
        memcpy(key.bytes, stream_key.ptr, stream_key.len);
        struct reading reading = {.sample = &sample};
        assert_int_equal(read_all(ks_vector_view(&file), &key, 1, &reading).code, KS_OK);
        assert_int_equal(reading.count, record_count_of(&sample));
        read++;
    }
    assert_int_equal(read, 2);
}

static void the_front_says_what_the_writer_was_told(void **state)
{
    (void)state;
    KS_BUFFER_AUTO backup = {.len_max = BACKUP_MAX};
    struct ks_backup_front front;
    char text[KS_BACKUP_ID_TEXT_LEN + 1];
    make(&(struct sample){2, 10}, 0x5a, &backup);

    assert_int_equal(ks_backup_front_read(ks_buffer_bytes(&backup), &front).code, KS_OK);

    struct ks_backup_header wanted = header_of(2);
    assert_true(ks_backup_is(ks_buffer_bytes(&backup)));
    assert_memory_equal(front.header.id, wanted.id, sizeof(wanted.id));
    assert_string_equal(front.header.region, wanted.region);
    assert_string_equal(front.header.epoch, wanted.epoch);
    assert_int_equal(front.header.revision, wanted.revision);
    assert_int_equal(front.header.time_ms, wanted.time_ms);
    assert_int_equal(front.header.period, wanted.period);
    assert_int_equal(front.header.threshold, wanted.threshold);
    assert_int_equal(front.header.custodians, wanted.custodians);
    assert_int_equal(front.header.generation, wanted.generation);
    assert_int_equal(front.header.key_count, 2);
    assert_true(ks_bytes_equal(front.key_block, KS_LITERAL("a key block")));
    ks_backup_id_text(front.header.id, text);
    assert_string_equal(text, "01020300-0000-0000-0000-000000000000");
}

static void every_bit_of_a_small_backup_counts(void **state)
{
    (void)state;
    KS_BUFFER_AUTO backup = {.len_max = BACKUP_MAX};
    make(&(struct sample){2, 10}, 0x5a, &backup);
    for (size_t bit = 0; bit < 8 * backup.len; bit++) {
        backup.ptr[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        assert_refused(ks_buffer_bytes(&backup));
        backup.ptr[bit / 8] ^= (uint8_t)(1U << (bit % 8));
    }
}

static void a_backup_that_is_cut_anywhere_is_refused(void **state)
{
    (void)state;
    KS_BUFFER_AUTO backup = {.len_max = BACKUP_MAX};
    make(&(struct sample){2, 10}, 0x5a, &backup);
    for (size_t len = 0; len < backup.len; len++) {
        assert_refused((ks_bytes){backup.ptr, len});
    }
}

static void what_stands_behind_the_end_is_refused(void **state)
{
    (void)state;
    KS_BUFFER_AUTO backup = {.len_max = BACKUP_MAX};
    make(&(struct sample){2, 10}, 0x5a, &backup);
    assert_int_equal(ks_buffer_append(&backup, KS_LITERAL("\0")).code, KS_OK);
    assert_refused(ks_buffer_bytes(&backup));
}

/*
 * A backup of three segments and more, with a digest that fits: whoever rearranges one on purpose
 * makes the digest, too. Then the tags alone must refuse it.
 */
static size_t segment_at(const struct ks_backup_front *front, size_t index)
{
    return front->bytes.len + index * KS_BACKUP_SEALED_LEN;
}

static void forge_digest(struct ks_buffer *backup, const struct ks_backup_front *front)
{
    struct ks_backup_segments segments = {.crypto = crypto};
    assert_int_equal(ks_backup_segments_begin(&segments, front->bytes).code, KS_OK);
    size_t end = backup->len - KS_SHA256_LEN;
    for (size_t at = front->bytes.len; at < end;) {
        size_t len = end - at < KS_BACKUP_SEALED_LEN ? end - at : KS_BACKUP_SEALED_LEN;
        const ks_bytes sealed = {backup->ptr + at, len};
        assert_int_equal(ks_backup_segments_pass(&segments, sealed).code, KS_OK);
        at += len;
    }
    memcpy(backup->ptr + end, segments.digest, KS_SHA256_LEN);
}

/* The digest fits, so that a reader without the key sees nothing; one with the key refuses it. */
static void assert_forgery_is_refused(struct ks_buffer *backup)
{
    struct ks_backup_front front;
    ks_secret key = test_key(0x5a);
    struct reading reading = {0};
    assert_int_equal(ks_backup_front_read(ks_buffer_bytes(backup), &front).code, KS_OK);
    forge_digest(backup, &front);

    assert_int_equal(read_all(ks_buffer_bytes(backup), NULL, 5000, &reading).code, KS_OK);
    assert_int_equal(read_all(ks_buffer_bytes(backup), &key, 5000, &reading).code,
                     KS_INVALID_CIPHERTEXT);
}

static const struct sample long_sample = {100, 1000}; /* three segments and a bit */

static void segments_in_another_order_are_refused(void **state)
{
    (void)state;
    KS_BUFFER_AUTO backup = {.len_max = BACKUP_MAX};
    KS_AUTO_FREE uint8_t *first = ks_alloc(1, KS_BACKUP_SEALED_LEN);
    struct ks_backup_front front;
    make(&long_sample, 0x5a, &backup);
    assert_int_equal(ks_backup_front_read(ks_buffer_bytes(&backup), &front).code, KS_OK);

    memcpy(first, backup.ptr + segment_at(&front, 0), KS_BACKUP_SEALED_LEN);
    memcpy(backup.ptr + segment_at(&front, 0), backup.ptr + segment_at(&front, 1),
           KS_BACKUP_SEALED_LEN);
    memcpy(backup.ptr + segment_at(&front, 1), first, KS_BACKUP_SEALED_LEN);

    assert_forgery_is_refused(&backup);
}

static void a_segment_that_comes_twice_is_refused(void **state)
{
    (void)state;
    KS_BUFFER_AUTO backup = {.len_max = BACKUP_MAX};
    struct ks_backup_front front;
    make(&long_sample, 0x5a, &backup);
    assert_int_equal(ks_backup_front_read(ks_buffer_bytes(&backup), &front).code, KS_OK);

    memcpy(backup.ptr + segment_at(&front, 1), backup.ptr + segment_at(&front, 0),
           KS_BACKUP_SEALED_LEN);

    assert_forgery_is_refused(&backup);
}

static void a_segment_that_is_left_out_is_refused(void **state)
{
    (void)state;
    KS_BUFFER_AUTO backup = {.len_max = BACKUP_MAX};
    struct ks_backup_front front;
    make(&long_sample, 0x5a, &backup);
    assert_int_equal(ks_backup_front_read(ks_buffer_bytes(&backup), &front).code, KS_OK);

    size_t at = segment_at(&front, 1);
    size_t next = segment_at(&front, 2);
    memmove(backup.ptr + at, backup.ptr + next, backup.len - next);
    backup.len -= KS_BACKUP_SEALED_LEN;

    assert_forgery_is_refused(&backup);
}

/* The last segment is marked as such: a backup does not end at a border of segments. */
static void a_backup_that_ends_early_with_a_digest_that_fits_is_refused(void **state)
{
    (void)state;
    KS_BUFFER_AUTO backup = {.len_max = BACKUP_MAX};
    struct ks_backup_front front;
    make(&long_sample, 0x5a, &backup);
    assert_int_equal(ks_backup_front_read(ks_buffer_bytes(&backup), &front).code, KS_OK);

    backup.len = segment_at(&front, 2) + KS_SHA256_LEN;

    assert_forgery_is_refused(&backup);
}

/* Two backups of one stream key do not exist; even then their segments do not fit each other. */
static void a_segment_of_another_backup_is_refused(void **state)
{
    (void)state;
    KS_BUFFER_AUTO backup = {.len_max = BACKUP_MAX};
    KS_BUFFER_AUTO other = {.len_max = BACKUP_MAX};
    struct ks_backup_header header = header_of(long_sample.count);
    ks_secret key = test_key(0x5a);
    struct ks_backup_front front;
    header.revision++;
    const struct ks_backup_writer_options options = {.crypto = crypto,
                                                     .header = &header,
                                                     .key_block = KS_LITERAL("a key block"),
                                                     .stream_key = &key,
                                                     .take = keep,
                                                     .user = &other};
    make(&long_sample, 0x5a, &backup);
    write_sample(&options, &long_sample);
    assert_int_equal(ks_backup_front_read(ks_buffer_bytes(&backup), &front).code, KS_OK);

    memcpy(backup.ptr + segment_at(&front, 1), other.ptr + segment_at(&front, 1),
           KS_BACKUP_SEALED_LEN);

    assert_forgery_is_refused(&backup);
}

/* What the header and the key block say is bound to the segments. */
static void a_front_of_another_backup_is_refused(void **state)
{
    (void)state;
    KS_BUFFER_AUTO backup = {.len_max = BACKUP_MAX};
    struct ks_backup_front front;
    make(&long_sample, 0x5a, &backup);
    assert_int_equal(ks_backup_front_read(ks_buffer_bytes(&backup), &front).code, KS_OK);

    backup.ptr[front.bytes.len - 1] ^= 1; /* of the key block */

    assert_forgery_is_refused(&backup);
}

static void another_stream_key_opens_nothing(void **state)
{
    (void)state;
    KS_BUFFER_AUTO backup = {.len_max = BACKUP_MAX};
    ks_secret other = test_key(0x5b);
    struct reading reading = {0};
    make(&long_sample, 0x5a, &backup);

    assert_int_equal(read_all(ks_buffer_bytes(&backup), &other, 5000, &reading).code,
                     KS_INVALID_CIPHERTEXT);
    assert_int_equal(reading.count, 0);
}

/* Contents whose lengths are around those of one and two segments. */
static void borders_of_segments_are_no_borders_of_records(void **state)
{
    (void)state;
    const size_t around[] = {KS_BACKUP_SEGMENT_LEN, 2 * KS_BACKUP_SEGMENT_LEN};
    /* Three entries of one sample of count 1, its keys, and the end with three kinds. */
    const size_t rest = 3 * 15 + 27 + 25 + 6 + 2 + (1 + 6 + 8) + (1 + 4 + 8) + (1 + 6 + 8);
    for (size_t i = 0; i < KS_COUNT(around); i++) {
        for (size_t len = (around[i] - rest) / 3 - 2; len < (around[i] - rest) / 3 + 3; len++) {
            KS_BUFFER_AUTO backup = {.len_max = BACKUP_MAX};
            const struct sample sample = {1, len};
            ks_secret key = test_key(0x5a);
            struct reading reading = {.sample = &sample};
            make(&sample, 0x5a, &backup);
            assert_int_equal(read_all(ks_buffer_bytes(&backup), &key, 9999, &reading).code, KS_OK);
            assert_int_equal(read_all(ks_buffer_bytes(&backup), NULL, 9999, &reading).code, KS_OK);
            assert_int_equal(reading.count, 3);
        }
    }
}

/* ---- What the writer refuses ---- */

static ks_code add_to_new(const struct ks_backup_record *records, size_t count,
                          ks_code *ret_end_code)
{
    KS_BUFFER_AUTO out = {.len_max = BACKUP_MAX};
    struct ks_backup_header header = header_of(1);
    ks_secret key = test_key(0x5a);
    KS_BACKUP_WRITER_AUTO *writer = NULL;
    const struct ks_backup_writer_options options = {.crypto = crypto,
                                                     .header = &header,
                                                     .key_block = KS_LITERAL("a key block"),
                                                     .stream_key = &key,
                                                     .take = keep,
                                                     .user = &out};
    assert_int_equal(ks_backup_writer_new(&options, &writer).code, KS_OK);
    for (size_t i = 0; i < count; i++) {
        ks_code code = ks_backup_writer_add(writer, &records[i]).code;
        if (code != KS_OK) {
            return code;
        }
    }
    *ret_end_code = ks_backup_writer_end(writer).code;
    return KS_OK;
}

static void records_come_in_order_each_once(void **state)
{
    (void)state;
    ks_code end_code = KS_INTERNAL;
    const struct ks_backup_record a = {KS_LITERAL("key/a"), KS_LITERAL("1"), 5};
    const struct ks_backup_record b = {KS_LITERAL("roster"), KS_LITERAL("2"), 6};
    const struct ks_backup_record in_order[] = {a, b};
    const struct ks_backup_record reversed[] = {b, a};
    const struct ks_backup_record twice[] = {a, a};

    assert_int_equal(add_to_new(in_order, 2, &end_code), KS_OK);
    assert_int_equal(end_code, KS_OK);
    assert_int_equal(add_to_new(reversed, 2, &end_code), KS_VALIDATION);
    assert_int_equal(add_to_new(twice, 2, &end_code), KS_VALIDATION);
}

static void a_header_that_counts_other_keys_than_there_are_is_refused(void **state)
{
    (void)state;
    ks_code end_code = KS_OK;
    const struct ks_backup_record none[] = {{KS_LITERAL("keyalias/a"), KS_LITERAL("1"), 5}};
    const struct ks_backup_record two[] = {{KS_LITERAL("key/a"), KS_LITERAL("1"), 5},
                                           {KS_LITERAL("key/b"), KS_LITERAL("1"), 5}};

    assert_int_equal(add_to_new(none, 1, &end_code), KS_OK);
    assert_int_equal(end_code, KS_CONFLICT);
    assert_int_equal(add_to_new(two, 2, &end_code), KS_OK);
    assert_int_equal(end_code, KS_CONFLICT);
}

static void lengths_have_limits(void **state)
{
    (void)state;
    ks_code end_code = KS_OK;
    KS_AUTO_FREE uint8_t *value = ks_alloc(1, KS_BACKUP_VALUE_LEN_MAX + 1);
    uint8_t key[KS_BACKUP_KEY_LEN_MAX + 1];
    memset(key, 'a', sizeof(key));
    memcpy(key, "key/", 4);
    const struct ks_backup_record longest[] = {
        {{key, KS_BACKUP_KEY_LEN_MAX}, {value, KS_BACKUP_VALUE_LEN_MAX}, 1}};
    const struct ks_backup_record refused[] = {
        {{key, KS_BACKUP_KEY_LEN_MAX + 1}, {value, 1}, 1},
        {{key, 10}, {value, KS_BACKUP_VALUE_LEN_MAX + 1}, 1},
        {{key, 0}, {value, 1}, 1},
        {{key, 10}, {value, 1}, 0},
        {{key + 4, KS_BACKUP_KIND_LEN_MAX + 1}, {value, 1}, 1}, /* a kind without a slash */
        {KS_LITERAL("key/\0a"), {value, 1}, 1},
    };

    assert_int_equal(add_to_new(longest, 1, &end_code), KS_OK);
    assert_int_equal(end_code, KS_OK);
    for (size_t i = 0; i < KS_COUNT(refused); i++) {
        assert_int_equal(add_to_new(&refused[i], 1, &end_code), KS_VALIDATION);
    }
}

static void kinds_have_a_limit(void **state)
{
    (void)state;
    struct ks_backup_tally tally = {0};
    char key[8];
    for (unsigned i = 0; i <= KS_BACKUP_KINDS_MAX; i++) {
        snprintf(key, sizeof(key), "k%02u/x", i);
        const struct ks_backup_record record = {ks_bytes_of(key), KS_LITERAL("1"), 1};
        assert_int_equal(ks_backup_tally_add(&tally, &record).code,
                         i < KS_BACKUP_KINDS_MAX ? KS_OK : KS_LIMIT_EXCEEDED);
    }
    assert_int_equal(tally.kind_count, KS_BACKUP_KINDS_MAX);
    assert_int_equal(ks_backup_tally_of(&tally, "k31/"), 1);
    assert_int_equal(ks_backup_tally_of(&tally, "k32/"), 0);
}

static void a_header_has_limits(void **state)
{
    (void)state;
    KS_BUFFER_AUTO out = {.len_max = KS_BACKUP_HEADER_LEN_MAX};
    struct ks_backup_header bad[10];
    for (size_t i = 0; i < KS_COUNT(bad); i++) {
        bad[i] = header_of(1);
    }
    bad[0].region[0] = 'A';
    bad[1].epoch[3] = ' ';
    bad[2].revision = 0;
    bad[3].time_ms = -1;
    bad[4].period = 0;
    bad[5].threshold = 0;
    bad[6].threshold = 4; /* of three */
    bad[7].custodians = KS_BACKUP_CUSTODIANS_MAX + 1;
    bad[8].generation = 0;
    bad[9].region[0] = '\0';
    for (size_t i = 0; i < KS_COUNT(bad); i++) {
        assert_int_equal(ks_backup_header_write(&bad[i], &out).code, KS_VALIDATION);
        assert_int_equal(out.len, 0);
    }
    struct ks_backup_header longest = header_of(UINT64_MAX);
    memset(longest.epoch, 'e', KS_BACKUP_EPOCH_LEN_MAX);
    snprintf(longest.region, sizeof(longest.region), "aaaaaaaaaa-bbbbbbbbbb-cccccccc-1");
    longest.threshold = longest.custodians = KS_BACKUP_CUSTODIANS_MAX;
    assert_int_equal(ks_backup_header_write(&longest, &out).code, KS_OK);
    assert_int_equal(out.len, KS_BACKUP_HEADER_LEN_MAX);
}

static void a_key_block_has_limits(void **state)
{
    (void)state;
    KS_BUFFER_AUTO out = {.len_max = KS_BACKUP_FRONT_LEN_MAX};
    KS_AUTO_FREE uint8_t *block = ks_alloc(1, KS_BACKUP_KEY_BLOCK_MAX + 1);
    ks_bytes header = KS_LITERAL("h");

    assert_int_equal(ks_backup_front_write(header, (ks_bytes){0}, &out).code, KS_VALIDATION);
    assert_int_equal(
        ks_backup_front_write(header, (ks_bytes){block, KS_BACKUP_KEY_BLOCK_MAX + 1}, &out).code,
        KS_VALIDATION);
    assert_int_equal(
        ks_backup_front_write(header, (ks_bytes){block, KS_BACKUP_KEY_BLOCK_MAX}, &out).code,
        KS_OK);
}

/* What the owner's function fails with is what the writer and the reader fail with. */
static ks_result refuse_bytes(void *user, ks_bytes bytes)
{
    (void)user;
    (void)bytes;
    return KS_RES(THROTTLED);
}

static ks_result refuse_record(void *user, const struct ks_backup_record *record)
{
    (void)user;
    (void)record;
    return KS_RES(THROTTLED);
}

static void what_an_owner_fails_with_comes_back(void **state)
{
    (void)state;
    KS_BUFFER_AUTO backup = {.len_max = BACKUP_MAX};
    struct ks_backup_header header = header_of(2);
    ks_secret key = test_key(0x5a);
    struct ks_backup_writer *writer = NULL;
    KS_BACKUP_READER_AUTO *reader = NULL;
    struct ks_backup_front front;
    const struct ks_backup_writer_options refusing = {.crypto = crypto,
                                                      .header = &header,
                                                      .key_block = KS_LITERAL("a key block"),
                                                      .stream_key = &key,
                                                      .take = refuse_bytes};
    assert_int_equal(ks_backup_writer_new(&refusing, &writer).code, KS_THROTTLED);
    assert_null(writer);

    make(&(struct sample){2, 10}, 0x5a, &backup);
    assert_int_equal(ks_backup_front_read(ks_buffer_bytes(&backup), &front).code, KS_OK);
    const struct ks_backup_reader_options options = {
        .crypto = crypto, .front = &front, .stream_key = &key, .each = refuse_record};
    assert_int_equal(ks_backup_reader_new(&options, &reader).code, KS_OK);
    const ks_bytes rest = {backup.ptr + front.bytes.len, backup.len - front.bytes.len};
    assert_int_equal(ks_backup_reader_push(reader, rest).code, KS_OK);
    assert_int_equal(ks_backup_reader_end(reader).code, KS_THROTTLED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_backups_are_written_and_read),
        cmocka_unit_test(golden_bytes_are_read),
        cmocka_unit_test(the_front_says_what_the_writer_was_told),
        cmocka_unit_test(every_bit_of_a_small_backup_counts),
        cmocka_unit_test(a_backup_that_is_cut_anywhere_is_refused),
        cmocka_unit_test(what_stands_behind_the_end_is_refused),
        cmocka_unit_test(segments_in_another_order_are_refused),
        cmocka_unit_test(a_segment_that_comes_twice_is_refused),
        cmocka_unit_test(a_segment_that_is_left_out_is_refused),
        cmocka_unit_test(a_backup_that_ends_early_with_a_digest_that_fits_is_refused),
        cmocka_unit_test(a_segment_of_another_backup_is_refused),
        cmocka_unit_test(a_front_of_another_backup_is_refused),
        cmocka_unit_test(another_stream_key_opens_nothing),
        cmocka_unit_test(borders_of_segments_are_no_borders_of_records),
        cmocka_unit_test(records_come_in_order_each_once),
        cmocka_unit_test(a_header_that_counts_other_keys_than_there_are_is_refused),
        cmocka_unit_test(lengths_have_limits),
        cmocka_unit_test(kinds_have_a_limit),
        cmocka_unit_test(a_header_has_limits),
        cmocka_unit_test(a_key_block_has_limits),
        cmocka_unit_test(what_an_owner_fails_with_comes_back),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
