/* Any bytes as a key identifier and as a principal: what is read lies within what was given. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/arn/arn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool lies_within(ks_bytes part, ks_bytes text)
{
    return part.len == 0 || (part.ptr >= text.ptr && part.ptr + part.len <= text.ptr + text.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ks_bytes text = {data, size};
    struct ks_key_ref ref;
    if (!ks_failed(ks_key_ref_parse(text, &ref))) {
        assert(ref.name.len > 0);
        assert(lies_within(ref.name, text));
        assert(lies_within(ref.account, text));
        assert(lies_within(ref.region, text));
        assert(size <= KS_ARN_LEN_MAX);
    }
    struct ks_principal principal;
    if (!ks_failed(ks_principal_parse(text, &principal))) {
        assert(principal.account.len == KS_ACCOUNT_LEN);
        assert(lies_within(principal.name, text));
    }
    return 0;
}
