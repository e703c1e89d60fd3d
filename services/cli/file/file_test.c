#include "services/cli/file/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/base/mem.h"
#include "pkg/crypto/aead.h"
#include "pkg/crypto/crypto.h"
#include "pkg/crypto/hash.h"
#include "pkg/crypto/kdf.h"
#include "tests/vectors/file_json.h"
#include "tests/vectors/vectors.h"

#define SMALL_LEN 100U
#define FILE_MAX  (4U * KS_FILE_SEALED_LEN)

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

/* The byte at i of every content here and in the golden vectors. */
static uint8_t content_at(size_t i)
{
    return (uint8_t)(7 * i + i / 256);
}

static ks_bytes fill(uint8_t *place, size_t from, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        place[i] = content_at(from + i);
    }
    return (ks_bytes){place, len};
}

static const uint8_t nonce[KS_FILE_NONCE_LEN] = {1, 2, 3};

static ks_secret test_key(void)
{
    ks_secret key = {.len = KS_FILE_DATA_KEY_LEN};
    memset(key.bytes, 0x5a, key.len);
    return key;
}

/* Appends a whole file. */
static void seal_all(const ks_secret *key, ks_bytes header, size_t len, struct ks_buffer *out)
{
    KS_FILE_AUTO *file = NULL;
    assert_int_equal(ks_file_new(crypto, key, header, &file).code, KS_OK);
    assert_int_equal(ks_buffer_append(out, header).code, KS_OK);
    for (size_t at = 0; at < len || at == 0;) {
        size_t part = len - at < KS_FILE_SEGMENT_LEN ? len - at : KS_FILE_SEGMENT_LEN;
        uint8_t *place;
        assert_int_equal(ks_buffer_extend(out, part + KS_FILE_TAG_LEN, &place).code, KS_OK);
        ks_bytes content = fill(place, at, part);
        at += part;
        assert_int_equal(ks_file_seal(file, content, at == len, place).code, KS_OK);
        if (at == len) {
            break;
        }
    }
}

static void seal_sample(size_t len, struct ks_buffer *out)
{
    ks_secret key = test_key();
    KS_BUFFER_AUTO header = {.len_max = KS_FILE_HEADER_MAX};
    assert_int_equal(ks_file_header_write(nonce, KS_LITERAL("a blob"), &header).code, KS_OK);
    seal_all(&key, ks_buffer_bytes(&header), len, out);
}

/*
 * Opens a whole file as decrypt does. ret_len counts the bytes that would have been written, all of
 * which were right.
 */
static ks_result open_all(const ks_secret *key, ks_bytes bytes, size_t *ret_len)
{
    size_t header_len;
    ks_bytes blob;
    *ret_len = 0;
    KS_TRY(ks_file_header_len(bytes, &header_len));
    if (bytes.len < header_len) {
        return KS_RES(INVALID_CIPHERTEXT);
    }
    ks_bytes header = {bytes.ptr, header_len};
    KS_TRY(ks_file_header_blob(header, &blob));
    KS_FILE_AUTO *file = NULL;
    KS_TRY(ks_file_new(crypto, key, header, &file));
    KS_AUTO_FREE uint8_t *content = ks_alloc(1, KS_FILE_SEGMENT_LEN);
    bool is_last = false;
    for (size_t at = header_len; !is_last;) {
        size_t part = bytes.len - at < KS_FILE_SEALED_LEN ? bytes.len - at : KS_FILE_SEALED_LEN;
        is_last = at + part == bytes.len;
        KS_TRY(ks_file_open(file, (ks_bytes){bytes.ptr + at, part}, is_last, content));
        at += part;
        for (size_t i = 0; i < part - KS_FILE_TAG_LEN; i++) {
            assert_int_equal(content[i], content_at(*ret_len + i));
        }
        *ret_len += part - KS_FILE_TAG_LEN;
    }
    return KS_RES(OK);
}

static void assert_refused(ks_bytes bytes, size_t len_written_max)
{
    ks_secret key = test_key();
    size_t written;
    ks_code code = open_all(&key, bytes, &written).code;

    assert_true(code == KS_INVALID_CIPHERTEXT || code == KS_UNSUPPORTED);
    assert_true(written <= len_written_max);
}

/* ---- Claims ---- */

/* What another implementation made of the page is what we make of it, and read. */
static void golden_files_are_written_and_read(void **state)
{
    (void)state;
    KS_JSON_AUTO *doc = ks_vectors_open(ks_file_json, ks_file_json_len);
    for (size_t i = 0; i < ks_vectors_count(doc); i++) {
        const struct ks_json *vector = ks_vectors_at(doc, i);
        KS_VECTOR_AUTO data_key = ks_vector_hex(vector, "data_key");
        KS_VECTOR_AUTO their_nonce = ks_vector_hex(vector, "nonce");
        KS_VECTOR_AUTO blob = ks_vector_hex(vector, "blob");
        KS_VECTOR_AUTO header = ks_vector_hex(vector, "header");
        KS_VECTOR_AUTO digest = ks_vector_hex(vector, "sha256");
        size_t len = ks_vector_number(vector, "length");
        ks_secret key = {.len = data_key.len};
        memcpy(key.bytes, data_key.ptr, data_key.len);
        KS_BUFFER_AUTO our_header = {.len_max = KS_FILE_HEADER_MAX};
        KS_BUFFER_AUTO ours = {.len_max = FILE_MAX};

        assert_int_equal(
            ks_file_header_write(their_nonce.ptr, ks_vector_view(&blob), &our_header).code, KS_OK);
        assert_true(ks_bytes_equal(ks_buffer_bytes(&our_header), ks_vector_view(&header)));
        seal_all(&key, ks_buffer_bytes(&our_header), len, &ours);

        uint8_t our_digest[KS_SHA256_LEN];
        size_t written;
        assert_int_equal(ks_hash_sha256_once(ks_buffer_bytes(&ours), our_digest).code, KS_OK);
        assert_memory_equal(our_digest, digest.ptr, sizeof(our_digest));
        assert_int_equal(open_all(&key, ks_buffer_bytes(&ours), &written).code, KS_OK);
        assert_int_equal(written, len);
    }
}

static void golden_bytes_are_read(void **state)
{
    (void)state;
    KS_JSON_AUTO *doc = ks_vectors_open(ks_file_json, ks_file_json_len);
    size_t read = 0;
    for (size_t i = 0; i < ks_vectors_count(doc); i++) {
        const struct ks_json *vector = ks_vectors_at(doc, i);
        if (!ks_json_get(vector, "file")) {
            continue;
        }
        KS_VECTOR_AUTO data_key = ks_vector_hex(vector, "data_key");
        KS_VECTOR_AUTO file = ks_vector_hex(vector, "file");
        ks_secret key = {.len = data_key.len};
        memcpy(key.bytes, data_key.ptr, data_key.len);
        size_t written;
        assert_int_equal(open_all(&key, ks_vector_view(&file), &written).code, KS_OK);
        assert_int_equal(written, ks_vector_number(vector, "length"));
        read++;
    }
    assert_int_equal(read, 3);
}

static void every_bit_of_a_small_file_counts(void **state)
{
    (void)state;
    KS_BUFFER_AUTO file = {.len_max = FILE_MAX};
    seal_sample(SMALL_LEN, &file);
    for (size_t bit = 0; bit < 8 * file.len; bit++) {
        file.ptr[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        assert_refused(ks_buffer_bytes(&file), 0);
        file.ptr[bit / 8] ^= (uint8_t)(1U << (bit % 8));
    }
}

static void every_cut_of_a_small_file_shows(void **state)
{
    (void)state;
    KS_BUFFER_AUTO file = {.len_max = FILE_MAX};
    seal_sample(SMALL_LEN, &file);
    for (size_t len = 0; len < file.len; len++) {
        assert_refused((ks_bytes){file.ptr, len}, 0);
    }
}

/* Around every border of three segments: nothing of the segment that was cut comes out. */
static void every_cut_around_a_border_shows(void **state)
{
    (void)state;
    KS_BUFFER_AUTO file = {.len_max = FILE_MAX};
    seal_sample(2 * KS_FILE_SEGMENT_LEN + 10, &file);
    size_t header;
    assert_int_equal(ks_file_header_len(ks_buffer_bytes(&file), &header).code, KS_OK);
    for (size_t border = 1; border <= 2; border++) {
        size_t at = header + border * KS_FILE_SEALED_LEN;
        for (size_t len = at - 18; len <= at + 18; len++) {
            size_t whole = len > at ? border : border - 1;
            assert_refused((ks_bytes){file.ptr, len}, whole * KS_FILE_SEGMENT_LEN);
        }
    }
}

static void segments_cannot_change_places(void **state)
{
    (void)state;
    KS_BUFFER_AUTO file = {.len_max = FILE_MAX};
    seal_sample(3 * KS_FILE_SEGMENT_LEN, &file);
    size_t header;
    assert_int_equal(ks_file_header_len(ks_buffer_bytes(&file), &header).code, KS_OK);
    KS_AUTO_FREE uint8_t *kept = ks_alloc(1, KS_FILE_SEALED_LEN);
    uint8_t *first = file.ptr + header;
    memcpy(kept, first, KS_FILE_SEALED_LEN);
    memmove(first, first + KS_FILE_SEALED_LEN, KS_FILE_SEALED_LEN);
    memcpy(first + KS_FILE_SEALED_LEN, kept, KS_FILE_SEALED_LEN);

    assert_refused(ks_buffer_bytes(&file), 0);
}

/* The last one behind the first: one that is left out shows, too. */
static void segments_cannot_be_left_out_or_doubled(void **state)
{
    (void)state;
    KS_BUFFER_AUTO file = {.len_max = FILE_MAX};
    seal_sample(3 * KS_FILE_SEGMENT_LEN, &file);
    size_t header;
    assert_int_equal(ks_file_header_len(ks_buffer_bytes(&file), &header).code, KS_OK);
    KS_BUFFER_AUTO shorter = {.len_max = FILE_MAX};
    KS_BUFFER_AUTO longer = {.len_max = 2 * FILE_MAX};
    const uint8_t *second = file.ptr + header + KS_FILE_SEALED_LEN;
    ks_bytes front = {file.ptr, header + KS_FILE_SEALED_LEN};
    ks_bytes last = {second + KS_FILE_SEALED_LEN, KS_FILE_SEALED_LEN};
    assert_int_equal(ks_buffer_append(&shorter, front).code, KS_OK);
    assert_int_equal(ks_buffer_append(&shorter, last).code, KS_OK);
    assert_int_equal(ks_buffer_append(&longer, ks_buffer_bytes(&file)).code, KS_OK);
    assert_int_equal(ks_buffer_append(&longer, last).code, KS_OK);

    assert_refused(ks_buffer_bytes(&shorter), KS_FILE_SEGMENT_LEN);
    assert_refused(ks_buffer_bytes(&longer), 2 * KS_FILE_SEGMENT_LEN);
}

static void what_is_appended_shows(void **state)
{
    (void)state;
    KS_BUFFER_AUTO file = {.len_max = FILE_MAX};
    seal_sample(SMALL_LEN, &file);
    for (size_t more = 1; more < 40; more++) {
        assert_int_equal(ks_buffer_append(&file, KS_LITERAL("x")).code, KS_OK);
        assert_refused(ks_buffer_bytes(&file), 0);
    }
}

/* Seals a segment under the file's key as the page says, whatever it holds. */
static void seal_anything(ks_bytes header, uint32_t index, ks_bytes content, uint8_t *ret_sealed)
{
    const ks_secret data_key = test_key();
    ks_secret key = {0};
    struct ks_mac *mac;
    uint8_t context[KS_FILE_NONCE_LEN + KS_SHA256_LEN];
    uint8_t iv[KS_AEAD_IV_LEN];
    memcpy(context, nonce, sizeof(nonce));
    assert_int_equal(ks_hash_sha256_once(header, context + sizeof(nonce)).code, KS_OK);
    assert_int_equal(ks_crypto_mac(crypto, &data_key, &mac).code, KS_OK);
    assert_int_equal(ks_kdf_counter(mac, KS_LITERAL("keystead/file/v1"),
                                    (ks_bytes){context, sizeof(context)}, 32, &key)
                         .code,
                     KS_OK);
    ks_aead_segment_iv(NULL, index, true, iv);
    const struct ks_aead_box box = {.key = &key, .iv = iv};
    assert_int_equal(ks_aead_seal(crypto, &box, content, ret_sealed).code, KS_OK);
}

/* One content has one length: no empty segment ends a file that has others, however well sealed. */
static void an_empty_segment_ends_an_empty_file_only(void **state)
{
    (void)state;
    ks_secret key = test_key();
    KS_BUFFER_AUTO header = {.len_max = KS_FILE_HEADER_MAX};
    KS_BUFFER_AUTO file = {.len_max = FILE_MAX};
    uint8_t *place;
    size_t written;
    assert_int_equal(ks_file_header_write(nonce, KS_LITERAL("a blob"), &header).code, KS_OK);
    for (uint32_t count = 0; count < 2; count++) {
        struct ks_file *writer = NULL;
        file.len = 0;
        assert_int_equal(ks_buffer_append(&file, ks_buffer_bytes(&header)).code, KS_OK);
        assert_int_equal(ks_file_new(crypto, &key, ks_buffer_bytes(&header), &writer).code, KS_OK);
        for (uint32_t i = 0; i < count; i++) {
            assert_int_equal(ks_buffer_extend(&file, KS_FILE_SEALED_LEN, &place).code, KS_OK);
            ks_bytes content = fill(place, 0, KS_FILE_SEGMENT_LEN);
            assert_int_equal(ks_file_seal(writer, content, false, place).code, KS_OK);
        }
        assert_int_equal(ks_buffer_extend(&file, KS_FILE_TAG_LEN, &place).code, KS_OK);
        seal_anything(ks_buffer_bytes(&header), count, (ks_bytes){0}, place);

        assert_int_equal(open_all(&key, ks_buffer_bytes(&file), &written).code,
                         count == 0 ? KS_OK : KS_INVALID_CIPHERTEXT);
        ks_file_free(writer);
    }
}

static void header_holds_a_blob_of_1_to_6144_bytes(void **state)
{
    (void)state;
    KS_AUTO_FREE uint8_t *blob = ks_alloc(1, KS_FILE_BLOB_MAX + 1);
    const struct {
        size_t len;
        ks_code code;
    } cases[] = {{0, KS_VALIDATION},
                 {1, KS_OK},
                 {KS_FILE_BLOB_MAX, KS_OK},
                 {KS_FILE_BLOB_MAX + 1, KS_VALIDATION}};
    for (size_t i = 0; i < KS_COUNT(cases); i++) {
        KS_BUFFER_AUTO header = {.len_max = KS_FILE_HEADER_MAX};
        ks_result r = ks_file_header_write(nonce, (ks_bytes){blob, cases[i].len}, &header);
        assert_int_equal(r.code, cases[i].code);
        if (!ks_failed(r)) {
            ks_bytes got;
            assert_int_equal(ks_file_header_blob(ks_buffer_bytes(&header), &got).code, KS_OK);
            assert_int_equal(got.len, cases[i].len);
        }
    }
}

static void a_header_is_exactly_as_long_as_it_says(void **state)
{
    (void)state;
    KS_BUFFER_AUTO header = {.len_max = KS_FILE_HEADER_MAX};
    ks_bytes blob;
    assert_int_equal(ks_file_header_write(nonce, KS_LITERAL("a blob"), &header).code, KS_OK);
    assert_int_equal(ks_file_header_blob(ks_buffer_bytes(&header), &blob).code, KS_OK);
    assert_int_equal(ks_file_header_blob((ks_bytes){header.ptr, header.len - 1}, &blob).code,
                     KS_INVALID_CIPHERTEXT);
    assert_int_equal(ks_buffer_append(&header, KS_LITERAL("x")).code, KS_OK);
    assert_int_equal(ks_file_header_blob(ks_buffer_bytes(&header), &blob).code,
                     KS_INVALID_CIPHERTEXT);
}

static void another_version_or_algorithm_is_told_apart_from_damage(void **state)
{
    (void)state;
    KS_BUFFER_AUTO header = {.len_max = KS_FILE_HEADER_MAX};
    size_t len;
    assert_int_equal(ks_file_header_write(nonce, KS_LITERAL("a blob"), &header).code, KS_OK);
    for (size_t at = KS_FILE_MAGIC_LEN; at < KS_FILE_MAGIC_LEN + 2; at++) {
        header.ptr[at] = 2;
        assert_int_equal(ks_file_header_len(ks_buffer_bytes(&header), &len).code, KS_UNSUPPORTED);
        header.ptr[at] = 1;
    }
}

/* Blobs begin with their version, files with their magic. */
static void a_file_is_known_by_its_first_bytes(void **state)
{
    (void)state;
    KS_BUFFER_AUTO file = {.len_max = FILE_MAX};
    seal_sample(0, &file);

    assert_true(ks_file_is(ks_buffer_bytes(&file)));
    assert_false(ks_file_is((ks_bytes){file.ptr, KS_FILE_MAGIC_LEN - 1}));
    assert_false(ks_file_is(KS_LITERAL("\1\1\12ap-seoul-1")));
    assert_false(ks_file_is((ks_bytes){0}));
}

static void another_data_key_opens_nothing(void **state)
{
    (void)state;
    KS_BUFFER_AUTO file = {.len_max = FILE_MAX};
    seal_sample(SMALL_LEN, &file);
    ks_secret key = test_key();
    key.bytes[31] ^= 1;
    size_t written;

    assert_int_equal(open_all(&key, ks_buffer_bytes(&file), &written).code, KS_INVALID_CIPHERTEXT);
    assert_int_equal(written, 0);
}

static void a_data_key_has_32_bytes(void **state)
{
    (void)state;
    KS_BUFFER_AUTO header = {.len_max = KS_FILE_HEADER_MAX};
    struct ks_file *file = NULL;
    ks_secret key = test_key();
    key.len = 31;
    assert_int_equal(ks_file_header_write(nonce, KS_LITERAL("a blob"), &header).code, KS_OK);

    assert_int_equal(ks_file_new(crypto, &key, ks_buffer_bytes(&header), &file).code,
                     KS_VALIDATION);
    assert_null(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_files_are_written_and_read),
        cmocka_unit_test(golden_bytes_are_read),
        cmocka_unit_test(every_bit_of_a_small_file_counts),
        cmocka_unit_test(every_cut_of_a_small_file_shows),
        cmocka_unit_test(every_cut_around_a_border_shows),
        cmocka_unit_test(segments_cannot_change_places),
        cmocka_unit_test(segments_cannot_be_left_out_or_doubled),
        cmocka_unit_test(what_is_appended_shows),
        cmocka_unit_test(an_empty_segment_ends_an_empty_file_only),
        cmocka_unit_test(header_holds_a_blob_of_1_to_6144_bytes),
        cmocka_unit_test(a_header_is_exactly_as_long_as_it_says),
        cmocka_unit_test(another_version_or_algorithm_is_told_apart_from_damage),
        cmocka_unit_test(a_file_is_known_by_its_first_bytes),
        cmocka_unit_test(another_data_key_opens_nothing),
        cmocka_unit_test(a_data_key_has_32_bytes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
