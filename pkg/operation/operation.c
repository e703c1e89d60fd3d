#include "pkg/operation/operation.h"

#include <assert.h>
#include <string.h>

#define VALUE_SEPARATOR ", " /* in ks_member.values, whose numbers run from 1 on */

const struct ks_operation *ks_operation_of(uint32_t number)
{
    for (size_t i = 0; number > 0 && i < ks_operation_count; i++) {
        if (ks_operations[i]->number == number) {
            return ks_operations[i];
        }
    }
    return NULL;
}

const struct ks_member *ks_operation_member(const struct ks_operation *operation, uint32_t field)
{
    for (size_t i = 0; i < operation->member_count; i++) {
        if (operation->members[i].field == field) {
            return &operation->members[i];
        }
    }
    return NULL;
}

ks_bytes ks_member_value_name(const struct ks_member *member, int32_t number)
{
    assert(number >= 1 && number <= member->value_max);

    const char *name = member->values;
    for (int32_t i = 1; i < number; i++) {
        name = strstr(name, VALUE_SEPARATOR);
        assert(name); /* generate.py has counted them */
        name += strlen(VALUE_SEPARATOR);
    }
    const char *end = strstr(name, VALUE_SEPARATOR);
    size_t len = end ? (size_t)(end - name) : strlen(name);
    return (ks_bytes){(const uint8_t *)name, len};
}
