#include "services/keystore/records/name.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ALIAS_PREFIX "alias/"

__attribute__((format(printf, 1, 2))) static struct ks_name name_of(const char *format, ...)
{
    struct ks_name name = {.len = 0};
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(name.text, sizeof(name.text), format, arguments);
    va_end(arguments);

    assert(len > 0 && (size_t)len < sizeof(name.text));
    name.len = (size_t)len;
    return name;
}

static const char *rest_of(const char *alias)
{
    assert(strncmp(alias, ALIAS_PREFIX, strlen(ALIAS_PREFIX)) == 0);
    return alias + strlen(ALIAS_PREFIX);
}

ks_bytes ks_name_bytes(const struct ks_name *name)
{
    return (ks_bytes){(const uint8_t *)name->text, name->len};
}

struct ks_name ks_name_key(const char *account, const char *key_id)
{
    return name_of("key/%s/%s", account, key_id);
}

struct ks_name ks_name_gone_key(const char *account, const char *key_id)
{
    return name_of("gone/key/%s/%s", account, key_id);
}

struct ks_name ks_name_keys(const char *account)
{
    return name_of("key/%s/", account);
}

struct ks_name ks_name_alias(const char *account, const char *alias)
{
    return name_of("alias/%s/%s", account, rest_of(alias));
}

struct ks_name ks_name_aliases(const char *account)
{
    return name_of("alias/%s/", account);
}

struct ks_name ks_name_key_alias(const char *account, const char *key_id, const char *alias)
{
    return name_of("keyalias/%s/%s/%s", account, key_id, rest_of(alias));
}

struct ks_name ks_name_key_aliases(const char *account, const char *key_id)
{
    return name_of("keyalias/%s/%s/", account, key_id);
}

struct ks_name ks_name_policy(const char *account, const char *key_id)
{
    return name_of("policy/%s/%s", account, key_id);
}

struct ks_name ks_name_materials(const char *account, const char *key_id)
{
    return name_of("material/%s/%s/", account, key_id);
}

struct ks_name ks_name_material(const char *account, const char *key_id, const char *material_id)
{
    return name_of("material/%s/%s/%s", account, key_id, material_id);
}

struct ks_name ks_name_grants(const char *account, const char *key_id)
{
    return name_of("grant/%s/%s/", account, key_id);
}

struct ks_name ks_name_grant(const char *account, const char *key_id, const char *grant_id)
{
    return name_of("grant/%s/%s/%s", account, key_id, grant_id);
}

struct ks_name ks_name_grantee(const char *account, const char *principal_sha256)
{
    return name_of("grantee/%s/%s/", account, principal_sha256);
}

struct ks_name ks_name_grantee_grant(const char *account, const char *principal_sha256,
                                     const char *key_id, const char *grant_id)
{
    return name_of("grantee/%s/%s/%s/%s", account, principal_sha256, key_id, grant_id);
}

struct ks_name ks_name_destroyed(const char *account, const char *key_id)
{
    return name_of("destroyed/%s/%s", account, key_id);
}

struct ks_name ks_name_domain_copy(uint32_t generation, const char *zone, const char *node_id)
{
    return name_of("domain/%08" PRIu32 "/%s/%s", generation, zone, node_id);
}

struct ks_name ks_name_custodians(uint32_t period)
{
    return name_of("custodians/%010" PRIu32, period);
}

struct ks_name ks_name_transit(const char *zone, const char *node_id)
{
    return name_of("transit/%s/%s", zone, node_id);
}

struct ks_name ks_name_requests(const char *account)
{
    return name_of("request/%s/", account);
}

struct ks_name ks_name_backup(const char *backup_id)
{
    return name_of("backup/%s", backup_id);
}

struct ks_name ks_name_gate(const struct ks_name *prefix)
{
    assert(prefix->len > 1 && prefix->text[prefix->len - 1] == '/');
    return name_of("gate/%.*s", (int)prefix->len - 1, prefix->text);
}

bool ks_name_gone_of(ks_bytes key_name, struct ks_name *ret_name)
{
    const ks_bytes gone = KS_LITERAL("gone/");
    struct ks_name name = {.len = gone.len + key_name.len};
    if (name.len >= sizeof(name.text)) {
        return false;
    }
    memcpy(name.text, gone.ptr, gone.len);
    memcpy(name.text + gone.len, key_name.ptr, key_name.len);
    *ret_name = name;
    return true;
}
