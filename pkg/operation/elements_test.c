/* Lists of enum values: what is taken, what is refused, and what stands in them. */
#include "pkg/operation/elements.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "keystead/kms/v1/types.pb-c.h"
#include "pkg/base/mem.h"
#include "pkg/operation/check.h"
#include "pkg/operation/operation_fixture.h"

static struct ks_refusal refusal;
static struct ks_checked checked;

/* No operation has such a member yet: AWS's CreateGrant will (Operations). */
static const struct ks_member list_of_enums[] = {
    {
        .field = 14,
        .name = "algorithms",
        .type = KS_MEMBER_ENUMS,
        .required = true,
        .min = 1,
        .max = 3,
        .values = "A, B",
        .value_max = 2,
    },
};
static const struct ks_operation with_enums = {
    .name = "WithEnums",
    .request = &keystead__kms__v1__key_metadata__descriptor,
    .members = list_of_enums,
    .member_count = 1,
    .request_id = KS_MEMBER_NONE,
    .fields_max = 6,
};

static ks_code check_enums(ks_bytes message)
{
    refusal = (struct ks_refusal){.code = KS_OK};
    return ks_operation_check(&with_enums, &fixture_home, OWN, message, &checked, &refusal).code;
}

/* A client may pack the values or not, and may mix both. */
static void takes_lists_of_enum_values_in_every_form(void **state)
{
    (void)state;
    static const ks_bytes forms[] = {
        {(const uint8_t *)"\x72\x03\x01\x02\x01", 5},             /* packed */
        {(const uint8_t *)"\x70\x01\x70\x02\x70\x01", 6},         /* each by itself */
        {(const uint8_t *)"\x72\x00\x72\x02\x01\x02\x70\x01", 8}, /* both, and none */
    };
    for (size_t i = 0; i < KS_COUNT(forms); i++) {
        assert_int_equal(check_enums(forms[i]), KS_OK);
        struct ks_numbers numbers = {.run = checked.values[0]};
        int32_t got[4] = {0};
        size_t count = 0;
        while (count < KS_COUNT(got) &&
               ks_elements_next_number(&list_of_enums[0], &numbers, &got[count])) {
            count++;
        }
        assert_int_equal(count, 3);
        assert_int_equal(got[0] * 100 + got[1] * 10 + got[2], 121);
    }
}

static void keeps_the_limits_of_a_list_of_enum_values(void **state)
{
    (void)state;
#define ENUMS_FAILED "1 validation error detected: Value"
#define MUST         "failed to satisfy constraint: Member must"
    static const struct {
        ks_bytes message;
        const char *text;
    } rows[] = {
        {{(const uint8_t *)"", 0}, ENUMS_FAILED " null at 'algorithms' " MUST " not be null"},
        {{(const uint8_t *)"\x72\x00", 2},
         ENUMS_FAILED " null at 'algorithms' " MUST " not be null"},
        {{(const uint8_t *)"\x72\x04\x01\x01\x01\x01", 6},
         ENUMS_FAILED " at 'algorithms' " MUST " have length less than or equal to 3"},
        {{(const uint8_t *)"\x72\x02\x01\x03", 4},
         ENUMS_FAILED " '3' at 'algorithms.2.member' " MUST " satisfy enum value set: [A, B]"},
        {{(const uint8_t *)"\x70\x00", 2},
         ENUMS_FAILED " '0' at 'algorithms.1.member' " MUST " satisfy enum value set: [A, B]"},
    };
    for (size_t i = 0; i < KS_COUNT(rows); i++) {
        assert_int_equal(check_enums(rows[i].message), KS_VALIDATION);
        assert_string_equal(refusal.text, rows[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_lists_of_enum_values_in_every_form),
        cmocka_unit_test(keeps_the_limits_of_a_list_of_enum_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
