#include "pkg/authorize/case.h"

#include <assert.h>
#include <stdio.h>

#include "pkg/operation/elements.h"

static ks_bytes text_of(bool value)
{
    return value ? KS_LITERAL("true") : KS_LITERAL("false");
}

/* There is room for all that an operation's members can say: KS_OPERATION_FACTS_MAX. */
static void add(struct ks_case *c, const char *key, ks_bytes name, ks_bytes value)
{
    assert(c->fact_count < KS_CASE_FACTS_MAX);

    c->facts[c->fact_count++] = (struct ks_policy_fact){ks_bytes_of(key), name, value};
}

/* The value of a member that has one. */
static ks_bytes value_of(struct ks_case *c, const struct ks_question *question, size_t index)
{
    const struct ks_member *member = &question->operation->members[index];
    int32_t number = question->checked->numbers[index];
    switch (member->type) {
    case KS_MEMBER_FLAG:
        return text_of(number != 0);
    case KS_MEMBER_ENUM:
        return ks_member_value_name(member, number);
    case KS_MEMBER_NUMBER:
        (void)snprintf(c->numbers[index], sizeof(c->numbers[index]), "%d", number);
        return ks_bytes_of(c->numbers[index]);
    default:
        return question->checked->values[index];
    }
}

static void add_texts(struct ks_case *c, const struct ks_member *member, ks_bytes run)
{
    ks_bytes text;
    while (ks_elements_next_text(member, &run, &text)) {
        add(c, member->condition.key, (ks_bytes){0}, text);
    }
}

static void add_names(struct ks_case *c, const struct ks_member *member, ks_bytes run)
{
    struct ks_numbers numbers = {.run = run};
    int32_t number;
    while (ks_elements_next_number(member, &numbers, &number)) {
        add(c, member->condition.key, (ks_bytes){0}, ks_member_value_name(member, number));
    }
}

static void add_pairs(struct ks_case *c, const struct ks_member *member, ks_bytes run)
{
    struct ks_pair pair;
    while (ks_elements_next_pair(member, &run, &pair)) {
        add(c, member->condition.key, pair.key, pair.value);
        if (member->condition.names) {
            add(c, member->condition.names, (ks_bytes){0}, pair.key);
        }
    }
}

static void add_absence(struct ks_case *c, const struct ks_member *member)
{
    if (member->if_absent) {
        add(c, member->condition.key, (ks_bytes){0}, ks_bytes_of(member->if_absent));
    } else if (member->type == KS_MEMBER_FLAG) {
        add(c, member->condition.key, (ks_bytes){0}, text_of(false));
    }
}

static void add_member(struct ks_case *c, const struct ks_question *question, size_t index)
{
    const struct ks_member *member = &question->operation->members[index];
    ks_bytes run = question->checked->values[index];
    if (!ks_checked_has(question->checked, (uint8_t)index)) {
        add_absence(c, member);
        return;
    }
    switch (member->type) {
    case KS_MEMBER_ENUMS:
        add_names(c, member, run);
        return;
    case KS_MEMBER_TEXTS:
        add_texts(c, member, run);
        return;
    case KS_MEMBER_TAGS:
    case KS_MEMBER_CONTEXT:
        add_pairs(c, member, run);
        return;
    default:
        add(c, member->condition.key, (ks_bytes){0}, value_of(c, question, index));
    }
}

static void add_members(struct ks_case *c, const struct ks_question *question,
                        const struct ks_resource *resource)
{
    for (size_t i = 0; i < question->operation->member_count; i++) {
        const struct ks_condition *condition = &question->operation->members[i].condition;
        bool concerned = condition->about == KS_MEMBER_NONE || condition->about == resource->member;
        if (condition->key && concerned) {
            add_member(c, question, i);
        }
    }
}

/* A key that is not there is the same as no other. */
static void add_sameness(struct ks_case *c, const struct ks_question *question)
{
    const char *key = question->operation->same_key_condition;
    if (key) {
        ks_bytes first = ks_facts_find(&question->keys[0], KS_FACT_KEY_ARN);
        ks_bytes second = ks_facts_find(&question->keys[1], KS_FACT_KEY_ARN);
        add(c, key, (ks_bytes){0}, text_of(first.len > 0 && ks_bytes_equal(first, second)));
    }
}

static void concern_key(const struct ks_question *question, size_t index, struct ks_case *c)
{
    const struct ks_key_naming *key = &question->checked->keys[index];
    const struct ks_facts *known = &question->keys[index];
    c->request.resource = KS_POLICY_KEY;
    c->request.resource_account = key->account;
    c->request.resource_arn = ks_facts_find(known, KS_FACT_KEY_ARN);
    c->request.key_policy = ks_facts_find(known, KS_FACT_KEY_POLICY);
    c->request.of_resource = (struct ks_policy_facts){known->items, known->count};
    if (ks_bytes_starts_with(key->name, KS_LITERAL(KS_ALIAS_PREFIX))) {
        add(c, KS_FACT_REQUEST_ALIAS, (ks_bytes){0}, key->name);
    }
}

static void concern_alias(const struct ks_question *question, uint8_t member, struct ks_case *c)
{
    ks_bytes name = question->checked->values[member];
    char account[KS_ACCOUNT_LEN + 1];
    char alias[KS_ALIAS_LEN_MAX + 1];
    (void)snprintf(account, sizeof(account), "%.*s", (int)question->account.len,
                   (const char *)question->account.ptr);
    (void)snprintf(alias, sizeof(alias), "%.*s", (int)name.len, (const char *)name.ptr);
    const struct ks_arn_home home = {question->home->partition, question->home->region, account};
    ks_arn_of_alias(&home, alias, &c->arn);
    c->request.resource = KS_POLICY_ALIAS;
    c->request.resource_account = question->account;
    c->request.resource_arn = ks_bytes_of(c->arn.text);
}

void ks_case_of(const struct ks_question *question, const struct ks_resource *resource,
                size_t key_index, struct ks_case *ret_case)
{
    struct ks_case *c = ret_case;
    c->fact_count = 0;
    c->request = (struct ks_policy_request){
        .action = ks_bytes_of(resource->action),
        .principal_arn = question->principal,
        .principal_account = question->account,
        .resource = KS_POLICY_ACCOUNT,
    };
    add(c, KS_FACT_CALLER_ACCOUNT, (ks_bytes){0}, question->account);
    add_members(c, question, resource);
    add_sameness(c, question);
    if (resource->type == KS_RESOURCE_KEY) {
        concern_key(question, key_index, c);
    } else if (resource->type == KS_RESOURCE_ALIAS) {
        concern_alias(question, resource->member, c);
    }
    c->request.of_request = (struct ks_policy_facts){c->facts, c->fact_count};
}
