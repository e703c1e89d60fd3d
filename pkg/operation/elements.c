#include "pkg/operation/elements.h"

#include "pkg/codec/wire.h"

/* A map entry and a Tag have their members in the same places. */
#define PART_KEY   1U
#define PART_VALUE 2U

bool ks_elements_next_text(const struct ks_member *member, ks_bytes *run, ks_bytes *ret_text)
{
    while (run->len > 0) {
        struct ks_wire_field element;
        if (ks_failed(ks_wire_next(run, &element))) {
            return false;
        }
        if (element.number == member->field) {
            *ret_text = element.bytes;
            return true;
        }
    }
    return false;
}

bool ks_elements_next_number(const struct ks_member *member, struct ks_numbers *numbers,
                             int32_t *ret_number)
{
    uint64_t value = 0;
    while (numbers->packed.len == 0) {
        struct ks_wire_field field;
        if (numbers->run.len == 0 || ks_failed(ks_wire_next(&numbers->run, &field))) {
            return false;
        }
        if (field.number == member->field && field.type == KS_WIRE_VARINT) {
            *ret_number = (int32_t)(uint32_t)field.value;
            return true;
        }
        numbers->packed = field.number == member->field ? field.bytes : (ks_bytes){0};
    }
    if (ks_failed(ks_wire_varint(&numbers->packed, &value))) {
        return false;
    }
    *ret_number = (int32_t)(uint32_t)value;
    return true;
}

bool ks_elements_next_pair(const struct ks_member *member, ks_bytes *run, struct ks_pair *ret_pair)
{
    ks_bytes parts;
    if (!ks_elements_next_text(member, run, &parts)) {
        return false;
    }
    *ret_pair = (struct ks_pair){0};
    struct ks_wire_field part;
    while (parts.len > 0 && !ks_failed(ks_wire_next(&parts, &part))) {
        if (part.number == PART_KEY) {
            ret_pair->key = part.bytes;
        } else if (part.number == PART_VALUE) {
            ret_pair->value = part.bytes;
        }
    }
    return true;
}
