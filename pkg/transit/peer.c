#include "pkg/transit/peer.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "pkg/base/mem.h"
#include "pkg/crypto/ec.h"
#include "pkg/crypto/x509.h"

#define SCHEME "spiffe://"
#define KIND   "/hsm/"

static_assert(KS_FINGERPRINT_LEN == KS_SHA256_LEN, "the fingerprint is a SHA-256");
static_assert(KS_PEER_CERTIFICATE_MAX == KS_X509_DER_MAX, "whatever can be read fits");

/* Takes prefix off the front of *rest, if it is there. */
static bool skip(ks_bytes *rest, ks_bytes prefix)
{
    if (!ks_bytes_starts_with(*rest, prefix)) {
        return false;
    }
    rest->ptr += prefix.len;
    rest->len -= prefix.len;
    return true;
}

static void copy_name(char *place, ks_bytes name)
{
    memcpy(place, name.ptr, name.len);
    place[name.len] = '\0';
}

static bool read_uri(const char *uri, const char *trust_domain, struct ks_peer *peer)
{
    ks_bytes rest = ks_bytes_of(uri);
    if (!skip(&rest, KS_LITERAL(SCHEME)) || !skip(&rest, ks_bytes_of(trust_domain)) ||
        !skip(&rest, KS_LITERAL(KIND))) {
        return false;
    }
    const uint8_t *slash = rest.len > 0 ? memchr(rest.ptr, '/', rest.len) : NULL;
    if (!slash) {
        return false;
    }
    ks_bytes region = {rest.ptr, (size_t)(slash - rest.ptr)};
    ks_bytes zone = {slash + 1, rest.len - region.len - 1};
    if (!ks_is_region(region) || !ks_is_zone_of(zone, region)) {
        return false;
    }
    copy_name(peer->region, region);
    copy_name(peer->zone, zone);
    return true;
}

ks_result ks_peer_check(const struct ks_peer_trust *trust, ks_bytes certificate,
                        struct ks_peer *ret_peer, struct ks_ec_key **ret_key)
{
    assert(trust && trust->trust_domain);
    assert(ret_peer);

    struct ks_x509_info info;
    struct ks_peer peer = {0};
    if (ks_failed(ks_x509_verify(certificate, trust->root, trust->now_s, KS_X509_ANY, &info)) ||
        !read_uri(info.uri, trust->trust_domain, &peer)) {
        return KS_RES(ACCESS_DENIED);
    }
    memcpy(peer.fingerprint, info.fingerprint, sizeof(peer.fingerprint));
    KS_EC_AUTO *key = NULL;
    if (ks_failed(ks_ec_read_public((ks_bytes){info.spki, info.spki_len}, &key)) ||
        ks_ec_curve_of(key) != KS_EC_P384) {
        return KS_RES(ACCESS_DENIED);
    }
    if (ret_key) {
        *ret_key = key;
        key = NULL;
    }
    *ret_peer = peer;
    return KS_RES(OK);
}

char *ks_peer_uri(const char *trust_domain, const char *region, const char *zone)
{
    assert(strlen(trust_domain) <= KS_TRUST_DOMAIN_MAX);
    assert(strlen(region) <= KS_REGION_LEN_MAX && strlen(zone) <= KS_ZONE_LEN_MAX);

    char uri[KS_TRUST_DOMAIN_MAX + KS_REGION_LEN_MAX + KS_ZONE_LEN_MAX + 32];
    int len = snprintf(uri, sizeof(uri), SCHEME "%s" KIND "%s/%s", trust_domain, region, zone);
    assert(len > 0 && (size_t)len < sizeof(uri));
    return ks_strdup(uri);
}
