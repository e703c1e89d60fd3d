#include "pkg/operation/operation.h"

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
