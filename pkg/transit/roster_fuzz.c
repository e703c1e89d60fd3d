/* Any bytes as a roster: what reads as one, signed anew, has the same bytes but the signature. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/base/mem.h"
#include "pkg/crypto/crypto.h"
#include "pkg/crypto/ec.h"
#include "pkg/transit/roster.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ks_ec_key *root;
    if (!root) {
        ks_result r = ks_crypto_init(&(struct ks_crypto_options){0});
        assert(!ks_failed(r));
        r = ks_ec_generate(KS_EC_P384, &root);
        assert(!ks_failed(r));
    }
    struct ks_roster roster;
    struct ks_roster again;
    KS_BUFFER_AUTO out = {.len_max = KS_ROSTER_LEN_MAX};
    ks_bytes bytes = {data, size};
    if (ks_failed(ks_roster_read(bytes, &roster))) {
        return 0;
    }
    ks_result r = ks_roster_open(bytes, root, &again);
    assert(r.code == KS_ACCESS_DENIED);
    r = ks_roster_sign(&roster, root, &out);
    assert(!ks_failed(r));
    r = ks_roster_open(ks_buffer_bytes(&out), root, &again);
    assert(!ks_failed(r) && ks_roster_equal(&roster, &again));
    return 0;
}
