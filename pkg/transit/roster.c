#include "pkg/transit/roster.h"

#include <assert.h>
#include <string.h>

#include "pkg/form/form.h"
#include "pkg/form/names.h"
#include "pkg/transit/signing.h"

#define VERSION 1U

#define ROSTER_LABEL KS_LITERAL("keystead/roster/v1")

ks_result ks_roster_init(const char *region, struct ks_roster *ret_roster)
{
    assert(region && ret_roster);

    ks_bytes text = ks_bytes_of(region);
    if (!ks_is_region(text)) {
        return KS_RES(VALIDATION);
    }
    *ret_roster = (struct ks_roster){.number = 1};
    memcpy(ret_roster->region, text.ptr, text.len);
    return KS_RES(OK);
}

static ks_bytes fingerprint_at(const struct ks_roster *roster, size_t at)
{
    return (ks_bytes){roster->entries[at].fingerprint, KS_FINGERPRINT_LEN};
}

/* Returns the index of the first entry whose fingerprint is not less. */
static size_t place_of(const struct ks_roster *roster, const uint8_t *fingerprint)
{
    assert(roster->count <= KS_ROSTER_ENTRIES_MAX);

    size_t at = 0;
    while (at < roster->count &&
           ks_bytes_compare(fingerprint_at(roster, at),
                            (ks_bytes){fingerprint, KS_FINGERPRINT_LEN}) < 0) {
        at++;
    }
    return at;
}

static bool stands_at(const struct ks_roster *roster, size_t at, const uint8_t *fingerprint)
{
    return at < roster->count &&
           ks_bytes_equal(fingerprint_at(roster, at), (ks_bytes){fingerprint, KS_FINGERPRINT_LEN});
}

ks_result ks_roster_add(struct ks_roster *roster,
                        const uint8_t fingerprint[static KS_FINGERPRINT_LEN], const char *zone)
{
    ks_bytes zone_text = ks_bytes_of(zone);
    size_t at = place_of(roster, fingerprint);
    if (!ks_is_zone_of(zone_text, ks_bytes_of(roster->region))) {
        return KS_RES(VALIDATION);
    }
    if (stands_at(roster, at, fingerprint)) {
        return KS_RES(ALREADY_EXISTS);
    }
    if (roster->count == KS_ROSTER_ENTRIES_MAX) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    struct ks_roster_entry *entry = &roster->entries[at];
    memmove(entry + 1, entry, (roster->count - at) * sizeof(*entry));
    *entry = (struct ks_roster_entry){0};
    memcpy(entry->fingerprint, fingerprint, KS_FINGERPRINT_LEN);
    memcpy(entry->zone, zone_text.ptr, zone_text.len);
    roster->count++;
    return KS_RES(OK);
}

static void remove_at(struct ks_roster *roster, size_t at)
{
    struct ks_roster_entry *entry = &roster->entries[at];
    roster->count--;
    memmove(entry, entry + 1, (roster->count - at) * sizeof(*entry));
}

ks_result ks_roster_strike(struct ks_roster *roster,
                           const uint8_t fingerprint[static KS_FINGERPRINT_LEN])
{
    size_t at = place_of(roster, fingerprint);
    if (!stands_at(roster, at, fingerprint)) {
        return KS_RES(NOT_FOUND);
    }
    remove_at(roster, at);
    return KS_RES(OK);
}

size_t ks_roster_strike_zone(struct ks_roster *roster, const char *zone)
{
    size_t struck = 0;
    for (size_t i = roster->count; i > 0; i--) {
        if (strcmp(roster->entries[i - 1].zone, zone) == 0) {
            remove_at(roster, i - 1);
            struck++;
        }
    }
    return struck;
}

static ks_bytes entries_of(const struct ks_roster *roster)
{
    return (ks_bytes){(const uint8_t *)roster->entries, roster->count * sizeof(roster->entries[0])};
}

bool ks_roster_equal(const struct ks_roster *a, const struct ks_roster *b)
{
    return a->number == b->number && a->count == b->count && strcmp(a->region, b->region) == 0 &&
           ks_bytes_equal(entries_of(a), entries_of(b));
}

bool ks_roster_admits(const struct ks_roster *roster, const struct ks_peer *peer)
{
    size_t at = place_of(roster, peer->fingerprint);
    return stands_at(roster, at, peer->fingerprint) && strcmp(roster->region, peer->region) == 0 &&
           strcmp(roster->entries[at].zone, peer->zone) == 0;
}

ks_result ks_roster_sign(const struct ks_roster *roster, const struct ks_ec_key *root,
                         struct ks_buffer *out)
{
    assert(roster && root && out);

    if (roster->number == 0 || roster->count == 0) {
        return KS_RES(VALIDATION);
    }
    uint8_t place[KS_ROSTER_LEN_MAX];
    struct ks_writer writer = {.ptr = place, .capacity = sizeof(place)};
    ks_write_u8(&writer, VERSION);
    ks_write_u64(&writer, roster->number);
    ks_write_short(&writer, ks_bytes_of(roster->region));
    ks_write_u16(&writer, (uint16_t)roster->count);
    for (size_t i = 0; i < roster->count; i++) {
        const struct ks_roster_entry *entry = &roster->entries[i];
        ks_write_bytes(&writer, (ks_bytes){entry->fingerprint, KS_FINGERPRINT_LEN});
        ks_write_short(&writer, ks_bytes_of(entry->zone));
    }
    assert(!writer.full);
    ks_bytes body = ks_written(&writer);
    const struct ks_signed what = {ROSTER_LABEL, &body, 1};
    KS_TRY(ks_buffer_append(out, body));
    return ks_signed_append(&what, root, out);
}

/* A roster has only one form: an entry that is not greater than all before it is malformed. */
static bool read_entry(struct ks_reader *in, struct ks_roster *roster)
{
    ks_bytes fingerprint = ks_read_bytes(in, KS_FINGERPRINT_LEN);
    ks_bytes zone = ks_read_short(in);
    if (in->bad || !ks_is_zone(zone) || place_of(roster, fingerprint.ptr) != roster->count) {
        return false;
    }
    char zone_text[KS_ZONE_LEN_MAX + 1] = "";
    memcpy(zone_text, zone.ptr, zone.len);
    return !ks_failed(ks_roster_add(roster, fingerprint.ptr, zone_text));
}

static ks_result parse(ks_bytes bytes, struct ks_roster *ret_roster, ks_bytes *ret_body,
                       ks_bytes *ret_signature)
{
    assert(ret_roster && ret_body && ret_signature);

    struct ks_reader in = {.rest = bytes};
    struct ks_roster roster = {0};
    uint8_t version = ks_read_u8(&in);
    roster.number = ks_read_u64(&in);
    ks_bytes region = ks_read_short(&in);
    uint16_t count = ks_read_u16(&in);
    if (in.bad || version != VERSION || roster.number == 0 || !ks_is_region(region) || count == 0 ||
        count > KS_ROSTER_ENTRIES_MAX) {
        return KS_RES(VALIDATION);
    }
    memcpy(roster.region, region.ptr, region.len);
    for (size_t i = 0; i < count; i++) {
        if (!read_entry(&in, &roster)) {
            return KS_RES(VALIDATION);
        }
    }
    *ret_body = (ks_bytes){bytes.ptr, bytes.len - in.rest.len};
    *ret_signature = ks_read_long(&in);
    if (!ks_read_all(&in)) {
        return KS_RES(VALIDATION);
    }
    *ret_roster = roster;
    return KS_RES(OK);
}

ks_result ks_roster_read(ks_bytes bytes, struct ks_roster *ret_roster)
{
    ks_bytes body;
    ks_bytes signature;
    return parse(bytes, ret_roster, &body, &signature);
}

ks_result ks_roster_open(ks_bytes bytes, const struct ks_ec_key *root, struct ks_roster *ret_roster)
{
    assert(root && ret_roster);

    struct ks_roster roster;
    ks_bytes body;
    ks_bytes signature;
    KS_TRY(parse(bytes, &roster, &body, &signature));
    const struct ks_signed what = {ROSTER_LABEL, &body, 1};
    if (ks_failed(ks_signed_verify(&what, root, signature))) {
        return KS_RES(ACCESS_DENIED);
    }
    *ret_roster = roster;
    return KS_RES(OK);
}
