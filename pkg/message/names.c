#include "pkg/message/names.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int compare_members(const void *a, const void *b)
{
    const struct ks_member_name *first = a;
    const struct ks_member_name *second = b;
    int order = strcmp(first->message, second->message);
    return order != 0 ? order : strcmp(first->field, second->field);
}

const char *ks_member_name_of(const char *message, const char *field)
{
    struct ks_member_name wanted = {.message = message, .field = field};
    const struct ks_member_name *found =
        bsearch(&wanted, ks_member_names, ks_member_name_count, sizeof(wanted), compare_members);
    return found ? found->name : field;
}

const char *ks_value_name_of(const char *type, int number)
{
    for (size_t i = 0; i < ks_value_name_count; i++) {
        const struct ks_value_name *row = &ks_value_names[i];
        if (row->number == number && strcmp(row->type, type) == 0) {
            return row->name;
        }
    }
    return NULL;
}

bool ks_value_of_name(const char *type, const char *name, int *ret_number)
{
    for (size_t i = 0; i < ks_value_name_count; i++) {
        const struct ks_value_name *row = &ks_value_names[i];
        if (strcmp(row->type, type) == 0 && strcasecmp(row->name, name) == 0) {
            *ret_number = row->number;
            return true;
        }
    }
    return false;
}
