/* The commands for backups as a person sees them, against a fake keystore. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "pkg/backup/writer.h"
#include "pkg/base/mem.h"
#include "pkg/crypto/crypto.h"
#include "pkg/json/json.h"
#include "services/cli/output/failure.h"
#include "services/cli/program_fixture.h"
#include "services/cli/service_fixture.h"

#define BACKUP_MAX 200000U

static void assert_says(const struct ran *ran, const char *text)
{
    if (!strstr((const char *)ran->err.ptr, text)) {
        fail_msg("'%s' is not in: %s", text, (const char *)ran->err.ptr);
    }
}

static void assert_prints(const struct ran *ran, const char *text)
{
    if (!strstr((const char *)ran->out.ptr, text)) {
        fail_msg("'%s' is not in: %s", text, (const char *)ran->out.ptr);
    }
}

static void assert_member(const struct ks_json *object, const char *name, const char *value)
{
    ks_bytes text;
    assert_int_equal(ks_json_text(ks_json_get(object, name), &text).code, KS_OK);
    assert_true(ks_bytes_equal(text, ks_bytes_of(value)));
}

static ks_result keep_bytes(void *user, ks_bytes bytes)
{
    return ks_buffer_append(user, bytes);
}

/* A backup of count keys. */
static void make_backup(const char *region, int64_t time_ms, size_t count, struct ks_buffer *out)
{
    static const uint8_t value[1000];
    struct ks_backup_header header = {.id = {0xab, (uint8_t)count},
                                      .revision = 4711,
                                      .time_ms = time_ms,
                                      .period = 3,
                                      .threshold = 2,
                                      .custodians = 3,
                                      .generation = 1,
                                      .key_count = count};
    snprintf(header.region, sizeof(header.region), "%s", region);
    const ks_secret key = {.len = KS_BACKUP_STREAM_KEY_LEN};
    KS_CRYPTO_AUTO *crypto = ks_crypto_new();
    KS_BACKUP_WRITER_AUTO *writer = NULL;
    const struct ks_backup_writer_options options = {.crypto = crypto,
                                                     .header = &header,
                                                     .key_block = KS_LITERAL("a key block"),
                                                     .stream_key = &key,
                                                     .take = keep_bytes,
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

static bool is_file(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0;
}

#define BACKUP_TIME_MS 1795870800000 /* 2026-11-28T13:00:00Z */

static void backup_create_makes_a_file_of_what_the_keystore_sends(void **state)
{
    (void)state;
    KS_BUFFER_AUTO backup = {.len_max = BACKUP_MAX};
    KS_BUFFER_AUTO kept = {.len_max = BACKUP_MAX};
    struct stat about;
    make_backup(FAKE_REGION, BACKUP_TIME_MS, 100, &backup);
    fake_backup(ks_buffer_bytes(&backup), KS_OK);
    RAN_AUTO ran = RUN("backup", "create", "--out", fake_path("made.backup"));
    RAN_AUTO verified = RUN("backup", "verify", fake_path("made.backup"));

    assert_int_equal(ran.code, 0);
    assert_prints(&ran, "100 keys");
    assert_prints(&ran, "2 of the 3 custodians of period 3");
    fixture_read(fake_path("made.backup"), &kept);
    assert_true(ks_bytes_equal(ks_buffer_bytes(&kept), ks_buffer_bytes(&backup)));
    assert_int_equal(stat(fake_path("made.backup"), &about), 0);
    assert_int_equal(about.st_mode & 07777, 0600);
    assert_false(is_file(fake_path("made.backup.partial")));
    assert_int_equal(verified.code, 0);
    assert_prints(&verified, "2026-11-28T13:00:00Z");
    assert_prints(&verified, "Not checked");
}

static void backup_create_replaces_nothing(void **state)
{
    (void)state;
    KS_BUFFER_AUTO kept = {.len_max = 100};
    fixture_write(fake_path("precious"), KS_LITERAL("precious"));
    RAN_AUTO ran = RUN("backup", "create", "--out", fake_path("precious"));

    assert_int_equal(ran.code, KS_EXIT_STATE);
    assert_says(&ran, "exists already");
    assert_int_equal(fake_calls("TakeBackup"), 0);
    fixture_read(fake_path("precious"), &kept);
    assert_true(ks_bytes_equal(ks_buffer_bytes(&kept), KS_LITERAL("precious")));
}

/* Cut short, damaged, of another region, broken off: no file, and none that is half there. */
static void backup_create_keeps_no_half_backup(void **state)
{
    (void)state;
    KS_BUFFER_AUTO backup = {.len_max = BACKUP_MAX};
    KS_BUFFER_AUTO other = {.len_max = BACKUP_MAX};
    make_backup(FAKE_REGION, BACKUP_TIME_MS, 100, &backup);
    make_backup("us-oregon-1", BACKUP_TIME_MS, 100, &other);
    const struct {
        ks_bytes sent;
        ks_code code;
        int flipped; /* a byte of backup; -1: none */
        int exit;
    } cases[] = {
        {{backup.ptr, backup.len - 1}, KS_OK, -1, KS_EXIT_FAILURE},
        {{backup.ptr, backup.len}, KS_OK, 90000, KS_EXIT_FAILURE},
        {{other.ptr, other.len}, KS_OK, -1, KS_EXIT_FAILURE},
        {{backup.ptr, 80000}, KS_UNAVAILABLE, -1, KS_EXIT_UNAVAILABLE},
        {{NULL, 0}, KS_THROTTLED, -1, KS_EXIT_UNAVAILABLE},
        {{NULL, 0}, KS_INVALID_STATE, -1, KS_EXIT_STATE},
    };
    for (size_t i = 0; i < KS_COUNT(cases); i++) {
        if (cases[i].flipped >= 0) {
            backup.ptr[cases[i].flipped] ^= 1;
        }
        fake_backup(cases[i].sent, cases[i].code);
        RAN_AUTO ran = RUN("backup", "create", "--out", fake_path("half"));
        if (cases[i].flipped >= 0) {
            backup.ptr[cases[i].flipped] ^= 1;
        }

        assert_int_equal(ran.code, cases[i].exit);
        assert_false(is_file(fake_path("half")));
        assert_false(is_file(fake_path("half.partial")));
    }
}

static void backup_verify_finds_one_flipped_bit(void **state)
{
    (void)state;
    KS_BUFFER_AUTO backup = {.len_max = BACKUP_MAX};
    make_backup(FAKE_REGION, BACKUP_TIME_MS, 100, &backup);
    backup.ptr[backup.len / 2] ^= 4;
    fixture_write(fake_path("damaged"), ks_buffer_bytes(&backup));
    RAN_AUTO damaged = RUN("backup", "verify", fake_path("damaged"));
    RAN_AUTO absent = RUN("backup", "verify", fake_path("absent"));

    assert_int_equal(damaged.code, KS_EXIT_CIPHERTEXT);
    assert_says(&damaged, "do not rely on it");
    assert_int_equal(damaged.out.len, 0);
    assert_int_equal(absent.code, KS_EXIT_NOT_FOUND);
}

static void backup_list_shows_the_backups_of_a_folder_by_their_time(void **state)
{
    (void)state;
    KS_BUFFER_AUTO late = {.len_max = BACKUP_MAX};
    KS_BUFFER_AUTO early = {.len_max = BACKUP_MAX};
    assert_int_equal(mkdir(fake_path("backups"), 0700), 0);
    make_backup(FAKE_REGION, BACKUP_TIME_MS, 7, &late);
    make_backup(FAKE_REGION, BACKUP_TIME_MS - 1000, 8, &early);
    fixture_write(fake_path("backups/a"), ks_buffer_bytes(&late));
    fixture_write(fake_path("backups/b"), ks_buffer_bytes(&early));
    fixture_write(fake_path("backups/c"), KS_LITERAL("no backup"));
    RAN_AUTO table = RUN("backup", "list", fake_path("backups"));
    RAN_AUTO json = RUN("backup", "list", fake_path("backups"), "--output", "json");

    assert_int_equal(table.code, 0);
    assert_prints(&table, "ab070000-0000-0000-0000-000000000000");
    assert_prints(&table, "4711");
    KS_JSON_AUTO *doc = NULL;
    assert_int_equal(
        ks_json_parse(ks_buffer_bytes(&json.out), (struct ks_json_limits){.len_max = 65536}, &doc)
            .code,
        KS_OK);
    const struct ks_json *list = ks_json_get(ks_json_root(doc), "Backups");
    assert_int_equal(ks_json_count(list), 2);
    assert_member(ks_json_at(list, 0), "File", "b");
    assert_member(ks_json_at(list, 1), "File", "a");
    assert_member(ks_json_at(list, 1), "Time", "2026-11-28T13:00:00Z");

    early.ptr[8] = 2; /* the version */
    fixture_write(fake_path("backups/d"), ks_buffer_bytes(&early));
    RAN_AUTO newer = RUN("backup", "list", fake_path("backups"));
    assert_int_equal(newer.code, KS_EXIT_CIPHERTEXT);
    assert_says(&newer, "1 not listed");
}

#define CLAIM(name) cmocka_unit_test_setup(name, fake_reset)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(backup_create_makes_a_file_of_what_the_keystore_sends),
        CLAIM(backup_create_replaces_nothing),
        CLAIM(backup_create_keeps_no_half_backup),
        CLAIM(backup_verify_finds_one_flipped_bit),
        CLAIM(backup_list_shows_the_backups_of_a_folder_by_their_time),
    };
    return cmocka_run_group_tests(tests, fake_setup, fake_teardown);
}
