#include "pkg/custody/kit.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "pkg/crypto/ec.h"
#include "pkg/crypto/hash.h"
#include "pkg/form/form.h"
#include "pkg/transit/signing.h"

#define VERSION   1U
#define KIT_LABEL KS_LITERAL("keystead/custodian-kit/v1")

static_assert(KS_CUSTODY_PUBLIC_LEN == KS_EC_PUBLIC_DER_MAX, "a P-384 key has one length");
static_assert(KS_CUSTODY_HASH_LEN == KS_SHA256_LEN, "kits are named by SHA-256");

static ks_bytes key_at(const struct ks_kit *kit, size_t index)
{
    return (ks_bytes){kit->keys[index], KS_CUSTODY_PUBLIC_LEN};
}

/* A custodian who stands twice would count twice. */
static bool is_doubled(const struct ks_kit *kit, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (ks_bytes_equal(key_at(kit, i), key_at(kit, index))) {
            return true;
        }
    }
    return false;
}

static bool is_key(ks_bytes spki)
{
    KS_EC_AUTO *key = NULL;
    return !ks_failed(ks_ec_read_public(spki, &key)) && ks_ec_curve_of(key) == KS_EC_P384;
}

static bool is_well_formed(const struct ks_kit *kit)
{
    if (!ks_is_region(ks_bytes_of(kit->region)) || kit->period == 0 || kit->needed == 0 ||
        kit->needed > kit->count || kit->count > KS_CUSTODIANS_MAX) {
        return false;
    }
    for (size_t i = 0; i < kit->count; i++) {
        if (!is_key(key_at(kit, i)) || is_doubled(kit, i)) {
            return false;
        }
    }
    return true;
}

ks_result ks_kit_sign(const struct ks_kit *kit, const struct ks_ec_key *root, struct ks_buffer *out)
{
    assert(kit && root && out);

    if (!is_well_formed(kit)) {
        return KS_RES(VALIDATION);
    }
    uint8_t place[KS_KIT_LEN_MAX];
    struct ks_writer writer = {.ptr = place, .capacity = sizeof(place)};
    ks_write_u8(&writer, VERSION);
    ks_write_short(&writer, ks_bytes_of(kit->region));
    ks_write_u32(&writer, kit->period);
    ks_write_u8(&writer, kit->needed);
    ks_write_u8(&writer, kit->count);
    for (size_t i = 0; i < kit->count; i++) {
        ks_write_bytes(&writer, key_at(kit, i));
    }
    assert(!writer.full);
    ks_bytes body = ks_written(&writer);
    const struct ks_signed what = {KIT_LABEL, &body, 1};
    KS_TRY(ks_buffer_append(out, body));
    return ks_signed_append(&what, root, out);
}

static ks_result parse(ks_bytes bytes, struct ks_kit *ret_kit, ks_bytes *ret_body,
                       ks_bytes *ret_signature)
{
    struct ks_reader in = {.rest = bytes};
    struct ks_kit kit = {.period = 0};
    uint8_t version = ks_read_u8(&in);
    ks_bytes region = ks_read_short(&in);
    kit.period = ks_read_u32(&in);
    kit.needed = ks_read_u8(&in);
    kit.count = ks_read_u8(&in);
    if (in.bad || version != VERSION || region.len > KS_REGION_LEN_MAX ||
        kit.count > KS_CUSTODIANS_MAX) {
        return KS_RES(VALIDATION);
    }
    ks_bytes keys = ks_read_bytes(&in, (size_t)kit.count * KS_CUSTODY_PUBLIC_LEN);
    ks_bytes body = {bytes.ptr, bytes.len - in.rest.len};
    ks_bytes signature = ks_read_long(&in);
    if (!ks_read_all(&in)) {
        return KS_RES(VALIDATION);
    }
    if (region.len > 0) {
        memcpy(kit.region, region.ptr, region.len);
    }
    if (keys.len > 0) {
        memcpy(kit.keys, keys.ptr, keys.len);
    }
    /* A NUL within the region would make it a shorter one. */
    if (strlen(kit.region) != region.len || !is_well_formed(&kit)) {
        return KS_RES(VALIDATION);
    }
    KS_TRY(ks_hash_sha256_once(body, kit.id));
    *ret_kit = kit;
    *ret_body = body;
    *ret_signature = signature;
    return KS_RES(OK);
}

ks_result ks_kit_read(ks_bytes bytes, struct ks_kit *ret_kit)
{
    assert(ret_kit);

    ks_bytes body;
    ks_bytes signature;
    return parse(bytes, ret_kit, &body, &signature);
}

ks_result ks_kit_open(ks_bytes bytes, const struct ks_ec_key *root, struct ks_kit *ret_kit)
{
    assert(root && ret_kit);

    struct ks_kit kit;
    ks_bytes body;
    ks_bytes signature;
    KS_TRY(parse(bytes, &kit, &body, &signature));
    const struct ks_signed what = {KIT_LABEL, &body, 1};
    if (ks_failed(ks_signed_verify(&what, root, signature))) {
        return KS_RES(ACCESS_DENIED);
    }
    *ret_kit = kit;
    return KS_RES(OK);
}

/* How many custodians a subset has. */
static unsigned size_of(unsigned subset)
{
    unsigned size = 0;
    for (unsigned i = 0; i < KS_CUSTODIANS_MAX; i++) {
        size += (subset >> i) & 1U;
    }
    return size;
}

size_t ks_custody_subsets(uint8_t needed, uint8_t count,
                          uint8_t ret_subsets[static KS_CUSTODY_SUBSETS_MAX])
{
    if (needed == 0 || needed > count || count > KS_CUSTODIANS_MAX) {
        return 0;
    }
    size_t found = 0;
    for (unsigned subset = 1; subset < 1U << count; subset++) {
        if (size_of(subset) == needed) {
            assert(found < KS_CUSTODY_SUBSETS_MAX);
            ret_subsets[found++] = (uint8_t)subset;
        }
    }
    return found;
}

unsigned ks_custody_member(uint8_t subset, uint8_t position)
{
    unsigned seen = 0;
    for (unsigned i = 0; i < KS_CUSTODIANS_MAX; i++) {
        seen += ((unsigned)subset >> i) & 1U;
        if (position > 0 && seen == position) {
            return i + 1;
        }
    }
    return 0;
}
