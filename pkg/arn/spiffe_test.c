#include "pkg/arn/spiffe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/base/mem.h"

#define START "spiffe://keystead/"

struct sample {
    const char *text;
    struct ks_spiffe says;
};

static const struct sample samples[] = {
    {START "account/111122223333/user/alice",
     {.kind = KS_SPIFFE_ACCOUNT_USER, .account = "111122223333", .name = "alice"}},
    {START "operator/ops-1", {.kind = KS_SPIFFE_OPERATOR, .name = "ops-1"}},
    {START "region/ap-seoul-1/frontend/frontend-ap-seoul-1-1",
     {.kind = KS_SPIFFE_FRONTEND, .region = "ap-seoul-1", .node = "frontend-ap-seoul-1-1"}},
    {START "region/ap-seoul-1/keystore/ap-seoul-1a",
     {.kind = KS_SPIFFE_KEYSTORE, .region = "ap-seoul-1", .zone = "ap-seoul-1a"}},
    {START "control", {.kind = KS_SPIFFE_CONTROL}},
    {START "control/identities", {.kind = KS_SPIFFE_IDENTITIES}},
    {START "hsm/ap-seoul-1/ap-seoul-1a",
     {.kind = KS_SPIFFE_HSM, .region = "ap-seoul-1", .zone = "ap-seoul-1a"}},
};

static void reads_and_writes_each_form(void **state)
{
    (void)state;
    assert_int_equal(KS_COUNT(samples), KS_SPIFFE_KIND_COUNT);
    for (size_t i = 0; i < KS_COUNT(samples); i++) {
        struct ks_spiffe got;
        memset(&got, 0xee, sizeof(got));
        char text[KS_SPIFFE_LEN_MAX + 1];

        assert_int_equal(ks_spiffe_parse(ks_bytes_of(samples[i].text), &got).code, KS_OK);
        assert_int_equal(got.kind, samples[i].says.kind);
        assert_string_equal(got.account, samples[i].says.account);
        assert_string_equal(got.name, samples[i].says.name);
        assert_string_equal(got.region, samples[i].says.region);
        assert_string_equal(got.zone, samples[i].says.zone);
        assert_string_equal(got.node, samples[i].says.node);

        assert_int_equal(ks_spiffe_format(&samples[i].says, text).code, KS_OK);
        assert_string_equal(text, samples[i].text);
    }
}

static void refuses_everything_else(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "spiffe://keystead",
        START,
        "spiffe://other/control",
        "spiffe://keystead.example/control",
        "https://keystead/control",
        "SPIFFE://keystead/control",
        START "control/",
        START "controller",
        START "/control",
        START "operator",
        START "operator/",
        START "operator/a/b",
        START "operator/..",
        START "account/111122223333",
        START "account/111122223333/user/",
        START "account/111122223333/user/a/b",
        START "account/111122223333/user/a%20b",
        START "account/11112222333/user/alice",
        START "account/1111222233334/user/alice",
        START "account//user/alice",
        START "region/ap-seoul-1/keystore/us-oregon-1a",
        START "region/ap-seoul-1/keystore/ap-seoul-12a",
        START "region/seoul/frontend/f",
        START "region/ap-seoul-1/control",
        START "hsm/ap-seoul-1/ap-seoul-1",
    };
    for (size_t i = 0; i < KS_COUNT(bad); i++) {
        struct ks_spiffe got = {.kind = KS_SPIFFE_CONTROL};
        if (ks_spiffe_parse(ks_bytes_of(bad[i]), &got).code != KS_VALIDATION) {
            fail_msg("\"%s\"", bad[i]);
        }
        assert_int_equal(got.kind, KS_SPIFFE_CONTROL);
    }
}

/* What a damaged URI reads as is never what the whole one read as. */
static void no_damage_leaves_the_same_identity(void **state)
{
    (void)state;
    for (size_t i = 0; i < KS_COUNT(samples); i++) {
        size_t len = strlen(samples[i].text);
        for (size_t bit = 0; bit < 8 * len; bit++) {
            KS_AUTO_FREE char *bad = ks_alloc(len + 1, 1);
            memcpy(bad, samples[i].text, len);
            bad[bit / 8] = (char)(bad[bit / 8] ^ (1 << (bit % 8)));
            struct ks_spiffe got;
            char text[KS_SPIFFE_LEN_MAX + 1] = "";
            if (!ks_failed(ks_spiffe_parse((ks_bytes){(uint8_t *)bad, len}, &got))) {
                assert_int_equal(ks_spiffe_format(&got, text).code, KS_OK);
                assert_string_equal(text, bad);
            }
        }
    }
}

static void has_room_for_the_longest(void **state)
{
    (void)state;
    struct ks_spiffe longest = {.kind = KS_SPIFFE_FRONTEND,
                                .region = "ap-abcdefghijklmnopqrstuvwxyza-1"};
    memset(longest.node, 'a', KS_NODE_NAME_LEN_MAX);
    char text[KS_SPIFFE_LEN_MAX + 1];

    assert_int_equal(ks_spiffe_format(&longest, text).code, KS_OK);
    struct ks_spiffe got;
    assert_int_equal(ks_spiffe_parse(ks_bytes_of(text), &got).code, KS_OK);
}

static void writes_no_malformed_part(void **state)
{
    (void)state;
    char text[KS_SPIFFE_LEN_MAX + 1] = "untouched";
    struct ks_spiffe no_name = {.kind = KS_SPIFFE_OPERATOR};
    struct ks_spiffe slash = {.kind = KS_SPIFFE_OPERATOR, .name = "a/b"};
    struct ks_spiffe far = {.kind = KS_SPIFFE_KEYSTORE, .region = "ap-seoul-1", .zone = "us-x-1a"};

    assert_int_equal(ks_spiffe_format(&no_name, text).code, KS_VALIDATION);
    assert_int_equal(ks_spiffe_format(&slash, text).code, KS_VALIDATION);
    assert_int_equal(ks_spiffe_format(&far, text).code, KS_VALIDATION);
    assert_string_equal(text, "untouched");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_and_writes_each_form),
        cmocka_unit_test(refuses_everything_else),
        cmocka_unit_test(no_damage_leaves_the_same_identity),
        cmocka_unit_test(has_room_for_the_longest),
        cmocka_unit_test(writes_no_malformed_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
