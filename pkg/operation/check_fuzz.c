/*
 * Any bytes as a request: the first byte chooses the operation. What passes its check names keys
 * that can be looked for, and a refusal's text is UTF-8.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/arn/name.h"
#include "pkg/codec/utf8.h"
#include "pkg/operation/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const regions[] = {"ap-seoul-1", "us-oregon-1"};
static const struct ks_home home = {"aws", "ap-seoul-1", regions, 2};

static void check_one(const struct ks_operation *operation, ks_bytes message)
{
    struct ks_refusal refusal = {.code = KS_OK};
    struct ks_checked checked;
    ks_result r = ks_operation_check(operation, &home, "111122223333", message, &checked, &refusal);
    assert(r.code == refusal.code);
    assert(ks_utf8_is_text(ks_bytes_of(refusal.text)));
    for (size_t i = 0; !ks_failed(r) && i < checked.key_count; i++) {
        assert(checked.keys[i].account.len == 12);
        ks_bytes name = checked.keys[i].name;
        assert(ks_key_id_is_valid(name) || ks_alias_is_valid(name));
    }
}

static void check_batch(const struct ks_operation *operation, ks_bytes message)
{
    struct ks_refusal refusal = {.code = KS_OK};
    ks_bytes entries[KS_BATCH_ITEMS_MAX];
    size_t count = 0;
    ks_result r = ks_operation_entries(operation, message, entries, &count, &refusal);
    assert(r.code == refusal.code);
    for (size_t i = 0; i < count; i++) {
        check_one(operation->entry, entries[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    const struct ks_operation *operation = ks_operations[data[0] % ks_operation_count];
    ks_bytes message = {data + 1, size - 1};
    if (operation->entry) {
        check_batch(operation, message);
    } else {
        check_one(operation, message);
    }
    return 0;
}
