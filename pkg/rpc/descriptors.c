#include "pkg/rpc/descriptors.h"

#include <assert.h>
#include <string.h>

#include "pkg/base/mem.h"
#include "pkg/rpc/wire.h"

/* google/protobuf/descriptor.proto. A declaration's name is field 1 in every kind. */
enum { SET_FILE = 1 };
enum { ENUM_VALUE = 2 };
enum { NAME = 1, FILE_PACKAGE = 2, FILE_DEPENDENCY = 3 };

/* Bounds how deep messages nest in each other in a name that is looked up. */
#define SEGMENTS_MAX 32U

enum kind { A_FILE, A_MESSAGE, AN_ENUM, A_SERVICE, A_LEAF };

/* Which field of what declares what. */
static const struct member {
    enum kind of;
    uint32_t number;
    enum kind is;
} members[] = {
    {A_FILE, 4, A_MESSAGE},  {A_FILE, 5, AN_ENUM},   {A_FILE, 6, A_SERVICE},
    {A_FILE, 7, A_LEAF},     {A_MESSAGE, 2, A_LEAF}, {A_MESSAGE, 3, A_MESSAGE},
    {A_MESSAGE, 4, AN_ENUM}, {A_MESSAGE, 6, A_LEAF}, {A_MESSAGE, 8, A_LEAF},
    {A_SERVICE, 2, A_LEAF},
};

ks_result ks_rpc_descriptors_add(struct ks_rpc_descriptors *descriptors, ks_bytes set)
{
    struct ks_rpc_wire_field field;
    bool damaged = false;
    while (ks_rpc_wire_next(&set, &field, &damaged)) {
        if (field.number != SET_FILE || field.type != KS_RPC_WIRE_BYTES) {
            return KS_RES(CORRUPT);
        }
        size_t same;
        if (ks_rpc_descriptors_by_name(descriptors, ks_rpc_wire_bytes(field.bytes, NAME), &same)) {
            continue;
        }
        if (descriptors->file_count == KS_RPC_DESCRIPTOR_FILES_MAX) {
            return KS_RES(LIMIT_EXCEEDED);
        }
        descriptors->files[descriptors->file_count++] = field.bytes;
    }
    return damaged ? KS_RES(CORRUPT) : KS_RES(OK);
}

bool ks_rpc_descriptors_by_name(const struct ks_rpc_descriptors *descriptors, ks_bytes name,
                                size_t *ret_index)
{
    for (size_t i = 0; i < descriptors->file_count; i++) {
        if (ks_bytes_equal(ks_rpc_wire_bytes(descriptors->files[i], NAME), name)) {
            *ret_index = i;
            return true;
        }
    }
    return false;
}

static bool kind_of_member(enum kind of, uint32_t number, enum kind *ret_kind)
{
    for (size_t i = 0; i < KS_COUNT(members); i++) {
        if (members[i].of == of && members[i].number == number) {
            *ret_kind = members[i].is;
            return true;
        }
    }
    return false;
}

static bool has_value(ks_bytes declared, ks_bytes name)
{
    struct ks_rpc_wire_field field;
    bool damaged = false;
    while (ks_rpc_wire_next(&declared, &field, &damaged)) {
        if (field.number == ENUM_VALUE && field.type == KS_RPC_WIRE_BYTES &&
            ks_bytes_equal(ks_rpc_wire_bytes(field.bytes, NAME), name)) {
            return true;
        }
    }
    return false;
}

/* Goes one step down: to the member of *scope with that name. *scope and *kind stay if there is
 * none. The values of an enum are members of the scope that the enum is in. */
static bool enter(ks_bytes *scope, enum kind *kind, ks_bytes name)
{
    ks_bytes rest = *scope;
    struct ks_rpc_wire_field field;
    bool damaged = false;
    while (ks_rpc_wire_next(&rest, &field, &damaged)) {
        enum kind member;
        if (field.type != KS_RPC_WIRE_BYTES || !kind_of_member(*kind, field.number, &member)) {
            continue;
        }
        bool is_value = member == AN_ENUM && has_value(field.bytes, name);
        if (is_value || ks_bytes_equal(ks_rpc_wire_bytes(field.bytes, NAME), name)) {
            *scope = field.bytes;
            *kind = is_value ? A_LEAF : member;
            return true;
        }
    }
    return false;
}

/* Cuts the part before the first dot, and the dot, off *path. */
static ks_bytes next_segment(ks_bytes *path)
{
    const uint8_t *dot = path->len > 0 ? memchr(path->ptr, '.', path->len) : NULL;
    size_t len = dot ? (size_t)(dot - path->ptr) : path->len;
    ks_bytes segment = {path->ptr, len};
    size_t skipped = dot ? len + 1 : len;
    *path = (ks_bytes){path->ptr + skipped, path->len - skipped};
    return segment;
}

/* Takes the file's package and the dot after it off *symbol; false: it is of another package. */
static bool leave_package(ks_bytes file, ks_bytes *symbol)
{
    ks_bytes package = ks_rpc_wire_bytes(file, FILE_PACKAGE);
    if (package.len == 0) {
        return true;
    }
    if (symbol->len <= package.len || !ks_bytes_starts_with(*symbol, package) ||
        symbol->ptr[package.len] != '.') {
        return false;
    }
    *symbol = (ks_bytes){symbol->ptr + package.len + 1, symbol->len - package.len - 1};
    return true;
}

static bool declares(ks_bytes file, ks_bytes symbol)
{
    if (!leave_package(file, &symbol) || symbol.len == 0 || symbol.ptr[symbol.len - 1] == '.') {
        return false;
    }
    enum kind kind = A_FILE;
    ks_bytes scope = file;
    for (size_t i = 0; i < SEGMENTS_MAX && symbol.len > 0; i++) {
        if (!enter(&scope, &kind, next_segment(&symbol))) {
            return false;
        }
    }
    return symbol.len == 0;
}

bool ks_rpc_descriptors_by_symbol(const struct ks_rpc_descriptors *descriptors, ks_bytes symbol,
                                  size_t *ret_index)
{
    for (size_t i = 0; i < descriptors->file_count; i++) {
        if (declares(descriptors->files[i], symbol)) {
            *ret_index = i;
            return true;
        }
    }
    return false;
}

void ks_rpc_descriptors_closure(const struct ks_rpc_descriptors *descriptors, size_t index,
                                size_t *ret_indexes, size_t *ret_count)
{
    assert(index < descriptors->file_count);

    bool seen[KS_RPC_DESCRIPTOR_FILES_MAX] = {[0] = false};
    seen[index] = true;
    ret_indexes[0] = index;
    size_t count = 1;
    for (size_t next = 0; next < count; next++) {
        ks_bytes rest = descriptors->files[ret_indexes[next]];
        struct ks_rpc_wire_field field;
        bool damaged = false;
        while (ks_rpc_wire_next(&rest, &field, &damaged)) {
            size_t import;
            if (field.number == FILE_DEPENDENCY && field.type == KS_RPC_WIRE_BYTES &&
                ks_rpc_descriptors_by_name(descriptors, field.bytes, &import) && !seen[import]) {
                seen[import] = true;
                ret_indexes[count++] = import;
            }
        }
    }
    *ret_count = count;
}
