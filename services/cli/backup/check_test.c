#include "services/cli/backup/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/backup/writer.h"
#include "pkg/crypto/crypto.h"

#define BACKUP_MAX (1024U * 1024U)

static int setup(void **state)
{
    (void)state;
    return ks_failed(ks_crypto_init(&(struct ks_crypto_options){0})) ? -1 : 0;
}

static ks_result keep(void *user, ks_bytes bytes)
{
    return ks_buffer_append(user, bytes);
}

/* A backup of count keys with a kilobyte each. */
static void make(size_t count, struct ks_buffer *out)
{
    static const uint8_t value[1024];
    const struct ks_backup_header header = {.region = "ap-seoul-1",
                                            .revision = 5,
                                            .time_ms = 6,
                                            .period = 1,
                                            .threshold = 2,
                                            .custodians = 3,
                                            .generation = 1,
                                            .key_count = count};
    const ks_secret key = {.len = KS_BACKUP_STREAM_KEY_LEN};
    KS_CRYPTO_AUTO *crypto = ks_crypto_new();
    KS_BACKUP_WRITER_AUTO *writer = NULL;
    const struct ks_backup_writer_options options = {.crypto = crypto,
                                                     .header = &header,
                                                     .key_block = KS_LITERAL("a key block"),
                                                     .stream_key = &key,
                                                     .take = keep,
                                                     .user = out};
    assert_int_equal(ks_backup_writer_new(&options, &writer).code, KS_OK);
    for (size_t i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof(name), "key/%08zu", i);
        const struct ks_backup_record record = {ks_bytes_of(name), {value, sizeof(value)}, 1};
        assert_int_equal(ks_backup_writer_add(writer, &record).code, KS_OK);
    }
    assert_int_equal(ks_backup_writer_end(writer).code, KS_OK);
}

static ks_code check_all(ks_bytes bytes, size_t piece_len, struct ks_backup_facts *ret_facts)
{
    KS_BACKUP_CHECK_AUTO *check = ks_backup_check_new();
    for (size_t at = 0; at < bytes.len;) {
        size_t len = bytes.len - at < piece_len ? bytes.len - at : piece_len;
        ks_result r = ks_backup_check_push(check, (ks_bytes){bytes.ptr + at, len});
        if (ks_failed(r)) {
            return r.code;
        }
        at += len;
    }
    return ks_backup_check_end(check, ret_facts).code;
}

/* Shorter and longer than the longest front, in pieces of any length. */
static void a_whole_backup_is_found_whole(void **state)
{
    (void)state;
    const size_t counts[] = {0, 1, 60, 62, 63, 64, 65, 300};
    const size_t pieces[] = {777, 65536, BACKUP_MAX};
    for (size_t i = 0; i < KS_COUNT(counts); i++) {
        KS_BUFFER_AUTO backup = {.len_max = BACKUP_MAX};
        make(counts[i], &backup);
        for (size_t j = 0; j < KS_COUNT(pieces); j++) {
            struct ks_backup_facts facts;
            assert_int_equal(check_all(ks_buffer_bytes(&backup), pieces[j], &facts), KS_OK);
            assert_int_equal(facts.header.key_count, counts[i]);
            assert_int_equal(facts.len, backup.len);
        }
    }
}

static void damage_is_found(void **state)
{
    (void)state;
    struct ks_backup_facts facts;
    KS_BUFFER_AUTO backup = {.len_max = BACKUP_MAX};
    make(300, &backup);
    for (size_t at = 0; at < backup.len; at += 997) {
        backup.ptr[at] ^= 1;
        assert_int_not_equal(check_all(ks_buffer_bytes(&backup), 65536, &facts), KS_OK);
        backup.ptr[at] ^= 1;
        assert_int_equal(check_all((ks_bytes){backup.ptr, at}, 65536, &facts),
                         KS_INVALID_CIPHERTEXT);
    }
}

static void what_is_no_backup_is_refused(void **state)
{
    (void)state;
    struct ks_backup_facts facts;
    assert_int_equal(check_all((ks_bytes){0}, 1, &facts), KS_INVALID_CIPHERTEXT);
    assert_int_equal(check_all(KS_LITERAL("something else"), 3, &facts), KS_INVALID_CIPHERTEXT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_backup_is_found_whole),
        cmocka_unit_test(damage_is_found),
        cmocka_unit_test(what_is_no_backup_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
