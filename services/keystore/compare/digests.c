#include "services/keystore/compare/digests.h"

#include <string.h>

#include "pkg/base/hash.h"
#include "pkg/crypto/hash.h"

#define COUNTER_LEN 8U
#define HEAD_LEN    (KS_COMPARE_DIGEST_LEN + COUNTER_LEN)

struct making {
    struct ks_compare_digests *digests;
    ks_result result;
};

unsigned ks_compare_bucket(ks_bytes name)
{
    return (unsigned)(ks_plain_hash(name) % KS_COMPARE_BUCKETS);
}

static bool add(void *user, ks_bytes name, uint64_t counter, int64_t revision)
{
    struct making *making = user;
    uint8_t link[HEAD_LEN + KS_STORE_KEY_LEN_MAX];
    unsigned bucket = ks_compare_bucket(name);
    uint8_t *digest = making->digests->bytes[bucket];
    (void)revision;
    if (name.len > KS_STORE_KEY_LEN_MAX) {
        return true;
    }
    memcpy(link, digest, KS_COMPARE_DIGEST_LEN);
    for (size_t i = 0; i < COUNTER_LEN; i++) {
        link[KS_COMPARE_DIGEST_LEN + i] = (uint8_t)(counter >> (56 - 8 * i));
    }
    memcpy(link + HEAD_LEN, name.ptr, name.len);
    making->digests->lens[bucket] += name.len;
    making->digests->counts[bucket]++;
    making->result = ks_hash_sha256_once((ks_bytes){link, HEAD_LEN + name.len}, digest);
    return !ks_failed(making->result);
}

ks_result ks_compare_digests_of(const struct ks_store_view *view,
                                struct ks_compare_digests *ret_digests)
{
    struct making making = {ret_digests, KS_RES(OK)};
    memset(ret_digests, 0, sizeof(*ret_digests));
    KS_TRY(ks_store_scan_ordinals(view, add, &making));
    return making.result;
}
