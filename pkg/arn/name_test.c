#include "pkg/arn/name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/base/mem.h"

#define UUID  "0b4f9c9e-6f5d-4b8b-9b0e-00000000000f"
#define TEN   "abcdefghij"
#define FIFTY TEN TEN TEN TEN TEN

typedef bool (*is_valid)(ks_bytes text);

struct sample {
    const char *text;
    bool valid;
};

static void assert_samples(is_valid check, const struct sample *samples, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (check(ks_bytes_of(samples[i].text)) != samples[i].valid) {
            fail_msg("\"%s\"", samples[i].text);
        }
    }
    /* No name holds a NUL, or a byte beyond ASCII, anywhere. */
    for (size_t i = 0; i < count; i++) {
        char bad[512] = {0};
        size_t len = strlen(samples[i].text);
        for (size_t at = 0; at < len && len < sizeof(bad); at++) {
            memcpy(bad, samples[i].text, len);
            bad[at] = 0;
            assert_false(check((ks_bytes){(const uint8_t *)bad, len}));
            bad[at] = (char)0xc3;
            assert_false(check((ks_bytes){(const uint8_t *)bad, len}));
        }
    }
}

#define ASSERT_SAMPLES(check, ...)                                                                 \
    assert_samples(check, (const struct sample[]){__VA_ARGS__},                                    \
                   KS_COUNT(((const struct sample[]){__VA_ARGS__})))

static void an_account_is_twelve_digits(void **state)
{
    (void)state;
    ASSERT_SAMPLES(ks_account_is_valid, {"", false}, {"11112222333", false}, {"111122223333", true},
                   {"1111222233334", false}, {"11112222333a", false}, {"-11112222333", false});
}

static void a_key_id_is_a_uuid_in_lower_case(void **state)
{
    (void)state;
    ASSERT_SAMPLES(ks_key_id_is_valid, {"", false}, {UUID, true}, {UUID "0", false},
                   {"0b4f9c9e-6f5d-4b8b-9b0e-00000000000", false},
                   {"0B4f9c9e-6f5d-4b8b-9b0e-00000000000f", false},
                   {"0g4f9c9e-6f5d-4b8b-9b0e-00000000000f", false},
                   {"0b4f9c9e06f5d-4b8b-9b0e-00000000000f", false},
                   {"0b4f9c9--6f5d-4b8b-9b0e-00000000000f", false});
}

/* AWS KMS Developer Guide, "Multi-Region keys": mrk- and a UUID's digits without its hyphens. */
static void a_key_id_may_be_a_multi_region_keys(void **state)
{
    (void)state;
    ASSERT_SAMPLES(ks_key_id_is_valid, {"mrk-0b4f9c9e6f5d4b8b9b0e00000000000f", true},
                   {"mrk-0b4f9c9e6f5d4b8b9b0e00000000000", false},
                   {"mrk-0b4f9c9e6f5d4b8b9b0e00000000000f0", false},
                   {"mrk-0B4f9c9e6f5d4b8b9b0e00000000000f", false},
                   {"mrk-0b4f9c9e-6f5d4b8b9b0e0000000000f", false},
                   {"MRK-0b4f9c9e6f5d4b8b9b0e00000000000f", false},
                   {"mrk00b4f9c9e6f5d4b8b9b0e00000000000f", false},
                   {"0b4f9c9e6f5d4b8b9b0e00000000000f", false});
}

static void an_alias_starts_with_its_prefix(void **state)
{
    (void)state;
    ASSERT_SAMPLES(ks_alias_is_valid, {"", false}, {"alias/", false}, {"alias/a", true},
                   {"alias/App_1/main-2", true}, {"Alias/a", false}, {"alias/a b", false},
                   {"alias/a:b", false}, {"aliasa", false}, {"alias/aws/s3", true},
                   {"alias/" FIFTY FIFTY FIFTY FIFTY FIFTY, true},
                   {"alias/" FIFTY FIFTY FIFTY FIFTY FIFTY "a", false});
    assert_true(ks_alias_is_reserved(KS_LITERAL("alias/aws/s3")));
    assert_true(ks_alias_is_reserved(KS_LITERAL("alias/aws/")));
    assert_false(ks_alias_is_reserved(KS_LITERAL("alias/aws")));
    assert_false(ks_alias_is_reserved(KS_LITERAL("alias/awsome")));
}

static void a_user_name_is_what_iam_allows(void **state)
{
    (void)state;
    ASSERT_SAMPLES(ks_user_name_is_valid, {"", false}, {"a", true}, {"A.b-c_d+e=f,g@h", true},
                   {"a/b", false}, {"a b", false}, {"a:b", false}, {".", false}, {"..", false},
                   {"...", true}, {FIFTY TEN "1234", true}, {FIFTY TEN "12345", false});
}

static void node_and_partition_are_plain_words(void **state)
{
    (void)state;
    ASSERT_SAMPLES(ks_node_name_is_valid, {"", false}, {"frontend-ap-seoul-1-1", true},
                   {"A", false}, {"a.b", false}, {FIFTY TEN "123", true},
                   {FIFTY TEN "1234", false});
    ASSERT_SAMPLES(ks_partition_is_valid, {"", false}, {"aws", true}, {"aws-cn", true},
                   {"1aws", false}, {"-aws", false}, {"a:b", false}, {"abcdefghijklmnop", true},
                   {"abcdefghijklmnopq", false});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_account_is_twelve_digits),
        cmocka_unit_test(a_key_id_is_a_uuid_in_lower_case),
        cmocka_unit_test(a_key_id_may_be_a_multi_region_keys),
        cmocka_unit_test(an_alias_starts_with_its_prefix),
        cmocka_unit_test(a_user_name_is_what_iam_allows),
        cmocka_unit_test(node_and_partition_are_plain_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
