/*
 * item: writes a request as an internal.v1.Item, and reads the keystore's ItemResult. It writes and
 * reads field by field, without the generated structs, because every request takes this path, and
 * because an item is only a few fields around a request that was checked already.
 *
 * Threads: pure; any.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "pkg/authorize/facts.h"
#include "pkg/base/bytes.h"
#include "pkg/base/result.h"
#include "pkg/operation/operation.h"
#include "proto/keystead/internal/v1/limits.h"

#define KS_ITEM_DETAILS_MAX    4U
#define KS_EXECUTE_ITEMS_FIELD 1U /* number of `items` and of `results` */

/* internal.v1.Decision */
enum ks_decision { KS_UNDECIDED, KS_ALLOWED, KS_DENIED };

/* All borrowed. */
struct ks_item {
    uint32_t operation;
    ks_bytes account;
    ks_bytes principal;
    ks_bytes request_id; /* empty unless it is a mutation */
    ks_bytes request;
    enum ks_decision decision;
    ks_bytes versions[KS_OPERATION_KEYS_MAX]; /* of the views that the decision rests on */
    size_t version_count;
};

/*
 * Appends an Item without its tag to a buffer whose len_max is KS_EXECUTE_BODY_MAX: no keystore
 * takes a longer one.
 * Fails: LIMIT_EXCEEDED (the len_max); the buffer then holds a part of the item.
 */
KS_MUST_USE ks_result ks_item_write(const struct ks_item *item, struct ks_buffer *body);

/*
 * Appends what ks_item_write has written to an ExecuteRequest, with its tag.
 * Fails: LIMIT_EXCEEDED (the buffer's len_max); the buffer is then unchanged.
 */
KS_MUST_USE ks_result ks_item_add(uint64_t tag, ks_bytes body, struct ks_buffer *message);

/* All borrowed from the message. */
struct ks_item_result {
    uint64_t tag;
    ks_code code;
    ks_bytes response;
    ks_bytes text;
    struct ks_view views[KS_OPERATION_KEYS_MAX];
    size_t view_count; /* as sent; only the first KS_OPERATION_KEYS_MAX are in views */
    struct ks_item_detail {
        ks_bytes name;
        ks_bytes value;
    } details[KS_ITEM_DETAILS_MAX];
    size_t detail_count;
};

/* Checks that message is an ExecuteResponse. Fails: VALIDATION (it is not one). */
KS_MUST_USE ks_result ks_item_check_response(ks_bytes message);

/*
 * Reads the time that a checked response begins with. Returns false if it begins with a result, or
 * is empty; ret_time_ms is then unchanged.
 */
bool ks_item_response_time(ks_bytes message, int64_t *ret_time_ms);

/*
 * Takes the next result off the front of a checked response. Returns false at the end; ret_result
 * is then unspecified. A code that no row of KS_RESULTS has is read as INTERNAL.
 */
bool ks_item_next_result(ks_bytes *rest, struct ks_item_result *ret_result);
