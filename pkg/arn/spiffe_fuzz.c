/* Any bytes as a SPIFFE URI: what is read is written back as the same text. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/arn/spiffe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ks_spiffe spiffe;
    if (ks_failed(ks_spiffe_parse((ks_bytes){data, size}, &spiffe))) {
        return 0;
    }
    char text[KS_SPIFFE_LEN_MAX + 1];
    ks_result r = ks_spiffe_format(&spiffe, text);
    assert(!ks_failed(r));
    assert(ks_bytes_equal(ks_bytes_of(text), (ks_bytes){data, size}));
    return 0;
}
