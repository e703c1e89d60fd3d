#include "services/control/records.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "pkg/arn/name.h"

__attribute__((format(printf, 1, 2))) static struct ks_record_key make_key(const char *format, ...)
{
    struct ks_record_key key;
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(key.text, sizeof(key.text), format, arguments);
    va_end(arguments);
    assert(len > 0 && (size_t)len < sizeof(key.text));
    key.len = (size_t)len;
    return key;
}

struct ks_record_key ks_account_key(const char *account)
{
    return make_key("account/%s", account);
}

struct ks_record_key ks_user_key(const char *account, const char *name)
{
    return make_key("user/%s/%s", account, name);
}

struct ks_record_key ks_certificate_key(const char *serial_hex)
{
    return make_key("certificate/%s", serial_hex);
}

ks_bytes ks_record_key_bytes(const struct ks_record_key *key)
{
    return (ks_bytes){(const uint8_t *)key->text, key->len};
}

const char *const ks_record_mirrored[KS_RECORD_MIRRORED_COUNT] = {"account/", "certificate/",
                                                                  "user/"};

bool ks_record_is_mirrored(ks_bytes key)
{
    for (size_t i = 0; i < KS_RECORD_MIRRORED_COUNT; i++) {
        if (ks_bytes_starts_with(key, ks_bytes_of(ks_record_mirrored[i]))) {
            return true;
        }
    }
    return false;
}

bool ks_serial_is_valid(const char *text)
{
    size_t len = strnlen(text, KS_SERIAL_HEX_MAX + 1);
    return len >= 2 && len <= KS_SERIAL_HEX_MAX && strspn(text, "0123456789abcdef") == len;
}

/* ARNs are made of what a record of a user says. */
static ks_result check_user(const STORED(UserRecord) * record)
{
    bool valid = ks_account_is_valid(ks_bytes_of(record->account)) &&
                 ks_user_name_is_valid(ks_bytes_of(record->name));
    return valid ? KS_RES(OK) : KS_RES(CORRUPT);
}

#define READ(type)                                                                                 \
    do {                                                                                           \
        ProtobufCMessage *message = NULL;                                                          \
        KS_TRY(ks_record_read(STORED_TYPE(type), value, arena, &message));                         \
        *ret_record = (void *)message;                                                             \
        return KS_RES(OK);                                                                         \
    } while (0)

ks_result ks_account_read(ks_bytes value, struct ks_arena *arena,
                          STORED(AccountRecord) * *ret_record)
{
    READ(account_record);
}

ks_result ks_user_read(ks_bytes value, struct ks_arena *arena, STORED(UserRecord) * *ret_record)
{
    ProtobufCMessage *message = NULL;
    KS_TRY(ks_record_read(STORED_TYPE(user_record), value, arena, &message));
    KS_TRY(check_user((const STORED(UserRecord) *)message));
    *ret_record = (STORED(UserRecord) *)message;
    return KS_RES(OK);
}

ks_result ks_certificate_read(ks_bytes value, struct ks_arena *arena,
                              STORED(CertificateRecord) * *ret_record)
{
    READ(certificate_record);
}

#define LOAD(type, key)                                                                            \
    do {                                                                                           \
        struct ks_record_key of = (key);                                                           \
        ProtobufCMessage *message = NULL;                                                          \
        KS_TRY(ks_record_load(view, ks_record_key_bytes(&of), STORED_TYPE(type), arena, &message,  \
                              ret_revision));                                                      \
        *ret_record = (void *)message;                                                             \
        return KS_RES(OK);                                                                         \
    } while (0)

ks_result ks_account_load(const struct ks_store_view *view, const char *account,
                          struct ks_arena *arena, STORED(AccountRecord) * *ret_record,
                          int64_t *ret_revision)
{
    LOAD(account_record, ks_account_key(account));
}

ks_result ks_user_load(const struct ks_store_view *view, const char *account, const char *name,
                       struct ks_arena *arena, STORED(UserRecord) * *ret_record,
                       int64_t *ret_revision)
{
    struct ks_record_key key = ks_user_key(account, name);
    ProtobufCMessage *message = NULL;
    int64_t revision = 0;
    KS_TRY(ks_record_load(view, ks_record_key_bytes(&key), STORED_TYPE(user_record), arena,
                          &message, &revision));
    KS_TRY(check_user((const STORED(UserRecord) *)message));
    *ret_record = (STORED(UserRecord) *)message;
    *ret_revision = revision;
    return KS_RES(OK);
}

ks_result ks_certificate_load(const struct ks_store_view *view, const char *serial_hex,
                              struct ks_arena *arena, STORED(CertificateRecord) * *ret_record,
                              int64_t *ret_revision)
{
    LOAD(certificate_record, ks_certificate_key(serial_hex));
}
