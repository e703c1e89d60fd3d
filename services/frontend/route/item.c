#include "services/frontend/route/item.h"

#include "keystead/internal/v1/internal.pb-c.h"
#include "pkg/codec/codec.h"
#include "pkg/codec/wire.h"

/* Numbers of the fields in internal.proto; item_test.c compares them with the generated code. */
enum { TAG = 1, OPERATION, ACCOUNT, PRINCIPAL, REQUEST_ID, REQUEST, DECISION, VERSIONS };
enum { RESULT_TAG = 1, CODE, RESPONSE, TEXT, VIEWS, DETAILS, VIEW_REVISION };
enum { VIEW_VERSION = 1, VIEW_FACTS };
enum { DETAIL_KEY = 1, DETAIL_VALUE };

#define RESPONSE_TIME 2U /* ExecuteResponse.time_ms */

#define TAG_LEN_MAX 11U /* a varint with its tag */
#define HEAD_LEN    4U  /* of a field that is shorter than 2 MiB */

/*
 * About how long an item will be; at least that, because every length is taken as a long one. The
 * body of each request is written once, and so moves to no larger place while it is.
 */
static size_t room_of(const struct ks_item *item)
{
    size_t len = 2 * (size_t)TAG_LEN_MAX; /* operation and decision */
    len += HEAD_LEN + item->account.len + HEAD_LEN + item->principal.len;
    len += HEAD_LEN + item->request_id.len + HEAD_LEN + item->request.len;
    for (size_t i = 0; i < item->version_count; i++) {
        len += HEAD_LEN + item->versions[i].len;
    }
    return len;
}

ks_result ks_item_write(const struct ks_item *item, struct ks_buffer *body)
{
    size_t left = body->len_max - body->len;
    size_t room = room_of(item);
    KS_TRY(ks_buffer_reserve(body, room < left ? room : left));
    KS_TRY(ks_wire_put_varint(OPERATION, item->operation, body));
    KS_TRY(ks_wire_put_bytes(ACCOUNT, item->account, body));
    KS_TRY(ks_wire_put_bytes(PRINCIPAL, item->principal, body));
    if (item->request_id.len > 0) {
        KS_TRY(ks_wire_put_bytes(REQUEST_ID, item->request_id, body));
    }
    KS_TRY(ks_wire_put_bytes(REQUEST, item->request, body));
    KS_TRY(ks_wire_put_varint(DECISION, (uint64_t)item->decision, body));
    for (size_t i = 0; i < item->version_count; i++) {
        KS_TRY(ks_wire_put_bytes(VERSIONS, item->versions[i], body));
    }
    return KS_RES(OK);
}

ks_result ks_item_add(uint64_t tag, ks_bytes body, struct ks_buffer *message)
{
    KS_BUFFER_AUTO head = {.len_max = TAG_LEN_MAX};
    KS_TRY(ks_wire_put_varint(TAG, tag, &head));
    size_t len = head.len + body.len;
    size_t whole = ks_wire_head_len(KS_EXECUTE_ITEMS_FIELD, len) + len;
    if (whole > message->len_max - message->len) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    KS_TRY(ks_wire_put_head(KS_EXECUTE_ITEMS_FIELD, len, message));
    KS_TRY(ks_buffer_append(message, ks_buffer_bytes(&head)));
    return ks_buffer_append(message, body);
}

ks_result ks_item_check_response(ks_bytes message)
{
    struct ks_codec_limits limits = {.len_max = KS_EXECUTE_RESPONSE_MAX,
                                     .field_count_max = KS_EXECUTE_RESPONSE_FIELDS_MAX};
    return ks_codec_check(&keystead__internal__v1__execute_response__descriptor, message, &limits,
                          NULL);
}

/* The next field of a checked message; false at the end. */
static bool next_field(ks_bytes *rest, struct ks_wire_field *field)
{
    return rest->len > 0 && !ks_failed(ks_wire_next(rest, field));
}

/* The facts come one after the other, behind the version, as the keystore writes them. */
static struct ks_view read_view(ks_bytes bytes)
{
    struct ks_view view = {0};
    struct ks_wire_field field;
    ks_bytes before = bytes;
    while (next_field(&bytes, &field)) {
        if (field.number == VIEW_VERSION) {
            view.version = field.bytes;
        } else if (field.number == VIEW_FACTS) {
            view.facts = before;
            break;
        }
        before = bytes;
    }
    return view;
}

static struct ks_item_detail read_detail(ks_bytes bytes)
{
    struct ks_item_detail detail = {0};
    struct ks_wire_field field;
    while (next_field(&bytes, &field)) {
        if (field.number == DETAIL_KEY) {
            detail.name = field.bytes;
        } else if (field.number == DETAIL_VALUE) {
            detail.value = field.bytes;
        }
    }
    return detail;
}

static void read_repeated(const struct ks_wire_field *field, struct ks_item_result *result)
{
    if (field->number == VIEWS) {
        if (result->view_count < KS_OPERATION_KEYS_MAX) {
            result->views[result->view_count] = read_view(field->bytes);
        }
        result->view_count++;
    } else if (field->number == DETAILS && result->detail_count < KS_ITEM_DETAILS_MAX) {
        result->details[result->detail_count++] = read_detail(field->bytes);
    }
}

/* The revision stands once, and each view has it. */
static void set_revision(struct ks_item_result *result, int64_t revision)
{
    for (size_t i = 0; i < KS_OPERATION_KEYS_MAX; i++) {
        result->views[i].revision = revision;
    }
}

static void read_result(ks_bytes bytes, struct ks_item_result *result)
{
    int64_t revision = 0;
    struct ks_wire_field field;
    while (next_field(&bytes, &field)) {
        if (field.number == RESULT_TAG) {
            result->tag = field.value;
        } else if (field.number == CODE) {
            result->code = ks_code_from_number((unsigned)field.value);
        } else if (field.number == RESPONSE) {
            result->response = field.bytes;
        } else if (field.number == TEXT) {
            result->text = field.bytes;
        } else if (field.number == VIEW_REVISION) {
            revision = (int64_t)field.value;
        } else {
            read_repeated(&field, result);
        }
    }
    if (result->view_count > 0) {
        set_revision(result, revision);
    }
}

bool ks_item_response_time(ks_bytes message, int64_t *ret_time_ms)
{
    struct ks_wire_field field;
    if (!next_field(&message, &field) || field.number != RESPONSE_TIME) {
        return false;
    }
    *ret_time_ms = (int64_t)field.value;
    return true;
}

bool ks_item_next_result(ks_bytes *rest, struct ks_item_result *ret_result)
{
    struct ks_wire_field field;
    while (next_field(rest, &field)) {
        if (field.number == KS_EXECUTE_ITEMS_FIELD) {
            *ret_result = (struct ks_item_result){.code = KS_OK};
            read_result(field.bytes, ret_result);
            return true;
        }
    }
    return false;
}
