/* CreateKey, DescribeKey and what changes a key; exactly once. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/codec/wire.h"
#include "pkg/record/record.h"
#include "pkg/store/store_fixture.h"
#include "proto/keystead/internal/v1/limits.h"
#include "services/keystore/execute/execute.h"
#include "services/keystore/fixture/key_fixture.h"
#include "services/keystore/operations/table.h"
#include "services/keystore/records/name.h"
#include "services/keystore/worker/sync.h"
#include "tests/harness/gauge.h"

#define MS_PER_DAY (24LL * 3600 * 1000)

/* A cell that has room for two more keys. */
static int set_up_small(void **state)
{
    (void)state;
    cell_start(&cell, 3);
    cell_wait_ready(&cell);
    cell_create_key(&cell, key_id);
    return 0;
}

/* The state of the key, as DescribeKey tells it. */
static int state_of(const char *id)
{
    CELL_ANSWER_AUTO answer = cell_on_key(&cell, OP(DESCRIBE_KEY), id);
    expect(&answer, "OK");
    return (int)((KMS(DescribeKeyResponse) *)answer.response)->key_metadata->key_state;
}

static void do_on_key(uint32_t operation, const char *code)
{
    CELL_ANSWER_AUTO answer = cell_on_key(&cell, operation, key_id);
    expect(&answer, code);
}

static struct cell_answer create(const KMS(CreateKeyRequest) * message, const char *request_id)
{
    const struct cell_request request = {.operation = OP(CREATE_KEY),
                                         .request_id = request_id,
                                         .message = &message->base,
                                         .response_type = KMS_TYPE(create_key_response)};
    return cell_call(&cell, &request);
}

static void every_operation_has_a_handler(void **state)
{
    (void)state;
    for (size_t i = 0; i < ks_operation_count; i++) {
        if (!ks_operations[i]->entry) {
            assert_non_null(ks_run_of(ks_operations[i]->number));
        }
    }
    assert_null(ks_run_of(0));
    assert_null(ks_run_of(KS_OPERATION_NUMBER_MAX + 1));
}

static void a_new_key_is_described_as_it_was_made(void **state)
{
    (void)state;
    KMS(Tag) tag = KMS_NEW(TAG);
    tag.tag_key = ks_lend_text("team");
    tag.tag_value_presence_case = KMS_ENUM(TAG__TAG_VALUE_PRESENCE_TAG_VALUE);
    tag.tag_value = ks_lend_text("a");
    KMS(Tag) * tags[] = {&tag};
    KMS(CreateKeyRequest) message = KMS_NEW(CREATE_KEY_REQUEST);
    message.description = ks_lend_text("for files");
    message.tags = tags;
    message.n_tags = 1;
    CELL_ANSWER_AUTO made = create(&message, NULL);
    expect(&made, "OK");
    const KMS(KeyMetadata) *at_first =
        ((const KMS(CreateKeyResponse) *)made.response)->key_metadata;

    CELL_ANSWER_AUTO described = cell_on_key(&cell, OP(DESCRIBE_KEY), at_first->key_id);

    expect(&described, "OK");
    const KMS(KeyMetadata) *later =
        ((const KMS(DescribeKeyResponse) *)described.response)->key_metadata;
    assert_string_equal(later->aws_account_id, CELL_ACCOUNT);
    assert_string_equal(later->description, "for files");
    assert_string_equal(later->arn, at_first->arn);
    assert_true(later->enabled);
    assert_int_equal(later->key_state, KMS_ENUM(KEY_STATE__KEY_STATE_ENABLED));
    assert_int_equal(later->creation_date->seconds, at_first->creation_date->seconds);
    assert_int_equal(later->n_encryption_algorithms, 1);
    assert_null(later->deletion_date);
    assert_string_equal(later->current_key_material_id, at_first->current_key_material_id);
}

static struct cell_answer describe_as(const char *description)
{
    KMS(UpdateKeyDescriptionRequest) message = KMS_NEW(UPDATE_KEY_DESCRIPTION_REQUEST);
    message.key_id = key_id;
    message.description_presence_case =
        KMS_ENUM(UPDATE_KEY_DESCRIPTION_REQUEST__DESCRIPTION_PRESENCE_DESCRIPTION);
    message.description = ks_lend_text(description);
    const struct cell_request request = {.operation = OP(UPDATE_KEY_DESCRIPTION),
                                         .message = &message.base};
    return cell_call(&cell, &request);
}

static void a_key_moves_between_its_states_as_aws_says(void **state)
{
    (void)state;
    do_on_key(OP(DISABLE_KEY), "OK");
    do_on_key(OP(DISABLE_KEY), "OK");
    assert_int_equal(state_of(key_id), KMS_ENUM(KEY_STATE__KEY_STATE_DISABLED));
    do_on_key(OP(ENABLE_KEY), "OK");
    do_on_key(OP(ENABLE_KEY), "OK");
    assert_int_equal(state_of(key_id), KMS_ENUM(KEY_STATE__KEY_STATE_ENABLED));
    do_on_key(OP(CANCEL_KEY_DELETION), "INVALID_STATE");
    do_on_key(OP(SCHEDULE_KEY_DELETION), "OK");
    assert_int_equal(state_of(key_id), KMS_ENUM(KEY_STATE__KEY_STATE_PENDING_DELETION));
    do_on_key(OP(ENABLE_KEY), "INVALID_STATE");
    do_on_key(OP(DISABLE_KEY), "INVALID_STATE");
    do_on_key(OP(SCHEDULE_KEY_DELETION), "INVALID_STATE");
    CELL_ANSWER_AUTO described = describe_as("new");
    expect(&described, "INVALID_STATE");
    do_on_key(OP(CANCEL_KEY_DELETION), "OK");
    assert_int_equal(state_of(key_id), KMS_ENUM(KEY_STATE__KEY_STATE_DISABLED));
    CELL_ANSWER_AUTO kept = cell_on_key(&cell, OP(DESCRIBE_KEY), key_id);
    assert_null(((KMS(DescribeKeyResponse) *)kept.response)->key_metadata->deletion_date);
}

#define UNSAID (-1)

static struct cell_answer schedule(int32_t days)
{
    KMS(ScheduleKeyDeletionRequest) message = KMS_NEW(SCHEDULE_KEY_DELETION_REQUEST);
    message.key_id = key_id;
    message.pending_window_in_days_presence_case = days == UNSAID ? 0 : 2;
    message.pending_window_in_days = days;
    const struct cell_request request = {.operation = OP(SCHEDULE_KEY_DELETION),
                                         .message = &message.base,
                                         .response_type = KMS_TYPE(schedule_key_deletion_response)};
    return cell_call(&cell, &request);
}

static void a_deletion_is_7_to_30_days_ahead(void **state)
{
    (void)state;
    static const struct {
        int32_t days;
        const char *code;
    } rows[] = {{6, "VALIDATION"}, {0, "VALIDATION"}, {7, "OK"}, {30, "OK"}, {31, "VALIDATION"}};
    CELL_ANSWER_AUTO unsaid = schedule(UNSAID);
    expect(&unsaid, "OK");
    assert_int_equal(((KMS(ScheduleKeyDeletionResponse) *)unsaid.response)->pending_window_in_days,
                     30);
    do_on_key(OP(CANCEL_KEY_DELETION), "OK");
    for (size_t i = 0; i < KS_COUNT(rows); i++) {
        CELL_ANSWER_AUTO answer = schedule(rows[i].days);
        expect(&answer, rows[i].code);
        if (answer.code == KS_OK) {
            const KMS(ScheduleKeyDeletionResponse) *response =
                (const KMS(ScheduleKeyDeletionResponse) *)answer.response;
            assert_int_equal(response->pending_window_in_days, rows[i].days);
            assert_non_null(strstr(response->key_id, ":key/"));
            do_on_key(OP(CANCEL_KEY_DELETION), "OK");
        }
    }
}

/* From then on the keystore on duty may be taking the key apart. */
static void a_deletion_cannot_be_cancelled_once_its_date_has_passed(void **state)
{
    (void)state;
    do_on_key(OP(SCHEDULE_KEY_DELETION), "OK");
    cell.ahead_ms = 30 * MS_PER_DAY + 1000;
    do_on_key(OP(CANCEL_KEY_DELETION), "INVALID_STATE");
}

static void a_mutation_takes_no_alias_and_no_key_of_another_account(void **state)
{
    (void)state;
    cell_create_alias(&cell, "alias/a", key_id);
    CELL_ANSWER_AUTO by_alias = cell_on_key(&cell, OP(DISABLE_KEY), "alias/a");
    CELL_ANSWER_AUTO by_alias_arn =
        cell_on_key(&cell, OP(DISABLE_KEY), "arn:aws:kms:" CELL_REGION ":" CELL_ACCOUNT ":alias/a");
    char arn[128];
    snprintf(arn, sizeof(arn), "arn:aws:kms:%s:%s:key/%s", CELL_REGION, CELL_OTHER, key_id);
    CELL_ANSWER_AUTO foreign = cell_on_key(&cell, OP(DISABLE_KEY), arn);

    expect(&by_alias, "NOT_FOUND");
    expect(&by_alias_arn, "INVALID_ARN");
    expect(&foreign, "ACCESS_DENIED");
}

static struct cell_answer with_tags(const char *first, const char *second, const char *value)
{
    KMS(Tag) one = KMS_NEW(TAG);
    KMS(Tag) two = KMS_NEW(TAG);
    one.tag_key = ks_lend_text(first);
    one.tag_value_presence_case = KMS_ENUM(TAG__TAG_VALUE_PRESENCE_TAG_VALUE);
    one.tag_value = ks_lend_text(value);
    two.tag_key = ks_lend_text(second);
    two.tag_value_presence_case = KMS_ENUM(TAG__TAG_VALUE_PRESENCE_TAG_VALUE);
    two.tag_value = ks_lend_text("");
    KMS(Tag) * tags[] = {&one, &two};
    KMS(CreateKeyRequest) message = KMS_NEW(CREATE_KEY_REQUEST);
    message.tags = tags;
    message.n_tags = 2;
    return create(&message, NULL);
}

static void tags_keep_their_limits(void **state)
{
    (void)state;
    char long_key[130];
    char long_value[258];
    memset(long_key, 'k', 129);
    long_key[129] = '\0';
    memset(long_value, 'v', 257);
    long_value[257] = '\0';
    CELL_ANSWER_AUTO twice = with_tags("a", "a", "");
    CELL_ANSWER_AUTO reserved = with_tags("a", "aws:x", "");
    CELL_ANSWER_AUTO empty = with_tags("a", "", "");
    CELL_ANSWER_AUTO key = with_tags(long_key, "b", "");
    CELL_ANSWER_AUTO value = with_tags("a", "b", long_value);

    expect(&twice, "TAG");
    assert_string_equal(twice.text, "Duplicate tag keys");
    expect(&reserved, "TAG");
    assert_string_equal(reserved.text, "Tags beginning with aws: are reserved");
    expect(&empty, "VALIDATION");
    expect(&key, "VALIDATION");
    assert_non_null(strstr(key.text, "'tags.1.member.tagKey'"));
    expect(&value, "VALIDATION");
    assert_non_null(strstr(value.text, "'tags.1.member.tagValue'"));
}

static void a_policy_is_the_default_one_or_none(void **state)
{
    (void)state;
    static const struct {
        const char *policy;
        const char *code;
    } rows[] = {
        {"{\"Version\":\"2012-10-17\",\"Id\":\"key-default-1\",\"Statement\":[{\"Sid\":\"Enable IAM "
         "User Permissions\",\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"arn:aws:iam::" CELL_ACCOUNT
         ":root\"},\"Action\":\"kms:*\",\"Resource\":\"*\"}]}",
         "OK"},
        {"{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":["
         "\"arn:aws:iam::" CELL_OTHER ":root\"]},\"Action\":\"kms:*\",\"Resource\":\"*\"}}",
         "UNSUPPORTED"},
        {"{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Deny\",\"Principal\":{\"AWS\":"
         "\"arn:aws:iam::" CELL_ACCOUNT ":root\"},\"Action\":\"kms:*\",\"Resource\":\"*\"}}",
         "UNSUPPORTED"},
        {"not json", "UNSUPPORTED"},
    };
    for (size_t i = 0; i < KS_COUNT(rows); i++) {
        KMS(CreateKeyRequest) message = KMS_NEW(CREATE_KEY_REQUEST);
        message.policy_presence_case = KMS_ENUM(CREATE_KEY_REQUEST__POLICY_PRESENCE_POLICY);
        message.policy = ks_lend_text(rows[i].policy);
        CELL_ANSWER_AUTO answer = create(&message, NULL);
        expect(&answer, rows[i].code);
    }
}

/* The text goes on with all specs that there are, SYMMETRIC_DEFAULT first. */
static void a_spec_that_there_is_not_is_refused(void **state)
{
    (void)state;
    static const char begin[] = "1 validation error detected: Value '999' at 'keySpec' failed to "
                                "satisfy constraint: Member must satisfy enum value set: "
                                "[SYMMETRIC_DEFAULT";
    KMS(CreateKeyRequest) message = KMS_NEW(CREATE_KEY_REQUEST);
    message.key_spec = (KMS(KeySpec))999;
    CELL_ANSWER_AUTO answer = create(&message, NULL);

    expect(&answer, "VALIDATION");
    assert_memory_equal(answer.text, begin, sizeof(begin) - 1);
}

static void a_description_has_up_to_8192_characters(void **state)
{
    (void)state;
    char *text = ks_alloc(1, 2 * 8193 + 1);
    for (size_t i = 0; i < 8193; i++) {
        memcpy(text + 2 * i, "\xc3\xa9", 2); /* é: limits count characters */
    }
    KMS(UpdateKeyDescriptionRequest) message = KMS_NEW(UPDATE_KEY_DESCRIPTION_REQUEST);
    message.key_id = key_id;
    message.description_presence_case =
        KMS_ENUM(UPDATE_KEY_DESCRIPTION_REQUEST__DESCRIPTION_PRESENCE_DESCRIPTION);
    message.description = text;
    const struct cell_request request = {.operation = OP(UPDATE_KEY_DESCRIPTION),
                                         .message = &message.base};
    CELL_ANSWER_AUTO more = cell_call(&cell, &request);
    text[2 * 8192] = '\0';
    CELL_ANSWER_AUTO most = cell_call(&cell, &request);
    CELL_ANSWER_AUTO again = cell_call(&cell, &request);
    ks_free(text);

    expect(&more, "VALIDATION");
    expect(&most, "OK");
    expect(&again, "OK");
}

/* The quota of this test's cell is 3, and one key is there. */
static void an_account_has_so_many_keys_and_no_more(void **state)
{
    (void)state;
    char id[37];
    cell_create_key(&cell, id);
    cell_create_key(&cell, id);
    KMS(CreateKeyRequest) message = KMS_NEW(CREATE_KEY_REQUEST);
    CELL_ANSWER_AUTO more = create(&message, NULL);
    expect(&more, "LIMIT_EXCEEDED");

    const struct cell_request other = {
        .operation = OP(CREATE_KEY), .account = CELL_OTHER, .message = &message.base};
    CELL_ANSWER_AUTO elsewhere = cell_call(&cell, &other);
    expect(&elsewhere, "OK");
}

/* The sequence of the review: what changed nothing changes nothing when it is repeated, either. */
static void a_retried_no_op_undoes_nothing_that_others_did_since(void **state)
{
    (void)state;
    KMS(EnableKeyRequest) enable = KMS_NEW(ENABLE_KEY_REQUEST);
    KMS(DisableKeyRequest) disable = KMS_NEW(DISABLE_KEY_REQUEST);
    enable.key_id = key_id;
    disable.key_id = key_id;
    const struct cell_request on = {
        .operation = OP(ENABLE_KEY), .request_id = "on", .message = &enable.base};
    const struct cell_request off = {
        .operation = OP(DISABLE_KEY), .request_id = "off", .message = &disable.base};

    CELL_ANSWER_AUTO no_op = cell_call(&cell, &on);
    expect(&no_op, "OK");
    do_on_key(OP(DISABLE_KEY), "OK");
    CELL_ANSWER_AUTO repeated = cell_call(&cell, &on);
    expect(&repeated, "OK");
    assert_int_equal(state_of(key_id), KMS_ENUM(KEY_STATE__KEY_STATE_DISABLED));

    CELL_ANSWER_AUTO no_op_too = cell_call(&cell, &off);
    expect(&no_op_too, "OK");
    do_on_key(OP(ENABLE_KEY), "OK");
    CELL_ANSWER_AUTO repeated_too = cell_call(&cell, &off);
    expect(&repeated_too, "OK");
    assert_int_equal(state_of(key_id), KMS_ENUM(KEY_STATE__KEY_STATE_ENABLED));
}

static ks_code describe_once(const char *description, const char *request_id)
{
    KMS(UpdateKeyDescriptionRequest) message = KMS_NEW(UPDATE_KEY_DESCRIPTION_REQUEST);
    message.key_id = key_id;
    message.description_presence_case =
        KMS_ENUM(UPDATE_KEY_DESCRIPTION_REQUEST__DESCRIPTION_PRESENCE_DESCRIPTION);
    message.description = ks_lend_text(description);
    const struct cell_request request = {.operation = OP(UPDATE_KEY_DESCRIPTION),
                                         .request_id = request_id,
                                         .message = &message.base};
    CELL_ANSWER_AUTO answer = cell_call(&cell, &request);
    return answer.code;
}

static void a_retried_description_that_stood_stays_replaced(void **state)
{
    (void)state;
    assert_int_equal(describe_once("a", "first"), KS_OK);
    assert_int_equal(describe_once("a", "no-op"), KS_OK);
    assert_int_equal(describe_once("b", "other"), KS_OK);

    assert_int_equal(describe_once("a", "no-op"), KS_OK);
    assert_int_equal(describe_once("c", "no-op"), KS_CONFLICT); /* promise 3: other parameters */

    CELL_ANSWER_AUTO answer = cell_on_key(&cell, OP(DESCRIBE_KEY), key_id);
    assert_string_equal(((KMS(DescribeKeyResponse) *)answer.response)->key_metadata->description,
                        "b");
}

static void refusals_are_not_stored(void **state)
{
    (void)state;
    const struct cell_request cancel = {.operation = OP(CANCEL_KEY_DELETION),
                                        .request_id = "cancel"};
    KMS(CancelKeyDeletionRequest) message = KMS_NEW(CANCEL_KEY_DELETION_REQUEST);
    message.key_id = key_id;
    struct cell_request request = cancel;
    request.message = &message.base;
    CELL_ANSWER_AUTO refused = cell_call(&cell, &request);
    do_on_key(OP(SCHEDULE_KEY_DELETION), "OK");
    CELL_ANSWER_AUTO done = cell_call(&cell, &request);

    expect(&refused, "INVALID_STATE");
    expect(&done, "OK");
}

static void the_same_request_id_of_another_operation_is_another_request(void **state)
{
    (void)state;
    KMS(DisableKeyRequest) disable = KMS_NEW(DISABLE_KEY_REQUEST);
    disable.key_id = key_id;
    KMS(EnableKeyRequest) enable = KMS_NEW(ENABLE_KEY_REQUEST);
    enable.key_id = key_id;
    const struct cell_request first = {
        .operation = OP(DISABLE_KEY), .request_id = "r", .message = &disable.base};
    const struct cell_request second = {
        .operation = OP(ENABLE_KEY), .request_id = "r", .message = &enable.base};
    CELL_ANSWER_AUTO disabled = cell_call(&cell, &first);
    CELL_ANSWER_AUTO enabled = cell_call(&cell, &second);

    expect(&disabled, "OK");
    expect(&enabled, "OK");
    assert_int_equal(state_of(key_id), KMS_ENUM(KEY_STATE__KEY_STATE_ENABLED));
}

static void a_request_id_has_a_form(void **state)
{
    (void)state;
    char longest[66];
    memset(longest, 'x', 65);
    longest[65] = '\0';
    KMS(CreateKeyRequest) message = KMS_NEW(CREATE_KEY_REQUEST);
    CELL_ANSWER_AUTO more = create(&message, longest);
    longest[64] = '\0';
    CELL_ANSWER_AUTO most = create(&message, longest);
    CELL_ANSWER_AUTO none = create(&message, "");
    CELL_ANSWER_AUTO odd = create(&message, "a b");

    expect(&more, "VALIDATION");
    expect(&most, "OK");
    expect(&none, "VALIDATION");
    expect(&odd, "VALIDATION");
}

/* Nothing is made before two zones (here: one) hold a domain key. */
static void no_key_is_made_without_a_current_domain_key(void **state)
{
    (void)state;
    ks_worker_stop(cell.worker);
    size_t before = ks_fake_hsm_request_count(cell.hsm);
    int64_t revision = 0;
    {
        KS_STORE_VIEW_AUTO view = {0};
        struct ks_store_record record;
        assert_int_equal(ks_store_peek(cell.store, &view).code, KS_OK);
        assert_int_equal(ks_store_get(&view, KS_NAME_DOMAIN_CURRENT, &record).code, KS_OK);
        revision = record.revision;
    }
    assert_int_equal(fixture_put(cell.store, "domain/current", NULL, revision).code, KS_OK);
    KMS(CreateKeyRequest) message = KMS_NEW(CREATE_KEY_REQUEST);
    CELL_ANSWER_AUTO answer = create(&message, NULL);
    expect(&answer, "UNAVAILABLE");
    assert_int_equal(ks_fake_hsm_request_count(cell.hsm), before);
}

static void *create_in_background(void *argument)
{
    (void)argument;
    KMS(CreateKeyRequest) message = KMS_NEW(CREATE_KEY_REQUEST);
    CELL_ANSWER_AUTO answer = create(&message, "in-background");
    return (void *)(uintptr_t)answer.code;
}

/* Changes nothing in the record but its revision, as a new current generation would. */
static void touch_current(void)
{
    uint8_t value[64];
    KS_CHANGE_AUTO change = {.result = KS_RES(OK)};
    KS_STORE_VIEW_AUTO view = {0};
    struct ks_store_record record;
    assert_int_equal(ks_store_peek(cell.store, &view).code, KS_OK);
    assert_int_equal(ks_store_get(&view, KS_NAME_DOMAIN_CURRENT, &record).code, KS_OK);
    assert_true(record.value.len <= sizeof(value));
    memcpy(value, record.value.ptr, record.value.len);
    change.mutation = (struct ks_store_mutation){
        .ops = {{KS_NAME_DOMAIN_CURRENT, {value, record.value.len}}}, .op_count = 1};
    assert_int_equal(ks_sync_commit(cell.store, &change, NULL).code, KS_OK);
}

/* Another generation is current, all at once. */
static void replace_current(void)
{
    STORED(CurrentDomainKey) current = STORED_NEW(CURRENT_DOMAIN_KEY);
    current.format = KS_RECORD_FORMAT;
    current.generation = 99;
    KS_CHANGE_AUTO change = {.result = KS_RES(OK)};
    ks_change_put(&change, KS_NAME_DOMAIN_CURRENT, &current.base);
    assert_int_equal(ks_sync_commit(cell.store, &change, NULL).code, KS_OK);
}

static uint64_t sent_to_hsm(void)
{
    uint64_t requests;
    uint64_t frames;
    ks_hsm_link_counts(cell.link, &requests, &frames);
    return requests;
}

/*
 * Changes domain/current while a CreateKey waits for the hsm; returns its code.
 * ret_asked  requests that the hsm got meanwhile.
 */
static ks_code create_while(void (*change_current)(void), size_t *ret_asked)
{
    pthread_t thread;
    void *code = NULL;
    ks_worker_stop(cell.worker); /* the keeper asks the hsm, too */
    size_t before = ks_fake_hsm_request_count(cell.hsm);
    uint64_t sent = sent_to_hsm();
    ks_fake_hsm_hang(cell.hsm, true);
    assert_int_equal(pthread_create(&thread, NULL, create_in_background, NULL), 0);
    await_true(sent_to_hsm() > sent);
    change_current();
    ks_fake_hsm_hang(cell.hsm, false);
    pthread_join(thread, &code);
    *ret_asked = ks_fake_hsm_request_count(cell.hsm) - before;
    return (ks_code)(uintptr_t)code;
}

/* A try that meets another change makes no second key in the hsm, and counts none. */
static void a_key_that_was_made_is_kept_over_a_conflict(void **state)
{
    (void)state;
    cell_stop(&cell);
    cell_start(&cell, 1);
    cell_wait_ready(&cell);
    size_t asked = 0;

    assert_int_equal(create_while(touch_current, &asked), KS_OK);

    assert_int_equal(asked, 1);
}

/* Its EKT would be under a generation that may be retired, since a pass found nothing below. */
static void a_key_sealed_under_what_is_no_longer_current_is_sealed_anew(void **state)
{
    (void)state;
    size_t asked = 0;

    /* No hsm has the new generation. */
    assert_int_equal(create_while(replace_current, &asked), KS_UNAVAILABLE);

    assert_int_equal(asked, 2);
}

static void an_undecided_item_gets_the_views_and_a_denied_one_is_denied(void **state)
{
    (void)state;
    KMS(DescribeKeyRequest) message = KMS_NEW(DESCRIBE_KEY_REQUEST);
    message.key_id = key_id;
    uint8_t packed[256];
    INTERNAL(Item) item = INTERNAL_NEW(ITEM);
    item.tag = 7;
    item.operation = OP(DESCRIBE_KEY);
    item.account = ks_lend_text(CELL_ACCOUNT);
    item.request = (ProtobufCBinaryData){protobuf_c_message_pack(&message.base, packed), packed};

    CELL_ANSWER_AUTO undecided = cell_send(&cell, &item, NULL);
    ProtobufCBinaryData version = ks_lend_bytes(undecided.versions[0]);
    item.versions = &version;
    item.n_versions = 1;
    item.decision = INTERNAL_ENUM(DECISION__DECISION_DENY);
    CELL_ANSWER_AUTO denied = cell_send(&cell, &item, NULL);
    do_on_key(OP(DISABLE_KEY), "OK");
    CELL_ANSWER_AUTO stale = cell_send(&cell, &item, NULL);

    expect(&undecided, "STALE_VIEW");
    assert_int_equal(undecided.view_count, 1);
    ks_bytes arn = ks_facts_find(&undecided.facts[0], KS_FACT_KEY_ARN);
    assert_non_null(strstr((const char *)arn.ptr, key_id));
    expect(&denied, "ACCESS_DENIED");
    expect(&stale, "STALE_VIEW");
    assert_false(ks_bytes_equal(stale.versions[0], undecided.versions[0]));
    assert_true(undecided.view_revision > 0);
    assert_true(stale.view_revision > undecided.view_revision); /* frontends keep the newer one */
}

/* AWS KMS: only a key's own account changes it, whatever a policy says. */
static void another_account_changes_nothing_though_the_frontend_allows_it(void **state)
{
    (void)state;
    char arn[128];
    snprintf(arn, sizeof(arn), "arn:aws:kms:%s:%s:key/%s", CELL_REGION, CELL_ACCOUNT, key_id);
    KMS(DisableKeyRequest) message = KMS_NEW(DISABLE_KEY_REQUEST);
    message.key_id = arn;
    uint8_t packed[256];
    INTERNAL(Item) item = INTERNAL_NEW(ITEM);
    item.tag = 7;
    item.operation = OP(DISABLE_KEY);
    item.account = ks_lend_text(CELL_OTHER);
    item.request_id = ks_lend_text("r");
    item.request = (ProtobufCBinaryData){protobuf_c_message_pack(&message.base, packed), packed};
    CELL_ANSWER_AUTO undecided = cell_send(&cell, &item, NULL);
    ProtobufCBinaryData version = ks_lend_bytes(undecided.versions[0]);
    item.versions = &version;
    item.n_versions = undecided.view_count;
    item.decision = INTERNAL_ENUM(DECISION__DECISION_ALLOW);

    CELL_ANSWER_AUTO allowed = cell_send(&cell, &item, NULL);

    expect(&undecided, "STALE_VIEW");
    expect(&allowed, "ACCESS_DENIED");
    assert_int_equal(state_of(key_id), KMS_ENUM(KEY_STATE__KEY_STATE_ENABLED));
}

struct refusal {
    unsigned count;
    uint64_t tag;
    ks_code code;
};

static void note_refusal(void *user, const INTERNAL(ItemResult) * result)
{
    struct refusal *refusal = user;
    refusal->count++;
    refusal->tag = result->tag;
    refusal->code = ks_code_from_number(result->code);
}

/* An Item of that many bytes, padded by a field that nobody knows. */
static void pad_item(uint64_t tag, size_t len, struct ks_buffer *item)
{
    static uint8_t padding[KS_EXECUTE_ITEM_MAX];
    assert_int_equal(ks_wire_put_varint(1, tag, item).code, KS_OK);
    size_t left = len - item->len;
    size_t value_len = left - ks_wire_head_len(1000, left);
    assert_int_equal(ks_wire_put_bytes(1000, (ks_bytes){padding, value_len}, item).code, KS_OK);
    assert_int_equal(item->len, len);
}

/* Many tenants share a stream: whatever can be answered is answered, and does not end it. */
static void an_item_of_any_length_is_answered_by_its_tag(void **state)
{
    (void)state;
    for (size_t len = KS_EXECUTE_ITEM_MAX - 16; len < KS_EXECUTE_ITEM_MAX + 16; len++) {
        KS_BUFFER_AUTO item = {.len_max = KS_EXECUTE_ITEM_MAX + 16};
        pad_item(UINT64_MAX, len, &item);
        struct refusal refusal = {0};

        ks_result taken =
            ks_execute(&cell.env, NULL, ks_buffer_bytes(&item), note_refusal, &refusal);

        assert_int_equal(taken.code, KS_OK);
        assert_int_equal(refusal.count, 1);
        assert_true(refusal.tag == UINT64_MAX);
        assert_int_equal(refusal.code, len > KS_EXECUTE_ITEM_MAX ? KS_VALIDATION : KS_UNSUPPORTED);
    }
}

static void what_is_no_item_is_answered_by_its_tag(void **state)
{
    (void)state;
    static const uint8_t account_is_no_text[] = {0x08, 0x05, 0x1a, 0x01, 0xff};
    static const uint8_t cut_after_the_tag[] = {0x08, 0x05, 0x1a, 0x05};
    static const uint8_t no_tag[] = {0x1a, 0x01, 'a', 0x1a, 0x01, 'b'};
    struct refusal refusal = {0};

    ks_bytes item = {account_is_no_text, sizeof(account_is_no_text)};
    assert_int_equal(ks_execute(&cell.env, NULL, item, note_refusal, &refusal).code, KS_OK);
    assert_int_equal(refusal.tag, 5);
    assert_int_equal(refusal.code, KS_VALIDATION);
    item = (ks_bytes){cut_after_the_tag, sizeof(cut_after_the_tag)};
    assert_int_equal(ks_execute(&cell.env, NULL, item, note_refusal, &refusal).code, KS_OK);
    assert_int_equal(refusal.count, 2);
    item = (ks_bytes){no_tag, sizeof(no_tag)};
    assert_int_equal(ks_execute(&cell.env, NULL, item, note_refusal, &refusal).code, KS_VALIDATION);
    assert_int_equal(refusal.count, 2);
}

/* A frontend that was taken over: the keystore decides again, on its own records. */
static void an_allow_of_the_frontend_alone_opens_nothing(void **state)
{
    (void)state;
    char arn[128];
    snprintf(arn, sizeof(arn), "arn:aws:kms:%s:%s:key/%s", CELL_REGION, CELL_ACCOUNT, key_id);
    KMS(DescribeKeyRequest) message = KMS_NEW(DESCRIBE_KEY_REQUEST);
    message.key_id = arn;
    uint8_t packed[256];
    INTERNAL(Item) item = INTERNAL_NEW(ITEM);
    item.tag = 7;
    item.operation = OP(DESCRIBE_KEY); /* which may name a key of another account */
    item.account = ks_lend_text(CELL_OTHER);
    item.request = (ProtobufCBinaryData){protobuf_c_message_pack(&message.base, packed), packed};
    CELL_ANSWER_AUTO undecided = cell_send(&cell, &item, NULL);
    ProtobufCBinaryData version = ks_lend_bytes(undecided.versions[0]);
    item.versions = &version;
    item.n_versions = undecided.view_count;
    item.decision = INTERNAL_ENUM(DECISION__DECISION_ALLOW);

    CELL_ANSWER_AUTO allowed = cell_send(&cell, &item, NULL);

    expect(&undecided, "STALE_VIEW");
    expect(&allowed, "ACCESS_DENIED");
}

static void what_is_no_item_or_no_operation_is_refused(void **state)
{
    (void)state;
    static const uint8_t garbage[] = {0xff, 0xff, 0xff};
    assert_int_equal(
        ks_execute(&cell.env, NULL, (ks_bytes){garbage, sizeof(garbage)}, NULL, NULL).code,
        KS_VALIDATION);

    INTERNAL(Item) item = INTERNAL_NEW(ITEM);
    item.tag = 7;
    item.account = ks_lend_text(CELL_ACCOUNT);
    CELL_ANSWER_AUTO unknown = cell_send(&cell, &item, NULL);
    item.operation = OP(DESCRIBE_KEY);
    item.account = ks_lend_text("12");
    CELL_ANSWER_AUTO account = cell_send(&cell, &item, NULL);
    item.account = ks_lend_text(CELL_ACCOUNT);
    item.request = ks_lend_bytes((ks_bytes){garbage, sizeof(garbage)});
    CELL_ANSWER_AUTO request = cell_send(&cell, &item, NULL);

    expect(&unknown, "UNSUPPORTED");
    expect(&account, "VALIDATION");
    expect(&request, "VALIDATION");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_small, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation_has_a_handler),
        TEST(a_new_key_is_described_as_it_was_made),
        TEST(a_key_moves_between_its_states_as_aws_says),
        TEST(a_deletion_is_7_to_30_days_ahead),
        TEST(a_deletion_cannot_be_cancelled_once_its_date_has_passed),
        TEST(a_mutation_takes_no_alias_and_no_key_of_another_account),
        TEST(tags_keep_their_limits),
        TEST(a_policy_is_the_default_one_or_none),
        TEST(a_spec_that_there_is_not_is_refused),
        TEST(a_description_has_up_to_8192_characters),
        TEST(an_account_has_so_many_keys_and_no_more),
        TEST(a_retried_no_op_undoes_nothing_that_others_did_since),
        TEST(a_retried_description_that_stood_stays_replaced),
        TEST(refusals_are_not_stored),
        TEST(the_same_request_id_of_another_operation_is_another_request),
        TEST(a_request_id_has_a_form),
        TEST(no_key_is_made_without_a_current_domain_key),
        TEST(a_key_that_was_made_is_kept_over_a_conflict),
        TEST(a_key_sealed_under_what_is_no_longer_current_is_sealed_anew),
        TEST(an_undecided_item_gets_the_views_and_a_denied_one_is_denied),
        TEST(another_account_changes_nothing_though_the_frontend_allows_it),
        TEST(an_item_of_any_length_is_answered_by_its_tag),
        TEST(what_is_no_item_is_answered_by_its_tag),
        TEST(an_allow_of_the_frontend_alone_opens_nothing),
        TEST(what_is_no_item_or_no_operation_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
