#include "services/frontend/api/check.h"

#include <assert.h>
#include <string.h>

#include "pkg/arn/arn.h"
#include "pkg/codec/codec.h"
#include "pkg/codec/utf8.h"
#include "pkg/codec/wire.h"
#include "services/frontend/api/constraint.h"
#include "services/frontend/api/repeated.h"

#define TOKEN_LEN_MAX 8192 /* AWS KMS API: GrantTokenType */
/* An entry of a batch has about ten fields, and two for each pair of its context. */
#define BATCH_FIELDS_MAX 32768U

/* One request that is being looked at. */
struct pass {
    const struct ks_operation *operation;
    const struct ks_home *home;
    const char *account;
    struct ks_refusal *refusal;
    size_t counts[KS_RULES_MAX]; /* how often each member stood */
};

ks_result ks_check_wire(const struct ks_operation *operation, ks_bytes message,
                        struct ks_refusal *refusal)
{
    struct ks_codec_limits limits = {.field_count_max = operation->entry ? BATCH_FIELDS_MAX : 0};
    struct ks_codec_fault fault = {0};
    if (ks_failed(ks_codec_check(operation->request, message, &limits, &fault))) {
        refusal->field = fault.field[0] ? fault.field : NULL;
        return fault.field[0] ? ks_refuse(refusal, KS_VALIDATION, "%s %s", fault.field, fault.what)
                              : ks_refuse(refusal, KS_VALIDATION, "%s", fault.what);
    }
    return KS_RES(OK);
}

static ks_result check_flag(struct pass *pass, const struct ks_rule *rule,
                            const struct ks_wire_field *field)
{
    (void)pass;
    (void)rule;
    (void)field;
    return KS_RES(OK);
}

static ks_result check_length(struct pass *pass, const struct ks_rule *rule, size_t len,
                              ks_bytes shown)
{
    struct ks_member member = {rule->member, shown};
    if (len > (size_t)rule->max) {
        return ks_refuse_length(pass->refusal, &member, KS_AT_MOST, rule->max);
    }
    if (len < (size_t)rule->min) {
        return ks_refuse_length(pass->refusal, &member, KS_AT_LEAST, rule->min);
    }
    return KS_RES(OK);
}

static ks_result check_text(struct pass *pass, const struct ks_rule *rule,
                            const struct ks_wire_field *field)
{
    return check_length(pass, rule, ks_utf8_count(field->bytes), field->bytes);
}

static ks_result check_secret(struct pass *pass, const struct ks_rule *rule,
                              const struct ks_wire_field *field)
{
    return check_length(pass, rule, field->bytes.len, (ks_bytes){0});
}

static ks_result check_number(struct pass *pass, const struct ks_rule *rule,
                              const struct ks_wire_field *field)
{
    int32_t value = (int32_t)(uint32_t)field->value;
    if (value > rule->max) {
        return ks_refuse_number(pass->refusal, rule->member, value, KS_AT_MOST, rule->max);
    }
    if (value < rule->min) {
        return ks_refuse_number(pass->refusal, rule->member, value, KS_AT_LEAST, rule->min);
    }
    return KS_RES(OK);
}

static ks_result check_enum(struct pass *pass, const struct ks_rule *rule,
                            const struct ks_wire_field *field)
{
    int32_t value = (int32_t)(uint32_t)field->value;
    return value >= rule->min && value <= rule->max
               ? KS_RES(OK)
               : ks_refuse_enum(pass->refusal, rule->member, value, rule->set);
}

static ks_result check_token(struct pass *pass, const struct ks_rule *rule,
                             const struct ks_wire_field *field)
{
    struct ks_member list = {rule->member, {0}};
    if (pass->counts[rule - pass->operation->rules] > (size_t)rule->max) {
        return ks_refuse_length(pass->refusal, &list, KS_AT_MOST, rule->max);
    }
    struct ks_rule token = {.member = rule->member, .min = 1, .max = TOKEN_LEN_MAX};
    return check_length(pass, &token, ks_utf8_count(field->bytes), (ks_bytes){0});
}

static ks_result refuse_arn(struct pass *pass, ks_bytes text)
{
    return ks_refuse(pass->refusal, KS_INVALID_ARN, "Invalid arn %.*s", ks_shown_len(text),
                     (const char *)text.ptr);
}

static ks_result refuse_key(struct pass *pass, ks_bytes text)
{
    return ks_refuse(pass->refusal, KS_NOT_FOUND, "Invalid keyId '%.*s'", ks_shown_len(text),
                     (const char *)text.ptr);
}

/* An ARN of another account is passed on: absent or not, it gets the same answer there. */
static ks_result check_place(struct pass *pass, const struct ks_key_ref *ref, ks_bytes text)
{
    if (ref->account.len == 0) {
        return KS_RES(OK);
    }
    if (!ks_bytes_equal(ref->partition, ks_bytes_of(pass->home->partition))) {
        return refuse_arn(pass, text);
    }
    bool own = ks_bytes_equal(ref->account, ks_bytes_of(pass->account));
    if (own && !ks_bytes_equal(ref->region, ks_bytes_of(pass->home->region))) {
        return ks_refuse(pass->refusal, KS_NOT_FOUND, "Invalid arn %.*s", (int)ref->region.len,
                         (const char *)ref->region.ptr);
    }
    return KS_RES(OK);
}

static ks_result check_key(struct pass *pass, const struct ks_rule *rule,
                           const struct ks_wire_field *field)
{
    ks_bytes text = field->bytes;
    if (text.len == 0 && rule->min == 0) {
        return KS_RES(OK);
    }
    KS_TRY(check_text(pass, rule, field));
    struct ks_key_ref ref;
    ks_result parsed = ks_key_ref_parse(text, &ref);
    if (ks_failed(parsed)) {
        return parsed.code == KS_INVALID_ARN ? refuse_arn(pass, text) : refuse_key(pass, text);
    }
    if (rule->kind == KS_RULE_KEY && ks_key_ref_is_alias(&ref)) {
        return ref.kind == KS_KEY_REF_ALIAS ? refuse_key(pass, text) : refuse_arn(pass, text);
    }
    return check_place(pass, &ref, text);
}

static ks_result check_alias(struct pass *pass, const struct ks_rule *rule,
                             const struct ks_wire_field *field)
{
    KS_TRY(check_text(pass, rule, field));
    if (!ks_bytes_starts_with(field->bytes, KS_LITERAL(KS_ALIAS_PREFIX))) {
        return ks_refuse(pass->refusal, KS_VALIDATION,
                         "Alias must start with the prefix \"alias/\". Please see "
                         "https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html");
    }
    if (!ks_alias_is_valid(field->bytes) || ks_alias_is_reserved(field->bytes)) {
        return ks_refuse_plainly(pass->refusal, KS_INVALID_ALIAS_NAME);
    }
    return KS_RES(OK);
}

static ks_result check_request_id(struct pass *pass, const struct ks_rule *rule,
                                  const struct ks_wire_field *field)
{
    KS_TRY(check_text(pass, rule, field));
    for (size_t i = 0; i < field->bytes.len; i++) {
        uint8_t c = field->bytes.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool other = (c >= '0' && c <= '9') || c == '_' || c == '.' || c == ':' || c == '-';
        if (!letter && !other) {
            return ks_refuse(pass->refusal, KS_VALIDATION,
                             "1 validation error detected: Value at 'requestId' failed to satisfy "
                             "constraint: Member must satisfy regular expression pattern: "
                             "[A-Za-z0-9_.:-]{1,64}");
        }
    }
    return KS_RES(OK);
}

typedef ks_result (*member_check)(struct pass *pass, const struct ks_rule *rule,
                                  const struct ks_wire_field *field);

/* Lists are looked at as a whole, after the members one by one. */
static const member_check member_checks[KS_RULE_KIND_COUNT] = {
    [KS_RULE_FLAG] = check_flag,     [KS_RULE_TEXT] = check_text,
    [KS_RULE_SECRET] = check_secret, [KS_RULE_NUMBER] = check_number,
    [KS_RULE_ENUM] = check_enum,     [KS_RULE_TOKENS] = check_token,
    [KS_RULE_TAGS] = check_flag,     [KS_RULE_CONTEXT] = check_flag,
    [KS_RULE_KEY] = check_key,       [KS_RULE_KEY_OR_ALIAS] = check_key,
    [KS_RULE_ALIAS] = check_alias,   [KS_RULE_REQUEST_ID] = check_request_id,
};

const struct ks_rule *ks_rule_of(const struct ks_operation *operation, uint32_t field)
{
    for (size_t i = 0; i < KS_RULES_MAX && operation->rules[i].field != 0; i++) {
        if (operation->rules[i].field == field) {
            return &operation->rules[i];
        }
    }
    return NULL;
}

static ks_result check_field(struct pass *pass, const struct ks_wire_field *field)
{
    const struct ks_rule *rule = ks_rule_of(pass->operation, field->number);
    if (!rule) {
        return KS_RES(OK);
    }
    pass->counts[rule - pass->operation->rules]++;
    ks_result result = member_checks[rule->kind](pass, rule, field);
    if (ks_failed(result)) {
        pass->refusal->field = rule->member;
    }
    return result;
}

/* What a rule says about the member as a whole: that it is there, and that its list is good. */
static ks_result check_whole(struct pass *pass, const struct ks_rule *rule, ks_bytes message)
{
    size_t count = pass->counts[rule - pass->operation->rules];
    if (rule->kind == KS_RULE_TAGS && count > 0) {
        return ks_check_tags(rule, message, pass->refusal);
    }
    if (rule->kind == KS_RULE_CONTEXT && count > 0) {
        return ks_check_context(rule, message, pass->refusal);
    }
    if (rule->min == 0 || rule->kind == KS_RULE_NUMBER || count > 0) {
        return KS_RES(OK);
    }
    struct ks_member member = {rule->member, {0}};
    return rule->kind == KS_RULE_SECRET
               ? ks_refuse_length(pass->refusal, &member, KS_AT_LEAST, rule->min)
               : ks_refuse_null(pass->refusal, rule->member);
}

static bool has(const struct pass *pass, const char *member)
{
    for (size_t i = 0; member && i < KS_RULES_MAX && pass->operation->rules[i].field != 0; i++) {
        if (strcmp(pass->operation->rules[i].member, member) == 0) {
            return pass->counts[i] > 0;
        }
    }
    return false;
}

static ks_result check_needs(const struct pass *pass)
{
    const struct ks_operation *operation = pass->operation;
    if (!operation->needs || has(pass, operation->needs) != has(pass, operation->needs_or)) {
        return KS_RES(OK);
    }
    pass->refusal->field = operation->needs;
    return ks_refuse(pass->refusal, KS_VALIDATION, "%s", operation->needs_text);
}

ks_result ks_check_members(const struct ks_operation *operation, const struct ks_home *home,
                           const char *account, ks_bytes message, struct ks_refusal *refusal)
{
    assert(!operation->entry);

    struct pass pass = {
        .operation = operation, .home = home, .account = account, .refusal = refusal};
    ks_bytes rest = message;
    while (rest.len > 0) {
        struct ks_wire_field field;
        KS_TRY(ks_wire_next(&rest, &field));
        KS_TRY(check_field(&pass, &field));
    }
    for (size_t i = 0; i < KS_RULES_MAX && operation->rules[i].field != 0; i++) {
        ks_result result = check_whole(&pass, &operation->rules[i], message);
        if (ks_failed(result)) {
            refusal->field = operation->rules[i].member;
            return result;
        }
    }
    return check_needs(&pass);
}
