/*
 * Any bytes as a request: the first byte chooses the operation. What passes its checks has key
 * identifiers that can be found, and a refusal's text is UTF-8.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/codec/utf8.h"
#include "services/frontend/api/check.h"
#include "services/frontend/api/identifier.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const regions[] = {"ap-seoul-1", "us-oregon-1"};
static const struct ks_home home = {"aws", "ap-seoul-1", regions, 2};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    const struct ks_operation *operation = ks_operations[data[0] % ks_operation_count];
    ks_bytes message = {data + 1, size - 1};
    struct ks_refusal refusal = {.code = KS_OK};
    struct ks_identifiers identifiers = {.count = 0};
    ks_result r = ks_check_wire(operation, message, &refusal);
    if (!ks_failed(r) && !operation->entry) {
        r = ks_check_members(operation, &home, "111122223333", message, &refusal);
    }
    if (!ks_failed(r) && !operation->entry) {
        r = ks_identifiers_find(operation, &home, "111122223333", message, &identifiers, &refusal);
    }
    assert(r.code == refusal.code);
    assert(ks_utf8_is_text(ks_bytes_of(refusal.text)));
    assert(identifiers.count <= KS_IDENTIFIERS_MAX);
    for (size_t i = 0; i < identifiers.count; i++) {
        assert(identifiers.items[i].account.len == 12);
        assert(identifiers.items[i].name.len > 0);
    }
    return 0;
}
