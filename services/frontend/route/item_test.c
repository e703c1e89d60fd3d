/* What is written and read by hand here, against the code that protoc-c generates. */
#include "services/frontend/route/item.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "keystead/internal/v1/internal.pb-c.h"
#include "pkg/codec/codec.h"
#include "pkg/codec/wire.h"

#define NAME(upper) KEYSTEAD__INTERNAL__V1__##upper

typedef Keystead__Internal__V1__Item proto_item;
typedef Keystead__Internal__V1__ItemResult proto_result;
typedef Keystead__Internal__V1__View proto_view;
typedef Keystead__Internal__V1__Fact proto_fact;
typedef Keystead__Internal__V1__Detail proto_detail;

static const struct ks_item sample = {
    .operation = 15,
    .account = {(const uint8_t *)"111122223333", 12},
    .principal = {(const uint8_t *)"arn", 3},
    .request_id = {(const uint8_t *)"id", 2},
    .request = {(const uint8_t *)"a\0b", 3},
    .decision = KS_DENIED,
    .versions = {{(const uint8_t *)"v\0w", 3}, {NULL, 0}},
    .version_count = 2,
};

static void writes_what_protobuf_reads(void **state)
{
    (void)state;
    KS_BUFFER_AUTO body = {.len_max = 4096};
    KS_BUFFER_AUTO message = {.len_max = 4096};
    assert_int_equal(ks_item_write(&sample, &body).code, KS_OK);
    assert_int_equal(ks_item_add(UINT64_MAX, ks_buffer_bytes(&body), &message).code, KS_OK);
    assert_int_equal(ks_item_add(1, ks_buffer_bytes(&body), &message).code, KS_OK);

    KS_ARENA_AUTO arena = {.len_max = 65536};
    struct ProtobufCMessage *unpacked = NULL;
    assert_int_equal(ks_codec_unpack(&keystead__internal__v1__execute_request__descriptor,
                                     ks_buffer_bytes(&message), NULL, &arena, &unpacked)
                         .code,
                     KS_OK);
    const Keystead__Internal__V1__ExecuteRequest *request =
        (const Keystead__Internal__V1__ExecuteRequest *)unpacked;
    assert_int_equal(request->n_items, 2);
    const proto_item *item = request->items[0];
    assert_true(item->tag == UINT64_MAX);
    assert_int_equal(item->operation, 15);
    assert_string_equal(item->account, "111122223333");
    assert_string_equal(item->principal, "arn");
    assert_string_equal(item->request_id, "id");
    assert_int_equal(item->request.len, 3);
    assert_memory_equal(item->request.data, "a\0b", 3);
    assert_int_equal(item->decision, NAME(DECISION__DECISION_DENY));
    assert_int_equal(item->n_versions, 2);
    assert_int_equal(item->versions[0].len, 3);
    assert_memory_equal(item->versions[0].data, "v\0w", 3);
    assert_int_equal(item->versions[1].len, 0);
    assert_int_equal(request->items[1]->tag, 1);
}

/* Each request has one: what it is moved out of would be wiped, and the rest of its place, too. */
static void an_item_moves_to_no_larger_place_while_it_is_written(void **state)
{
    (void)state;
    static const uint8_t zeros[1500];
    struct ks_item large = sample;
    large.request = (ks_bytes){zeros, sizeof(zeros)};
    KS_BUFFER_AUTO body = {.len_max = 4096};
    KS_BUFFER_AUTO full = {.len_max = sizeof(zeros)};

    assert_int_equal(ks_item_write(&large, &body).code, KS_OK);

    assert_in_range(body.capacity, body.len, body.len + 64);
    assert_int_equal(ks_item_write(&large, &full).code, KS_LIMIT_EXCEEDED);
}

static void names_decisions_as_the_proto_file_does(void **state)
{
    (void)state;
    assert_int_equal(KS_UNDECIDED, NAME(DECISION__DECISION_UNSPECIFIED));
    assert_int_equal(KS_ALLOWED, NAME(DECISION__DECISION_ALLOW));
    assert_int_equal(KS_DENIED, NAME(DECISION__DECISION_DENY));
}

static void leaves_a_full_message_unchanged(void **state)
{
    (void)state;
    KS_BUFFER_AUTO body = {.len_max = 4096};
    assert_int_equal(ks_item_write(&sample, &body).code, KS_OK);
    for (size_t len_max = 1; len_max < body.len + 4; len_max++) {
        KS_BUFFER_AUTO message = {.len_max = len_max};
        assert_int_equal(ks_item_add(1, ks_buffer_bytes(&body), &message).code, KS_LIMIT_EXCEEDED);
        assert_int_equal(message.len, 0);
    }
    KS_BUFFER_AUTO message = {.len_max = body.len + 4};
    assert_int_equal(ks_item_add(1, ks_buffer_bytes(&body), &message).code, KS_OK);
}

/* A keystore takes what a frontend writes, whatever the tag: one limit for both sides. */
static void writes_no_item_that_a_keystore_refuses(void **state)
{
    (void)state;
    static uint8_t request[KS_EXECUTE_ITEM_MAX];
    size_t written = 0;
    for (size_t len = KS_EXECUTE_ITEM_MAX - 96; len < KS_EXECUTE_ITEM_MAX; len++) {
        struct ks_item item = sample;
        item.request = (ks_bytes){request, len};
        KS_BUFFER_AUTO body = {.len_max = KS_EXECUTE_BODY_MAX};
        if (ks_failed(ks_item_write(&item, &body))) {
            continue;
        }
        written++;
        KS_BUFFER_AUTO message = {.len_max = KS_EXECUTE_REQUEST_MAX};
        assert_int_equal(ks_item_add(UINT64_MAX, ks_buffer_bytes(&body), &message).code, KS_OK);
        ks_bytes rest = ks_buffer_bytes(&message);
        struct ks_wire_field field;
        assert_int_equal(ks_wire_next(&rest, &field).code, KS_OK);
        assert_int_equal(rest.len, 0);
        assert_true(field.bytes.len <= KS_EXECUTE_ITEM_MAX);
        assert_true(message.len - field.bytes.len <= KS_EXECUTE_FIELD_HEAD_MAX);
    }
    assert_in_range(written, 1, 95);
}

static void reads_the_time_that_a_response_begins_with(void **state)
{
    (void)state;
    KS_BUFFER_AUTO with = {.len_max = 64};
    KS_BUFFER_AUTO without = {.len_max = 64};
    int64_t time_ms = 7;
    assert_int_equal(ks_wire_put_bytes(1, (ks_bytes){0}, &without).code, KS_OK);
    assert_false(ks_item_response_time(ks_buffer_bytes(&without), &time_ms));
    assert_false(ks_item_response_time((ks_bytes){0}, &time_ms));
    assert_int_equal(time_ms, 7);

    assert_int_equal(ks_wire_put_varint(2, 1800000000000, &with).code, KS_OK);
    assert_true(ks_item_response_time(ks_buffer_bytes(&with), &time_ms));
    assert_int_equal(time_ms, 1800000000000);
}

/* What a keystore packs into one message at most: as many results as it may, each of all fields. */
static void reads_the_largest_response_that_a_keystore_packs(void **state)
{
    (void)state;
    KS_BUFFER_AUTO message = {.len_max = KS_EXECUTE_RESPONSE_MAX};
    assert_int_equal(ks_wire_put_varint(2, 1800000000000, &message).code, KS_OK);
    for (size_t i = 0; i < KS_EXECUTE_RESULTS_MAX; i++) {
        KS_BUFFER_AUTO result = {.len_max = 4096};
        assert_int_equal(ks_wire_put_varint(1, i, &result).code, KS_OK);
        for (size_t field = 1; field < KS_EXECUTE_RESULT_FIELDS_MAX; field++) {
            assert_int_equal(ks_wire_put_bytes(5, (ks_bytes){0}, &result).code, KS_OK);
        }
        assert_int_equal(ks_wire_put_bytes(1, ks_buffer_bytes(&result), &message).code, KS_OK);
    }
    assert_int_equal(ks_item_check_response(ks_buffer_bytes(&message)).code, KS_OK);
    assert_int_equal(ks_wire_put_bytes(1, (ks_bytes){0}, &message).code, KS_OK);
    assert_int_equal(ks_item_check_response(ks_buffer_bytes(&message)).code, KS_VALIDATION);
}

static bool says(ks_bytes got, const char *want)
{
    return ks_bytes_equal(got, ks_bytes_of(want));
}

/* Appends a result with views and details. */
static void put_result(struct ks_buffer *message)
{
    proto_fact arn = NAME(FACT__INIT);
    arn.key = (char *)KS_FACT_KEY_ARN;
    arn.value = (ProtobufCBinaryData){5, (uint8_t *)"arn:x"};
    proto_fact policy = NAME(FACT__INIT);
    policy.key = (char *)KS_FACT_KEY_POLICY;
    policy.value = (ProtobufCBinaryData){2, (uint8_t *)"{}"};
    proto_fact *facts[] = {&arn, &policy};
    proto_view view = NAME(VIEW__INIT);
    view.version = (ProtobufCBinaryData){2, (uint8_t *)"56"};
    view.facts = facts;
    view.n_facts = KS_COUNT(facts);
    proto_view *views[] = {&view, &view, &view};
    proto_detail detail = NAME(DETAIL__INIT);
    detail.key = (char *)"region";
    detail.value = (char *)"us-oregon-1";
    proto_detail *details[] = {&detail, &detail, &detail, &detail, &detail};
    proto_result result = NAME(ITEM_RESULT__INIT);
    result.tag = 77;
    result.code = KS_STALE_VIEW;
    result.response = (ProtobufCBinaryData){2, (uint8_t *)"\0r"};
    result.text = (char *)"text";
    result.views = views;
    result.n_views = KS_COUNT(views);
    result.view_revision = 99;
    result.details = details;
    result.n_details = KS_COUNT(details);
    assert_int_equal(ks_codec_pack_field(1, &result.base, message).code, KS_OK);
}

static void reads_what_protobuf_writes(void **state)
{
    (void)state;
    KS_BUFFER_AUTO message = {.len_max = 4096};
    put_result(&message);
    proto_result empty = NAME(ITEM_RESULT__INIT);
    assert_int_equal(ks_codec_pack_field(1, &empty.base, &message).code, KS_OK);
    ks_bytes rest = ks_buffer_bytes(&message);
    struct ks_item_result got;

    assert_int_equal(ks_item_check_response(rest).code, KS_OK);
    assert_true(ks_item_next_result(&rest, &got));
    assert_int_equal(got.tag, 77);
    assert_int_equal(got.code, KS_STALE_VIEW);
    assert_int_equal(got.response.len, 2);
    assert_true(says(got.text, "text"));
    assert_int_equal(got.view_count, 3); /* as sent, though only two are read */
    assert_true(says(got.views[1].version, "56"));
    assert_int_equal(got.views[0].revision, 99);
    assert_int_equal(got.views[1].revision, 99);
    struct ks_facts facts;
    assert_int_equal(ks_facts_read(got.views[1].facts, &facts).code, KS_OK);
    assert_true(says(ks_facts_find(&facts, KS_FACT_KEY_ARN), "arn:x"));
    assert_true(says(ks_facts_find(&facts, KS_FACT_KEY_POLICY), "{}"));
    assert_int_equal(got.detail_count, KS_ITEM_DETAILS_MAX);
    assert_true(says(got.details[0].name, "region"));
    assert_true(says(got.details[0].value, "us-oregon-1"));

    assert_true(ks_item_next_result(&rest, &got));
    assert_int_equal(got.tag, 0);
    assert_int_equal(got.code, KS_OK);
    assert_int_equal(got.view_count, 0);
    assert_false(ks_item_next_result(&rest, &got));
}

static void reads_a_code_that_no_row_has_as_internal(void **state)
{
    (void)state;
    KS_BUFFER_AUTO message = {.len_max = 4096};
    proto_result result = NAME(ITEM_RESULT__INIT);
    result.code = 9999;
    assert_int_equal(ks_codec_pack_field(1, &result.base, &message).code, KS_OK);
    ks_bytes rest = ks_buffer_bytes(&message);
    struct ks_item_result got;

    assert_true(ks_item_next_result(&rest, &got));
    assert_int_equal(got.code, KS_INTERNAL);
}

static void refuses_every_cut_inside_a_result(void **state)
{
    (void)state;
    KS_BUFFER_AUTO message = {.len_max = 4096};
    put_result(&message);
    for (size_t len = 1; len < message.len; len++) {
        assert_int_equal(ks_item_check_response((ks_bytes){message.ptr, len}).code, KS_VALIDATION);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_what_protobuf_reads),
        cmocka_unit_test(an_item_moves_to_no_larger_place_while_it_is_written),
        cmocka_unit_test(names_decisions_as_the_proto_file_does),
        cmocka_unit_test(leaves_a_full_message_unchanged),
        cmocka_unit_test(writes_no_item_that_a_keystore_refuses),
        cmocka_unit_test(reads_the_time_that_a_response_begins_with),
        cmocka_unit_test(reads_the_largest_response_that_a_keystore_packs),
        cmocka_unit_test(reads_what_protobuf_writes),
        cmocka_unit_test(reads_a_code_that_no_row_has_as_internal),
        cmocka_unit_test(refuses_every_cut_inside_a_result),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
