/*
 * limits: how large the messages of KeystoreService.Execute may be (internal.proto). Frontends and
 * keystores both take the numbers from here: a message that one side may write is a message that
 * the other side reads.
 *
 * Threads: none; constants.
 */
#pragma once

/* An Item, without the head of the field that it stands in. The largest request has 450 KiB. */
#define KS_EXECUTE_ITEM_MAX (1024U * 1024U) /* bytes, the tag counted */
#define KS_EXECUTE_TAG_MAX  11U             /* bytes: a field's head and a varint of 64 bits */
/* An Item before it has its tag: with any tag it is no longer than KS_EXECUTE_ITEM_MAX. */
#define KS_EXECUTE_BODY_MAX (KS_EXECUTE_ITEM_MAX - KS_EXECUTE_TAG_MAX) /* bytes */

/* An ExecuteRequest. */
#define KS_EXECUTE_ITEMS_MAX      256U
#define KS_EXECUTE_REQUEST_ENOUGH (1024U * 1024U) /* bytes after which it takes no more items */
#define KS_EXECUTE_FIELD_HEAD_MAX 6U              /* bytes: field number and length of an element */
#define KS_EXECUTE_REQUEST_MAX                                                                     \
    (KS_EXECUTE_REQUEST_ENOUGH + KS_EXECUTE_FIELD_HEAD_MAX + KS_EXECUTE_ITEM_MAX) /* bytes */

/* An ExecuteResponse. */
#define KS_EXECUTE_RESULTS_MAX       256U
#define KS_EXECUTE_RESULT_FIELDS_MAX 640U /* fields of an ItemResult and of all messages within */
#define KS_EXECUTE_RESPONSE_FIELDS_MAX                                                             \
    (KS_EXECUTE_RESULTS_MAX * (1U + KS_EXECUTE_RESULT_FIELDS_MAX) + 1U) /* and the time */
#define KS_EXECUTE_RESPONSE_MAX (4U * 1024U * 1024U)                    /* bytes */
