#include "pkg/operation/operation_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/base/mem.h"

static const char *const regions[] = {"ap-seoul-1", "us-oregon-1"};

const struct ks_home fixture_home = {
    .partition = "aws",
    .region = "ap-seoul-1",
    .known_regions = regions,
    .known_region_count = KS_COUNT(regions),
};

const struct ks_operation *fixture_operation(const char *name)
{
    for (size_t i = 0; i < ks_operation_count; i++) {
        if (strcmp(ks_operations[i]->name, name) == 0) {
            return ks_operations[i];
        }
    }
    fail_msg("no operation %s", name);
    return NULL;
}

static void put(struct ks_buffer *buffer, ks_bytes bytes)
{
    assert_int_equal(ks_buffer_append(buffer, bytes).code, KS_OK);
}

/* proto/formats/blob-v1.md */
void fixture_blob(const char *region, const char *account, struct ks_buffer *blob)
{
    uint8_t head[] = {1, 1, (uint8_t)strlen(region)};
    uint8_t rest[32 + 32 + 32 + 16 + 16] = {0x5a};
    put(blob, (ks_bytes){head, sizeof(head)});
    put(blob, ks_bytes_of(region));
    put(blob, ks_bytes_of(account));
    put(blob, KS_LITERAL(KEY_ID));
    put(blob, (ks_bytes){rest, sizeof(rest)});
}
