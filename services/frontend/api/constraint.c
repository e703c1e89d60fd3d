#include "services/frontend/api/constraint.h"

#define DETECTED "1 validation error detected: Value"
#define FAILED   "failed to satisfy constraint: Member must"

int ks_shown_len(ks_bytes value)
{
    if (!value.ptr || value.len <= KS_SHOWN_LEN_MAX) {
        return (int)value.len;
    }
    size_t len = KS_SHOWN_LEN_MAX;
    while (len > 0 && (value.ptr[len] & 0xc0) == 0x80) {
        len--;
    }
    return (int)len;
}

ks_result ks_refuse_length(struct ks_refusal *refusal, const struct ks_member *member,
                           const char *comparison, int32_t bound)
{
    bool shown = member->value.ptr != NULL;
    const char *quote = shown ? "'" : "";
    return ks_refuse(refusal, KS_VALIDATION,
                     DETECTED "%s%s%.*s%s at '%s' " FAILED " have length %s than or equal to %d",
                     shown ? " " : "", quote, ks_shown_len(member->value),
                     shown ? (const char *)member->value.ptr : "", quote, member->path, comparison,
                     bound);
}

ks_result ks_refuse_number(struct ks_refusal *refusal, const char *path, int32_t value,
                           const char *comparison, int32_t bound)
{
    return ks_refuse(refusal, KS_VALIDATION,
                     DETECTED " '%d' at '%s' " FAILED " have value %s than or equal to %d", value,
                     path, comparison, bound);
}

ks_result ks_refuse_enum(struct ks_refusal *refusal, const char *path, int32_t value,
                         const char *set)
{
    return ks_refuse(refusal, KS_VALIDATION,
                     DETECTED " '%d' at '%s' " FAILED " satisfy enum value set: [%s]", value, path,
                     set);
}

ks_result ks_refuse_null(struct ks_refusal *refusal, const char *path)
{
    return ks_refuse(refusal, KS_VALIDATION, DETECTED " null at '%s' " FAILED " not be null", path);
}
