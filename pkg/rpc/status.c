#include "pkg/rpc/status.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include <grpc/grpc.h>
#include <grpc/slice.h>

#include "pkg/base/mem.h"
#include "pkg/rpc/message.h"
#include "pkg/rpc/status_wire.h"
#include "pkg/rpc/wire.h"

#define DETAILS_NAME "grpc-status-details-bin"
#define TYPE_PREFIX  "type.googleapis.com/google.rpc."

/*
 * Room for google.rpc.Status: a text, six entries and five violations, each cut (about 4.6 KiB).
 * In base64 it stays under the 8 KiB of metadata that clients accept by default.
 */
#define DETAILS_LEN_MAX 5120U

#define MS_PER_S  1000
#define NS_PER_MS 1000000

/* Field numbers of google/rpc/status.proto, error_details.proto and protobuf/{any,duration}. */
enum { STATUS_CODE = 1, STATUS_MESSAGE = 2, STATUS_DETAILS = 3 };
enum { ANY_TYPE_URL = 1, ANY_VALUE = 2 };
enum { ERROR_INFO_REASON = 1, ERROR_INFO_DOMAIN = 2, ERROR_INFO_METADATA = 3 };
enum { MAP_KEY = 1, MAP_VALUE = 2 };
enum { RETRY_INFO_DELAY = 1 };
enum { DURATION_SECONDS = 1, DURATION_NANOS = 2 };
enum { BAD_REQUEST_VIOLATIONS = 1, VIOLATION_FIELD = 1, VIOLATION_DESCRIPTION = 2 };

/* The row for a gRPC status that came without an ErrorInfo of ours. */
static const ks_code nearest[] = {
    [GRPC_STATUS_OK] = KS_OK,
    [GRPC_STATUS_CANCELLED] = KS_CANCELLED,
    [GRPC_STATUS_UNKNOWN] = KS_INTERNAL,
    [GRPC_STATUS_INVALID_ARGUMENT] = KS_VALIDATION,
    [GRPC_STATUS_DEADLINE_EXCEEDED] = KS_DEADLINE,
    [GRPC_STATUS_NOT_FOUND] = KS_NOT_FOUND,
    [GRPC_STATUS_ALREADY_EXISTS] = KS_ALREADY_EXISTS,
    [GRPC_STATUS_PERMISSION_DENIED] = KS_ACCESS_DENIED,
    [GRPC_STATUS_RESOURCE_EXHAUSTED] = KS_LIMIT_EXCEEDED,
    [GRPC_STATUS_FAILED_PRECONDITION] = KS_INVALID_STATE,
    [GRPC_STATUS_ABORTED] = KS_CONFLICT,
    [GRPC_STATUS_OUT_OF_RANGE] = KS_VALIDATION,
    [GRPC_STATUS_UNIMPLEMENTED] = KS_UNSUPPORTED,
    [GRPC_STATUS_INTERNAL] = KS_INTERNAL,
    [GRPC_STATUS_UNAVAILABLE] = KS_UNAVAILABLE,
    [GRPC_STATUS_DATA_LOSS] = KS_CORRUPT,
    [GRPC_STATUS_UNAUTHENTICATED] = KS_UNAUTHENTICATED,
};

/* At most len_max bytes, not cut inside a UTF-8 character: the wire form demands valid text. */
static ks_bytes cut(const char *text, size_t len_max)
{
    ks_bytes bytes = ks_bytes_of(text);
    if (bytes.len <= len_max) {
        return bytes;
    }
    size_t len = len_max;
    while (len > 0 && (bytes.ptr[len] & 0xc0U) == 0x80U) {
        len--;
    }
    return (ks_bytes){bytes.ptr, len};
}

static void put_detail(struct ks_buffer *to, const char *type_url, struct ks_buffer *value,
                       bool *full)
{
    KS_BUFFER_AUTO any = {.len_max = DETAILS_LEN_MAX};
    ks_rpc_wire_put_bytes(&any, ANY_TYPE_URL, ks_bytes_of(type_url), full);
    ks_rpc_wire_put_bytes(&any, ANY_VALUE, ks_buffer_bytes(value), full);
    ks_rpc_wire_put_bytes(to, STATUS_DETAILS, ks_buffer_bytes(&any), full);
}

static void put_error_info(struct ks_buffer *to, const struct ks_rpc_status *status, bool *full)
{
    assert(status->metadata_count <= KS_RPC_METADATA_MAX);

    KS_BUFFER_AUTO info = {.len_max = DETAILS_LEN_MAX};
    ks_rpc_wire_put_bytes(&info, ERROR_INFO_REASON, ks_bytes_of(ks_wire_name(status->code)), full);
    ks_rpc_wire_put_bytes(&info, ERROR_INFO_DOMAIN, KS_LITERAL(KS_RPC_DOMAIN), full);
    for (size_t i = 0; i < status->metadata_count; i++) {
        KS_BUFFER_AUTO entry = {.len_max = DETAILS_LEN_MAX};
        ks_rpc_wire_put_bytes(&entry, MAP_KEY, cut(status->metadata[i].name, KS_RPC_NAME_MAX),
                              full);
        ks_rpc_wire_put_bytes(&entry, MAP_VALUE, cut(status->metadata[i].value, KS_RPC_VALUE_MAX),
                              full);
        ks_rpc_wire_put_bytes(&info, ERROR_INFO_METADATA, ks_buffer_bytes(&entry), full);
    }
    put_detail(to, TYPE_PREFIX "ErrorInfo", &info, full);
}

static void put_retry_info(struct ks_buffer *to, const struct ks_rpc_status *status, bool *full)
{
    int64_t delay_ms = status->retry_delay_ms;
    if (delay_ms == 0 && ks_retryable(status->code)) {
        delay_ms = KS_RPC_RETRY_MS;
    }
    if (delay_ms <= 0) {
        return;
    }
    KS_BUFFER_AUTO duration = {.len_max = DETAILS_LEN_MAX};
    KS_BUFFER_AUTO info = {.len_max = DETAILS_LEN_MAX};
    ks_rpc_wire_put_value(&duration, DURATION_SECONDS, (uint64_t)(delay_ms / MS_PER_S), full);
    ks_rpc_wire_put_value(&duration, DURATION_NANOS, (uint64_t)(delay_ms % MS_PER_S * NS_PER_MS),
                          full);
    ks_rpc_wire_put_bytes(&info, RETRY_INFO_DELAY, ks_buffer_bytes(&duration), full);
    put_detail(to, TYPE_PREFIX "RetryInfo", &info, full);
}

static void put_bad_request(struct ks_buffer *to, const struct ks_rpc_status *status, bool *full)
{
    assert(status->violation_count <= KS_RPC_VIOLATIONS_MAX);

    if (status->violation_count == 0) {
        return;
    }
    size_t text_len_max = status->violation_count == 1 ? KS_RPC_VALUE_MAX : KS_RPC_VIOLATION_MAX;
    KS_BUFFER_AUTO request = {.len_max = DETAILS_LEN_MAX};
    for (size_t i = 0; i < status->violation_count; i++) {
        const struct ks_rpc_entry *entry = &status->violations[i];
        KS_BUFFER_AUTO violation = {.len_max = DETAILS_LEN_MAX};
        ks_rpc_wire_put_bytes(&violation, VIOLATION_FIELD, cut(entry->name, KS_RPC_FIELD_MAX),
                              full);
        ks_rpc_wire_put_bytes(&violation, VIOLATION_DESCRIPTION, cut(entry->value, text_len_max),
                              full);
        ks_rpc_wire_put_bytes(&request, BAD_REQUEST_VIOLATIONS, ks_buffer_bytes(&violation), full);
    }
    put_detail(to, TYPE_PREFIX "BadRequest", &request, full);
}

void ks_rpc_sent_status_init(struct ks_rpc_sent_status *sent, const struct ks_rpc_status *status)
{
    assert(status->code < KS_CODE_COUNT);

    *sent = (struct ks_rpc_sent_status){.code = (grpc_status_code)ks_grpc_status(status->code)};
    if (status->code == KS_OK) {
        sent->text = grpc_empty_slice();
        return;
    }
    ks_bytes text = cut(status->text ? status->text : ks_text(status->code), KS_RPC_TEXT_MAX);
    sent->text = ks_rpc_slice(text);

    KS_BUFFER_AUTO details = {.len_max = DETAILS_LEN_MAX};
    bool full = false;
    ks_rpc_wire_put_value(&details, STATUS_CODE, (uint64_t)sent->code, &full);
    ks_rpc_wire_put_bytes(&details, STATUS_MESSAGE, text, &full);
    put_error_info(&details, status, &full);
    put_retry_info(&details, status, &full);
    put_bad_request(&details, status, &full);
    assert(!full); /* every part was cut to what DETAILS_LEN_MAX has room for */
    sent->details.key = grpc_slice_from_static_string(DETAILS_NAME);
    sent->details.value = ks_rpc_slice(ks_buffer_bytes(&details));
    sent->details_count = 1;
}

void ks_rpc_sent_status_done(struct ks_rpc_sent_status *sent)
{
    grpc_slice_unref(sent->text);
    if (sent->details_count > 0) {
        grpc_slice_unref(sent->details.value);
    }
    *sent = (struct ks_rpc_sent_status){.text = grpc_empty_slice()};
}

grpc_op ks_rpc_sent_status_op(struct ks_rpc_sent_status *sent)
{
    grpc_op op = {.op = GRPC_OP_SEND_STATUS_FROM_SERVER};
    op.data.send_status_from_server.status = sent->code;
    op.data.send_status_from_server.status_details = &sent->text;
    op.data.send_status_from_server.trailing_metadata = &sent->details;
    op.data.send_status_from_server.trailing_metadata_count = sent->details_count;
    return op;
}

static void copy_text(char *to, size_t size, ks_bytes text)
{
    snprintf(to, size, "%.*s", (int)(text.len < size ? text.len : size - 1),
             text.len ? (const char *)text.ptr : "");
}

/* The row with that wire name; fallback if there is none. */
static ks_code code_of_reason(const char *reason, ks_code fallback)
{
    for (unsigned i = KS_OK + 1; i < KS_CODE_COUNT; i++) {
        if (strcmp(ks_wire_name((ks_code)i), reason) == 0) {
            return (ks_code)i;
        }
    }
    return fallback;
}

static void read_entry(struct ks_rpc_error *error, ks_bytes entry)
{
    if (error->metadata_count == KS_RPC_METADATA_MAX) {
        return;
    }
    struct ks_rpc_error_entry *to = &error->metadata[error->metadata_count++];
    copy_text(to->name, sizeof(to->name), ks_rpc_wire_bytes(entry, MAP_KEY));
    copy_text(to->value, sizeof(to->value), ks_rpc_wire_bytes(entry, MAP_VALUE));
}

static void read_error_info(struct ks_rpc_error *error, ks_bytes info)
{
    if (!ks_bytes_equal(ks_rpc_wire_bytes(info, ERROR_INFO_DOMAIN), KS_LITERAL(KS_RPC_DOMAIN))) {
        return;
    }
    copy_text(error->reason, sizeof(error->reason), ks_rpc_wire_bytes(info, ERROR_INFO_REASON));
    error->code = code_of_reason(error->reason, error->code);
    struct ks_rpc_wire_field field;
    bool damaged = false;
    while (ks_rpc_wire_next(&info, &field, &damaged)) {
        if (field.number == ERROR_INFO_METADATA && field.type == KS_RPC_WIRE_BYTES) {
            read_entry(error, field.bytes);
        }
    }
}

static void read_retry_info(struct ks_rpc_error *error, ks_bytes info)
{
    ks_bytes duration = ks_rpc_wire_bytes(info, RETRY_INFO_DELAY);
    uint64_t seconds = ks_rpc_wire_value(duration, DURATION_SECONDS);
    uint64_t nanos = ks_rpc_wire_value(duration, DURATION_NANOS);
    if (seconds <= INT32_MAX && nanos < MS_PER_S * (uint64_t)NS_PER_MS) {
        error->retry_delay_ms = (int64_t)(seconds * MS_PER_S + nanos / NS_PER_MS);
    }
}

static void read_bad_request(struct ks_rpc_error *error, ks_bytes request)
{
    ks_bytes violation = ks_rpc_wire_bytes(request, BAD_REQUEST_VIOLATIONS);
    copy_text(error->violated_field, sizeof(error->violated_field),
              ks_rpc_wire_bytes(violation, VIOLATION_FIELD));
    copy_text(error->violation, sizeof(error->violation),
              ks_rpc_wire_bytes(violation, VIOLATION_DESCRIPTION));
}

static const struct detail_reader {
    const char *type_url;
    void (*read)(struct ks_rpc_error *error, ks_bytes value);
} detail_readers[] = {
    {TYPE_PREFIX "ErrorInfo", read_error_info},
    {TYPE_PREFIX "RetryInfo", read_retry_info},
    {TYPE_PREFIX "BadRequest", read_bad_request},
};

static void read_detail(struct ks_rpc_error *error, ks_bytes any)
{
    ks_bytes type_url = ks_rpc_wire_bytes(any, ANY_TYPE_URL);
    for (size_t i = 0; i < KS_COUNT(detail_readers); i++) {
        if (ks_bytes_equal(type_url, ks_bytes_of(detail_readers[i].type_url))) {
            detail_readers[i].read(error, ks_rpc_wire_bytes(any, ANY_VALUE));
        }
    }
}

static void read_details(struct ks_rpc_error *error, ks_bytes status)
{
    struct ks_rpc_wire_field field;
    bool damaged = false;
    while (ks_rpc_wire_next(&status, &field, &damaged)) {
        if (field.number == STATUS_DETAILS && field.type == KS_RPC_WIRE_BYTES) {
            read_detail(error, field.bytes);
        }
    }
}

void ks_rpc_error_of_code(struct ks_rpc_error *error, ks_code code)
{
    *error = (struct ks_rpc_error){.code = code};
    copy_text(error->text, sizeof(error->text), ks_bytes_of(ks_text(code)));
}

void ks_rpc_error_read(struct ks_rpc_error *error, grpc_status_code code, const grpc_slice *text,
                       const grpc_metadata_array *trailing)
{
    *error = (struct ks_rpc_error){
        .code = (size_t)code < KS_COUNT(nearest) ? nearest[code] : KS_INTERNAL,
    };
    copy_text(error->text, sizeof(error->text), ks_rpc_slice_bytes(text));
    if (code == GRPC_STATUS_OK) {
        return;
    }
    for (size_t i = 0; i < trailing->count; i++) {
        if (grpc_slice_str_cmp(trailing->metadata[i].key, DETAILS_NAME) == 0) {
            read_details(error, ks_rpc_slice_bytes(&trailing->metadata[i].value));
        }
    }
}

const char *ks_rpc_error_entry(const struct ks_rpc_error *error, const char *name)
{
    assert(error && name);

    for (size_t i = 0; i < error->metadata_count; i++) {
        if (strcmp(error->metadata[i].name, name) == 0) {
            return error->metadata[i].value;
        }
    }
    return NULL;
}
