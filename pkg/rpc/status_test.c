#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <grpc/slice.h>

#include "pkg/base/mem.h"
#include "pkg/rpc/message.h"
#include "pkg/rpc/status_wire.h"

#define LONG_LEN 2000U

/* What a client reads of a status that was sent. */
static struct ks_rpc_error sent_and_read(const struct ks_rpc_status *status)
{
    struct ks_rpc_sent_status sent;
    ks_rpc_sent_status_init(&sent, status);
    struct ks_rpc_error error;
    const grpc_metadata_array trailing = {sent.details_count, 1, &sent.details};
    ks_rpc_error_read(&error, sent.code, &sent.text, &trailing);
    ks_rpc_sent_status_done(&sent);
    return error;
}

static void every_code_comes_back_as_itself(void **state)
{
    (void)state;
    for (unsigned i = KS_OK + 1; i < KS_CODE_COUNT; i++) {
        ks_code code = (ks_code)i;
        struct ks_rpc_error error = sent_and_read(&(struct ks_rpc_status){.code = code});
        assert_int_equal(error.code, code);
        assert_string_equal(error.reason, ks_wire_name(code));
        assert_string_equal(error.text, ks_text(code));
        assert_int_equal(error.retry_delay_ms, ks_retryable(code) ? KS_RPC_RETRY_MS : 0);
        assert_int_equal(error.metadata_count, 0);
    }
}

static void success_has_no_details(void **state)
{
    (void)state;
    struct ks_rpc_sent_status sent;

    ks_rpc_sent_status_init(&sent, &(struct ks_rpc_status){.code = KS_OK});

    assert_int_equal(sent.code, GRPC_STATUS_OK);
    assert_int_equal(sent.details_count, 0);
    ks_rpc_sent_status_done(&sent);
}

/* All at their longest still fit, and a text is never cut inside a character. */
static void long_texts_are_cut(void **state)
{
    (void)state;
    char text[LONG_LEN + 1] = {0};
    for (size_t i = 0; i + 2 < LONG_LEN; i += 3) {
        memcpy(text + i, "\xe2\x82\xac", 3); /* the euro sign: three bytes */
    }
    struct ks_rpc_status status = {.code = KS_UNAVAILABLE,
                                   .text = text,
                                   .metadata_count = KS_RPC_METADATA_MAX,
                                   .retry_delay_ms = INT32_MAX,
                                   .violation_count = KS_RPC_VIOLATIONS_MAX};
    for (size_t i = 0; i < KS_RPC_VIOLATIONS_MAX; i++) {
        status.violations[i] = (struct ks_rpc_entry){text, text};
    }
    for (size_t i = 0; i < KS_RPC_METADATA_MAX; i++) {
        status.metadata[i] = (struct ks_rpc_entry){text, text};
    }

    struct ks_rpc_error error = sent_and_read(&status);

    assert_int_equal(strlen(error.text), KS_RPC_TEXT_MAX / 3 * 3);
    assert_int_equal(strlen(error.violated_field), KS_RPC_FIELD_MAX / 3 * 3);
    assert_int_equal(strlen(error.violation), KS_RPC_VIOLATION_MAX / 3 * 3);
    assert_int_equal(error.metadata_count, KS_RPC_METADATA_MAX);
    assert_int_equal(strlen(error.metadata[5].value), KS_RPC_VALUE_MAX / 3 * 3);
    assert_int_equal(error.retry_delay_ms, INT32_MAX);
}

static struct ks_rpc_error read_plain(grpc_status_code code, ks_bytes details)
{
    grpc_slice text = grpc_slice_from_static_string("why");
    grpc_metadata entry = {.key = grpc_slice_from_static_string("grpc-status-details-bin"),
                           .value = ks_rpc_slice(details)};
    const grpc_metadata_array trailing = {1, 1, &entry};
    struct ks_rpc_error error;
    ks_rpc_error_read(&error, code, &text, &trailing);
    grpc_slice_unref(entry.value);
    return error;
}

static void a_status_without_details_is_the_nearest_row(void **state)
{
    (void)state;
    static const struct {
        grpc_status_code status;
        ks_code code;
    } rows[] = {
        {GRPC_STATUS_OK, KS_OK},
        {GRPC_STATUS_UNAVAILABLE, KS_UNAVAILABLE},
        {GRPC_STATUS_UNKNOWN, KS_INTERNAL},
        {GRPC_STATUS_UNAUTHENTICATED, KS_UNAUTHENTICATED},
        {(grpc_status_code)17, KS_INTERNAL},
        {(grpc_status_code)-1, KS_INTERNAL},
    };

    for (size_t i = 0; i < KS_COUNT(rows); i++) {
        struct ks_rpc_error error = read_plain(rows[i].status, (ks_bytes){0});
        assert_int_equal(error.code, rows[i].code);
        assert_string_equal(error.text, "why");
        assert_string_equal(error.reason, "");
    }
}

/* No bytes that a server sends make success of a failure, or break the reader. */
static void damaged_details_leave_the_status_a_failure(void **state)
{
    (void)state;
    const struct ks_rpc_status status = {.code = KS_DISABLED,
                                         .metadata = {{"key_id", "k"}},
                                         .metadata_count = 1,
                                         .violations = {{"f", "v"}},
                                         .violation_count = 1};
    struct ks_rpc_sent_status sent;
    ks_rpc_sent_status_init(&sent, &status);
    ks_bytes details = ks_rpc_slice_bytes(&sent.details.value);

    for (size_t len = 0; len <= details.len; len++) {
        assert_int_not_equal(
            read_plain(GRPC_STATUS_FAILED_PRECONDITION, (ks_bytes){details.ptr, len}).code, KS_OK);
    }
    for (size_t bit = 0; bit < 8 * details.len; bit++) {
        uint8_t *copy = (uint8_t *)ks_bytes_dup(details);
        copy[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        assert_int_not_equal(
            read_plain(GRPC_STATUS_FAILED_PRECONDITION, (ks_bytes){copy, details.len}).code, KS_OK);
        ks_free(copy);
    }
    ks_rpc_sent_status_done(&sent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_comes_back_as_itself),
        cmocka_unit_test(success_has_no_details),
        cmocka_unit_test(long_texts_are_cut),
        cmocka_unit_test(a_status_without_details_is_the_nearest_row),
        cmocka_unit_test(damaged_details_leave_the_status_a_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
