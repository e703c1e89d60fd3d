#include "services/control/records.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "pkg/codec/codec.h"
#include "pkg/crypto/hash.h"
#include "pkg/form/names.h"

#define FORMAT 1U

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

/* Each part with its length, so that no two triples read alike. */
static void add_part(struct ks_buffer *parts, const char *text)
{
    uint32_t len = (uint32_t)strlen(text);
    uint8_t head[4] = {(uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8),
                       (uint8_t)len};
    ks_result r = ks_buffer_append(parts, (ks_bytes){head, sizeof(head)});
    assert(!ks_failed(r));
    r = ks_buffer_append(parts, ks_bytes_of(text));
    assert(!ks_failed(r));
}

struct ks_record_key ks_request_key(const char *principal, const char *method,
                                    const char *request_id)
{
    KS_BUFFER_AUTO parts = {.len_max = 4096};
    add_part(&parts, principal);
    add_part(&parts, method);
    add_part(&parts, request_id);

    uint8_t hash[KS_SHA256_LEN];
    ks_result r = ks_hash_sha256_once(ks_buffer_bytes(&parts), hash);
    assert(!ks_failed(r));
    char hex[2 * KS_SHA256_LEN + 1];
    ks_hex_write((ks_bytes){hash, sizeof(hash)}, hex);
    return make_key("request/%s", hex);
}

const char *const ks_record_mirrored[KS_RECORD_MIRRORED_COUNT] = {"account/", "user/",
                                                                  "certificate/"};

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

/* All record types have their format number in the same place: the first field. */
static ks_result read_record(const ProtobufCMessageDescriptor *type, ks_bytes value,
                             struct ks_arena *arena, ProtobufCMessage **ret_message)
{
    ProtobufCMessage *message;
    if (ks_failed(ks_codec_unpack(type, value, NULL, arena, &message))) {
        return KS_RES(CORRUPT);
    }
    uint32_t format;
    memcpy(&format, (const char *)message + type->fields[0].offset, sizeof(format));
    if (format != FORMAT) {
        return KS_RES(CORRUPT);
    }
    *ret_message = message;
    return KS_RES(OK);
}

ks_result ks_account_read(ks_bytes value, struct ks_arena *arena,
                          Keystead__Storage__V1__AccountRecord **ret_record)
{
    ProtobufCMessage *message;
    KS_TRY(read_record(&keystead__storage__v1__account_record__descriptor, value, arena, &message));
    *ret_record = (Keystead__Storage__V1__AccountRecord *)message;
    return KS_RES(OK);
}

ks_result ks_user_read(ks_bytes value, struct ks_arena *arena,
                       Keystead__Storage__V1__UserRecord **ret_record)
{
    ProtobufCMessage *message;
    KS_TRY(read_record(&keystead__storage__v1__user_record__descriptor, value, arena, &message));
    *ret_record = (Keystead__Storage__V1__UserRecord *)message;
    return KS_RES(OK);
}

ks_result ks_certificate_read(ks_bytes value, struct ks_arena *arena,
                              Keystead__Storage__V1__CertificateRecord **ret_record)
{
    ProtobufCMessage *message;
    KS_TRY(read_record(&keystead__storage__v1__certificate_record__descriptor, value, arena,
                       &message));
    *ret_record = (Keystead__Storage__V1__CertificateRecord *)message;
    return KS_RES(OK);
}

ks_result ks_request_read(ks_bytes value, struct ks_arena *arena,
                          Keystead__Storage__V1__RequestRecord **ret_record)
{
    ProtobufCMessage *message;
    KS_TRY(read_record(&keystead__storage__v1__request_record__descriptor, value, arena, &message));
    *ret_record = (Keystead__Storage__V1__RequestRecord *)message;
    return KS_RES(OK);
}

static ks_result find(const struct ks_store_view *view, struct ks_record_key key,
                      struct ks_store_record *ret_record)
{
    return ks_store_get(view, ks_record_key_bytes(&key), ret_record);
}

ks_result ks_account_load(const struct ks_store_view *view, const char *account,
                          struct ks_arena *arena, Keystead__Storage__V1__AccountRecord **ret_record,
                          int64_t *ret_revision)
{
    struct ks_store_record record;
    KS_TRY(find(view, ks_account_key(account), &record));
    KS_TRY(ks_account_read(record.value, arena, ret_record));
    *ret_revision = record.revision;
    return KS_RES(OK);
}

ks_result ks_user_load(const struct ks_store_view *view, const char *account, const char *name,
                       struct ks_arena *arena, Keystead__Storage__V1__UserRecord **ret_record,
                       int64_t *ret_revision)
{
    struct ks_store_record record;
    KS_TRY(find(view, ks_user_key(account, name), &record));
    KS_TRY(ks_user_read(record.value, arena, ret_record));
    *ret_revision = record.revision;
    return KS_RES(OK);
}

ks_result ks_certificate_load(const struct ks_store_view *view, const char *serial_hex,
                              struct ks_arena *arena,
                              Keystead__Storage__V1__CertificateRecord **ret_record,
                              int64_t *ret_revision)
{
    struct ks_store_record record;
    KS_TRY(find(view, ks_certificate_key(serial_hex), &record));
    KS_TRY(ks_certificate_read(record.value, arena, ret_record));
    *ret_revision = record.revision;
    return KS_RES(OK);
}
