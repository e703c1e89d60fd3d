/*
 * method: the methods that the program calls, each with its messages. A command that only calls a
 * method is one row in commands/commands.c. A method of the KMS is named there, and the
 * table of operations (pkg/operation) says all else about it:
 *
 *     KS_KMS_METHOD(EnableKey)
 *
 * Threads: constants.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "keystead/admin/v1/admin.pb-c.h"
#include "pkg/operation/list.h"
#include "services/cli/arguments/command.h"

struct ProtobufCMessageDescriptor;
struct ks_member;

/* Which server a method belongs to. */
enum ks_door_kind { KS_DOOR_FRONTEND, KS_DOOR_CONTROL };

/* What a call of a method needs. */
struct ks_signature {
    const char *path; /* "/package.Service/Method" */
    const struct ProtobufCMessageDescriptor *request;
    const struct ProtobufCMessageDescriptor *response;
    enum ks_door_kind door;
};

struct ks_method {
    uint32_t operation;         /* number in the table of operations; 0: an admin method */
    struct ks_signature admin;  /* of an admin method */
    const char *list;           /* field of the response that holds a page; NULL: it has none */
    const char *const *columns; /* fields of an element, which a table shows; the last is NULL */
};

/* Numbers of operations by their names: KS_METHOD_EnableKey. A misspelt name does not compile. */
enum ks_kms_method {
#define KS_METHOD_ROW(number, Name, name) KS_METHOD_##Name = (number),
    KS_OPERATIONS(KS_METHOD_ROW)
#undef KS_METHOD_ROW
};

#define KS_SIGNATURE_OF_ADMIN(Name, name)                                                          \
    {                                                                                              \
        .path = "/keystead.admin.v1.AdminService/" #Name,                                          \
        .request = &keystead__admin__v1__##name##_request__descriptor,                             \
        .response = &keystead__admin__v1__##name##_response__descriptor, .door = KS_DOOR_CONTROL   \
    }

/*
 * Initializers of a struct ks_method: Name as the service has it, name as protobuf-c writes it.
 */
#define KS_KMS_METHOD(Name)                                                                        \
    {                                                                                              \
        .operation = KS_METHOD_##Name                                                              \
    }
#define KS_ADMIN_METHOD(Name, name)                                                                \
    {                                                                                              \
        .admin = KS_SIGNATURE_OF_ADMIN(Name, name)                                                 \
    }

/* The same of a method that lists: field_of_list is the response's, columns are its elements'. */
#define KS_KMS_LIST(Name, field_of_list, its_columns)                                              \
    {                                                                                              \
        .operation = KS_METHOD_##Name, .list = field_of_list, .columns = its_columns               \
    }
#define KS_ADMIN_LIST(Name, name, field_of_list, its_columns)                                      \
    {                                                                                              \
        .admin = KS_SIGNATURE_OF_ADMIN(Name, name), .list = field_of_list, .columns = its_columns  \
    }

/* Returns what a call of the method needs. */
struct ks_signature ks_method_signature(const struct ks_method *method);

/*
 * Returns the row of a field of the request, by the field's name, in the table of operations; NULL
 * if there is none, as for each field of an admin method.
 */
const struct ks_member *ks_method_member(const struct ks_method *method, const char *field);

/*
 * Writes which values an option accepts, as its member's row says: "7 to 30" of a number, "AES_256,
 * AES_128" of an enum; "" of everything else.
 */
void ks_method_limits(const struct ks_command *command, const struct ks_option *option,
                      char ret_text[static KS_LIMITS_LEN]);
