#include "services/keystore/operations/default_policy.h"

#include "pkg/arn/arn.h"
#include "pkg/json/json.h"

static bool is_text(const struct ks_json *value, const char *text)
{
    ks_bytes got;
    return !ks_failed(ks_json_text(value, &got)) && ks_bytes_equal(got, ks_bytes_of(text));
}

/* Where AWS takes a value or a list of them, a list of one is that one. */
static const struct ks_json *only(const struct ks_json *value)
{
    return ks_json_is_array(value) && ks_json_count(value) == 1 ? ks_json_at(value, 0) : value;
}

static bool is_root(const struct ks_json *principal, const char *partition, const char *account)
{
    struct ks_arn root;
    ks_arn_of_root(partition, account, &root);
    const struct ks_json *name = only(ks_json_get(principal, "AWS"));
    return is_text(name, root.text) || is_text(name, account);
}

bool ks_policy_is_default(ks_bytes json, const char *partition, const char *account)
{
    KS_JSON_AUTO *document = NULL;
    const struct ks_json_limits limits = {.len_max = KS_POLICY_LEN_MAX};
    if (ks_failed(ks_json_parse(json, limits, &document))) {
        return false;
    }
    const struct ks_json *root = ks_json_root(document);
    const struct ks_json *statement = only(ks_json_get(root, "Statement"));
    return is_text(ks_json_get(root, "Version"), "2012-10-17") &&
           is_text(ks_json_get(statement, "Effect"), "Allow") &&
           is_root(ks_json_get(statement, "Principal"), partition, account) &&
           is_text(only(ks_json_get(statement, "Action")), "kms:*") &&
           is_text(only(ks_json_get(statement, "Resource")), "*") &&
           !ks_json_get(statement, "Condition") && !ks_json_get(statement, "NotPrincipal") &&
           !ks_json_get(statement, "NotAction") && !ks_json_get(statement, "NotResource");
}
