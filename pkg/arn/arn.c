#include "pkg/arn/arn.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define PREFIX "arn:"

/* An ARN taken apart; the resource may hold colons of its own. */
struct parts {
    ks_bytes partition;
    ks_bytes service;
    ks_bytes region;
    ks_bytes account;
    ks_bytes resource;
};

static void check_home(const struct ks_arn_home *home)
{
    assert(ks_partition_is_valid(ks_bytes_of(home->partition)));
    assert(ks_is_region(ks_bytes_of(home->region)));
    assert(ks_is_account(ks_bytes_of(home->account)));
}

void ks_arn_of_key(const struct ks_arn_home *home, const char *key_id, struct ks_arn *ret_arn)
{
    check_home(home);
    assert(ks_key_id_is_valid(ks_bytes_of(key_id)));

    (void)snprintf(ret_arn->text, sizeof(ret_arn->text), "arn:%s:kms:%s:%s:key/%s", home->partition,
                   home->region, home->account, key_id);
}

void ks_arn_of_alias(const struct ks_arn_home *home, const char *alias, struct ks_arn *ret_arn)
{
    check_home(home);
    assert(ks_alias_is_valid(ks_bytes_of(alias)));

    (void)snprintf(ret_arn->text, sizeof(ret_arn->text), "arn:%s:kms:%s:%s:%s", home->partition,
                   home->region, home->account, alias);
}

void ks_arn_of_user(const char *partition, const char *account, const char *user,
                    struct ks_arn *ret_arn)
{
    assert(ks_partition_is_valid(ks_bytes_of(partition)));
    assert(ks_is_account(ks_bytes_of(account)));
    assert(ks_user_name_is_valid(ks_bytes_of(user)));

    (void)snprintf(ret_arn->text, sizeof(ret_arn->text), "arn:%s:iam::%s:user/%s", partition,
                   account, user);
}

void ks_arn_of_root(const char *partition, const char *account, struct ks_arn *ret_arn)
{
    assert(ks_partition_is_valid(ks_bytes_of(partition)));
    assert(ks_is_account(ks_bytes_of(account)));

    (void)snprintf(ret_arn->text, sizeof(ret_arn->text), "arn:%s:iam::%s:root", partition, account);
}

/* Takes the part before the next colon off the front of *rest. */
static bool take_part(ks_bytes *rest, ks_bytes *ret_part)
{
    const uint8_t *colon = rest->len > 0 ? memchr(rest->ptr, ':', rest->len) : NULL;
    if (!colon) {
        return false;
    }
    size_t len = (size_t)(colon - rest->ptr);
    *ret_part = (ks_bytes){rest->ptr, len};
    *rest = (ks_bytes){colon + 1, rest->len - len - 1};
    return true;
}

static ks_bytes without(ks_bytes text, size_t prefix_len)
{
    return (ks_bytes){text.ptr + prefix_len, text.len - prefix_len};
}

static bool split(ks_bytes text, struct parts *parts)
{
    ks_bytes rest = without(text, strlen(PREFIX));
    bool whole = take_part(&rest, &parts->partition) && take_part(&rest, &parts->service) &&
                 take_part(&rest, &parts->region) && take_part(&rest, &parts->account);
    parts->resource = rest;
    return whole && ks_partition_is_valid(parts->partition) && ks_is_account(parts->account);
}

static ks_result parse_key_arn(ks_bytes text, struct ks_key_ref *ret_ref)
{
    struct parts parts;
    bool ours = split(text, &parts) && ks_bytes_equal(parts.service, KS_LITERAL("kms")) &&
                ks_is_region(parts.region);
    if (!ours) {
        return KS_RES(INVALID_ARN);
    }
    struct ks_key_ref ref = {
        .partition = parts.partition, .region = parts.region, .account = parts.account};
    ks_bytes key = KS_LITERAL("key/");
    if (ks_bytes_starts_with(parts.resource, key)) {
        ref.kind = KS_KEY_REF_ARN;
        ref.name = without(parts.resource, key.len);
    } else {
        ref.kind = KS_KEY_REF_ALIAS_ARN;
        ref.name = parts.resource;
    }
    bool named =
        ref.kind == KS_KEY_REF_ARN ? ks_key_id_is_valid(ref.name) : ks_alias_is_valid(ref.name);
    if (!named) {
        return KS_RES(INVALID_ARN);
    }
    *ret_ref = ref;
    return KS_RES(OK);
}

ks_result ks_key_ref_parse(ks_bytes text, struct ks_key_ref *ret_ref)
{
    if (ks_bytes_starts_with(text, KS_LITERAL(PREFIX))) {
        return parse_key_arn(text, ret_ref);
    }
    if (ks_alias_is_valid(text)) {
        *ret_ref = (struct ks_key_ref){.kind = KS_KEY_REF_ALIAS, .name = text};
        return KS_RES(OK);
    }
    if (ks_key_id_is_valid(text)) {
        *ret_ref = (struct ks_key_ref){.kind = KS_KEY_REF_ID, .name = text};
        return KS_RES(OK);
    }
    return KS_RES(NOT_FOUND);
}

bool ks_key_ref_is_alias(const struct ks_key_ref *ref)
{
    return ref->kind == KS_KEY_REF_ALIAS || ref->kind == KS_KEY_REF_ALIAS_ARN;
}

ks_result ks_principal_parse(ks_bytes text, struct ks_principal *ret_principal)
{
    struct parts parts;
    ks_bytes user = KS_LITERAL("user/");
    bool ours = ks_bytes_starts_with(text, KS_LITERAL(PREFIX)) && split(text, &parts) &&
                ks_bytes_equal(parts.service, KS_LITERAL("iam")) && parts.region.len == 0;
    if (!ours) {
        return KS_RES(INVALID_ARN);
    }
    struct ks_principal principal = {.partition = parts.partition, .account = parts.account};
    if (ks_bytes_equal(parts.resource, KS_LITERAL("root"))) {
        principal.kind = KS_PRINCIPAL_ROOT;
    } else if (ks_bytes_starts_with(parts.resource, user) &&
               ks_user_name_is_valid(without(parts.resource, user.len))) {
        principal.kind = KS_PRINCIPAL_USER;
        principal.name = without(parts.resource, user.len);
    } else {
        return KS_RES(INVALID_ARN);
    }
    *ret_principal = principal;
    return KS_RES(OK);
}
