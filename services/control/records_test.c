#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/codec/codec.h"
#include "pkg/crypto/crypto.h"
#include "services/control/records.h"

#define VALUE_LEN_MAX 1024U

typedef Keystead__Storage__V1__AccountRecord account_record;
typedef Keystead__Storage__V1__UserRecord user_record;
typedef Keystead__Storage__V1__CertificateRecord certificate_record;

static int setup(void **state)
{
    (void)state;
    return ks_failed(ks_crypto_init(&(struct ks_crypto_options){0})) ? -1 : 0;
}

static void assert_key(struct ks_record_key key, const char *expected)
{
    assert_int_equal(key.len, strlen(expected));
    assert_memory_equal(key.text, expected, key.len);
}

/* Stored data is found under these keys for ever. */
static void keys_are_as_they_are_stored(void **state)
{
    (void)state;

    assert_key(ks_account_key("111122223333"), "account/111122223333");
    assert_key(ks_user_key("111122223333", "alice"), "user/111122223333/alice");
    assert_key(ks_certificate_key("0a1b"), "certificate/0a1b");
}

/* The longest user that there may be fits a key. */
static void the_longest_user_has_a_key(void **state)
{
    (void)state;
    char name[65];
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';

    assert_int_equal(ks_user_key("111122223333", name).len, strlen("user/111122223333/") + 64);
}

static void regions_mirror_all_but_requests(void **state)
{
    (void)state;
    struct ks_record_key account = ks_account_key("111122223333");
    struct ks_record_key user = ks_user_key("111122223333", "alice");
    struct ks_record_key certificate = ks_certificate_key("0a1b");

    assert_true(ks_record_is_mirrored(ks_record_key_bytes(&account)));
    assert_true(ks_record_is_mirrored(ks_record_key_bytes(&user)));
    assert_true(ks_record_is_mirrored(ks_record_key_bytes(&certificate)));
    assert_false(ks_record_is_mirrored(KS_LITERAL("request/0a")));
    assert_false(ks_record_is_mirrored(KS_LITERAL("users/1")));
    assert_false(ks_record_is_mirrored(KS_LITERAL("")));
}

static void a_serial_is_2_to_40_lower_case_hex_digits(void **state)
{
    (void)state;

    assert_false(ks_serial_is_valid(""));
    assert_false(ks_serial_is_valid("a"));
    assert_true(ks_serial_is_valid("a0"));
    assert_true(ks_serial_is_valid("0123456789abcdef0123456789abcdef01234567"));
    assert_false(ks_serial_is_valid("0123456789abcdef0123456789abcdef012345678"));
    assert_false(ks_serial_is_valid("A0"));
    assert_false(ks_serial_is_valid("g0"));
    assert_false(ks_serial_is_valid("a0/"));
}

/* ---- Forms ---- */

static void pack(const ProtobufCMessage *message, struct ks_buffer *out)
{
    assert_int_equal(ks_codec_pack(message, out).code, KS_OK);
}

/* Each kind of record with a format, and how it is read. */
static void pack_account(uint32_t format, struct ks_buffer *out)
{
    account_record record = KEYSTEAD__STORAGE__V1__ACCOUNT_RECORD__INIT;
    record.format = format;
    record.account = (char[]){"111122223333"};
    pack(&record.base, out);
}

static void pack_user(uint32_t format, struct ks_buffer *out)
{
    user_record record = KEYSTEAD__STORAGE__V1__USER_RECORD__INIT;
    record.format = format;
    record.account = (char[]){"111122223333"};
    record.name = (char[]){"alice"};
    pack(&record.base, out);
}

static void pack_certificate(uint32_t format, struct ks_buffer *out)
{
    certificate_record record = KEYSTEAD__STORAGE__V1__CERTIFICATE_RECORD__INIT;
    record.format = format;
    record.serial = (char[]){"0a1b"};
    pack(&record.base, out);
}

static ks_code read_account(ks_bytes value, struct ks_arena *arena)
{
    account_record *record = NULL;
    ks_code code = ks_account_read(value, arena, &record).code;
    assert_true(code == KS_OK ? strcmp(record->account, "111122223333") == 0 : !record);
    return code;
}

static ks_code read_user(ks_bytes value, struct ks_arena *arena)
{
    user_record *record = NULL;
    ks_code code = ks_user_read(value, arena, &record).code;
    assert_true(code == KS_OK ? strcmp(record->name, "alice") == 0 : !record);
    return code;
}

static ks_code read_certificate(ks_bytes value, struct ks_arena *arena)
{
    certificate_record *record = NULL;
    ks_code code = ks_certificate_read(value, arena, &record).code;
    assert_true(code == KS_OK ? strcmp(record->serial, "0a1b") == 0 : !record);
    return code;
}

static const struct {
    void (*pack)(uint32_t format, struct ks_buffer *out);
    ks_code (*read)(ks_bytes value, struct ks_arena *arena);
} forms[] = {
    {pack_account, read_account},
    {pack_user, read_user},
    {pack_certificate, read_certificate},
};

/* What a newer version wrote may mean something else: better refused than half understood. */
static void a_newer_format_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < KS_COUNT(forms); i++) {
        for (uint32_t format = 0; format < 4; format++) {
            KS_BUFFER_AUTO value = {.len_max = VALUE_LEN_MAX};
            KS_ARENA_AUTO arena = {.len_max = 4 * VALUE_LEN_MAX};
            forms[i].pack(format, &value);

            ks_code code = forms[i].read(ks_buffer_bytes(&value), &arena);

            assert_int_equal(code, format == 1 ? KS_OK : KS_CORRUPT);
        }
    }
}

static void what_is_no_record_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < KS_COUNT(forms); i++) {
        KS_ARENA_AUTO arena = {.len_max = VALUE_LEN_MAX};

        assert_int_equal(forms[i].read(KS_LITERAL(""), &arena), KS_CORRUPT);
        assert_int_equal(forms[i].read(KS_LITERAL("\x08"), &arena), KS_CORRUPT);
        assert_int_equal(forms[i].read(KS_LITERAL("\x08\x01\x08\x01"), &arena), KS_CORRUPT);
        assert_int_equal(forms[i].read(KS_LITERAL("no record"), &arena), KS_CORRUPT);
    }
}

/* ARNs are made of both, and an ARN of anything else ends the process. */
static void a_user_of_names_that_no_user_has_is_refused(void **state)
{
    (void)state;
    static char *const names[][2] = {{"", "alice"},
                                     {"11112222333", "alice"},
                                     {"111122223333", ""},
                                     {"111122223333", "al/ice"},
                                     {"111122223333", ".."}};
    for (size_t i = 0; i < KS_COUNT(names); i++) {
        KS_BUFFER_AUTO value = {.len_max = VALUE_LEN_MAX};
        KS_ARENA_AUTO arena = {.len_max = 4 * VALUE_LEN_MAX};
        user_record record = KEYSTEAD__STORAGE__V1__USER_RECORD__INIT;
        record.format = 1;
        record.account = names[i][0];
        record.name = names[i][1];
        pack(&record.base, &value);

        assert_int_equal(read_user(ks_buffer_bytes(&value), &arena), KS_CORRUPT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_as_they_are_stored),
        cmocka_unit_test(the_longest_user_has_a_key),
        cmocka_unit_test(regions_mirror_all_but_requests),
        cmocka_unit_test(a_serial_is_2_to_40_lower_case_hex_digits),
        cmocka_unit_test(a_newer_format_is_refused),
        cmocka_unit_test(what_is_no_record_is_refused),
        cmocka_unit_test(a_user_of_names_that_no_user_has_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
