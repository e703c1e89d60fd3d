#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "keystead/kms/v1/tags.pb-c.h"
#include "pkg/record/marker.h"
#include "services/keystore/fixture/key_fixture.h"

#define TAGS_MAX 50U

static struct cell_answer list(const char *key, int32_t limit, const char *marker)
{
    KMS(ListResourceTagsRequest) message = KMS_NEW(LIST_RESOURCE_TAGS_REQUEST);
    message.key_id = ks_lend_text(key);
    if (limit > 0) {
        message.limit_presence_case = KMS_ENUM(LIST_RESOURCE_TAGS_REQUEST__LIMIT_PRESENCE_LIMIT);
        message.limit = limit;
    }
    if (marker) {
        message.marker_presence_case = KMS_ENUM(LIST_RESOURCE_TAGS_REQUEST__MARKER_PRESENCE_MARKER);
        message.marker = ks_lend_text(marker);
    }
    const struct cell_request request = {.operation = OP(LIST_RESOURCE_TAGS),
                                         .message = &message.base,
                                         .response_type = KMS_TYPE(list_resource_tags_response)};
    return cell_call(&cell, &request);
}

static const KMS(ListResourceTagsResponse) * page_of(const struct cell_answer *answer)
{
    expect(answer, "OK");
    return (const KMS(ListResourceTagsResponse) *)answer->response;
}

static KMS(Tag) tag(const char *key, const char *value)
{
    KMS(Tag) made = KMS_NEW(TAG);
    made.tag_key = ks_lend_text(key);
    made.tag_value_presence_case = KMS_ENUM(TAG__TAG_VALUE_PRESENCE_TAG_VALUE);
    made.tag_value = ks_lend_text(value);
    return made;
}

/* A key with the tags "t00", "t01" and so on, whose values are "v". */
static void create_with_tags(size_t count, char ret_key_id[KS_KEY_ID_LEN + 1])
{
    char names[TAGS_MAX][8];
    KMS(Tag) made[TAGS_MAX];
    KMS(Tag) * tags[TAGS_MAX];
    for (size_t i = 0; i < count; i++) {
        snprintf(names[i], sizeof(names[i]), "t%02u", (unsigned)(count - 1 - i) % TAGS_MAX);
        made[i] = tag(names[i], "v");
        tags[i] = &made[i];
    }
    KMS(CreateKeyRequest) message = KMS_NEW(CREATE_KEY_REQUEST);
    message.tags = tags;
    message.n_tags = count;
    const struct cell_request request = {.operation = OP(CREATE_KEY),
                                         .message = &message.base,
                                         .response_type = KMS_TYPE(create_key_response)};
    CELL_ANSWER_AUTO answer = cell_call(&cell, &request);
    expect(&answer, "OK");
    snprintf(ret_key_id, KS_KEY_ID_LEN + 1, "%s",
             ((KMS(CreateKeyResponse) *)answer.response)->key_metadata->key_id);
}

static void pages_give_every_tag_once_in_order(void **state)
{
    (void)state;
    char tagged[KS_KEY_ID_LEN + 1];
    char marker[KS_MARKER_LEN_MAX + 1] = "";
    size_t seen = 0;
    create_with_tags(TAGS_MAX, tagged);
    do {
        CELL_ANSWER_AUTO answer = list(tagged, 7, marker[0] ? marker : NULL);
        const KMS(ListResourceTagsResponse) *page = page_of(&answer);
        for (size_t i = 0; i < page->n_tags; i++) {
            char expected[8];
            snprintf(expected, sizeof(expected), "t%02u", (unsigned)seen++ % TAGS_MAX);
            assert_string_equal(page->tags[i]->tag_key, expected);
            assert_string_equal(page->tags[i]->tag_value, "v");
        }
        assert_int_equal(page->truncated, seen < TAGS_MAX);
        snprintf(marker, sizeof(marker), "%s", page->next_marker);
    } while (marker[0]);
    assert_int_equal(seen, TAGS_MAX);
}

static void a_key_without_tags_has_an_empty_list(void **state)
{
    (void)state;
    CELL_ANSWER_AUTO answer = list(key_id, 0, NULL);
    assert_int_equal(page_of(&answer)->n_tags, 0);
    assert_false(page_of(&answer)->truncated);
}

static void a_marker_of_another_key_is_refused(void **state)
{
    (void)state;
    char one[KS_KEY_ID_LEN + 1];
    char other[KS_KEY_ID_LEN + 1];
    create_with_tags(2, one);
    create_with_tags(2, other);
    CELL_ANSWER_AUTO page = list(one, 1, NULL);
    CELL_ANSWER_AUTO answer = list(other, 1, page_of(&page)->next_marker);
    expect(&answer, "INVALID_MARKER");
}

static struct cell_answer put_as(const char *request_id, const char *key, const KMS(Tag) * made,
                                 size_t count)
{
    KMS(Tag) * tags[TAGS_MAX + 1];
    for (size_t i = 0; i < count; i++) {
        tags[i] = (KMS(Tag) *)(uintptr_t)&made[i];
    }
    KMS(TagResourceRequest) message = KMS_NEW(TAG_RESOURCE_REQUEST);
    message.key_id = ks_lend_text(key);
    message.tags = tags;
    message.n_tags = count;
    const struct cell_request request = {
        .operation = OP(TAG_RESOURCE), .request_id = request_id, .message = &message.base};
    return cell_call(&cell, &request);
}

static struct cell_answer put(const char *key, const KMS(Tag) * made, size_t count)
{
    return put_as(NULL, key, made, count);
}

static struct cell_answer take_as(const char *request_id, const char *tag_key)
{
    char *keys[] = {ks_lend_text(tag_key)};
    KMS(UntagResourceRequest) message = KMS_NEW(UNTAG_RESOURCE_REQUEST);
    message.key_id = key_id;
    message.tag_keys = keys;
    message.n_tag_keys = 1;
    const struct cell_request request = {
        .operation = OP(UNTAG_RESOURCE), .request_id = request_id, .message = &message.base};
    return cell_call(&cell, &request);
}

/* Retries of what found the key as it wanted it: others have changed the tags since. */
static void a_retried_no_op_leaves_the_tags_of_others(void **state)
{
    (void)state;
    const KMS(Tag) one[] = {tag("a", "1")};
    const KMS(Tag) two[] = {tag("a", "2")};
    CELL_ANSWER_AUTO absent = take_as("take", "a");
    CELL_ANSWER_AUTO made = put(key_id, one, 1);
    CELL_ANSWER_AUTO no_op = put_as("put", key_id, one, 1);
    CELL_ANSWER_AUTO other = put(key_id, two, 1);

    CELL_ANSWER_AUTO taken_again = take_as("take", "a");
    CELL_ANSWER_AUTO put_again = put_as("put", key_id, one, 1);

    expect(&absent, "OK");
    expect(&no_op, "OK");
    expect(&taken_again, "OK");
    expect(&put_again, "OK");
    CELL_ANSWER_AUTO left = list(key_id, 0, NULL);
    assert_int_equal(page_of(&left)->n_tags, 1);
    assert_string_equal(page_of(&left)->tags[0]->tag_value, "2");
    (void)made;
    (void)other;
}

static void a_tag_is_added_or_gets_a_new_value(void **state)
{
    (void)state;
    const KMS(Tag) first[] = {tag("b", "1"), tag("a", "")};
    const KMS(Tag) second[] = {tag("b", "2"), tag("\xea\xb0\x92", "\xc3\xa9")};
    CELL_ANSWER_AUTO put_first = put(key_id, first, 2);
    CELL_ANSWER_AUTO put_second = put(key_id, second, 2);
    CELL_ANSWER_AUTO again = put(key_id, second, 2);
    expect(&put_first, "OK");
    expect(&put_second, "OK");
    expect(&again, "OK");

    CELL_ANSWER_AUTO answer = list(key_id, 0, NULL);

    const KMS(ListResourceTagsResponse) *page = page_of(&answer);
    assert_int_equal(page->n_tags, 3);
    assert_string_equal(page->tags[0]->tag_key, "a");
    assert_string_equal(page->tags[0]->tag_value, "");
    assert_string_equal(page->tags[1]->tag_value, "2");
    assert_string_equal(page->tags[2]->tag_value, "\xc3\xa9");
}

/* AWS KMS: 50 in all; the one too many changes nothing. */
static void a_key_has_50_tags_and_no_more(void **state)
{
    (void)state;
    char tagged[KS_KEY_ID_LEN + 1];
    create_with_tags(TAGS_MAX, tagged);
    const KMS(Tag) one_more[] = {tag("t00", "new"), tag("u", "")};
    const KMS(Tag) another_value[] = {tag("t00", "new")};
    CELL_ANSWER_AUTO refused = put(tagged, one_more, 2);
    expect(&refused, "TAG");
    assert_string_equal(refused.text, "Too many tags");
    CELL_ANSWER_AUTO kept = list(tagged, 1, NULL);
    assert_string_equal(page_of(&kept)->tags[0]->tag_value, "v");

    CELL_ANSWER_AUTO changed = put(tagged, another_value, 1);
    expect(&changed, "OK");
}

static void reserved_tags_and_none_are_refused(void **state)
{
    (void)state;
    const KMS(Tag) reserved[] = {tag("AWS:x", "1")};
    CELL_ANSWER_AUTO refused = put(key_id, reserved, 1);
    CELL_ANSWER_AUTO none = put(key_id, reserved, 0);
    expect(&refused, "TAG");
    expect(&none, "VALIDATION");
}

static void a_key_that_is_to_be_deleted_keeps_its_tags(void **state)
{
    (void)state;
    const KMS(Tag) one[] = {tag("a", "1")};
    CELL_ANSWER_AUTO scheduled = cell_on_key(&cell, OP(SCHEDULE_KEY_DELETION), key_id);
    expect(&scheduled, "OK");
    CELL_ANSWER_AUTO refused = put(key_id, one, 1);
    CELL_ANSWER_AUTO listed = list(key_id, 0, NULL);
    expect(&refused, "INVALID_STATE");
    expect(&listed, "OK");
}

static void tags_are_taken_away_and_absent_ones_passed_over(void **state)
{
    (void)state;
    const KMS(Tag) made[] = {tag("a", "1"), tag("b", "2"), tag("c", "3")};
    char *keys[] = {ks_lend_text("b"), ks_lend_text("absent")};
    CELL_ANSWER_AUTO tagged = put(key_id, made, 3);
    expect(&tagged, "OK");
    KMS(UntagResourceRequest) message = KMS_NEW(UNTAG_RESOURCE_REQUEST);
    message.key_id = key_id;
    message.tag_keys = keys;
    message.n_tag_keys = 2;
    const struct cell_request request = {.operation = OP(UNTAG_RESOURCE), .message = &message.base};

    CELL_ANSWER_AUTO taken = cell_call(&cell, &request);
    CELL_ANSWER_AUTO again = cell_call(&cell, &request);
    CELL_ANSWER_AUTO left = list(key_id, 0, NULL);

    expect(&taken, "OK");
    expect(&again, "OK");
    assert_int_equal(page_of(&left)->n_tags, 2);
    assert_string_equal(page_of(&left)->tags[1]->tag_key, "c");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(pages_give_every_tag_once_in_order),
        TEST(a_key_without_tags_has_an_empty_list),
        TEST(a_marker_of_another_key_is_refused),
        TEST(a_tag_is_added_or_gets_a_new_value),
        TEST(a_key_has_50_tags_and_no_more),
        TEST(reserved_tags_and_none_are_refused),
        TEST(a_key_that_is_to_be_deleted_keeps_its_tags),
        TEST(tags_are_taken_away_and_absent_ones_passed_over),
        TEST(a_retried_no_op_leaves_the_tags_of_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
