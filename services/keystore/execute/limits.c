#include "services/keystore/execute/limits.h"

#include "pkg/codec/utf8.h"

bool ks_limit_range(struct ks_call *call, const char *member, int64_t value, int64_t min,
                    int64_t max)
{
    if (value < min || value > max) {
        ks_call_fail_range(call, member, value, min, max);
        return false;
    }
    return true;
}

bool ks_limit_length(struct ks_call *call, const char *member, size_t len, size_t max)
{
    if (len == 0 || len > max) {
        ks_call_fail_length(call, member, len, max);
        return false;
    }
    return true;
}

bool ks_limit_grant_tokens(struct ks_call *call, size_t count)
{
    return count == 0 || ks_limit_length(call, "grantTokens", count, KS_LIMIT_GRANT_TOKENS);
}

bool ks_limit_description(struct ks_call *call, const char *description)
{
    size_t count = ks_utf8_count(ks_bytes_of(description));
    return count == 0 || ks_limit_length(call, "description", count, KS_LIMIT_DESCRIPTION);
}

bool ks_limit_enum(struct ks_call *call, const char *member, int value, const char *only)
{
    if (value == 0 || value == 1) {
        return true;
    }
    ks_call_fail_text(call, KS_VALIDATION,
                      "1 validation error detected: Value '%d' at '%s' failed to satisfy "
                      "constraint: Member must satisfy enum value set: [%s]",
                      value, member, only);
    return false;
}

bool ks_limit_algorithm(struct ks_call *call, const char *member, int algorithm)
{
    return ks_limit_enum(call, member, algorithm, "SYMMETRIC_DEFAULT");
}
